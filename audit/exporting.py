"""Bundles made in the background: each a job that can be watched, stopped and taken up again, by its id.

A job lies beside its file in `exports/` in the data directory: what it is about, how far it is, and then the zip.
Nothing of it is in the database but the record of the export, which is made once, however often the work begins anew:
after a stop, or when the process died. Files go after a day.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from audit import files
from audit.scope import Scope
from protocol import times
from protocol.errors import EvidenceError
from runtime.clock import iso
from runtime.platform import Platform

State = Literal["waiting", "running", "done", "failed", "cancelled"]
LIFE: Final = timedelta(days=1)
MOST_OPEN: Final = 3
"""Jobs of one account that wait or run; the same number of files is kept for each."""
MOST_KEPT: Final = 10
_ID: Final = re.compile(r"[0-9a-f]{32}")
_OPEN: Final = frozenset({"waiting", "running"})


class StoppedError(Exception):
    """Somebody cancelled the job, or another process took it up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One export. `stage` is reading, proving or packing; `count` of `total` records; `turn` counts the beginnings."""

    id: str
    at: str
    account: str
    did: str
    role: str
    subject: str
    field: str | None
    scope: dict[str, str]
    state: State = "waiting"
    stage: str = ""
    count: int = 0
    total: int = 0
    size: int = 0
    turn: int = 0
    code: str | None = None
    finished_at: str | None = None

    def wanted(self) -> Scope:
        """What the bundle shows."""
        return Scope.read(self.field, self.scope)


class Exports:
    """The jobs under one data directory, shared by all processes that have it."""

    def __init__(self, platform: Platform) -> None:
        """Use `exports/` in the data directory of `platform`."""
        self.platform = platform
        self.directory: Path = platform.settings.data_dir / "exports"

    def ask(self, *, account: str, did: str, role: str, subject: str, scope: Scope) -> Job:
        """Put a job in line. EvidenceError: `bad_scope`, `too_many_exports`."""
        scope.check()
        with self._held():
            self._forget()
            mine = self.of(account)
            if sum(one.state in _OPEN for one in mine) >= MOST_OPEN:
                raise EvidenceError("too_many_exports", f"{MOST_OPEN} of your exports are still being made")
            for old in mine[MOST_KEPT - 1 :]:
                self._drop(old.id)
            job = Job(
                id=secrets.token_hex(16), at=self._now(), account=account, did=did, role=role,
                subject=subject, field=scope.field, scope=scope.told(),
            )  # fmt: skip
            return self._put(job)

    def of(self, account: str) -> list[Job]:
        """The jobs of an account, newest first."""
        return sorted((one for one in self._all() if one.account == account), key=_age, reverse=True)

    def find(self, id_: str, account: str) -> Job:
        """One job of this account. EvidenceError("unknown_export")."""
        job = self._read(id_)
        if job is None or job.account != account or self._too_old(job):
            raise EvidenceError("unknown_export", "there is no such export of yours, or no more")
        return job

    def cancel(self, id_: str, account: str) -> Job:
        """Stop a job; what was made of it goes. EvidenceError("unknown_export")."""
        with self._held():
            job = self.find(id_, account)
            if job.state == "cancelled":
                return job
            self.path(id_).unlink(missing_ok=True)
            return self._put(replace(job, state="cancelled", size=0, finished_at=self._now()))

    def resume(self, id_: str, account: str) -> Job:
        """Take up a job that was cancelled or failed; any other is left as it is. EvidenceError("unknown_export")."""
        with self._held():
            job = self.find(id_, account)
            if job.state not in ("cancelled", "failed"):
                return job
            if sum(one.state in _OPEN for one in self.of(account)) >= MOST_OPEN:
                raise EvidenceError("too_many_exports", f"{MOST_OPEN} of your exports are still being made")
            return self._put(replace(job, state="waiting", stage="", count=0, total=0, code=None, finished_at=None))

    def path(self, id_: str) -> Path:
        """Where the bundle of a job lies once it is done."""
        return self.directory / f"{id_}.zip"

    # -- for the worker

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Whether this process is the one that makes bundles now; one does at a time."""
        self._made()
        with (self.directory / ".worker").open("wb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def take(self) -> Job | None:
        """The oldest job that waits, or whose process died; from now on it runs."""
        if not self.directory.exists():
            return None
        if not any(one.state in _OPEN or self._too_old(one) for one in self._all()):
            return None
        with self._held():
            self._forget()
            for job in sorted(self._all(), key=_age):
                if job.state in _OPEN:
                    return self._put(replace(job, state="running", stage="", count=0, total=0, turn=job.turn + 1))
        return None

    def tell(self, job: Job, stage: str, count: int, total: int) -> None:
        """How far a job is. StoppedError when it is not this turn's any more."""
        with self._held():
            self._put(replace(self._still(job), stage=stage, count=count, total=total))

    def end(self, job: Job, bundle: bytes) -> None:
        """The bundle is made. StoppedError as `tell`."""
        with self._held():
            now = self._still(job)
            files.write(self.path(job.id), bundle)
            self.path(job.id).chmod(0o600)
            count = now.total
            self._put(replace(now, state="done", count=count, size=len(bundle), finished_at=self._now()))

    def fail(self, job: Job, code: str) -> None:
        """The bundle cannot be made."""
        with self._held():
            now = self._read(job.id)
            if now is not None and now.state == "running":
                self._put(replace(now, state="failed", code=code, finished_at=self._now()))

    # -- on disk

    def _still(self, job: Job) -> Job:
        now = self._read(job.id)
        if now is None or now.state != "running" or now.turn != job.turn:
            raise StoppedError
        return now

    def _all(self) -> list[Job]:
        if not self.directory.exists():
            return []
        return [job for path in self.directory.glob("*.json") if (job := self._read(path.stem)) is not None]

    def _read(self, id_: str) -> Job | None:
        if _ID.fullmatch(id_) is None:
            return None
        try:
            told: dict[str, Any] = json.loads((self.directory / f"{id_}.json").read_bytes())
            return Job(**told)
        except (OSError, ValueError, TypeError):
            return None

    def _put(self, job: Job) -> Job:
        """Whole or not at all. Not made durable: what a crash of the machine takes is a job to ask for again."""
        path = self.directory / f"{job.id}.json"
        under_way = path.with_suffix(".new")
        with open(os.open(under_way, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(json.dumps(asdict(job)).encode())
        under_way.replace(path)
        return job

    def _forget(self) -> None:
        for job in self._all():
            if self._too_old(job):
                self._drop(job.id)

    def _drop(self, id_: str) -> None:
        for path in (self.path(id_), self.directory / f"{id_}.json"):
            path.unlink(missing_ok=True)

    def _too_old(self, job: Job) -> bool:
        return job.state not in _OPEN and self._clock() - times.parse(job.at, field="at") > LIFE

    @contextmanager
    def _held(self) -> Iterator[None]:
        """One change of a job at a time, in all processes."""
        self._made()
        with (self.directory / ".lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _made(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    def _clock(self) -> datetime:
        return self.platform.clock.now()

    def _now(self) -> str:
        return iso(self._clock())


def _age(job: Job) -> tuple[str, str]:
    return job.at, job.id
