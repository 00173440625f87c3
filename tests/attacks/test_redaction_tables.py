"""Whoever writes into redaction's own tables: nothing false is certified, nothing is destroyed or spared on their word.

The hand in the database acts between two steps of the worker, at the very instant that suits it best. (Triggers
would do it too, but our connections refuse to run those of others.)
"""

# ruff: noqa: S608 - the attacker's own statements

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from redaction import plan
from redaction.archive import Archived
from redaction.disposition import DONE, Job
from runtime import keyring
from runtime.clock import FixedClock
from tests.attacks.hand import HELD, TRUE, Hand, certificates, ended, passes, said, sql, swept, turned
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, START, VALUES, Customer, World, settle

LATE = "2099-01-01T00:00:00.000Z"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FixedClock(START))
    yield made
    made.platform.close()


@pytest.fixture
def who(world: World) -> Customer:
    made = world.customer()
    settle(world)
    return made


@pytest.fixture
def hand(world: World, monkeypatch: pytest.MonkeyPatch) -> Hand:
    return Hand(world, monkeypatch)


def test_control_without_a_hand_in_the_tables(world: World, who: Customer) -> None:
    given = ended(world, who)
    settle(world)
    assert said(world, who) == TRUE
    assert [one.cause for one in certificates(world, who)] == [given.id]


@pytest.mark.parametrize("step", ["planned", "journalled"])
def test_a_disposition_turned_to_keep_keeps_nothing_and_says_nothing_false(
    world: World, who: Customer, hand: Hand, step: str
) -> None:
    hand.whenever(step, turned(CITY, action="keep", state="done", ground="urn:x"))
    ended(world, who)
    passes(world)
    swept(world)
    assert said(world, who) == TRUE
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}
    assert [one for one in world.told("value.kept") if one[1] == CITY] == []


def test_a_field_to_shred_is_not_archived_because_a_row_says_so(world: World, who: Customer, hand: Hand) -> None:
    seal = {"action": "seal", "period": "P3Y-claims", "legal_ground": "none", "destroy_by": LATE}
    hand.whenever("planned", *(turned(field, **seal) for field in HELD))
    ended(world, who)
    passes(world)
    swept(world)
    assert said(world, who) == TRUE
    assert [row.field for row in world.rows(Archived)] == [EMAIL]
    assert all(row.destroy_by < "2035" for row in world.rows(Archived))


@pytest.mark.parametrize("step", ["journalled", "dropped"])
@pytest.mark.parametrize(
    "act",
    [
        turned(
            CITY, action="seal", digest="zQm", period="P3Y-claims", legal_ground="law", destroy_by=LATE, state="done"
        ),
        turned(EMAIL, action="shred", digest=None, period=None, legal_ground=None),
        turned(EMAIL, destroy_by=LATE),
        turned(CITY, action="keep", ground="urn:x", state="done"),
        f"UPDATE redaction_job SET fates = json_remove(json_set(fates, '$.\"{GIVEN}\"', "
        f"json(json_extract(fates, '$.\"{CITY}\"'))), '$.\"{CITY}\"')",
    ],
)
def test_no_certificate_says_what_was_not_done(world: World, who: Customer, hand: Hand, step: str, act: str) -> None:
    hand.whenever(step, act)
    ended(world, who)
    passes(world)
    swept(world)
    told = said(world, who)
    assert told.items() <= TRUE.items()
    assert not any(
        item.destroy_by and item.destroy_by.year > 2035 for one in certificates(world, who) for item in one.items
    )
    assert CITY not in world.readable(who)
    shredded = {field for _, field in world.told("value.shredded")}
    assert EMAIL not in shredded
    assert GIVEN not in shredded


def test_a_cause_that_somebody_wrote_is_not_certified(world: World, who: Customer, hand: Hand) -> None:
    hand.whenever("journalled", "UPDATE redaction_job SET cause_id = 'urn:x', cause = 'expired'")
    given = ended(world, who)
    passes(world)
    assert {one.cause for one in certificates(world, who)} <= {given.id}


def test_no_key_spared_by_a_job_that_names_none(world: World, who: Customer, hand: Hand) -> None:
    """The event of the shred would be told while the key is there."""
    old = world.copy("before.db")
    hand.whenever("journalled", "UPDATE redaction_job SET epoch = NULL")
    ended(world, who)
    passes(world)
    if world.told("value.shredded"):
        assert CITY not in world.opens(old, who.subject)
    swept(world)
    assert CITY not in world.opens(old, who.subject)
    assert said(world, who) == TRUE


@pytest.mark.parametrize(
    "act",
    [
        (*(turned(field, state="done") for field in HELD), "UPDATE redaction_job SET step = 'done'"),
        ("DELETE FROM redaction_job",),
        ("UPDATE redaction_job SET fates = '{}'",),
        ("UPDATE redaction_job SET fates = 'nonsense'",),
        ("UPDATE redaction_job SET epoch = 99, bucket = 3",),
        ("UPDATE redaction_job SET step = 'nowhere'",),
    ],
)
@pytest.mark.parametrize("step", ["journalled"])
def test_a_job_that_is_made_to_vanish_spares_no_key(
    world: World, who: Customer, hand: Hand, step: str, act: tuple[str, ...]
) -> None:
    """The value has gone from the database, and an older copy would open it as long as the bucket key is there."""
    old = world.copy("before.db")
    ended(world, who)
    hand.whenever(step, *act)
    passes(world)
    assert PHONE not in world.readable(who)
    swept(world)
    assert world.opens(old, who.subject) == {}
    assert said(world, who) == TRUE


def test_an_older_record_that_is_put_back_gets_no_new_key(world: World, who: Customer, hand: Hand) -> None:
    """Between the new generation and the rotation: the old data key would be wrapped anew and outlive its end."""
    given = world.consent(who, HELD)
    settle(world)
    columns = ("generation", "epoch", "wrapped", "cells")
    sql(world, f"CREATE TABLE kept AS SELECT {', '.join(columns)} FROM record WHERE subject = ?", who.subject)
    back = ", ".join(f"{name} = (SELECT {name} FROM kept)" for name in columns)
    hand.whenever("journalled", f"UPDATE record SET {back} WHERE subject = '{who.subject}'")
    world.withdraw(who, given)
    passes(world)
    swept(world)
    if certificates(world, who):
        sql(world, f"UPDATE record SET {back} WHERE subject = ?", who.subject)
    sql(world, "DROP TABLE kept")
    assert PHONE not in world.opens(world.copy("after.db"), who.subject) or not certificates(world, who)


def test_a_rotation_that_somebody_plants_stops_nobody_and_destroys_nothing(world: World, who: Customer) -> None:
    other = world.customer()
    bucket = keyring.bucket_of(other.subject)
    (epoch,) = world.platform.keyring.epochs(bucket)
    for planted in (json.dumps([epoch]), "nonsense", "[1, [2]]"):
        sql(world, "DELETE FROM rotation")
        sql(
            world,
            "INSERT INTO rotation (bucket, epoch, ended, rewrapped, began_at, rewrapped_at) VALUES (?, ?, ?, 0, ?, ?)",
            bucket, epoch, planted, "2026-11-22T08:00:00.000Z", "2026-11-22T08:00:00.000Z",
        )  # fmt: skip
        passes(world, 2)
        assert world.readable(other) == VALUES
    ended(world, who)
    passes(world)
    assert said(world, who) == TRUE


def test_no_bucket_key_goes_because_a_column_says_that_its_records_moved(
    world: World, who: Customer, hand: Hand
) -> None:
    """Records that say the new epoch and rest under the old one: without its key nobody would open them again."""
    bucket = keyring.bucket_of(who.subject)
    before = world.copy("before.db")
    hand.whenever("begun", f"UPDATE record SET epoch = 2 WHERE bucket = {bucket}")
    ended(world, who)
    passes(world)
    assert GIVEN in world.opens(before, who.subject), "the key that the record rests under is gone for good"
    assert said(world, who) == {}
    sql(world, "UPDATE record SET epoch = 1 WHERE bucket = ?", bucket)
    passes(world)
    swept(world)
    assert said(world, who) == TRUE
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}


POISON = (
    turned(PHONE, causes="x") + " WHERE subject = ?",
    turned(PHONE, destroy_by="x", action="seal") + " WHERE subject = ?",
    turned(PHONE, action="x", state="y", at="z") + " WHERE subject = ?",
    "UPDATE redaction_job SET fates = 'x', kept = 'x' WHERE subject = ?",
    "UPDATE redaction_job SET fates = '[1, 2]', planned = -7 WHERE subject = ?",
    f"UPDATE redaction_job SET fates = json_set(fates, '$.\"{PHONE}\"', 7, '$.x', json('[]')) WHERE subject = ?",
    "UPDATE redaction_job SET fates = x'00ff' WHERE subject = ?",
    "UPDATE redaction_job SET ended_at = 'x', planned_at = 'x', bucket = 999, next_try_at = 'x' WHERE subject = ?",
    "UPDATE redaction_job SET attempts = 'x' WHERE subject = ?",
    "UPDATE record SET cells = 'x' WHERE subject = ?",
    "UPDATE record SET generation = 'x' WHERE subject = ?",
    "UPDATE credential SET body = 'x' WHERE subject = ? AND kind = 'ask'",
    "UPDATE standing SET version = 'x' WHERE subject = ?",
    "UPDATE lapse SET next_at = 'x', retry_at = 'x', done_version = 'x' WHERE subject = ?",
    "INSERT INTO settling (id, kind, subject, ended, by, version, at) VALUES ('x', 'x', ?, 'x', 'x', 1, 'x')",
    "UPDATE archive SET destroy_by = 'x', archive_key = '../x', wanted_by = 'x' WHERE subject = ?",
)


def test_what_somebody_writes_of_some_customers_stops_no_other_customers_end(world: World) -> None:
    victims = [world.customer() for _ in POISON]
    archived = [ended(world, one, (EMAIL,)) for one in victims]
    settle(world)
    given = [world.consent(one, (CITY, PHONE)) for one in victims]
    settle(world)
    for one, consent in zip(victims, given, strict=True):
        world.withdraw(one, consent)
    plan.plan_due(world.platform, world.catalogue)
    for statement, victim in zip(POISON, victims, strict=True):
        sql(world, statement, victim.subject)
    other = world.customer()
    consent = world.consent(other, HELD)
    passes(world, 2)
    world.withdraw(other, consent)
    passes(world)
    assert said(world, other) == TRUE
    assert len(archived) == len(POISON)


def test_planted_rows_that_end_a_job_early_are_no_end(world: World, who: Customer, hand: Hand) -> None:
    """A job that skips its steps: nothing was dropped, nothing is certified, and it is done in the end."""
    hand.whenever("planned", "UPDATE redaction_job SET step = 'journalled', epoch = NULL")
    ended(world, who)
    passes(world)
    assert world.told("value.shredded") == []
    assert said(world, who) == {}
    swept(world)
    assert said(world, who) == TRUE
    assert [(row.step, row.error) for row in world.rows(Job)][-1] == (DONE, None)
    assert {row.state for row in world.fates()} == {DONE}
