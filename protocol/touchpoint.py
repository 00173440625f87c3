"""The touchpoint: who may bring which fields for which purposes, and what a site lets a browser do in its name.

A registration is declared by one person, approved by another and confirmed by the controller, as a statutory ground
is. A delegation is the touchpoint's own word, short-lived, for a key that a public page made a moment ago.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from protocol import shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import COLLECT, Field, Jurisdiction, Process, Purpose

TOUCHPOINT_TYPE, DELEGATION_TYPE = "TouchpointCredential", "CollectionDelegationCredential"
DELEGATION_LIFE = timedelta(minutes=15)
MAX_NAME = 80
MAX_RATE = 60_000  # uploads a minute

Ungrounded = Literal["refuse", "hold"]
Scope = Mapping[Purpose, frozenset[Field]]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,79}")
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A registered touchpoint; ``rate`` is uploads a minute, ``origins`` are those of pages that it may delegate to."""

    id: str
    touchpoint: Did
    name: str
    controller: Did
    declared_by: Did
    signers: frozenset[Did]
    processes: tuple[Process, ...]
    ungrounded: Ungrounded
    rate: int
    origins: frozenset[str]
    valid_from: datetime
    valid_until: datetime
    digest: str

    @property
    def jurisdiction(self) -> Jurisdiction:
        """Where it collects: its processes all name this one place."""
        return next(iter(self.processes[0].jurisdictions))

    def fields_for(self, purpose: Purpose) -> frozenset[Field]:
        """The fields that it may bring for a purpose; none where it is not registered for it."""
        named = (one.fields for one in self.processes if one.purpose == purpose and COLLECT in one.processing)
        return frozenset[Field]().union(*named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What a touchpoint lets a browser's key bring in its name, from pages of which origins, until when."""

    id: str
    touchpoint: Did
    browser: Did
    controller: Did
    scope: Scope
    origins: frozenset[str]
    valid_from: datetime
    valid_until: datetime
    digest: str


def build_registration(
    *,
    id: str,
    touchpoint: Did,
    name: str,
    controller: Did,
    declared_by: Did,
    processes: Sequence[Process],
    ungrounded: Ungrounded,
    rate: int,
    origins: Sequence[str] = (),
    valid_from: datetime,
    valid_until: datetime,
) -> dict[str, Any]:
    """An unsigned registration, to be signed by ``declared_by``, then by the approver and the controller."""
    claim: dict[str, Any] = {
        "type": "Touchpoint",
        "touchpointName": name,
        "hasDataController": controller,
        "hasProcess": [vocabulary.write_process(process) for process in processes],
        "withoutGround": ungrounded,
        "uploadRate": rate,
    }
    if origins:
        claim["allowedOrigin"] = sorted(origins)
    return vocabulary.skeleton(
        TOUCHPOINT_TYPE,
        id=id,
        issuer=declared_by,
        at=valid_from,
        until=valid_until,
        subject={"id": touchpoint, "registersTouchpoint": claim},
    )


def parse_registration(credential: VerifiedCredential, *, approved: bool = True) -> Registration:
    """Read a verified registration; with ``approved`` only one that two people and the controller signed.

    Whether those two may register touchpoints is for the caller to know.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``, ``not_approved``.
    """
    touchpoint, node = vocabulary.claim(credential, TOUCHPOINT_TYPE, "registersTouchpoint")
    path = "credentialSubject.registersTouchpoint"
    required = "type touchpointName hasDataController hasProcess withoutGround uploadRate"
    claim = shape.exact(node, path, required.split(), ("allowedOrigin",))
    vocabulary.kind(claim, path, "Touchpoint")
    controller = shape.did(claim, "hasDataController", path)
    signers = frozenset(proof.did for proof in credential.proofs)
    if approved and (controller not in signers or len(signers - {controller}) < 2):
        raise EvidenceError("not_approved", "two people and the controller must have signed", field="proof")
    if credential.valid_until is None:
        raise shape.refuse("validUntil", "a registration must end")
    rate = shape.number(claim, "uploadRate", path)
    if not 0 < rate <= MAX_RATE:
        raise shape.refuse(f"{path}.uploadRate", f"must be 1 to {MAX_RATE} a minute")
    name = shape.text(claim, "touchpointName", path)
    if _NAME.fullmatch(name) is None:
        raise shape.refuse(f"{path}.touchpointName", "must be a short name in ASCII")
    ungrounded = shape.one_of(claim, "withoutGround", path, frozenset({"refuse", "hold"}))
    processes = vocabulary.read_processes(claim, path)
    if len({one.jurisdictions for one in processes}) != 1 or len(processes[0].jurisdictions) != 1:
        raise shape.refuse(f"{path}.hasProcess", "must all name the one jurisdiction")
    return Registration(
        id=credential.id,
        touchpoint=touchpoint,
        name=name,
        controller=controller,
        declared_by=credential.issuer,
        signers=signers,
        processes=processes,
        ungrounded="hold" if ungrounded == "hold" else "refuse",
        rate=rate,
        origins=_origins(claim, path) if "allowedOrigin" in claim else frozenset(),
        valid_from=credential.valid_from,
        valid_until=credential.valid_until,
        digest=credential.digest,
    )


def build_delegation(
    *,
    id: str,
    touchpoint: Did,
    browser: Did,
    controller: Did,
    scope: Mapping[str, Sequence[str]],
    origins: Sequence[str],
    valid_from: datetime,
    valid_until: datetime,
) -> dict[str, Any]:
    """An unsigned delegation, to be signed by the touchpoint; at most 15 minutes long."""
    claim = {
        "type": "CollectionDelegation",
        "hasDataController": controller,
        "mayBring": [
            {"hasPurpose": purpose, "hasPersonalData": sorted(fields)} for purpose, fields in sorted(scope.items())
        ],
        "allowedOrigin": sorted(origins),
    }
    return vocabulary.skeleton(
        DELEGATION_TYPE,
        id=id,
        issuer=touchpoint,
        at=valid_from,
        until=valid_until,
        subject={"id": browser, "delegatesCollection": claim},
    )


def parse_delegation(credential: VerifiedCredential) -> Delegation:
    """Read a verified delegation. Whether its issuer is registered, and for as much, is for the caller to know.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``, ``delegation_too_long``.
    """
    browser, node = vocabulary.claim(credential, DELEGATION_TYPE, "delegatesCollection")
    path = "credentialSubject.delegatesCollection"
    claim = shape.exact(node, path, ("type", "hasDataController", "mayBring", "allowedOrigin"))
    vocabulary.kind(claim, path, "CollectionDelegation")
    until = credential.valid_until
    if until is None or until - credential.valid_from > DELEGATION_LIFE:
        raise EvidenceError("delegation_too_long", "a delegation lasts 15 minutes at most", field="validUntil")
    return Delegation(
        id=credential.id,
        touchpoint=credential.issuer,
        browser=browser,
        controller=shape.did(claim, "hasDataController", path),
        scope=_scope(claim, path),
        origins=_origins(claim, path),
        valid_from=credential.valid_from,
        valid_until=until,
        digest=credential.digest,
    )


def _scope(claim: Mapping[str, Any], path: str) -> Scope:
    scope: dict[Purpose, frozenset[Field]] = {}
    for i, node in enumerate(shape.objects(claim, "mayBring", path)):
        place = f"{path}.mayBring[{i}]"
        one = shape.exact(node, place, ("hasPurpose", "hasPersonalData"))
        purpose = Purpose(shape.iri(one, "hasPurpose", place))
        if purpose in scope:
            raise shape.refuse(place, "names a purpose twice")
        scope[purpose] = frozenset(map(Field, shape.texts(one, "hasPersonalData", place)))
    return scope


def _origins(claim: Mapping[str, Any], path: str) -> frozenset[str]:
    origins = shape.texts(claim, "allowedOrigin", path)
    if not all(_ORIGIN.fullmatch(one) for one in origins):
        raise shape.refuse(f"{path}.allowedOrigin", "must be origins such as https://shop.example.com")
    return origins
