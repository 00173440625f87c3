"""Strict JSON in, canonical JSON out: RFC 8259 as narrowed by I-JSON (RFC 7493), and JCS (RFC 8785)."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Never, TypeAlias

import orjson
import rfc8785

from protocol import multibase
from protocol.errors import EvidenceError

MAX_BYTES = 65536
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1  # what every JSON reader can hold exactly (RFC 7493 §2.2)

JsonValue: TypeAlias = Mapping[str, Any] | Sequence[Any] | str | int | float | bool | None

# Each string in one step; possessive, and an unfinished one runs to the end, so that the scan stays linear.
_STRINGS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
# Where orjson's sorted form may differ from JCS: keys beyond the basic plane (UTF-16 order) and numbers that are not
# plain integers; null it also writes for NaN, so that is compared.
# One by one, for a search for one byte is a hundred times faster than a pattern.
_ASTRAL = (b"\xf0", b"\xf1", b"\xf2", b"\xf3", b"\xf4")
# Three patterns, since one that starts with a character class is searched ten times slower than with a character.
_AFTER_NAME, _AFTER_COMMA, _AFTER_BRACKET = (re.compile(start + rb"-?[0-9]+[.e]") for start in (rb'":', rb",", rb"\["))
_EXPONENT = re.compile(rb"[0-9]e")
_FAST = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME


def parse(data: bytes, *, limit: int = MAX_BYTES) -> dict[str, Any]:
    """Read one JSON object from UTF-8 bytes, in bounded time and memory.

    EvidenceError: too_large, bad_text (not UTF-8, lone surrogates), too_deep (more than 32 levels), bad_json,
    duplicate_key, bad_number (NaN, Infinity, beyond 2^53), not_an_object.
    """
    if len(data) > limit:
        raise EvidenceError("too_large", f"more than {limit} bytes")
    known = _canonical(data)
    return _strict(data) if known is None else known


def read(data: bytes) -> tuple[dict[str, Any], bytes, bool]:
    """The object, its canonical bytes and whether it is plain: then so is each part of it (`plain`).

    EvidenceError: those of `parse`.
    """
    known = _canonical(data) if len(data) <= MAX_BYTES else None
    if known is not None:
        return known, bytes(data), True
    document = parse(data)
    return document, jcs(document), False


def _strict(data: bytes) -> dict[str, Any]:
    try:
        text = bytes(data).decode("utf-8")
    except UnicodeDecodeError:
        raise EvidenceError("bad_text", "not UTF-8") from None
    _check_depth(text)
    try:
        value = _DECODER.decode(text)
    except ValueError:
        raise EvidenceError("bad_json", "not JSON") from None
    if _SURROGATE_ESCAPE.search(text):
        _check_surrogates(value)
    if not isinstance(value, dict):
        raise EvidenceError("not_an_object", "not a JSON object")
    return value


def jcs(value: JsonValue) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785). EvidenceError: bad_number, bad_text, bad_json, too_deep."""
    try:
        fast = orjson.dumps(value, option=_FAST)
        if not (isinstance(value, float) or _is_unsure(fast) or (b"null" in fast and orjson.loads(fast) != value)):
            return fast
    except TypeError:  # orjson's only error; the slow path says what is wrong
        pass
    try:
        return rfc8785.dumps(value)
    except (rfc8785.FloatDomainError, rfc8785.IntegerDomainError):
        raise EvidenceError("bad_number", "a number that JSON cannot hold exactly") from None
    except UnicodeError:
        raise EvidenceError("bad_text", "a lone surrogate") from None
    except RecursionError:
        raise EvidenceError("too_deep", "nested too deeply") from None
    except (rfc8785.CanonicalizationError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error.__cause__ or error.__context__, UnicodeError):
            raise EvidenceError("bad_text", "a lone surrogate") from None
        raise EvidenceError("bad_json", "not a JSON value") from None


def plain(part: JsonValue) -> bytes:
    """The canonical bytes of what `read` found plain, or of a part of it: what makes the forms differ is not in it."""
    return orjson.dumps(part, option=_FAST)


def digest(data: bytes) -> str:
    """The `digestMultibase` of bytes: base58btc of the sha2-256 multihash, `zQm…` (VCDM 2.0 §5.3)."""
    return multibase.encode(b"\x12\x20" + hashlib.sha256(data).digest())


def _canonical(data: bytes) -> dict[str, Any] | None:
    """The object whose canonical bytes these are, as most are: in such bytes nothing stands twice or in disguise.

    None where that is not seen at once; the strict reader then says what there is, or what is wrong.
    """
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH:
        return None
    try:
        value = orjson.loads(data)
        if type(value) is dict and orjson.dumps(value, option=_FAST) == data and not _is_unsure(data):
            return value
    except (ValueError, TypeError):  # no JSON, or a number beyond 2^53
        pass
    return None


def _is_unsure(data: bytes) -> bool:
    """Whether the fast writer's form may not be the canonical one."""
    if _AFTER_NAME.search(data) or _AFTER_COMMA.search(data) or _AFTER_BRACKET.search(data):
        if b"\\" in data:
            return True
        bare = b"".join(data.split(b'"')[::2])  # what stands outside of texts
        if b"." in bare or _EXPONENT.search(bare):
            return True
    return not data.isascii() and any(lead in data for lead in _ASTRAL)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise EvidenceError("too_deep", f"nested more than {MAX_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EvidenceError("duplicate_key", "a JSON object names a member twice")
    return members


def _integer(text: str) -> int:
    if len(text) > 17 or abs(number := int(text)) > MAX_INTEGER:
        raise EvidenceError("bad_number", "an integer beyond 2^53")
    return number


def _float(text: str) -> float:
    number = float(text)
    if not abs(number) <= MAX_INTEGER:  # JCS would write it as an integer that nobody reads back
        raise EvidenceError("bad_number", "a number beyond 2^53")
    return number


def _constant(name: str) -> Never:
    raise EvidenceError("bad_number", f"{name} is not JSON")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise EvidenceError("bad_text", "a lone surrogate") from None


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant)
