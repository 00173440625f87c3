"""A hand in the outbox: what somebody changes, adds, takes out or cuts off before it is logged is told, not logged."""

import pytest
from sqlmodel import col, select

from audit import drain, worker
from audit.log import Log, LogEntry
from runtime.outbox import Outbox, inspected, lost
from runtime.outbox_chain import INFO, START
from tests.audit.test_recovery import sql, told
from tests.audit.world import World
from tests.engine import mapping


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("world"))
    told(made, 3)
    made.drain()
    told(made, 4)
    return made


def alarms(world: World) -> list[str]:
    """The codes on record about the outbox, and nothing of the log fails."""
    drain.drain_all(Log(world.platform))
    with world.platform.database.read() as session:
        Log(world.platform).check(session)
        rows = session.exec(select(Outbox.records).where(Outbox.type == "attempt.refused").order_by(col(Outbox.id)))
        return [code for row in rows for code in CODES if code in row]


def counted(last: int) -> str:
    """The counter of the outbox is set back to this id."""
    if mapping.on():
        return f"SELECT setval('outbox_id_seq', {last})"
    return f"UPDATE sqlite_sequence SET seq = {last} WHERE name = 'outbox'"  # noqa: S608 - ours


def logged(world: World) -> list[int]:
    with world.platform.database.read() as session:
        return list(session.exec(select(LogEntry.outbox_id).order_by(col(LogEntry.leaf_index))))


CODES = ("event_altered", "event_missing", "event_repeated")


def test_control_an_outbox_that_nobody_touched_raises_no_alarm(world: World) -> None:
    assert alarms(world) == []
    assert len(logged(world)) == 8


def test_a_changed_event_is_told_and_not_logged(world: World) -> None:
    sql(world, "UPDATE outbox SET records = replace(records, '\"n\":2', '\"n\":9') WHERE id = 7")
    assert alarms(world) == ["event_altered"]
    assert 7 not in logged(world)
    assert alarms(world) == ["event_altered"]


def test_an_event_that_is_taken_out_is_told(world: World) -> None:
    sql(world, "DELETE FROM outbox WHERE id = 6")
    assert alarms(world) == ["event_missing"]
    assert 7 in logged(world)


def test_an_event_that_somebody_else_wrote_is_told_and_not_logged(world: World) -> None:
    sql(
        world,
        "INSERT INTO outbox (event_id, type, at, header, records, salts, prev, mac) "
        "SELECT 'urn:forged', type, at, header, records, salts, mac, mac FROM outbox WHERE id = 8",
    )
    told(world, 1)
    assert set(alarms(world)) == {"event_altered"}
    with world.platform.database.read() as session:
        assert session.exec(select(LogEntry).where(LogEntry.event_id == "urn:forged")).first() is None


def test_as_many_forged_rows_as_one_likes_hold_nothing_up(world: World) -> None:
    sql(
        world,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) "
        "INSERT INTO outbox (event_id, type, at, header, records, salts, prev, mac) "
        "SELECT 'urn:' || i, type, at, header, records, salts, mac, mac FROM outbox, n WHERE id = 8",
    )
    with world.platform.database.read() as session:
        events, flaws = inspected(session, 8, 100)
    assert events == []
    assert len(flaws) == 600
    told(world, 1)
    drain.drain_all(Log(world.platform))
    with world.platform.database.read() as session:
        newest = session.exec(select(Outbox.event_id).where(Outbox.type == "release").order_by(col(Outbox.id).desc()))
        assert newest.first() in session.exec(select(LogEntry.event_id)).all()


def test_events_in_another_order_are_told(world: World) -> None:
    for was, now in ((6, 99), (7, 6), (99, 7)):
        sql(world, "UPDATE outbox SET id = ? WHERE id = ?", now, was)
    assert "event_missing" in alarms(world)


def test_an_old_event_that_is_told_again_is_not_logged_twice(world: World) -> None:
    sql(world, "UPDATE outbox SET id = 50 WHERE id = 3")
    if mapping.on():  # SQLite's counter follows by itself
        sql(world, "SELECT setval('outbox_id_seq', 50)")
    assert "event_repeated" in alarms(world)
    assert len(set(logged(world))) == len(logged(world))


@pytest.mark.parametrize("look", ["drain", "next event"])
def test_the_newest_events_that_are_cut_off_are_missed_by_the_process_that_wrote_them(world: World, look: str) -> None:
    sql(world, "DELETE FROM outbox WHERE id > 6")
    sql(world, counted(6))
    with world.platform.database.read() as session:
        assert lost(session)
    if look == "next event":
        told(world, 1)
    else:
        worker.missed(Log(world.platform))
    assert alarms(world) == ["event_missing"]
    with world.platform.database.read() as session:
        assert not lost(session)


def test_the_residue_what_is_cut_off_after_its_process_died_and_before_it_was_logged_is_not_known(
    world: World,
) -> None:
    sql(world, "DELETE FROM outbox WHERE id > 6")
    world.platform.database._info[INFO].replaced(START)
    assert alarms(world) == []


@pytest.mark.sqlite("on PostgreSQL only the owner numbers events anew: the log stands still")
def test_logged_rows_that_are_taken_out_with_the_counter_pass_nothing_over(world: World) -> None:
    drain.drain_all(Log(world.platform))
    world.platform.database._info[INFO].replaced(START)
    sql(world, "DELETE FROM outbox WHERE id > 5")
    sql(world, counted(5))
    told(world, 2)
    assert "event_missing" in alarms(world)
    with world.platform.database.read() as session:
        known = session.exec(select(LogEntry.event_id)).all()
        waiting = session.exec(select(Outbox.event_id).where(Outbox.type == "release")).all()
    assert set(waiting) <= set(known)
