"""Small secret files: written whole or not at all, and overwritten before they go."""

import fcntl
import os
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

_THREADS = 8  # that wait for the disk at once: it takes them together
_FRONT = 8  # bytes: what wraps a key begins with a nonce, or with Vault's word


def make_directory(path: Path) -> None:
    """A directory for its owner only, made with its parents; an existing one is narrowed to 0700."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 durably: temporary file, fsync, rename, fsync of the directory."""
    _put(path, data)
    sync_directory(path.parent)


def _put(path: Path, data: bytes) -> None:
    place = str(path)  # no Path for each name: a rotation writes hundreds
    directory, _, name = place.rpartition("/")
    temporary = f"{directory or '.'}/.{name}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            _write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, place)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def write_all(files: Mapping[Path, bytes]) -> None:
    """Write files as `write` does, side by side: what they wait for is the disk. On an error some are written."""
    _side_by_side(_put, files.keys(), files.values())
    _side_by_side(sync_directory, {path.parent for path in files})


def read(path: Path) -> bytes | None:
    """A file's content; None when it is gone, or was being destroyed as whoever did it was killed, or the disk failed.

    To destroy is to overwrite with zeros from the front, perhaps not to the end; nothing that is kept begins so.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return data if any(data[:_FRONT]) else None


def destroy_all(paths: Collection[Path]) -> None:
    """Destroy files as `destroy` does, side by side. On an error some are gone."""
    _side_by_side(_erase, paths)
    _side_by_side(sync_directory, {path.parent for path in paths})


def _side_by_side(act: Callable[..., None], *arguments: Collection[object]) -> None:
    """Act on each, every thread on its share of them; the first error is raised once all have ended."""
    work = list(zip(*arguments, strict=True))
    threads = min(len(work), _THREADS)

    def share(number: int) -> None:
        for one in work[number::threads]:
            act(*one)

    if threads < 2:
        for one in work:
            act(*one)
        return
    shares = [_pool().submit(share, number) for number in range(threads)]
    wait(shares)
    for ended in shares:
        ended.result()


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Threads that live on: to begin and end eight of them costs as much as to write four files."""
    return ThreadPoolExecutor(_THREADS, "fieldgrant-files")


os.register_at_fork(after_in_child=_pool.cache_clear)  # a forked process has none of these threads


def destroy(path: Path) -> None:
    """Overwrite a file with zeros, unlink it, and make both durable. Nothing happens when it is gone already.

    Killed in between it leaves a file of zeros: `read` takes it for gone.

    The overwriting is best effort (a copying file system or an SSD keeps what it likes): what counts is that the
    content is wrapped by the root, and that the file is in no backup but the ring's own, replaced at each rotation.
    """
    _erase(path)
    sync_directory(path.parent)  # also of one that is gone: who unlinked it may have died before this


def _erase(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        os.write(descriptor, bytes(os.fstat(descriptor).st_size))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a file's flock: excludes other processes and, as each call opens the file anew, other threads."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
