from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from protocol.consent import SubjectId
from runtime import outbox
from runtime.session import Database

AT = datetime(2026, 11, 22, 8, 0, 0, 123000, tzinfo=UTC)
ANN, BEN = SubjectId("sub_ann"), SubjectId("sub_ben")


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.migrate()
    return database


def test_an_event_comes_back_as_it_was_emitted(database: Database) -> None:
    with database.write("owner") as session:
        made = outbox.emit(
            session,
            "release",
            at=AT,
            header={"purpose": "marketing"},
            records=[(ANN, {"fields": ["contact.email"]}), (None, {})],
        )
    with database.read() as session:
        (event,) = outbox.pending(session, 0, 10)
    assert (event.event_id, event.type, event.at) == (made, "release", AT)
    assert event.header == {"purpose": "marketing"}
    assert event.records == ((ANN, {"fields": ["contact.email"]}), (None, {}))
    assert [len(salt) for salt in event.salts] == [32, 32]
    assert event.salts[0] != event.salts[1]


def test_a_body_is_canonical_and_carries_one_subject_only(database: Database) -> None:
    with database.write("owner") as session:
        made = outbox.emit(session, "release", at=AT, header={"b": 1}, records=[(ANN, {"z": 1, "a": 2}), (BEN, {})])
    with database.read() as session:
        first, second = outbox.pending(session, 0, 10)[0].bodies()
    assert first == (
        b'{"data":{"a":2,"z":1},"header":{"b":1},"id":"' + made.encode() + b'","subject":"sub_ann",'
        b'"time":"2026-11-22T08:00:00.123Z","type":"release"}'
    )
    assert orjson.loads(second)["subject"] == BEN
    assert b"sub_ann" not in second


def test_an_event_is_gone_with_the_change_that_it_tells_of(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write("owner") as session:  # noqa: PT012
        outbox.emit(session, "release", at=AT)
        raise RuntimeError
    with database.read() as session:
        assert outbox.pending(session, 0, 10) == []


def test_a_key_counts_once_within_and_across_transactions(database: Database) -> None:
    made = []
    for _ in range(2):
        with database.write("owner") as session:
            made += [outbox.emit(session, "release", at=AT, key="k") for _ in range(2)]
    assert len(set(made)) == 1
    with database.read() as session:
        assert len(outbox.pending(session, 0, 10)) == 1


def test_pending_goes_on_where_it_stopped(database: Database) -> None:
    with database.write("owner") as session:
        made = [outbox.emit(session, "release", at=AT) for _ in range(5)]
    with database.read() as session:
        first = outbox.pending(session, 0, 2)
        rest = outbox.pending(session, first[-1].id, 10)
    assert [event.event_id for event in first + rest] == made


def test_an_unknown_type_is_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="unknown type"), database.write("owner") as session:
        outbox.emit(session, "gossip", at=AT)
