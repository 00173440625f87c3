"""A row of a living ground that somebody ends, or takes away: the gate denies on it, and nothing is destroyed on it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from redaction.disposition import Job
from redaction.due import LapseRow
from runtime.clock import FixedClock
from tests.attacks.hand import HELD, advance, ended, passes, said, sql, swept
from tests.redaction.world import PHONE, SERVICE, START, VALUES, Customer, World, settle

ENDED = "SET ended_at = '2026-11-22T08:00:00.000Z', ended_kind = 'revoked'"


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


def looked_at_anew(world: World) -> None:
    sql(world, "UPDATE standing SET version = version + 1")
    passes(world, 3)
    swept(world)


def nothing_was_destroyed(world: World, who: Customer) -> bool:
    errors = [row.error for row in world.rows(LapseRow) if row.subject == who.subject]
    left_alone = errors in (["disputed_evidence"], ["evidence_lost"])
    return left_alone and world.readable(who) == VALUES and said(world, who) == {}


@pytest.mark.parametrize(
    "act",
    [
        f"UPDATE credential {ENDED} WHERE kind = 'consent'",
        f"UPDATE credential {ENDED} WHERE kind = 'enrolment'",
        "UPDATE credential SET ended_kind = 'withdrawn' WHERE kind = 'consent'",
        "UPDATE credential SET ended_kind = 'expired' WHERE kind = 'consent'",
    ],
)
def test_a_consent_that_only_a_column_ends_costs_the_customer_nothing(world: World, who: Customer, act: str) -> None:
    world.consent(who, HELD)
    settle(world)
    before = world.copy("before.db")
    sql(world, act)
    looked_at_anew(world)
    assert nothing_was_destroyed(world, who)
    assert world.opens(before, who.subject) == VALUES


def test_a_ground_of_law_that_only_a_column_ends_costs_nobody_anything(world: World, who: Customer) -> None:
    world.statutory(HELD)
    settle(world)
    sql(world, f"UPDATE credential {ENDED} WHERE kind = 'ground'")
    looked_at_anew(world)
    assert nothing_was_destroyed(world, who)


@pytest.mark.parametrize("kind", ["consent", "ground"])
def test_a_living_ground_that_somebody_takes_away_does_not_bare_what_another_one_held(
    world: World, who: Customer, kind: str
) -> None:
    first = world.consent(who, HELD)
    other = world.consent(who, HELD, purpose=SERVICE).id if kind == "consent" else world.statutory(HELD)
    settle(world)
    world.withdraw(who, first)
    passes(world)
    assert set(said(world, who).values()) == {"keep"}
    sql(world, "DELETE FROM credential WHERE id = ?", other)
    looked_at_anew(world)
    assert world.readable(who) == VALUES
    assert set(said(world, who).values()) == {"keep"}


def test_whom_a_ground_of_law_covers_no_row_alone_says(world: World, who: Customer) -> None:
    given = world.consent(who, HELD)
    world.statutory(HELD)
    settle(world)
    sql(world, "DELETE FROM ground_subject")
    world.withdraw(who, given)
    passes(world, 3)
    swept(world)
    assert nothing_was_destroyed(world, who)


def test_a_wallet_put_in_the_place_of_a_living_one_ends_no_consent_for_good(world: World, who: Customer) -> None:
    world.consent(who, HELD)
    settle(world)
    row = sql(world, "SELECT id FROM credential WHERE kind = 'enrolment' AND subject = ?", who.subject)[0][0]
    sql(world, f"UPDATE credential {ENDED} WHERE id = ?", row)
    advance(world, timedelta(seconds=5))  # of two wallets the later one speaks
    world.enrol(Customer(who.subject, type(who.wallet).generate()))  # the way is free now
    sql(world, "UPDATE credential SET ended_at = NULL, ended_kind = NULL WHERE id = ?", row)
    looked_at_anew(world)
    assert nothing_was_destroyed(world, who)


def test_control_what_has_ended_by_its_date_is_destroyed_and_so_is_what_the_journal_ended(
    world: World, who: Customer
) -> None:
    world.consent(who, HELD, life=timedelta(days=1))
    settle(world)
    advance(world, timedelta(days=2))
    sql(world, f"UPDATE credential {ENDED} WHERE kind = 'consent'")  # late, and true
    looked_at_anew(world)
    assert PHONE not in world.readable(who)
    other = world.customer()
    ended(world, other)
    passes(world)
    assert PHONE not in world.readable(other)


def test_an_answer_that_never_came_to_its_commit_holds_nothing_up_once_another_was_given(
    world: World, who: Customer
) -> None:
    """The journal is told before the commit. A customer who is asked again answers the same ask."""
    given = world.consent(who, HELD)
    answer = next(one.body for one in world.platform.journal.entries() if one.body["kind"] == "answer")
    lost = {**answer["evidence"]["consent"], "id": "urn:uuid:00000000-0000-4000-8000-000000000000"}
    world.platform.journal.append({**answer, "evidence": {**answer["evidence"], "consent": lost}})
    world.withdraw(who, given)
    passes(world, 2)
    assert world.readable(who) == VALUES
    assert world.rows(Job) == []
    world.platform.journal.append(answer)
    passes(world, 2)
    assert PHONE not in world.readable(who)
