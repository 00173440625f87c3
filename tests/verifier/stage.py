"""A real platform with the real registry and a real gate: wallets sign, and attackers write to the database."""

import secrets
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel

from issuer import asks, credentials, grounds, settling, signed
from issuer import catalogue as catalogues
from issuer.asks import Wish
from issuer.catalogue import Catalogue
from issuer.credentials import Credential
from issuer.grounds import Declaration
from issuer.registry import Registry
from migrations.tables import import_tables
from protocol import answers, canonical, consent, credential, enrolment, presentation, proof
from protocol.consent import Ask, Consent, Field, SubjectId
from protocol.did import Did
from protocol.keys import Ed25519Signer
from runtime.clock import FixedClock
from runtime.outbox import OutboxEvent, pending
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import Staff
from tests.engine import hand
from verifier import allowance, gate
from verifier.gate import Gate, Passage, Reader, Verdict

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
EMAIL, CITY, GIVEN, FAMILY, PHONE = map(
    Field, ("contact.email", "address.city", "contact.given_name", "contact.family_name", "contact.phone")
)
ASKED = frozenset({EMAIL, CITY, GIVEN})


@dataclass(frozen=True, slots=True)
class Customer:
    """A subject and the wallet that speaks for it."""

    subject: SubjectId
    wallet: Ed25519Signer


@dataclass(slots=True)
class Stage:
    """One organisation and what its people do."""

    platform: Platform
    catalogue: Catalogue
    gate: Gate
    clock: FixedClock
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(self.platform, self.catalogue, self.compile, self.gate.turnstile.drain)

    def compile(self, session: Any, subject: SubjectId) -> None:
        allowance.compile(session, self.platform, self.catalogue, subject)

    def staff(self, account: str, role: str) -> Staff:
        signer = self.platform.keyring.signer(f"staff/{account}")
        return Staff(account=account, name=account, role=role, did=signer.did)

    def reader(self, role: str = "marketing") -> Reader:
        return Reader(did=self.staff("mia", role).did, role=role, account="mia")

    def subject(self) -> SubjectId:
        """A new customer record's subject, compiled as the writer compiles it."""
        subject = SubjectId("sub_" + secrets.token_hex(13))
        with self.platform.database.write("owner") as session:
            credentials.open_standing(session, subject)
            self.compile(session, subject)
        return subject

    def enrol(self, subject: SubjectId | None = None) -> Customer:
        """A customer with an enrolled wallet."""
        customer = Customer(subject or self.subject(), Ed25519Signer.generate())
        with self.platform.database.write("owner") as session:
            self.store_enrolment(session, customer)
            self.registry.moved(session, customer.subject)
        return customer

    def store_enrolment(self, session: Any, customer: Customer, *, presenter: Ed25519Signer | None = None) -> str:
        at, did = self.clock.now(), customer.wallet.did
        presented = presentation.present(
            [], presenter or customer.wallet, challenge=secrets.token_hex(8), domain="http://localhost:8700", created=at
        )
        digest = canonical.digest(canonical.jcs(presented))
        unsigned = enrolment.build_enrolment(
            self.platform.controller, customer.subject, did, digest, presented, id=consent.fresh_id(), at=at
        )
        own = (self.platform.signer,)
        return signed.issue(session, unsigned, "enrolment", signers=own, subject=customer.subject, did=did, at=at).id

    def ask(self, customer: Customer, fields: Iterable[str] = ASKED, **wish: Any) -> Ask:
        purpose = wish.pop("purpose", "marketing")
        wishes = [Wish(purpose=purpose, fields=frozenset(fields), **wish)]
        role = sorted(self.catalogue.purpose(purpose).roles)[0]
        with self.platform.database.write("owner") as session:
            row, _ = asks.make(
                session,
                self.platform,
                self.catalogue,
                self.staff("mia", role),
                subject=customer.subject,
                wishes=wishes,
            )
            return asks.parse(row, self.platform)

    def answer(self, customer: Customer, ask: Ask, *, until: datetime | None = None, **narrow: Any) -> bytes:
        """The signed consent to (part of) an ask."""
        processes = [
            consent.Process(
                purpose=one.purpose,
                fields=narrow.get("fields", one.fields),
                recipients=one.recipients,
                jurisdictions=one.jurisdictions,
                duration=one.duration,
                locations=one.locations,
            )
            for one in ask.processes
        ]
        unsigned = consent.build_consent(
            ask,
            processes=processes,
            valid_from=self.clock.now(),
            valid_until=until or ask.latest_until,
            id=consent.fresh_id(),
        )
        return canonical.jcs(
            proof.sign(unsigned, customer.wallet, created=self.clock.now(), challenge=ask.challenge, domain=ask.domain)
        )

    def give(self, customer: Customer, fields: Iterable[str] = ASKED, **more: Any) -> Consent:
        """Ask for fields and have the customer consent."""
        until = more.pop("until", None)
        body = self.answer(customer, self.ask(customer, fields, **more), until=until)
        self.registry.consent(body, customer.wallet.did)
        return self.parsed(body)

    def parsed(self, body: bytes) -> Consent:
        return consent.parse_consent(
            credential.verify(
                body, self.platform.keys, at=self.clock.now(), expected_type=consent.CONSENT_TYPE, check_dates=False
            )
        )

    def withdrawal(self, customer: Customer, given: Consent) -> bytes:
        unsigned = answers.build_withdrawal(
            given.id,
            given.digest,
            customer.wallet.did,
            self.platform.controller,
            id=consent.fresh_id(),
            at=self.clock.now(),
        )
        return canonical.jcs(proof.sign(unsigned, customer.wallet, created=self.clock.now()))

    def withdraw(self, customer: Customer, given: Consent) -> dict[str, Any]:
        return self.registry.withdraw(self.withdrawal(customer, given), customer.wallet.did)

    def narrow(self, customer: Customer, given: Consent, fields: Iterable[str]) -> Consent:
        document = self.registry.offer_narrowing(given.id, customer.wallet.did)
        ask = consent.parse_ask(
            credential.verify(
                canonical.jcs(document), self.platform.keys, at=self.clock.now(), expected_type=consent.ASK_TYPE
            )
        )
        body = self.answer(customer, ask, fields=frozenset(fields))
        self.registry.narrow(self.withdrawal(customer, given), body, customer.wallet.did)
        return self.parsed(body)

    def ground(self, purpose: str, *fields: str, **more: Any) -> str:
        """A statutory ground that two people signed."""
        declared = Declaration(
            key=f"contract-{purpose}",
            basis="dpv:Contract",
            citation="GDPR art. 6(1)(b)",
            evidence="The terms that every customer signed.",
            wishes=(Wish(purpose=purpose, fields=frozenset(fields)),),
            subjects=more.get("subjects"),
            until_enrolled=more.get("until_enrolled", False),
            roles=more.get("roles"),
            valid_until=more.get("until", self.clock.now() + timedelta(days=365)),
        )
        row = grounds.declare(self.registry, self.staff("dora", "dpo"), declared)
        grounds.approve(self.registry, self.staff("dan", "admin"), row.id)
        return row.id

    def end_ground(self, ground_id: str) -> None:
        grounds.end(self.registry, self.staff("dora", "dpo"), ground_id)

    def expire(self) -> None:
        """What the issuer's worker does about consents that ran out."""
        with self.platform.database.write("owner") as session:
            ids = self.registry.expire(session, self.clock.now())
        settling.settle(self.registry, *ids)

    def see(self, subject: SubjectId, purpose: str = "marketing", role: str = "marketing", **visit: Any) -> Verdict:
        """One read's verdict, recorded like any."""
        opened = self.gate.visit(self.reader(role), purpose, **visit)
        with self.gate.read(opened, lambda passage: look(self, passage, subject)) as (_, verdict):
            return verdict

    def released(self, subject: SubjectId, purpose: str = "marketing", role: str = "marketing") -> set[str]:
        return set(self.see(subject, purpose, role).released)

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What an attacker who may write to the database does."""
        with closing(hand.connect(self.platform.settings.db_dir / "fieldgrant.db", timeout=10)) as connection:
            rows = connection.execute(statement, values).fetchall()
            connection.commit()
            return rows

    def put_back(self, rows: list[tuple[Any, ...]]) -> None:
        """Write old rows of allowances over the present ones."""
        for row in rows:
            self.sql("REPLACE INTO allowance VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)

    def events(self, type_: str | None = None) -> list[OutboxEvent]:
        with self.platform.database.read() as session:
            return [each for each in pending(session, 0, 10_000) if type_ in (None, each.type)]

    def row(self, id_: str) -> Credential:
        with self.platform.database.read() as session:
            return session.get_one(Credential, id_)

    def compile_again(self, subject: SubjectId) -> None:
        with self.platform.database.write("owner") as session:
            self.compile(session, subject)

    def allowances(self, subject: SubjectId) -> dict[tuple[str, str, str], Mapping[str, Any]]:
        table = SQLModel.metadata.tables["allowance"]
        with self.platform.database.read() as session:
            rows = session.connection().execute(select(table).where(table.c.subject == subject)).all()
        return {(row.purpose, row.recipient, row.jurisdiction): row._mapping for row in rows}


def look(stage: Stage, passage: Passage, subject: SubjectId, asked: frozenset[Field] = ASKED) -> Verdict:
    """Read one subject's row as a planner does, and put it on record."""
    standing, table = SQLModel.metadata.tables["standing"], SQLModel.metadata.tables["allowance"]
    source = standing.outerjoin(table, gate.beside(standing.c.subject))
    statement = select(standing.c.subject, *gate.COLUMNS).select_from(source).where(standing.c.subject == subject)
    with stage.platform.database.read() as session:
        verdict = passage.judge(session.connection().execute(statement, gate.place(passage.visit)).one())
    passage.record([(verdict, asked)], query={"select": sorted(asked)})
    return verdict


def make(home: Path) -> None:
    """An empty organisation in a directory; copies of it are as good."""
    platform = Platform.create(settings_in(home), FixedClock(START))
    import_tables()
    with platform.database.write("owner") as session:
        SQLModel.metadata.create_all(session.connection())
    platform.close()


def open_stage(home: Path) -> Stage:
    """The stage on an organisation that `make` made, or on a copy of it."""
    clock = FixedClock(START)
    platform = Platform.open(settings_in(home), clock)
    catalogue = default_catalogue()
    return Stage(platform, catalogue, Gate.open(platform, catalogue), clock)


def settings_in(home: Path) -> Settings:
    return Settings(home=home, mail_dir=home / "mail", send_deadline=0.5)


@lru_cache
def default_catalogue() -> Catalogue:
    return catalogues.load()


def foreign_did() -> Did:
    return Ed25519Signer.generate().did
