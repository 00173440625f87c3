"""The log: which events became which leaves, and the signed head that covers them.

The database says which leaf stands where; the tiles on disk (C2SP tlog-tiles) are what the world reads. Both are
written by `audit.drain` alone. `Log.check` compares them, and nobody appends to a log whose halves differ.
"""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import func
from sqlmodel import Session, col, select

from audit import files
from audit.chains import Chains
from audit.log_tables import ORGANISATION, LogCheckpoint, LogEntry, LogRecord
from audit.tiles import Tiles
from audit.tree import Merkle
from protocol import canonical, event, note
from protocol import log as rfc6962
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform

__all__ = ["ORGANISATION", "Head", "Log", "LogCheckpoint", "LogEntry", "LogRecord", "latest", "leaf_count"]

Answered = Callable[[int, int], int]


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head: how many leaves, their root, and the note that says so."""

    size: int
    root: bytes
    note: bytes


class Log:
    """One organisation's log: its key, its tiles, its head."""

    def __init__(self, platform: Platform, *, answered: Answered = lambda since, _until: since) -> None:
        """The log of `platform`, under `log/` in its data directory; the key is the key-ring's `log`.

        `answered` is handed in: from one line of the journal to another, up to which the database has what was given.
        """
        self.platform = platform
        self.answered = answered
        self.directory: Path = platform.settings.log_dir
        self.tiles = Tiles(self.directory)
        self.chains = Chains(platform.settings.journal_dir)
        self.origin = f"{urlsplit(platform.settings.base_url).netloc}/audit"
        self.signer = platform.keyring.signer("log")
        self._compared = False

    @property
    def vkey(self) -> str:
        """The verifier key to give to auditors (C2SP signed-note, "Verifier keys")."""
        return note.vkey(self.origin, self.signer.public)

    def introduce(self) -> None:
        """Put the controller's document on record, once for each version of it: proofs are checked with its keys."""
        digest = canonical.digest(canonical.jcs(self.platform.document))
        key = f"{event.CONTROLLER_PUBLISHED}:{digest}"
        data = {"did": self.platform.controller, "document": digest, "log": self.origin}
        with self.platform.database.write() as session:
            at = self.platform.clock.now()
            outbox.emit(session, event.CONTROLLER_PUBLISHED, at=at, records=[(None, data)], key=key)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the log against every other drain, in this process or another."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / ".lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def checkpoint(self) -> bytes | None:
        """The signed note as it lies on disk, None before the first."""
        path = self.directory / "checkpoint"
        return path.read_bytes() if path.is_file() else None

    def head(self) -> Head:
        """The signed head on disk (size 0 before the first). Raises EvidenceError("log_forked") when it is not ours."""
        text = self.checkpoint()
        if text is None:
            return Head(0, rfc6962.root([]), b"")
        try:
            found = note.parse_checkpoint(note.open_note(text, self.vkey))
        except EvidenceError as error:
            raise EvidenceError("log_forked", "the checkpoint on disk is not signed with this log's key") from error
        if found.origin != self.origin:
            raise EvidenceError("log_forked", "the checkpoint on disk is another log's")
        return Head(found.size, found.root, text)

    def check(self, session: Session) -> Head:
        """Compare disk and database; the head on disk when they agree.

        Raises EvidenceError("log_forked") when they differ, "log_ahead_of_database" when the database holds less than
        was signed (a restored backup). The first time every tile is read, later only the heads.
        """
        head = self.head()
        size = leaf_count(session)
        signed = latest(session)
        if head.size > size:
            detail = f"{head.size} leaves are signed, the database holds {size}: was a backup restored?"
            raise EvidenceError("log_ahead_of_database", detail)
        if signed is not None and signed.size > head.size:
            raise EvidenceError(
                "log_forked", f"the database knows a head of {signed.size} leaves, the disk {head.size}"
            )
        if not self._compared:
            leaves = session.exec(
                select(col(LogEntry.leaf))
                .where(col(LogEntry.leaf_index) < head.size)
                .order_by(col(LogEntry.leaf_index))
            ).all()
            self.tiles.compare(leaves)
            if self.merkle(head.size).root() != head.root:
                raise EvidenceError("log_forked", "the signed root is not that of the leaves")
            self._compared = True
        known = session.get(LogCheckpoint, head.size)
        if known is not None and known.root != head.root:
            raise EvidenceError("log_forked", f"disk and database hold two different heads of {head.size} leaves")
        return head

    def merkle(self, size: int) -> Merkle:
        """The tree of the first `size` leaves, read from the tiles."""
        return Merkle(size, lambda level, index: self.tiles.node(size, level, index))

    def sign(self, size: int) -> Head:
        """Sign the head of the first `size` leaves, whose tiles are on disk, and replace the checkpoint with it."""
        root = self.merkle(size).root()
        body = note.checkpoint(self.origin, size, root)
        text = note.sign_note(body, self.origin, self.signer).encode()
        files.write(self.directory / "checkpoint", text)
        return Head(size, root, text)


def leaf_count(session: Session) -> int:
    """How many leaves the database holds."""
    last = session.exec(select(func.max(LogEntry.leaf_index))).one()
    return 0 if last is None else last + 1


def latest(session: Session) -> LogCheckpoint | None:
    """The largest head that the database knows."""
    return session.exec(select(LogCheckpoint).order_by(col(LogCheckpoint.size).desc()).limit(1)).first()
