"""The one way to read records: gate first, then open only what it released, then filter and sort in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crm_core.query import Query
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from runtime.platform import Platform
from verifier.gate import Gate, Passage, Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one customer's record answers: released values (None: nothing stored) and a reason per withheld field."""

    subject: SubjectId
    fields: Mapping[Field, Value | None]
    withheld: Mapping[Field, str]
    unreadable: tuple[Field, ...]
    release: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page and the cursor of the next one, or None when there is none."""

    items: tuple[Item, ...]
    next: str | None
