"""The recorder: nothing leaves unrecorded, and those who wait together are written together."""

import threading

import pytest
from sqlalchemy import event as sql_event

from protocol import event
from runtime.problem import Problem
from tests.verifier.stage import Stage
from verifier.recorder import Recorder


def test_a_record_is_durable_when_the_call_returns(stage: Stage) -> None:
    recorder = Recorder(stage.platform)
    event_id = recorder.record(event.RELEASE, header={"role": "sales"}, records=[(stage.subject(), {"released": []})])
    assert stage.events()[-1].event_id == event_id
    assert stage.events()[-1].header == {"role": "sales"}


def test_reads_that_wait_together_share_one_write(stage: Stage) -> None:
    recorder = Recorder(stage.platform)
    commits: list[int] = []
    ids: list[str] = []
    sql_event.listen(stage.platform.database.engine, "commit", lambda connection: commits.append(1))
    recorder._turn.acquire()
    threads = [
        threading.Thread(
            target=lambda: ids.append(recorder.record(event.RELEASE, header={}, records=[(None, {"released": []})]))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    while len(recorder._queue) < 8:
        pass
    commits.clear()
    recorder._turn.release()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 8
    assert len(commits) == 1
    assert {each.event_id for each in stage.events(event.RELEASE)} == set(ids)


def test_what_cannot_be_recorded_fails_closed_and_the_next_one_works(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(stage.platform)
    with pytest.raises(Problem) as failed:
        recorder.record("no.such.type", header={}, records=[])
    assert (failed.value.status, failed.value.code) == (503, "not_recorded")
    assert stage.events() == []
    assert recorder.record(event.RELEASE, header={}, records=[(None, {"released": []})])


def test_a_read_whose_record_fails_returns_nothing_and_leaves(stage: Stage) -> None:
    customer = stage.enrol()
    stage.give(customer)
    stage.sql("ALTER TABLE outbox RENAME TO lost")
    with pytest.raises(Problem) as failed:
        stage.see(customer.subject)
    assert failed.value.code == "not_recorded"
    stage.gate.turnstile.drain(1.0)


def test_a_role_is_not_refused_off_the_record(stage: Stage) -> None:
    stage.sql("ALTER TABLE outbox RENAME TO lost")
    with pytest.raises(Problem) as failed:
        stage.gate.visit(stage.reader("sales"), "marketing")
    assert failed.value.code == "not_recorded"


def test_a_read_that_waits_too_long_for_its_turn_fails_closed(stage: Stage) -> None:
    recorder = Recorder(stage.platform, patience=0.05)
    with recorder._turn, pytest.raises(Problem) as failed:
        recorder.record(event.RELEASE, header={}, records=[])
    assert failed.value.code == "not_recorded"
