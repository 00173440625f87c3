"""Search: the words of a text over every granted text-like field of a customer. Pure; only in memory, never an index.

All words must occur, each in any of the fields. The whole text decides the rank: a field equals it, begins with it, or
the words merely occur. Phone numbers are searched by their digits, however either side groups them. A name that is
granted whole is found as people write it too: 王伟 without a space, Anna Smith with one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from crm_core.reading import folding
from crm_core.seal import Value
from protocol.consent import Field

TYPES = frozenset({"text", "email", "phone", "url", "tags"})
MAX_TEXT = 200  # characters
MAX_WORDS = 8
_DIALLED = re.compile(r"[+()./\-–—\s\d]+")
_MIN_DIGITS = 3
_NAMES = (Field("contact.given_name"), Field("contact.family_name"))
# Names in these scripts are written without a space, the family's first.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+")


class Rank(IntEnum):
    """How well a customer meets a search; the lower, the earlier."""

    EXACT = 0
    PREFIX = 1
    CONTAINS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search, ready to be asked of many customers. `dialled`: the digits when the whole text may be a number."""

    text: str
    words: tuple[str, ...]
    dialled: str
    fields: tuple[Field, ...]
    phones: frozenset[Field]

    def rank(self, values: Mapping[Field, Value]) -> Rank | None:
        """The rank of a customer's granted values, or None when they do not meet the search."""
        forms: list[str] = []
        numbers: list[str] = []
        for field in self.fields:
            value = values.get(field)
            if value is not None:
                forms += [folding.searched(str(each)) for each in folding.each(value)]
                if field in self.phones and self.dialled:
                    numbers += [folding.digits(str(each)) for each in folding.each(value)]
        forms += self._whole_name(values)
        if not any(self.dialled in each for each in numbers) and not all(
            any(word in form for form in forms) for word in self.words
        ):
            return None
        if self.text in forms or self.dialled in numbers:
            return Rank.EXACT
        if any(form.startswith(self.text) for form in forms) or any(each.startswith(self.dialled) for each in numbers):
            return Rank.PREFIX
        return Rank.CONTAINS

    def _whole_name(self, values: Mapping[Field, Value]) -> list[str]:
        given, family = (
            folding.searched(str(values.get(name) or "")) if name in self.fields else "" for name in _NAMES
        )
        if not given or not family:
            return []
        return [family + given if _UNSPACED.fullmatch(family + given) else f"{given} {family}"]


def prepare(text: str, types: Mapping[Field, str]) -> Search | None:
    """A search for a text in the fields of `types` (field: type) that are text-like; None when the text is blank.

    ValueError when it is longer than MAX_TEXT or has more than MAX_WORDS words.
    """
    form = folding.searched(text)
    words = tuple(dict.fromkeys(form.split()))
    if len(text) > MAX_TEXT or len(words) > MAX_WORDS:
        raise ValueError("too long")
    if not words:
        return None
    found = folding.digits(form) if _DIALLED.fullmatch(form) else ""
    return Search(
        text=form,
        words=words,
        dialled=found if len(found) >= _MIN_DIGITS else "",
        fields=tuple(field for field, type_ in types.items() if type_ in TYPES),
        phones=frozenset(field for field, type_ in types.items() if type_ == "phone"),
    )
