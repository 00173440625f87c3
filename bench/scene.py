"""An organisation with as many customers as a row needs, made the short way.

The rows of `allowance` and `record` are those that compiling a signed consent and an import would write, MACs and seals
included; only the signatures of a hundred thousand consents are left out, which no read looks at. Customers who
withdraw (`people`) have real wallets and real consents.
"""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import insert

from crm_core import records
from crm_core.reading import app as reading
from crm_core.writer import new_subject
from fieldgrant import compose
from issuer import credentials
from issuer.catalogue import Catalogue
from protocol.consent import Field, Jurisdiction, Purpose, SubjectId
from runtime import keyring, staff
from runtime.clock import iso
from runtime.platform import Platform
from runtime.settings import Settings
from verifier.allowance import MASK_BYTES, Allowance
from verifier.gate import Gate, Reader, Visit
from verifier.rule import Reason
from verifier.seal import Key, Seal

PURPOSE = "marketing"
FIELDS = tuple(
    map(
        Field,
        (
            "contact.given_name", "contact.family_name", "contact.email", "contact.phone", "contact.gender",
            "address.city", "address.country", "employment.job_title", "employment.company", "contact.language",
        ),
    )
)  # fmt: skip
PASSWORD = "a password for measuring"  # noqa: S105 - of an organisation that lives as long as a measurement
_BATCH = 2000
_CITIES = ("Leeds", "Hangzhou", "Köln", "Osaka", "Porto", "Turku", "Malmö", "Ghent", "Lyon", "Brno")


@dataclass(frozen=True, slots=True)
class Scene:
    """One organisation, its customers in the order of their references."""

    platform: Platform
    house: compose.House
    subjects: Sequence[SubjectId]

    @property
    def catalogue(self) -> Catalogue:
        """The one in effect."""
        return self.house.catalogue

    @property
    def gate(self) -> Gate:
        """The gate of this process."""
        return self.house.gate

    def reader(self) -> Reader:
        """A member of staff who may read for the purpose."""
        signer = self.platform.keyring.signer("staff/mei")
        return Reader(did=signer.did, role="marketing", account="mei")

    def visit(self) -> Visit:
        """That reader's visit, now."""
        return self.gate.visit(self.reader(), PURPOSE)

    def token(self) -> str:
        """A fresh bearer token of that member of staff."""
        return staff.sign_in(self.platform, "mei", PASSWORD, self.platform.clock.now()).token


@contextmanager
def opened(
    home: Path, customers: int, *, values: bool = True, base_url: str = "http://localhost:8700"
) -> Iterator[Scene]:
    """Make an organisation below `home`, or open the one that is there. `values`: with sealed records."""
    settings = Settings(home=home, mail_dir=home / "mail", base_url=base_url, sign_in_rate="100000/minute")
    fresh = not settings.keys_dir.exists()
    platform = Platform.create(settings) if fresh else Platform.open(settings)
    try:
        if fresh:
            _account(platform)
        house = compose.house(platform)
        if fresh:
            _fill(platform, house.catalogue, customers, values=values)
        with platform.database.read() as session:
            found = session.connection().exec_driver_sql("SELECT subject FROM standing ORDER BY subject").scalars()
            yield Scene(platform, house, [SubjectId(subject) for subject in found])
    finally:
        platform.close()


def _account(platform: Platform) -> None:
    with platform.database.write() as session:
        staff.create_account(
            session, platform.keyring, account="mei", name="Mei", role="marketing", password=PASSWORD,
            at=platform.clock.now(),
        )  # fmt: skip


def person(number: int) -> dict[Field, str]:
    """What is stored of one customer: ten fields, about 140 bytes."""
    words = (
        f"Given{number % 997}", f"Family{number}", f"person{number}@example.org", f"+86138{number:08d}",
        "female" if number % 2 else "male", _CITIES[number % len(_CITIES)], "CN", f"Engineer {number % 31}",
        f"Company {number % 499}", "zh-CN" if number % 3 else "en",
    )  # fmt: skip
    return dict(zip(FIELDS, words, strict=True))


def _fill(platform: Platform, catalogue: Catalogue, customers: int, *, values: bool) -> None:
    current = catalogue.current()
    rows = _Rows(platform, current)
    for start in range(0, customers, _BATCH):
        numbers = range(start, min(start + _BATCH, customers))
        subjects = [new_subject() for _ in numbers]
        with platform.database.write("owner") as session:
            credentials.open_standings(session, subjects)
            session.connection().execute(insert(Allowance), [rows.of(subject) for subject in subjects])
            if values:
                under = {bucket: platform.keyring.current(bucket) for bucket in map(keyring.bucket_of, subjects)}
                at = iso(platform.clock.now())
                sealed = [
                    records.seal_record(
                        platform, subject, generation=1, created_at=at, values=person(number),
                        under=under[keyring.bucket_of(subject)],
                    )
                    for subject, number in zip(subjects, numbers, strict=True)
                ]  # fmt: skip
                records.insert(session, sealed)


class _Rows:
    """Allowances as compiling a consent to all ten fields writes them."""

    def __init__(self, platform: Platform, catalogue: Catalogue) -> None:
        purpose = catalogue.purpose(PURPOSE)
        bits = {Field(entry.id): entry.bit for entry in catalogue.fields.values()}
        self._granted = sum(1 << bits[field] for field in FIELDS)
        reasons = bytearray(max(bits.values()) + 1)
        for field, bit in bits.items():
            reasons[bit] = 0 if field in FIELDS else 1 + tuple(Reason).index(Reason.NO_GROUND)
        place = (platform.controller, Jurisdiction(platform.settings.home_jurisdiction))
        key = Key(Purpose(purpose.iri), *place, catalogue.part(purpose))
        self._mac = Seal(platform.keyring.secret("allowance-mac")).under(key)
        self._common: dict[str, Any] = {
            "purpose": key.purpose, "recipient": key.recipient, "jurisdiction": key.jurisdiction,
            "catalogue": key.catalogue, "mask": self._granted.to_bytes(MASK_BYTES, "little"),
            "reasons": bytes(reasons), "next_change_at": "2999-01-01T00:00:00.000Z", "version": 1,
        }  # fmt: skip

    def of(self, subject: SubjectId) -> dict[str, Any]:
        """The row of one customer, released by a consent of their own."""
        consent = f"urn:uuid:{secrets.token_hex(4)}-{secrets.token_hex(2)}-4000-8000-{secrets.token_hex(6)}"
        grounds = orjson.dumps({consent: f"{self._granted:x}"}).decode()
        same = self._common
        mac = self._mac(subject, same["mask"], same["reasons"], grounds, same["next_change_at"], same["version"], 0)
        return {**same, "subject": subject, "grounds": grounds, "mac": mac}


def default_fields(scene: Scene) -> tuple[Field, ...]:
    """What a page shows when nothing is selected."""
    return reading.fields_of(scene.catalogue, PURPOSE)
