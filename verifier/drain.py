"""Turnstile: readers pass, a withdrawer waits until those who were inside have left; two flocks, across processes."""

from pathlib import Path


class DrainTimeoutError(Exception):
    """Reads in flight did not end in time; code `drain_timeout`. Acknowledge nothing."""

    code = "drain_timeout"


class Hold:
    """A reader's place inside; `.release()` is harmless when repeated."""

    def release(self) -> None:
        """Leave."""
        raise NotImplementedError


class Turnstile:
    """`Turnstile(directory)`: its two lock files lie in `directory`."""

    def __init__(self, directory: Path) -> None:
        raise NotImplementedError

    def passage(self) -> Hold:
        """Enter as a reader; waits while somebody drains."""
        raise NotImplementedError

    def drain(self, timeout: float = 30.0) -> None:
        """Return once every reader that was inside at the call has left. Raises DrainTimeoutError."""
        raise NotImplementedError
