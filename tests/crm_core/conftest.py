"""A small organisation with real keys, a real database and a real gate; wallets that sign what customers grant."""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient

from crm_core import app, records, writer
from crm_core.origin import Origin
from crm_core.reading import app as read_app
from crm_core.reading.asking import parse
from crm_core.reading.planner import Page, Planner
from crm_core.seal import Value
from issuer import catalogue as catalogues
from issuer import credentials, signed
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE, GroundSubject
from protocol import canonical, consent, credential, enrolment, ground, presentation, proof
from protocol.consent import Field, NoticeRef, Process, Processing, Purpose, StatusRef, SubjectId
from protocol.keys import Ed25519Signer
from runtime import outbox, staff
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings
from verifier import allowance
from verifier.drain import Turnstile
from verifier.gate import Gate, Reader, Visit
from verifier.recorder import Recorder

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
MARKETING = "marketing"


@dataclass(frozen=True, slots=True)
class Stage:
    """One organisation and what its people do."""

    platform: Platform
    catalogue: Catalogue
    gate: Gate
    clock: FixedClock

    @property
    def planner(self) -> Planner:
        return Planner(self.platform, self.gate)

    def visit(self, role: str = "marketing", purpose: str = MARKETING, account: str = "mia") -> Visit:
        signer = self.platform.keyring.signer(f"staff/{account}")
        return self.gate.visit(Reader(did=signer.did, role=role, account=account), purpose)

    def customer(self, **values: Value) -> SubjectId:
        """A new customer; `contact__email="…"` writes the field `contact.email`."""
        with self.platform.database.write("owner") as session:
            return writer.create(session, self.platform, self.catalogue, fields_of(values), origin=self.origin())

    def put(self, subject: SubjectId, **values: Value) -> frozenset[Field]:
        with self.platform.database.write("owner") as session:
            return writer.put(session, self.platform, self.catalogue, subject, fields_of(values), origin=self.origin())

    def origin(self) -> Origin:
        return Origin(source="test", source_digest="-", importer=self.platform.controller, at=self.clock.now())

    def stored(self, subject: SubjectId) -> dict[Field, Value]:
        """What a record holds, opened behind the gate's back."""
        with self.platform.database.read() as session:
            record = records.load(session, subject)
            assert record is not None
            return records.open_fields(self.platform, record, tuple(self.catalogue.fields))

    def grant(self, subject: SubjectId, *fields: str, purpose: str = MARKETING) -> str:
        """Enrol a fresh wallet and let it consent; the consent's id."""
        self.clock.advance(timedelta(seconds=1))  # of two wallets the one that was enrolled last speaks
        wallet = Ed25519Signer.generate()
        at, did = self.clock.now(), wallet.did
        presented = presentation.present([], wallet, challenge=secrets.token_hex(8), domain="crm", created=at)
        enrolled = enrolment.build_enrolment(
            self.platform.controller,
            subject,
            did,
            canonical.digest(canonical.jcs(presented)),
            presented,
            id=f"urn:uuid:{uuid4()}",
            at=at,
        )
        asked, given = self._consent(wallet, fields, purpose, at)
        with self.platform.database.write("owner") as session:
            own = (self.platform.signer,)
            signed.issue(session, enrolled, "enrolment", signers=own, subject=subject, did=did, at=at)
            credentials.store(session, signed.row(asked, "ask", subject=subject, did=did, at=at))
            credentials.store(session, signed.row(given, "consent", subject=subject, did=did, at=at))
            credentials.raise_versions(session, [subject])
            allowance.compile(session, self.platform, self.catalogue, subject)
        return str(given["id"])

    def withdraw(self, subject: SubjectId, consent_id: str) -> None:
        with self.platform.database.write("owner") as session:
            row = session.get(credentials.Credential, consent_id)
            assert row is not None
            credentials.end(session, row, "withdrawn", by="urn:test", at=self.clock.now())
            credentials.raise_versions(session, [subject])
            allowance.compile(session, self.platform, self.catalogue, subject)

    def contract(self, purpose: str, *fields: str) -> None:
        """A statutory ground for every customer that exists or is to come."""
        signers = tuple(self.platform.keyring.signer(f"staff/{name}") for name in ("dora", "dan"))
        at = self.clock.now()
        unsigned = ground.build_ground(
            id=f"urn:uuid:{uuid4()}",
            key=f"contract-{purpose}",
            controller=self.platform.controller,
            declared_by=signers[0].did,
            basis="dpv:Contract",
            citation="GDPR art. 6(1)(b)",
            evidence="The terms that every customer signed.",
            processes=[self._process(fields, purpose)],
            valid_from=at,
            valid_until=at + timedelta(days=365),
        )
        with self.platform.database.write("owner") as session:
            row = signed.issue(
                session,
                unsigned,
                "ground",
                signers=(*signers, self.platform.signer),
                subject=EVERYONE,
                did=signers[0].did,
                at=at,
            )
            session.add(GroundSubject(ground_id=row.id, subject=EVERYONE))
            session.flush()
            allowance.compile_many(session, self.platform, self.catalogue, list(credentials.subjects(session)))

    def page(
        self,
        visit: Visit | None = None,
        *,
        select: str | None = None,
        filter_: str | None = None,
        sort: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        visit = visit or self.visit()
        asked = parse(
            self.catalogue,
            select=select,
            filter_=filter_,
            sort=sort,
            limit=limit,
            cursor=cursor,
            default=read_app.fields_of(self.catalogue, visit.purpose),
        )
        with self.planner.page(visit, asked) as (_, page):
            return page

    def one(self, subject: SubjectId, *select: str, visit: Visit | None = None) -> Page:
        with self.planner.one(visit or self.visit(), subject, tuple(map(Field, select))) as (_, page):
            return page

    def client(self, role: str, account: str | None = None) -> TestClient:
        """HTTP as a member of staff."""
        account = account or f"{role}-1"
        at, database = self.clock.now(), self.platform.database
        with database.write("owner") as session:
            staff.create_account(
                session,
                self.platform.keyring,
                account=account,
                name=account.title(),
                role=role,
                password="correct horse battery",
                at=at,
            )
        token = staff.sign_in(self.platform, account, "correct horse battery", at).token
        client = TestClient(app.create(self.platform, self.catalogue, self.gate), raise_server_exceptions=False)
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def events(self, *types: str) -> list[outbox.OutboxEvent]:
        with self.platform.database.read() as session:
            return [event for event in outbox.pending(session, 0, 100_000) if not types or event.type in types]

    def _process(self, fields: Iterable[str], purpose: str) -> Process:
        home = frozenset({consent.Jurisdiction("CN")})
        return Process(
            purpose=Purpose(self.catalogue.purpose(purpose).iri),
            processing=frozenset(map(Processing, self.catalogue.purpose(purpose).processing)),
            fields=frozenset(map(Field, fields)),
            recipients=frozenset({self.platform.controller}),
            jurisdictions=home,
            duration="P30D",
            locations=home,
        )

    def _consent(
        self, wallet: Ed25519Signer, fields: Iterable[str], purpose: str, at: datetime
    ) -> tuple[dict[str, object], dict[str, object]]:
        """A signed ask and the answer to it."""
        notice = next(each for each in self.catalogue.notices if each.purpose == purpose)
        ask = consent.build_ask(
            id=f"urn:uuid:{uuid4()}",
            controller=self.platform.controller,
            subject_did=wallet.did,
            processes=[self._process(fields, purpose)],
            notice=NoticeRef(f"http://localhost/n/{purpose}", notice.digest, notice.language),
            latest_until=at + timedelta(days=90),
            issued=at,
            expires=at + timedelta(days=7),
            challenge=secrets.token_hex(16),
            domain="http://localhost",
            status=StatusRef("http://localhost/issuer/status/1", secrets.randbelow(131072)),
        )
        signed_ask = proof.sign(ask, self.platform.signer, created=at)
        body = canonical.jcs(signed_ask)
        asked = consent.parse_ask(credential.verify(body, self.platform.keys, at=at, expected_type=consent.ASK_TYPE))
        unsigned = consent.build_consent(
            asked,
            processes=asked.processes,
            valid_from=at,
            valid_until=at + timedelta(days=30),
            id=f"urn:uuid:{uuid4()}",
        )
        answer = proof.sign(unsigned, wallet, created=at, challenge=asked.challenge, domain=asked.domain)
        return signed_ask, answer


def fields_of(values: dict[str, Value]) -> dict[Field, Value]:
    return {Field(name.replace("__", ".")): value for name, value in values.items()}


def open_stage(home: Path) -> Stage:
    clock = FixedClock(START)
    settings = Settings(home=home, mail_dir=home / "mail")
    platform = Platform.create(settings, clock)
    catalogue = catalogues.load()
    gate = Gate(platform, catalogue, Turnstile(settings.data_dir / "turnstile"), Recorder(platform))
    return Stage(platform, catalogue, gate, clock)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = open_stage(tmp_path)
    yield stage
    stage.platform.close()


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[tuple[Stage, Stage]]:
    """Two organisations of the same kind, to compare what they answer."""
    pair = open_stage(tmp_path / "one"), open_stage(tmp_path / "other")
    yield pair
    for stage in pair:
        stage.platform.close()
