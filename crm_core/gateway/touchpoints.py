"""Touchpoints: whatever brings customers' values from outside (a web form, a shop, a fleet's backend, a call centre).

An administrator registers one, a data protection officer approves it, and the controller's key confirms the two. Only
that signed registration counts: a row that somebody writes into the database registers nothing. An end is in the
journal before it is acknowledged, so a restored database revives no touchpoint, and a key that ended never comes back.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlmodel import Session, col, select

from issuer import asks, credentials, signed
from issuer.asks import Wish
from issuer.catalogue import Catalogue
from issuer.credentials import Credential
from protocol import canonical, consent, event, proof, times, touchpoint
from protocol import did as dids
from protocol.consent import COLLECT, Process
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.touchpoint import TOUCHPOINT_TYPE, Registration, Ungrounded
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff, StaffAccount

KIND: Final = "touchpoint"
DRAFT: Final = "touchpoint-draft"
NOBODY: Final = "-"  # the column `subject` of a credential that is about no customer
LONGEST: Final = timedelta(days=730)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What an administrator registers. `wishes` name purposes and fields; `jurisdiction` None: home.

    `rate` is uploads a minute; `origins` are those of pages to which the touchpoint may delegate.
    """

    did: str
    name: str
    wishes: tuple[Wish, ...]
    jurisdiction: str | None
    ungrounded: Ungrounded
    rate: int
    origins: frozenset[str]
    valid_until: datetime


def register(platform: Platform, catalogue: Catalogue, staff: Staff, wanted: Application) -> Credential:
    """Sign and store a draft; it lets nothing in until `approve`.

    Problem 403 `role`, 409 `did_used`, 422 `not_for_collection`, `bad_valid_until`, `purpose_twice` and those of
    `asks.process_of`; EvidenceError `unknown_purpose`, `unknown_field`, `bad_did`, `unsupported_did`, `bad_credential`.
    """
    if staff.role != "admin":
        raise Problem(403, "role", "Only an administrator may register a touchpoint.")
    at = platform.clock.now()
    dids.public_of(wanted.did)
    if "#" in wanted.did:
        raise EvidenceError("bad_did", "the DID itself is wanted, without its fragment", field="did")
    if not at < wanted.valid_until <= at + LONGEST:
        raise Problem(422, "bad_valid_until", "A registration needs an end, within two years.", field="valid_until")
    unsigned = touchpoint.build_registration(
        id=consent.fresh_id(),
        touchpoint=Did(wanted.did),
        name=wanted.name,
        controller=platform.controller,
        declared_by=staff.did,
        processes=_processes(platform, catalogue, wanted),
        ungrounded=wanted.ungrounded,
        rate=wanted.rate,
        origins=sorted(wanted.origins),
        valid_from=at,
        valid_until=wanted.valid_until,
    )
    with platform.database.write() as session:
        _refuse_used(session, platform, Did(wanted.did))
        signer = platform.keyring.signer(f"staff/{staff.account}")
        row = signed.issue(session, unsigned, DRAFT, signers=(signer,), subject=NOBODY, did=Did(wanted.did), at=at)
        _parsed(platform, row, approved=False)  # what nobody could read must not wait for an approval
        _emit(session, event.TOUCHPOINT_REGISTERED, row, staff, at=at)
    return row


def approve(platform: Platform, staff: Staff, id_: str) -> Credential:
    """Sign the draft as the second person, which makes it live. Approved before: nothing happens.

    Problem 403 `role`, `second_approver`, 404 `unknown_touchpoint`, 409 `touchpoint_ended`; EvidenceError
    `foreign_touchpoint` for a draft that none of our administrators signed.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only a data protection officer may approve a touchpoint.")
    at = platform.clock.now()
    with platform.database.write() as session:
        row = _row(session, id_)
        if row.ended_at is not None or platform.journal.ended(row.id):
            raise Problem(409, "touchpoint_ended", "This touchpoint has ended.")
        if row.kind == DRAFT:
            draft = _parsed(platform, row, approved=False)
            if draft.declared_by == staff.did:
                raise Problem(403, "second_approver", "Somebody else than who registered it must approve it.")
            _declared_by_staff(platform, draft)
            _countersign(session, platform, row, staff, at)
    return row


def end(platform: Platform, staff: Staff, id_: str) -> Credential:
    """End a touchpoint for good: nothing of it is taken once this returns. Again: nothing happens.

    Problem 403 `role`, 404 `unknown_touchpoint`.
    """
    if staff.role not in ("admin", "dpo"):
        raise Problem(403, "role", "Only an administrator or a data protection officer may end a touchpoint.")
    at = platform.clock.now()
    with platform.database.write() as session:
        row = _row(session, id_)
        ends = row.ended_at is None
        if ends:
            credentials.end(session, row, "revoked", by=staff.account, at=at)
            _emit(session, event.TOUCHPOINT_ENDED, row, staff, at=at)
        if ends or not platform.journal.ended(row.id):  # again, where its commit had failed: the log tells this instant
            # the last thing before the commit; uploads decide under the same write lock, so none is under way
            entry = {"kind": "narrowing", "subject": NOBODY, "version": 0, "ended": [row.id]}
            evidence = {"touchpoint": signed.document(row)}
            platform.journal.append({**entry, "evidence": evidence, "at": times.iso_ms(at)})
    return row


def living(session: Session, platform: Platform, did: Did, at: datetime) -> Registration | None:
    """The registration under which this key may bring values now, every signature verified; None: there is none."""
    statement = select(Credential).where(Credential.kind == KIND, Credential.did == did)
    return next((one for one in _living(session.exec(statement), platform, at) if one.touchpoint == did), None)


def by_id(session: Session, platform: Platform, id_: str, at: datetime) -> Registration | None:
    """The same by the registration's id."""
    statement = select(Credential).where(Credential.kind == KIND, Credential.id == id_)
    return next(_living(session.exec(statement), platform, at), None)


def origins(session: Session, platform: Platform, at: datetime) -> frozenset[str]:
    """The origins of every living touchpoint's pages."""
    statement = select(Credential).where(Credential.kind == KIND, col(Credential.ended_at).is_(None))
    return frozenset[str]().union(*(one.origins for one in _living(session.exec(statement), platform, at)))


def listed(session: Session, platform: Platform, at: datetime, id_: str | None = None) -> list[dict[str, Any]]:
    """Touchpoints with their standing, oldest first: draft, living, expired, revoked, or broken (proves nothing)."""
    statement = select(Credential).where(col(Credential.kind).in_((KIND, DRAFT))).order_by(col(Credential.at))
    if id_ is not None:
        statement = statement.where(Credential.id == id_)
    return [_shown(platform, row, at) for row in session.exec(statement)]


def _processes(platform: Platform, catalogue: Catalogue, wanted: Application) -> list[Process]:
    place = frozenset({wanted.jurisdiction}) if wanted.jurisdiction is not None else None
    processes = []
    for wish in wanted.wishes:
        plain = replace(wish, recipients=None, jurisdictions=place, processing=None)
        entry, process = asks.process_of(plain, platform, catalogue)
        if COLLECT not in entry.processing:
            raise Problem(422, "not_for_collection", f"Nothing is collected for {entry.key}.", field="processes")
        processes.append(replace(process, processing=frozenset({COLLECT})))
    if len({process.purpose for process in processes}) != len(processes):
        raise Problem(422, "purpose_twice", "Each purpose may be named once.", field="processes")
    return processes


def _refuse_used(session: Session, platform: Platform, did: Did) -> None:
    known = session.exec(select(Credential.id).where(Credential.did == did).limit(1)).first()
    staff = session.exec(select(StaffAccount.account).where(StaffAccount.did == did)).first()
    if known is not None or staff is not None or did == platform.controller:
        raise Problem(409, "did_used", "This key is known already; a touchpoint has one of its own.", field="did")


def _row(session: Session, id_: str) -> Credential:
    row = session.get(Credential, id_)
    if row is None or row.kind not in (KIND, DRAFT):
        raise Problem(404, "unknown_touchpoint", "There is no such touchpoint.")
    return row


def _parsed(platform: Platform, row: Credential, *, approved: bool) -> Registration:
    return touchpoint.parse_registration(signed.reverify(row, platform, TOUCHPOINT_TYPE), approved=approved)


def _living(rows: Any, platform: Platform, at: datetime) -> Iterator[Registration]:
    platform.journal.refresh()
    for row in rows:
        try:
            found = _parsed(platform, row, approved=True)
        except EvidenceError:
            continue  # somebody wrote it there: it lets nothing in
        ours = found.controller == platform.controller and found.id == row.id
        ended = row.ended_at is not None or platform.journal.ended(found.id)
        if ours and not ended and found.valid_from <= at < found.valid_until:
            yield found


def _declared_by_staff(platform: Platform, draft: Registration) -> None:
    keyring = platform.keyring
    if all(keyring.signer(name).did != draft.declared_by for name in keyring.signers() if name.startswith("staff/")):
        raise EvidenceError("foreign_touchpoint", "none of our people registered this touchpoint", field="issuer")


def _countersign(session: Session, platform: Platform, row: Credential, staff: Staff, at: datetime) -> None:
    document: dict[str, Any] = json.loads(row.body)
    for signer in (platform.keyring.signer(f"staff/{staff.account}"), platform.signer):
        document = proof.sign(document, signer, created=at)
    row.body = canonical.jcs(document)
    row.digest = canonical.digest(row.body)
    row.kind = KIND
    session.add(row)
    session.flush()
    _parsed(platform, row, approved=True)
    _emit(session, event.TOUCHPOINT_APPROVED, row, staff, at=at)


def _emit(session: Session, type_: str, row: Credential, staff: Staff, *, at: datetime) -> None:
    data = {"touchpoint": row.id, "digest": row.digest, "did": row.did}
    outbox.emit(session, type_, at=at, header=asks.by(staff), records=[(None, data)], key=f"{type_}:{row.id}")


def _shown(platform: Platform, row: Credential, at: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": row.id, "did": row.did, "at": row.at, "ended_at": row.ended_at}
    try:
        found = _parsed(platform, row, approved=row.kind == KIND)
    except EvidenceError as error:
        return {**shown, "standing": "broken", "code": error.code}
    standing = "draft" if row.kind == DRAFT else "living" if at < found.valid_until else "expired"
    if row.ended_at is not None or platform.journal.ended(row.id):
        standing = "revoked"
    return {
        **shown,
        "standing": standing,
        "name": found.name,
        "declared_by": found.declared_by,
        "processes": [{"purpose": one.purpose, "fields": sorted(one.fields)} for one in found.processes],
        "jurisdiction": found.jurisdiction,
        "ungrounded": found.ungrounded,
        "rate": found.rate,
        "origins": sorted(found.origins),
        "valid_until": times.iso(found.valid_until),
    }
