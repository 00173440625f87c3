"""The impact of a draft of the catalogue, counted from verified evidence before anything takes effect."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from sqlalchemy import or_
from sqlmodel import col, select

from issuer import credentials
from issuer.catalogue import Catalogue
from issuer.catalogue import content as contents
from issuer.catalogue.content import Version
from protocol.consent import SubjectId
from runtime.platform import Platform
from verifier import grounds
from verifier.allowance import Allowance
from verifier.grant import Grant

BATCH = 500
Tell = Callable[[int], None]  # customers counted so far


@dataclass(slots=True)
class Impact:
    """What a draft would do. `lapses` counts customers by (field, purpose key)."""

    customers: int = 0
    touched: int = 0
    consents: set[str] = field(default_factory=set)
    statutory: set[str] = field(default_factory=set)
    ask_again: Counter[str] = field(default_factory=Counter)
    lapses: Counter[tuple[str, str]] = field(default_factory=Counter)


def measure(
    platform: Platform, catalogue: Catalogue, version: Version, content: bytes, tell: Tell | None = None
) -> dict[str, Any]:
    """Count what a version that is not in effect would end and who is to be asked again; changes nothing.

    Lapses are counted by grounds: whether a value is stored for a customer is not looked at, so that they are at most
    so many. Raises ClockError, JournalError.
    """
    before, after = catalogue.current(), version.catalogue
    change = _Change(before, after, frozenset(contents.ends_of(content)))
    impact, at = Impact(), platform.clock.now()
    following = ""
    platform.journal.refresh()
    while True:
        with platform.database.read() as session:
            batch = credentials.subjects_after(session, following, BATCH)
            known = grounds.collect(session, batch) if change.anything else ()
        if not batch:
            return _told(impact, before, after)
        impact.customers += len(batch)
        for evidence in known:
            found = grounds.examine(platform, before, evidence, at).grants
            change.count(impact, evidence.subject, [one for one in found if one.in_force(at)])
        following = batch[-1]
        if tell is not None:
            tell(impact.customers)


class _Change:
    """What the draft changes for a customer's living grants."""

    def __init__(self, before: Catalogue, after: Catalogue, ends: frozenset[tuple[str, str]]) -> None:
        self._ends = ends
        self._keys = {one.iri: one.key for one in before.purposes.values()}
        was = {key: one.consent_only for key, one in before.purposes.items()}
        self._shut = {one.iri for one in after.purposes.values() if one.consent_only and not was.get(one.key, True)}
        self._reasked = {one.iri: _asks_anew(before, after, one.key) for one in after.purposes.values()}

    @property
    def anything(self) -> bool:
        """Does it touch any grant at all?"""
        return bool(self._ends or self._shut or any(new or fields for new, fields in self._reasked.values()))

    def count(self, impact: Impact, subject: SubjectId, living: list[Grant]) -> None:
        """Add one customer."""
        kept: set[str] = set()
        lost: set[tuple[str, str]] = set()
        for grant in living:
            gone = frozenset(one for one in grant.fields if self._over(grant, one))
            kept |= grant.fields - gone
            lost |= {(one, grant.purpose) for one in gone}
            if gone:
                (impact.consents if grant.kind == "consent" else impact.statutory).add(grant.ground)
        impact.touched += bool(lost)
        for one, purpose in lost:
            if one not in kept:
                impact.lapses[one, self._keys.get(purpose, purpose)] += 1
        given = [grant for grant in living if grant.kind == "consent"]
        for purpose in {grant.purpose for grant in given}:
            noticed, fields = self._reasked.get(purpose, (False, frozenset()))
            have = frozenset[str]().union(*(grant.fields for grant in given if grant.purpose == purpose))
            again = any((purpose, one) in self._ends for one in have & fields)
            if noticed or again or not (fields - {one for _, one in self._ends}) <= have:
                impact.ask_again[self._keys[purpose]] += 1

    def _over(self, grant: Grant, one: str) -> bool:
        return (grant.purpose, one) in self._ends or (grant.kind == "statutory" and grant.purpose in self._shut)


def _asks_anew(before: Catalogue, after: Catalogue, key: str) -> tuple[bool, frozenset[str]]:
    """Is the newest notice another one, and which fields has everybody to be asked for (anew)?"""
    old, new = before.purposes.get(key), after.purposes[key]
    if old is None:
        return False, frozenset()
    noticed = before.notice(key, "en").digest != after.notice(key, "en").digest
    alone = new.separate_consent and not old.separate_consent
    fields = frozenset(
        one for one, need in new.necessity.items() if alone or (need == "required" and old.necessity.get(one) != need)
    )
    return noticed, fields


def _told(impact: Impact, before: Catalogue, after: Catalogue) -> dict[str, Any]:
    return {
        "customers": impact.customers,
        "customers_touched": impact.touched,
        "grants_touched": {"consents": len(impact.consents), "statutory": len(impact.statutory)},
        "ask_again": [
            {"purpose": key, "customers": number, "at_most_every": _pause(after, key)}
            for key, number in sorted(impact.ask_again.items())
        ],
        "lapses": list(_lapses(impact, after)),
        "compiled_anew": sorted(
            one.key
            for one in after.purposes.values()
            if one.key not in before.purposes or before.part(before.purposes[one.key]) != after.part(one)
        ),
    }


def _lapses(impact: Impact, after: Catalogue) -> Iterable[dict[str, Any]]:
    for (one, purpose), number in sorted(impact.lapses.items()):
        entry = after.fields.get(one)
        yield {
            "field": one,
            "purpose": purpose,
            "customers": number,
            "disposition": "shred" if entry is None else entry.disposition,
            "legal_ground": None if entry is None else entry.legal_ground,
            "destroy_after": None if entry is None else entry.destroy_after,
        }


def _pause(after: Catalogue, key: str) -> str | None:
    entry = after.purposes.get(key)
    return None if entry is None else entry.ask_again_after


def in_words(told: dict[str, Any]) -> list[str]:
    """An impact as lines for people."""
    touched = told["grants_touched"]
    lines = [
        f"{told['customers_touched']} of {told['customers']} customers, {touched['consents']} consents and "
        f"{touched['statutory']} statutory grounds are touched"
    ]
    for one in told["ask_again"]:
        every = f", at most once in {one['at_most_every']}" if one["at_most_every"] else ""
        lines.append(f"{one['customers']} customers are to be asked again for {one['purpose']}{every}")
    for one in told["lapses"]:
        until = f" for {one['destroy_after']} ({one['legal_ground']})" if one["destroy_after"] else ""
        what = f"{one['field']} lapses for {one['customers']} customers ({one['purpose']})"
        lines.append(f"{what}: {one['disposition']}{until}")
    return lines


def abroad(platform: Platform, catalogue: Catalogue) -> Iterator[tuple[str, str, str]]:
    """(purpose IRI, recipient, jurisdiction) of each living consent to anything beside ourselves at home.

    Allowances say whom to look at; what counts is their verified evidence.
    """
    ours = (platform.controller, platform.settings.home_jurisdiction)
    at, following = platform.clock.now(), ""
    away = or_(col(Allowance.recipient) != ours[0], col(Allowance.jurisdiction) != ours[1])
    while True:
        with platform.database.read() as session:
            statement = select(Allowance.subject).where(away, col(Allowance.subject) > following).distinct()
            found = session.exec(statement.order_by(col(Allowance.subject)).limit(BATCH)).all()
            known = grounds.collect(session, [SubjectId(one) for one in found])
        if not found:
            return
        for evidence in known:
            for grant in grounds.examine(platform, catalogue, evidence, at).grants:
                if grant.kind == "consent" and grant.in_force(at):
                    for path in product([grant.purpose], grant.recipients, grant.jurisdictions):
                        if path[1:] != ours:
                            yield path
        following = found[-1]
