"""What belongs into a bundle: which records are shown, and which signed credentials they rest on. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.provenance import concerns, mentions
from protocol import canonical, event, ground

FOLLOWING = frozenset({"receipt", "certificate", "withdrawal", "revocation"})
"""Kinds that nothing else need name: they are taken in because of what they name."""
ENDABLE = frozenset({"consent", "ground"})
"""Kinds whose end is told of by their id, perhaps in a record of other fields (a narrowing names what is kept)."""
LEFT_OUT = frozenset({"ground-draft"})


@dataclass(frozen=True, slots=True)
class Paper:
    """One signed credential: kind, exact bytes, id, digest and every string in it."""

    kind: str
    body: bytes
    id: str
    digest: str
    names: frozenset[str]


def paper(kind: str, body: bytes) -> Paper:
    """Read a stored credential; its proof is for the verifier to check."""
    document = canonical.parse(body)
    return Paper(kind, body, str(document.get("id")), canonical.digest(body), mentions(document))


def select(
    records: Sequence[tuple[str, Mapping[str, Any]]],
    credentials: Iterable[tuple[str, bytes]],
    *,
    subject: str,
    field: str | None,
) -> tuple[frozenset[int], tuple[Paper, ...]]:
    """The places in `records` (type and data) that are shown, and the papers that go with them.

    Without a field all of them. With one: the records that concern it, the papers that those name and that these rest
    on in turn, and the records that tell of such a paper; of releases and of what
    became of values only those that concern the field.
    """
    papers = [paper(kind, body) for kind, body in credentials if kind not in LEFT_OUT]
    # a ground for others than this subject is nobody's business here
    papers = [one for one in papers if one.kind != "ground" or one.names & {ground.EVERYONE, subject}]
    if field is None:
        return frozenset(range(len(records))), tuple(papers)
    named = [mentions(data) for _, data in records]
    shown = {place for place, (_, data) in enumerate(records) if concerns(data, field)}
    telling = [place for place, (kind, _) in enumerate(records) if not _of_one_field(kind)]
    taken = {one.digest: one for one in papers if one.kind == "enrolment"}
    known: frozenset[str] = frozenset().union(*(named[place] for place in shown))
    while True:
        fresh = [one for one in papers if one.digest not in taken and _belongs(one, known, taken.values())]
        taken |= {one.digest: one for one in fresh}
        known = known.union(*(one.names for one in fresh if one.kind not in FOLLOWING))
        ids = {one.id for one in taken.values() if one.kind in ENDABLE} | taken.keys()
        more = {place for place in telling if place not in shown and named[place] & ids}
        shown |= more
        known = known.union(*(named[place] for place in more))
        if not fresh and not more:
            return frozenset(shown), tuple(taken.values())


def _of_one_field(kind: str) -> bool:
    return kind == event.RELEASE or kind.startswith("value.")


def _belongs(one: Paper, known: frozenset[str], taken: Iterable[Paper]) -> bool:
    if one.id in known or one.digest in known:
        return True
    return one.kind in FOLLOWING and any(other.kind == "consent" and other.id in one.names for other in taken)
