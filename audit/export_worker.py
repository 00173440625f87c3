"""The loop that makes the bundles that were asked for, one after another."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from audit import bundle
from audit.bundle import Credentials
from audit.exporting import Exports, Job, StoppedError
from audit.log import Log
from protocol.consent import SubjectId
from protocol.errors import EvidenceError

_LOGGER = logging.getLogger("fieldgrant.audit")
_TELLING = 0.2  # seconds between two looks at whether the job still is to be done


def run(log: Log, credentials: Credentials, stop: Event, *, pause: float = 0.4) -> None:
    """Make bundles until `stop` is set; a job under way then is taken up at the next start."""
    exports = Exports(log.platform)
    while not stop.is_set():
        try:
            with exports.working() as ours:
                while ours and not stop.is_set() and (job := exports.take()) is not None:
                    make(log, credentials, exports, job, stop)
        except Exception as error:  # noqa: BLE001 - the worker's loop outlives a locked database or a full disk
            _LOGGER.error("no bundle could be made: %s", type(error).__name__)
        stop.wait(pause)


@contextmanager
def running(log: Log, credentials: Credentials) -> Iterator[Thread]:
    """Run the loop in a thread for as long as the block lasts."""
    stop = Event()
    thread = Thread(target=run, args=(log, credentials, stop), name="exports", daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)


def make(log: Log, credentials: Credentials, exports: Exports, job: Job, stop: Event | None = None) -> None:
    """Make the bundle of a job that was taken, or say why there is none."""
    before = 0.0

    def told(stage: str, count: int, total: int) -> None:
        nonlocal before
        if stop is not None and stop.is_set():
            raise StoppedError
        if time.monotonic() - before >= _TELLING:
            exports.tell(job, stage, count, total)
            before = time.monotonic()

    subject = SubjectId(job.subject)
    try:
        told("reading", 0, 0)
        wanted = job.wanted()
        # by its key, a second beginning finds the record of the first
        key = f"bundle:{job.id}"
        name = bundle.begin(log, subject=subject, scope=wanted, by=job.did, role=job.role, key=key)
        with log.platform.database.read() as session:
            made = bundle.write(log, session, credentials, subject=subject, scope=wanted, export_id=name, told=told)
        exports.end(job, made)
    except StoppedError:
        return
    except EvidenceError as error:
        exports.fail(job, error.code)
    except Exception:
        exports.fail(job, "internal")
        raise
