"""An organisation with a gateway: touchpoints that sign, customers with wallets, a clock that stands."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from httpx import Response
from sqlmodel import Session
from starlette.testclient import TestClient

from crm_core import app, records, writer
from crm_core.gateway import app as ingest_app
from crm_core.gateway import held_worker, touchpoints_app
from crm_core.origin import Origin
from crm_core.seal import Value
from issuer import grounds
from issuer.asks import Wish
from issuer.grounds import Declaration
from protocol import canonical, proof, signature, touchpoint
from protocol.consent import Field, SubjectId, fresh_id
from protocol.keys import Ed25519Signer
from protocol.times import iso
from runtime import problem
from tests.issuer.world import Wallet, World
from verifier import allowance

SUPPORT, CARE, MARKETING = "support", "vehicle-care", "marketing"
TITLE, BODY, MILEAGE, PLACE = "contact.given_name", "contact.email", "vehicle.mileage", "vehicle.location"
ORIGIN = "https://shop.example.com"
HEADERS = {"content-type": "application/json"}


@dataclass(slots=True)
class Sender:
    """A touchpoint, or a browser: its key, and how it sends."""

    gateway: "Gateway"
    signer: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    id: str = ""

    def send(self, *uploads: Any, delegation: Any = None, **bent: Any) -> Response:
        """Sign and post; `bent`: nonce, signer, created, body (sent in place of the signed one), headers, raw."""
        told: dict[str, Any] = {"uploads": list(uploads)}
        if delegation is not None:
            told["delegation"] = delegation
        data = bent.get("raw") or canonical.jcs(told)
        url = f"{self.gateway.settings.base_url}/crm/ingest"
        extra = signature.sign_request(
            "POST", url, {}, data, bent.get("signer", self.signer), created=bent.get("created", self.gateway.now),
            nonce=bent.get("nonce") or secrets.token_urlsafe(16),
        )  # fmt: skip
        headers = {**HEADERS, **extra, **bent.get("headers", {})}
        return self.gateway.crm.post("/crm/ingest", content=bent.get("body", data), headers=headers)

    def one(self, **members: Any) -> dict[str, Any]:
        """Send one upload; its result."""
        answer = self.send(self.gateway.upload(**members))
        assert "results" in answer.json(), answer.text
        found: dict[str, Any] = answer.json()["results"][0]
        return found

    def delegate(self, page: Ed25519Signer, **changes: Any) -> dict[str, Any]:
        """A signed delegation; `changes` bend it."""
        at = self.gateway.now
        values: dict[str, Any] = {
            "id": fresh_id(), "touchpoint": self.signer.did, "browser": page.did,
            "controller": self.gateway.platform.controller, "scope": {self.gateway.iri(SUPPORT): [TITLE, BODY]},
            "origins": [ORIGIN], "valid_from": at, "valid_until": at + timedelta(minutes=15),
        }  # fmt: skip
        unsigned = touchpoint.build_delegation(**{**values, **changes})
        return proof.sign(unsigned, self.signer, created=at)


class Gateway(World):
    """The organisation."""

    def __init__(self, home: Path, **more: Any) -> None:
        super().__init__(home)
        whole = FastAPI()
        problem.install(whole, larger=app.BODY_LIMITS, statuses=app.STATUSES)
        whole.include_router(ingest_app.router(self.registry), prefix="/crm")
        whole.include_router(touchpoints_app.router(self.platform, self.catalogue), prefix="/crm")
        self.crm = TestClient(whole, base_url=self.settings.base_url, raise_server_exceptions=False)

    def _compile(self, session: Session, subject: SubjectId) -> None:
        allowance.compile(session, self.platform, self.catalogue, subject)

    def iri(self, purpose: str) -> str:
        return self.catalogue.purpose(purpose).iri

    # -- touchpoints

    def registered(
        self, scope: Mapping[str, Sequence[str]] | None = None, *, approved: bool = True, **more: Any
    ) -> Sender:
        """A touchpoint that an administrator registered and an officer approved."""
        sender = more.pop("sender", None) or Sender(self)
        processes = [
            {"purpose": purpose, "fields": list(fields)}
            for purpose, fields in (scope or {SUPPORT: (TITLE, BODY)}).items()
        ]
        body = {
            "did": sender.signer.did, "name": "Web form", "processes": processes, "rate": 6000,
            "valid_until": iso(self.now + timedelta(days=365)), **more,
        }  # fmt: skip
        made = self.staffed("POST", "/crm/touchpoints", "admin", body)
        assert made.status_code == 201, made.text
        sender.id = made.json()["id"]
        if approved:
            answer = self.staffed("POST", f"/crm/touchpoints/{sender.id}/approval", "dpo")
            assert answer.json()["standing"] == "living", answer.text
        return sender

    def staffed(self, method: str, path: str, role: str, body: Any = None, **more: Any) -> Response:
        return self.crm.request(method, path, json=body, headers=self.desk(role, more.get("account")))

    # -- customers

    def on_file(self, **values: Value) -> SubjectId:
        """A customer with a record."""
        fields = {Field(name.replace("__", ".")): value for name, value in values.items()}
        origin = Origin(source="test", source_digest="-", importer=self.platform.controller, at=self.now)
        with self.platform.database.write("owner") as session:
            subject = writer.create(session, self.platform, self.catalogue, fields, origin=origin)
        self.customer(subject=subject)
        return subject

    def customer(self, *, subject: SubjectId | None = None, **more: Any) -> SubjectId:
        if subject is None:
            return self.on_file()
        from issuer.mail import Channels

        self.shelf[subject] = Channels(email="lin.wei@example.cn", phone="+86 138 0000 4271")
        return subject

    def ask(self, wallet: Wallet, purpose: str = SUPPORT, fields: Sequence[str] = (TITLE, BODY), **more: Any) -> Any:
        self.clock.advance(timedelta(milliseconds=5))
        process = {"purpose": purpose, "fields": list(fields), **more}
        role = "marketing" if purpose == MARKETING else "service"
        answer = self.post(role, "/issuer/asks", {"subject": wallet.subject, "processes": [process]})
        assert answer.status_code in (200, 201), answer.text
        return wallet.read_ask(answer.json()["credential"])

    def consenting(self, purpose: str = SUPPORT, fields: Sequence[str] = (TITLE, BODY), **more: Any) -> Any:
        """A customer who consented; (wallet, the consent's document)."""
        wallet = self.enrolled()
        return wallet, wallet.give(self.ask(wallet, purpose, fields, **more))

    def withdraw(self, wallet: Wallet, given: dict[str, Any]) -> None:
        self.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)

    def contract(self, purpose: str = SUPPORT, fields: Sequence[str] = (TITLE, BODY), **more: Any) -> str:
        """A statutory ground for everyone that lets fields be collected; its id."""
        wish = Wish(purpose=purpose, fields=frozenset(fields), processing=frozenset({"dpv:Use", "dpv:Collect"}))
        declared = Declaration(
            key="terms", basis="dpv:Contract", citation="GDPR art. 6(1)(b)", evidence="Terms, clause 4",
            wishes=(more.get("wish", wish),), subjects=more.get("subjects"), until_enrolled=False, roles=None,
            valid_until=self.now + timedelta(days=365),
        )  # fmt: skip
        row = grounds.declare(self.registry, self.staff("dpo"), declared)
        grounds.approve(self.registry, self.staff("dpo", "dan"), row.id)
        return row.id

    # -- uploads

    def upload(self, **members: Any) -> dict[str, Any]:
        body = {"id": fresh_id(), "purpose": SUPPORT, "values": {TITLE: "Wei"}, "collected_at": iso(self.now)}
        return {**body, **members}

    def stored(self, subject: str) -> dict[str, Value]:
        """What a record holds, opened behind the gate's back."""
        with self.platform.database.read() as session:
            record = records.load(session, SubjectId(subject))
            assert record is not None
            return dict(records.open_fields(self.platform, record, tuple(map(Field, self.catalogue.fields))))

    def work(self) -> int:
        """A round of the worker."""
        return held_worker.run_once(self.platform, self.catalogue)

    def count(self, table: str) -> int:
        with self.platform.database.read() as session:
            counted = session.connection().exec_driver_sql(f"SELECT count(*) FROM {table}")  # noqa: S608 - our names
            return int(counted.scalar() or 0)
