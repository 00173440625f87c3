"""What may change from one version of the catalogue to the next, and what a change ends."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from issuer.catalogue import CatalogueError, changes, content
from issuer.catalogue.content import Version
from protocol import canonical
from protocol.errors import EvidenceError
from tests.issuer.catalogue_stage import packaged, with_field, without, without_purpose

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
MARKETING = "https://w3id.org/dpv#DirectMarketing"


def step(before: Version, *edits: Callable[[dict[str, Any]], object]) -> Version:
    said: dict[str, Any] = canonical.parse(canonical.jcs(dict(before.written)), limit=content.LIMIT)
    number = before.catalogue.number + 1
    said["version"] = f"v{number}"
    for edit in edits:
        edit(said)
    data = content.follow(before, said)
    return content.read(data, number=number, digest=f"z{number}", in_effect=AT + timedelta(days=number))


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (lambda c: c.update(version=packaged()["version"]), "version"),
        (lambda c: c["fields"]["contact.email"].update(bit=99), "fields.contact.email.bit"),
        (with_field("x.y", 2), "fields.x.y.bit"),
        (lambda c: c["fields"]["contact.email"].update(type="text"), "fields.contact.email.type"),
        (lambda c: c["fields"]["deal.title"].pop("item"), "fields.deal.title.item"),
        (lambda c: c["purposes"]["sales"].update(iri="https://w3id.org/dpv#Marketing"), "purposes.sales.iri"),
        (lambda c: c["notices"]["sales"]["1"].update(en="We do as we like."), "notices.sales.1.en"),
        (lambda c: c["notices"]["sales"].update({"2": c["notices"]["sales"].pop("1")}), "notices.sales.1.en"),
        (lambda c: c.pop("notices"), "notices"),
        (lambda c: c.update(ended=[]), "catalogue.ended"),
        (lambda c: c["fields"].pop("contact.phone"), "purposes.contract.necessity.contact.phone"),
    ],
)
def test_what_no_version_may_do_is_refused_with_its_place(edit: Callable[[dict[str, Any]], object], place: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        step(content.packaged(), edit)
    assert caught.value.place == place


def test_bits_and_iris_of_what_was_removed_are_never_given_to_another() -> None:
    gone = step(
        content.packaged(),
        without("marketing", "preference.newsletter"),
        lambda c: c["fields"].pop("preference.newsletter"),
        without_purpose("health-support"),
        lambda c: [c["fields"].pop(f"health.{one}") for one in ("allergies", "condition", "medication")],
    )
    assert gone.catalogue.retired.fields["preference.newsletter"] == 9
    later = step(gone)
    assert later.catalogue.retired == gone.catalogue.retired
    for edit, place in (
        (with_field("x.y", 9), "fields.x.y.bit"),
        (with_field("preference.newsletter", 58), "fields.preference.newsletter.bit"),
    ):
        with pytest.raises(CatalogueError) as caught:
            step(later, edit)
        assert caught.value.place == place
    again = step(later, with_field("preference.newsletter", 9, "marketing"), _as("boolean"))
    assert again.catalogue.retired.fields == {
        one: bit for one, bit in gone.catalogue.retired.fields.items() if bit != 9
    }

    def thief(said: dict[str, Any]) -> None:
        said["purposes"]["wellness"] = {
            **said["purposes"]["sales"],
            "iri": "https://w3id.org/dpv#ServicePersonalisation",
        }
        said["notices"]["wellness"] = said["notices"]["sales"]

    with pytest.raises(CatalogueError) as caught:
        step(later, thief)
    assert caught.value.place == "purposes.wellness.iri"
    # its notice can still be looked up by whoever answered it
    assert later.catalogue.notice("health-support", "en").version == "1"


def _as(type_: str, **members: Any) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["fields"]["preference.newsletter"].update({"type": type_, **members})


@pytest.mark.parametrize("form", [_as("text"), _as("boolean", item="deal"), _as("number"), _as("text", many=True)])
def test_a_field_that_comes_back_does_not_read_what_is_stored_of_it_as_something_else(
    form: Callable[[dict[str, Any]], object],
) -> None:
    gone = step(
        content.packaged(),
        without("marketing", "preference.newsletter"),
        lambda c: c["fields"].pop("preference.newsletter"),
    )
    later = step(step(gone))  # however long ago
    with pytest.raises(CatalogueError) as caught:
        step(later, with_field("preference.newsletter", 9), form)
    assert caught.value.place == "fields.preference.newsletter.type"


def test_a_version_ends_what_a_purpose_needs_no_more_and_going_back_ends_nothing_anew() -> None:
    first = step(content.packaged(), without("marketing", "contact.phone"), without_purpose("health-support"))
    assert {(one.purpose, one.field) for one in first.catalogue.endings} == {
        (MARKETING, "contact.phone"),
        *(
            ("https://w3id.org/dpv#ServicePersonalisation", f"health.{x}")
            for x in ("allergies", "condition", "medication")
        ),
    }
    assert {one.at for one in first.catalogue.endings} == {AT + timedelta(days=1)}
    back = step(first, lambda c: c.update({**packaged(), "version": "back"}))
    assert back.catalogue.endings == first.catalogue.endings
    twice = step(back, without("marketing", "contact.phone"))
    assert {one.at for one in twice.catalogue.endings if one.purpose == MARKETING} == {AT + timedelta(days=3)}


def test_a_purpose_that_from_now_on_stands_alone_ends_all_shared_ticks() -> None:
    alone = step(content.packaged(), lambda c: c["purposes"]["sales"].update(separate_consent=True))
    assert {one.field for one in alone.catalogue.endings} == set(packaged()["purposes"]["sales"]["necessity"])


def test_only_what_decides_about_a_purpose_changes_its_part() -> None:
    before = content.packaged()
    after = step(
        before,
        with_field("x.y", 58, "sales"),
        lambda c: c["purposes"]["service"].update(roles=["sales"]),
        without("marketing", "contact.phone"),
        lambda c: c["purposes"]["contract"].update(labels={"en": "x", "zh-CN": "y"}),
    )
    changed = {
        key
        for key, one in before.catalogue.purposes.items()
        if before.catalogue.part(one) != after.catalogue.part(after.catalogue.purposes[key])
    }
    assert changed == {"service", "marketing"}


def test_a_diff_names_each_place_once_and_reads_well() -> None:
    after = step(content.packaged(), with_field("x.y", 58), without("marketing", "contact.phone"))
    found = list(changes.diff(content.packaged().written, after.written))
    assert [(one.kind, one.place) for one in found] == [
        ("added", "fields.x.y"),
        ("removed", "purposes.marketing.necessity.contact.phone"),
        ("changed", "version"),
    ]
    assert str(found[1]) == "- purposes.marketing.necessity.contact.phone: optional"
    assert str(found[2]) == "~ version: 2026-11-22 → v1"


@pytest.mark.parametrize(
    "data", [b"{}", b'{"retired": []}', b"[1]", b'{"retired":{"fields":{},"purposes":{}},"ended":[[1]]}']
)
def test_content_that_is_no_content_is_refused(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        content.read(data, number=1, digest="z", in_effect=AT)


NEEDS = sorted(packaged()["purposes"]["marketing"]["necessity"])


@settings(deadline=None, max_examples=20)
@given(st.lists(st.frozensets(st.sampled_from(NEEDS), max_size=4), min_size=1, max_size=5))
def test_whatever_is_taken_out_and_put_back_every_removal_is_remembered(history: list[frozenset[str]]) -> None:
    version, removed = content.packaged(), dict[str, datetime]()
    have = frozenset(NEEDS)
    for gone in history:
        keep = {one: "optional" for one in NEEDS if one not in gone} or {"contact.email": "required"}
        version = step(version, _needs(keep))
        removed |= {one: AT + timedelta(days=version.catalogue.number) for one in have - frozenset(keep)}
        have = frozenset(keep)
    assert {one.field: one.at for one in version.catalogue.endings} == removed


def _needs(necessity: dict[str, str]) -> Callable[[dict[str, Any]], object]:
    return lambda said: said["purposes"]["marketing"].update(necessity=necessity)
