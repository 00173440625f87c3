"""Reconcile: bring a database that was restored, crashed or tampered with up to what the journal knows.

Replaying only ever takes away: it marks grounds as ended, raises standings to their floor, and compiles again. A
quarantine is lifted only where every stored statement about the subject proves itself.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from issuer import credentials, settling, signed, statuslists
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE, Credential, Standing
from issuer.settling import Settling
from protocol import event, times
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.journal import NARROWING, Journal
from runtime.platform import Platform
from verifier import allowance, grounds, quarantine
from verifier.verdicts import Verdicts

_BATCH = 500
_EVENTS = {  # by how it ended: the event, the issuer's word for it, and the statement in the journal that did it
    "withdrawn": (event.CONSENT_WITHDRAWN, "withdrawn", "withdrawal"),
    "superseded": (event.CONSENT_NARROWED, "narrowed", "consent"),
    "revoked": (event.CONSENT_REVOKED, "revoked", "revocation"),
    "expired": (event.CONSENT_EXPIRED, "expired", "consent"),
}
_KINDS = ("consent", "enrolment", "ground")  # what can end, and whose end is in the journal


class Disagreement(Exception):  # noqa: N818 - what it is, not an error of ours
    """Database and journal do not tell the same story. Codes: journal_ahead, journal_behind."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was done: grounds newly marked as ended, subjects compiled, freed, and kept with what is wrong there."""

    ended: tuple[str, ...]
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
    if behind:
        raise Disagreement("journal_behind", f"the journal lacks {len(behind)} endings that the database knows")
    if ahead:
        raise Disagreement("journal_ahead", f"the database lacks what ended for {len(ahead)} subjects: run reconcile")


def reconcile(platform: Platform, catalogue: Catalogue) -> Report:
    """Replay the journal, compile who was touched or is under quarantine, free those whose evidence verifies.

    Run it again as you like. Raises JournalError, ClockError.
    """
    platform.journal.refresh()
    with platform.database.write() as session:
        ended, touched = _replay(session, platform)
        touched |= _raise_to_floor(session, platform.journal)
        suspects = [subject for subject, _ in quarantine.every(session)]
        lifted, kept = _examine(session, platform, catalogue, suspects)
        compiled = allowance.compile_many(session, platform, catalogue, sorted(touched | set(lifted)))
    if EVERYONE in touched:  # a ground for all had ended
        compiled = allowance.compile_all(platform, catalogue)
    return Report(ended=tuple(ended), compiled=compiled, lifted=tuple(lifted), kept=kept)


def _below(session: Session, journal: Journal) -> set[SubjectId]:
    rows = session.exec(select(Standing.subject, Standing.version))
    return {SubjectId(subject) for subject, version in rows if version < journal.floor(SubjectId(subject))}


def _revived(session: Session, journal: Journal) -> set[SubjectId]:
    """Subjects with a ground that stands in the database and is ended in the journal."""
    standing = select(Credential.subject, Credential.id).where(
        col(Credential.ended_at).is_(None), col(Credential.kind).in_(_KINDS)
    )
    return {SubjectId(subject) for subject, id_ in session.exec(standing) if journal.ended(id_)}


def _ended(session: Session) -> Iterable[str]:
    ended = col(Credential.ended_at).is_not(None)
    return session.exec(select(Credential.id).where(ended, col(Credential.kind).in_(_KINDS)))


def _replay(session: Session, platform: Platform) -> tuple[list[str], set[SubjectId]]:
    """Mark what the journal ended, put back the statements that it carries; what was ended and about whom."""
    ended: list[str] = []
    touched: set[SubjectId] = set()
    for entry in platform.journal.entries():
        if entry.body.get("kind") != NARROWING:
            continue
        evidence: Mapping[str, Any] = entry.body.get("evidence", {})
        subject = SubjectId(str(entry.body["subject"]))
        if _restore(session, platform, subject, evidence):
            touched.add(subject)
        for id_ in entry.body.get("ended", ()):
            row = session.get(Credential, id_)
            if row is not None and row.ended_at is None:
                at = times.parse(entry.body["at"], field="at")
                credentials.end(session, row, _ending(evidence), by="journal", at=at)
                statuslists.end(session, row.status_list, row.status_index, at=at)
                _tell(session, row, entry.body, at)
                ended.append(row.id)
                touched.add(subject)
    return ended, touched


def _ending(evidence: Mapping[str, Any]) -> str:
    if "withdrawal" in evidence:
        return "superseded" if "consent" in evidence else "withdrawn"
    return "expired" if "consent" in evidence else "revoked"


def _restore(session: Session, platform: Platform, subject: SubjectId, evidence: Mapping[str, Any]) -> bool:
    """Put back the statements that a narrowing carries; True when one was missing."""
    if session.get(Standing, subject) is None:
        return False
    missing = False
    for name in ("enrolment", "ask", "given", "withdrawal", "consent", "request", "exclusion"):
        document = evidence.get(name)
        if document is None or session.get(Credential, document["id"]) is not None:
            continue
        kind, at = "consent" if name == "given" else name, platform.clock.now()
        row = signed.row(document, kind, subject=subject, did=Did(document["issuer"]), at=at)
        try:
            _describe(row, Verdicts(platform, at))
        except EvidenceError:
            continue  # a statement that proves nothing is not put back; the ending itself needs no proof
        credentials.store(session, row)
        missing = True
    return missing


def _describe(row: Credential, proved: Verdicts) -> None:
    """Fill the columns that the registry would have filled. EvidenceError."""
    if row.kind == "enrolment":
        row.did = proved.enrolment(row.body).wallet_did
    elif row.kind == "ask":  # it was answered: else it would not be in the journal
        row.did, row.ended_at, row.ended_kind = proved.ask(row.body).subject_did, row.at, "answered"
    elif row.kind == "exclusion":
        row.about = proved.exclusion(row.body).request.id
    elif row.kind == "request":
        proved.request(row.body)
    elif row.kind == "withdrawal":
        row.about = proved.withdrawal(row.body).consent_id
    else:
        given = proved.consent(row.body)
        row.ask_id, row.status_index = given.ask_id, given.status.index
        row.status_list = int(given.status.list_url.rpartition("/")[2])


def _tell(session: Session, row: Credential, entry: Mapping[str, Any], at: datetime) -> None:
    """The event that was lost with the change, and what was to follow it: drain, `shut` and the receipt."""
    evidence: Mapping[str, Any] = entry.get("evidence", {})
    if row.kind != "consent" or row.ended_kind not in _EVENTS:
        return
    type_, kind, by = _EVENTS[row.ended_kind]
    credential = session.get(Credential, evidence[by]["id"]) if by in evidence else None
    data = {"consent": row.id, "version": entry["version"], "replayed": True}
    if credential is not None and credential.id != row.id:
        data |= {credential.kind: credential.id, "digest": credential.digest}
    subject = SubjectId(row.subject)
    outbox.emit(session, type_, at=at, records=[(subject, data)], key=f"{kind}:{row.id}")
    if credential is not None and credential.id != row.id and session.get(Settling, credential.id) is None:
        settling.begin(
            session, kind, subject=subject, ended=row.id, by=credential.id, version=int(entry["version"]), at=at
        )


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
