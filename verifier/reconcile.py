"""Reconcile: bring a database that was restored, crashed or tampered with up to what the journal knows.

Replaying takes away: it marks grounds as ended, raises standings to their floor, and compiles again. What it gives
back are answers that the customers themselves signed and the database lost, each proved anew. A
quarantine is lifted only where every stored statement about the subject proves itself.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from issuer import editions, proved, publication, settling, signed
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE, Credential, Standing
from protocol import exclusion
from protocol.consent import SubjectId
from runtime import crash
from runtime.journal import NARROWING, Journal
from runtime.platform import Platform
from verifier import allowance, given, grounds, quarantine, replay

_BATCH = 500
_KINDS = ("consent", "enrolment", "ground")  # what can end, and whose end is in the journal


class Disagreement(Exception):  # noqa: N818 - what it is, not an error of ours
    """Database and journal do not tell the same story. Codes: journal_ahead, journal_behind."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done: grounds newly marked as ended, answers put back, subjects compiled and freed.

    Those that stay under quarantine are `kept`, with what is wrong there.
    """

    ended: tuple[str, ...]
    given: tuple[str, ...] = ()  # consents and refusals that the database had lost
    approved: tuple[str, ...] = ()  # statutory grounds that the database had lost
    compiled: int
    lifted: tuple[SubjectId, ...]
    kept: Mapping[SubjectId, tuple[str, ...]]


def startup_check(platform: Platform) -> None:
    """Refuse to serve while database and journal disagree.

    Raises:
        Disagreement: `journal_ahead`, the database lacks narrowings (restored, or a crash: `reconcile` replays them);
            `journal_behind`, the journal lacks narrowings that the database has (it was cut or replaced: without the
            right one every consent stays denied).
        JournalError: the journal itself is broken or missing.
    """
    platform.journal.refresh()
    with platform.database.read() as session:
        ahead = _below(session, platform.journal) | _revived(session, platform.journal)
        behind = [id_ for id_ in _ended(session) if not platform.journal.ended(id_)]
        lost = editions.lost(session, platform)
    if lost is not None:
        detail = "journal and database do not know the same version of the catalogue: run fieldgrant reconcile"
        raise Disagreement(f"journal_{lost}", detail)
    if behind:
        detail = f"the journal lacks {len(behind)} endings that the database knows"
        raise Disagreement("journal_behind", f"{detail}: bring back the newest, then run fieldgrant reconcile")
    if ahead:
        detail = f"the database lacks what ended for {len(ahead)} subjects"
        raise Disagreement("journal_ahead", f"{detail}: run fieldgrant reconcile")


def refuse_lost(platform: Platform, since: int) -> None:
    """Disagreement `journal_ahead` where the database lacks answers or approved grounds of after that journal's line.

    Costs what came since. What seems to be lost is looked at again under the write lock: entries come before commits.
    """
    with platform.database.read() as session:
        if all(given.known(session, entry) for entry in platform.journal.entries(since)):
            return
    lost = 0
    with suppress(_Undone), platform.database.write() as session:
        platform.journal.refresh()
        giving = given.Giving(session, platform, since=since)
        for entry in platform.journal.entries(since):
            giving.take(entry)
        lost = len(giving.answers) + len(giving.approved)
        raise _Undone
    if lost:
        detail = f"the database lacks {lost} answers of customers or approved grounds"
        raise Disagreement("journal_ahead", f"{detail}: run fieldgrant reconcile")


def answered(platform: Platform, since: int, until: int) -> int:
    """The journal's line up to which, of what came after `since` and by `until`, the database has what was given.

    The one before the first answer or approved ground that it lacks and `reconcile` would put back. Whoever asks saw
    no commit under way when `until` was the journal's last line; else it is one line too few, until the next time.
    """
    with platform.database.read() as session:
        for entry in platform.journal.entries(since):
            if entry.seq > until:
                break
            if given.known(session, entry) or not platform.journal.counts(entry.body):
                continue
            if given.proves(session, platform, entry):
                return entry.seq - 1
    return until


class _Undone(Exception):  # noqa: N818 - rolls a look back
    """Nothing of it is kept."""


def reconcile(platform: Platform, catalogue: Catalogue, *, dry_run: bool = False) -> Report:
    """Replay the journal, compile who was touched or is under quarantine, free those whose evidence verifies.

    Run it again as you like; with `dry_run` nothing is kept. Raises JournalError, ClockError.
    """
    platform.journal.refresh()
    renewed = False if dry_run else publication.put_back(platform)
    crash.point("replay.before")
    with suppress(_Undone), platform.database.write() as session:
        replayed = replay.replay(session, platform)
        touched = replayed.touched | _raise_to_floor(session, platform.journal)
        suspects = [subject for subject, _ in quarantine.every(session)]
        lifted, kept = _examine(session, platform, catalogue, suspects)
        compiled = allowance.compile_many(session, platform, catalogue, sorted(touched | set(lifted)))
        if dry_run:
            raise _Undone
        crash.point("replay.within")
    crash.point("replay.after")
    if (EVERYONE in touched or renewed) and not dry_run:  # a ground for all had ended, or the catalogue had gone
        compiled = allowance.compile_all(platform, catalogue)
    return Report(
        ended=tuple(replayed.ended),
        given=tuple(replayed.given.answers),
        approved=tuple(replayed.given.approved),
        compiled=compiled,
        lifted=tuple(lifted),
        kept=kept,
    )


def end_everything(platform: Platform, subjects: Iterable[tuple[str, str]]) -> None:
    """End every consent of these customers, in the journal: something of theirs ended (then), and nobody knows what.

    For `EVERYONE` every ground and every touchpoint. `reconcile` is to follow.
    """
    with platform.database.read() as session:
        for subject, at in subjects:
            of_all = subject == EVERYONE
            living = select(Credential.id).where(col(Credential.ended_at).is_(None))
            if of_all:
                living = living.where(col(Credential.kind).in_(("ground", "touchpoint")))
            else:
                living = living.where(Credential.subject == subject, Credential.kind == "consent")
            version = 0 if of_all else 1 + _newest(session, platform.journal, subject)
            platform.journal.append(_narrowing(subject, version, list(session.exec(living)), {}, at))


def write_down(platform: Platform) -> int:
    """Put into the journal what the database knows of ends and enrolments and the journal lost; how many entries.

    Only for whoever has lost the newest journal for good: it takes away and gives nothing. JournalError.
    """
    journal = platform.journal
    entries = []
    with platform.database.read() as session:
        stated = select(Credential).where(col(Credential.kind).in_(("enrolment", "exclusion")))
        for row in session.exec(stated):
            if row.id not in journal.named(SubjectId(row.subject)) and _genuine(platform, row):
                version = _newest(session, journal, row.subject)
                entries.append(_narrowing(row.subject, version, [], {row.kind: signed.document(row)}, row.at))
        ended = select(Credential).where(col(Credential.ended_at).is_not(None))
        for row in session.exec(ended.where(col(Credential.kind).in_((*_KINDS, "touchpoint")))):
            if not journal.ended(row.id):
                own = row.kind in ("consent", "enrolment")
                version = _newest(session, journal, row.subject) if own else 0
                entries.append(_narrowing(row.subject if own else EVERYONE, version, [row.id], {}, str(row.ended_at)))
    if entries:
        journal.append_all(entries)
    return len(entries)


def _genuine(platform: Platform, row: Credential) -> bool:
    """Whether an enrolment or an exclusion is ours and what its row says: what is written down is believed for ever."""
    if row.kind == "enrolment":
        return proved.binds(platform, row)
    try:
        read = exclusion.parse_exclusion(signed.reverify(row, platform, exclusion.EXCLUSION_TYPE))
    except settling.SPOILED:
        return False
    return (read.id, read.subject) == (row.id, row.subject)


def everybody(platform: Platform) -> list[SubjectId]:
    """Every customer."""
    with platform.database.read() as session:
        return [SubjectId(one) for one in session.exec(select(Standing.subject).order_by(col(Standing.subject)))]


def _newest(session: Session, journal: Journal, subject: str) -> int:
    standing = session.get(Standing, subject)
    return max(journal.floor(SubjectId(subject)), standing.version if standing else 0)


def _narrowing(subject: str, version: int, ended: list[str], evidence: Mapping[str, Any], at: str) -> dict[str, Any]:
    return {
        "kind": NARROWING, "subject": subject, "version": version, "ended": ended, "evidence": dict(evidence), "at": at,
    }  # fmt: skip


def _below(session: Session, journal: Journal) -> set[SubjectId]:
    rows = session.exec(select(Standing.subject, Standing.version))
    return {
        SubjectId(subject)
        for subject, version in rows
        if type(version) is not int or version < journal.floor(SubjectId(subject))
    }


def _revived(session: Session, journal: Journal) -> set[SubjectId]:
    """Subjects with a ground that stands in the database and is ended in the journal."""
    standing = select(Credential.subject, Credential.id).where(
        col(Credential.ended_at).is_(None), col(Credential.kind).in_(_KINDS)
    )
    return {SubjectId(subject) for subject, id_ in session.exec(standing) if journal.ended(id_)}


def _ended(session: Session) -> Iterable[str]:
    ended = col(Credential.ended_at).is_not(None)
    return session.exec(select(Credential.id).where(ended, col(Credential.kind).in_(_KINDS)))


def _raise_to_floor(session: Session, journal: Journal) -> set[SubjectId]:
    raised = _below(session, journal)
    for subject in sorted(raised):
        row = session.get_one(Standing, subject)
        row.version = journal.floor(subject)
        session.add(row)
    session.flush()
    return raised


def _examine(
    session: Session, platform: Platform, catalogue: Catalogue, suspects: list[SubjectId]
) -> tuple[list[SubjectId], dict[SubjectId, tuple[str, ...]]]:
    at = platform.clock.now()
    lifted: list[SubjectId] = []
    kept: dict[SubjectId, tuple[str, ...]] = dict.fromkeys(suspects, ("unknown_subject",))
    for start in range(0, len(suspects), _BATCH):
        for evidence in grounds.collect(session, suspects[start : start + _BATCH]):
            complaints = grounds.examine(platform, catalogue, evidence, at).complaints
            if complaints:
                kept[evidence.subject] = tuple(sorted({complaint.code for complaint in complaints}))
            else:
                quarantine.lift(session, evidence.subject, at)
                del kept[evidence.subject]
                lifted.append(evidence.subject)
    return lifted, kept
