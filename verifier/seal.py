"""The MAC of an allowance: BLAKE2b keyed from the key-ring (RFC 7693), over an encoding that reads in one way only."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_PERSON = b"fg-allowance-v1"
SIZE = 32  # bytes


class Key(NamedTuple):
    """What all rows of one visit share."""

    purpose: str
    recipient: str
    jurisdiction: str
    catalogue: str


class Seal:
    """Makes MACs under one 32-byte secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def under(self, key: Key) -> Callable[..., bytes]:
        """`mac(subject, mask, reasons, grounds, next_change_at, version, mark)` for rows with this key.

        `mark` is the subject's last entry in the journal, which is in no column: a row compiled before it is no more.

        What the rows share is hashed once. The inner function raises TypeError, ValueError or AttributeError for
        values that no allowance has (whoever writes to the database may put anything anywhere).
        """
        shared = self._shared(key)

        def mac(  # noqa: PLR0917 - called for every row: keywords cost more than the hash
            subject: str,
            mask: bytes,
            reasons: bytes,
            grounds: str,
            next_change_at: str | None,
            version: int,
            mark: int,
        ) -> bytes:
            who, why = subject.encode(), grounds.encode()
            when = b"-" if next_change_at is None else next_change_at.encode()
            hasher = shared.copy()
            hasher.update(
                b"%d:%b%d:%b%d:%b%d:%b%d:%b%d;%d;"
                % (len(who), who, len(mask), mask, len(reasons), reasons, len(why), why, len(when), when, version, mark)
            )
            return hasher.digest()

        return mac

    def alike(self, key: Key, content: Sequence[Any], mark: int) -> Callable[[bytes], bytes]:
        """The same `mac` by `whose(subject)` alone: for rows whose `content` (mask to version) and mark are one too."""
        mask, reasons, grounds, next_change_at, version = content
        why, when = grounds.encode(), b"-" if next_change_at is None else next_change_at.encode()
        shared = self._shared(key)
        rest = b"%d:%b%d:%b%d:%b%d:%b%d;%d;" % (
            len(mask), mask, len(reasons), reasons, len(why), why, len(when), when, version, mark,
        )  # fmt: skip

        def mac(whose: bytes) -> bytes:
            hasher = shared.copy()
            hasher.update(whose + rest)
            return hasher.digest()

        return mac

    def _shared(self, key: Key) -> "hashlib.blake2b":
        shared = hashlib.blake2b(key=self._secret, digest_size=SIZE, person=_PERSON)
        shared.update(b"".join(b"%d:%b" % (len(part), part) for part in (text.encode() for text in key)))
        return shared


def whose(subject: str) -> bytes:
    """A subject in the encoding of its rows' MACs."""
    who = subject.encode()
    return b"%d:%b" % (len(who), who)
