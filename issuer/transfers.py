"""Transfers: to whom and where data may go beside ourselves at home, and the list of those paths for the officer.

A path needs somebody of the catalogue's section `recipients` in that very country, a purpose that lists them and is
asked for by itself (PIPL 23, 39), and a mechanism that is living at this instant (PIPL 38, GDPR chapter V). Pure.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from issuer.catalogue.entries import ANY, CONTROLLER, Catalogue, PurposeEntry, RecipientEntry
from protocol.times import iso

SOON = timedelta(days=30)  # a mechanism that ends within this time is a problem to be told of
Missing = Literal["recipient", "jurisdiction", "purpose", "separate_consent", "mechanism"]
SAID: dict[Missing, str] = {
    "recipient": "The catalogue does not list this recipient.",
    "jurisdiction": "The catalogue does not list this recipient in this jurisdiction.",
    "purpose": "The purpose does not list this recipient or this jurisdiction.",
    "separate_consent": "The purpose is not asked for by itself.",
    "mechanism": "The mechanism of this transfer has run out.",
}


@dataclass(frozen=True, slots=True)
class Home:
    """Ourselves: the controller's DID and the jurisdiction where we are."""

    controller: str
    jurisdiction: str


def missing(
    catalogue: Catalogue, purpose: PurposeEntry, recipient: str, jurisdiction: str, *, home: Home, at: datetime
) -> Missing | None:
    """What a path lacks at this instant; None: nothing, or it is no transfer."""
    if (recipient, jurisdiction) == (home.controller, home.jurisdiction):
        return None
    theirs = [one for one in catalogue.recipients.values() if did_of(one, home) == recipient]
    found = next((one for one in theirs if one.jurisdiction == jurisdiction), None)
    if found is None:
        return "jurisdiction" if theirs else "recipient"
    over = found.mechanism_until is not None and at >= found.mechanism_until
    lacks: tuple[tuple[Missing, bool], ...] = (
        ("purpose", not _listed(purpose, found, home)),
        ("separate_consent", not purpose.separate_consent),
        ("mechanism", over),
    )
    return next((lack for lack, holds in lacks if holds), None)


def did_of(entry: RecipientEntry, home: Home) -> str:
    """Whose key it is: the controller's own where the catalogue says so."""
    return home.controller if entry.did == CONTROLLER else entry.did


def paths(catalogue: Catalogue, home: Home) -> Iterator[tuple[PurposeEntry, RecipientEntry]]:
    """Every (purpose, recipient) that the catalogue foresees."""
    for purpose in catalogue.purposes.values():
        for entry in catalogue.recipients.values():
            if _listed(purpose, entry, home):
                yield purpose, entry


def problems(entry: RecipientEntry, home: Home, at: datetime) -> list[str]:
    """What the officer should look at: `mechanism_over`, `mechanism_ends_soon`, `no_mechanism_abroad`."""
    found = []
    until = entry.mechanism_until
    if until is not None and at >= until:
        found.append("mechanism_over")
    elif until is not None and at + SOON >= until:
        found.append("mechanism_ends_soon")
    if entry.mechanism == "none_needed" and entry.jurisdiction != home.jurisdiction:
        found.append("no_mechanism_abroad")
    return found


def listed(
    catalogue: Catalogue, consents: Iterable[tuple[str, str, str]], *, home: Home, at: datetime
) -> list[dict[str, Any]]:
    """Every path with its mechanism, how many living consents name it, and its problems.

    `consents` are the (purpose IRI, recipient DID, jurisdiction) of living, verified consents. A path that consents
    name and the catalogue does not is told of as `not_in_catalogue`.
    """
    counts: dict[tuple[str, str, str], int] = {}
    for path in consents:
        counts[path] = counts.get(path, 0) + 1
    told = []
    for purpose, entry in paths(catalogue, home):
        path = (purpose.iri, did_of(entry, home), entry.jurisdiction)
        told.append({
            "purpose": purpose.key, "recipient": path[1], "name": dict(entry.labels), "jurisdiction": path[2],
            "mechanism": entry.mechanism,
            "mechanism_until": None if entry.mechanism_until is None else iso(entry.mechanism_until),
            "living_consents": counts.pop(path, 0), "problems": problems(entry, home, at),
        })  # fmt: skip
    counts = {path: n for path, n in counts.items() if path[1:] != (home.controller, home.jurisdiction)}
    for (purpose_iri, recipient, jurisdiction), number in sorted(counts.items()):
        told.append({
            "purpose": purpose_iri, "recipient": recipient, "name": None, "jurisdiction": jurisdiction,
            "mechanism": None, "mechanism_until": None, "living_consents": number, "problems": ["not_in_catalogue"],
        })  # fmt: skip
    return told


def _listed(purpose: PurposeEntry, entry: RecipientEntry, home: Home) -> bool:
    named = ANY in purpose.recipients or entry.key in purpose.recipients
    return named and (
        entry.jurisdiction == home.jurisdiction
        or ANY in purpose.jurisdictions
        or entry.jurisdiction in purpose.jurisdictions
    )
