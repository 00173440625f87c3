"""Replay: what the journal knows and a restored database lost, put back: endings, and answers that prove themselves.

An end needs no proof: it only takes away. A consent is put back when the wallet's signature, our own ask and the
wallet's enrolment prove it, as the registry would have taken it; what ended it since follows in the journal.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from issuer import asks, challenges, credentials, grounds, receipts, settling, signed, statuslists
from issuer.challenges import Challenge
from issuer.credentials import EVERYONE, Credential, Standing
from issuer.settling import Settling
from protocol import consent, event, times
from protocol.consent import Ask, Consent, Reference, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.journal import APPROVED, NARROWING, Entry
from runtime.platform import Platform
from verifier.verdicts import Verdicts

ANSWER = "answer"
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

    ended: list[str] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    approved: list[str] = field(default_factory=list)
    touched: set[SubjectId] = field(default_factory=set)


def replay(session: Session, platform: Platform) -> Replayed:
    """Take the journal from its first entry to its last."""
    done = Replayed()
    for entry in platform.journal.entries():
        kind, subject = entry.body.get("kind"), SubjectId(str(entry.body.get("subject", "")))
        if kind == ANSWER:
            if (put_back := _answer(session, platform, subject, entry.body)) is not None:
                done.given.append(put_back)
                done.touched.add(subject)
        elif kind == APPROVED:
            if covered := grounds.put_back(session, platform, entry.body):
                done.approved.append(str(entry.body["ground"]["id"]))
                done.touched |= set(map(SubjectId, covered))
        elif kind == NARROWING:
            evidence: Mapping[str, Any] = entry.body.get("evidence", {})
            if _restore(session, platform, subject, evidence):
                done.touched.add(subject)
            ended = [id_ for id_ in entry.body.get("ended", ()) if _end(session, entry.body, id_)]
            done.ended += ended
            done.touched |= {subject} if ended else set()
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


def _answer(session: Session, platform: Platform, subject: SubjectId, entry: Mapping[str, Any]) -> str | None:
    """Put back a consent or a refusal that the database lost, as the registry took it; its id.

    None when it is there, when its customer is not, and when it does not prove itself: then nothing was given.
    """
    evidence: Mapping[str, Any] = entry.get("evidence", {})
    kind = "consent" if "consent" in evidence else "refusal"
    document, asked = evidence.get(kind), evidence.get("ask")
    standing = session.get(Standing, subject)
    if document is None or asked is None or standing is None or session.get(Credential, document["id"]) is not None:
        return None
    at = times.parse(entry["at"], field="at")
    did = Did(document["issuer"])
    row = signed.row(document, kind, subject=subject, did=did, at=at)
    proved = Verdicts(platform, platform.clock.now())
    try:
        ask, given = _proved(session, proved, row, signed.row(asked, "ask", subject=subject, did=did, at=at))
    except EvidenceError:
        return None
    _close(session, ask, row, subject=subject, asked=asked, at=at)
    credentials.store(session, row)
    standing.version = max(standing.version, int(entry["version"]))
    session.add(standing)
    _tell_answer(session, row, ask, given, entry)
    receipts.issue(
        session, platform, row, "given" if given else "refused", standing="living" if given else "refused", decided=at,
        about=given, ask=Reference(ask.id, ask.digest),
    )  # fmt: skip
    return row.id


def _proved(session: Session, proved: Verdicts, row: Credential, asked: Credential) -> tuple[Ask, Consent | None]:
    """What an answer's signatures prove: our ask, the customer's consent (None for a refusal). EvidenceError."""
    ask = proved.ask(asked.body)
    row.ask_id = ask.id
    row.status_index, row.status_list = ask.status.index, int(ask.status.list_url.rpartition("/")[2])
    enrolled = (
        select(Credential.id)
        .where(Credential.kind == "enrolment", Credential.did == row.did, Credential.subject == row.subject)
        .limit(1)
    )
    if ask.subject_did != row.did or session.exec(enrolled).first() is None:
        raise EvidenceError("not_enrolled", "this wallet was not this customer's", field="issuer")
    if row.kind == "refusal":
        refusal = proved.refusal(row.body)
        if (refusal.ask_id, refusal.ask_digest) != (ask.id, ask.digest):
            raise EvidenceError("foreign_ask", "it answers another ask", field="ask")
        return ask, None
    given = proved.consent(row.body)
    consent.within(given, ask)
    return ask, given


def _close(
    session: Session, ask: Ask, row: Credential, *, subject: SubjectId, asked: Mapping[str, Any], at: datetime
) -> None:
    """The ask is answered, its challenge used up, its index set aside: none of them may serve a second time."""
    stored = session.get(Credential, ask.id)
    if stored is None:
        columns = {"ask_id": None, "status_list": row.status_list, "status_index": row.status_index}
        made = signed.row(asked, "ask", subject=subject, did=Did(row.did), at=at, **columns)
        stored = credentials.store(session, made)
    credentials.end(session, stored, "answered" if row.kind == "consent" else "refused", by=row.id, at=at)
    used = session.get(Challenge, ask.challenge)
    if used is None:
        challenges.keep(session, ask.challenge, "ask", ask.id, expires=ask.expires)
    if used is None or used.used_at is None:
        challenges.use(session, ask.challenge, at=at)
    if row.status_list is not None and row.status_index is not None:
        statuslists.keep(session, row.status_list, row.status_index)
    if row.kind == "refusal":
        statuslists.end(session, row.status_list, row.status_index, at=at)


def _tell_answer(session: Session, row: Credential, ask: Ask, given: Consent | None, entry: Mapping[str, Any]) -> None:
    """The event that was lost with the answer."""
    data: dict[str, Any] = {"credential": row.id, "digest": row.digest, "ask": ask.id, "version": entry["version"]}
    data |= asks.told((given or ask).processes) | {"replayed": True}
    type_, kind = (event.CONSENT_GIVEN, "given") if given is not None else (event.CONSENT_REFUSED, "refused")
    if given is not None:
        data["valid_until"] = times.iso(given.valid_until)
    at = times.parse(entry["at"], field="at")
    outbox.emit(session, type_, at=at, records=[(SubjectId(row.subject), data)], key=f"{kind}:{row.id}")


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
