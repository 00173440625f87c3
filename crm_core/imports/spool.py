"""A body on its way in: on the disk only sealed, under a key that is nowhere but in memory; the file has no name.

Chunks are sealed with AES-256-GCM, their number as nonce (the key seals one spool and no chunk twice).
"""

import io
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_CHUNK = 65536
_SEALED = _CHUNK + 16


class Spool:
    """Bytes written once and read often. Its file goes with the object: no crash leaves one."""

    def __init__(self, directory: Path) -> None:
        """`directory` is made if it is missing; the file in it has no name from the start."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = tempfile.TemporaryFile(dir=directory, buffering=0)  # noqa: SIM115 - lives as long as the spool
        self._key = AESGCM(secrets.token_bytes(32))
        self._pending = bytearray()
        self._chunks = 0

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._pending += data
        while len(self._pending) >= _CHUNK:
            self._seal(bytes(self._pending[:_CHUNK]))
            del self._pending[:_CHUNK]

    def end(self) -> None:
        """No more bytes come. Before it nothing can be read."""
        self._seal(bytes(self._pending))
        self._pending.clear()

    def open(self) -> BinaryIO:
        """Read from the start; several readers do not disturb each other."""
        return io.BufferedReader(_Reader(self), _CHUNK)

    def close(self) -> None:
        """Drop the file."""
        self._file.close()

    def chunk(self, number: int) -> bytes:
        """The bytes of one chunk; empty behind the last one. OSError when the file was changed."""
        if number >= self._chunks:
            return b""
        sealed = os.pread(self._file.fileno(), _SEALED, number * _SEALED)
        try:
            return self._key.decrypt(number.to_bytes(12, "big"), sealed, None)
        except InvalidTag:
            raise OSError("the spool was changed") from None

    def _seal(self, plain: bytes) -> None:
        self._file.write(self._key.encrypt(self._chunks.to_bytes(12, "big"), plain, None))
        self._chunks += 1


class _Reader(io.RawIOBase):
    def __init__(self, spool: Spool) -> None:
        self._spool, self._at, self._number, self._plain = spool, 0, -1, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the start")
        self._at = offset
        return offset

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, within = divmod(self._at, _CHUNK)
        if number != self._number:
            self._number, self._plain = number, self._spool.chunk(number)
        view = memoryview(buffer).cast("B")
        taken = self._plain[within : within + len(view)]
        view[: len(taken)] = taken
        self._at += len(taken)
        return len(taken)
