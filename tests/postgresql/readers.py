"""A gate process on a host of its own: readers who look at what is granted, and then take their time to send it.

    python readers.py URL DIRECTORY GATE           until a line comes; then one JSON line: [[returned, subjects], …]
    python readers.py URL DIRECTORY GATE SECONDS   one read; inside, it waits for a line so long

GATE: `turnstile` is ours; `late` takes the lock in the transaction of the data, under REPEATABLE READ (the control:
its snapshot is older than the lock); `none` takes no lock.
"""

import json
import random
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text

from runtime.dialect.postgresql import GATE, LOCKS
from runtime.session import Database
from verifier.advisory import AdvisoryTurnstile

READERS = 5
SENDING = 0.004  # seconds at most


LOOK = text("SELECT subject FROM granted WHERE released ORDER BY subject LIMIT 3")


@contextmanager
def inside(
    kind: str, database: Database, turnstile: AdvisoryTurnstile, stand_still: Callable[[], None] = lambda: None
) -> Iterator[Connection]:
    """A reading transaction behind its lock; it stands still when its snapshot is taken."""
    if kind != "turnstile":
        with database.read() as session:
            session.connection().execute(text("SELECT 1"))
            stand_still()
            if kind == "late":
                session.connection().execute(text(f"SELECT pg_advisory_xact_lock_shared({LOCKS}, {GATE})"))
            yield session.connection()
        return
    hold = turnstile.passage()
    try:
        with database.read() as session:
            session.connection().execute(text("SELECT 1"))
            stand_still()
            yield session.connection()
    finally:
        hold.release()


def held(kind: str, database: Database, turnstile: AdvisoryTurnstile, seconds: float) -> None:
    def stand_still() -> None:
        print("up", flush=True)
        select.select([sys.stdin], [], [], seconds)

    with inside(kind, database, turnstile, stand_still) as connection:
        seen = [subject for (subject,) in connection.execute(LOOK)]
        returned = time.monotonic()
    print(json.dumps([(returned, seen)]), flush=True)


def main() -> None:
    url, directory, kind, *seconds = sys.argv[1:]
    database, turnstile = Database(url), AdvisoryTurnstile(Path(directory), url, 0.1)
    if seconds:
        held(kind, database, turnstile, float(seconds[0]))
        return
    stop, returned = threading.Event(), list[tuple[float, list[int]]]()

    def read() -> None:
        while not stop.is_set():
            with inside(kind, database, turnstile) as connection:
                seen = [subject for (subject,) in connection.execute(LOOK)]
                time.sleep(random.random() * SENDING)  # noqa: S311 - no secret
                returned.append((time.monotonic(), seen))

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    while len(returned) < READERS:
        time.sleep(0.01)
    print("up", flush=True)
    sys.stdin.readline()
    stop.set()
    for thread in threads:
        thread.join()
    print(json.dumps(returned), flush=True)


if __name__ == "__main__":
    main()
