"""Rows that somebody plants to hide a job, or to have a value destroyed before its day: they say nothing to us."""

# ruff: noqa: S608 - the attacker's own statements

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from redaction import drafting, revive
from redaction.disposition import DONE, Job
from runtime import keyring
from runtime.clock import FixedClock
from tests.attacks.hand import TRUE, Hand, advance, certificates, ended, passes, said, sql, swept
from tests.redaction.test_causes import imported
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, START, VALUES, Customer, World, settle

FIELDS = (PHONE, EMAIL, CITY, GIVEN)


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


def planted(world: World, who: Customer, kind: str = "certificate") -> str:
    """A row under the job's id: a genuine certificate of another customer as its body, so that a signature is there."""
    other = world.customer()
    ended(world, other)
    settle(world)
    body = certificates(world, other)
    assert body
    return (
        "INSERT INTO credential (id, kind, subject, did, body, digest, at) "
        f"SELECT j.id, '{kind}', j.subject, c.did, c.body, 'zQm', c.at FROM redaction_job j, credential c "
        f"WHERE j.subject = '{who.subject}' AND c.kind = 'certificate' AND c.subject = '{other.subject}'"
    )


def unclaimed() -> str:
    """What a job would say of a value that no ground ever came for."""
    return json.dumps({"action": "shred", "state": "planned", "causes": json.dumps([drafting.UNCLAIMED])})


@pytest.mark.parametrize("kind", ["certificate", "ask"])
@pytest.mark.parametrize("vanishes", [True, False])
def test_a_certificate_planted_under_a_jobs_id_hides_no_job_and_stands_in_no_ones_way(
    world: World, who: Customer, hand: Hand, kind: str, vanishes: bool
) -> None:
    row = planted(world, who, kind)
    gone = (f"DELETE FROM redaction_job WHERE subject = '{who.subject}'",)
    hand.whenever("journalled", row, *(gone if vanishes else ()))
    ended(world, who)
    passes(world)
    swept(world)
    assert said(world, who) == TRUE
    (job,) = [one for one in world.rows(Job) if one.subject == who.subject]
    assert (job.step, [one.id for one in certificates(world, who)]) == (DONE, [job.id])
    assert "planted_row" in [data["code"] for one in world.events("attempt.refused") for _, data in one.records]
    assert revive.missing(world.platform) == frozenset()


def test_a_job_whose_certificate_is_there_is_not_carried_out_again(world: World, who: Customer) -> None:
    ended(world, who)
    settle(world)
    before = certificates(world, who)
    sql(world, "UPDATE redaction_job SET step = 'dropped', done_at = NULL")
    passes(world)
    assert certificates(world, who) == before
    assert {row.step for row in world.rows(Job)} == {DONE}


@pytest.mark.parametrize(
    "act",
    [
        "UPDATE origin SET destroy_by = '2026-11-01T00:00:00Z'",
        "INSERT INTO origin SELECT subject, 'urn:uuid:planted', source, source_digest, importer, at, fields, "
        "'2026-11-01T00:00:00Z' FROM origin",
        "UPDATE origin SET destroy_by = '2026-11-01T00:00:00Z', event_id = 'urn:uuid:other'",
    ],
)
def test_a_value_without_a_ground_is_not_destroyed_before_its_day(world: World, act: str) -> None:
    who = imported(world, days=90)
    world.enrol(who)
    settle(world)
    sql(world, act)
    settle(world)
    assert world.readable(who) == VALUES
    assert world.rows(Job) == []


def test_and_on_its_day_it_is_although_somebody_brought_the_day_forward(world: World) -> None:
    who = imported(world, days=90)
    world.enrol(who)
    settle(world)
    sql(world, "UPDATE origin SET destroy_by = '2026-11-01T00:00:00Z'")
    settle(world)
    advance(world, timedelta(days=90))
    settle(world)
    assert world.readable(who) == {}


def test_a_field_planted_in_a_job_as_unclaimed_stays(world: World, hand: Hand) -> None:
    """Its customer's other values come to their day, or a consent ends; the planted one rides along."""
    who = imported(world, days=90)
    world.enrol(who)
    given = world.consent(who, [CITY])
    settle(world)
    hand.whenever(
        "planned", f"UPDATE redaction_job SET fates = json_set(fates, '$.\"{PHONE}\"', json('{unclaimed()}'))"
    )
    world.withdraw(who, given)
    settle(world)
    assert world.readable(who) == {field: VALUES[field] for field in FIELDS if field != CITY}


def test_a_whole_job_planted_for_a_value_without_a_ground_destroys_nothing(world: World) -> None:
    who = imported(world, days=90)
    world.enrol(who)
    settle(world)
    bucket = keyring.bucket_of(who.subject)
    sql(
        world,
        "INSERT INTO redaction_job (id, subject, version, round, step, cause, cause_id, ended_at, planned_at, bucket, "
        "attempts, fates, kept, sealed, shredded, planned) "
        f"VALUES ('urn:uuid:0', '{who.subject}', 9, 0, 'planned', 'unclaimed', 'unclaimed', "
        f"'2026-11-22T08:00:00.000Z', '2026-11-22T08:00:00.000Z', {bucket}, 0, ?, 0, 0, 0, 1)",
        f'{{"{PHONE}": {unclaimed()}}}',
    )
    passes(world)
    assert world.readable(who) == VALUES
    assert certificates(world, who) == []
