"""Values of a field as columns of numbers, for measuring what the field is worth. Pure; nothing here is ever stored.

A number or date is itself; yes and no are 1 and 0; a text of few kinds is a code per kind; a text of many kinds (names,
notes) tells by its length and by what its words hash to. Absent and withheld are both NaN: the measure must not learn
from who said no.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from crm_core.seal import Value

KINDS: Final = 24  # a text with more kinds than these is a free one
_WORDS: Final = 16  # hashed columns of a free text
_SECONDS_A_DAY: Final = 86_400
_WORD: Final = re.compile(r"[\u3400-\u9fff]|\w+")  # a Chinese character is a word of its own

T = TypeVar("T")
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """One field's columns: (customers, columns), and whether each column is a code of kinds rather than a size."""

    numbers: Numbers
    kinds: tuple[bool, ...]


def columns(type_: str, values: Sequence[Value | None]) -> Columns:
    """The columns of one field over all customers; `type_` is the catalogue's."""
    known = [value for value in values if value is not None]
    if type_ in ("number", "boolean", "date", "datetime"):
        return Columns(_column([_size(value) for value in values]), (False,))
    if any(isinstance(value, list) for value in known):
        return _several(values)
    if type_ in ("text", "tags") and len(set(map(str, known))) > KINDS:
        return _free(values)
    if type_ == "email":
        return Columns(_codes([None if value is None else str(value).rpartition("@")[2] for value in values]), (True,))
    return Columns(_codes([None if value is None else str(value) for value in values]), (True,))


def outcome(type_: str, values: Sequence[Value]) -> tuple[Numbers, bool]:
    """The outcome as numbers, and whether they are classes. Kinds of fewer than 10 customers are one kind, "other"."""
    if type_ in ("number", "date", "datetime"):
        return np.array([_size(value) for value in values], dtype=np.float64), False
    texts = [_text(value) for value in values]
    counts = Counter(texts)
    return _codes([text if counts[text] >= 10 else None for text in texts], missing=-1.0)[:, 0], True


def _size(value: Value | None) -> float:
    match value:
        case None:
            return float("nan")
        case bool() | int() | float():
            return float(value)
        case str():
            try:
                return datetime.fromisoformat(value).timestamp() / _SECONDS_A_DAY
            except (ValueError, OverflowError):
                return float("nan")
        case _:
            return float(len(value))


def _text(value: Value) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _column(numbers: Sequence[float]) -> Numbers:
    return np.array(numbers, dtype=np.float64).reshape(-1, 1)


def _codes(texts: Sequence[str | None], *, missing: float = float("nan")) -> Numbers:
    """A code per kind, the commonest first; the rarer ones beyond `KINDS` share the last code."""
    counts = Counter(text for text in texts if text is not None)
    codes: Mapping[str, int] = {text: min(at, KINDS) for at, (text, _) in enumerate(counts.most_common())}
    return _column([missing if text is None else float(codes[text]) for text in texts])


def _several(values: Sequence[Value | None]) -> Columns:
    """How many there are, and for each of the commonest whether it is among them."""
    lists = [value if isinstance(value, list) else None for value in values]
    counts = Counter(one for each in lists if each is not None for one in each)
    common = [one for one, _ in counts.most_common(KINDS)]
    return _rows(lists, lambda each: [float(len(each)), *(float(one in each) for one in common)], 1 + len(common))


def _free(values: Sequence[Value | None]) -> Columns:
    """Its length, and how often its words fall on each of a few hashes."""
    texts = [None if value is None else str(value) for value in values]
    return _rows(texts, _hashed, 1 + _WORDS)


def _hashed(text: str) -> list[float]:
    row = [0.0] * _WORDS
    for word in _WORD.findall(text.casefold()):
        row[zlib.crc32(word.encode()) % _WORDS] += 1.0
    return [float(len(text)), *row]


def _rows(values: Sequence[T | None], row: Callable[[T], list[float]], width: int) -> Columns:
    nothing = [float("nan")] * width
    table = [nothing if value is None else row(value) for value in values]
    return Columns(np.array(table, dtype=np.float64).reshape(len(values), width), (False,) * width)
