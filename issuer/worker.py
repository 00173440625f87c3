"""The loop behind the desk: consents and grounds that ran out, narrowings whose process died before it had drained."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from issuer import credentials, grounds, publication, sealing, settling, taking, wallet_auth
from issuer.registry import Registry
from protocol.errors import EvidenceError
from runtime.problem import Problem

EXPIRED = 200  # consents that one round ends at most
UNSETTLED = 100  # narrowings of others that it settles besides
log = logging.getLogger("fieldgrant.issuer")


def run_once(registry: Registry) -> int:
    """One round; how many things were done. Each step is idempotent, so two workers do no harm.

    What cannot be settled is put aside by name, and whatever fails is told and tried again: the others go on, and so do
    the other parts of the round. Raises what failed first, once they are through.
    """
    done, failed = 0, list[Exception]()
    for name, part in PARTS.items():
        try:
            done += part(registry)
        except Exception as error:  # noqa: BLE001 - a worker's loop; the kind of error is told, never its text
            log.error("a part of the round failed: %s: %s", name, _code(error))
            failed.append(error)
    if failed:
        raise failed[0]
    return done


def _expire(registry: Registry) -> int:
    """Mark consents that ran out, in small changes, so that a customer who is in one can soon be read again."""
    at, ended = registry.platform.clock.now(), 0
    while ended < EXPIRED and _running_out(registry):
        with registry.platform.database.write() as session:
            some = registry.expire(session, at)
        ended += len(some)
        if not some:
            break
    return 0  # they count once they are settled


def _expire_grounds(registry: Registry) -> int:
    if _running_out(registry):
        with registry.platform.database.write() as session:
            grounds.expire(session, registry, registry.platform.clock.now())
    return 0


def _running_out(registry: Registry) -> bool:
    """Else nobody waits for the write lock."""
    with registry.platform.database.read() as session:
        return credentials.running_out(session, registry.platform.clock.now())


def _put_foreign_aside(registry: Registry) -> int:
    settling.put_foreign_aside(registry.platform)
    return 0


def _settle(registry: Registry) -> int:
    with registry.platform.database.read() as session:
        waiting = [*settling.unsettled(session, UNSETTLED + EXPIRED), *taking.marked(session, registry.platform)]
    return settling.settle_each(registry, waiting)


def _finish_grounds(registry: Registry) -> int:
    with registry.platform.database.read() as session:
        ids = grounds.unfinished(session)
    return _each(ids, partial(grounds.finish, registry))


def _finish_catalogues(registry: Registry) -> int:
    with registry.platform.database.read() as session:
        ids = publication.unfinished(session)
    return _each(ids, partial(publication.finish, registry))


def _answer(registry: Registry) -> int:
    with registry.platform.database.read() as session:
        ids = taking.unfinished(session)
    return _each(ids, partial(taking.complete, registry))


def _put_aside(registry: Registry) -> int:
    settling.put_aside_misnamed(registry)
    return 0


def _forget_keys(registry: Registry) -> int:
    with registry.platform.database.read() as session:
        if sealing.forgettable(registry.platform, session):
            sealing.forget(registry.platform, session)
    return 0


def _forget_nonces(registry: Registry) -> int:
    at = registry.platform.clock.now()
    with registry.platform.database.read() as session:
        stale = wallet_auth.forgettable(session, at)
    if stale:
        with registry.platform.database.write() as session:
            wallet_auth.forget(session, at)
    return 0


PARTS: Final[Mapping[str, Callable[[Registry], int]]] = {
    "consents that ran out": _expire,
    "grounds that ran out": _expire_grounds,
    "rows whose names are no text": _put_foreign_aside,
    "narrowings to be shut": _settle,
    "rows of grounds that nobody knows": _put_aside,
    "grounds to be compiled": _finish_grounds,
    "catalogues to be compiled": _finish_catalogues,
    "requests to be answered": _answer,
    "keys of boxes to be forgotten": _forget_keys,
    "nonces to be forgotten": _forget_nonces,
}
"""What a round does, each by itself: what an earlier part ended, a later one shuts."""


def _each(ids: Iterable[str], act: Callable[[str], object]) -> int:
    """Act on each, the others too where one fails; how many did not."""
    done = 0
    for id_ in ids:
        try:
            act(id_)
            done += 1
        except (*settling.SPOILED, Problem) as error:
            log.error("a piece of work failed: %s", _code(error))
    return done


def _code(error: Exception) -> str:
    return error.code if isinstance(error, Problem | EvidenceError) else type(error).__name__


def run(registry: Registry, stop: threading.Event, *, every: float = 1.0) -> None:
    """Go round every `every` seconds until told to stop; a round that fails is told and taken up again."""
    while not stop.wait(every):
        try:
            run_once(registry)
        except Exception as error:  # noqa: BLE001 - a worker's loop; the kind of error is told, never its text
            log.error("a round failed: %s", type(error).__name__)
