"""Jobs that somebody sets back or plants, and rows in the way of what is told: nothing living pays for them."""

# ruff: noqa: S608 - the attacker's own statements

from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_core import writer
from crm_core.origin import Origin
from redaction import plan, rollforward
from redaction.archive import Archived
from redaction.disposition import PLANNED, Job
from runtime import keyring, outbox
from runtime.clock import FixedClock
from tests.attacks.hand import HELD, TRUE, Hand, ended, passes, said, sql, swept
from tests.engine import hand as hands
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, START, VALUES, Customer, World, settle
from verifier import quarantine

JOB = (
    "INSERT INTO redaction_job (id, subject, version, round, step, cause, cause_id, ended_at, planned_at, bucket, "
    "fates, attempts, kept, sealed, shredded, planned) "
    "VALUES ('planted', ?, 99, 0, 'resealed', 'x', 'x', 'x', 'x', ?, '{}', 0, 0, 0, 0, 0)"
)
NEWER = "new@customers.example"


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


def collected_anew(world: World, who: Customer) -> None:
    origin = Origin(source="test", source_digest="d", importer=world.platform.controller, at=world.now())
    with world.platform.database.write("owner") as session:
        writer.put(session, world.platform, world.catalogue, who.subject, {EMAIL: NEWER}, origin=origin)


def set_back(world: World) -> None:
    sql(world, "UPDATE redaction_job SET step = 'planned', done_at = NULL WHERE sealed = 1")
    passes(world)
    swept(world)


def test_a_job_that_is_set_back_destroys_no_value_that_came_since(world: World, who: Customer) -> None:
    ended(world, who, (EMAIL,))
    passes(world)
    assert said(world, who) == {EMAIL: "seal"}
    collected_anew(world, who)
    world.consent(who, (EMAIL,))
    passes(world)
    assert world.readable(who)[EMAIL] == NEWER
    set_back(world)
    assert world.readable(who)[EMAIL] == NEWER
    assert len(world.rows(Archived)) == 1


def test_and_one_whose_ground_has_ended_too_is_archived_by_a_job_of_its_own(world: World, who: Customer) -> None:
    ended(world, who, (EMAIL,))
    passes(world)
    collected_anew(world, who)
    again = world.consent(who, (EMAIL,))
    passes(world)
    world.withdraw(who, again)
    set_back(world)
    assert EMAIL not in world.readable(who)
    assert len(world.rows(Archived)) == 2


def restored(world: World, backup: Path) -> None:
    place = world.settings.db_dir / "fieldgrant.db"
    with hands.connect(backup) as source, hands.connect(place) as target:
        source.backup(target)


@pytest.mark.parametrize(
    ("spoiled", "act"),
    [
        (False, ""),
        (True, "UPDATE record SET cells = x'00' WHERE subject = ?"),
        (True, f"UPDATE record SET cells = x'{'00' * 29}' WHERE subject = ?"),  # nothing in it, and no tag of ours
        (True, "UPDATE record SET wrapped = x'00' WHERE subject = ?"),
    ],
)
def test_a_planted_job_does_not_have_a_spoiled_record_journalled_as_survivors(
    world: World, who: Customer, monkeypatch: pytest.MonkeyPatch, spoiled: bool, act: str
) -> None:
    bucket = keyring.bucket_of(who.subject)
    other = beside(world, bucket, monkeypatch)
    given, theirs = world.consent(who, (PHONE,)), world.consent(other, HELD)
    settle(world)
    backup = world.copy("before.db")
    world.withdraw(who, given)
    passes(world, 3)
    if spoiled:
        good = sql(world, "SELECT cells, wrapped FROM record WHERE subject = ?", who.subject)[0]
        sql(world, act, who.subject)
        sql(world, JOB, who.subject, bucket)
        passes(world, 2)
        sql(world, "DELETE FROM redaction_job WHERE id = 'planted'")
        sql(world, "UPDATE record SET cells = ?, wrapped = ? WHERE subject = ?", *good, who.subject)
    world.withdraw(other, theirs)
    passes(world, 4)
    restored(world, backup)
    assert rollforward.roll_forward(world.platform).dark == ()
    assert world.readable(who) == {field: VALUES[field] for field in (EMAIL, CITY, GIVEN)}


def beside(world: World, bucket: int, monkeypatch: pytest.MonkeyPatch) -> Customer:
    """Another customer of the same bucket."""
    real = writer.new_subject
    with monkeypatch.context() as patch:
        patch.setattr(writer, "new_subject", lambda: next(one for one in iter(real, "") if in_(one, bucket)))
        made = world.customer()
    settle(world)
    return made


def in_(subject: str, bucket: int) -> bool:
    return keyring.bucket_of(subject) == bucket  # type: ignore[arg-type]


def test_cells_that_somebody_emptied_are_not_what_survives(world: World, who: Customer) -> None:
    """Of all fields of a record only the one is left that goes: its tag is looked at all the same."""
    given = world.consent(who, (CITY,))
    settle(world)
    good = sql(world, "SELECT cells FROM record WHERE subject = ?", who.subject)[0][0]
    planted = b"\0" * 29 + bytes([len(CITY)]) + CITY.encode() + b"\0\0\0\x01x"
    sql(world, "UPDATE record SET cells = ? WHERE subject = ?", planted, who.subject)
    world.withdraw(who, given)
    passes(world)
    sql(world, "UPDATE record SET cells = ? WHERE subject = ?", good, who.subject)
    passes(world)
    assert said(world, who) == {CITY: "shred"}
    assert world.readable(who) == {field: VALUES[field] for field in (PHONE, EMAIL, GIVEN)}


@pytest.mark.parametrize("columns", ["'{}', '[]', x''", "'1', 'x', x'00'"])
def test_a_row_planted_under_an_events_key_does_not_silence_the_event(
    world: World, who: Customer, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    planted = (
        "INSERT INTO outbox (event_id, type, at, header, records, salts, key, prev, mac) "
        f"SELECT 'urn:uuid:%s' || substr(id, -10), 'value.shredded', '2026-11-22T08:00:00.000Z', {columns}, "
        "'value.shredded:' || id || ':%s', x'', x'' FROM redaction_job WHERE step = 'journalled'"
    )
    Hand(world, monkeypatch).whenever("begun", *(planted % (n, f) for n, f in enumerate((CITY, PHONE))))
    ended(world, who)
    passes(world)
    assert said(world, who) == TRUE
    with world.platform.database.read() as session:
        events, flaws = outbox.inspected(session, 0, 10_000)
    told = {str(data["field"]) for one in events for _, data in one.records if one.type == "value.shredded"}
    assert told == {CITY, PHONE}
    assert {flaw.code for flaw in flaws} == {"event_altered"}


def test_nobody_under_quarantine_loses_what_was_planned_before(world: World, who: Customer) -> None:
    given = world.consent(who, HELD)
    settle(world)
    world.withdraw(who, given)
    plan.plan_due(world.platform, world.catalogue)
    with world.platform.database.write("owner") as session:
        quarantine.put(session, who.subject, "bad_mac", world.now())
    passes(world, 3)
    assert world.readable(who) == VALUES
    assert [(row.step, row.error) for row in world.rows(Job)] == [(PLANNED, "quarantined")]
    with world.platform.database.write("owner") as session:
        quarantine.lift(session, who.subject, world.now())
    passes(world)
    assert said(world, who) == TRUE
