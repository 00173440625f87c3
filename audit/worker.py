"""The loop that keeps the log close behind the outbox."""

from threading import Event

from audit.log import Log


def run(log: Log, stop: Event, *, pause: float = 0.2) -> None:
    """Drain until `stop` is set, looking again every `pause` seconds."""
    raise NotImplementedError
