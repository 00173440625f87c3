"""A customer with a wallet: the project's own, and its key for what the project's own would never sign."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

from protocol import canonical, consent, credential, proof
from protocol.answers import build_withdrawal
from protocol.consent import Ask, Consent
from protocol.did import Did
from protocol.keys import Ed25519Signer
from tests.attacks.pieces import digest_of, narrowed
from wallet.wallet import Wallet

if TYPE_CHECKING:
    from tests.attacks.place import Place


@dataclass(frozen=True, slots=True)
class Customer:
    """One row of the import, and the wallet that enrolled for it."""

    subject: str
    email: str
    phone: str


@dataclass(slots=True)
class Held:
    """An enrolled wallet: the project's own (`app`), and its key for what the project's own would never sign."""

    place: "Place"
    customer: Customer
    app: Wallet

    @property
    def signer(self) -> Ed25519Signer:
        return self.app.holding().signer

    @property
    def did(self) -> Did:
        return self.signer.did

    @property
    def subject(self) -> str:
        return self.customer.subject

    def call(
        self, method: str, path: str, body: Any = None, *, base: str | None = None, **signing: Any
    ) -> httpx.Response:
        """A signed request; see `Place.signed`."""
        return self.place.signed(self.signer, method, path, body, base=base, **signing)

    def consent(self, ask: Ask, fields: Sequence[str] | None = None, **bent: Any) -> dict[str, Any]:
        """A signed consent to an ask, bent as told: processes, valid_from, until, id, challenge, domain, signer,
        purpose (of the proof), edit(unsigned document)."""
        processes = bent.get("processes") or tuple(narrowed(one, fields) for one in ask.processes)
        unsigned = consent.build_consent(
            ask, processes=processes, id=bent.get("id") or consent.fresh_id(),
            valid_from=bent.get("valid_from", self.place.now), valid_until=bent.get("until", ask.latest_until),
        )  # fmt: skip
        unsigned["issuer"] = unsigned["credentialSubject"]["id"] = self.did
        bent.get("edit", lambda _: None)(unsigned)
        return proof.sign(
            unsigned, bent.get("signer", self.signer), created=bent.get("created", self.place.now),
            purpose=bent.get("purpose", "assertionMethod"),
            challenge=bent.get("challenge", ask.challenge), domain=bent.get("domain", ask.domain),
        )  # fmt: skip

    def give(self, ask: Ask, fields: Sequence[str] | None = None, **bent: Any) -> dict[str, Any]:
        """A consent that was taken."""
        document = self.consent(ask, fields, **bent)
        answer = self.call("POST", "/issuer/wallet/consents", {"consent": document})
        assert answer.status_code == 201, answer.text
        return document

    def withdrawal(self, given: Mapping[str, Any], **bent: Any) -> dict[str, Any]:
        """A signed withdrawal of a consent, bent as told: id, digest, at, signer."""
        unsigned = build_withdrawal(
            given["id"], bent.get("digest") or digest_of(given), self.did, self.place.platform.controller,
            id=bent.get("id") or consent.fresh_id(), at=bent.get("at", self.place.now),
        )  # fmt: skip
        return proof.sign(unsigned, bent.get("signer", self.signer), created=bent.get("created", self.place.now))

    def read(self, given: Mapping[str, Any]) -> Consent:
        data = canonical.jcs(dict(given))
        verified = credential.verify(
            data, self.place.platform.keys, at=self.place.now, expected_type=consent.CONSENT_TYPE, check_dates=False
        )
        return consent.parse_consent(verified)

    def offer(self, given: Mapping[str, Any]) -> Ask:
        answer = self.call("POST", "/issuer/wallet/narrowings/offers", {"consent": given["id"]})
        assert answer.status_code == 201, answer.text
        return self.place.read_ask(answer.json()["ask"])
