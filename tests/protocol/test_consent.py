"""How consents compare with asks and with what they replace."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import consent
from protocol.consent import Did, Field, Jurisdiction, NoticeRef, Process, Processing, Purpose, StatusRef
from protocol.errors import EvidenceError
from tests.protocol import pieces

ASK = pieces.ask()
OK = pieces.given(ASK)
OTHER_DID = pieces.DPO.did
LETTERS = st.frozensets(st.sampled_from("abcd"), min_size=1)


@st.composite
def processes(draw: Any) -> Process:
    return Process(
        purpose=Purpose(draw(st.sampled_from(["dpv:A", "dpv:B"]))),
        fields=frozenset(map(Field, draw(LETTERS))),
        processing=frozenset(map(Processing, draw(LETTERS))),
        recipients=frozenset(map(Did, draw(LETTERS))),
        jurisdictions=frozenset(map(Jurisdiction, draw(LETTERS))),
        locations=frozenset(map(Jurisdiction, draw(LETTERS))),
        duration=draw(st.sampled_from(["P1D", "P30D", "P1Y"])),
    )


@given(processes(), processes(), processes())
def test_covering_is_an_order(a: Process, b: Process, c: Process) -> None:
    assert a.covers(a)
    if a.covers(b) and b.covers(c):
        assert a.covers(c)
    if a.covers(b) and b.covers(a):
        assert a == b


def test_a_consent_to_all_or_part_of_an_ask_is_within_it() -> None:
    consent.within(OK, ASK, at=pieces.AT)
    part = replace(OK, processes=(pieces.process("address.city"),))
    consent.within(part, ASK)


WIDER = {
    "hasPersonalData": pieces.process("contact.phone"),
    "hasPurpose": pieces.process(purpose="SellProducts"),
    "hasRecipient": pieces.process(recipients=frozenset({OTHER_DID})),
    "hasJurisdiction": pieces.process(jurisdictions=frozenset({Jurisdiction("US")})),
    "hasLocation": pieces.process(locations=frozenset({Jurisdiction("US")})),
    "hasProcessing": pieces.process(processing=frozenset({Processing("dpv:Profiling")})),
    "hasDuration": pieces.process(duration="P181D"),
}


@pytest.mark.parametrize("field", WIDER)
def test_a_consent_wider_than_its_ask_is_refused_by_name(field: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        consent.within(replace(OK, processes=(pieces.process(), WIDER[field])), ASK)
    assert (caught.value.code, caught.value.field) == ("consent_wider_than_ask", field)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"ask_id": "urn:uuid:other"}, "foreign_ask", "ask"),
        ({"ask_digest": "zQmOther"}, "foreign_ask", "ask"),
        ({"subject_did": OTHER_DID}, "foreign_ask", "issuer"),
        ({"controller": OTHER_DID}, "foreign_ask", "hasDataController"),
        ({"notice": NoticeRef("urn:x", "zQm", "en")}, "foreign_ask", "hasNotice"),
        ({"status": StatusRef("urn:x", 1)}, "status_mismatch", "credentialStatus"),
        ({"valid_from": ASK.expires + timedelta(seconds=1)}, "stale_ask", "validFrom"),
        ({"valid_from": ASK.issued - timedelta(seconds=1)}, "consent_wider_than_ask", "validFrom"),
        ({"valid_until": ASK.latest_until + timedelta(seconds=1)}, "consent_wider_than_ask", "validUntil"),
    ],
)
def test_a_consent_to_another_or_stale_ask_is_refused(change: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        consent.within(replace(OK, **change), ASK)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_backdated_consent_that_arrives_late_is_stale() -> None:
    with pytest.raises(EvidenceError) as caught:
        consent.within(OK, ASK, at=ASK.expires + timedelta(seconds=1))
    assert caught.value.code == "stale_ask"


@settings(max_examples=50)
@given(st.integers(0, 90), st.frozensets(st.sampled_from(["contact.email", "address.city"]), min_size=1))
def test_less_in_any_respect_is_narrower_and_the_same_is_not(days: int, fields: frozenset[str]) -> None:
    new = replace(
        OK,
        processes=(replace(OK.processes[0], fields=frozenset(map(Field, fields))), OK.processes[1]),
        valid_until=OK.valid_until - timedelta(days=days),
    )
    if days == 0 and len(fields) == 2:
        with pytest.raises(EvidenceError) as caught:
            consent.narrower(new, OK)
        assert caught.value.code == "not_narrower"
    else:
        consent.narrower(new, OK)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject_did": OTHER_DID}, "issuer"),
        ({"controller": OTHER_DID}, "hasDataController"),
        ({"valid_from": OK.valid_from - timedelta(seconds=1)}, "validFrom"),
        ({"valid_until": OK.valid_until + timedelta(seconds=1)}, "validUntil"),
        *(({"processes": (wider,)}, name) for name, wider in WIDER.items()),
    ],
)
def test_a_replacement_wider_in_any_respect_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        consent.narrower(replace(OK, **change), OK)
    assert (caught.value.code, caught.value.field) == ("not_narrower", field)


def test_a_consent_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(EvidenceError):
        pieces.given(ASK, valid_until=pieces.AT)
