"""Constant statements that go to SQLite's driver as they are: what comes back, and what an error tells."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from runtime import bulk, outbox
from runtime.session import Database

AT = datetime(2026, 11, 22, 8, 0, 0, 123000, tzinfo=UTC)
TABLE = SQLModel.metadata.tables["outbox"]
BY_KEY = select(TABLE.c.key, TABLE.c.mac, TABLE.c.id).where(TABLE.c.key.in_(bulk.these())).order_by(TABLE.c.id)
MOVE = update(TABLE).where(TABLE.c.key == bindparam("old")).values(key=bindparam("new"))
ALLOWANCE = SQLModel.metadata.tables["allowance"]
GONE = delete(ALLOWANCE).where(ALLOWANCE.c.subject.in_(bulk.these()))
REMOVE = delete(TABLE).where(TABLE.c.key == bindparam("old"))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    with database.write("owner") as session:
        outbox.emit_all(session, [outbox.Told("release", [(None, {})], key) for key in ("one", "two", None)], at=AT)
    return database


def test_what_is_asked_about_comes_back_as_it_rests(database: Database) -> None:
    with database.read() as session:
        found = bulk.rows(session, BY_KEY, ["two", "one", "three"])
        assert [key for key, _, _ in found] == ["one", "two"]
        assert all(type(mac) is bytes and mac for _, mac, _ in found)
        assert bulk.rows(session, BY_KEY, []) == []
        assert bulk.rows(session, BY_KEY, [b"one"]) == [], "what we never write finds nothing"


@pytest.mark.sqlite("a text in a column of bytes")
def test_what_somebody_put_in_the_place_of_bytes_is_no_bytes(database: Database) -> None:
    with database.write("owner") as session:
        session.connection().exec_driver_sql("UPDATE outbox SET mac = 'a text' WHERE key = 'one'")
    with database.read() as session:
        assert [mac != b"" for _, mac, _ in bulk.rows(session, BY_KEY, ["one", "two"])] == [False, True]


def test_rows_are_changed_and_removed_and_it_is_told_how_many(database: Database) -> None:
    with database.write("owner") as session:
        assert bulk.execute(session, MOVE, [{"old": "one", "new": "uno"}, {"old": "none", "new": "x"}]) == 1
        assert bulk.each(session, MOVE, ("new", "old"), [("due", "two")]) == 1
        assert [key for key, _, _ in bulk.rows(session, BY_KEY, ["uno", "due", "one", "two"])] == ["uno", "due"]
        assert bulk.execute(session, REMOVE, [{"old": "uno"}]) == 1
        assert bulk.execute(session, REMOVE, []) == 0


@pytest.mark.sqlite("parameters by their place")
def test_names_in_another_order_than_the_statements_are_refused(database: Database) -> None:
    with database.write("owner") as session, pytest.raises(ValueError, match="order"):
        bulk.each(session, MOVE, ("old", "new"), [("two", "due")])


def test_an_error_of_the_driver_is_one_of_sqlalchemy_and_names_no_value(database: Database) -> None:
    with database.read() as session:
        row = bulk.asked(session, select(*TABLE.c).where(TABLE.c.key == bindparam("of")), of="one")[0]
    twice = dict(zip(TABLE.c.keys(), row, strict=True)) | {"id": 99, "header": "a secret value"}
    with database.write("owner") as session, pytest.raises(IntegrityError) as caught:
        bulk.execute(session, insert(TABLE), [twice])
    assert "secret" not in str(caught.value)


def test_events_of_one_step_follow_each_other_and_a_known_key_is_not_told_again(database: Database) -> None:
    told = [outbox.Told("release", [(None, {"n": 1})], "two"), outbox.Told("release", [(None, {})], "three")]
    with database.write("owner") as session:
        known = dict(session.connection().execute(select(TABLE.c.key, TABLE.c.event_id)).all())
        first, second = outbox.emit_all(session, told, at=AT)
        assert outbox.emit_all(session, [], at=AT) == []
    assert first == known["two"]
    assert second not in known.values()
    with database.read() as session:
        events, flaws = outbox.inspected(session, 0, 10)
        macs = session.connection().execute(select(TABLE.c.prev, TABLE.c.mac).order_by(TABLE.c.id)).all()
    assert (len(events), flaws) == (4, [])
    assert [prev for prev, _ in macs[1:]] == [mac for _, mac in macs[:-1]]


def test_rows_that_are_alike_differ_in_their_key_and_in_their_own_bytes(database: Database) -> None:
    table = ALLOWANCE
    shared = [(f"p{number}", "us", "CN", b"mask", b"", "{}", None, 1, "part") for number in range(3)]
    own = [(key, b"".join(key.encode() * 2 + b"%d" % number for number in range(3))) for key in ("a", "b")]
    wanted = [(key, *one, key.encode() * 2 + b"%d" % number) for key in "ab" for number, one in enumerate(shared)]
    for _ in range(2):  # what was shared the first time is not left over
        with database.write("owner") as session:
            bulk.alike(session, table, shared, own, 3)
            bulk.alike(session, table, shared, [], 3)
            found = session.connection().execute(select(table).order_by(table.c.subject, table.c.purpose)).all()
            assert [tuple(row) for row in found] == wanted
            bulk.remove(session, GONE, ["a", "c"])
            assert {row.subject for row in session.connection().execute(select(table))} == {"b"}
            bulk.remove(session, GONE, ["b"])
            bulk.remove(session, GONE, [])
