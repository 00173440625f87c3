"""After a restore the log goes on where it was signed: no fork, no place given twice, and what was lost is said."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import col, select

from audit import agreement, drain, recovery, verify
from audit.log import Head, Log, LogEntry, LogRecord
from audit.report import Outcome
from protocol import log as rfc
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from runtime.outbox_chain import INFO, START
from tests.audit import rfc6962
from tests.audit.world import OTHER, SUBJECT, World
from tests.engine import hand


@contextlib.contextmanager
def restored(world: World) -> Iterator[None]:
    """What happens inside is lost from the database; log and journal keep what they have."""
    file = world.platform.settings.db_dir / "fieldgrant.db"
    copy = file.with_suffix(".backup")
    with contextlib.closing(hand.connect(file)) as live, contextlib.closing(hand.connect(copy)) as backup:
        live.backup(backup)
    yield
    world.platform.database.dispose()
    with contextlib.closing(hand.connect(copy)) as backup, contextlib.closing(hand.connect(file)) as live:
        backup.backup(live)
    world.platform.database._info[INFO].replaced(START)  # whoever serves after a restore is another process


CHANGED = "CAST(replace(CAST(leaf AS TEXT), 'release', 'refusal') AS BLOB)"


def sql(world: World, statement: str, *values: object) -> None:
    with contextlib.closing(hand.connect(world.platform.settings.db_dir / "fieldgrant.db")) as live:
        live.execute(statement, values)
        live.commit()


def code(call: Callable[[], object]) -> str | None:
    try:
        call()
    except EvidenceError as error:
        return error.code
    return None


def compared(world: World) -> str | None:
    return code(lambda: recovery.compare(Log(world.platform)))


def grows(world: World, old: Head) -> None:
    """The head of now is consistent with an older one, and the tiles are those of its leaves."""
    log = Log(world.platform)
    drain.drain_all(log)
    new = log.head()
    proof = log.merkle(new.size).consistency(old.size)
    rfc.verify_consistency(old.size, old.root, new.size, new.root, proof)
    leaves = rfc6962.leaves_on_disk(log.directory, new.size)
    assert rfc6962.mth(leaves) == new.root
    with world.platform.database.read() as session:
        assert log.check(session).size == new.size
        for subject in (SUBJECT, OTHER, ""):
            rows = session.exec(select(LogRecord).where(LogRecord.subject == subject).order_by(col(LogRecord.seq)))
            before = bytes(32)
            for number, row in enumerate(rows):
                assert (row.seq, row.prev) == (number, before)
                before = row.link
        assert recovery.compare(log) is None  # type: ignore[func-returns-value]


def told(world: World, count: int, subject: object = SUBJECT) -> None:
    for number in range(count):
        world.emit("release", {"version": 1, "n": number}, subject=subject)


@pytest.fixture
def busy(world: World) -> World:
    told(world, 5)
    world.drain()
    return world


def test_a_log_in_order_needs_nothing(busy: World) -> None:
    assert compared(busy) is None
    assert recovery.recover(Log(busy.platform)).nothing
    told(busy, 3)
    assert recovery.recover(Log(busy.platform)).nothing
    grows(busy, busy.log.head())


@pytest.mark.parametrize("count", [1, 7, 300, 700])
def test_an_older_database_is_brought_up_to_the_signed_head_and_the_log_goes_on(busy: World, count: int) -> None:
    told(busy, 3)  # in the backup's outbox, logged after it
    with restored(busy):
        told(busy, count)
        told(busy, 2, OTHER)
        busy.drain()
        old = busy.log.head()
    assert compared(busy) == "log_ahead_of_database"
    assert code(lambda: drain.drain(Log(busy.platform))) == "log_ahead_of_database"
    seen = recovery.recover(Log(busy.platform), dry_run=True)
    assert compared(busy) == "log_ahead_of_database"
    found = recovery.recover(Log(busy.platform))
    assert seen == found
    assert (found.size, found.known, found.matched, found.lost, found.unknown) == (count + 11, 6, 3, count + 2, 0)
    assert recovery.recover(Log(busy.platform)).nothing
    told(busy, 4)
    told(busy, 1, OTHER)
    grows(busy, old)
    assert busy.drain() == 0


def test_events_written_before_anybody_reconciled_come_after_what_was_lost(busy: World) -> None:
    with restored(busy):
        told(busy, 4)
        busy.drain()
        old = busy.log.head()
    told(busy, 2, OTHER)
    found = recovery.recover(Log(busy.platform))
    assert (found.matched, found.lost) == (0, 4)
    grows(busy, old)
    with busy.platform.database.read() as session:
        places = session.exec(select(LogRecord.leaf_index).where(LogRecord.subject == OTHER)).all()
    assert places == [10, 11]


def test_a_bundle_after_a_restore_says_what_is_there_as_commitments_only(busy: World) -> None:
    busy.enrol()
    with restored(busy):
        busy.collect("contact.email")
        told(busy, 2)
        busy.drain()
    recovery.recover(Log(busy.platform))
    busy.collect("contact.email")
    for field in (None, "contact.email"):
        report = verify.verify(busy.export(field), busy.log.vkey)
        assert "body_missing" in [check.code for check in report.checks]
        assert {one.name for one in report.checks if one.outcome is Outcome.FAILED} <= {"releases"}  # told by hand
    with restored(busy):
        busy.collect("address.city")
        busy.drain()
    recovery.recover(Log(busy.platform))
    codes = [check.code for check in verify.verify(busy.export("contact.email"), busy.log.vkey).checks]
    assert codes.count("body_missing") == 1


def test_without_the_chains_it_refuses_and_goes_on_only_when_told_to(busy: World) -> None:
    with restored(busy):
        told(busy, 4)
        busy.drain()
        old = busy.log.head()
    (busy.platform.settings.journal_dir / "chains.jsonl").unlink()
    assert code(lambda: recovery.recover(Log(busy.platform))) == "chains_missing"
    found = recovery.recover(Log(busy.platform), accept_gaps=True)
    assert (found.lost, found.unknown) == (0, 4)
    told(busy, 1)
    grows(busy, old)


def test_an_edited_line_of_the_chains_is_not_believed(busy: World) -> None:
    with restored(busy):
        told(busy, 2)
        busy.drain()
    path = busy.platform.settings.journal_dir / "chains.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], lines[-1].replace(SUBJECT.encode(), OTHER.encode())]))
    # the subject is not in the link, but its place in another's chain is taken or leaves a gap
    assert code(lambda: recovery.recover(Log(busy.platform))) == "chains_missing"


@pytest.mark.parametrize("harm", ["gone", "checkpoint", "one tile", "edited tile", "older"])
def test_a_log_that_lost_tiles_or_its_checkpoint_is_written_anew_from_the_database(
    busy: World, tmp_path: Path, harm: str
) -> None:
    log = busy.log.directory
    shutil.copytree(log, tmp_path / "older")
    told(busy, 300)
    busy.drain()
    old = busy.log.head()
    if harm == "gone":
        shutil.rmtree(log)
    elif harm == "checkpoint":
        (log / "checkpoint").write_bytes(b"not ours\n")
    elif harm == "one tile":
        (log / "tile/entries/000").unlink()
    elif harm == "edited tile":
        tile = log / "tile/0/000"
        tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    else:
        shutil.rmtree(log)
        shutil.copytree(tmp_path / "older", log)
    assert code(lambda: drain.drain(Log(busy.platform))) is not None
    assert recovery.recover(Log(busy.platform), dry_run=True).rewritten is (harm != "checkpoint")
    recovery.recover(Log(busy.platform))
    assert compared(busy) is None
    assert Log(busy.platform).head() == old
    told(busy, 1)
    grows(busy, old)


def test_a_leaf_that_somebody_changed_in_the_database_is_what_was_signed_again(busy: World) -> None:
    old = busy.log.head()
    sql(busy, f"UPDATE log_entry SET leaf = {CHANGED} WHERE leaf_index = 3")  # noqa: S608 - ours
    assert code(lambda: drain.drain(Log(busy.platform))) == "log_forked"
    found = recovery.recover(Log(busy.platform))
    assert (found.known, found.matched) == (3, 3)
    grows(busy, old)


def test_a_head_that_nobody_can_make_is_not_gone_on_from(busy: World) -> None:
    sql(busy, f"UPDATE log_entry SET leaf = {CHANGED} WHERE leaf_index = 3")  # noqa: S608 - ours
    (busy.log.directory / "tile/entries/000.p/6").unlink()
    assert code(lambda: recovery.recover(Log(busy.platform))) == "log_forked"
    other = Ed25519Signer.generate()
    sql(busy, "UPDATE log_checkpoint SET note = ?", other.public)
    (busy.log.directory / "checkpoint").write_bytes(b"edited\n")
    assert code(lambda: recovery.recover(Log(busy.platform))) == "log_forked"


def test_an_end_that_is_in_the_log_and_not_in_the_journal_is_named(busy: World) -> None:
    with restored(busy):
        busy.emit("consent.withdrawn", {"version": 3})
        at = busy.clock.now()
        busy.drain()
    recovery.recover(Log(busy.platform))
    (ending,) = agreement.compare(Log(busy.platform)).unanswered
    assert (ending.subject, ending.type) == (SUBJECT, "consent.withdrawn")
    for subject, left in ((OTHER, (ending,)), (SUBJECT, ())):
        line = {"kind": "narrowing", "subject": subject, "version": 3, "ended": [], "evidence": {}, "at": ending.at}
        busy.platform.journal.append(line)
        assert agreement.compare(Log(busy.platform)).unanswered == left
    assert at.isoformat()[:19] == ending.at[:19]


def test_lost_leaves_stay_lost_when_the_chains_are_written_again(busy: World) -> None:
    with restored(busy):
        told(busy, 3)
        busy.drain()
    recovery.recover(Log(busy.platform))
    told(busy, 2)
    grows(busy, busy.log.head())
    with busy.platform.database.read() as session:
        assert session.exec(select(LogEntry.leaf_index).where(col(LogEntry.lost))).all() == [6, 7, 8]
    assert [line.leaf_index for line in busy.log.chains.lines(0, 99)] == list(range(12))
