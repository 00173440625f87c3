"""Restore: sealed fields come back under a new consent, shredded ones never."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from crm_core import records
from redaction import restore, status, worker
from redaction.archive import Archived
from runtime.clock import FixedClock
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, SERVICE, VALUES, Customer, World, settle

ALL = (PHONE, EMAIL, CITY)


@pytest.fixture
def gone(world: World) -> Customer:
    """A customer who withdrew: e-mail sealed, phone and city shredded."""
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    settle(world)
    return who


def states(world: World, who: Customer) -> dict[str, str]:
    with world.platform.database.read() as session:
        return {str(one.field): one.state for one in status.fields(session, who.subject)}


def key_files(world: World) -> list[Path]:
    return sorted((world.settings.keys_dir / "archive").glob("*.key"))


def test_a_sealed_field_comes_back_under_a_new_consent_and_a_shredded_one_never(world: World, gone: Customer) -> None:
    again = world.consent(gone, ALL)
    settle(world)
    assert world.readable(gone) == {EMAIL: VALUES[EMAIL], GIVEN: VALUES[GIVEN]}
    assert world.rows(Archived) == []
    (told,) = world.events("value.restored")
    assert (told.records[0][1]["field"], told.records[0][1]["ground"]) == (EMAIL, again.id)
    assert states(world, gone) == {EMAIL: "restored", PHONE: "shredded", CITY: "shredded"}


def test_a_consent_that_does_not_cover_it_brings_nothing_back(world: World, gone: Customer) -> None:
    world.consent(gone, [CITY])
    settle(world)
    assert EMAIL not in world.readable(gone)
    assert states(world, gone)[EMAIL] == "sealed"


def test_a_statutory_ground_revives_nothing(world: World, gone: Customer) -> None:
    world.statutory([EMAIL])
    settle(world)
    assert EMAIL not in world.readable(gone)


def test_without_the_key_it_waits_says_so_and_comes_when_the_key_comes(world: World, gone: Customer) -> None:
    (key,) = key_files(world)
    aside = world.settings.home / "with-the-officer"
    key.rename(aside)
    world.consent(gone, [EMAIL])
    settle(world)
    assert states(world, gone)[EMAIL] == "waiting"
    assert [row.waiting for row in world.rows(Archived)] == ["key_gone"]
    worker.run_once(world.platform, world.catalogue)
    assert EMAIL not in world.readable(gone)
    aside.rename(key)
    settle(world)
    assert world.readable(gone)[EMAIL] == VALUES[EMAIL]


def test_a_wish_that_ended_before_the_key_came_is_dropped(world: World, gone: Customer) -> None:
    (key,) = key_files(world)
    aside = world.settings.home / "with-the-officer"
    key.rename(aside)
    again = world.consent(gone, [EMAIL])
    settle(world)
    world.withdraw(gone, again)
    aside.rename(key)
    settle(world)
    assert EMAIL not in world.readable(gone)
    assert states(world, gone)[EMAIL] == "sealed"


def test_a_younger_value_is_not_overwritten(world: World, gone: Customer) -> None:
    with world.platform.database.write("owner") as session:
        records.put_values(session, world.platform, gone.subject, {EMAIL: "new@customers.example"})
    world.consent(gone, [EMAIL])
    settle(world)
    assert world.readable(gone)[EMAIL] == "new@customers.example"
    assert len(world.rows(Archived)) == 1


def test_a_younger_value_that_came_while_it_waited_is_not_overwritten(world: World, gone: Customer) -> None:
    (key,) = key_files(world)
    aside = world.settings.home / "with-the-officer"
    key.rename(aside)
    world.consent(gone, [EMAIL])
    settle(world)
    with world.platform.database.write("owner") as session:
        records.put_values(session, world.platform, gone.subject, {EMAIL: "new@customers.example"})
    aside.rename(key)
    settle(world)
    assert world.readable(gone)[EMAIL] == "new@customers.example"


def test_a_box_that_was_changed_stays_where_it_is_and_says_so(world: World, gone: Customer) -> None:
    with world.platform.database.write("owner") as session:
        row = session.exec(select(Archived)).one()
        row.box = row.box[:-1] + bytes([row.box[-1] ^ 1])
        session.add(row)
    world.consent(gone, [EMAIL])
    settle(world)
    assert [row.waiting for row in world.rows(Archived)] == ["bad_row"]
    assert EMAIL not in world.readable(gone)


def test_a_restore_waits_for_the_dispositions_under_way(world: World, gone: Customer) -> None:
    service = world.consent(gone, [GIVEN], purpose=SERVICE)
    again = world.consent(gone, [EMAIL])
    worker.plan.plan_due(world.platform, world.catalogue)
    world.withdraw(gone, service)
    worker.plan.plan_due(world.platform, world.catalogue)
    assert restore.restore(world.platform, world.catalogue, gone.subject) == 0
    settle(world)
    assert world.readable(gone) == {EMAIL: VALUES[EMAIL]}
    assert again.id == world.events("value.restored")[0].records[0][1]["ground"]


def test_the_second_time_it_is_restored_it_is_told_again(world: World, gone: Customer, clock: FixedClock) -> None:
    for _ in range(2):
        again = world.consent(gone, [EMAIL])
        settle(world)
        clock.advance(timedelta(seconds=1))
        world.withdraw(gone, again)
        settle(world)
    assert len(world.events("value.restored")) == 2
    assert [row.state for row in world.fates() if row.field == EMAIL] == ["restored", "restored", "done"]
