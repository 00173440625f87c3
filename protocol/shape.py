"""Strict reading of a credential's members: every one named, every one of its type, none left over."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from protocol import times
from protocol.did import Did
from protocol.errors import EvidenceError

# What `\s` stands for is written out: a class that names a category is read character by character, without a table.
_SPACES = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_IRI = re.compile(rf"[A-Za-z][A-Za-z0-9+.-]*:[^{_SPACES}<>\"{{}}|\\^`]+\Z")
_TEXT = frozenset({str})
MAX_ITEMS = 256


def refuse(field: str, detail: str) -> EvidenceError:
    """The one error of a malformed member (code ``bad_credential``)."""
    return EvidenceError("bad_credential", detail, field=field)


def exact(node: Any, path: str, required: Sequence[str], optional: Sequence[str] = ()) -> Mapping[str, Any]:
    """``node`` as an object with all of ``required`` and nothing beyond ``optional``.

    A member too many is refused like a member too few: RDF would let a signed statement move between nodes.
    """
    if not isinstance(node, (dict, Mapping)):
        raise refuse(path, "must be an object")
    if len(node) == len(required) and all(map(node.__contains__, required)):
        return node  # as most are: `required` names nothing twice
    for name in required:
        if name not in node:
            raise refuse(f"{path}.{name}", "is missing")
    for name in node:
        if name not in required and name not in optional:
            raise refuse(f"{path}.{name}", "is not known here")
    return node


def text(node: Mapping[str, Any], name: str, path: str) -> str:
    """A string that is not empty."""
    value = node.get(name)
    if not isinstance(value, str) or not value:
        raise refuse(f"{path}.{name}", "must be a text")
    return value


def optional_text(node: Mapping[str, Any], name: str, path: str) -> str | None:
    """A string that is not empty, or nothing."""
    return text(node, name, path) if name in node else None


def iri(node: Mapping[str, Any], name: str, path: str) -> str:
    """An absolute IRI."""
    value = node.get(name)
    if not isinstance(value, str) or not _IRI.match(value):
        text(node, name, path)
        raise refuse(f"{path}.{name}", "must be an absolute IRI")
    return value


def did(node: Mapping[str, Any], name: str, path: str) -> Did:
    """A DID, without looking into its method."""
    value = iri(node, name, path)
    if not value.startswith("did:"):
        raise refuse(f"{path}.{name}", "must be a DID")
    return Did(value)


def texts(node: Mapping[str, Any], name: str, path: str, *, empty: bool = False) -> frozenset[str]:
    """A list of strings, read as the set that it means."""
    value = node.get(name)
    if not isinstance(value, list) or len(value) > MAX_ITEMS or not _TEXT.issuperset(map(type, value)) or "" in value:
        raise refuse(f"{path}.{name}", "must be a list of texts")
    if not value and not empty:
        raise refuse(f"{path}.{name}", "must not be empty")
    return frozenset(value)


def objects(node: Mapping[str, Any], name: str, path: str) -> list[Any]:
    """A list of at least one object."""
    value = node.get(name)
    if not isinstance(value, list) or not 0 < len(value) <= MAX_ITEMS:
        raise refuse(f"{path}.{name}", "must be a list of objects")
    return value


def moment(node: Mapping[str, Any], name: str, path: str) -> datetime:
    """A timestamp in UTC; EvidenceError ``bad_datetime``."""
    return times.parse(text(node, name, path), field=f"{path}.{name}")


def number(node: Mapping[str, Any], name: str, path: str) -> int:
    """A whole number from 0 on."""
    value = node.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise refuse(f"{path}.{name}", "must be a whole number")
    return value


def one_of(node: Mapping[str, Any], name: str, path: str, allowed: frozenset[str]) -> str:
    """A string out of ``allowed``."""
    value = text(node, name, path)
    if value not in allowed:
        raise refuse(f"{path}.{name}", f"must be one of {', '.join(sorted(allowed))}")
    return value
