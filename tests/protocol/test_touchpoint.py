"""Registrations and delegations: read strictly, and only as far as they were signed."""

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from protocol import touchpoint
from protocol.consent import COLLECT, USE, Field, Jurisdiction, Purpose
from protocol.errors import EvidenceError
from protocol.proof import sign
from protocol.touchpoint import DELEGATION_TYPE, TOUCHPOINT_TYPE, Delegation, Registration
from tests.protocol import pieces

CLAIM = ("credentialSubject", "registersTouchpoint")
TOLD = ("credentialSubject", "delegatesCollection")
DPV = "https://w3id.org/dpv#"
Change = Callable[[dict[str, Any]], object]


def read(type_: str, change: Change = lambda _: None) -> Registration | Delegation:
    """The example of its type, changed and then signed by all who sign it."""
    document, signers = pieces.every_document()[type_]
    document = copy.deepcopy(document)
    change(document)
    for signer in signers:
        document = sign(document, signer, created=pieces.AT)
    parse = touchpoint.parse_registration if type_ == TOUCHPOINT_TYPE else touchpoint.parse_delegation
    found: Registration | Delegation = parse(pieces.verified(document, type_=type_))
    return found


def inside(path: tuple[str, ...], **members: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        node = document
        for step in path:
            node = node[step]
        node.update(members)

    return change


def test_a_registration_reads_as_it_was_built() -> None:
    found = read(TOUCHPOINT_TYPE)
    assert isinstance(found, Registration)
    assert (found.name, found.ungrounded, found.rate) == ("Web form", "hold", 600)
    assert found.origins == {"https://shop.example.com"}
    assert found.jurisdiction == Jurisdiction("CN")
    assert found.fields_for(Purpose(DPV + "DirectMarketing")) == {Field("contact.email")}
    assert found.fields_for(Purpose(DPV + "CustomerCare")) == frozenset()
    assert found.signers == {pieces.DPO.did, pieces.APPROVER.did, pieces.CONTROLLER.did}


def test_to_use_is_not_to_collect() -> None:
    used = pieces.process("contact.email", processing=frozenset({USE}))
    both = pieces.process("address.city", processing=frozenset({USE, COLLECT}), purpose="CustomerCare")
    from protocol import vocabulary

    processes = [vocabulary.write_process(one) for one in (used, both)]
    found = read(TOUCHPOINT_TYPE, inside(CLAIM, hasProcess=processes))
    assert isinstance(found, Registration)
    assert found.fields_for(used.purpose) == frozenset()
    assert found.fields_for(both.purpose) == {Field("address.city")}


@pytest.mark.parametrize(
    "change",
    [
        inside(CLAIM, withoutGround="keep"),
        inside(CLAIM, uploadRate=0),
        inside(CLAIM, uploadRate=60_001),
        inside(CLAIM, uploadRate="600"),
        inside(CLAIM, touchpointName="小程序"),
        inside(CLAIM, touchpointName=""),
        inside(CLAIM, touchpointName="x" * 81),
        inside(CLAIM, allowedOrigin=[]),
        inside(CLAIM, allowedOrigin=["https://shop.example.com/"]),
        inside(CLAIM, allowedOrigin=["*"]),
        inside(CLAIM, type="Enrolment"),
        inside(CLAIM, hasDataController="nobody"),
        lambda document: document.pop("validUntil"),
        lambda document: document["credentialSubject"]["registersTouchpoint"]["hasProcess"][0].update(
            hasJurisdiction=["CN", "DE"]
        ),
    ],
)
def test_a_registration_of_another_shape_is_refused(change: Change) -> None:
    with pytest.raises(EvidenceError) as caught:
        read(TOUCHPOINT_TYPE, change)
    assert caught.value.code == "bad_credential"


@pytest.mark.parametrize("signers", [1, 2])
def test_a_registration_needs_two_people_and_the_controller(signers: int) -> None:
    document, known = pieces.every_document()[TOUCHPOINT_TYPE]
    for signer in known[:signers]:
        document = sign(document, signer, created=pieces.AT)
    told = pieces.verified(document, type_=TOUCHPOINT_TYPE)
    with pytest.raises(EvidenceError) as caught:
        touchpoint.parse_registration(told)
    assert caught.value.code == "not_approved"
    assert touchpoint.parse_registration(told, approved=False).name == "Web form"


def test_a_delegation_reads_as_it_was_built() -> None:
    found = read(DELEGATION_TYPE)
    assert isinstance(found, Delegation)
    assert (found.touchpoint, found.browser) == (pieces.SUBJECT.did, pieces.APPROVER.did)
    assert found.scope == {Purpose(DPV + "DirectMarketing"): {Field("contact.email")}}
    assert found.valid_until - found.valid_from == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda document: document.pop("validUntil"), "delegation_too_long"),
        (lambda document: document.update(validUntil="2026-11-22T08:15:01Z"), "delegation_too_long"),
        (inside(TOLD, mayBring=[]), "bad_credential"),
        (inside(TOLD, mayBring=[{"hasPurpose": DPV + "X", "hasPersonalData": []}]), "bad_credential"),
        (inside(TOLD, mayBring=[{"hasPurpose": DPV + "X", "hasPersonalData": ["a.b"]}] * 2), "bad_credential"),
        (inside(TOLD, allowedOrigin=["null"]), "bad_credential"),
        (inside(TOLD, uploadRate=3), "bad_credential"),
    ],
)
def test_a_delegation_of_another_shape_is_refused(change: Change, code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        read(DELEGATION_TYPE, change)
    assert caught.value.code == code
