"""An import whose progress is told while it runs: lines of JSON, the last of which is its report or what went wrong."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from crm_core.imports.intake import Progress
from protocol.errors import EvidenceError
from runtime.problem import Problem

MEDIA_TYPE = "application/jsonl"
_EVERY = 0.25  # seconds between two lines
_PATIENCE = 10.0  # seconds without progress; then a line says that it still runs

Json = dict[str, Any]


def told(run: Callable[[Progress], Mapping[str, Any]]) -> Iterator[bytes]:
    """The lines of `run`, which is given a way to tell how far it has come.

    It goes on to its end in a thread of its own, whether or not anybody listens.
    """
    lines: queue.SimpleQueue[Json | None] = queue.SimpleQueue()
    last = 0.0

    def progress(what: str, done: int, of: int | None) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= _EVERY:
            last = now
            lines.put({"doing": what, "done": done, "of": of})

    def work() -> None:
        try:
            lines.put({"report": run(progress)})
        except (EvidenceError, Problem) as error:
            lines.put({"problem": {"code": error.code, "detail": error.detail, "field": error.field}})
        except BaseException:
            lines.put({"problem": {"code": "internal_error", "detail": "The import broke off.", "field": None}})
            raise
        finally:
            lines.put(None)

    threading.Thread(target=work, daemon=True, name="import").start()
    while True:
        try:
            line = lines.get(timeout=_PATIENCE)
        except queue.Empty:
            line = {}
        if line is None:
            return
        yield orjson.dumps(line) + b"\n"
