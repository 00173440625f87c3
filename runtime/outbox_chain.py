"""The chain of the outbox: who writes to the database can neither change, add nor take out an event unnoticed.

Each row carries a keyed digest (the key is in the key-ring) over its content and the digest of the row before it. The
newest rows could still be cut off as if they had never been: so each process remembers the newest row that it
committed, and looks for it at its next event. What nobody can know is what was cut off after every process that
remembered it had died and before the drain had logged it (docs/decisions/017).
"""

import hashlib
import hmac
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

KEY = "outbox"  # name of the secret in the key-ring
INFO = "outbox-chain"  # where a session finds its database's chain
AFTER_COMMIT = "outbox-committed"  # and where it leaves what is to be called once its transaction has committed

FlawCode = Literal["event_altered", "event_missing", "event_repeated"]


@dataclass(frozen=True, slots=True)
class Link:
    """A row's number and its digest; (0, b"") stands before the first row."""

    id: int
    mac: bytes


START = Link(0, b"")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong at a row of the outbox.

    `event_altered`: its content is not what we wrote (or we never wrote it). `event_missing`: what we wrote just
    before it is gone. `event_repeated`: it was logged before.
    """

    outbox_id: int
    event_id: str
    code: FlawCode


class Chain:
    """One process's part in the chain: the key, and the newest row that this process committed."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 bytes of the key-ring."""
        self._key = key
        self._lock = threading.Lock()
        self._head = START

    @property
    def head(self) -> Link:
        """The newest row that this process committed; `START` when it has not written yet."""
        return self._head

    def committed(self, link: Link) -> None:
        """Remember a row whose transaction has committed."""
        with self._lock:
            if link.id > self._head.id:
                self._head = link

    def replaced(self, link: Link) -> None:
        """Go on from this row: the remembered one is gone, and that is on record."""
        with self._lock:
            self._head = link

    def mac(self, row: Mapping[str, Any]) -> bytes:
        """The keyed digest of a row's columns, its `prev` (the digest of the row before it) among them."""
        facts = [row["event_id"], row["type"], row["at"], row["header"], row["records"], row["key"]]
        text = orjson.dumps([row["prev"].hex(), row["salts"].hex(), *facts])
        return hashlib.blake2b(text, key=self._key, digest_size=32).digest()

    def genuine(self, row: Mapping[str, Any]) -> bool:
        """Whether a row's content is what we wrote."""
        try:
            return hmac.compare_digest(row["mac"], self.mac(row))
        except (TypeError, ValueError, AttributeError):  # SQLite takes a text, or bytes, in any column
            return False

    def inspect(self, rows: Iterable[Mapping[str, Any]], before: bytes) -> tuple[list[bool], list[Flaw]]:
        """Which rows are as we wrote them, and what is wrong with or just before the others.

        `before` is the digest of the row in front of the first, b"" when there is none.
        """
        genuine: list[bool] = []
        flaws: list[Flaw] = []
        accepted = {before}  # a row that was changed may still bear the digest that the next one follows
        for row in rows:
            fits = self.genuine(row)
            genuine.append(fits)
            if not fits:
                flaws.append(Flaw(row["id"], row["event_id"], "event_altered"))
                accepted.add(row["mac"])
                continue
            if row["prev"] not in accepted:
                flaws.append(Flaw(row["id"], row["event_id"], "event_missing"))
            accepted = {row["mac"]}
        return genuine, flaws
