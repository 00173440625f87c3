"""Tiles: the log as static files (C2SP tlog-tiles), each written whole or not at all.

`tile/<level>/<N>[.p/<W>]` holds up to 256 hashes of 32 bytes, `tile/entries/<N>[.p/<W>]` the leaves themselves, each after
its length in two bytes. A file that is there is never written again: a different content means a forked log.
"""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from protocol import log as rfc6962
from protocol.errors import EvidenceError

WIDTH = 256
HEIGHT = 8
_HASH = 32


class Tiles:
    """The tile files under one directory, with hashes cached while they are read."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which need not exist yet."""
        self.directory = directory

    def extend(self, old: int, leaves: Sequence[bytes]) -> None:
        """Write every tile that changes when `leaves` follow the first `old`; durable when it returns.

        Doing it again after a crash is harmless. Raises EvidenceError("log_forked") when a file holds something else.
        """
        raise NotImplementedError

    def node(self, size: int, level: int, index: int) -> bytes:
        """Hash of a perfect subtree (see `audit.tree`) of the tree of `size` leaves."""
        raise NotImplementedError

    def leaf(self, size: int, index: int) -> bytes:
        """The bytes of one leaf."""
        raise NotImplementedError
