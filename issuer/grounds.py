"""Statutory grounds: declared by a data protection officer,
alive only when a second person has signed the same document.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlmodel import Session, col, select

from issuer import asks, credentials, expiring, settling, signed
from issuer.asks import Wish
from issuer.credentials import EVERYONE, Credential, GroundSubject
from issuer.desk import Desk
from issuer.settling import Settling
from protocol import canonical, consent, event, ground, proof
from protocol.consent import Process, SubjectId
from protocol.errors import EvidenceError
from protocol.ground import StatutoryGround
from protocol.times import iso_ms, parse
from runtime import dialect, outbox
from runtime.journal import APPROVED
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LONGEST = timedelta(days=3650)
BATCH = 200
MAX_EVIDENCE = 4000  # characters
BASES = frozenset({"dpv:Contract", "dpv:LegalObligation", "dpv:VitalInterest", "dpv:PublicInterest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """What the officer declares. `subjects` None: every customer; `roles` None: whoever may act for the purposes."""

    key: str
    basis: str
    citation: str
    evidence: str
    wishes: tuple[Wish, ...]
    subjects: frozenset[SubjectId] | None
    until_enrolled: bool
    roles: frozenset[str] | None
    valid_until: datetime


def declare(desk: Desk, staff: Staff, declared: Declaration) -> Credential:
    """Sign and store a draft; it grants nothing until `approve`.

    Problem 403 `role`, 404 `unknown_subject`, 422 `consent_only`, `bad_basis`, `bad_valid_until`, `bad_evidence`,
    `role_not_allowed` and those of `asks.process_of`; EvidenceError `unknown_purpose`, `unknown_field`.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only the data protection officer may declare a ground.")
    platform, at = desk.platform, desk.platform.clock.now()
    processes = _processes(desk, declared)
    if declared.basis not in BASES:
        raise Problem(422, "bad_basis", f"Must be one of {', '.join(sorted(BASES))}.", field="basis")
    if not at < declared.valid_until <= at + LONGEST:
        raise Problem(422, "bad_valid_until", "A ground needs an end, at most ten years from now.", field="valid_until")
    _refuse_unproved(declared)
    unsigned = ground.build_ground(
        id=consent.fresh_id(),
        key=declared.key,
        controller=platform.controller,
        declared_by=staff.did,
        basis=declared.basis,
        citation=declared.citation,
        evidence=declared.evidence,
        processes=processes,
        valid_from=at,
        valid_until=declared.valid_until,
        subjects=declared.subjects,
        until_enrolled=declared.until_enrolled,
        roles=declared.roles,
    )
    named = sorted(declared.subjects) if declared.subjects is not None else [EVERYONE]
    with platform.database.write() as session:
        for subject in named:
            if subject != EVERYONE and credentials.version(session, SubjectId(subject)) == 0:
                raise Problem(404, "unknown_subject", "There is no such customer.", field="subjects")
        signer = platform.keyring.signer(f"staff/{staff.account}")
        subject = named[0] if len(named) == 1 else EVERYONE
        row = signed.issue(session, unsigned, "ground-draft", signers=(signer,), subject=subject, did=staff.did, at=at)
        for subject in named:
            session.add(GroundSubject(ground_id=row.id, subject=subject))
        _emit(session, event.GROUND_DECLARED, row, staff, at=at, more={**asks.told(processes), "key": declared.key})
    return row


def approve(desk: Desk, staff: Staff, ground_id: str) -> Credential:
    """Sign the draft as the second person, which makes it live; every subject that it covers is compiled anew.

    Problem 403 `role`, `second_approver`, 404 `unknown_ground`, 409 `ground_ended`. Approved before: nothing happens.
    """
    if staff.role not in ("dpo", "admin"):
        raise Problem(403, "role", "Only a data protection officer or an administrator may approve a ground.")
    platform, at = desk.platform, desk.platform.clock.now()
    with platform.database.write() as session:
        row = _row(session, ground_id)
        if row.ended_at is not None:
            raise Problem(409, "ground_ended", "This ground has ended.")
        if row.did == staff.did:
            raise Problem(403, "second_approver", "Somebody else than who declared it must approve it.")
        if row.kind == "ground-draft":
            _countersign(session, desk, row, staff, at)
    finish(desk, ground_id)
    return row


def end(desk: Desk, staff: Staff, ground_id: str) -> Credential:
    """End a ground for good: journal, allowances, drain. Problem 403 `role`, 404 `unknown_ground`.

    Again: it waits for the reads again.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only the data protection officer may end a ground.")
    with desk.platform.database.write() as session:
        row = _row(session, ground_id)
        desk.platform.journal.refresh()
        if row.ended_at is None or not desk.platform.journal.ended(ground_id):  # a column alone ends nothing for good
            _end(session, desk, row, "revoked", by=staff.account, at=desk.platform.clock.now(), staff=staff)
    if not finish(desk, ground_id):  # whatever a column says, which anybody may have written: it is acknowledged now
        desk.drain()
    return row


def expire(session: Session, desk: Desk, at: datetime) -> tuple[str, ...]:
    """Mark grounds that ran out by `at`; their ids, to `finish` after the commit. Spoiled ones are put aside."""
    rows = expiring.ran_out(session, "ground", at, partial(_parsed, desk, approved=True))
    for row, _ in rows:
        _end(session, desk, row, "expired", by="time", at=at, staff=None)
    return tuple(row.id for row, _ in rows)


def finish(desk: Desk, ground_id: str) -> bool:
    """Compile whoever the ground covers, in batches, each its own transaction; then drain and note it.

    Do it again as you like. Whether reads were waited for: not where all was done before, or nothing ended.
    """
    platform = desk.platform
    id_ = f"ground:{ground_id}"
    ended = False
    after: str | None = ""
    while after is not None:
        with platform.database.write() as session:
            platform.journal.refresh()
            if platform.journal.ended(ground_id) and not ended:
                # it may have ended since the last batch: whoever was compiled before is to be compiled again
                ended, after = True, ""
            if _done(session, platform, ground_id, ended=ended):
                return False
            after = _batch(session, desk, ground_id, after)
            if after is None and not ended:  # in one transaction: it cannot end in between
                work = session.get_one(Settling, id_)
                work.settled_at = iso_ms(platform.clock.now())
                session.add(work)
    if ended:
        settling.settle(desk, id_)
    return ended


def _done(session: Session, platform: Platform, ground_id: str, *, ended: bool) -> bool:
    """Whether nothing is left to compile. Of an end our own event must say so, too: anybody may write the row."""
    work = session.get(Settling, f"ground:{ground_id}")
    if not ended or settling.shut_event(session, f"ground:{ground_id}") is not None:
        return work is None or work.settled_at is not None
    if work is None:
        _begin(session, ground_id, platform.clock.now())
    return False


def put_back(session: Session, platform: Platform, entry: Mapping[str, Any]) -> Sequence[str]:
    """Put an approved ground back that the journal's entry carries and a restored database lost; whom it covers.

    Nobody: it is there, or does not prove itself, which two officers and the controller signed. What ended it since
    follows in the journal.
    """
    document: dict[str, Any] = entry["ground"]
    known = session.get(Credential, document["id"])
    if known is not None and known.kind == "ground":
        return ()
    if (proved := approved(platform, entry)) is None:
        return ()
    row, read = proved
    at = parse(entry["at"], field="at")
    if known is not None:  # it was a draft then
        session.delete(known)
        session.flush()
    named = [EVERYONE] if read.subjects is None else sorted(read.subjects)
    row.subject, row.did = named[0] if len(named) == 1 else EVERYONE, read.declared_by
    credentials.store(session, row)
    there = set(session.exec(select(GroundSubject.subject).where(GroundSubject.ground_id == row.id)))
    session.add_all(GroundSubject(ground_id=row.id, subject=one) for one in named if one not in there)
    session.flush()
    data = {"ground": row.id, "digest": row.digest, "replayed": True}
    about = [None if one == EVERYONE else SubjectId(one) for one in named]
    key = f"{event.GROUND_APPROVED}:{row.id}"
    outbox.emit(session, event.GROUND_APPROVED, at=at, records=[(one, data) for one in about], key=key)
    return named


def approved(platform: Platform, entry: Mapping[str, Any]) -> tuple[Credential, StatutoryGround] | None:
    """The ground that the journal's entry carries, and a row of it; None when it does not prove itself."""
    at = parse(entry["at"], field="at")
    row = signed.row(entry["ground"], "ground", subject=EVERYONE, did=platform.controller, at=at)
    try:
        read = ground.parse_ground(signed.reverify(row, platform, ground.GROUND_TYPE), approved=True)
    except EvidenceError:
        return None
    officers = read.signers - {platform.controller}
    return (row, read) if platform.controller in read.signers and len(officers) >= 2 else None


def unfinished(session: Session) -> list[str]:
    """Grounds whose subjects have not all been compiled since the change."""
    statement = select(Settling.ended).where(Settling.kind == "ground", col(Settling.settled_at).is_(None))
    return list(session.exec(statement))


def listed(session: Session, at: datetime, *, subject: SubjectId | None = None) -> list[dict[str, Any]]:
    """Grounds with their standing: all with drafts for staff, the approved ones that cover a subject for a wallet."""
    kinds = ("ground",) if subject is not None else ("ground", "ground-draft")
    statement = select(Credential).where(col(Credential.kind).in_(kinds)).order_by(col(Credential.at))
    if subject is not None:
        named = select(GroundSubject.ground_id).where(col(GroundSubject.subject).in_([EVERYONE, subject]))
        statement = statement.where(col(Credential.id).in_(named))
    return [
        {"id": row.id, **asks.listed(row, at), **({"standing": "draft"} if row.kind == "ground-draft" else {})}
        for row in session.exec(statement)
    ]


def _processes(desk: Desk, declared: Declaration) -> Sequence[Process]:
    processes = []
    for wish in declared.wishes:
        # to collect without consent has to be said; it does not come with the purpose
        said = wish if wish.processing else replace(wish, processing=frozenset({consent.USE}))
        entry, process = asks.process_of(said, desk.platform, desk.catalogue)
        if entry.consent_only:
            raise Problem(422, "consent_only", f"Only consent may open {entry.key}.", field="processes")
        if declared.roles is not None and not declared.roles <= entry.roles:
            raise Problem(422, "role_not_allowed", f"These roles may not act for {entry.key}.", field="roles")
        processes.append(process)
    return processes


def _refuse_unproved(declared: Declaration) -> None:
    """Evidence and citation are what the customer reads: there are some, and they stay readable."""
    for name, text, longest in (("evidence", declared.evidence, MAX_EVIDENCE), ("citation", declared.citation, 500)):
        if not 3 <= len(text.strip()) <= longest:
            raise Problem(422, "bad_evidence", f"A ground needs its {name}, at most {longest} characters.", field=name)


def _row(session: Session, ground_id: str) -> Credential:
    row = session.get(Credential, ground_id)
    if row is None or row.kind not in ("ground", "ground-draft"):
        raise Problem(404, "unknown_ground", "There is no such ground.")
    return row


def _parsed(desk: Desk, row: Credential, *, approved: bool) -> StatutoryGround:
    return ground.parse_ground(signed.reverify(row, desk.platform, ground.GROUND_TYPE), approved=approved)


def _countersign(session: Session, desk: Desk, row: Credential, staff: Staff, at: datetime) -> None:
    platform, draft = desk.platform, _parsed(desk, row, approved=False)
    _declared_by_staff(desk, draft)
    if draft.id != row.id:  # who approves one draft by its id must not sign another that was put in its place
        raise EvidenceError("foreign_ground", "this is another ground than the row says", field="id")
    if draft.declared_by == staff.did:  # the column may say otherwise
        raise Problem(403, "second_approver", "Somebody else than who declared it must approve it.")
    document: dict[str, Any] = json.loads(row.body)
    # the controller signs as well: two accounts that somebody wrote into the database make no ground
    for signer in (platform.keyring.signer(f"staff/{staff.account}"), platform.signer):
        document = proof.sign(document, signer, created=at)
    row.body = canonical.jcs(document)
    row.digest = canonical.digest(row.body)
    row.kind = "ground"
    session.add(row)
    session.flush()
    _parsed(desk, row, approved=True)
    _emit(session, event.GROUND_APPROVED, row, staff, at=at, more={})
    _begin(session, row.id, at)
    # last, as all that is to outlive this database: if the commit then fails, two officers have signed all the same
    platform.journal.append({"kind": APPROVED, "ground": document, "at": iso_ms(at)})


def _declared_by_staff(desk: Desk, draft: StatutoryGround) -> None:
    """A draft that somebody wrote into the database bears a signature that none of our keys made."""
    keyring = desk.platform.keyring
    if all(keyring.signer(name).did != draft.declared_by for name in keyring.signers() if name.startswith("staff/")):
        raise EvidenceError("foreign_ground", "none of our officers declared this ground", field="issuer")


def _end(
    session: Session, desk: Desk, row: Credential, ending: str, *, by: str, at: datetime, staff: Staff | None
) -> None:
    credentials.end(session, row, ending, by=by, at=at)
    _emit(session, event.GROUND_ENDED, row, staff, at=at, more={"how": ending})
    _begin(session, row.id, at)
    desk.journal(session, EVERYONE, 0, [row.id], {"ground": signed.document(row)}, at=at)


def _begin(session: Session, ground_id: str, at: datetime) -> None:
    """The subjects are to be compiled; an earlier change of the same ground that is not finished is taken over."""
    work = session.get(Settling, f"ground:{ground_id}")
    if work is None:
        settling.begin(session, "ground", subject=EVERYONE, ended=ground_id, by=ground_id, version=0, at=at)
        return
    work.settled_at, work.at = None, iso_ms(at)
    session.add(work)
    session.flush()


def _batch(session: Session, desk: Desk, ground_id: str, after: str) -> str | None:
    """Compile the next subjects; the last of them, None when there are none left."""
    named = select(GroundSubject.subject).where(GroundSubject.ground_id == ground_id)
    if EVERYONE in session.exec(named).all():
        batch = credentials.subjects_after(session, after, BATCH)
    else:
        ours = dialect.ours(session, col(GroundSubject.subject))
        statement = named.where(GroundSubject.subject > after, ours)
        statement = statement.order_by(col(GroundSubject.subject)).limit(BATCH)
        batch = [SubjectId(subject) for subject in session.exec(statement)]
    if not batch:
        return None
    credentials.raise_versions(session, batch)
    for subject in batch:
        desk.compile(session, subject)
    return batch[-1]


def _emit(
    session: Session, type_: str, row: Credential, staff: Staff | None, *, at: datetime, more: dict[str, Any]
) -> None:
    header = asks.by(staff) if staff is not None else {}
    data = {"ground": row.id, "digest": row.digest, **more}
    about = [None if one == EVERYONE else SubjectId(one) for one in _subjects(session, row)]
    outbox.emit(session, type_, at=at, header=header, records=[(one, data) for one in about], key=f"{type_}:{row.id}")


def _subjects(session: Session, row: Credential) -> Sequence[str]:
    return session.exec(select(GroundSubject.subject).where(GroundSubject.ground_id == row.id)).all() or [EVERYONE]
