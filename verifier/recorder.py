"""Recorder: concurrent reads share one durable write of their release records."""

from collections.abc import Mapping, Sequence
from typing import Any

from protocol.consent import SubjectId
from runtime.platform import Platform


class Recorder:
    """A thread that commits what waits, all at once; `record` returns when it is on disk."""

    def __init__(self, platform: Platform) -> None:
        raise NotImplementedError

    def record(
        self, type_: str, *, header: Mapping[str, Any], records: Sequence[tuple[SubjectId | None, dict[str, Any]]]
    ) -> str:
        """Event id, once durable. Problem 503 `not_recorded` when it is not: then nothing may leave."""
        raise NotImplementedError

    def close(self) -> None:
        """Write what waits and end the thread."""
        raise NotImplementedError
