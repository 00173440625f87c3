"""Answers and approved grounds that a restored database lost, put back from the journal where they prove themselves.

A consent is put back when the wallet's signature, our own ask and the wallet's enrolment prove it, as the registry
would have taken it. An answer is in the journal before its commit, and a commit can fail: of several answers to one ask
only the last can have been acknowledged.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from issuer import asks, challenges, credentials, grounds, receipts, signed, statuslists
from issuer.challenges import Challenge
from issuer.credentials import Credential, Standing
from protocol import consent, event, times
from protocol.consent import Ask, Consent, Reference, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.journal import APPROVED, CLOSED, NARROWING, Entry
from runtime.journal_given import ANSWER
from runtime.platform import Platform
from verifier.verdicts import Verdicts


class Giving:
    """Puts back, line by line, what the journal says was given since `since`; in a session that may be rolled back."""

    def __init__(self, session: Session, platform: Platform, *, since: int = 0) -> None:
        self._session, self._platform = session, platform
        self._later = _later(platform.journal.entries(since))
        self.answers: list[str] = []  # what was put back
        self.approved: list[str] = []  # statutory grounds
        self.touched: set[SubjectId] = set()

    def take(self, entry: Entry) -> None:
        """Put back an answer that decided its ask, or an approved ground, which the database lacks."""
        if entry.body.get("kind") == ANSWER:
            if not self.left(entry) and (known := _answer(self._session, self._platform, entry.body)) is not None:
                self.answers.append(known)
                self.touched.add(SubjectId(entry.body["subject"]))
        elif entry.body.get("kind") == APPROVED and (
            covered := grounds.put_back(self._session, self._platform, entry.body)
        ):
            self.approved.append(str(entry.body["ground"]["id"]))
            self.touched |= set(map(SubjectId, covered))

    def left(self, entry: Entry) -> bool:
        """Was the ask answered otherwise, or closed, after this? Then this was never committed, nor acknowledged."""
        return any(
            one.seq > entry.seq
            and (
                one.body.get("subject") == entry.body["subject"]
                if one.body.get("kind") == CLOSED
                else _read(self._session, self._platform, one.body) is not None
            )
            for one in self._later.get(_ask_of(entry.body) or "", ())
        )


def known(session: Session, entry: Entry) -> bool:
    """Does the database have what this entry gave, if it gave anything? Nothing of it is judged."""
    if entry.body.get("kind") == ANSWER:
        document = _document(entry.body)
        return document is None or session.get(Credential, document["id"]) is not None
    if entry.body.get("kind") == APPROVED:
        row = session.get(Credential, entry.body["ground"]["id"])
        return row is not None and row.kind == "ground"
    return True


def proves(session: Session, platform: Platform, entry: Entry) -> bool:
    """Would an answer or an approved ground that the database lacks be put back? Nothing is written."""
    if entry.body.get("kind") == APPROVED:
        return grounds.approved(platform, entry.body) is not None
    standing = session.get(Standing, str(entry.body.get("subject", "")))
    return standing is not None and _read(session, platform, entry.body) is not None


def _document(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    evidence: Mapping[str, Any] = body.get("evidence", {})
    found: Mapping[str, Any] | None = evidence.get("consent", evidence.get("refusal"))
    return found


def _later(entries: Iterable[Entry]) -> Mapping[str, list[Entry]]:
    """By ask: what the journal says of it after a first answer."""
    seen, later = set[str](), dict[str, list[Entry]]()
    for entry in entries:
        if (ask := _ask_of(entry.body)) is not None:
            if ask in seen:
                later.setdefault(ask, []).append(entry)
            seen.add(ask)
    return later


def _ask_of(body: Mapping[str, Any]) -> str | None:
    """Which ask a line answers or closes; a narrowing that brings a consent answers one too."""
    if body.get("kind") == CLOSED:
        return str(body.get("id"))
    evidence: Mapping[str, Any] = body.get("evidence", {})
    answers = body.get("kind") in (ANSWER, NARROWING) and "ask" in evidence
    return str(evidence["ask"]["id"]) if answers else None


def _answer(session: Session, platform: Platform, entry: Mapping[str, Any]) -> str | None:
    """Put back a consent or a refusal that the database lost, as the registry took it; its id.

    None when it is there, when its customer is not, and when it does not prove itself: then nothing was given.
    """
    document = _document(entry)
    standing = session.get(Standing, str(entry.get("subject", "")))
    if document is None or standing is None or session.get(Credential, document["id"]) is not None:
        return None
    if (read := _read(session, platform, entry)) is None:
        return None
    row, ask, given = read
    at = times.parse(entry["at"], field="at")
    _close(session, ask, row, subject=SubjectId(row.subject), asked=entry["evidence"]["ask"], at=at)
    credentials.store(session, row)
    standing.version = max(standing.version, int(entry["version"]))
    session.add(standing)
    _tell_answer(session, row, ask, given, entry)
    receipts.issue(
        session, platform, row, "given" if given else "refused", standing="living" if given else "refused", decided=at,
        about=given, ask=Reference(ask.id, ask.digest),
    )  # fmt: skip
    return row.id


def _read(
    session: Session, platform: Platform, entry: Mapping[str, Any]
) -> tuple[Credential, Ask, Consent | None] | None:
    """The answer's row as the registry made it, and what it proves; None when it proves nothing."""
    evidence: Mapping[str, Any] = entry.get("evidence", {})
    kind, document, asked = "consent" if "consent" in evidence else "refusal", _document(entry), evidence.get("ask")
    if document is None or asked is None:
        return None
    subject, did = SubjectId(str(entry.get("subject", ""))), Did(document["issuer"])
    at = times.parse(entry["at"], field="at")
    row = signed.row(document, kind, subject=subject, did=did, at=at)
    question = signed.row(asked, "ask", subject=subject, did=did, at=at)
    try:
        ask, given = _proved(session, Verdicts(platform, platform.clock.now()), row, question)
    except EvidenceError:
        return None
    return row, ask, given


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
