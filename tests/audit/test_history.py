"""A subject's history: everything about them, nobody else's, newest first, and no value."""

from collections.abc import Iterator

import pytest

from audit.history import Page, history
from protocol.errors import EvidenceError
from tests.audit.world import OTHER, READER, SUBJECT, World


def read(world: World, **how: object) -> Page:
    with world.platform.database.read() as session:
        return history(session, SUBJECT, **how)  # type: ignore[arg-type]


def pages(world: World, limit: int) -> Iterator[Page]:
    page = read(world, limit=limit)
    yield page
    while page.next is not None:
        page = read(world, limit=limit, before=page.next)
        yield page


def test_a_release_tells_who_read_what_for_what_and_what_was_withheld(world: World) -> None:
    given = world.consent(["contact.email"])
    name = world.release({"contact.email": [given.id]})
    world.drain()
    item = read(world).items[0]
    assert item == {
        "event": name,
        "time": item["time"],
        "kind": "release",
        "reader": READER,
        "role": "marketing",
        "purpose": "https://w3id.org/dpv#DirectMarketing",
        "recipient": world.platform.controller,
        "jurisdiction": "CN",
        "released": ["contact.email"],
        "withheld": {"contact.phone": "no_ground"},
        "grounds": {given.id: ["contact.email"]},
        "way": item["way"],
        "fields": [],
        "credential": None,
        "leaf": world.log.head().size - 1,
    }


def test_what_is_not_in_the_log_yet_comes_first_and_has_no_leaf(world: World) -> None:
    world.collect("contact.email")
    world.drain()
    late = [world.emit("release", {"version": 1}) for _ in range(3)]
    items = read(world).items
    assert [item["event"] for item in items[:3]] == late[::-1]
    assert [item["leaf"] for item in items] == [None, None, None, 1]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("drained", [0, 5, 12])
def test_pages_put_together_are_the_whole_history(world: World, limit: int, drained: int) -> None:
    for number in range(12):
        world.page("release", [(OTHER, {"n": number}), (SUBJECT, {"n": number}), (SUBJECT, {"again": number})])
        if number + 1 == drained:
            world.drain()
    whole = read(world, limit=200)
    assert len(whole.items) == 24
    assert whole.next is None
    assert [item for page in pages(world, limit) for item in page.items] == list(whole.items)


def test_a_history_goes_on_where_it_was_although_it_was_drained_in_between(world: World) -> None:
    names = [world.emit("release", {"n": number}) for number in range(6)]
    first = read(world, limit=2)
    world.drain()
    second = read(world, limit=10, before=first.next)
    assert [item["event"] for item in (*first.items, *second.items)] == names[::-1]


def test_nothing_about_others_is_in_it(world: World) -> None:
    world.page("release", [(OTHER, {"released": ["contact.email"]}), (None, {"note": "x"})])
    world.drain()
    world.page("release", [(OTHER, {"released": ["contact.email"]})])
    assert read(world) == Page((), None)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.2.3", "-1.0", "1.0 ", "9" * 40 + ".1"])
def test_a_cursor_that_nobody_gave_out_is_refused(world: World, cursor: str) -> None:
    with pytest.raises(EvidenceError, match="bad_cursor"):
        read(world, before=cursor)


def test_every_kind_of_event_is_told_with_its_fields_and_its_credential(world: World) -> None:
    world.journey()
    world.drain()
    kinds = {item["kind"]: item for item in reversed(read(world).items)}
    assert kinds["consent.given"]["fields"] == ["contact.email"]
    assert kinds["value.restored"]["fields"] == ["contact.email"]
    assert kinds["consent.withdrawn"]["credential"].startswith("urn:uuid:")
    assert kinds["certificate.issued"]["credential"].startswith("urn:uuid:")


@pytest.mark.parametrize(
    ("query", "way"),
    [
        ({"select": []}, "list"),
        ({"select": [], "items": "deal"}, "items"),
        ({"export": "e1", "select": []}, "export"),
        ({"decision": []}, "decision"),
        ({"history": "contact.email"}, "history"),
        ({"group_by": [], "aggregates": []}, "aggregates"),
    ],
)
def test_a_read_tells_how_it_was_done(world: World, query: dict[str, object], way: str) -> None:
    world.emit("release", {"released": [], "withheld": {}}, header=world.header(query=query))
    assert read(world).items[0]["way"] == way
