"""Items lapse, are archived, destroyed and restored as the fields of a record are, each value with its item."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from crm_core import archiving, items, records
from crm_core.editing import item_writer
from crm_core.items import ItemId
from crm_core.origin import Origin
from protocol.consent import Field
from protocol.errors import EvidenceError
from redaction import archive
from redaction.archive import Archived
from tests.redaction.world import CITY, EMAIL, Customer, World, settle

NUMBER, TITLE, BODY = map(Field, ("contract.number", "ticket.subject", "ticket.body"))
ONE, TWO = (ItemId("itm_" + letter * 26) for letter in "ab")


def write(world: World, who: Customer, item: ItemId, **values: str) -> None:
    given = {Field(name.replace("__", ".")): value for name, value in values.items()}
    origin = Origin(source="test", source_digest="-", importer=world.platform.controller, at=world.now())
    with world.platform.database.write("owner") as session:
        item_writer.write(session, world.platform, who.subject, item, given, origin=origin)


def held(world: World, who: Customer) -> dict[str, dict[Field, object]]:
    """Every item with what opens of it."""
    with world.platform.database.read() as session:
        record = records.load(session, who.subject)
        assert record is not None
        key, every = records.data_key(world.platform, record), [Field(name) for name in world.catalogue.fields]
        return {str(item): dict(found) for item, found in items.open_all(
            session, world.platform, key, who.subject, every).items()}  # fmt: skip


@pytest.fixture
def who(world: World) -> Customer:
    customer = world.customer()
    write(world, customer, ONE, ticket__subject="first", ticket__body="of one")
    write(world, customer, TWO, ticket__subject="second")
    return customer


def test_a_lapsed_field_leaves_every_item_and_an_empty_item_disappears(world: World, who: Customer) -> None:
    titles, bodies = world.consent(who, [TITLE]), world.consent(who, [BODY])
    world.withdraw(who, titles)
    settle(world)
    assert held(world, who) == {ONE: {BODY: "of one"}}
    (row,) = world.fates()
    assert (row.field, row.action, row.state) == (TITLE, "shred", "done")
    world.withdraw(who, bodies)
    settle(world)
    assert held(world, who) == {}
    with world.platform.database.read() as session:
        assert items.of_subject(session, who.subject) == []
        assert not {TITLE, BODY} & records.stored_fields(session, world.platform, who.subject)


def test_nothing_of_a_shredded_item_opens_from_an_earlier_copy(world: World, who: Customer) -> None:
    given = world.consent(who, [TITLE, CITY])
    before = world.copy("before.db")
    with world.platform.database.read() as session:
        old = items.of_subject(session, who.subject)
        record = records.load(session, who.subject)
        assert record is not None
        key = records.data_key(world.platform, record)
        assert items.open_values(world.platform, items.Heads(world.platform), key, old[0], [TITLE])  # the control
    world.withdraw(who, given)
    settle(world)
    assert TITLE not in world.opens(before, who.subject)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - KeyGone, which no package but the key-ring names
        records.data_key(world.platform, record)
    assert type(caught.value).__name__ == "KeyGone"
    with world.platform.database.read() as session:
        new = records.load(session, who.subject)
        assert new is not None
        later = records.data_key(world.platform, new)
    with pytest.raises(EvidenceError):
        items.open_values(world.platform, items.Heads(world.platform), later, old[0], [TITLE])


def test_a_withdrawal_of_something_else_carries_the_items_into_the_next_generation(world: World, who: Customer) -> None:
    world.consent(who, [TITLE, BODY])
    given = world.consent(who, [CITY])
    before = held(world, who)
    world.withdraw(who, given)
    settle(world)
    assert held(world, who) == before
    assert CITY not in world.readable(who)
    with world.platform.database.read() as session:
        record = records.load(session, who.subject)
        assert record is not None
        assert {one.generation for one in items.of_subject(session, who.subject)} == {record.generation}


def test_the_journal_of_survivors_has_the_items_too(world: World, who: Customer) -> None:
    world.consent(who, [TITLE, BODY])
    world.withdraw(who, world.consent(who, [CITY]))
    settle(world)
    entries = [one.body for one in world.platform.journal.entries() if one.body.get("kind") == "survivors"]
    assert {one["item"] for one in entries[-1]["items"]} == {ONE, TWO}
    assert "first" not in str(entries)


def sealing(world: World, *fields: Field) -> None:
    """Let these fields of items be archived, as an e-mail address is."""
    from dataclasses import replace

    like = world.catalogue.fields[EMAIL]
    more = {
        field: replace(
            world.catalogue.fields[field],
            disposition="seal",
            legal_ground=like.legal_ground,
            period=like.period,
            destroy_after=like.destroy_after,
        )
        for field in fields
    }
    world.catalogue = replace(world.catalogue, fields={**world.catalogue.fields, **more})


def test_a_sealed_field_of_items_comes_back_to_its_items(world: World, who: Customer) -> None:
    sealing(world, TITLE)
    given = world.consent(who, [TITLE])
    world.consent(who, [BODY])
    world.withdraw(who, given)
    settle(world)
    assert held(world, who) == {ONE: {BODY: "of one"}}
    assert [row.field for row in world.rows(Archived)] == [TITLE]
    world.platform.clock.advance(timedelta(minutes=5))  # type: ignore[attr-defined]
    write(world, who, ItemId("itm_" + "c" * 26), ticket__subject="new")  # does not keep the old ones away
    write(world, who, ONE, ticket__subject="younger")  # and stays
    world.consent(who, [TITLE])
    settle(world)
    assert held(world, who) == {
        ONE: {TITLE: "younger", BODY: "of one"},
        TWO: {TITLE: "second"},
        "itm_" + "c" * 26: {TITLE: "new"},
    }
    assert world.rows(Archived) == []


def test_what_is_archived_of_a_field_tells_record_and_items_apart(world: World, who: Customer) -> None:
    with world.platform.database.write("owner") as session:
        records.put_values(session, world.platform, who.subject, {TITLE: "of the record"})
        record = records.load(session, who.subject)
        assert record is not None
        taken = archiving.take(session, world.platform, record, [TITLE, EMAIL])
        assert taken[TITLE] == {"items": [[ONE, "first"], [TWO, "second"]], "value": "of the record"}
        assert isinstance(taken[EMAIL], str)
        records.reseal(session, world.platform, who.subject, frozenset({BODY, EMAIL}))
        for field, kept in taken.items():
            archiving.give_back(session, world.platform, who.subject, field, kept)
    assert held(world, who) == {ONE: {TITLE: "first", BODY: "of one"}, TWO: {TITLE: "second"}}
    assert world.readable(who)[TITLE] == "of the record"
    assert archive.returns(world.catalogue, TITLE, {TITLE})
    assert not archive.returns(world.catalogue, EMAIL, {EMAIL})


def test_an_item_that_somebody_changed_holds_its_disposal_up_and_nothing_false_is_certified(
    world: World, who: Customer
) -> None:
    given = world.consent(who, [TITLE])
    with world.platform.database.write("owner") as session:
        session.connection().execute(text("UPDATE item SET head = cells"))
    world.withdraw(who, given)
    from redaction import worker

    worker.run_once(world.platform, world.catalogue)
    assert world.told("value.shredded") == []
