"""What a visit sees of a customer's items: those with a granted field, and of them the granted fields.

An item without a granted field is not there: no place in the order, no gap, no number, no end of a page tells of it. A
link to another item or to an organisation is shown only when what it names is there for the visit, too; else the field
is an absent one. Newest first by the first moment that the catalogue knows for the kind of item, where that field is
granted; the others follow in the order of their ids, which are random.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session

from crm_core import items, records
from crm_core.items import Heads, ItemId, Sealed
from crm_core.reading import cursor, organisations, token
from crm_core.reading.cursor import Place
from crm_core.reading.planner import Planner
from crm_core.reading.query import Query
from crm_core.reading.snapshot import Seen, Snapshot
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.problem import Problem
from verifier.gate import Passage, Visit

_MOMENTS = ("datetime", "date")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item as a visit sees it. `version` is a digest over what is seen of it, for `if_version`."""

    item: ItemId
    kind: str
    fields: Mapping[Field, Value]
    version: str
    unreadable: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedPage:
    """One page of items; `withheld` says why of each field of items that the purpose may ask for, by grounds alone."""

    items: tuple[Entry, ...]
    withheld: Mapping[Field, str]
    next: str | None
    release: str


def item_fields(catalogue: Catalogue, kind: str | None = None) -> tuple[Field, ...]:
    """The catalogue's fields of items, of one kind or of all."""
    return tuple(
        Field(entry.id) for entry in catalogue.fields.values() if entry.item is not None and kind in (None, entry.item)
    )


def visible(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    visit: Visit,
    *,
    record: records.Record,
    released: Collection[Field],
    only: Collection[Field] | None = None,
) -> list[Entry]:
    """What a visit that may see the fields `released` sees of this customer's items, in the order of their ids.

    `only`: just these fields, and just the items that have one of them. Raises EvidenceError `bad_data_key`; KeyGone
    when the bucket epoch was destroyed.
    """
    granted = (
        frozenset(released) & frozenset(item_fields(catalogue)) & catalogue.purpose(visit.purpose).necessity.keys()
    )
    fields = granted if only is None else granted & frozenset(only)
    if not fields:
        return []
    known = _known(session, platform, record.subject, granted)
    if not known:
        return []
    key = records.data_key(platform, record)
    shown = []
    for sealed, boxes in known.values():
        values, broken = _open(platform, key, sealed, {field: boxes[field] for field in boxes.keys() & fields})
        if values or broken:
            linked = _linked(session, platform, catalogue, values, known.keys())
            shown.append(
                Entry(
                    item=sealed.item,
                    kind=str(catalogue.fields[min((*values, *broken))].item),
                    fields=linked,
                    version=token.of(platform, visit, sealed.item, linked),
                    unreadable=broken,
                )
            )
    return shown


def entries(read: Snapshot, catalogue: Catalogue, seen: Seen, fields: Collection[Field]) -> list[Entry]:
    """The customer's items as the snapshot's visit sees them, of these fields alone, in the order of their ids."""
    released = seen.verdict.released
    try:
        return visible(
            read.session, read.platform, catalogue, read.visit, record=seen.record, released=released, only=fields
        )
    except EvidenceError:
        return []
    except KeyGone:
        if not read.last_try:
            raise
        return []


@contextmanager
def page(
    planner: Planner, catalogue: Catalogue, visit: Visit, subject: SubjectId, *, kind: str | None, limit: int,
    after: str | None,
) -> Iterator[tuple[Passage, FeedPage]]:  # fmt: skip
    """One page of a customer's items, its release on record, the passage still held: hand it to GatedResponse.

    Raises Problem 404 `unknown_subject`, 400 `bad_cursor` and what the gate raises.
    """
    necessity = catalogue.purpose(visit.purpose).necessity
    fields = tuple(field for field in item_fields(catalogue, kind) if field in necessity)
    query = Query(select=fields, limit=limit, cursor=after, door=f"items/{subject}/{kind or ''}")
    secret = planner.platform.keyring.secret("cursor")
    place = cursor.unseal(secret, after, visit, query) if after else None

    def work(read: Snapshot) -> FeedPage:
        seen = read.these([subject]).get(subject)
        if seen is None:
            raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
        ordered = _ordered(catalogue, entries(read, catalogue, seen, fields))
        start = _start(ordered, catalogue, place) if place else 0
        shown = ordered[start : start + limit]
        following = None
        if start + limit < len(ordered):
            last = shown[-1]
            passed = (place.passed if place else 0) + len(shown)
            state = int(_moment(catalogue, last) is not None)
            following = cursor.seal(secret, Place(SubjectId(last.item), state, passed), visit, query)
        release = read.passage.record(
            [(seen.verdict, frozenset(fields))], query=query.told() | {"items": kind or "all"}
        )
        reasons = seen.verdict.reasons
        withheld = {field: reasons[field].value for field in fields if field not in seen.verdict.released}
        return FeedPage(items=tuple(shown), withheld=withheld, next=following, release=release)

    with planner.reading(visit, work) as answered:
        yield answered


def _known(
    session: Session, platform: Platform, subject: SubjectId, granted: Collection[Field]
) -> dict[str, tuple[Sealed, dict[Field, bytes]]]:
    """The items with a granted field, and their boxes. Of the others no more than the head is touched."""
    heads = Heads(platform)
    wanted = [item for item, names in heads.names(session, subject).items() if names & frozenset(granted)]
    known: dict[str, tuple[Sealed, dict[Field, bytes]]] = {}
    for sealed in items.these(session, subject, wanted):
        with suppress(EvidenceError):
            known[sealed.item] = sealed, heads.boxes(sealed)
    return known


def _open(
    platform: Platform, key: AESGCM, sealed: Sealed, boxes: Mapping[Field, bytes]
) -> tuple[dict[Field, Value], tuple[Field, ...]]:
    """The values in these boxes; and the fields of those that do not open."""
    values: dict[Field, Value] = {}
    broken: list[Field] = []
    for field, box in boxes.items():
        try:
            values[field] = items.open_box(platform, key, sealed, field, box)
        except EvidenceError:
            broken.append(field)
    return values, tuple(sorted(broken))


def _linked(
    session: Session, platform: Platform, catalogue: Catalogue, values: Mapping[Field, Value], known: Collection[str]
) -> dict[Field, Value]:
    """The values in the catalogue's order, without those that name an item or organisation that is not there."""

    def there(value: Value) -> bool:
        if not isinstance(value, str):
            return True
        if items.ID.fullmatch(value):
            return value in known
        return not organisations.ID.fullmatch(value) or organisations.find(session, platform, value) is not None

    ordered = (Field(name) for name in catalogue.fields if name in values)
    return {field: values[field] for field in ordered if there(values[field])}


def _ordered(catalogue: Catalogue, found: list[Entry]) -> list[Entry]:
    dated = [(moment, entry) for entry in found if (moment := _moment(catalogue, entry)) is not None]
    dated.sort(key=lambda one: one[0], reverse=True)  # stable: those of one moment stay in the order of their ids
    return [entry for _, entry in dated] + [entry for entry in found if _moment(catalogue, entry) is None]


def _moment(catalogue: Catalogue, entry: Entry) -> str | None:
    """When it happened, as far as the visit may know."""
    for field, value in entry.fields.items():
        if catalogue.fields[field].type in _MOMENTS:
            return str(value)
    return None


def _start(found: list[Entry], catalogue: Catalogue, place: Place) -> int:
    """Behind the last item shown; where it is gone, or lost or gained its moment, behind as many as were shown."""
    for index, entry in enumerate(found):
        if str(entry.item) == str(place.subject) and int(_moment(catalogue, entry) is not None) == place.state:
            return index + 1
    return max(place.passed - 1, 0)
