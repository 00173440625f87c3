"""Packed cells come apart as they were put together, and broken ones are refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import cells
from protocol.errors import EvidenceError

NAMES = st.from_regex(r"[a-z]{1,12}\.[a-z_]{1,20}", fullmatch=True)
BOXES = st.dictionaries(NAMES, st.binary(max_size=200), max_size=16)


@given(BOXES)
def test_what_was_packed_comes_back(boxes):
    assert cells.unpack(cells.pack(boxes)) == boxes


@given(BOXES, st.randoms())
def test_the_packing_does_not_depend_on_the_order_of_writing(boxes, dice):
    names = list(boxes)
    dice.shuffle(names)
    assert cells.pack({name: boxes[name] for name in names}) == cells.pack(boxes)


@given(st.binary(max_size=400))
def test_any_bytes_are_unpacked_or_refused_never_a_crash(noise):
    try:
        boxes = cells.unpack(noise)
    except EvidenceError as error:
        assert error.code == "bad_cells"  # noqa: PT017 - either answer is fine
    else:
        assert cells.pack(boxes) == noise


@given(BOXES.filter(bool), st.data())
def test_cells_that_were_cut_off_never_gain_or_change_a_value(boxes, data):
    packed = cells.pack(boxes)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    try:
        assert cells.unpack(cut).items() < boxes.items()
    except EvidenceError as error:
        assert error.code == "bad_cells"  # noqa: PT017


@pytest.mark.parametrize("packed", [b"\x01\xff\x00\x00\x00\x00", b"\x01b\x00\x00\x00\x00\x01a\x00\x00\x00\x00"])
def test_names_that_are_no_ascii_or_out_of_order_are_refused(packed):
    with pytest.raises(EvidenceError):
        cells.unpack(packed)


FIELDS = st.sampled_from(["a.b", "aa.b", "a.bb", "contact.email", "contact.emails", "address.city"])


@given(st.dictionaries(FIELDS, st.binary(max_size=40)), st.sets(FIELDS))
def test_picking_some_fields_is_unpacking_all_and_taking_them(boxes, wanted):
    packed = cells.pack(boxes)
    assert cells.pick(packed, wanted) == {field: box for field, box in boxes.items() if field in wanted}


@given(st.integers(0, 60))
def test_picking_from_what_was_cut_is_refused_or_finds_nothing(length):
    packed = cells.pack({"contact.email": b"x" * 40})[:length]
    with suppress(EvidenceError):
        assert cells.pick(packed, ["contact.email"]) in ({}, {"contact.email": b"x" * 40})
