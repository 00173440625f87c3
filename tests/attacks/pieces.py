"""Small things that attacks share: names, bent documents, acts at once."""

import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from protocol import canonical
from protocol.consent import Process

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
EMAIL, CITY, GIVEN, PHONE = "contact.email", "address.city", "contact.given_name", "contact.phone"
ASKED = (EMAIL, CITY, GIVEN)
PASSWORD = "a password of some length"
LINK = re.compile(r"fieldgrant://enrol\?\S+")
CODE = re.compile(r"(?<!\d)(\d{8})(?!\d)")
CUSTOMERS = 24


def narrowed(process: Process, fields: Sequence[str] | None) -> Process:
    """The process with these fields only."""
    return bent(process, fields=frozenset(fields or process.fields))


def bent(process: Process, **changes: Any) -> Process:
    """A process with some members changed."""
    names = ("purpose", "fields", "processing", "recipients", "jurisdictions", "duration", "locations")
    return Process(**{**{name: getattr(process, name) for name in names}, **changes})


def digest_of(document: Mapping[str, Any]) -> str:
    return canonical.digest(canonical.jcs(dict(document)))


def token_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["token"][0]


def at_once(acts: Sequence[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    """All acts in threads that start together."""
    gate = threading.Barrier(len(acts))

    def go(act: Callable[[], httpx.Response]) -> httpx.Response:
        gate.wait()
        return act()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(go, acts))


def codes(answers: Sequence[httpx.Response]) -> list[str]:
    """`ok` or the code of each, sorted."""
    return sorted("ok" if one.is_success else str(one.json().get("code")) for one in answers)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])
