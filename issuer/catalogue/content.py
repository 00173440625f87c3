"""What a version of the catalogue says, as the bytes whose digest people sign, and what it makes of the one before it.

Content is a JCS document {"catalogue", "retired", "ended", "ends"}: `catalogue` is what somebody wrote (the members of
a YAML file), `ended` what all versions before ended, with its instant, `ends` what this one ends, whose instant is that
of its publication. Only `catalogue` is written by people; the rest follows from the version before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from issuer.catalogue import changes, loading
from issuer.catalogue.entries import Catalogue, Ending, Retired
from issuer.catalogue.loading import CatalogueError
from protocol import canonical, times
from protocol.errors import EvidenceError

LIMIT = 2 * 2**20  # bytes of a content


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A catalogue and what somebody wrote of it; `digest` is what the version after it names as its previous one."""

    catalogue: Catalogue
    written: Mapping[str, Any]
    digest: str


@lru_cache(1)
def packaged() -> Version:
    """The version that comes with the software: number 0, in effect until one is published."""
    written = loading.parse(loading.DEFAULT.read_text(encoding="utf-8"))
    catalogue = loading.build(written)
    return Version(catalogue=catalogue, written=written, digest=catalogue.digest)


def follow(before: Version, written: Mapping[str, Any]) -> bytes:
    """The content of the version that follows, from what somebody wrote.

    Notices of purposes that are no more stay to be looked up. CatalogueError names the place of what may not be.
    """
    kept = _kept(before)
    written = {**written, "notices": {**kept, **_mapping(written, "notices")}}
    after = loading.build(written, kept=kept)
    changes.check(before.catalogue, after)
    ended = [[one.purpose, one.field, times.iso(one.at)] for one in sorted(before.catalogue.endings)]
    retired = changes.retired(before.catalogue, after)
    return canonical.jcs(
        {
            "catalogue": written,
            "retired": {
                "fields": dict(retired.fields),
                "forms": dict(retired.forms),
                "purposes": dict(retired.purposes),
            },
            "ended": ended,
            "ends": [list(pair) for pair in changes.ends(before.catalogue, after)],
        }
    )


def changed(written: Mapping[str, Any], change: Mapping[str, Any], *, name: str | None = None) -> dict[str, Any]:
    """What was written with a change laid over it: {section: {entry: {member: value}}}, each member as a whole.

    Null takes an entry or a member away. `name` is the new version's, where the change says none. CatalogueError.
    """
    found: dict[str, Any] = {**written, "version": change.get("version", name or written.get("version"))}
    for section in change:
        if section == "version":
            continue
        if section not in ("fields", "purposes", "recipients", "notices"):
            raise CatalogueError(section, "is not known")
        kept: dict[str, Any] = dict(found.get(section, {}))
        for key, members in _mapping(change, section).items():
            laid = {**kept.get(key, {}), **members} if isinstance(members, Mapping) else members
            kept[key] = {one: value for one, value in laid.items() if value is not None} if laid is not None else None
        found[section] = {key: entry for key, entry in kept.items() if entry is not None}
    return found


def free_bit(catalogue: Catalogue) -> int:
    """The lowest bit that no field has or had. CatalogueError when there is none left."""
    taken = {one.bit for one in catalogue.fields.values()} | set(catalogue.retired.fields.values())
    free = next((bit for bit in range(128) if bit not in taken), None)
    if free is None:
        raise CatalogueError("fields", "all 128 places are taken")
    return free


def read(content: bytes, *, number: int, digest: str, in_effect: datetime) -> Version:
    """A version out of the bytes that were signed. EvidenceError `bad_catalogue`, and those of `canonical.parse`."""
    document = canonical.parse(content, limit=LIMIT)
    try:
        retired = Retired(
            fields=MappingProxyType(dict(document["retired"]["fields"])),
            forms=MappingProxyType(dict(document["retired"]["forms"])),
            purposes=MappingProxyType(dict(document["retired"]["purposes"])),
        )
        ended = [
            Ending(purpose=purpose, field=field, at=times.parse(at, field="ended"))
            for purpose, field, at in document["ended"]
        ]
        ends = [Ending(purpose=purpose, field=field, at=in_effect) for purpose, field in document["ends"]]
        built = loading.build(document["catalogue"], kept=retired.purposes)
    except (KeyError, TypeError, ValueError, CatalogueError) as error:
        raise EvidenceError("bad_catalogue", "the content of a version cannot be read") from error
    catalogue = replace(
        built, number=number, digest=canonical.digest(content), endings=_newest((*ended, *ends)), retired=retired
    )
    return Version(catalogue=catalogue, written=document["catalogue"], digest=digest)


def ends_of(content: bytes) -> list[tuple[str, str]]:
    """What a content ends anew: (purpose IRI, field)."""
    return [(purpose, field) for purpose, field in canonical.parse(content, limit=LIMIT)["ends"]]


def _newest(endings: tuple[Ending, ...]) -> tuple[Ending, ...]:
    """One for each pair: the latest, which says all that the earlier ones say."""
    found: dict[tuple[str, str], Ending] = {}
    for one in sorted(endings, key=lambda one: one.at):
        found[one.purpose, one.field] = one
    return tuple(sorted(found.values()))


def _kept(before: Version) -> dict[str, Any]:
    """Notices of purposes that were removed, by this version or an earlier one."""
    notices: Mapping[str, Any] = before.written["notices"]
    return {key: notices[key] for key in before.catalogue.retired.purposes if key in notices} | {
        key: notices[key] for key in before.catalogue.purposes
    }


def _mapping(written: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = written.get(name) if isinstance(written, Mapping) else None
    if not isinstance(found, Mapping):
        raise CatalogueError(name, "must be a mapping with texts as keys, and not empty")
    return found
