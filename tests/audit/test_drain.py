"""The drain: the same events make the same tree, whoever is killed when, and no head goes without its tiles."""

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, delete, select

from audit import drain, worker
from audit.log import Log, LogCheckpoint, LogEntry, LogRecord, latest
from protocol import log as rfc
from protocol import note
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from runtime.outbox import Outbox
from tests.audit import rfc6962
from tests.audit.world import OTHER, SUBJECT, World

ROOT = Path(__file__).resolve().parents[2]


def bodies(world: World) -> list[tuple[bytes, bytes]]:
    with world.platform.database.read() as session:
        return [
            pair
            for event in drain.outbox.pending(session, 0, 10_000)
            for pair in zip(event.salts, event.bodies(), strict=True)
        ]


def test_every_event_becomes_the_leaf_that_an_independent_reader_expects(world: World) -> None:
    world.journey()
    world.page("release", [(SUBJECT, {"version": 3}), (OTHER, {"version": 1}), (None, {"note": "x"})])
    world.drain()
    checkpoint = world.log.checkpoint()
    assert checkpoint is not None
    origin, size, root = rfc6962.read_checkpoint(checkpoint)
    leaves = rfc6962.leaves_on_disk(world.log.directory, size)
    assert origin == "localhost:8700/audit"
    assert rfc6962.mth(leaves) == root
    rfc6962.check_hash_tiles(world.log.directory, leaves)
    links: dict[Any, list[bytes]] = {}
    with world.platform.database.read() as session:
        events = drain.outbox.pending(session, 0, 10_000)
    assert len(events) == size
    for event, leaf in zip(events, leaves, strict=True):
        small = []
        for (subject, _), salt, body in zip(event.records, event.salts, event.bodies(), strict=True):
            chain = links.setdefault(subject, [bytes(32)])
            chain.append(
                rfc6962.sha(b"\x02" + (len(chain) - 1).to_bytes(8, "big") + chain[-1] + rfc6962.sha(salt + body))
            )
            small.append(chain[-1])
        document = json.loads(leaf)
        assert document["root"] == base64.b64encode(rfc6962.mth(small)).decode()
        assert document["type"] == event.type
        assert document["time"] == json.loads(event.bodies()[0])["time"]


def test_the_log_names_no_subject_field_or_reader(world: World) -> None:
    world.journey()
    world.drain()
    public = b"".join(path.read_bytes() for path in world.log.directory.rglob("*") if path.is_file())
    for word in (b"sub_", b"contact.email", b"did:key", b"DirectMarketing"):
        assert word not in public


def test_any_two_heads_ever_signed_are_consistent(world: World) -> None:
    for number in range(300):
        world.emit("release", {"version": 1, "n": number})
        if number % 37 == 0 or number in (254, 255, 256):
            world.drain()
    world.drain()
    with world.platform.database.read() as session:
        heads = session.exec(select(LogCheckpoint).order_by(col(LogCheckpoint.size))).all()
        leaves = list(session.exec(select(LogEntry.leaf).order_by(col(LogEntry.leaf_index))).all())
    assert len(heads) > 9
    for number, new in enumerate(heads):
        assert rfc6962.mth(leaves[: new.size]) == new.root
        for old in heads[: number + 1]:
            proof = rfc6962.proof(old.size, leaves[: new.size])
            assert world.log.merkle(heads[-1].size).consistency(new.size) == rfc6962.proof(new.size, leaves)
            rfc.verify_consistency(old.size, old.root, new.size, new.root, proof)


def test_a_drain_with_nothing_to_do_signs_nothing_new(world: World) -> None:
    world.emit("release", {"version": 1})
    assert world.drain() == 2
    before = world.log.checkpoint()
    assert world.drain() == 0
    assert world.log.checkpoint() == before


def test_draining_in_small_steps_or_at_once_makes_the_same_tree(world: World) -> None:
    for number in range(20):
        world.emit("release", {"version": 1, "n": number})
    while drain.drain(world.log, limit=3):
        pass
    step_by_step = world.log.head().root
    with world.platform.database.write("owner") as session:
        for table in (LogEntry, LogRecord, LogCheckpoint):
            session.exec(delete(table))
    shutil.rmtree(world.log.directory)
    assert drain.drain_all(Log(world.platform)) == 21
    assert world.log.head().root == step_by_step


def sizes(world: World) -> list[int]:
    with world.platform.database.read() as session:
        return list(session.exec(select(LogCheckpoint.size).order_by(col(LogCheckpoint.size))).all())


def test_many_that_wait_come_under_one_head_where_a_tile_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(600):
        world.emit("release", {"version": 1, "n": number})
    taken: list[int] = []
    took = drain._take
    monkeypatch.setattr(drain, "_take", lambda log, limit: taken.append(limit) or took(log, limit))
    assert drain.drain(world.log, limit=100, leaves=300) == 256
    assert taken == [100, 100, 56]
    assert not list((world.log.directory / "tile").glob("entries/*.p"))
    while drain.drain(world.log, limit=100, leaves=300):
        pass
    assert sizes(world) == [256, 512, 601]


def test_no_more_wait_for_a_head_than_one_drain_may_leave(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(600):
        world.emit("release", {"version": 1, "n": number})

    def killed(_log: Log, _head: object) -> None:
        raise OSError("killed")

    with monkeypatch.context() as killing:
        killing.setattr(drain, "_publish", killed)
        for _ in range(3):
            with pytest.raises(OSError, match="killed"):
                drain.drain(Log(world.platform), limit=100, leaves=300)
    with world.platform.database.read() as session:
        assert drain.leaf_count(session) == 256
    assert drain.drain_all(Log(world.platform)) == 345
    assert sizes(world) == [256, 601]


def test_drains_at_the_same_time_log_each_event_once(world: World) -> None:
    for number in range(40):
        world.emit("release", {"version": 1, "n": number})
    logs = [Log(world.platform) for _ in range(4)]
    counts: list[int] = []
    threads = [
        threading.Thread(target=lambda log=log: counts.append(sum(iter(lambda: drain.drain(log, limit=3), 0))))  # type: ignore[misc]
        for log in logs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 41
    with world.platform.database.read() as session:
        assert session.exec(
            select(LogRecord.seq).where(LogRecord.subject == SUBJECT).order_by(col(LogRecord.seq))
        ).all() == list(range(40))


def forked(world: World) -> str:
    with pytest.raises(EvidenceError) as caught:
        drain.drain(Log(world.platform))
    return caught.value.code


@pytest.fixture
def drained(world: World) -> World:
    for number in range(5):
        world.emit("release", {"version": 1, "n": number})
    world.drain()
    return world


def test_it_does_not_go_on_when_a_tile_was_changed(drained: World) -> None:
    tile = drained.log.directory / "tile/0/000.p/6"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert forked(drained) == "log_forked"


def test_it_does_not_go_on_when_an_event_in_the_database_was_changed(drained: World) -> None:
    with drained.platform.database.write("owner") as session:
        entry = session.get_one(LogEntry, 2)
        entry.leaf = entry.leaf.replace(b"release", b"refusal")
        session.add(entry)
    assert forked(drained) == "log_forked"


def test_it_does_not_go_on_after_the_tiles_were_lost(drained: World) -> None:
    shutil.rmtree(drained.log.directory)
    assert forked(drained) == "log_forked"


def test_it_does_not_go_on_over_a_database_that_is_older_than_the_log(drained: World) -> None:
    with drained.platform.database.write("owner") as session:
        session.exec(delete(LogEntry).where(col(LogEntry.leaf_index) >= 3))
        session.exec(delete(LogRecord).where(col(LogRecord.leaf_index) >= 3))
        session.exec(delete(LogCheckpoint))
    assert forked(drained) == "log_ahead_of_database"


def test_it_does_not_go_on_under_a_checkpoint_of_another_key(drained: World) -> None:
    other = Ed25519Signer.generate()
    text = note.checkpoint(drained.log.origin, 6, drained.log.head().root)
    (drained.log.directory / "checkpoint").write_text(note.sign_note(text, drained.log.origin, other))
    assert forked(drained) == "log_forked"


def test_it_does_not_go_on_under_another_root_that_its_own_key_signed(drained: World) -> None:
    for size, origin in ((6, drained.log.origin), (6, "else/audit"), (4, drained.log.origin)):
        text = note.checkpoint(origin, size, bytes(32))
        (drained.log.directory / "checkpoint").write_text(note.sign_note(text, drained.log.origin, drained.log.signer))
        assert forked(drained) == "log_forked"


def test_a_running_drain_notices_a_fork_too(drained: World) -> None:
    text = note.checkpoint(drained.log.origin, 6, bytes(32))
    (drained.log.directory / "checkpoint").write_text(note.sign_note(text, drained.log.origin, drained.log.signer))
    with pytest.raises(EvidenceError, match="log_forked"):
        drain.drain(drained.log)


def test_two_heads_of_one_size_are_a_fork(drained: World) -> None:
    with drained.platform.database.write("owner") as session:
        head = latest(session)
        assert head is not None
        head.root = bytes(32)
        session.add(head)
    assert forked(drained) == "log_forked"


def test_the_controllers_document_is_put_on_record_once(world: World) -> None:
    world.log.introduce()
    world.log.introduce()
    with world.platform.database.read() as session:
        assert len(session.exec(select(Outbox).where(Outbox.type == "controller.published")).all()) == 1


def test_the_worker_drains_and_ends_when_told(world: World) -> None:
    with worker.running(world.log, pause=0.01):
        world.emit("release", {"version": 1})
        for _ in range(500):
            if world.log.head().size == 2:
                break
            threading.Event().wait(0.01)
    assert world.log.head().size == 2


def test_the_worker_tells_of_trouble_and_goes_on(
    drained: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = threading.Event()
    monkeypatch.setattr(worker, "_AFTER_TROUBLE", 0.01)
    troubles = [EvidenceError("log_forked", "x"), OSError("/a/path"), None]

    def failing(_log: Log) -> int:
        trouble = troubles.pop(0)
        if trouble is not None:
            raise trouble
        stop.set()
        return 0

    monkeypatch.setattr(drain, "drain_all", failing)
    worker.run(drained.log, stop, pause=0.01)
    assert "log_forked" in caplog.text
    assert "OSError" in caplog.text
    assert "/a/path" not in caplog.text


def kills(home: Path, work: Path, *mode: str) -> list[dict[str, Any]]:
    program = [sys.executable, str(Path(__file__).with_name("kill_drain.py")), str(home), str(work), *mode]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def waiting(tmp_path: Path) -> tuple[World, Path]:
    """A platform whose log has a head and whose outbox has more."""
    home = tmp_path / "home"
    world = World(home)
    for number in range(2):
        world.emit("release", {"version": 1, "n": number})
    world.drain()
    for number in range(2):
        world.page("release", [(SUBJECT, {"n": number}), (OTHER, {"n": number})])
    world.platform.close()
    return world, home


def whole(seen: Path) -> bool:
    """Whether the head that the world sees has its tiles and is that of its leaves."""
    _, size, root = rfc6962.read_checkpoint((seen / "checkpoint").read_bytes())
    try:
        leaves = rfc6962.leaves_on_disk(seen, size)
        rfc6962.check_hash_tiles(seen, leaves)
    except (OSError, AssertionError):
        return False
    return rfc6962.mth(leaves) == root


@pytest.mark.slow
def test_killed_at_any_line_it_comes_to_the_same_tree(tmp_path: Path) -> None:
    _, home = waiting(tmp_path)
    runs = kills(home, tmp_path)
    assert len(runs) > 60
    assert {run["killed"] for run in runs} == {signal.SIGKILL}
    assert all(whole(Path(run["seen"])) for run in runs), "a head was seen without its tiles"
    assert len({run["found"]["checkpoint"] for run in runs}) == 1, "two ends of one story"
    assert {run["found"]["again"] for run in runs} == {0}
    assert all(whole(Path(run["home"]) / "data" / "log") for run in runs)


def test_control_a_head_signed_before_its_tiles_is_seen_without_them(tmp_path: Path) -> None:
    _, home = waiting(tmp_path)
    assert not all(whole(Path(run["seen"])) for run in kills(home, tmp_path, "swapped"))
