"""Verdicts on signed bytes, kept by the bytes' own digest: a signature is verified once, however often it is asked for.

Only what was proved is kept, and only what time cannot change: dates and endings are judged anew each time.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from protocol import answers, canonical, consent, credential, enrolment, exclusion, ground, presentation, request
from protocol.answers import Refusal, Withdrawal
from protocol.consent import Ask, Consent
from protocol.credential import VerifiedCredential
from protocol.enrolment import Enrolment
from protocol.errors import EvidenceError
from protocol.exclusion import Exclusion, Lift
from protocol.ground import StatutoryGround
from protocol.request import DataSubjectRequest
from runtime.platform import Platform

T = TypeVar("T")
Prove = Callable[[bytes], T]
CAPACITY = 20_000  # verdicts; some 2 kB each

_kept: OrderedDict[tuple[bytes, str, bytes], Any] = OrderedDict()
_lock = threading.Lock()


class Verdicts:
    """What the signatures of one platform's stored credentials prove. All methods raise EvidenceError."""

    def __init__(self, platform: Platform, at: datetime) -> None:
        self._platform = platform
        self._at = at

    def ask(self, body: bytes) -> Ask:
        """An ask that the controller signed."""
        controller = self._platform.controller
        return self._once(
            "ask", body, lambda: consent.parse_ask(self._verified(body, consent.ASK_TYPE, issuer=controller))
        )

    def consent(self, body: bytes) -> Consent:
        """A consent that its subject signed."""
        return self._once("consent", body, lambda: consent.parse_consent(self._verified(body, consent.CONSENT_TYPE)))

    def withdrawal(self, body: bytes) -> Withdrawal:
        """A withdrawal that its subject signed."""
        return self._once(
            "withdrawal", body, lambda: answers.parse_withdrawal(self._verified(body, answers.WITHDRAWAL_TYPE))
        )

    def refusal(self, body: bytes) -> Refusal:
        """A refusal that its subject signed."""
        return self._once("refusal", body, lambda: answers.parse_refusal(self._verified(body, answers.REFUSAL_TYPE)))

    def enrolment(self, body: bytes) -> Enrolment:
        """An enrolment that the controller's key signed and that carries the wallet's own presentation."""
        return self._once("enrolment", body, lambda: self._enrolment(body))

    def ground(self, body: bytes) -> StatutoryGround:
        """A statutory ground that two people signed and the controller's key confirms."""
        return self._once("ground", body, lambda: self._ground(body))

    def exclusion(self, body: bytes) -> Exclusion:
        """What takes a subject out of statutory grounds, signed by the controller."""
        controller = self._platform.controller
        type_ = exclusion.EXCLUSION_TYPE
        return self._once(
            "exclusion", body, lambda: exclusion.parse_exclusion(self._verified(body, type_, issuer=controller))
        )

    def request(self, body: bytes) -> DataSubjectRequest:
        """What a data subject asked for, signed by who sent or recorded it."""
        type_ = request.REQUEST_TYPE
        return self._once("request", body, lambda: request.parse_request(self._verified(body, type_)))

    def lift(self, body: bytes) -> Lift:
        """The end of a pause, signed by the controller."""
        controller = self._platform.controller
        return self._once(
            "lift", body, lambda: exclusion.parse_lift(self._verified(body, exclusion.LIFT_TYPE, issuer=controller))
        )

    def _enrolment(self, body: bytes) -> Enrolment:
        controller = self._platform.controller
        found = enrolment.parse_enrolment(self._verified(body, enrolment.ENROLMENT_TYPE, issuer=controller))
        carried = canonical.parse(found.presentation)
        proof = carried.get("proof")
        if not isinstance(proof, dict):
            raise EvidenceError("bad_proof", "the presentation must bear the wallet's one proof", field="proof")
        # The controller's signature vouches that challenge and domain were those it had set; here they must be there.
        presented = presentation.verify(
            carried,
            self._platform.keys,
            expected_challenge=str(proof.get("challenge", "")),
            expected_domain=str(proof.get("domain", "")),
            at=found.at,
        )
        if presented.holder != found.wallet_did:
            raise EvidenceError("wrong_holder", "somebody else's wallet made this presentation", field="holder")
        return found

    def _ground(self, body: bytes) -> StatutoryGround:
        controller = self._platform.controller
        found = ground.parse_ground(self._verified(body, ground.GROUND_TYPE))
        if found.controller != controller:
            raise EvidenceError("foreign_ground", "a ground of another controller", field="hasDataController")
        # Anybody can make two keys. Who may declare and approve is known to the registry, which says so with a key
        # that is not in the database.
        if controller not in found.signers or len(found.signers - {controller}) < 2:
            raise EvidenceError("not_approved", "the controller's key does not confirm two signers", field="proof")
        return found

    def _verified(self, body: bytes, type_: str, *, issuer: Any = None) -> VerifiedCredential:
        return credential.verify(
            body, self._platform.keys, at=self._at, expected_type=type_, expected_issuer=issuer, check_dates=False
        )

    def _once(self, kind: str, body: bytes, prove: Callable[[], T]) -> T:
        key = (self._platform.signer.public, kind, hashlib.sha256(body).digest())
        with _lock:
            if key in _kept:
                _kept.move_to_end(key)
                known: T = _kept[key]
                return known
        found = prove()
        with _lock:
            _kept[key] = found
            if len(_kept) > CAPACITY:
                _kept.popitem(last=False)
        return found
