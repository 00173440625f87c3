"""Plain reads: one customer, or the first page without filter, search and order, asked for in an address.

What most requests are. What is wrong with any other, and what it may ask, is for the routes to say.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import parse_qsl

from crm_core.reading import asking
from crm_core.reading.query import DEFAULT_LIMIT, MAX_LIMIT, Query
from issuer.catalogue import Catalogue
from protocol import canonical
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.problem import Problem

LIST = "/crm/customers"
_SUBJECT = re.compile(LIST + r"/(sub_[a-z2-7]{26})")
_MEMBERS = frozenset({"purpose", "select", "limit"})
_KEPT = 256
_LONGEST = 4096  # bytes of a query string


@dataclass(frozen=True, slots=True)
class Plan:
    """What a query string asks of a version of the catalogue. `told` is what is on record of it, as JCS."""

    purpose: str
    query: Query
    asked: frozenset[Field]
    told: str
    whole: bool
    """Is it everything that the purpose may ask for? Then it comes with its version."""


def subject(path: str) -> SubjectId | None:
    """The customer whom a path names, if it is one's."""
    found = _SUBJECT.fullmatch(path)
    return None if found is None else SubjectId(found[1])


class Plans:
    """The plans of one version of the catalogue. Kept by their query strings, which name fields and no values."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._kept: OrderedDict[tuple[bool, bytes], Plan] = OrderedDict()

    def of(self, text: bytes, *, one: bool) -> Plan | None:
        """What a query string asks, of one customer or a page; None where it is no plain read. For threads."""
        key = (one, text)
        plan = self._kept.get(key)
        if plan is None:
            plan = _plan(self.catalogue, text, one=one)
            if plan is not None:
                self._kept[key] = plan
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return plan


def _plan(catalogue: Catalogue, text: bytes, *, one: bool) -> Plan | None:
    pairs = parse_qsl(text.decode("latin-1"), keep_blank_values=True) if len(text) <= _LONGEST else []
    given = dict(pairs)
    if len(given) != len(pairs) or not given.keys() <= _MEMBERS - ({"limit"} if one else set()):
        return None
    entry = catalogue.purposes.get(given.get("purpose", ""))
    limit = given.get("limit", str(1 if one else DEFAULT_LIMIT))
    if entry is None or not (limit.isascii() and limit.isdecimal() and len(limit) < 9):
        return None
    everything = [Field(name) for name, field in catalogue.fields.items() if name in entry.necessity and not field.item]
    try:
        fields = asking.parse_select(catalogue, given.get("select"), everything)
    except (Problem, EvidenceError):
        return None
    if not 1 <= int(limit) <= MAX_LIMIT:
        return None
    query = Query(select=fields, limit=int(limit))
    told = canonical.jcs(query.told()).decode()
    return Plan(entry.key, query, query.asked, told, whole=one and not given.get("select"))
