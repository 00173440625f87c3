"""Customers as JSON, by hand: the values are JSON already, and what many have in common is written once."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

import orjson

from protocol.consent import Field
from verifier.gate import Verdict


def item(verdict: Verdict, fields: tuple[Field, ...], texts: Sequence[bytes | None]) -> bytes:
    """One customer up to the end of what is withheld: `tail` follows. `texts`: JSON of each field, None: nothing."""
    released = verdict.released
    if released.issuperset(fields):
        shown = _template(fields) % tuple([text or b"null" for text in texts])
        withheld = b"{}"
    else:
        seen = tuple([field for field in fields if field in released])
        kept = [text or b"null" for field, text in zip(fields, texts, strict=True) if field in released]
        shown = _template(seen) % tuple(kept)
        withheld = _why(verdict.reasons, tuple([field for field in fields if field not in released]))
    return b'{"subject":%b,"fields":%b,"withheld":%b' % (orjson.dumps(verdict.subject), shown, withheld)


def tail(purpose: str, release: str) -> bytes:
    """What each customer of a page ends with but for the closing brace."""
    return b',"purpose":%b,"release":%b' % (orjson.dumps(purpose), orjson.dumps(release))


def page(items: Sequence[bytes], end: bytes, following: str | None) -> bytes:
    """A page out of customers that end alike."""
    end += b"}"
    body = (end + b",").join(items) + end if items else b""
    return b'{"items":[%b],"next":%b}' % (body, orjson.dumps(following))


def one(own: bytes, end: bytes, version: str | None) -> bytes:
    """One customer, with the version of what is shown where there is one."""
    return own + end + (b"}" if version is None else b',"version":%b}' % orjson.dumps(version))


@lru_cache(maxsize=1024)
def _template(fields: tuple[Field, ...]) -> bytes:
    return b"{%b}" % b",".join(orjson.dumps(field) + b":%b" for field in fields)


def _why(reasons: Mapping[Field, str], fields: tuple[Field, ...]) -> bytes:
    return orjson.dumps({field: str(reasons[field]) for field in fields})
