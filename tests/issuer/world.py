"""One organisation with its issuer, real keys, journal and database; wallets that sign;
recording verbs for compile and drain.
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from httpx import Response
from sqlmodel import Session, col, select
from starlette.testclient import TestClient

import runtime.staff
from issuer import app, catalogue, credentials
from issuer.credentials import Credential
from issuer.mail import Channels
from issuer.registry import Registry
from protocol import answers, canonical, consent, credential, presentation, proof, signature
from protocol.consent import Ask, Consent, SubjectId, fresh_id
from protocol.keys import Ed25519Signer
from protocol.times import iso_ms
from runtime.clock import FixedClock
from runtime.outbox import OutboxEvent, pending
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import Staff, StaffAccount, StaffSession
from runtime.staff_session import Ticket
from verifier.drain import DrainTimeoutError

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
EMAIL, CITY, GIVEN, PHONE = "contact.email", "address.city", "contact.given_name", "contact.phone"
ASKED = (EMAIL, CITY, GIVEN)
SHELF = catalogue.load()


class Crash(RuntimeError):  # noqa: N818 - not an error of ours
    """The process dies here."""


@dataclass(slots=True)
class Wallet:
    """A wallet: its key, and how it answers."""

    world: "World"
    subject: SubjectId
    signer: Ed25519Signer = field(default_factory=Ed25519Signer.generate)

    @property
    def did(self) -> str:
        return self.signer.did

    def read_ask(self, document: dict[str, Any]) -> Ask:
        verified = credential.verify(
            canonical.jcs(document), self.world.platform.keys, at=self.world.now, expected_type=consent.ASK_TYPE
        )
        return consent.parse_ask(verified)

    def read_consent(self, document: dict[str, Any]) -> Consent:
        verified = credential.verify(
            canonical.jcs(document), self.world.platform.keys, at=self.world.now, expected_type=consent.CONSENT_TYPE,
            check_dates=False,
        )  # fmt: skip
        return consent.parse_consent(verified)

    def consent(self, ask: Ask, fields: tuple[str, ...] | None = None, **changes: Any) -> dict[str, Any]:
        """A signed consent; `changes` bend it: until, id, challenge, domain, signer, processes, edit(document)."""
        processes = changes.get("processes") or tuple(
            consent.Process(
                purpose=one.purpose,
                fields=frozenset(map(consent.Field, fields or one.fields)),
                processing=one.processing,
                recipients=one.recipients,
                jurisdictions=one.jurisdictions,
                duration=one.duration,
                locations=one.locations,
            )
            for one in ask.processes
        )
        unsigned = consent.build_consent(
            ask, processes=processes, valid_from=changes.get("valid_from", self.world.now),
            valid_until=changes.get("until", ask.latest_until), id=changes.get("id", fresh_id()),
        )  # fmt: skip
        if "edit" in changes:
            changes["edit"](unsigned)
        return proof.sign(
            unsigned, changes.get("signer", self.signer), created=self.world.now,
            challenge=changes.get("challenge", ask.challenge), domain=changes.get("domain", ask.domain),
        )  # fmt: skip

    def refusal(self, ask: Ask) -> dict[str, Any]:
        unsigned = answers.build_refusal(ask, id=fresh_id(), at=self.world.now)
        return proof.sign(
            unsigned, self.signer, created=self.world.now, challenge=ask.challenge, domain=ask.domain
        )  # fmt: skip

    def withdrawal(self, document: dict[str, Any], *, digest: str | None = None) -> dict[str, Any]:
        given = canonical.digest(canonical.jcs(document)) if digest is None else digest
        unsigned = answers.build_withdrawal(
            document["id"], given, self.signer.did, self.world.platform.controller, id=fresh_id(), at=self.world.now
        )
        return proof.sign(unsigned, self.signer, created=self.world.now)

    def give(self, ask: Ask, fields: tuple[str, ...] | None = None, **changes: Any) -> dict[str, Any]:
        """Consent and have it taken; the consent's document."""
        document = self.consent(ask, fields, **changes)
        self.world.registry.consent(canonical.jcs(document), self.signer.did)
        return document

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, nonce: str | None = None) -> Response:
        """A signed HTTP request."""
        data = b"" if body is None else canonical.jcs(body)
        url = f"{self.world.platform.settings.base_url}{path}"
        headers = {} if body is None else {"content-type": "application/json"}
        extra = signature.sign_request(
            method, url, headers, data, self.signer, created=self.world.now, nonce=nonce or secrets.token_urlsafe(16)
        )
        return self.world.http.request(method, path, content=data, headers={**headers, **extra})


class World:
    """The organisation."""

    def __init__(self, home: Path) -> None:
        self.clock = FixedClock(START)
        self.settings = Settings(home=home, mail_dir=home / "mail")
        self.platform = Platform.create(self.settings, self.clock)
        self.catalogue = SHELF
        self.compiled: list[SubjectId] = []
        self.drains = 0
        self.crash_in: set[str] = set()
        self.shelf: dict[str, Channels] = {}
        self.registry = Registry(self.platform, self.catalogue, self._compile, self._drain)
        self.http = TestClient(
            app.create(self.registry, self._channels), base_url=self.settings.base_url, raise_server_exceptions=False
        )
        self._tokens: dict[str, str] = {}
        self._staff: dict[str, Staff] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def _compile(self, session: Session, subject: SubjectId) -> None:
        if "compile" in self.crash_in:
            raise Crash
        self.compiled.append(subject)

    def _drain(self) -> None:
        if "drain" in self.crash_in:
            raise Crash
        if "reads" in self.crash_in:
            raise DrainTimeoutError("reads in flight did not end in time")
        self.drains += 1

    def _channels(self, subject: SubjectId) -> Channels:
        return self.shelf.get(subject, Channels(email=None, phone=None))

    def customer(
        self, *, email: str | None = "lin.wei@example.cn", phone: str | None = "+86 138 0000 4271"
    ) -> SubjectId:
        """A customer on file, without a wallet."""
        subject = SubjectId("sub_" + "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(26)))
        with self.platform.database.write("owner") as session:
            credentials.open_standing(session, subject)
        self.shelf[subject] = Channels(email=email, phone=phone)
        return subject

    def staff(self, role: str, account: str | None = None) -> Staff:
        """An account of that role."""
        account = account or role
        if account not in self._staff:
            did = self.platform.keyring.signer(f"staff/{account}").did
            row = StaffAccount(
                account=account,
                name="Staff",
                role=role,
                did=did,
                password_hash=b"",
                created_at=iso_ms(self.now),
                mac=b"",
            )
            row.mac = runtime.staff._account_mac(self.platform.keyring, row)
            with self.platform.database.write("owner") as session:
                session.add(row)
            self._staff[account] = Staff(account=account, name="Staff", role=role, did=did)
        return self._staff[account]

    def desk(self, role: str, account: str | None = None) -> dict[str, str]:
        """Headers of a member of staff who signed in."""
        staff = self.staff(role, account)
        # without a password: hashing them is what makes tests slow, and signing in is the runtime's to test
        token = self._tokens.get(staff.account)
        if token is None:
            token = self._tokens[staff.account] = secrets.token_urlsafe(32)
            ring, until = self.platform.keyring, iso_ms(self.now + timedelta(days=3650))
            digest = Ticket("token", token).digest(ring)
            mac = runtime.staff._mac(ring, "session", digest, staff.account, until)
            held = StaffSession(token_hash=digest, account=staff.account, expires_at=until, mac=mac)
            with self.platform.database.write("owner") as session:
                session.add(held)
        return {"authorization": f"Bearer {token}"}

    def post(self, role: str, path: str, body: dict[str, Any] | None = None, *, account: str | None = None) -> Response:
        return self.http.post(path, json=body or {}, headers=self.desk(role, account))

    def get(self, role: str, path: str, **query: str) -> Response:
        return self.http.get(path, params=query, headers=self.desk(role))

    def mails(self, kind: str) -> list[str]:
        """The texts of the letters of a kind, oldest first."""
        found = []
        for path in sorted(self.settings.mail_dir.glob(f"*-{kind}-*.eml")):
            body = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("plain",))
            found.append(str(body.get_content()) if body else "")
        return found

    def token_sent(self) -> str:
        """The token in the newest link."""
        link = re.search(r"fieldgrant://enrol\?\S+", self.mails("invitation")[-1])
        assert link is not None
        return parse_qs(urlsplit(link[0]).query)["token"][0]

    def code_sent(self) -> str:
        """The newest code."""
        self.clock.advance(timedelta(milliseconds=1))  # file names sort by time
        found = re.search(r"\b\d{8}\b", self.mails("code")[-1])
        assert found is not None
        return found[0]

    def present(self, signer: Ed25519Signer, challenge: str, domain: str | None = None) -> dict[str, Any]:
        domain = domain or self.settings.base_url
        return presentation.present([], signer, challenge=challenge, domain=domain, created=self.now)

    def invited(self, subject: SubjectId) -> str:
        """Invite; the token that the customer finds in the mail."""
        self.clock.advance(timedelta(milliseconds=1))
        answer = self.post("marketing", "/issuer/invitations", {"subject": subject})
        assert answer.status_code == 201, answer.text
        return self.token_sent()

    def challenged(self, token: str) -> tuple[str, str]:
        """Open the invitation; the challenge, and the code that arrived."""
        self.clock.advance(timedelta(milliseconds=1))
        answer = self.http.post("/issuer/enrolments/challenge", json={"token": token})
        assert answer.status_code == 200, answer.text
        return answer.json()["challenge"], self.code_sent()

    def enrolled(self, subject: SubjectId | None = None, signer: Ed25519Signer | None = None) -> Wallet:
        """A customer with a wallet, the whole way over HTTP."""
        wallet = Wallet(self, subject or self.customer(), signer or Ed25519Signer.generate())
        token = self.invited(wallet.subject)
        challenge, code = self.challenged(token)
        body = {"token": token, "code": code, "presentation": self.present(wallet.signer, challenge)}
        answer = self.http.post("/issuer/enrolments", json=body)
        assert answer.status_code == 201, answer.text
        return wallet

    def asked(self, wallet: Wallet, purpose: str = "marketing", fields: tuple[str, ...] = ASKED, **more: Any) -> Ask:
        """An ask over HTTP, as the wallet reads it."""
        body = {"subject": wallet.subject, "processes": [{"purpose": purpose, "fields": list(fields)}], **more}
        answer = self.post(_ROLE.get(purpose, "marketing"), "/issuer/asks", body)
        assert answer.status_code in (200, 201), answer.text
        return wallet.read_ask(answer.json()["credential"])

    def events(self, type_: str | None = None) -> list[OutboxEvent]:
        with self.platform.database.read() as session:
            found = pending(session, 0, 10_000)
        return [one for one in found if type_ is None or one.type == type_]

    def attempts(self) -> list[tuple[str, str]]:
        """(action, code) of every refused attempt on record."""
        return [
            (str(data["action"]), str(data["code"]))
            for one in self.events("attempt.refused")
            for _, data in one.records
        ]

    def rows(self, kind: str) -> list[Credential]:
        with self.platform.database.read() as session:
            return list(session.exec(select(Credential).where(Credential.kind == kind).order_by(col(Credential.at))))

    def version(self, subject: SubjectId) -> int:
        with self.platform.database.read() as session:
            return credentials.version(session, subject)

    def state(self) -> str:
        """Everything that a refused attempt must not change, as one text."""
        with self.platform.database.read() as session:
            connection = session.connection()
            names = ("credential", "standing", "status_entry", "status_list", "challenge", "settling", "invitation")
            tables = {
                name: [str(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]  # noqa: S608 - our names
                for name in names
            }
        kept = [one.type for one in self.events() if one.type != "attempt.refused"]
        return json.dumps([tables, kept, self.platform.journal.head()[0]])


_ROLE = {"marketing": "marketing", "service": "service", "sales": "sales", "third-party-sharing": "marketing"}
