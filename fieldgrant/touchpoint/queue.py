"""The offline queue: uploads that could not be sent yet, one sealed file each, in the order in which they came.

A file is written whole or not at all (temporary file, fsync, rename, fsync of the directory) and removed only when
the gateway has answered for good. A file that does not open is set aside under `.bad` and told, never sent or lost.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from protocol.keys import Signer

LOG: Final = logging.getLogger(__name__)
MAX_ENTRIES: Final = 10_000
MAX_BYTES: Final = 64 * 2**20
_PAD: Final = 256
_CONTEXT: Final = b"fieldgrant touchpoint queue v1"


class QueueError(Exception):
    """The queue cannot take or give what it should. Codes: queue_full, wrong_key."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Waiting:
    """One upload that waits: the file's name is its place in the order."""

    name: str
    upload: Mapping[str, Any]


class SealedQueue:
    """A directory of sealed uploads, shared by processes of one touchpoint."""

    def __init__(
        self, directory: Path, key: bytes, *, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES
    ) -> None:
        """`key`: 32 bytes (`key_of` derives them). Raises QueueError(wrong_key), ValueError."""
        self._directory, self._box = directory, SecretBox(key)
        self._max_entries, self._max_bytes = max_entries, max_bytes
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        directory.chmod(0o700)
        with self._locked():
            for half_written in directory.glob(".*.tmp"):
                half_written.unlink()
            self._check_key(hashlib.blake2b(_CONTEXT, key=key, digest_size=16).hexdigest())

    @staticmethod
    def key_of(signer: Signer) -> bytes:
        """A key derived from the touchpoint's own: Ed25519 signs the same text always the same way (RFC 8032)."""
        return hashlib.blake2b(signer.sign(_CONTEXT), digest_size=SecretBox.KEY_SIZE, person=b"fg-queue-v1").digest()

    def put(self, upload: Mapping[str, Any]) -> str:
        """Add an upload, durable on return; its name. Raises QueueError(queue_full), OSError."""
        plain = json.dumps(upload, ensure_ascii=False, separators=(",", ":")).encode()
        data = bytes(self._box.encrypt(plain + b" " * (-len(plain) % _PAD)))
        with self._locked():
            files = self._files()
            size = sum((self._directory / name).stat().st_size for name in files)
            if len(files) >= self._max_entries or size + len(data) > self._max_bytes:
                raise QueueError("queue_full", "the offline queue is full; nothing was added")
            last = int(files[-1].partition("-")[0]) if files else 0
            name = f"{last + 1:016d}-{secrets.token_hex(8)}.box"
            self._write(name, data)
        return name

    def peek(self, limit: int, *, skip: int = 0) -> list[Waiting]:
        """The oldest uploads that open, at most `limit`; what does not open is set aside."""
        found: list[Waiting] = []
        for name in self._files()[skip:]:
            if len(found) == limit:
                break
            upload = self._open(name)
            if upload is not None:
                found.append(Waiting(name, upload))
        return found

    def remove(self, name: str) -> None:
        """Take an upload out, durably; nothing happens when it is gone."""
        (self._directory / name).unlink(missing_ok=True)
        self._sync()

    def __len__(self) -> int:
        """How many uploads wait."""
        return len(self._files())

    def set_aside(self) -> list[str]:
        """The names of files that did not open."""
        return sorted(path.name for path in self._directory.glob("*.bad"))

    @contextmanager
    def sending(self) -> Iterator[bool]:
        """Hold the right to send; False where another process sends just now."""
        descriptor = os.open(self._directory / "sending.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _open(self, name: str) -> Mapping[str, Any] | None:
        path = self._directory / name
        try:
            upload = json.loads(self._box.decrypt(path.read_bytes()))
        except FileNotFoundError:
            return None  # another process has sent it meanwhile
        except (CryptoError, ValueError):
            path.rename(path.with_suffix(".bad"))
            LOG.warning("a queued upload does not open and was set aside: %s", path.with_suffix(".bad").name)
            return None
        return upload if isinstance(upload, dict) else None

    def _check_key(self, mark: str) -> None:
        """Another key would set everything aside: better to say so at once."""
        path = self._directory / "key.mark"
        if not path.exists():
            self._write(path.name, mark.encode())
        elif path.read_text(encoding="ascii", errors="replace") != mark:
            raise QueueError("wrong_key", "this queue was sealed with another key")

    def _files(self) -> list[str]:
        return sorted(path.name for path in self._directory.glob("*.box"))

    def _write(self, name: str, data: bytes) -> None:
        temporary = self._directory / f".{name}.tmp"
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._directory / name)
        self._sync()

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._directory / "queue.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
