"""One event of a bundle: the record in clear, and all that ties it to the log's head. Pure.

body + salt → commitment → link of the subject's chain → small tree of the event → leaf → root.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from audit.statement import canonical_json, raw
from protocol import canonical, times
from protocol import log as rfc6962
from protocol.errors import EvidenceError

_NAME = re.compile(r"(events|organisation)/[0-9]{5,12}\.json")
_KEPT = 3  # of so many levels the nodes of one are remembered
_Place = tuple[int, int]  # level and number of a node
_Way = tuple[bytes, tuple[bytes, ...]]  # its hash, and the siblings from there to the root
_ROOT = slice(len('{"root":"'), len('{"root":"') + 44)  # of a leaf: JCS has it first
_BODY = {"id", "type", "time", "subject", "header", "data"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a verified record says. `sequence` counts in its chain; `subject` None is the organisation's own chain."""

    sequence: int
    index: int
    id: str
    type: str
    at: datetime
    subject: str | None
    header: Mapping[str, Any]
    data: Mapping[str, Any]
    link: bytes


class Head:
    """The log's head, to which many leaves are followed: what proofs have in common is followed once."""

    def __init__(self, size: int, root: bytes) -> None:
        self.size, self.root = size, root
        self._proved: dict[_Place, _Way] = {}

    def verify(self, leaf: bytes, index: int, proof: tuple[bytes, ...]) -> None:
        """Check that this is the hash of the leaf of that number. EvidenceError `bad_inclusion_proof`.

        A node from which a proof that held went the same way to the root need not be followed again.
        """
        found, at, last = leaf, index, self.size - 1
        met: list[tuple[_Place, _Way]] = []
        for level, sibling in enumerate(proof):
            if not 0 <= at < last >> level:
                break  # at the tree's right edge levels are left out, so that a step is no level any more
            if level % _KEPT == _KEPT - 1:
                place, way = (level, at), (found, proof[level:])
                if self._proved.get(place) == way:
                    self._proved.update(met)  # from these it goes on by that node
                    return
                met.append((place, way))
            found = rfc6962.node_hash(sibling, found) if at & 1 else rfc6962.node_hash(found, sibling)
            at >>= 1
        rfc6962.verify_inclusion(leaf, index, self.size, proof, self.root)
        self._proved.update(met)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFile:
    """The members of an event's file; `proof` and `path` are nearest sibling first, `records` the small tree's size."""

    sequence: int
    previous: bytes
    salt: bytes
    body: bytes
    place: int
    records: int
    path: tuple[bytes, ...]
    index: int
    leaf: bytes
    proof: tuple[bytes, ...]
    record: Mapping[str, Any] | None = None
    """What `body` holds, where it was read already."""

    def name(self) -> str:
        """The file's name in the bundle."""
        folder = "organisation" if self._record()["subject"] is None else "events"
        return f"{folder}/{self.sequence:05d}.json"

    def write(self) -> bytes:
        """The file (JCS)."""
        return canonical.jcs(
            {
                "v": 1,
                "record": canonical.parse(self.body, limit=len(self.body)),
                "salt": _text(self.salt),
                "chain": {"sequence": self.sequence, "previous": _text(self.previous)},
                "tree": {"place": self.place, "records": self.records, "path": [_text(one) for one in self.path]},
                "log": {"index": self.index, "leaf": _text(self.leaf), "proof": [_text(one) for one in self.proof]},
            }
        )

    @classmethod
    def read(cls, data: bytes) -> "EventFile":
        """Read a file. Raises EvidenceError("bad_event")."""
        document = canonical_json(data, "bad_event")
        try:
            record, chain, tree, log = document["record"], document["chain"], document["tree"], document["log"]
            if document["v"] != 1 or set(record) != _BODY:
                raise ValueError("another version, or members too many")
            return cls(
                sequence=_whole(chain["sequence"]),
                previous=raw(chain["previous"], 32),
                salt=raw(document["salt"], 32),
                body=canonical.jcs(record),
                place=_whole(tree["place"]),
                records=_whole(tree["records"]),
                path=_hashes(tree["path"]),
                index=_whole(log["index"]),
                leaf=raw(log["leaf"]),
                proof=_hashes(log["proof"]),
                record=record,
            )
        except (KeyError, TypeError, ValueError):
            raise EvidenceError("bad_event", "an event's file lacks a member or has a wrong one") from None

    def _record(self) -> Mapping[str, Any]:
        return canonical.parse(self.body, limit=len(self.body)) if self.record is None else self.record

    def verify(self, head: Head) -> Event:
        """Follow the record to the log's root.

        Raises EvidenceError: `bad_inclusion_proof` (of the small tree or of the log), `bad_leaf`, `bad_event`,
        `bad_datetime`.
        """
        body = self._record()
        commitment = rfc6962.record_commitment(self.salt, self.body)
        link = rfc6962.chain_link(self.sequence, self.previous, commitment)
        small_root = self._root(body)
        rfc6962.verify_path(link, self.place, self.records, self.path, small_root)
        head.verify(rfc6962.leaf_hash(self.leaf), self.index, self.proof)
        header, data, subject = body["header"], body["data"], body["subject"]
        if not isinstance(header, dict) or not isinstance(data, dict) or not isinstance(subject, str | None):
            raise EvidenceError("bad_event", "a record's header and data are objects, its subject a text")
        return Event(
            sequence=self.sequence,
            index=self.index,
            id=str(body["id"]),
            type=body["type"],
            at=times.parse(body["time"], field="time"),
            subject=subject,
            header=header,
            data=data,
            link=link,
        )

    def _root(self, body: Mapping[str, Any]) -> bytes:
        """The small tree's root, out of the leaf that a record of this type and time has."""
        for read in (_root_at_its_place, _root_within):
            try:
                small_root = read(self.leaf)
                if rfc6962.leaf_bytes(body["type"], body["time"], small_root) == self.leaf:
                    return small_root
            except (KeyError, TypeError, ValueError):
                pass
        raise EvidenceError("bad_leaf", "the leaf and the record differ in type or time")


def _root_at_its_place(leaf: bytes) -> bytes:
    """As every leaf of ours begins. Whether the rest is such a leaf too, its comparison says."""
    return raw(leaf[_ROOT].decode("ascii"), 32)


def _root_within(leaf: bytes) -> bytes:
    return raw(canonical_json(leaf, "bad_leaf")["root"], 32)


def is_event(name: str) -> bool:
    """Whether a file of the bundle is an event's."""
    return _NAME.fullmatch(name) is not None


def _hashes(texts: Any) -> tuple[bytes, ...]:
    if not isinstance(texts, list) or len(texts) > 64:
        raise ValueError("a proof has at most 64 hashes")
    return tuple([_hash(text) for text in texts])


@lru_cache(maxsize=4096)  # the higher a sibling stands, the more leaves have it in their way
def _hash(text: str) -> bytes:
    return raw(text, 32)


def _whole(number: Any) -> int:
    if type(number) is not int or not 0 <= number < 2**53:
        raise ValueError("not a whole number")
    return number


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
