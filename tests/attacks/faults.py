"""A disk that fails at one step: every write, sync, rename, opening to write and commit of this process passes here.

Only what lies below one directory counts, so that neither a test's own files nor its sockets do. SQLite writes in C
and does not come by here, nor does PostgreSQL: a commit is one step, which fails before it was done, or after.
"""

import builtins
import errno
import io
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine.default import DefaultDialect

from tests.engine import mapping

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS)
BACKGROUND = "fieldgrant-openers"  # a thread that looks for destroyed keys: when it writes is chance
_SAYS = {errno.ENOSPC: "database or disk is full", errno.EIO: "disk I/O error"}


@dataclass
class Disk:
    """What is written below `home`. `fails(n)`: the n-th step from then on fails, and with `lasting` all after it."""

    home: Path
    steps: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _at: int | None = None
    _error: int = errno.EIO
    _late: bool = False
    _lasting: bool = False
    _lock: Any = field(default_factory=threading.RLock)

    def fails(self, at: int, error: int, *, late: bool = False, lasting: bool = False) -> None:
        """`late`: it fails although it was done (an fsync of which nobody knows; a write of half the bytes)."""
        with self._lock:
            self.steps, self.failed = [], []
            self._at, self._error, self._late, self._lasting = at, error, late, lasting

    def heals(self) -> None:
        with self._lock:
            self._at = None

    def step(self, what: str, act: Callable[[], Any], *, half: Callable[[], Any] | None = None) -> Any:
        with self._lock:
            number = len(self.steps)
            self.steps.append(what)
            failing = self._at is not None and (number >= self._at if self._lasting else number == self._at)
            if failing:
                self.failed.append(what)
        if not failing:
            return act()
        if self._late:
            (half or act)()
        raise self._raised(what)

    def _raised(self, what: str) -> Exception:
        if what.startswith("commit"):
            if mapping.on():
                return psycopg.OperationalError(os.strerror(self._error))
            return sqlite3.OperationalError(_SAYS.get(self._error, "attempt to write a readonly database"))
        return OSError(self._error, os.strerror(self._error))

    def counts(self, path: object) -> bool:
        if threading.current_thread().name == BACKGROUND:
            return False
        if isinstance(path, int):
            try:
                path = os.readlink(f"/proc/self/fd/{path}")
            except OSError:
                return False
        return str(path if isinstance(path, str) else os.fspath(path)).startswith(str(self.home))  # type: ignore[call-overload]


class Counted:
    """A file that was opened to write."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self._file, self._disk = file, disk

    def write(self, data: Any) -> int:
        whole: int = self._disk.step(
            "write", lambda: self._file.write(data), half=lambda: self._file.write(data[: len(data) // 2])
        )
        return whole

    def __enter__(self) -> "Counted":
        self._file.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._file.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def watched(home: Path) -> Iterator[Disk]:
    """The disk below `home`, for this process."""
    disk = Disk(home)
    real = {name: getattr(os, name) for name in ("write", "fsync", "ftruncate", "replace", "rename", "open", "unlink")}
    opened, commit, commit_there = io.open, DefaultDialect.do_commit, psycopg.Connection.commit

    def write(descriptor: int, data: Any) -> int:
        if not disk.counts(descriptor):
            return int(real["write"](descriptor, data))
        half = data[: len(data) // 2]
        return int(
            disk.step("write", lambda: real["write"](descriptor, data), half=lambda: real["write"](descriptor, half))
        )

    def simple(name: str) -> Callable[..., Any]:
        def act(path: Any, *more: Any, **words: Any) -> Any:
            if not disk.counts(path):
                return real[name](path, *more, **words)
            return disk.step(f"{name} {_name(path)}", lambda: real[name](path, *more, **words))

        return act

    def open_(path: Any, flags: int, *more: Any, **words: Any) -> int:
        if not flags & WRITES or words.get("dir_fd") is not None or not disk.counts(path):
            return int(real["open"](path, flags, *more, **words))
        return int(disk.step(f"open {_name(path)}", lambda: real["open"](path, flags, *more, **words)))

    def file(path: Any, mode: str = "r", *more: Any, **words: Any) -> Any:
        if not set(mode) & set("wax+") or not disk.counts(path):
            return opened(path, mode, *more, **words)
        if isinstance(path, int):
            return Counted(opened(path, mode, *more, **words), disk)
        return Counted(disk.step(f"open {_name(path)}", lambda: opened(path, mode, *more, **words)), disk)

    def do_commit(dialect: Any, connection: Any) -> None:
        disk.step("commit", lambda: commit(dialect, connection))

    def there(connection: "psycopg.Connection[Any]") -> None:
        """On PostgreSQL: a writing transaction of the product's, not of a hand in the database."""
        ours = connection.info.get_parameters().get("application_name") == "fieldgrant"
        if not ours or connection.read_only:
            commit_there(connection)
            return
        disk.step("commit", lambda: commit_there(connection))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "write", write)
        patch.setattr(os, "open", open_)
        for name in ("fsync", "ftruncate", "replace", "rename", "unlink"):
            patch.setattr(os, name, simple(name))
        patch.setattr(io, "open", file)
        patch.setattr(builtins, "open", file)
        patch.setattr(DefaultDialect, "do_commit", do_commit)
        patch.setattr(psycopg.Connection, "commit", there)
        yield disk


def _name(path: Any) -> str:
    if isinstance(path, int):
        path = os.readlink(f"/proc/self/fd/{path}")
    return "/".join(Path(os.fspath(path)).parts[-2:])
