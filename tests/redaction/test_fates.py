"""Fates packed in a job's row: what was packed comes back, and whatever somebody writes there is read as something."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.consent import Field, SubjectId
from redaction import fate
from redaction.fate import DONE, PLANNED, Fate

JOB, WHO = "urn:uuid:0", SubjectId("sub_x")
TEXTS = st.none() | st.text(min_size=1)
FATES = st.builds(
    Fate,
    st.just(JOB),
    st.just(WHO),
    st.from_regex(r"[a-z]{1,8}\.[a-z]{1,8}", fullmatch=True).map(Field),
    st.sampled_from(["keep", "seal", "shred"]),
    st.text(),
    st.sampled_from([PLANNED, DONE, fate.RESTORED, fate.DESTROYED]),
    *[TEXTS] * 7,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["action", "state", "causes"]), inner),
)


@given(st.lists(FATES, unique_by=lambda one: one.field))
def test_what_was_packed_comes_back_in_the_order_of_the_fields(fates: list[Fate]) -> None:
    assert fate.unpack(JOB, WHO, fate.pack(fates)) == sorted(fates, key=lambda one: one.field)
    assert sum(fate.counts(fates).values()) == len(fates)
    assert fate.counts(fates)["planned"] == sum(one.state == PLANNED for one in fates)


@given(st.dictionaries(st.text(), JSON) | JSON)
def test_whatever_stands_there_is_read_as_fates_or_as_none(written: object) -> None:
    for one in fate.unpack(JOB, WHO, json.dumps(written)):
        assert one.action in {"keep", "seal", "shred"}
        assert one.state in {PLANNED, DONE, fate.RESTORED, fate.DESTROYED}
        assert fate.counts([one])


@pytest.mark.parametrize("packed", ["", "x", "[1]", "7", None, 7, b"\xff", "null", '{"a": '])
def test_what_is_no_object_holds_no_fates(packed: object) -> None:
    assert fate.unpack(JOB, WHO, packed) == []


def test_an_unreadable_field_is_one_still_to_be_shredded() -> None:
    (one,) = fate.unpack(JOB, WHO, '{"contact.email": {"action": "give", "state": 7, "ground": ["x"], "more": "y"}}')
    assert one == Fate(JOB, WHO, Field("contact.email"), "shred", "[]")
