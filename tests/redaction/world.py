"""A real platform with real customers: wallets sign, the controller enrols, statements rest as signed bytes.

Only the registry's HTTP face is left out: statements are stored the way it stores them, in one transaction with the
journal entry and the new version of the standing.
"""

import atexit
import contextlib
import functools
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import Session, select

from crm_core import records, writer
from crm_core.origin import Origin
from issuer import catalogue as catalogues
from issuer import credentials, signed
from issuer.catalogue import Catalogue
from issuer.credentials import Credential, GroundSubject
from protocol import answers, canonical, consent, enrolment, ground, presentation, proof, times
from protocol.consent import Field, Jurisdiction, NoticeRef, Process, Purpose, StatusRef, SubjectId
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from redaction import disposition, worker
from redaction.disposition import Fate, Job
from runtime.clock import Clocks, FixedClock
from runtime.journal import APPROVED
from runtime.keyring import KeyGone, bucket_of
from runtime.outbox import OutboxEvent, pending
from runtime.platform import Platform
from runtime.session import Database
from runtime.settings import Settings
from tests.engine import hand

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
PHONE, EMAIL, CITY, GIVEN = map(Field, ("contact.phone", "contact.email", "address.city", "contact.given_name"))
VALUES = {PHONE: "+86 139 0000 7777", EMAIL: "li.wei@customers.example", CITY: "Hangzhou", GIVEN: "Wei"}
MARKETING, SERVICE = "https://w3id.org/dpv#DirectMarketing", "https://w3id.org/dpv#CustomerCare"
NAMES = "https://w3id.org/dpv#CustomerManagement"


@dataclass(frozen=True, slots=True)
class Given:
    """A consent that was given."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer with a wallet."""

    subject: SubjectId
    wallet: Ed25519Signer


@functools.cache
def _fresh() -> Path:
    """A platform without customers, made once: a copy of it is a platform too, and cheaper."""
    home = Path(tempfile.mkdtemp(prefix="fieldgrant-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    Platform.create(settings_in(home), FixedClock(START)).close()
    return home


@functools.cache
def _catalogue() -> Catalogue:
    return catalogues.load()


def settings_in(home: Path) -> Settings:
    """Everything of one platform below one directory."""
    return Settings(home=home, mail_dir=home / "mail")


class World:
    """One organisation."""

    def __init__(self, home: Path, clock: Clocks | None = None) -> None:
        self.settings = settings_in(home)
        hand.copied_home(_fresh(), home, dirs_exist_ok=True)
        self.platform = Platform.open(self.settings, clock)
        self.catalogue = _catalogue()

    def now(self) -> datetime:
        return self.platform.clock.now()

    def customer(self, values: Mapping[Field, str] = VALUES) -> Customer:
        """An imported customer, enrolled."""
        at = self.now()
        origin = Origin(source="test", source_digest=uuid4().hex, importer=self.platform.controller, at=at)
        with self.platform.database.write("owner") as session:
            subject = writer.create(session, self.platform, self.catalogue, values, origin=origin)
        who = Customer(subject, Ed25519Signer.generate())
        self.enrol(who)
        return who

    def neighbour(self, who: Customer) -> Customer:
        """Another customer whose data key lies in the same bucket."""
        new, bucket = writer.new_subject, bucket_of(who.subject)
        with pytest.MonkeyPatch.context() as patch:
            fits = (one for one in iter(new, None) if bucket_of(one) == bucket)
            patch.setattr(writer, "new_subject", lambda: next(fits))
            return self.customer()

    def enrol(self, who: Customer) -> None:
        at = self.now()
        shown = presentation.present([], who.wallet, challenge=uuid4().hex, domain="localhost", created=at)
        document = enrolment.build_enrolment(
            self.platform.controller,
            who.subject,
            who.wallet.did,
            canonical.digest(canonical.jcs(shown)),
            shown,
            id=_urn(),
            at=at,
        )
        with self.platform.database.write("owner") as session:
            self._store(session, "enrolment", who, document, self.platform.signer)
            credentials.raise_versions(session, [who.subject])

    def consent(
        self,
        who: Customer,
        fields: Iterable[Field],
        *,
        purpose: str = MARKETING,
        life: timedelta = timedelta(days=90),
        starts_in: timedelta = timedelta(),
    ) -> Given:
        """A consent that the wallet signed."""
        begins = self.now() + starts_in
        with self.platform.database.write("owner") as session:
            given = self._consent(session, who, self._process(fields, purpose), begins, begins + life)
            credentials.raise_versions(session, [who.subject])
        return given

    def withdraw(self, who: Customer, given: Given, *, keep: Iterable[Field] | None = None) -> Given | None:
        """Withdraw; with `keep`, narrow: the smaller consent is given in the same transaction."""
        at, smaller = self.now(), None
        document = answers.build_withdrawal(
            given.id, given.digest, who.wallet.did, self.platform.controller, id=_urn(), at=at
        )
        with self.platform.database.write("owner") as session:
            self._store(session, "withdrawal", who, document, who.wallet)
            if keep is not None:
                smaller = self._consent(session, who, self._process(keep, MARKETING), at, at + timedelta(days=30))
            row = session.get_one(Credential, given.id)
            credentials.end(session, row, "withdrawn" if keep is None else "superseded", by=document["id"], at=at)
            self._narrow(session, who.subject, given.id, at)
        return smaller

    def revoke(self, who: Customer, given: Given) -> None:
        """The data protection officer ends a consent."""
        with self.platform.database.write("owner") as session:
            credentials.end(session, session.get_one(Credential, given.id), "revoked", by="dpo", at=self.now())
            self._narrow(session, who.subject, given.id, self.now())

    def statutory(self, fields: Iterable[Field], *, life: timedelta = timedelta(days=365), raised: bool = True) -> str:
        """A ground for every customer, declared, approved and confirmed; unless `raised`, no standing knows it yet."""
        at, declaring, approving = self.now(), Ed25519Signer.generate(), Ed25519Signer.generate()
        document = ground.build_ground(
            id=_urn(),
            key="contract",
            controller=self.platform.controller,
            declared_by=declaring.did,
            basis="dpv:Contract",
            citation="PIPL art. 13(2)",
            evidence="terms of sale",
            processes=[self._process(fields, NAMES)],
            valid_from=at,
            valid_until=at + life,
        )
        for signer in (declaring, approving, self.platform.signer):
            document = proof.sign(document, signer, created=at)
        body = canonical.jcs(document)
        with self.platform.database.write("owner") as session:
            session.add(
                Credential(
                    id=document["id"], kind="ground", subject="*", did=declaring.did, body=body,
                    digest=canonical.digest(body), at=times.iso_ms(at),
                )
            )  # fmt: skip
            session.add(GroundSubject(ground_id=document["id"], subject="*"))
            everyone = list(credentials.subjects(session))
            if everyone and raised:
                credentials.raise_versions(session, everyone)
            self.platform.journal.append({"kind": APPROVED, "ground": document, "at": times.iso_ms(at)})
        return str(document["id"])

    def end_ground(self, who: Customer, ground_id: str) -> None:
        with self.platform.database.write("owner") as session:
            credentials.end(session, session.get_one(Credential, ground_id), "revoked", by="dpo", at=self.now())
            self._narrow(session, who.subject, ground_id, self.now())

    def readable(self, who: Customer) -> dict[Field, object]:
        """What the present database and the present keys open of a customer."""
        with self.platform.database.read() as session:
            record = records.load(session, who.subject)
            assert record is not None
            return dict(
                records.open_fields(self.platform, record, records.stored_fields(session, self.platform, who.subject))
            )

    def copy(self, name: str) -> Path:
        """A copy of the whole database, as a backup makes it."""
        target = self.settings.home / name
        with hand.connect(self.settings.db_dir / "fieldgrant.db") as source, hand.connect(target) as copy:
            source.backup(copy)
        return target

    def opens(self, copy: Path, subject: SubjectId) -> dict[Field, object]:
        """What the present key-ring opens of a subject's record in an old copy of the database."""
        old = Database(f"sqlite:///{copy}")
        opened: dict[Field, object] = {}
        try:
            with old.read() as session:
                record = records.load(session, subject)
                assert record is not None
                for field in records.stored_fields(session, self.platform, subject):
                    with contextlib.suppress(KeyGone, EvidenceError):
                        opened |= records.open_fields(self.platform, record, [field])
        finally:
            old.dispose()
        return opened

    def events(self, *types: str) -> list[OutboxEvent]:
        """The events of these types, in order."""
        with self.platform.database.read() as session:
            return [one for one in pending(session, 0, 100_000) if one.type in types]

    def told(self, *types: str) -> list[tuple[str, str]]:
        """(type, field) of each record of these events, sorted."""
        return sorted((one.type, str(data["field"])) for one in self.events(*types) for _, data in one.records)

    def rows(self, table: type[Any]) -> list[Any]:
        with self.platform.database.read() as session:
            return list(session.exec(select(table)))

    def fates(self) -> list[Fate]:
        """What becomes of each field of every job, those of older standings first."""
        jobs = sorted(self.rows(Job), key=lambda one: (one.version, one.round, one.planned_at))
        return [one for job in jobs for one in disposition.fates_of(job)]

    def _consent(self, session: Session, who: Customer, process: Process, begins: datetime, ends: datetime) -> Given:
        asking = consent.build_ask(
            id=_urn(),
            controller=self.platform.controller,
            subject_did=who.wallet.did,
            processes=[process],
            notice=NoticeRef("https://localhost/notices/marketing/1", canonical.digest(b"notice"), "en"),
            latest_until=ends,
            issued=min(begins, self.now()),
            expires=ends,
            challenge=uuid4().hex,
            domain="localhost",
            status=StatusRef("https://localhost/status/1", 7),
        )
        stored = self._store(session, "ask", who, asking, self.platform.signer)
        row = session.get_one(Credential, stored.id)
        offered = consent.parse_ask(signed.reverify(row, self.platform, consent.ASK_TYPE))
        document = consent.build_consent(
            offered, processes=offered.processes, valid_from=begins, valid_until=ends, id=_urn()
        )
        return self._store(session, "consent", who, document, who.wallet)

    def _process(self, fields: Iterable[Field], purpose: str) -> Process:
        return Process(
            purpose=Purpose(purpose),
            fields=frozenset(fields),
            recipients=frozenset({self.platform.controller}),
            jurisdictions=frozenset({Jurisdiction("CN")}),
            duration="P180D",
            locations=frozenset({Jurisdiction("CN")}),
        )

    def _store(
        self, session: Session, kind: str, who: Customer, document: dict[str, Any], signer: Ed25519Signer
    ) -> Given:
        body = canonical.jcs(proof.sign(document, signer, created=self.now()))
        row = Credential(
            id=str(document["id"]), kind=kind, subject=who.subject, did=who.wallet.did, body=body,
            digest=canonical.digest(body), at=times.iso_ms(self.now()),
        )  # fmt: skip
        credentials.store(session, row)
        return Given(row.id, row.digest)

    def _narrow(self, session: Session, subject: SubjectId, ended: str, at: datetime) -> None:
        credentials.raise_versions(session, [subject])
        self.platform.journal.append(
            {
                "kind": "narrowing",
                "subject": subject,
                "version": credentials.version(session, subject),
                "ended": [ended],
                "evidence": {},
                "at": times.iso_ms(at),
            }
        )


def _urn() -> str:
    return f"urn:uuid:{uuid4()}"


def settle(world: World, limit: float = 20.0) -> None:
    """Pass after pass until nothing is left to do by itself; other openers need a moment to let go of a key."""
    until = time.monotonic() + limit
    while worker.run_once(world.platform, world.catalogue).left:
        assert time.monotonic() < until, "dispositions do not come to their end"
        time.sleep(0.02)
