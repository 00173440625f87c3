"""What may change from one version to the next, and what a change ends. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from issuer.catalogue.entries import Catalogue, Retired
from issuer.catalogue.loading import CatalogueError


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: the path to it, and what stands there before and after (None where there is nothing)."""

    place: str
    kind: Literal["added", "removed", "changed"]
    before: Any
    after: Any

    def __str__(self) -> str:
        """As people read it."""
        sign = {"added": "+", "removed": "-", "changed": "~"}[self.kind]
        told = {"added": _short(self.after), "removed": _short(self.before)}
        return f"{sign} {self.place}: {told.get(self.kind) or f'{_short(self.before)} → {_short(self.after)}'}"


def check(before: Catalogue, after: Catalogue) -> None:
    """Refuse what no version may do. CatalogueError."""
    if after.version == before.version:
        raise CatalogueError("version", f"{before.version} is in effect: give the new one a name of its own")
    _check_fields(before, after)
    _check_purposes(before, after)
    latest = {(one.purpose, one.version, one.language): one.digest for one in after.notices}
    for notice in before.notices:
        place = f"notices.{notice.purpose}.{notice.version}.{notice.language}"
        if latest.get((notice.purpose, notice.version, notice.language)) != notice.digest:
            raise CatalogueError(place, "people answered this text: leave it, and add a version beside it")


def retired(before: Catalogue, after: Catalogue) -> Retired:
    """What was there once and is no more."""
    fields = {**before.retired.fields, **{one.id: one.bit for one in before.fields.values()}}
    forms = {**before.retired.forms, **{one.id: one.form for one in before.fields.values()}}
    purposes = {**before.retired.purposes, **{one.key: one.iri for one in before.purposes.values()}}
    return Retired(
        fields=MappingProxyType({key: bit for key, bit in sorted(fields.items()) if key not in after.fields}),
        forms=MappingProxyType({key: form for key, form in sorted(forms.items()) if key not in after.fields}),
        purposes=MappingProxyType({key: iri for key, iri in sorted(purposes.items()) if key not in after.purposes}),
    )


def ends(before: Catalogue, after: Catalogue) -> tuple[tuple[str, str], ...]:
    """What grounds of before do not cover any more: (purpose IRI, field).

    A field that a purpose does not need any more; all of a purpose that is gone, or that the law from now on wants
    asked for by itself: a tick that was shared does not answer that.
    """
    found: set[tuple[str, str]] = set()
    for key, old in before.purposes.items():
        new = after.purposes.get(key)
        alone = new is not None and new.separate_consent and not old.separate_consent
        kept = frozenset(new.necessity) if new is not None and not alone else frozenset[str]()
        found.update((old.iri, field) for field in old.necessity if field not in kept)
    return tuple(sorted(found))


def diff(before: Any, after: Any, place: str = "") -> Iterator[Change]:
    """Every difference between two trees of plain data, in the order of their paths."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted({*before, *after}):
            path = f"{place}.{key}" if place else str(key)
            if key not in after:
                yield Change(path, "removed", before[key], None)
            elif key not in before:
                yield Change(path, "added", None, after[key])
            else:
                yield from diff(before[key], after[key], path)
    elif before != after:
        yield Change(place, "changed", before, after)


def _check_fields(before: Catalogue, after: Catalogue) -> None:
    owners = {bit: field for field, bit in before.retired.fields.items()}
    owners |= {one.bit: one.id for one in before.fields.values()}
    bits = {field: bit for bit, field in owners.items()}
    for field in after.fields.values():
        place = f"fields.{field.id}"
        if field.id in bits and field.bit != bits[field.id]:
            raise CatalogueError(f"{place}.bit", f"is {bits[field.id]} for ever: masks that exist are read by it")
        if owners.get(field.bit, field.id) != field.id:
            free = min(set(range(128)) - set(owners) - {one.bit for one in after.fields.values()}, default=None)
            hint = "no bit is left" if free is None else f"take {free}"
            raise CatalogueError(f"{place}.bit", f"{field.bit} is or was that of {owners[field.bit]}: {hint}")
        old = before.fields.get(field.id)
        for name in ("type", "many", "item"):
            if old is not None and getattr(old, name) != getattr(field, name):
                raise CatalogueError(f"{place}.{name}", "values are stored in this form: make a new field instead")
        if field.form != before.retired.forms.get(field.id, field.form):
            said = f"values of before may be stored as {before.retired.forms[field.id]}: make a new field instead"
            raise CatalogueError(f"{place}.type", said)


def _check_purposes(before: Catalogue, after: Catalogue) -> None:
    iris = {**before.retired.purposes, **{one.key: one.iri for one in before.purposes.values()}}
    keys = {iri: key for key, iri in iris.items()}
    for purpose in after.purposes.values():
        place = f"purposes.{purpose.key}.iri"
        if iris.get(purpose.key, purpose.iri) != purpose.iri:
            raise CatalogueError(place, f"is {iris[purpose.key]} for ever: consents name it")
        if keys.get(purpose.iri, purpose.key) != purpose.key:
            raise CatalogueError(place, f"is or was that of {keys[purpose.iri]}: consents for that name it")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:97]}…"
