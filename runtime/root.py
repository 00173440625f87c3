"""The root: what wraps every key of the ring. A key file of its own, or Vault/OpenBao transit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from runtime.settings import Settings


class RootError(Exception):
    """The root cannot wrap or unwrap. Codes: root_missing, root_exposed, root_unavailable, root_refused, bad_wrapping."""

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


def root_of(settings: Settings, *, create: bool = False) -> Root:
    """The root that the settings name: Vault where an address is given, else `keys_dir/root.key`."""
    raise NotImplementedError
