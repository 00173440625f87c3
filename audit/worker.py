"""The loop that keeps the log close behind the outbox."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from audit import drain
from audit.log import Log
from protocol.errors import EvidenceError

_LOGGER = logging.getLogger("fieldgrant.audit")
_AFTER_TROUBLE = 5.0  # seconds


def run(log: Log, stop: Event, *, pause: float = 0.2) -> None:
    """Drain until `stop` is set, looking again every `pause` seconds. Trouble is told with its code and tried again."""
    introduced = False
    while not stop.is_set():
        wait = pause
        try:
            if not introduced:
                log.introduce()
                introduced = True
            drain.drain_all(log)
        except EvidenceError as error:
            _LOGGER.error("the log stands still: %s", error)
            wait = _AFTER_TROUBLE
        except Exception as error:  # noqa: BLE001 - the worker's loop outlives a locked database or a full disk
            _LOGGER.error("the log could not be written: %s", type(error).__name__)
            wait = _AFTER_TROUBLE
        stop.wait(wait)


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
