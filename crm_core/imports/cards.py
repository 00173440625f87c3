"""vCards 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350) as rows, each card cut out, bounded and cleared before it is parsed.

`vobject` parses what is left of a card: no photo, sound or key (their bytes are passed over), no card in a card, no
character set that we do not know. Whatever it raises rejects that one card.
"""

import binascii
import io
import re
from collections.abc import Iterator
from typing import Any, TextIO

import vobject
from vobject.base import VObjectError

from crm_core.imports.encoding import FORCED
from crm_core.imports.jsonlines import Flat
from protocol.errors import EvidenceError

MAX_LINE = 2**20
MAX_CARD = 2**18  # characters, photos not counted
MAX_LINES = 2000
_PASSED_OVER = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})
_SEVERAL = frozenset({"EMAIL", "TEL", "CATEGORIES"})
_TELL_NOTHING = frozenset({"VERSION", "PRODID", "REV", "UID", "FN"})
_PROPERTY = re.compile(r"(?:[A-Za-z0-9-]+\.)?([A-Za-z0-9-]+)[;:]")
# As `vobject` reads a line, but in one step for each piece: its own expression tries 2^n ways on a line that fails.
_VALUE = r'(?:"[^"]*"|[^";:,]*+)'
_LINE = re.compile(rf"(?:[\w-]++\.)?+[\w-]++(?:;(?=[;:]))?+(?:;[\w-]++(?:[=,]{_VALUE})*+)*+:", re.ASCII)
_CHARSET = re.compile(r";CHARSET=\"?([^;:\",]*)", re.IGNORECASE)
# What it is known to raise on hostile input, found by fuzzing; none of the texts is passed on: they quote the card.
_BROKEN = (
    VObjectError, ValueError, LookupError, AttributeError, TypeError, AssertionError, StopIteration, binascii.Error,
    NotImplementedError, RecursionError,
)  # fmt: skip


def rows(text: TextIO) -> Iterator[Flat | str]:
    """Each card's properties as members (`EMAIL`, `N.family`, `ADR.city` …), or a reason code: `bad_card`, `too_large`.

    Raises EvidenceError `bad_vcard` for what is no vCard file.
    """
    for card in _cut(text):
        yield card if card in {"bad_card", "too_large"} else _parsed(card)


def _cut(text: TextIO) -> Iterator[str]:
    kept: list[str] | None = None
    size, passing, code = 0, False, ""
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise EvidenceError("bad_vcard", "a line of the file is too long")
        word = line.strip().upper()
        if kept is None:
            if word == "BEGIN:VCARD":
                kept, size, passing, code = [line], 0, False, ""
            elif word:
                raise EvidenceError("bad_vcard", "the file is no vCard file, or breaks off between two cards")
            continue
        found = _PROPERTY.match(line)
        if word == "BEGIN:VCARD":
            code = code or "bad_card"
        if word == "END:VCARD":
            yield code or "".join((*kept, line))
            kept = None
            continue
        if found and found[1].upper() in _PASSED_OVER:
            passing = True
        elif found or not passing:
            passing = False
            size += len(line)
            kept.append(line)
        if size > MAX_CARD or len(kept) > MAX_LINES:
            code, kept, size = "too_large", kept[:1], 0
    if kept is not None:
        raise EvidenceError("bad_vcard", "the last card breaks off")


def _parsed(card: str) -> Flat | str:
    if any(name.lower() not in {*FORCED, "us-ascii", "gb2312"} for name in _CHARSET.findall(card)):
        return "bad_charset"
    try:
        if not all(_LINE.match(line) for line, _ in vobject.base.getLogicalLines(io.StringIO(card), allowQP=True)):
            return "bad_card"
        read = vobject.readOne(card, allowQP=True)
        return _flat(sorted(read.getChildren(), key=_rank))
    except _BROKEN:
        return "bad_card"


def _rank(property_: Any) -> int:
    """Preferred ones first (`PREF=1`, `TYPE=PREF`), the others as they stand."""
    given = property_.params.get("PREF", [""])[0]
    if given.isdecimal() and len(given) < 4:
        return int(given)
    types = {one.upper() for one in property_.params.get("TYPE", [])} | set(property_.singletonparams)
    return 0 if "PREF" in types else 101


def _flat(properties: list[Any]) -> Flat:
    found: Flat = {}
    for one in properties:
        for name, text in _members(one):
            if isinstance(text, str) and text.strip():
                _add(found, name, text)
    if "N.given" not in found and "N.family" not in found and "FN" in found:
        found["N.given"] = found["FN"]  # nobody knows which part of it is which
    return {name: cell for name, cell in found.items() if name not in _TELL_NOTHING}


def _members(property_: Any) -> list[tuple[str, Any]]:
    name, value = property_.name, property_.value
    if name == "N":
        parts = {"given": value.given, "family": value.family, "prefix": value.prefix}
        return [(f"N.{part}", _one(text)) for part, text in parts.items()]
    if name == "ADR":
        names = ("street", "city", "region", "code", "country")
        return [(f"ADR.{part}", _one(getattr(value, part))) for part in names]
    if name == "ORG":
        return [(f"ORG.{part}", text) for part, text in zip(("company", "department"), value, strict=False)]
    if isinstance(value, list):
        return [(name, text) for text in value]
    return [(name, re.sub(r"^(?:tel|mailto):", "", value, flags=re.IGNORECASE) if isinstance(value, str) else value)]


def _one(part: Any) -> str:
    return " ".join(str(one) for one in part) if isinstance(part, list) else str(part)


def _add(found: Flat, name: str, text: str) -> None:
    if name not in _SEVERAL:
        found.setdefault(name, text)
    elif isinstance(known := found.setdefault(name, []), list):
        known.append(text)  # in place: a copy for each would cost the square of a long list
