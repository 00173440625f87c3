"""Do the events agree with the papers? Releases under living grounds, none after the end, every end seen through.

The events are walked in the order of the log. A ground lives from the event that took it in to the one that ended it;
between that and `consent.shut` only reads already under way (they carry an older version) may still be recorded.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from audit.event_file import Event
from audit.excluded import Out
from audit.life import Life, Wanted
from audit.provenance import mentions
from audit.report import IncompleteError
from audit.verify_chain import Story
from audit.verify_credentials import Papers
from protocol import event as events
from protocol.consent import USE, SubjectId
from protocol.errors import EvidenceError
from protocol.exclusion import ERASURE

DISPOSED = frozenset({events.VALUE_SEALED, events.VALUE_SHREDDED, events.VALUE_KEPT})
ARRIVED = frozenset({events.VALUE_COLLECTED, events.VALUE_CORRECTED})


@dataclass(slots=True)
class Ending:
    """The end of a consent, and what has to follow it: the gate shut, each stored field disposed of, a certificate."""

    id: str
    version: int | None
    """Of the standing; a statutory ground has none, its shut names it."""
    open_fields: set[str]
    shut: bool = False
    jobs: set[tuple[str, str]] = field(default_factory=set)
    """(job, field): the certificate of that id must tell of that field."""


@dataclass(slots=True)
class Walk:
    """Where the walk along the log has come to."""

    papers: Papers
    subject: SubjectId
    only: str | None
    lives: dict[str, Life] = field(default_factory=dict)
    enrolled: set[str] = field(default_factory=set)
    stored: set[str] = field(default_factory=set)
    archived: set[str] = field(default_factory=set)
    shut_at: int = -1
    endings: list[Ending] = field(default_factory=list)
    out: list[Out] = field(default_factory=list)
    releases: int = 0


def check_story(story: Story, papers: Papers) -> Walk:
    """Walk along the log.

    Raises EvidenceError: `release_without_ground`, `ground_unknown`, `ground_ended`, `ground_does_not_cover`,
    `release_after_shut`, `bad_release`, `bad_version`, `credential_missing`, `not_enrolled`, `restore_without_archive`,
    `restore_without_ground`, `ground_excluded`.
    """
    walk = Walk(papers, SubjectId(story.claim.subject), story.claim.field)
    for event in story.in_order:
        _STEPS.get(event.type, _pass)(walk, event)
    return walk


def check_endings(walk: Walk) -> None:
    """Every end was seen through.

    Raises IncompleteError: `shut_missing`, `disposition_missing`, `certificate_missing`.
    """
    certificates = walk.papers.certificates
    certified = {(one.id, str(item.field)) for one in certificates.values() for item in one.items}
    for ending in walk.endings:
        if not ending.shut:
            raise IncompleteError("shut_missing", f"nothing says that reads had ended after {ending.id}")
        if ending.open_fields:
            names = ", ".join(sorted(ending.open_fields))
            raise IncompleteError("disposition_missing", f"nothing says what became of {names} after {ending.id}")
        if ending.jobs - certified:
            raise IncompleteError("certificate_missing", f"no certificate tells of what followed {ending.id}")


def _pass(_walk: Walk, _event: Event) -> None:
    """Nothing follows from this event."""


def _given(walk: Walk, event: Event) -> None:
    named = mentions(event.data) & walk.papers.consents.keys()
    if event.type == events.CONSENT_GIVEN and not named:
        raise EvidenceError("credential_missing", f"the consent of record {event.sequence} is not in the bundle")
    for name in named:
        if walk.papers.digests[name] in mentions(event.data):
            _begin(walk, name)


def _begin(walk: Walk, name: str) -> None:
    paper = walk.papers.consents[name]
    if paper.subject_did not in walk.enrolled:
        raise EvidenceError("not_enrolled", f"{name} was given by a wallet that was not enrolled then")
    walk.lives.setdefault(name, Life(paper.processes, paper.valid_from, paper.valid_until))


def _narrowed(walk: Walk, event: Event) -> None:
    """A smaller consent in the place of a larger one: one ends, one begins."""
    named = mentions(event.data) & walk.papers.consents.keys()
    pairs = {(name, _replaced(walk, name)) for name in named if _replaced(walk, name) in named}
    for name, _ in pairs:
        _begin(walk, name)
    _end(walk, event, {old for _, old in pairs if old is not None})


def _replaced(walk: Walk, name: str) -> str | None:
    """The consent in whose place the ask of this one was made."""
    ask = walk.papers.asks.get(walk.papers.consents[name].ask_id)
    return None if ask is None else ask.replaces


def _ended(walk: Walk, event: Event) -> None:
    named = mentions(event.data)
    ended = named & walk.papers.consents.keys()
    ended |= {one.consent_id for one in walk.papers.withdrawals.values() if one.id in named}
    _end(walk, event, ended)


def _end(walk: Walk, event: Event, consents: AbstractSet[str]) -> None:
    if not consents:
        raise EvidenceError("credential_missing", f"the consent that record {event.sequence} ends is not in the bundle")
    version = _version(event)
    for name in sorted(consents):
        life = walk.lives.get(name)
        if life is None:
            raise EvidenceError("ground_unknown", f"record {event.sequence} ends a consent that was never given")
        if life.ended is None:
            life.ended = version
        lost = _stored(walk, life)
        still = {name for other in _living(walk, event) for name in other.fields()}
        if event.type == events.CONSENT_NARROWED:
            lost -= still  # what the smaller consent keeps was not lost
        walk.endings.append(Ending(name, version, lost, shut=event.type == events.CONSENT_EXPIRED))


def _living(walk: Walk, event: Event) -> Iterator[Life]:
    return (life for life in walk.lives.values() if life.ended is None and life.lives(event.at, 0))


def _stored(walk: Walk, life: Life) -> set[str]:
    """The fields with a value that this ground covers, as far as the bundle tells of them."""
    covered = life.fields() & walk.stored
    return covered if walk.only is None else covered & {walk.only}


def _shut(walk: Walk, event: Event) -> None:
    version = _version(event)
    named = mentions(event.data)
    for ending in walk.endings:
        if ending.version is None and ending.id in named:
            ending.shut = True
            walk.lives[ending.id].ended = 0
        elif event.subject is not None and ending.version is not None and ending.version <= version:
            ending.shut = True
    if event.subject is not None:
        walk.shut_at = max(walk.shut_at, version)


def _approved(walk: Walk, event: Event) -> None:
    named = mentions(event.data)
    for name, paper in walk.papers.grounds.items():
        if name in named and paper.digest in named and paper.concerns(walk.subject):
            walk.lives[name] = Life(
                paper.processes, paper.valid_from, paper.valid_until, paper.roles, paper.until_enrolled
            )


def _ground_ended(walk: Walk, event: Event) -> None:
    """A ground for many has no version of one subject's standing: reads under way end with the shut that names it."""
    for name in sorted(mentions(event.data) & walk.lives.keys()):
        life = walk.lives[name]
        life.valid_until = min(life.valid_until, event.at)
        walk.endings.append(Ending(name, None, _stored(walk, life)))


def _excluded(walk: Walk, event: Event) -> None:
    """The subject was taken out of grounds: for good, which has to be seen through, or while a request is looked at."""
    named = mentions(event.data) & walk.papers.exclusions.keys()
    if not named:
        raise EvidenceError("credential_missing", f"the exclusion of record {event.sequence} is not in the bundle")
    version = _version(event)
    for name in sorted(named):
        out = Out(walk.papers.exclusions[name], version)
        walk.out.append(out)
        if out.ends:
            lost = set(walk.stored) if out.paper.kind == ERASURE else _barred(walk, out)
            walk.endings.append(Ending(name, version, lost if walk.only is None else lost & {walk.only}))


def _barred(walk: Walk, out: Out) -> set[str]:
    """The stored fields of the grounds in force that it covers."""
    return walk.stored & {
        str(name)
        for paper in walk.papers.grounds.values()
        if paper.id in walk.lives
        for process in paper.processes
        if out.paper.covers(paper, process.purpose)
        for name in process.fields
    }


def _resumed(walk: Walk, event: Event) -> None:
    """A pause was lifted: only the controller's own lift does that."""
    named = mentions(event.data)
    lifted = {one.exclusion.id for one in walk.papers.lifts.values() if one.id in named}
    for out in walk.out:
        if out.paper.id in lifted and not out.ends:
            out.until = _version(event)


def _enrolled(walk: Walk, event: Event) -> None:
    """With the first enrolment the grounds that were to reach the customer end (`untilEnrolled`)."""
    named = mentions(event.data)
    walk.enrolled |= {one.wallet_did for one in walk.papers.enrolments.values() if one.id in named}
    for life in walk.lives.values():
        if life.until_enrolled and life.ended is None:
            version = event.data.get("version")
            life.ended = version if type(version) is int else 0


def _unenrolled(walk: Walk, event: Event) -> None:
    """A wallet that was given up gives no consent any more."""
    named = mentions(event.data)
    walk.enrolled -= {one.wallet_did for one in walk.papers.enrolments.values() if one.id in named}


def _released(walk: Walk, event: Event) -> None:
    header, released, used = event.header, event.data.get("released"), event.data.get("grounds")
    if not isinstance(released, list) or not isinstance(used, dict):
        raise EvidenceError("bad_release", f"record {event.sequence} does not say what was released on which ground")
    version = _version(event)
    walk.releases += 1
    for name in released:
        if walk.only not in (None, name):
            continue
        grounds = [ground for ground, fields in used.items() if isinstance(fields, list) and name in fields]
        if version < walk.shut_at:
            detail = f"record {event.sequence} releases {name} under a version that was shut before"
            raise EvidenceError("release_after_shut", detail, field=str(name))
        wanted = Wanted(
            field=str(name),
            purpose=header.get("purpose"),
            recipient=header.get("recipient"),
            processing=header.get("processing", USE),
            jurisdiction=header.get("jurisdiction"),
            role=header.get("role"),
        )
        _check_grounds(walk, event, wanted, grounds, version)


def _check_grounds(walk: Walk, event: Event, wanted: Wanted, grounds: list[str], version: int) -> None:
    where = f"record {event.sequence} releases {wanted.field}"
    if not grounds:
        raise EvidenceError("release_without_ground", f"{where} and names no ground", field=wanted.field)
    lives = [walk.lives.get(name) for name in grounds]
    known = [life for life in lives if life is not None]
    if not known:
        raise EvidenceError("ground_unknown", f"{where} under a ground that was not in force", field=wanted.field)
    living = [life for life in known if life.lives(event.at, version)]
    if not living:
        raise EvidenceError("ground_ended", f"{where} under a ground that had ended", field=wanted.field)
    if not any(life.covers(wanted) for life in living):
        raise EvidenceError("ground_does_not_cover", f"{where} beyond what its ground covers", field=wanted.field)
    of_law = [walk.papers.grounds[name] for name in grounds if name in walk.papers.grounds]
    if of_law and all(any(out.bars(one, str(wanted.purpose), version) for out in walk.out) for one in of_law):
        raise EvidenceError(
            "ground_excluded", f"{where} under a ground that the customer is out of", field=wanted.field
        )


def _arrived(walk: Walk, event: Event) -> None:
    walk.stored |= _fields(event)


def _restored(walk: Walk, event: Event) -> None:
    """Only what was sealed can come back, and only under a living consent that covers it."""
    fields = _fields(event)
    if walk.only is not None:
        fields &= {walk.only}
    if not fields <= walk.archived:
        raise EvidenceError("restore_without_archive", f"record {event.sequence} restores what was not sealed")
    life = walk.lives.get(str(event.data.get("ground")))
    if fields and (
        life is None or life.ended is not None or not life.lives(event.at, 0) or not fields <= life.fields()
    ):
        raise EvidenceError("restore_without_ground", f"record {event.sequence} restores without a living ground")
    walk.archived -= fields
    walk.stored |= fields


def _disposed(walk: Walk, event: Event) -> None:
    gone = _fields(event)
    job = event.data.get("job")
    for ending in walk.endings:
        if ending.open_fields & gone:
            ending.open_fields -= gone
            if event.type != events.VALUE_KEPT:
                ending.jobs |= {(str(job), name) for name in gone}
    if event.type != events.VALUE_KEPT:
        walk.stored -= gone
    if event.type == events.VALUE_SEALED:
        walk.archived |= gone


def _deleted(walk: Walk, event: Event) -> None:
    """Staff took away an item, or an import was undone; `gone` are the fields of which nothing is stored any more."""
    gone = {str(name) for name in event.data.get("gone", ()) if isinstance(name, str)}
    walk.stored -= gone
    for ending in walk.endings:
        ending.open_fields -= gone


def _box_destroyed(walk: Walk, event: Event) -> None:
    """The archive's key ended: what was sealed there cannot come back any more."""
    walk.archived -= _fields(event)


def _fields(event: Event) -> set[str]:
    listed, one = event.data.get("fields"), event.data.get("field")
    names = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    return names | ({one} if isinstance(one, str) else set())


def _version(event: Event) -> int:
    version = event.data.get("version")
    if type(version) is not int or version < 0:
        raise EvidenceError(
            "bad_version", f"record {event.sequence} does not say which version of the standing it means"
        )
    return version


_STEPS = (
    {
        events.CONSENT_GIVEN: _given,
        events.CONSENT_NARROWED: _narrowed,
        events.CONSENT_WITHDRAWN: _ended,
        events.CONSENT_REVOKED: _ended,
        events.CONSENT_EXPIRED: _ended,
        events.CONSENT_SHUT: _shut,
        events.GROUND_APPROVED: _approved,
        events.GROUND_ENDED: _ground_ended,
        events.GROUND_EXCLUDED: _excluded,
        events.GROUND_RESUMED: _resumed,
        events.ENROLMENT_COMPLETED: _enrolled,
        events.ENROLMENT_ENDED: _unenrolled,
        events.VALUE_RESTORED: _restored,
        events.VALUE_DESTROYED: _box_destroyed,
        events.VALUE_DELETED: _deleted,
        events.IMPORT_UNDONE: _deleted,
        events.RELEASE: _released,
    }
    | dict.fromkeys(ARRIVED, _arrived)
    | dict.fromkeys(DISPOSED, _disposed)
)
