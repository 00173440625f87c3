"""What we are measured against and is not Python: programs for Node, with packages and a lock of their own."""

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools import web

HERE = Path(__file__).parent


class Peer:
    """A program that does something as often as it is told; `with` ends it. Raises WebError without Node."""

    def __init__(self, program: str, about: dict[str, Any]) -> None:
        """`about` is its first line."""
        node, npm = web.node()
        web.install(node, npm, HERE)
        self._process = subprocess.Popen(  # noqa: S603 - ours
            [node, program], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._tell(json.dumps(about))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def took(self, calls: int) -> float:
        """Processor seconds of one call, of so many. RuntimeError when the program has ended."""
        self._tell(str(calls))
        if self._process.stdout is None or not (answer := self._process.stdout.readline()):
            raise RuntimeError(f"the peer ended: {self._process.poll()}")
        return float(answer)

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            print(line, file=self._process.stdin, flush=True)
