"""Bundles in the background: watched, stopped, taken up again, on record once, and everybody's own."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient

from audit import export_worker, verify
from audit.exporting import LIFE, MOST_KEPT, MOST_OPEN, Exports, Job, StoppedError
from audit.scope import Scope
from protocol.errors import EvidenceError
from tests.audit.test_app import client, token
from tests.audit.world import EMAIL, SUBJECT, World

__all__ = ["client"]


@pytest.fixture
def exports(world: World) -> Exports:
    world.journey()
    return Exports(world.platform)


@pytest.fixture
def alone(world: World) -> Iterator[None]:
    """The loop of the app makes nothing meanwhile."""
    while True:
        with Exports(world.platform).working() as ours:
            if ours:
                yield
                return


def asked(exports: Exports, account: str = "ann", **scope: Any) -> Job:
    return exports.ask(account=account, did="did:key:z", role="auditor", subject=SUBJECT, scope=Scope(**scope))


def work(world: World, exports: Exports) -> None:
    while (job := exports.take()) is not None:
        export_worker.make(world.log, world.credentials, exports, job)


def on_record(world: World) -> int:
    from audit import events

    world.drain()
    with world.platform.database.read() as session:
        return len(events.find(session, events.Filter(type="bundle.exported")).items)


def test_a_bundle_made_in_the_background_verifies(world: World, exports: Exports) -> None:
    job = asked(exports, field=EMAIL)
    assert (job.state, exports.find(job.id, "ann")) == ("waiting", job)
    work(world, exports)
    done = exports.find(job.id, "ann")
    data = exports.path(job.id).read_bytes()
    assert (done.state, done.size, done.count == done.total) == ("done", len(data), True)
    assert verify.verify(data, world.log.vkey).status == 0
    assert exports.path(job.id).stat().st_mode & 0o077 == 0


def test_progress_is_counted_and_a_cancelled_job_stops_in_the_middle(
    world: World, exports: Exports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_worker, "_TELLING", 0.0)
    asked(exports)
    job = exports.take()
    assert job is not None
    seen: list[tuple[str, int, int]] = []
    tell = exports.tell

    def watched(of: Job, stage: str, count: int, total: int) -> None:
        seen.append((stage, count, total))
        if (stage, count) == ("proving", 3):
            exports.cancel(job.id, "ann")
        tell(of, stage, count, total)

    monkeypatch.setattr(exports, "tell", watched)
    export_worker.make(world.log, world.credentials, exports, job)
    stopped = exports.find(job.id, "ann")
    assert (stopped.state, exports.path(job.id).exists()) == ("cancelled", False)
    assert seen[-1][:2] == ("proving", 3)
    assert stopped.total > 3
    assert exports.take() is None
    monkeypatch.setattr(exports, "tell", tell)
    assert exports.resume(job.id, "ann").state == "waiting"
    work(world, exports)
    assert exports.find(job.id, "ann").state == "done"
    assert on_record(world) == 1  # once, however often it began


def test_a_job_whose_process_died_is_taken_up_by_another(world: World, exports: Exports) -> None:
    job = asked(exports)
    dead = exports.take()
    other = Exports(world.platform)
    work(world, other)
    assert other.find(job.id, "ann").state == "done"
    assert dead is not None
    for act in (lambda: exports.tell(dead, "reading", 1, 2), lambda: exports.end(dead, b"late")):
        with pytest.raises(StoppedError):
            act()
    assert verify.verify(exports.path(job.id).read_bytes(), world.log.vkey).status == 0
    assert on_record(world) == 1


def test_the_loop_makes_what_waits_and_only_one_process_works(world: World, exports: Exports) -> None:
    job = asked(exports)
    stop = threading.Event()
    with exports.working() as ours, Exports(world.platform).working() as theirs:
        assert (ours, theirs) == (True, False)
    thread = threading.Thread(
        target=export_worker.run, args=(world.log, world.credentials, stop), kwargs={"pause": 0.01}
    )
    thread.start()
    for _ in range(1000):
        if exports.find(job.id, "ann").state == "done":
            break
        stop.wait(0.01)
    stop.set()
    thread.join(10)
    assert exports.find(job.id, "ann").state == "done"


def test_what_cannot_be_made_says_why(world: World, exports: Exports) -> None:
    unknown = exports.ask(account="ann", did="d", role="auditor", subject="sub_x", scope=Scope())
    strange = asked(exports, field="contact.none")
    work(world, exports)
    assert exports.find(unknown.id, "ann").code == "unknown_subject"
    assert exports.find(strange.id, "ann").code == "unknown_field"
    exports.resume(unknown.id, "ann")
    work(world, exports)
    assert exports.find(unknown.id, "ann").state == "failed"


def test_another_accounts_export_does_not_exist(exports: Exports) -> None:
    job = asked(exports)
    for account, name in (("bob", job.id), ("ann", "0" * 32), ("ann", "../../keys/root"), ("ann", "")):
        for act in (exports.find, exports.cancel, exports.resume):
            with pytest.raises(EvidenceError) as refused:
                act(name, account)
            assert refused.value.code == "unknown_export"


def test_few_are_open_at_once_few_are_kept_and_none_longer_than_a_day(world: World, exports: Exports) -> None:
    for _ in range(MOST_OPEN):
        asked(exports)
    with pytest.raises(EvidenceError) as refused:
        asked(exports)
    assert refused.value.code == "too_many_exports"
    asked(exports, "bob")
    for _ in range(MOST_KEPT):
        work(world, exports)
        world.clock.advance(timedelta(seconds=1))
        last = asked(exports)
    assert len(exports.of("ann")) == MOST_KEPT
    work(world, exports)
    world.clock.advance(LIFE + timedelta(seconds=1))
    with pytest.raises(EvidenceError):
        exports.find(last.id, "ann")
    assert exports.take() is None
    assert list(exports.directory.glob("*.zip")) == []


def test_a_file_that_is_no_job_is_passed_over(exports: Exports) -> None:
    job = asked(exports)
    (exports.directory / f"{job.id}.json").write_text("{")
    (exports.directory / "readme.json").write_text("{}")
    assert exports.of("ann") == []


@pytest.mark.usefixtures("alone")
def test_over_http_an_export_is_asked_for_watched_fetched_and_cancelled(world: World, client: TestClient) -> None:
    world.journey()
    ann = token(world, "auditor")
    body = {"subject": SUBJECT, "purpose": "https://w3id.org/dpv#DirectMarketing", "from": "2026-11-22T00:00:00Z"}
    made = client.post("/audit/exports", json=body, headers=ann)
    assert made.status_code == 202
    path = f"/audit/exports/{made.json()['id']}"
    assert client.get(f"{path}/bundle", headers=ann).json()["code"] == "not_ready"
    assert client.get("/audit/exports", headers=ann).json()["items"] == [made.json()]
    work(world, Exports(world.platform))
    told = client.get(path, headers=ann).json()
    assert (told["state"], told["scope"]["from"]) == ("done", "2026-11-22T00:00:00.000Z")
    fetched = client.get(f"{path}/bundle", headers=ann)
    assert fetched.headers["cache-control"] == "no-store"
    assert "attachment" in fetched.headers["content-disposition"]
    assert verify.verify(fetched.content, world.log.vkey).status == 0
    assert client.get(path, headers=token(world, "dpo")).json()["code"] == "unknown_export"
    assert client.post(f"{path}/cancellation", headers=ann).json()["state"] == "cancelled"
    assert client.get(f"{path}/bundle", headers=ann).json()["code"] == "not_ready"
    assert client.post(f"{path}/resumption", headers=ann).json()["state"] == "waiting"
    for bad, code in (
        ({"from": "soon"}, "bad_datetime"),
        ({"from": "2027-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "bad_scope"),
    ):
        answer = client.post("/audit/exports", json={"subject": SUBJECT, **bad}, headers=ann)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
