"""What takes a subject out of a ground: which grounds, which purposes, declared when, and what an erasure lapses."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from protocol import exclusion, ground, proof
from protocol.consent import Field, GroundId, Jurisdiction, Purpose, Reference
from protocol.errors import EvidenceError
from protocol.exclusion import ANY, ERASURE, OBJECTION, PAUSE, Excepted, Exclusion, Lift
from protocol.ground import StatutoryGround
from tests.protocol import pieces
from tests.protocol.pieces import AT, CONTROLLER, SUBJECT_ID
from verifier.excluded import ERASED, Excluded
from verifier.grant import Grant

CARE, SALE = Purpose("https://w3id.org/dpv#CustomerCare"), Purpose("https://w3id.org/dpv#SellProducts")
REQUEST = Reference("urn:uuid:00000000-0000-4000-8000-0000000000aa", "zQm")


def _ground(id_: str = "urn:g", basis: str = "dpv:PublicInterest", at: timedelta = timedelta()) -> StatutoryGround:
    document, signers = pieces.every_document()[ground.GROUND_TYPE]
    for signer in signers:
        document = proof.sign(document, signer, created=AT)
    read = ground.parse_ground(pieces.verified(document, type_=ground.GROUND_TYPE))
    return replace(read, id=GroundId(id_), basis=basis, valid_from=AT + at)


def _exclusion(kind: str, *pairs: Excepted, at: timedelta = timedelta(days=1)) -> Exclusion:
    return Exclusion(
        id=f"urn:{kind}", kind=kind, controller=CONTROLLER.did, subject=SUBJECT_ID, excepted=pairs, request=REQUEST,
        at=AT + at, digest="zQm",
    )  # fmt: skip


def _grant(purpose: Purpose = CARE) -> Grant:
    return Grant(
        ground=GroundId("urn:g"), kind="statutory", subject=SUBJECT_ID, fields=frozenset({Field("address.city")}),
        purpose=purpose, recipients=frozenset({CONTROLLER.did}), processing=frozenset(),
        jurisdictions=frozenset({Jurisdiction("CN")}), not_before=AT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pairs", "basis", "purpose", "covered"),
    [
        ([Excepted("urn:g", ANY)], "dpv:LegalObligation", CARE, True),
        ([Excepted("urn:g", CARE)], "dpv:Contract", SALE, False),
        ([Excepted("urn:other", ANY)], "dpv:Contract", CARE, False),
        ([Excepted(ANY, CARE)], "dpv:Contract", CARE, True),
        ([Excepted(ANY, ANY)], "dpv:LegalObligation", CARE, False),
        ([Excepted(ANY, ANY)], "https://w3id.org/dpv#LegalObligation", CARE, False),
        ([], "dpv:Contract", CARE, False),
    ],
)
def test_an_exclusion_covers_what_it_names_and_any_never_means_a_legal_obligation(
    pairs: Iterable[Excepted], basis: str, purpose: Purpose, covered: bool
) -> None:
    assert _exclusion(OBJECTION, *pairs).covers(_ground(basis=basis), purpose) is covered


@pytest.mark.parametrize(("kind", "barred"), [(OBJECTION, True), (PAUSE, True), (ERASURE, False)])
def test_the_next_ground_for_the_same_use_does_not_go_round_an_objection(kind: str, barred: bool) -> None:
    later = _ground("urn:next", at=timedelta(days=2))
    assert _exclusion(kind, Excepted("urn:g", CARE)).covers(later, CARE) is barred
    assert not _exclusion(kind, Excepted("urn:g", CARE)).covers(_ground("urn:before"), CARE)
    obliged = _ground("urn:next", "dpv:LegalObligation", timedelta(days=2))
    assert not _exclusion(kind, Excepted("urn:g", CARE)).covers(obliged, CARE)


def test_a_pause_holds_back_and_keeps_until_its_own_lift() -> None:
    pause, ground_ = _exclusion(PAUSE, Excepted("urn:g", CARE)), _ground()
    held = Excluded.of([pause], []).applied(_grant(), ground_)
    assert (held.paused, held.ended, held.in_force(AT)) == (True, None, False)
    lift = Lift(
        id="urn:l", controller=CONTROLLER.did, subject=SUBJECT_ID, exclusion=Reference(pause.id, pause.digest), at=AT,
        digest="z",
    )  # fmt: skip
    assert Excluded.of([pause], [lift]).applied(_grant(), ground_) == _grant()
    foreign = replace(lift, exclusion=Reference(pause.id, "another"))
    assert Excluded.of([pause], [foreign]).applied(_grant(), ground_).paused
    objection = _exclusion(OBJECTION, Excepted("urn:g", CARE))
    lifted = replace(lift, exclusion=Reference(objection.id, objection.digest))
    assert Excluded.of([objection], [lifted]).applied(_grant(), ground_).ended == "withdrawn"


def test_what_ended_otherwise_before_stays_as_it_ended() -> None:
    ended = replace(_grant(), ended="expired")
    assert Excluded.of([_exclusion(OBJECTION, Excepted(ANY, ANY))], []).applied(ended, _ground()).ended == "expired"


def test_an_erasure_is_an_ended_ground_over_every_field_and_fits_no_purpose() -> None:
    fields = frozenset({Field("contact.phone")})
    erased = Excluded.of([_exclusion(ERASURE), _exclusion(PAUSE)], []).erased(
        fields, CONTROLLER.did, Jurisdiction("CN")
    )
    assert [(one.fields, one.ended, one.purpose) for one in erased] == [(fields, "withdrawn", ERASED)]


@pytest.mark.parametrize(
    ("type_", "claim", "name", "value"),
    [
        (exclusion.EXCLUSION_TYPE, "excludesSubject", "exclusionKind", "oblivion"),
        (exclusion.EXCLUSION_TYPE, "excludesSubject", "excepts", "everything"),
        (exclusion.EXCLUSION_TYPE, "excludesSubject", "excepts", [{"exceptedGround": "*"}]),
        (exclusion.EXCLUSION_TYPE, "excludesSubject", "type", "ExclusionLift"),
        (exclusion.EXCLUSION_TYPE, "excludesSubject", "hasDataController", pieces.DPO.did),
        (exclusion.LIFT_TYPE, "liftsExclusion", "type", "SubjectExclusion"),
        (exclusion.LIFT_TYPE, "liftsExclusion", "exclusion", "urn:uuid:1"),
    ],
)
def test_a_malformed_exclusion_is_refused(type_: str, claim: str, name: str, value: Any) -> None:
    document, signers = pieces.every_document()[type_]
    document["credentialSubject"][claim][name] = value
    parse: Any = exclusion.parse_exclusion if type_ == exclusion.EXCLUSION_TYPE else exclusion.parse_lift
    with pytest.raises(EvidenceError):
        parse(pieces.verified(proof.sign(document, signers[0], created=AT), type_=type_))
