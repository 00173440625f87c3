"""Sealed values and data keys open only in the place that they were sealed for."""

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from crm_core import seal
from crm_core.seal import DataKeyPlace
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError

ORG, SUBJECT, EMAIL = Did("did:web:crm.example"), SubjectId("sub_a"), Field("contact.email")
KEY = AESGCM(bytes(32))
PLACE = DataKeyPlace(org=ORG, subject=SUBJECT, generation=1, bucket=7, epoch=1)


def sealed(value="wei@example.com"):
    return seal.seal(KEY, value, org=ORG, subject=SUBJECT, field=EMAIL, generation=1)


@given(st.text() | st.booleans() | st.integers(-(2**53), 2**53))
def test_any_value_comes_back_as_it_was(value):
    assert seal.open_value(KEY, sealed(value), org=ORG, subject=SUBJECT, field=EMAIL, generation=1) == value


def test_values_sealed_in_one_go_open_one_by_one_each_under_a_nonce_of_its_own():
    values = {Field(f"x.f{number}"): "same" for number in range(40)} | {EMAIL: ["a", "b"], Field("x.yes"): True}
    boxes = seal.seal_all(KEY, values, org=ORG, subject=SUBJECT, generation=3)
    for field, value in values.items():
        assert seal.open_value(KEY, boxes[field], org=ORG, subject=SUBJECT, field=field, generation=3) == value
        assert len(boxes[field]) == len(seal.seal(KEY, value, org=ORG, subject=SUBJECT, field=field, generation=3))
    assert len({box[: seal.NONCE] for box in boxes.values()}) == len(values)
    opened = seal.open_readable(KEY, {**boxes, EMAIL: boxes[Field("x.f0")]}, org=ORG, subject=SUBJECT, generation=3)
    assert opened == ({field: value for field, value in values.items() if field != EMAIL}, (EMAIL,))


def test_values_of_like_length_are_sealed_to_the_same_length():
    assert len({len(sealed("x" * length)) for length in range(14)}) == 1
    assert len(sealed(True)) == len(sealed("2026-11-22"))


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"org": Did("did:web:other.example")},
        {"subject": SubjectId("sub_b")},
        {"field": Field("contact.phone")},
        {"generation": 2},
    ],
)
def test_a_value_opens_nowhere_else(elsewhere):
    place = {"org": ORG, "subject": SUBJECT, "field": EMAIL, "generation": 1} | elsewhere
    with pytest.raises(EvidenceError) as caught:
        seal.open_value(KEY, sealed(), **place)
    assert caught.value.code == "bad_cell"
    assert "wei" not in str(caught.value)


@pytest.mark.parametrize("box", [b"", b"short", bytes(40)])
def test_a_box_that_is_none_is_refused_without_a_crash(box):
    with pytest.raises(EvidenceError, match="does not belong"):
        seal.open_value(KEY, box, org=ORG, subject=SUBJECT, field=EMAIL, generation=1)


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"org": Did("did:web:other.example")},
        {"subject": SubjectId("sub_b")},
        {"generation": 2},
        {"bucket": 8},
        {"epoch": 2},
    ],
)
def test_a_data_key_unwraps_nowhere_else(elsewhere):
    key = seal.new_data_key()
    wrapped = seal.wrap(key, KEY, PLACE)
    assert seal.unwrap(wrapped, KEY, PLACE) == key
    with pytest.raises(EvidenceError) as caught:
        seal.unwrap(wrapped, KEY, PLACE._replace(**elsewhere))
    assert caught.value.code == "bad_data_key"


def test_the_same_value_never_rests_twice_in_the_same_form():
    assert sealed() != sealed()
