"""No bucket key is destroyed on the word of a column: what still rests under it could never be opened again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime import keyring
from runtime.clock import FixedClock
from tests.attacks.hand import TRUE, Hand, ended, passes, said, sql
from tests.redaction.world import GIVEN, START, VALUES, World, settle


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FixedClock(START))
    yield made
    made.platform.close()


def test_no_bucket_key_goes_because_a_column_says_that_it_may(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that say the new epoch and rest under the old one: without its key nobody would open them again."""
    who = world.customer()
    settle(world)
    bucket = keyring.bucket_of(who.subject)
    before = world.copy("before.db")
    hand = Hand(world, monkeypatch)
    hand.whenever("begun", f"UPDATE record SET epoch = 2 WHERE bucket = {bucket}")  # noqa: S608 - the attacker's own
    ended(world, who)
    passes(world, 3)
    assert GIVEN in world.opens(before, who.subject), "the key that the record rests under is gone for good"
    assert said(world, who) == {}
    sql(world, "UPDATE record SET epoch = 1 WHERE bucket = ?", bucket)
    passes(world)
    assert said(world, who) == TRUE
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}
