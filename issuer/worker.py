"""The loop behind the desk: consents and grounds that ran out, narrowings whose process died before it had drained."""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from issuer import credentials, grounds, publication, sealing, settling, taking, wallet_auth
from issuer.registry import Registry
from runtime.problem import Problem

EXPIRED = 200  # consents that one round ends at most
log = logging.getLogger("fieldgrant.issuer")


def run_once(registry: Registry) -> int:
    """One round; how many things were done. Each step is idempotent, so two workers do no harm.

    What cannot be settled is put aside by name, and whatever fails is told and tried again: the others go on.
    """
    platform = registry.platform
    at = platform.clock.now()
    settling.put_foreign_aside(platform)
    with platform.database.read() as session:
        waiting = settling.unsettled(session)
        misnamed = settling.misnamed(session)
        half_done = grounds.unfinished(session)
        half_answered = taking.unfinished(session)
        half_compiled = publication.unfinished(session)
        if sealing.forgettable(platform, session):
            sealing.forget(platform, session)
        due = credentials.running_out(session, at) or wallet_auth.forgettable(session, at)
    expired: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    if due:  # else nobody waits for the write lock
        expired = _expired(registry, at)
        with platform.database.write() as session:
            over = grounds.expire(session, registry, at)
            wallet_auth.forget(session, at)
    for row in misnamed:
        settling.put_aside(platform, row, "misnamed")
    ended = tuple(dict.fromkeys([*waiting, *expired]))
    done = settling.settle_each(registry, ended)
    done += _each(dict.fromkeys([*half_done, *over]), partial(grounds.finish, registry))
    done += _each(half_compiled, partial(publication.finish, registry))
    return done + _each(half_answered, partial(taking.complete, registry))


def _expired(registry: Registry, at: datetime) -> tuple[str, ...]:
    """Mark what ran out, in small changes, so that a customer who is in one can soon be read again."""
    ended: list[str] = []
    while len(ended) < EXPIRED:
        with registry.platform.database.write() as session:
            some = registry.expire(session, at)
        ended += some
        if not some:
            break
    return tuple(ended)


def _each(ids: Iterable[str], act: Callable[[str], object]) -> int:
    """Act on each, the others too where one fails; how many did not."""
    done = 0
    for id_ in ids:
        try:
            act(id_)
            done += 1
        except (*settling.SPOILED, Problem) as error:
            log.error("a piece of work failed: %s", getattr(error, "code", type(error).__name__))
    return done


def run(registry: Registry, stop: threading.Event, *, every: float = 1.0) -> None:
    """Go round every `every` seconds until told to stop; a round that fails is told and taken up again."""
    while not stop.wait(every):
        try:
            run_once(registry)
        except Exception as error:  # noqa: BLE001 - a worker's loop; the kind of error is told, never its text
            log.error("a round failed: %s", type(error).__name__)
