"""The loop that keeps the log close behind the outbox."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from audit import drain
from audit.log import Log
from protocol.errors import EvidenceError
from runtime import outbox

_LOGGER = logging.getLogger("fieldgrant.audit")
_AFTER_TROUBLE = 5.0  # seconds


def run(log: Log, stop: Event, *, pause: float = 0.2) -> None:
    """Drain until `stop` is set, looking again every `pause` seconds. Trouble is told with its code and tried again."""
    introduced, seen = False, -1
    while not stop.is_set():
        wait = pause
        try:
            if not introduced:
                log.introduce()
                introduced = True
            missed(log)
            newest = drain.newest(log)
            if newest != seen:  # else a pass costs one look at an index, and nobody is kept waiting
                drain.drain_all(log)
                seen = newest
        except EvidenceError as error:
            _LOGGER.error("the log stands still: %s", error)
            wait = _AFTER_TROUBLE
        except Exception as error:  # noqa: BLE001 - the worker's loop outlives a locked database or a full disk
            _LOGGER.error("the log could not be written: %s", type(error).__name__)
            wait = _AFTER_TROUBLE
        stop.wait(wait)


def missed(log: Log) -> None:
    """Put on record when the newest event that this process wrote has gone: nobody need write another one first."""
    database = log.platform.database
    with database.read() as session:
        if not outbox.lost(session):
            return
    with database.write() as session:
        outbox.miss(session, at=log.platform.clock.now())


@contextmanager
def running(log: Log, *, pause: float = 0.2) -> Iterator[Thread]:
    """Run the loop in a thread for as long as the block lasts; what is in the outbox by then is drained."""
    stop = Event()
    thread = Thread(target=run, args=(log, stop), kwargs={"pause": pause}, name="audit", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)
