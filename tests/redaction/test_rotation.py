"""The speed of a rotation, as a ratio: what it costs per data key, and how long anybody waits for the write lock."""

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlmodel import Session

from crm_core import records, seal
from protocol.consent import SubjectId
from redaction import replica, rewrapping, rotation, rotations, status
from redaction.rewrapping import HANDFUL
from redaction.rotations import Rotation
from runtime.dialect import Role
from runtime.keyring import BUCKETS, bucket_of
from runtime.session import Database
from tests.redaction.world import World

BUCKET, KEYS, MANY = 7, 4_000, 40_000
LONGEST = 0.05  # seconds of the processor under the write lock; the wait for the disk comes to it


def filled(world: World, count: int, bucket: int = BUCKET) -> list[SubjectId]:
    """Records of one bucket, as an import makes them, past everything else."""
    epoch, key = world.platform.keyring.current(bucket)
    org, made = world.platform.controller, []
    for number in range(bucket * MANY, bucket * MANY + count):
        subject = SubjectId(f"sub_{base64.b32encode(number.to_bytes(16, 'big')).decode().rstrip('=').lower()}")
        place = seal.DataKeyPlace(org=org, subject=subject, generation=1, bucket=bucket, epoch=epoch)
        made.append(
            records.Record(
                subject=subject, created_at="", bucket=bucket, epoch=epoch, generation=1,
                wrapped=seal.wrap(secrets.token_bytes(32), key, place), cells=secrets.token_bytes(500),
            )
        )  # fmt: skip
    with world.platform.database.write("owner") as session:
        records.insert(session, made)
    return [one.subject for one in made]


def begun(world: World) -> int:
    epoch = world.platform.keyring.begin_rotation(BUCKET)
    with world.platform.database.write("owner") as session:
        session.add(Rotation(bucket=BUCKET, epoch=epoch, ended="[1]", began_at="2026-11-22T08:00:00.000Z"))
    return epoch


@pytest.mark.alone
def test_a_rotation_costs_little_more_than_its_cryptography_and_lets_writers_in_between(world: World) -> None:
    subjects = filled(world, KEYS)
    with world.platform.database.read() as session:
        keys = records.behind(session, BUCKET, 0, KEYS)
    epoch = begun(world)
    began = time.process_time()
    records.wrapped_anew(world.platform, BUCKET, keys, epoch)
    alone = time.process_time() - began
    stop, waits = threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            asked = time.perf_counter()
            with world.platform.database.write("owner"):
                waits.append(time.perf_counter() - asked)
            time.sleep(0.001)

    thread = threading.Thread(target=write, daemon=True)
    began = time.process_time()
    thread.start()
    try:
        rotation.rotate(world.platform, [BUCKET])
    finally:
        stop.set()
        thread.join(10)
    assert time.process_time() - began < 12 * alone + 0.5  # the writer's own work is in it
    assert len(waits) >= KEYS // HANDFUL
    with world.platform.database.read() as session:
        row = session.get_one(Rotation, (BUCKET, epoch))
        assert records.behind(session, BUCKET, epoch, 1) == []
    assert (row.rewrapped, row.destroyed_at is not None) == (KEYS, True)
    assert set(replica.read(world.platform, BUCKET)) == set(subjects)


@dataclass
class Others:
    """Who else works with the database meanwhile: how often they got through, and how long the rotation held the lock.

    Held counts the processor's time.
    """

    world: World
    reads: int = 0
    writes: int = 0
    held: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """A snapshot, and then what a read writes down of it: a read waits for the write lock too."""
        with self.world.platform.database.read() as session:
            records.behind(session, BUCKET, 0, 20)
        with self.world.platform.database.write("owner"):
            self.reads += 1

    def write(self) -> None:
        with self.world.platform.database.write("owner"):
            self.writes += 1

    def _again(self, act: Callable[[], None]) -> None:
        while not self._stop.is_set():
            act()
            time.sleep(0.001)

    @contextmanager
    def working(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Two of them at work; of each transaction it is noted how long it kept the processor under the lock."""
        real, rotating = Database.write, threading.current_thread()

        @contextmanager
        def timed(database: Database, *role: Role) -> Iterator[Session]:
            with real(database, *role) as session:
                began = time.thread_time()
                yield session
                took = time.thread_time() - began
            if threading.current_thread() is rotating:
                self.held.append(took)

        monkeypatch.setattr(Database, "write", timed)
        threads = [threading.Thread(target=self._again, args=(act,), daemon=True) for act in (self.read, self.write)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in threads:
                one.join(10)
            monkeypatch.setattr(Database, "write", real)


@pytest.mark.parametrize("handful", [HANDFUL, pytest.param(MANY, id="control: all at once")])
def test_a_rotation_of_40_000_keys_holds_up_nobody_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch, handful: int
) -> None:
    monkeypatch.setattr(rewrapping, "HANDFUL", handful)
    monkeypatch.setattr(rewrapping, "READ", max(handful, rewrapping.READ))
    filled(world, MANY)
    epoch, others = begun(world), Others(world)
    with others.working(monkeypatch):
        rotation.rotate(world.platform, [BUCKET])
    with world.platform.database.read() as session:
        assert session.get_one(Rotation, (BUCKET, epoch)).rewrapped == MANY
    if handful == HANDFUL:
        assert max(others.held) < LONGEST
        assert min(others.reads, others.writes) > MANY // HANDFUL // 2, "they come in between"
    else:
        assert max(others.held) > LONGEST, "or the test could not fail"


def test_how_far_a_rotation_has_come_can_be_seen_while_it_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(world, KEYS)
    begun(world)
    seen, move = [], rewrapping._move

    def looked(*more: object) -> None:
        move(*more)  # type: ignore[arg-type]
        with world.platform.database.read() as session:
            seen.append(status.progress(session).rotating[BUCKET])

    monkeypatch.setattr(rewrapping, "_move", looked)
    rotation.rotate(world.platform, [BUCKET])
    assert seen == [(moved, KEYS) for moved in range(HANDFUL, KEYS + 1, HANDFUL)]


def test_a_data_key_that_changes_while_it_is_wrapped_anew_stays_as_it_was_changed(world: World) -> None:
    (subject,) = filled(world, 1)
    epoch = begun(world)
    with world.platform.database.read() as session:
        moves = records.wrapped_anew(world.platform, BUCKET, records.behind(session, BUCKET, epoch, 10), epoch)
        old = records.load(session, subject)
    assert old is not None
    with world.platform.database.write("owner") as session:
        records.put_back(session, records.seal_record(
            world.platform, subject, generation=2, created_at="", values={},
            under=world.platform.keyring.current(BUCKET),
        ))  # fmt: skip
    with world.platform.database.write("owner") as session:
        records.move(session, moves)
    with world.platform.database.read() as session:
        new = records.load(session, subject)
    assert new is not None
    assert new.generation == 2
    assert new.wrapped != moves[0][1]


def test_a_broken_replica_is_as_good_as_none(world: World) -> None:
    path = replica.place(world.platform, BUCKETS - 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = ("", "[]", '{"keys": []}', '{"subjects": ["sub_a"], "generations": ["x"]}')
    for text in texts:
        path.write_text(text)
        assert replica.read(world.platform, BUCKETS - 1) == {}
    path.unlink()
    for text in (*texts, *(f"{BUCKETS - 1} {text}\n" for text in texts)):
        replica.common(world.platform, BUCKETS - 1).write_text(text)
        assert replica.read(world.platform, BUCKETS - 1) == {}


def test_small_buckets_share_a_replica_and_none_loses_anothers_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(world, 3)
    assert replica.read(world.platform, BUCKET) == {}
    neighbour = BUCKET ^ 1
    world.platform.keyring.current(neighbour)
    replica.write_all(world.platform, [(neighbour, 1)])
    replica.write_all(world.platform, [(BUCKET, 1)])
    kept = replica.read(world.platform, BUCKET)
    assert len(kept) == 3
    replica.write_all(world.platform, [(neighbour, 1)])
    assert replica.read(world.platform, BUCKET) == kept
    assert replica.common(world.platform, BUCKET) == replica.common(world.platform, neighbour)
    assert not replica.place(world.platform, BUCKET).exists()
    monkeypatch.setattr(replica, "_SMALL", 2)  # it has grown, and was never rotated small again
    replica.common(world.platform, BUCKET).write_text("")
    replica.write_all(world.platform, [(BUCKET, 1)])
    assert replica.place(world.platform, BUCKET).exists()
    assert replica.read(world.platform, BUCKET) == kept


@pytest.mark.parametrize("held", [None, 3])
def test_a_rotation_remembers_no_more_keys_than_it_may(
    world: World, monkeypatch: pytest.MonkeyPatch, held: int | None
) -> None:
    buckets, steps = [BUCKET, BUCKET + 1, BUCKET + 16], list[tuple[str, int]]()
    subjects = [subject for bucket in buckets for subject in filled(world, 2, bucket)]
    epochs = {bucket: world.platform.keyring.begin_rotation(bucket) for bucket in buckets}
    with world.platform.database.write("owner") as session:
        rotations.begin(session, {bucket: (epoch, [1]) for bucket, epoch in epochs.items()}, "x")
    if held:
        monkeypatch.setattr(rewrapping, "HELD", held)
    monkeypatch.setattr(rewrapping, "READ", 1)
    real, read, keys = replica.write_all, replica.read, records.wrapped_keys

    def writing(platform: Any, some: Any, known: dict[int, Any], *more: Any) -> None:
        steps.append(("known", sum(map(len, known.values()))))
        assert all(known[bucket] for bucket, _ in some)
        real(platform, some, known, *more)

    monkeypatch.setattr(replica, "write_all", writing)
    monkeypatch.setattr(replica, "read", lambda *one: steps.append(("before", one[1])) or read(*one))
    monkeypatch.setattr(records, "wrapped_keys", lambda *one: steps.append(("keys", one[1])) or keys(*one))
    with world.platform.database.read() as session:
        rows = rotations.pending(session, buckets)
    assert rewrapping.rewrap(world.platform, rows) == set(buckets)
    told = [number for what, number in steps if what == "known"]
    assert (sum(told) >= 6, max(told) <= 4) == (True, True) if held else told == [6]
    one_by_one = [(what, bucket) for what, bucket in steps if what != "known"]
    assert [what for what, _ in one_by_one] == ["before", "keys"] * 3
    monkeypatch.undo()
    assert sorted(one for bucket in buckets for one in replica.read(world.platform, bucket)) == sorted(subjects)
    assert {key[1] for bucket in buckets for key in replica.read(world.platform, bucket).values()} == {epochs[BUCKET]}


def test_of_a_bucket_in_two_replicas_each_customers_newest_key_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = filled(world, 3)
    monkeypatch.setattr(replica, "_SMALL", 0)
    replica.write_all(world.platform, [(BUCKET, 1)])  # it was large
    old = replica.read(world.platform, BUCKET)
    monkeypatch.undo()
    epoch = begun(world)
    rotation.rotate(world.platform, [BUCKET])  # and is small now
    found = replica.read(world.platform, BUCKET)
    assert set(found) == set(subjects) == set(old)
    assert {key[1] for key in found.values()} == {epoch}
    assert {key[1] for key in old.values()} == {1}


def test_a_customer_who_comes_while_a_replica_is_made_holds_nothing_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several buckets are read in one snapshot; who comes after it is in none of them, and not missed either."""
    known = world.customer()
    bucket = bucket_of(known.subject)
    other = next(one for one in iter(world.customer, None) if bucket_of(one.subject) != bucket)
    theirs = bucket_of(other.subject)
    epochs = {}
    with world.platform.database.read() as session:
        for who in (known, other):
            [(_, _, epochs[bucket_of(who.subject)], _)] = records.wrapped_keys(session, bucket_of(who.subject))
    replica.write_all(world.platform, [(bucket, epochs[bucket])])  # one has a replica, the other none
    read, came = records.wrapped_keys, []

    def slow(session: Session, asked: int) -> Any:
        found = read(session, asked)
        if asked == bucket and not came:
            came.append(world.neighbour(other))
        return found

    monkeypatch.setattr(records, "wrapped_keys", slow)
    replica.write_all(world.platform, [(theirs, epochs[theirs]), (bucket, epochs[bucket])])
    assert came
    assert set(replica.read(world.platform, theirs)) == {other.subject}
