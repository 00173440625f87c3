"""Replay: what the journal knows and a restored database lost, put back: endings, and answers that prove themselves.

An end needs no proof: it only takes away. What was given comes back as `verifier.given` proves it; what ended it since
follows in the journal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from issuer import credentials, settling, signed, statuslists
from issuer.credentials import EVERYONE, Credential, Standing
from issuer.settling import Settling
from protocol import event, times
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.journal import NARROWING, Entry
from runtime.platform import Platform
from verifier.given import Giving
from verifier.verdicts import Verdicts

_EVENTS = {  # by how it ended: the event, the issuer's word for it, and the statement in the journal that did it
    "withdrawn": (event.CONSENT_WITHDRAWN, "withdrawn", "withdrawal"),
    "superseded": (event.CONSENT_NARROWED, "narrowed", "consent"),
    "revoked": (event.CONSENT_REVOKED, "revoked", "revocation"),
    "expired": (event.CONSENT_EXPIRED, "expired", "consent"),
}
_OTHERS = {
    "ground": event.GROUND_ENDED,
    "enrolment": event.ENROLMENT_ENDED,
    "touchpoint": event.TOUCHPOINT_ENDED,
}


@dataclass(slots=True)
class Replayed:
    """What ended, which answers and statutory grounds were put back, about whom."""

    given: Giving
    ended: list[str] = field(default_factory=list)
    touched: set[SubjectId] = field(default_factory=set)


def replay(session: Session, platform: Platform) -> Replayed:
    """Take the journal from its first entry to its last."""
    done = Replayed(Giving(session, platform))
    for entry in platform.journal.entries():
        done.given.take(entry)
        if entry.body.get("kind") == NARROWING:
            subject, evidence = SubjectId(str(entry.body.get("subject", ""))), entry.body.get("evidence", {})
            if done.given.left(entry):  # what it ended is ended; what it was to bring never came
                evidence = {name: document for name, document in evidence.items() if name != "consent"}
            if _restore(session, platform, subject, evidence):
                done.touched.add(subject)
            ended = [id_ for id_ in entry.body.get("ended", ()) if _end(session, entry.body, id_)]
            done.ended += ended
            done.touched |= {subject} if ended else set()
    done.touched |= done.given.touched
    return done


def tell_again(platform: Platform, entries: Iterable[Entry]) -> int:
    """Tell of ends that the journal knows, and whose events are gone; how many. Idempotent."""
    count = 0
    for entry in entries:
        at = times.parse(entry.body["at"], field="at")
        with platform.database.write() as session:
            for id_ in entry.body["ended"]:
                row = session.get(Credential, id_)
                if row is not None and row.kind == "consent":
                    _tell(session, row, entry.body, at)
                else:
                    _tell_other(session, entry.body, id_, "" if row is None else row.kind, at)
                count += 1
    return count


def _tell_other(session: Session, entry: Mapping[str, Any], id_: str, kind: str, at: datetime) -> None:
    """The event of an end that is not a consent's, or of one that the database does not know."""
    type_ = _OTHERS.get(kind, event.CONSENT_REVOKED)
    data = {"credential": id_, "version": entry["version"], "replayed": True}
    if kind in ("ground", "touchpoint"):
        data[kind] = id_
    subject = entry["subject"] if kind in ("enrolment", "") else None
    about = None if subject in (None, EVERYONE) else SubjectId(str(subject))
    outbox.emit(session, type_, at=at, records=[(about, data)], key=f"again:{id_}:{entry['at']}")


def _end(session: Session, entry: Mapping[str, Any], id_: str) -> bool:
    row = session.get(Credential, id_)
    if row is None or row.ended_at is not None:
        return False
    at = times.parse(entry["at"], field="at")
    credentials.end(session, row, _ending(entry.get("evidence", {})), by="journal", at=at)
    statuslists.end(session, row.status_list, row.status_index, at=at)
    _tell(session, row, entry, at)
    return True


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
        if row.status_list is not None and row.status_index is not None:
            statuslists.keep(session, row.status_list, row.status_index)
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
    data = {"consent": row.id, "credential": row.id, "version": entry["version"], "replayed": True}
    if credential is not None and credential.id != row.id:
        data |= {credential.kind: credential.id, "digest": credential.digest}
    subject = SubjectId(row.subject)
    outbox.emit(session, type_, at=at, records=[(subject, data)], key=f"{kind}:{row.id}")
    if credential is not None and credential.id != row.id and session.get(Settling, credential.id) is None:
        settling.begin(
            session, kind, subject=subject, ended=row.id, by=credential.id, version=int(entry["version"]), at=at
        )
