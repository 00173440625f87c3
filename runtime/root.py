"""The root: what wraps every key of the ring. A key file of its own, or Vault/OpenBao transit."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime import keyfiles

_NONCE = 12


class RootError(Exception):
    """The root cannot wrap or unwrap.

    Codes: root_missing, root_exists, root_exposed (others may read the key file), root_unavailable (try later),
    root_refused (Vault said no), bad_wrapping (not ours, or another context).
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Root(Protocol):
    """Wraps small secrets; `context` is bound to the wrapping and must be the same to unwrap."""

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Raises RootError."""
        ...

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises RootError."""
        ...

    def unwrap_all(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Many (wrapped, context) in one call where the root is far away. Raises RootError if any one fails."""
        ...


class FileRoot:
    """A 32-byte key in a file that only its owner may read; wraps with AES-256-GCM, the context as associated data."""

    def __init__(self, path: Path) -> None:
        """Read the key. Raises RootError(root_missing, root_exposed)."""
        try:
            mode, key = path.stat().st_mode, path.read_bytes()
        except FileNotFoundError as error:
            raise RootError("root_missing", "there is no root key file") from error
        if mode & 0o077:
            raise RootError("root_exposed", "the root key file may be read by others than its owner")
        if len(key) != 32:
            raise RootError("root_missing", "the root key file does not hold 32 bytes")
        self._key = AESGCM(key)

    @classmethod
    def create(cls, path: Path) -> "FileRoot":
        """Make a new key. Raises RootError(root_exists)."""
        keyfiles.make_directory(path.parent)
        with keyfiles.locked(path.with_name(f"{path.name}.lock")):
            if path.exists():
                raise RootError("root_exists", "there is a root key file already")
            keyfiles.write(path, secrets.token_bytes(32))
        return cls(path)

    def wrap(self, plaintext: bytes, context: bytes) -> bytes:
        """Nonce and ciphertext."""
        nonce = os.urandom(_NONCE)
        return nonce + self._key.encrypt(nonce, plaintext, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Raises RootError(bad_wrapping)."""
        try:
            return self._key.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], context)
        except (InvalidTag, ValueError) as error:
            raise RootError("bad_wrapping", "not wrapped by this root for this context") from error

    def unwrap_all(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """Raises RootError(bad_wrapping)."""
        return [self.unwrap(wrapped, context) for wrapped, context in items]
