"""Rewrapping: all data keys of a bucket move to its new epoch, a few at a time, and into the replica.

Keys are wrapped anew without any lock, and put in their place a few at a time: nobody else, who only wants to write
down a read, waits for more than one such handful. A key that changed meanwhile is taken up again.
"""

from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final

from crm_core import records
from crm_core.records import Move, Wrapped
from protocol import times
from protocol.errors import EvidenceError
from redaction import crash, replica, rotations
from redaction.missing import Expected
from redaction.rotations import Going
from runtime.platform import Platform

READ: Final = 8_000  # data keys taken into memory at once
HELD: Final = 50_000  # data keys of which we remember that we wrapped them (some 300 bytes each), and one bucket's more
HANDFUL: Final = 1_000  # data keys put in their place in one transaction: about 10 ms

Known = dict[int, set[replica.Known]]  # by bucket what we wrapped ourselves, and need not look at again
Keys = tuple[Going, Sequence[Wrapped]]
Moves = tuple[Going, Sequence[Move]]


def rewrap(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
    """Move all data keys of the buckets; which of them are done. Not one with survivors that are not journalled.

    Raises EvidenceError (a data key does not open: the bucket keeps its keys), KeyGone.
    """
    crash.point("rewrap.before")
    with platform.database.read() as session:
        going = rotations.ready(session, rows)
    known: Known = {}
    expected = Expected([row.bucket for row in going])
    with ThreadPoolExecutor(1) as ahead:
        left: Sequence[Going] = going
        unwritten = {row.bucket: row.epoch for row in going}
        while unwritten:
            page, left = _page(platform, left)
            _move_page(platform, page, ahead, known)
            if left and sum(map(len, known.values())) < HELD:
                continue
            moving = {row.bucket for row in left}
            if moved := [(bucket, epoch) for bucket, epoch in unwritten.items() if bucket not in moving]:
                replica.write_all(platform, moved, known, expected)
            for bucket, _ in moved:
                del unwritten[bucket]
                known.pop(bucket, None)
    with platform.database.write("keeper") as session:
        # else somebody wrapped with the old key meanwhile: again at the next pass
        ready = rotations.ready(session, going)
        done = [row for row in ready if not records.left_behind(session, row.bucket, row.epoch)]
        rotations.note(session, done, "rewrapped_at", times.iso_ms(platform.clock.now()))
    crash.point("rewrap.after")
    return frozenset(row.bucket for row in done)


def _refuse_dropped(platform: Platform, keys: Sequence[Wrapped]) -> None:
    """No data key that was dropped gets a new life: who put an older record back would keep what was shredded.

    Raises EvidenceError `dropped_generation`.
    """
    dropped = platform.journal.generation
    if any(generation <= dropped(subject) for subject, generation, _, _ in keys):
        raise EvidenceError("dropped_generation", "a record rests under a data key that was dropped")


def _page(platform: Platform, rows: Sequence[Going]) -> tuple[list[Keys], Sequence[Going]]:
    """The next data keys to move, at most `READ`, and the rotations that may have more.

    Those that are not under way any more are left out: another worker was faster, and a later one may be under way.
    """
    page: list[Keys] = []
    room = READ
    with platform.database.read() as session:
        rows = rotations.ready(session, rows)
        for number, row in enumerate(rows):
            keys = records.behind(session, row.bucket, row.epoch, room)
            _refuse_dropped(platform, keys)
            page.append((row, keys))
            room -= len(keys)
            if room <= 0:
                return page, rows[number:]
    return page, ()


def handfuls(page: Sequence[Keys]) -> list[list[Keys]]:
    """The same keys, as many at a time as are put in their place in one transaction."""
    found: list[list[Keys]] = [[]]
    room = HANDFUL
    for row, keys in page:
        start = 0
        while start < len(keys):
            if not room:
                found.append([])
                room = HANDFUL
            part = keys[start : start + room]
            found[-1].append((row, part))
            start, room = start + len(part), room - len(part)
    return [one for one in found if one]


def _move_page(platform: Platform, page: Sequence[Keys], ahead: Executor, known: Known) -> None:
    """Move these keys; while a handful waits for the disk the next one is wrapped. `known` takes what was wrapped."""

    def wrap(handful: Sequence[Keys]) -> list[Moves]:
        return [(row, records.wrapped_anew(platform, row.bucket, keys, row.epoch)) for row, keys in handful]

    cut = handfuls(page)
    coming = ahead.submit(wrap, cut[0]) if cut else None
    for number in range(len(cut)):
        moves = coming.result() if coming is not None else []
        for (row, keys), (_, ones) in zip(cut[number], moves, strict=True):
            known.setdefault(row.bucket, set()).update(
                (whose, key[1], now) for key, (_, now, whose, _) in zip(keys, ones, strict=True)
            )
        coming = ahead.submit(wrap, cut[number + 1]) if number + 1 < len(cut) else None
        _move(platform, moves)


def _move(platform: Platform, handful: Sequence[Moves]) -> None:
    with platform.database.write("keeper") as session:
        still = {row.bucket for row in rotations.still(session, [row for row, _ in handful])}
        ours = [(row, moves) for row, moves in handful if row.bucket in still]
        if not ours:
            return
        records.move(session, [one for _, moves in ours for one in moves])
        rotations.count(session, [(row, len(moves)) for row, moves in ours])
        crash.point("rewrap.within")
