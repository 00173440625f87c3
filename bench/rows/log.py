"""The log: a tree that grows, an outbox drained, a bundle verified."""

import hashlib
import importlib
import secrets
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median

from sqlalchemy import insert, select
from sqlmodel import SQLModel

from audit import bundle, drain, verify
from audit.log import Log, LogEntry
from audit.report import Outcome
from audit.tiles import AHEAD, WIDTH, Tiles
from bench import engine, result, scene
from bench.result import Result
from bench.scene import FIELDS, Scene
from bench.size import Size
from bench.timing import CPU, compare
from fieldgrant.compose import credentials
from protocol import event
from runtime import outbox
from runtime.outbox import Written
from runtime.platform import Platform

_BATCH = 500
_ENTRY = SQLModel.metadata.tables[str(LogEntry.__tablename__)]


def measure(size: Size) -> Iterator[Result]:
    """Processor time of each."""
    leaves = min(size.many, 20_000)
    yield _append(leaves, size.rounds)
    events = min(size.many, 100_000) // 20 if size.rounds < 5 else 20_000
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place, scene.opened(Path(place), 1) as made:
        log = Log(made.platform)
        drain.drain_all(log)
        yield _drain(made, log, events, min(size.rounds, 3))
    yield _verify(min(size.many, 100_000) // 20 if size.rounds < 5 else 100_000)


def _append(leaves: int, rounds: int) -> Result:
    name = f"log append, {leaves:,} leaves into tiles on disk, against pymerkle in memory"
    try:
        peer = importlib.import_module("pymerkle")
    except ImportError:
        return result.missing(name, "≤ 0.2", "pymerkle")
    data = [secrets.token_bytes(100) for _ in range(leaves)]
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place:
        number = count()

        def ours() -> None:
            tiles = Tiles(Path(place) / str(next(number)))
            for start in range(0, leaves, AHEAD * WIDTH):  # as a drain does that has so many waiting
                tiles.extend(start, data[start : start + AHEAD * WIDTH])

        def theirs() -> None:
            tree = peer.InmemoryTree(algorithm="sha256")
            for leaf in data:
                tree.append_entry(leaf)

        return result.costs(name, compare(ours, theirs, rounds=min(rounds, 3)), 0.2)


def _emit(made: Scene, events: int) -> None:
    subject, at = made.subjects[0], made.platform.clock.now()
    header = {"reader": made.reader().did, "role": "marketing", "query": {"select": list(FIELDS)}}
    data = {"released": sorted(FIELDS), "withheld": {}, "version": 1, "grounds": {"urn:uuid:1": sorted(FIELDS)}}
    for start in range(0, events, _BATCH):
        with made.platform.database.write() as session:
            for _ in range(start, min(start + _BATCH, events)):
                outbox.emit(session, event.RELEASE, at=at, header=header, records=[(subject, data)])


def _drain(made: Scene, log: Log, events: int, rounds: int) -> Result:
    """Against a batched insert of the very rows into an equal table of another database."""
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place:
        from runtime.session import Database  # noqa: PLC0415 - a second database only for this row

        plain = Database(engine.url(Path(place) / "plain.db"))
        with plain.write() as session:
            _ENTRY.create(session.connection(), checkfirst=True)
        for _ in range(rounds):
            _emit(made, events)
            before = drain.newest(log)
            begun = CPU()
            drain.drain_all(log)
            ours = CPU() - begun
            with made.platform.database.read() as session:
                newest = _ENTRY.c.outbox_id > before - events
                rows = [dict(row) for row in session.connection().execute(select(_ENTRY).where(newest)).mappings()]
            begun = CPU()
            for start in range(0, len(rows), _BATCH):
                with plain.write() as session:
                    session.connection().execute(insert(_ENTRY), rows[start : start + _BATCH])
            found.append((ours / events * 1e6, (CPU() - begun) / len(rows) * 1e6))
        plain.dispose()
    ours, theirs = (median(column) for column in zip(*found, strict=True))
    control = round(found[-1][0] / found[0][0], 3)
    name = f"drain of {events:,} events, against a batched insert of their leaves"
    return result.of(name, ours, theirs, 2, "at most", "µs", control=control)


def _verify(events: int) -> Result:
    """A bundle of one customer who was read so often: each event that of a real read, under their own consent."""
    from tests.attacks.house import EMAIL, built  # noqa: PLC0415 - only this row needs the tests' house

    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place, built(Path(place), customers=1) as house:
        person = house.people[0]
        house.start(0)
        house.enrol(person)
        house.give(person, [EMAIL])
        house.shown(person)
        house.stop()
        _again(house.platform, events)
        log = Log(house.platform)
        zipped = bundle.export(log, credentials, subject=person.subject, field=None, by="did:key:z6Mk", role="dpo")
        with house.platform.database.read() as session:
            leaves = list(session.connection().execute(select(_ENTRY.c.leaf)).scalars())

    def ours() -> None:
        if report := [one for one in verify.verify(zipped, log.vkey).checks if one.outcome is not Outcome.OK]:
            raise AssertionError(report)

    def plain() -> None:
        for leaf in leaves:
            hashlib.sha256(leaf).digest()

    found = compare(ours, plain, reference_calls=3, rounds=2)
    name = f"verify a bundle of {len(leaves):,} events, against SHA-256 of the leaves"
    return result.costs(name, found, 15, note=f"bundle {len(zipped) // 2**20} MiB; peak {result.peak()} MiB")


def _again(platform: Platform, events: int) -> None:
    """The newest release so many times more."""
    table = SQLModel.metadata.tables["outbox"]
    newest = select(table).where(table.c.type == event.RELEASE).order_by(table.c.id.desc()).limit(1)
    with platform.database.read() as session:
        row = session.connection().execute(newest).one()
    one = Written(type=event.RELEASE, at=platform.clock.now(), header=row.header, records=row.records, count=1)
    for start in range(0, events, _BATCH):
        with platform.database.write() as session:
            outbox.emit_written(session, [one] * min(_BATCH, events - start))
