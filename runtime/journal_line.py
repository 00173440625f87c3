"""A line of the journal: an entry, its number, the tag of the line before, and its own tag, keyed.

`{"entry":…,"prev":"<tag>","seq":1,"tag":"<64 hex>"}` in JCS. The tag is BLAKE2b-256 under a key of the key-ring over
the line without its last member. Whoever writes the file without the key can shorten it and nothing else: no line can
be changed, made, moved or left out; that it was shortened `audit.agreement` finds.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import orjson

from protocol import canonical

_SIZE = 32
_TAG = b',"tag":"'
_END = b'"}\n'
_TAIL = len(_TAG) + 2 * _SIZE + len(_END)


class JournalError(Exception):
    """The journal cannot be trusted or written.

    Codes: journal_missing, journal_broken, journal_shrunk, journal_failed.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def seal(key: bytes, seq: int, prev: str, entry: Mapping[str, Any]) -> tuple[bytes, str]:
    """The line of an entry, with its newline, and its tag."""
    body = canonical.jcs({"seq": seq, "prev": prev, "entry": dict(entry)})
    tag = _tag(key, body)
    return body[:-1] + _TAG + tag.encode() + _END, tag


def parse(key: bytes, line: bytes, seq: int, prev: str) -> tuple[int, str, Mapping[str, Any]]:
    """Check a line against the one before it, whose number and tag are given. Raises JournalError(journal_broken)."""
    body, told = line[:-_TAIL] + b"}", line[-_TAIL:]
    tag = told[len(_TAG) : -len(_END)]
    if not (told.startswith(_TAG) and told.endswith(_END) and hmac.compare_digest(tag, _tag(key, body).encode())):
        raise _broken(seq + 1, "is not as we wrote it")
    parsed = orjson.loads(body)
    if parsed["seq"] != seq + 1 or parsed["prev"] != prev:
        raise _broken(seq + 1, "does not follow from the one before")
    return seq + 1, tag.decode(), parsed["entry"]


def _tag(key: bytes, body: bytes) -> str:
    return hashlib.blake2b(body, key=key, digest_size=_SIZE).hexdigest()


def _broken(seq: int, what: str) -> JournalError:
    return JournalError(
        "journal_broken",
        f"line {seq} of the journal {what}: bring back an unchanged copy of it; if there is none, cut it before that "
        "line and run fieldgrant reconcile --end-unknown",
    )
