"""One organisation's platform: what every app is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.did import Did, Keys
from protocol.keys import Ed25519Signer

from runtime.clock import Clocks
from runtime.journal import Journal
from runtime.keyring import KeyRing
from runtime.session import Database
from runtime.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """Settings, clock, stores and the controller's identity. `document` is its did:web document, `keys` resolves it."""

    settings: Settings
    clock: Clocks
    database: Database
    keyring: KeyRing
    journal: Journal
    controller: Did
    signer: Ed25519Signer
    document: Mapping[str, Any]
    keys: Keys

    @classmethod
    def create(cls, settings: Settings, clock: Clocks | None = None) -> "Platform":
        """Make directories, keys, journal and schema, then open. Raises RingError(ring_exists)."""
        raise NotImplementedError

    @classmethod
    def open(cls, settings: Settings, clock: Clocks | None = None) -> "Platform":
        """Open what `create` made. Raises RingError, JournalError, RootError."""
        raise NotImplementedError

    def close(self) -> None:
        """Drop the keys and close the database."""
        raise NotImplementedError
