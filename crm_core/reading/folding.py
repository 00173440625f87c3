"""The forms in which values are compared, ordered and searched. Pure.

Compared: NFKC, case-folded: `ＡＢＣ` equals `abc`, and Chinese sorts by code point. Searched: besides, Latin letters
lose their marks (`é` is `e`, `ß` is `ss`). Traditional and simplified Chinese are different letters and stay so.
"""

import math
import unicodedata

from crm_core.seal import Value

SortKey = tuple[float, str]  # numbers by size, then texts by their folded form

# Latin letters that no decomposition takes apart.
_LETTERS = {"ø": "o", "ł": "l", "đ": "d", "ħ": "h", "ŧ": "t", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}


def fold(value: Value) -> str:
    """The form in which one value is compared (of a list: all of it)."""
    if isinstance(value, str):
        # Most of what is stored is plain ASCII, for which NFKC changes nothing.
        return value.casefold() if value.isascii() else unicodedata.normalize("NFKC", value).casefold()
    if isinstance(value, bool):
        return "true" if value else "false"
    return unicodedata.normalize("NFKC", str(value)).casefold()


def sort_key(value: Value) -> SortKey:
    """An order over all values: numbers and truth values by size, then texts; a list by the first of its values."""
    if isinstance(value, list):
        return min(map(sort_key, value), default=(math.inf, ""))
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return (value, "")
    return (math.inf, fold(value))


def number(value: Value) -> int | float | None:
    """The value as a number to count with; None for what is none (truth values and NaN are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value


def each(value: Value) -> tuple[str | int | float | bool, ...]:
    """The values of a field, one by one."""
    return tuple(value) if isinstance(value, list) else (value,)


class _Letters(dict[int, str | None]):
    """A translation table that learns each letter when it first meets it."""

    def __missing__(self, code: int) -> str | None:
        self[code] = plain = _plain(chr(code))
        return plain


def _plain(letter: str) -> str | None:
    if "\u0300" <= letter <= "\u036f":  # a mark that stands alone: its letter has none composed with it
        return None
    base = unicodedata.normalize("NFD", letter)[0]
    if base != letter and not unicodedata.name(base, "").startswith("LATIN"):
        return letter
    return _LETTERS.get(base, base)


_TABLE = _Letters()


def searched(text: str) -> str:
    """The form in which a text is searched: folded, Latin letters without marks, one blank between words."""
    folded = fold(text)
    if not folded.isascii():
        folded = folded.translate(_TABLE)
    return " ".join(folded.split())


def digits(text: str) -> str:
    """The decimal digits of a text, full-width ones as ASCII."""
    return "".join(mark for mark in unicodedata.normalize("NFKC", text) if mark in "0123456789")
