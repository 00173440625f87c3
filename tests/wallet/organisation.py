"""A small organisation that really signs and really checks, behind an httpx transport. For the wallet's tests.

``twist`` maps a path to a function over the JSON that it would answer: so a test makes the organisation lie.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import httpx

from protocol import (
    answers,
    canonical,
    certificate,
    consent,
    credential,
    did,
    enrolment,
    ground,
    presentation,
    proof,
    receipt,
    signature,
    status,
)
from protocol.consent import Ask, Consent, Field, Jurisdiction, NoticeRef, Process, Purpose, StatusRef, SubjectId
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from protocol.receipt import RECEIPT_TYPE
from protocol.vocabulary import Reference

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
NOTICE = "We would like to write to you. 我们想给您写信。\nIf you say no, nothing else changes."
CODE, TOKEN = "12345678", "t" * 32
Json = dict[str, Any]


class Organisation:
    """One controller with one customer."""

    def __init__(self, base: str = "http://localhost:8700") -> None:
        self.base, self.at = base, START
        self.did: Did = did.web_did(base)
        seed = bytes([len(base)]) * 32
        self.signer = Ed25519Signer(seed, did=self.did, verification_method=f"{self.did}#key-1")
        services = {f"Fieldgrant{name}": base for name in ("Issuer", "Audit", "Redaction")}
        self.document = did.controller_document(
            self.did, assertion_keys={"key-1": self.signer.public}, services=services
        )
        self.keys = Keys([self.document])
        self.bits = status.Bitstring()
        self.wallet: Did | None = None
        self.enrolment: Json = {}
        self.asks: dict[str, Ask] = {}
        self.consents: dict[str, tuple[Consent, Json]] = {}
        self.receipts: dict[str, Json] = {}
        self.nonces: set[str] = set()
        self.twist: dict[str, Callable[[Json], Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.down: str | None = None
        self._next = 40

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    @property
    def link(self) -> str:
        digest = canonical.digest(canonical.jcs(self.document))
        told = {"issuer": self.base, "token": TOKEN, "did": self.did, "document": digest}
        return "fieldgrant://enrol?" + urlencode(told)

    def process(self, *fields: str, purpose: str = "DirectMarketing") -> Process:
        return Process(
            purpose=Purpose(f"https://w3id.org/dpv#{purpose}"),
            fields=frozenset(map(Field, fields)),
            recipients=frozenset({self.did}),
            jurisdictions=frozenset({Jurisdiction("CN")}),
            locations=frozenset({Jurisdiction("CN")}),
            duration="P180D",
        )

    def make_ask(self, *processes: Process, **more: Any) -> Ask:
        assert self.wallet is not None
        self._next += 1
        values: Json = {
            "id": consent.fresh_id(),
            "controller": self.did,
            "subject_did": self.wallet,
            "processes": processes or (self.process("contact.email", "address.city"),),
            "notice": NoticeRef(f"{self.base}/issuer/notices/marketing/1", canonical.digest(NOTICE.encode()), "en"),
            "latest_until": self.at + timedelta(days=180),
            "issued": self.at,
            "expires": self.at + timedelta(days=7),
            "challenge": f"challenge-{self._next:034d}",
            "domain": self.base,
            "status": StatusRef(f"{self.base}/issuer/status/1", self._next),
        }
        document = proof.sign(consent.build_ask(**(values | more)), self.signer, created=self.at)
        verified = credential.verify(
            canonical.jcs(document), self.keys, at=self.at, expected_type=consent.ASK_TYPE, check_dates=False
        )
        made = consent.parse_ask(verified)
        self.asks[made.id] = made
        return made

    def handle(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, request.read()
        self.requests.append((request.method, path))
        if self.down == path:
            raise httpx.ConnectError("down")
        try:
            answer = self._answer(request, path, json.loads(body) if body else {})
        except EvidenceError as error:
            return httpx.Response(400, json={"code": error.code, "detail": error.detail, "field": error.field})
        if answer is None:
            return httpx.Response(404, json={"code": "not_found", "detail": "There is nothing here."})
        if path in self.twist:
            answer = self.twist[path](answer)
        if self.down == f"after {path}":
            raise httpx.ReadError("lost on the way back")
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(200, json=answer)

    def _answer(self, request: httpx.Request, path: str, body: Json) -> Json | None:
        public = {
            "/.well-known/did.json": lambda: dict(self.document),
            "/issuer/notices/marketing/1": lambda: {"text": NOTICE},
            "/issuer/status/1": self._status,
            "/issuer/enrolments/challenge": lambda: self._challenge(body),
            "/issuer/enrolments": lambda: self._enrol(body),
        }
        if path in public:
            return public[path]()
        signed: dict[str, Callable[[], Json]] = {
            "/issuer/wallet/asks": lambda: {"items": [{"credential": one.document} for one in self.asks.values()]},
            "/issuer/wallet/consents": lambda: self._consent(body) if body else self._consents(),
            "/issuer/wallet/enrolments": lambda: {"items": [{"credential": self.enrolment}]},
            "/issuer/wallet/refusals": lambda: self._refuse(body),
            "/issuer/wallet/narrowings/offers": lambda: self._offer(body),
            "/issuer/wallet/narrowings": lambda: self._narrow(body),
            "/issuer/wallet/withdrawals": lambda: self._withdraw(body),
            "/issuer/wallet/receipts": lambda: {"items": [{"credential": one} for one in self.receipts.values()]},
            "/issuer/wallet/grounds": lambda: {"items": [{"credential": self.ground()}]},
            "/redaction/certificates": lambda: {"certificates": [self.certificate()]},
            "/audit/history": lambda: {"items": [self.event()], "next": "cursor"},
        }
        if path not in signed:
            return None
        caller = signature.verify_request(
            request.method, str(request.url), request.headers, request.read(), self.keys, at=self.at
        )
        if caller.nonce in self.nonces or caller.did != self.wallet:
            raise EvidenceError("replayed", "not you, or not again")
        self.nonces.add(caller.nonce)
        return signed[path]()

    def _challenge(self, body: Json) -> Json:
        if body["token"] != TOKEN:
            raise EvidenceError("unknown_invitation", "There is no such invitation.")
        return {"challenge": "enrol-" + "c" * 40, "domain": self.base, "code_channel": "•••• 4321"}

    def _enrol(self, body: Json) -> Json:
        if body["code"] != CODE:
            raise EvidenceError("wrong_code", "This is not the code that we sent last.", field="code")
        shown = presentation.verify(
            body["presentation"],
            self.keys,
            expected_challenge="enrol-" + "c" * 40,
            expected_domain=self.base,
            at=self.at,
        )
        self.wallet = shown.holder
        unsigned = enrolment.build_enrolment(
            self.did,
            SubjectId("sub_" + "a" * 26),
            shown.holder,
            shown.digest,
            shown.document,
            id=consent.fresh_id(),
            at=self.at,
        )
        self.enrolment = proof.sign(unsigned, self.signer, created=self.at)
        return {"enrolment": self.enrolment}

    def _status(self) -> Json:
        unsigned = status.build_list(f"{self.base}/issuer/status/1", self.did, self.bits, self.at)
        return proof.sign(unsigned, self.signer, created=self.at)

    def _verified(self, document: Json, type_: str, ask: Ask | None = None) -> credential.VerifiedCredential:
        return credential.verify(
            canonical.jcs(document),
            self.keys,
            at=self.at,
            expected_type=type_,
            expected_issuer=self.wallet,
            expected_challenge=ask.challenge if ask else None,
            expected_domain=ask.domain if ask else None,
        )

    def _consent(self, body: Json, event: str = "given", supersedes: Reference | None = None) -> Json:
        document = body["consent"]
        kept = self.receipts.get(document["id"])
        if kept is not None:
            return {"receipt": kept}
        ask = self.asks.get(document["credentialSubject"]["hasConsent"]["ask"]["id"])
        if ask is None:
            raise EvidenceError("foreign_ask", "we did not ask that")
        given = consent.parse_consent(self._verified(document, consent.CONSENT_TYPE, ask))
        consent.within(given, ask, at=self.at)
        self.consents[given.id] = (given, document)
        del self.asks[ask.id]
        return self._receipt(given, event, "living", key=given.id, supersedes=supersedes)

    def _consents(self) -> Json:
        return {"items": [{"credential": document, "standing": "living"} for _, document in self.consents.values()]}

    def _refuse(self, body: Json) -> Json:
        refused = answers.parse_refusal(self._verified(body["refusal"], answers.REFUSAL_TYPE))
        ask = self.asks.pop(refused.ask_id)
        unsigned = receipt.build_receipt(
            id=consent.fresh_id(),
            controller=self.did,
            subject_did=ask.subject_did,
            event="refused",
            standing="refused",
            at=self.at,
            ask=Reference(ask.id, ask.digest),
        )
        return self._keep(refused.id, unsigned)

    def _offer(self, body: Json) -> Json:
        old = self.consents[body["consent"]][0]
        made = self.make_ask(*old.processes, latest_until=old.valid_until, replaces=old.id)
        return {"ask": dict(made.document)}

    def _narrow(self, body: Json) -> Json:
        gone = answers.parse_withdrawal(self._verified(body["withdrawal"], answers.WITHDRAWAL_TYPE))
        old = self.consents[gone.consent_id][0]
        answer = self._consent(body, "narrowed", Reference(old.id, old.digest))
        consent.narrower(self.consents[body["consent"]["id"]][0], old)
        self.bits.set(old.status.index)
        return answer

    def _withdraw(self, body: Json) -> Json:
        gone = answers.parse_withdrawal(self._verified(body["withdrawal"], answers.WITHDRAWAL_TYPE))
        old = self.consents[gone.consent_id][0]
        self.bits.set(old.status.index)
        return self._receipt(old, "withdrawn", "withdrawn", key=gone.id)

    def _receipt(
        self, about: Consent, event: str, standing: str, *, key: str, supersedes: Reference | None = None
    ) -> Json:
        unsigned = receipt.build_receipt(
            id=consent.fresh_id(),
            controller=self.did,
            subject_did=about.subject_did,
            event=event,
            standing=standing,
            at=self.at,
            processes=about.processes,
            notice=about.notice,
            consent=Reference(about.id, about.digest),
            supersedes=supersedes,
            shut_at=None if event == "given" else self.at,
        )
        return self._keep(key, unsigned)

    def _keep(self, key: str, unsigned: Json) -> Json:
        self.receipts[key] = proof.sign(unsigned, self.signer, created=self.at)
        return {"receipt": self.receipts[key]}

    def revoke(self, consent_id: str) -> None:
        """End a consent without the wallet, as a data protection officer does."""
        self._receipt(self.consents[consent_id][0], "revoked", "revoked", key=f"revoked {consent_id}")

    def ground(self, *, until_enrolled: bool = False) -> Json:
        dpo, approver = Ed25519Signer(b"\x21" * 32), Ed25519Signer(b"\x22" * 32)
        unsigned = ground.build_ground(
            id=consent.fresh_id(),
            key="contract",
            controller=self.did,
            declared_by=dpo.did,
            basis="dpv:Contract",
            citation="PIPL art. 13 (2)",
            evidence="contract",
            processes=[self.process("contact.given_name", purpose="CustomerManagement")],
            valid_from=self.at,
            valid_until=self.at + timedelta(days=365),
            until_enrolled=until_enrolled,
        )
        return proof.sign(proof.sign(unsigned, dpo, created=self.at), approver, created=self.at)

    def certificate(self, subject: Did | None = None) -> Json:
        items = [certificate.Disposition(field=Field("contact.email"), disposition="shred", generation=1)]
        unsigned = certificate.build_certificate(
            id="urn:uuid:00000000-0000-4000-8000-00000000000c",
            controller=self.did,
            subject_did=subject or self.wallet or self.did,
            items=items,
            cause="withdrawal",
            at=self.at,
        )
        return proof.sign(unsigned, self.signer, created=self.at)

    def event(self) -> Json:
        return {
            "time": "2026-11-22T09:00:00.000Z",
            "kind": "release",
            "role": "marketing",
            "purpose": "https://w3id.org/dpv#DirectMarketing",
            "released": ["contact.email"],
            "withheld": {"contact.phone": "no_ground"},
            "fields": [],
        }


__all__ = ["CODE", "NOTICE", "RECEIPT_TYPE", "START", "TOKEN", "Organisation"]
