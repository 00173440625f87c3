"""A server process that dies like any other, without the three seconds in which it imports what it needs.

The fork server has the modules and nothing open; what is forked from it goes the way of the command line.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fieldgrant import openapi
from fieldgrant.cli import main
from tests.attacks.house import House

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["fieldgrant.serve", "tests.attacks.forked"])


Before = Callable[[], None]  # a module's function: what is done in the process first


def nothing() -> None:
    """The server as it is."""


class Forked:
    """What a House asks of a server process (see `subprocess.Popen`)."""

    def __init__(self, before: Before, words: list[str], environment: dict[str, str], log: Path) -> None:
        self._process = PROCESSES.Process(target=_run, args=(before, words, environment, log))
        self._process.start()

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("serve", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.pid is not None and self._process.exitcode is None:
            os.kill(self._process.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run(before: Before, words: list[str], environment: dict[str, str], log: Path) -> None:
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    openapi.add = lambda _: None  # half of what a start costs, and nobody here reads the description
    before()
    sys.argv = ["fieldgrant", *words]
    main()


def start(house: House, n: int, *parties: str, before: Before = nothing) -> None:
    """As `House.start`."""
    house.start(n, *parties, process=partial(Forked, before))
