"""Openers: who holds which unwrapped bucket key, so that a certificate can say that nobody does any more.

Each process that opens registers a pair of files: `<id>.lock`, whose flock it holds for as long as it lives, and
`<id>.json`, the list of (bucket, epoch) that it may hold. The list is published *before* a key is loaded and shortened
*after* it was dropped, so it never says less than the truth: whoever destroys a key and then finds it in no list knows
that a later load finds no file any more.

What is claimed: no living process can hand out the key again. A call already under way in another thread may finish
with the key object that it was given, and freed memory is not wiped by Python.
"""

import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import orjson

Held = tuple[int, int]  # bucket, epoch
POLL = 0.15  # seconds


class Opener:
    """This process's registration, with the thread that looks for destroyed keys."""

    def __init__(self, directory: Path, sweep: Callable[[], None]) -> None:
        """Register, holding nothing. `sweep`, called every POLL seconds, drops what was destroyed and publishes."""
        self._directory = directory
        self._name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._list, self._lock = directory / f"{self._name}.json", directory / f"{self._name}.lock"
        self._published: list[Held] | None = None
        self.publish(())
        # Locked under another name first: nobody may find the file, take its lock and think us dead.
        hidden = directory / f".{self._name}"
        self._descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        hidden.rename(self._lock)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(sweep,), name="fieldgrant-openers", daemon=True)
        self._thread.start()

    def publish(self, held: Iterable[Held]) -> None:
        """Replace the list of what this process may hold."""
        now = sorted(held)
        if now == self._published:
            return
        temporary = self._list.with_name(f".{self._list.name}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(orjson.dumps(now))
        temporary.replace(self._list)
        self._published = now

    def close(self) -> None:
        """End the registration. The keys must have been dropped."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._lock.unlink(missing_ok=True)
        self._list.unlink(missing_ok=True)
        os.close(self._descriptor)

    def _run(self, sweep: Callable[[], None]) -> None:
        while not self._stop.wait(POLL):
            try:
                sweep()
            except OSError:
                # A full or failing disk: the list then says too much, never too little. Try again.
                continue


def held(directory: Path, keys: Collection[Held]) -> frozenset[Held]:
    """Those of the keys that some living opener may still hold. Registrations of the dead are removed."""
    found: set[Held] = set()
    for lock in sorted(directory.glob("*.lock")):
        if not _removed_dead(lock):
            found |= _held(lock, keys)
    return frozenset(found)


def _removed_dead(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        lock.unlink(missing_ok=True)
        lock.with_suffix(".json").unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)


def _held(lock: Path, keys: Collection[Held]) -> set[Held]:
    try:
        listed = orjson.loads(lock.with_suffix(".json").read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        # It has just ended, or something is wrong: in doubt it holds; the next look finds the lock free or not.
        return set(keys) if lock.exists() else set()
    return {(bucket, epoch) for bucket, epoch in listed} & set(keys)
