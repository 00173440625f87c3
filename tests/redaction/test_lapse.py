"""The rule of lapse and what the catalogue makes of it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.catalogue import Catalogue, FieldEntry
from protocol.consent import Field, GroundId
from redaction import deciding, lapse, terms
from redaction.lapse import Bare, Held, Lapse

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
A, B, C = Field("a.a"), Field("b.b"), Field("c.c")


@dataclass(frozen=True, slots=True)
class Ground:
    ground: GroundId
    fields: frozenset[Field]
    not_before: datetime = NOW - DAY
    not_after: datetime | None = NOW + DAY
    ended: str | None = None


def ground(name: str, *fields: Field, ended: str | None = None, until: datetime | None = NOW + DAY) -> Ground:
    return Ground(GroundId(name), frozenset(fields), not_after=until, ended=ended)


def test_a_field_that_never_had_a_ground_is_no_lapse() -> None:
    assert lapse.lapse([A], [ground("g", B, ended="withdrawn")], NOW) == Lapse((), (), None)


@pytest.mark.parametrize("how", ["withdrawn", "revoked", "superseded", "expired"])
def test_a_field_whose_last_ground_ended_is_bare(how: str) -> None:
    found = lapse.lapse([A], [ground("g", A, ended=how)], NOW)
    assert found.bare == (Bare(A, (GroundId("g"),)),)


def test_a_ground_ends_at_its_very_last_instant_without_being_told() -> None:
    grounds = [ground("g", A, until=NOW)]
    assert lapse.lapse([A], grounds, NOW - timedelta(milliseconds=1)).bare == ()
    assert lapse.lapse([A], grounds, NOW).bare == (Bare(A, (GroundId("g"),)),)


def test_a_field_that_another_ground_covers_is_held_by_the_one_that_lasts_longest() -> None:
    grounds = [ground("g", A, ended="withdrawn"), ground("h", A, until=NOW + DAY), ground("i", A, until=None)]
    assert lapse.lapse([A], grounds, NOW).held == (Held(A, (GroundId("g"),), GroundId("i")),)


def test_a_ground_that_begins_in_a_moment_holds_too() -> None:
    soon = Ground(GroundId("h"), frozenset({A}), not_before=NOW + timedelta(seconds=3))
    found = lapse.lapse([A], [ground("g", A, ended="withdrawn"), soon], NOW)
    assert found.bare == ()


def test_only_stored_fields_can_lapse() -> None:
    assert lapse.lapse([], [ground("g", A, ended="withdrawn")], NOW).bare == ()


def test_the_next_look_is_due_when_the_first_living_ground_runs_out() -> None:
    grounds = [ground("g", A, until=NOW + 2 * DAY), ground("h", B, until=NOW + DAY), ground("i", C, until=None)]
    assert lapse.lapse([A], grounds, NOW).next_at == NOW + DAY


def test_what_was_told_once_is_not_told_again() -> None:
    held = [Held(A, (GroundId("g"), GroundId("h")), GroundId("i"))]
    assert lapse.fresh(held, {A: {GroundId("g")}}) == (Held(A, (GroundId("h"),), GroundId("i")),)
    assert lapse.fresh(held, {A: {GroundId("g"), GroundId("h")}}) == ()


_fields = st.sampled_from([A, B, C])
_grounds = st.lists(
    st.builds(
        Ground,
        ground=st.sampled_from([GroundId(name) for name in "ghijk"]),
        fields=st.frozensets(_fields),
        not_before=st.just(NOW - DAY),
        not_after=st.one_of(st.none(), st.sampled_from([NOW - DAY, NOW, NOW + DAY])),
        ended=st.sampled_from([None, "withdrawn", "superseded"]),
    ),
    max_size=6,
)


@given(stored=st.frozensets(_fields), grounds=_grounds)
def test_each_stored_field_is_bare_or_held_or_untouched_and_never_two_of_them(
    stored: frozenset[Field], grounds: list[Ground]
) -> None:
    found = lapse.lapse(stored, grounds, NOW)
    bare, held = {one.field for one in found.bare}, {one.field for one in found.held}
    assert not bare & held
    for field in stored:
        living = any(
            field in one.fields and one.ended is None and (one.not_after is None or one.not_after > NOW)
            for one in grounds
        )
        lost = any(
            field in one.fields and (one.ended is not None or (one.not_after is not None and one.not_after <= NOW))
            for one in grounds
        )
        assert (field in bare) == (lost and not living)
        assert (field in held) == (lost and living)


def entry(field: Field, how: str, **more: str) -> FieldEntry:
    return FieldEntry(
        id=field, bit=0, category="pd:X", sensitive=False, labels={}, type="text", disposition=how, **more  # type: ignore[arg-type]
    )  # fmt: skip


def catalogue(*entries: FieldEntry) -> Catalogue:
    return Catalogue(version="1", digest="z", fields={one.id: one for one in entries}, purposes={}, notices=())


def decide(*entries: FieldEntry, told: dict[Field, set[GroundId]] | None = None) -> list[tuple[str, str | None]]:
    found = Lapse((Bare(A, (GroundId("g"),)),), (), None)
    return [(one.action, one.legal_ground) for one in deciding.decide(found, catalogue(*entries), told or {}, NOW)]


def test_sealing_needs_a_legal_ground_a_period_and_a_destroy_by_date_else_it_is_shredding() -> None:
    whole = {"legal_ground": "law", "period": "P3Y-claims", "destroy_after": "P3Y"}
    assert decide(entry(A, "seal", **whole)) == [("seal", "law")]
    for missing in whole:
        assert (
            decide(entry(A, "seal", **{name: text for name, text in whole.items() if name != missing}))[0][0] == "shred"
        )


def test_a_field_that_the_catalogue_no_longer_knows_is_shredded() -> None:
    assert decide() == [("shred", None)]


def test_keeping_by_catalogue_names_the_law_and_is_told_once() -> None:
    assert decide(entry(A, "keep", legal_ground="law")) == [("keep", "law")]
    assert decide(entry(A, "keep", legal_ground="law"), told={A: {GroundId("g")}}) == []
    assert decide(entry(A, "keep")) == [("shred", None)]


def test_the_destroy_by_date_counts_from_the_lapse() -> None:
    found = Lapse((Bare(A, (GroundId("g"),)),), (), None)
    sealing = entry(A, "seal", legal_ground="law", period="p", destroy_after="P10D")
    (one,) = deciding.decide(found, catalogue(sealing), {}, NOW)
    assert one.destroy_by == terms.end_of_quarter(NOW + 10 * DAY)
