"""Who edits columns while a bucket is rotated takes no data key from those who withdrew nothing, nor from a backup."""

# ruff: noqa: S608 - the attacker's own statements

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_core import records
from crm_core.imports import undo
from redaction import missing, replica, rollforward
from redaction.rotation import Rotation
from runtime import keyring
from runtime.clock import FixedClock
from tests.attacks.hand import HELD, TRUE, passes, said, sql, swept
from tests.attacks.test_redaction_again import beside, restored
from tests.redaction.test_causes import imported
from tests.redaction.world import START, VALUES, Customer, World, settle

AWAY = ("UPDATE record SET bucket = (bucket + 1) % 256 WHERE subject = ?", "DELETE FROM record WHERE subject = ?")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FixedClock(START))
    yield made
    made.platform.close()


@pytest.fixture
def two(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Customer, Customer]:
    """Two customers of one bucket."""
    who = world.customer()
    settle(world)
    return who, beside(world, keyring.bucket_of(who.subject), monkeypatch)


def no_key_is_lost(world: World, backup: Path) -> bool:
    restored(world, backup)
    return rollforward.roll_forward(world.platform).dark == ()


@pytest.mark.parametrize("more", ["", ", destroyed_at = '2026-11-22T08:00:00.000Z'"])
def test_a_rotation_that_says_how_far_it_is_destroys_no_key_that_is_needed(
    world: World, two: tuple[Customer, Customer], more: str
) -> None:
    who, other = two
    bucket = keyring.bucket_of(who.subject)
    given = world.consent(who, HELD)
    settle(world)
    backup = world.copy("before.db")
    good = sql(world, "SELECT wrapped FROM record WHERE subject = ?", other.subject)[0][0]
    sql(world, "UPDATE record SET wrapped = x'00' WHERE subject = ?", other.subject)  # it cannot go on
    world.withdraw(who, given)
    passes(world, 2)
    assert [row.rewrapped_at for row in world.rows(Rotation)] == [None]
    sql(world, "UPDATE record SET wrapped = ?, epoch = 2 WHERE subject = ?", good, other.subject)
    sql(world, f"UPDATE record SET epoch = 2 WHERE bucket = {bucket}")
    sql(world, f"UPDATE rotation SET rewrapped_at = '2026-11-22T08:00:00.000Z'{more}")
    passes(world, 3)
    assert world.opens(backup, other.subject) == VALUES
    sql(world, f"UPDATE record SET epoch = 1 WHERE bucket = {bucket}")
    passes(world)
    assert said(world, who) == TRUE
    assert no_key_is_lost(world, backup)


def test_anothers_data_key_in_a_row_does_not_pass_for_the_customers_own(
    world: World, two: tuple[Customer, Customer], monkeypatch: pytest.MonkeyPatch
) -> None:
    who, other = two
    third = beside(world, keyring.bucket_of(who.subject), monkeypatch)
    given = world.consent(who, HELD)
    settle(world)
    backup = world.copy("before.db")
    real = replica.write_all

    def hand(platform: object, buckets: object, *more: object) -> None:
        monkeypatch.setattr(replica, "write_all", real)
        copied = "UPDATE record SET wrapped = (SELECT wrapped FROM record WHERE subject = ?) WHERE subject = ?"
        sql(world, copied, other.subject, third.subject)
        real(world.platform, buckets, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(replica, "write_all", hand)
    world.withdraw(who, given)
    passes(world, 4)
    assert no_key_is_lost(world, backup)


@pytest.mark.parametrize("act", AWAY)
@pytest.mark.parametrize("rotated", [False, True])
def test_a_record_that_is_not_found_as_its_bucket_is_rotated_keeps_its_data_key(
    world: World, two: tuple[Customer, Customer], monkeypatch: pytest.MonkeyPatch, act: str, rotated: bool
) -> None:
    who, other = two
    if rotated:  # once before: the replica knows its customers then
        first = beside(world, keyring.bucket_of(who.subject), monkeypatch)
        world.withdraw(first, world.consent(first, HELD))
        settle(world)
    given = world.consent(who, HELD)
    settle(world)
    backup = world.copy("before.db")
    sql(world, act, other.subject)
    world.withdraw(who, given)
    passes(world, 3)
    if "UPDATE" in act:
        swept(world)
    stays = "DELETE" in act and not rotated
    assert said(world, who) == ({} if stays else TRUE)  # nobody knows what else to do for them than to keep the key
    assert no_key_is_lost(world, backup)
    assert world.readable(other) == VALUES


def test_of_whom_the_undoing_of_an_import_took_away_nothing_is_kept(
    world: World, two: tuple[Customer, Customer]
) -> None:

    who, other = two
    gone = imported(world, days=90)
    bucket = keyring.bucket_of(gone.subject)
    with world.platform.database.write("owner") as session:
        kept = records.load(session, gone.subject)
        assert kept is not None
        before = {gone.subject: (kept.generation, kept.epoch, kept.wrapped)}

        assert missing.carried(session, world.platform, before, [], (bucket, kept.epoch)) != []
        undo._remove(session, world.platform, "run", [gone.subject], ())
        assert missing.carried(session, world.platform, before, [], (bucket, kept.epoch)) == []
    assert world.readable(other) == world.readable(who) == VALUES
