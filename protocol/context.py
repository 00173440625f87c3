"""JSON-LD contexts: those that ship with the package, by address and SHA-256. No other exists; none is ever fetched."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from protocol.errors import EvidenceError

CREDENTIALS_V2 = "https://www.w3.org/ns/credentials/v2"
CONSENT_V1 = "https://ns.fieldgrant.example/consent/v1"

PINNED: Mapping[str, tuple[str, str]] = {
    CREDENTIALS_V2: (
        "credentials-v2.json",
        "8a9f494a89ecc51db093e90e84713e07e84d6d9204364a9b3c7868b21751236f",
    ),
    CONSENT_V1: (
        "consent-v1.json",
        "a9f630d320277647e108c5c226c9d96f19931d912b5f50fc52c79fdb8f68108e",
    ),
    "https://w3id.org/security/data-integrity/v2": (
        "data-integrity-v2.json",
        "67f21e6e33a6c14e5ccfd2fc7865f7474fb71a04af7e94136cb399dfac8ae8f4",
    ),
    "https://w3id.org/security/multikey/v1": (
        "multikey-v1.json",
        "ba2c182de2d92f7e47184bcca8fcf0beaee6d3986c527bf664c195bbc7c58597",
    ),
    "https://www.w3.org/ns/did/v1": (
        "did-v1.json",
        "62c1054bf404d6dd3a4b26b64f830fd72095f6a26edc4469908c94351352ce5f",
    ),
    # The W3C's own vectors and conformance suites sign with it. It gives every word a meaning, so it never stands
    # beside our consent context: `credential.check` wants exactly the two contexts there.
    "https://www.w3.org/ns/credentials/examples/v2": (
        "examples-v2.json",
        "57393fbc69d6efb9b9b5dc9cb6b9880b0944360abfe2eaf459c9e58cf2279d7c",
    ),
}

_PLAIN = (bool, int, float)
_VALUE_MEMBERS = frozenset({"@value", "@language"})


@lru_cache(maxsize=32)
def load(url: str) -> dict[str, Any]:
    """The context document at an address; EvidenceError `context_unknown`, also when the packaged file was changed."""
    pin = PINNED.get(url)
    if pin is None:
        raise EvidenceError("context_unknown", "not one of the contexts that ship with us", field="@context")
    name, sha256 = pin
    data = resources.files("protocol").joinpath("contexts", name).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        raise EvidenceError("context_unknown", f"the packaged {name} is not the pinned one", field="@context")
    document: dict[str, Any] = json.loads(data)
    return document


def listed(value: object) -> tuple[str, ...]:
    """A `@context` member as a tuple of known addresses; EvidenceError `context_unknown`, also for inline contexts."""
    entries = value if isinstance(value, list) else [value]
    for entry in entries:
        if not isinstance(entry, str) or entry not in PINNED:
            raise EvidenceError("context_unknown", "not one of the contexts that ship with us", field="@context")
    return tuple(entries)


def check(document: Mapping[str, Any]) -> None:
    """Refuse unknown and inline contexts anywhere in a document; EvidenceError `context_unknown`."""
    for members in objects(document):
        if "@context" in members:
            listed(members["@context"])


def check_terms(document: Mapping[str, Any], urls: tuple[str, ...]) -> None:
    """Refuse members and types that none of the contexts defines; EvidenceError `undefined_term`.

    JCS signs such members, RDF would drop them; so that both suites sign the same statement, neither takes them.
    """
    known = _members(urls)
    for members in objects(document):
        if not members.keys() <= known and not members.keys() <= _VALUE_MEMBERS:
            strange = next(key for key in members if key not in known)
            raise EvidenceError("undefined_term", "a member that no context defines", field=_shown(strange))
        types = members.get("type", [])
        for name in types if isinstance(types, list) else (types,):
            if isinstance(name, str) and name not in known:
                raise EvidenceError("undefined_term", "a type that no context defines", field="type")


def all_known(document: Mapping[str, Any], urls: tuple[str, ...]) -> bool:
    """Whether `check` and `check_terms` find nothing to refuse, seen in one passage.

    True is certain. False only says that something is unusual: the two then say what is wrong, if anything is.
    """
    known, contexts = _members(urls), list(urls)
    waiting: list[Any] = [document]
    for item in waiting:  # it grows as we go
        if type(item) is dict:
            if not known.issuperset(item):
                return False
            for name, value in item.items():
                if name == "@context":
                    if value != contexts:
                        return False
                elif name == "type":
                    for one in value if type(value) is list else (value,):
                        if type(one) is not str or one not in known:
                            return False
                elif type(value) is not str:
                    waiting.append(value)
        elif type(item) is list:
            waiting += [value for value in item if type(value) is not str]
        elif item is not None and type(item) not in _PLAIN:
            return False
    return True


@lru_cache(maxsize=32)
def terms(urls: tuple[str, ...]) -> frozenset[str]:
    """Every term that these contexts define, at any depth of their scoped contexts."""
    found: set[str] = set()
    for url in urls:
        for members in objects(load(url)):
            inner = members.get("@context")
            if isinstance(inner, dict):
                found.update(key for key in inner if not key.startswith("@"))
    return frozenset(found)


@lru_cache(maxsize=32)
def _members(urls: tuple[str, ...]) -> frozenset[str]:
    return terms(urls) | {"@context"}


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Every JSON object inside a value, without recursion. What is no dict or list is no JSON to us."""
    waiting: list[Any] = [dict(value)] if isinstance(value, Mapping) else [value]
    for item in waiting:  # it grows as we go
        if isinstance(item, dict):
            yield item
            inner: Iterable[Any] = item.values()
        else:
            inner = item
        for child in inner:
            if isinstance(child, (dict, list)):
                waiting.append(child)


def _shown(key: str) -> str:
    # A stranger's key may be anything, a personal value too: only name what looks like a term.
    return key if key.isascii() and key.isidentifier() and len(key) <= 40 else "?"
