"""The outbox drained into the log: events become leaves, leaves become tiles, tiles get a signed head, in that order."""

from audit.log import Log


def drain(log: Log, *, limit: int = 1000) -> int:
    """Log what the outbox holds and was not logged yet, oldest first; returns how many events that were.

    One drain at a time across processes. A kill at any step leaves a state from which the next drain reaches the same tree.
    Raises EvidenceError("log_forked" | "log_ahead_of_database") when disk and database tell different stories.
    """
    raise NotImplementedError
