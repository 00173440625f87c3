"""The loop behind the desk: consents and grounds that ran out, narrowings whose process died before it had drained."""

import logging
import threading

from issuer import credentials, grounds, publication, sealing, settling, taking, wallet_auth
from issuer.registry import Registry

log = logging.getLogger("fieldgrant.issuer")


def run_once(registry: Registry) -> int:
    """One round; how many things were done. Each step is idempotent, so two workers do no harm."""
    platform = registry.platform
    at = platform.clock.now()
    with platform.database.read() as session:
        waiting = settling.unsettled(session)
        half_done = grounds.unfinished(session)
        half_answered = taking.unfinished(session)
        half_compiled = publication.unfinished(session)
        if sealing.forgettable(platform, session):
            sealing.forget(platform, session)
        due = credentials.running_out(session, at) or wallet_auth.forgettable(session, at)
    expired: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    if due:  # else nobody waits for the write lock
        with platform.database.write() as session:
            expired = registry.expire(session, at)
            over = grounds.expire(session, registry, at)
            wallet_auth.forget(session, at)
    ended = tuple(dict.fromkeys([*waiting, *expired]))
    settling.settle(registry, *ended)
    for ground_id in dict.fromkeys([*half_done, *over]):
        grounds.finish(registry, ground_id)
    for version in half_compiled:
        publication.finish(registry, version)
    for request in half_answered:
        taking.complete(registry, request)
    return len(ended) + len(half_done) + len(over) + len(half_answered) + len(half_compiled)


def run(registry: Registry, stop: threading.Event, *, every: float = 1.0) -> None:
    """Go round every `every` seconds until told to stop; a round that fails is told and taken up again."""
    while not stop.wait(every):
        try:
            run_once(registry)
        except Exception as error:  # noqa: BLE001 - a worker's loop; the kind of error is told, never its text
            log.error("a round failed: %s", type(error).__name__)
