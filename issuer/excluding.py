"""What a request ends or holds back: the subject's consents, and statutory grounds for this subject alone.

Every step runs in the caller's write transaction and gives back what is still to do: journal entries just before the
commit, then ids to settle (drain, shut). Ids follow from the request, so that whoever does a step again after a crash
writes the same statement.
"""

import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from sqlmodel import Session

from issuer import asks, closing, credentials, evidence, proved, settling, signed
from issuer.credentials import Credential
from issuer.registry import Registry
from issuer.requests import DataRequest
from protocol import event, exclusion, ground
from protocol.consent import Consent, Reference, SubjectId
from protocol.exclusion import ANY, OBLIGATION, PAUSE, Excepted, Exclusion
from protocol.ground import StatutoryGround
from protocol.request import Kept
from protocol.vocabulary import DPV
from runtime import outbox
from runtime.platform import Platform
from runtime.staff import Staff

CONTRACT = "dpv:Contract"
EXCLUSION, LIFT = "exclusion", "lift"
DIRECT_MARKETING = frozenset(
    DPV + name
    for name in (
        "Advertising", "DirectMarketing", "Marketing", "PersonalisedAdvertising", "SocialMediaMarketing",
        "TargetedAdvertising",
    )
)  # fmt: skip
"""DPV's purposes to which GDPR art. 21(3) applies: an objection ends them at once."""


@dataclass(frozen=True, slots=True)
class Step:
    """What remains: `journal` just before the commit, `settle` after it."""

    journal: list[Callable[[], None]] = field(default_factory=list)
    settle: list[str] = field(default_factory=list)

    def commit(self) -> None:
        """Write the journal entries. Call it last in the transaction."""
        for entry in self.journal:
            entry()


def living(session: Session, registry: Registry, subject: SubjectId) -> list[StatutoryGround]:
    """The statutory grounds in force that speak of the subject, proved anew, whether they were taken out of it or not.

    One that waits for the customer to lose the wallet is among them. EvidenceError where an approved one is spoiled.
    """
    at, platform = registry.platform.clock.now(), registry.platform
    rows = {one.id: one for one in evidence.evidence(session, subject).grounds}
    found = []
    for id_, row in rows.items():
        if row.ended_at is None:
            stored = session.get_one(Credential, id_)
            try:
                read = ground.parse_ground(signed.reverify(stored, platform, ground.GROUND_TYPE))
            except settling.SPOILED:
                if id_ in platform.journal.grounds(subject):
                    raise
                continue  # no officer ever approved it: somebody wrote it in
            if read.concerns(subject) and at < read.valid_until:
                found.append(read)
    return found


def basis(one: StatutoryGround) -> str:
    """Its legal basis in the short form."""
    return one.basis.replace(DPV, "dpv:", 1)


def may_stay(session: Session, registry: Registry, subject: SubjectId) -> list[StatutoryGround]:
    """The contract grounds that an erasure leaves for the officer to decide on."""
    enrolled = bool(credentials.living(session, "enrolment", subject=subject))
    return [
        one
        for one in not_excluded(session, registry, subject)
        if basis(one) == CONTRACT and not (one.until_enrolled and enrolled)
    ]


def not_excluded(session: Session, registry: Registry, subject: SubjectId) -> list[StatutoryGround]:
    """The grounds in force that no exclusion has ended for this subject in all their purposes."""
    platform, gone = registry.platform, []
    for row in credentials.of_kind(session, EXCLUSION, subject=subject):
        read = exclusion.parse_exclusion(signed.reverify(row, platform, exclusion.EXCLUSION_TYPE))
        if read.kind != PAUSE:
            gone.append(read)
    return [
        one
        for one in living(session, registry, subject)
        if not all(any(each.covers(one, process.purpose) for each in gone) for process in one.processes)
    ]


def kept(grounds: Iterable[StatutoryGround], reasons: dict[str, str]) -> list[Kept]:
    """What stays, as a receipt says it."""
    return [
        Kept(
            ground=one.id,
            fields=frozenset().union(*(process.fields for process in one.processes)),
            citation=one.citation,
            reason=reasons.get(one.id),
        )
        for one in grounds
    ]


def exclude(
    session: Session,
    registry: Registry,
    row: DataRequest,
    kind: str,
    excepted: Iterable[Excepted],
    *,
    round_: int = 1,
    staff: Staff | None = None,
) -> Step:
    """Take the subject out of these grounds and purposes. Done before (a crash, a restore): it only settles again."""
    id_ = _id(row, kind, round_)
    if session.get(Credential, id_) is not None:
        return _again(session, registry, row, id_)
    platform, at, subject = registry.platform, registry.platform.clock.now(), SubjectId(row.subject)
    asked = session.get_one(Credential, row.id)
    pairs = sorted({(one.ground, one.purpose) for one in excepted})
    unsigned = exclusion.build_exclusion(
        kind, id=id_, controller=platform.controller, subject=subject,
        excepted=[Excepted(*pair) for pair in pairs], request=Reference(asked.id, asked.digest), at=at,
    )  # fmt: skip
    made = signed.issue(
        session, unsigned, EXCLUSION, signers=(platform.signer,), subject=subject, did=platform.controller, at=at,
        about=row.id,
    )  # fmt: skip
    version = registry.raised(session, subject)
    data = {
        "exclusion": made.id, "credential": made.id, "digest": made.digest, "version": version, "how": kind,
        "request": row.id, "excepts": [{"ground": one, "purpose": other} for one, other in pairs],
    }  # fmt: skip
    header = {} if staff is None else asks.by(staff)
    outbox.emit(
        session, event.GROUND_EXCLUDED, at=at, header=header, records=[(subject, data)], key=f"excluded:{made.id}"
    )
    work = settling.begin(session, "excluded", subject=subject, ended=made.id, by=made.id, version=version, at=at)
    papers = {"exclusion": signed.document(made), "request": signed.document(asked)}
    return Step([partial(registry.journal, session, subject, version, [], papers, at=at)], [work.id])


def _again(session: Session, registry: Registry, row: DataRequest, id_: str) -> Step:
    """The exclusion is there already: what is to follow is, too, or is begun now."""
    if session.get(settling.Settling, f"excluded:{id_}") is None:
        subject, at = SubjectId(row.subject), registry.platform.clock.now()
        version = registry.moved(session, subject)
        settling.begin(session, "excluded", subject=subject, ended=id_, by=id_, version=version, at=at)
    return Step([], [f"excluded:{id_}"])


def end_consents(
    session: Session, registry: Registry, row: DataRequest, *, purpose: str | None = None, staff: Staff | None = None
) -> Step:
    """End the subject's consents and open asks, or those for a purpose; the asks come first in the journal."""
    step, subject, platform = Step(), SubjectId(row.subject), registry.platform
    open_ = credentials.living(session, "ask", subject=subject)
    if purpose is not None:
        open_ = [one for one in open_ if _asks_for(one, platform, purpose)]
    closed = closing.supersede(session, platform, open_, by=row.id, at=platform.clock.now())
    step.journal.append(partial(closing.write, platform, closed))
    for one in credentials.living(session, "consent", subject=subject):
        if purpose is None or _covers(one, registry, purpose):
            if not proved.proves(session, platform, one, "erasure" if purpose is None else "objection"):
                continue  # the exclusion that follows ends it for the gate, should its bytes be put back
            id_, entry = registry.revoke_within(session, one, staff, request=row.id)
            step.settle.append(id_)
            step.journal.append(entry)
    return step


def erase(session: Session, registry: Registry, row: DataRequest, *, staff: Staff | None = None) -> Step:
    """End all that may end without a decision: consents, and every ground but legal obligations and contracts."""
    subject = SubjectId(row.subject)
    undecided = {one.id for one in may_stay(session, registry, subject)}
    ending = [one for one in living(session, registry, subject) if basis(one) != OBLIGATION and one.id not in undecided]
    step = end_consents(session, registry, row, staff=staff)
    last = exclude(session, registry, row, exclusion.ERASURE, [Excepted(one.id, ANY) for one in ending], staff=staff)
    return Step([*step.journal, *last.journal], [*step.settle, *last.settle])


def pauses(session: Session, registry: Registry, row: DataRequest) -> list[Exclusion]:
    """What holds back the use of statutory grounds for a request, and was not ended yet."""
    subject = SubjectId(row.subject)
    done = {one.about for one in credentials.of_kind(session, LIFT, subject=subject)}
    found = (
        exclusion.parse_exclusion(signed.reverify(stored, registry.platform, exclusion.EXCLUSION_TYPE))
        for stored in credentials.of_kind(session, EXCLUSION, subject=subject)
        if stored.id not in done
    )
    return [one for one in found if one.request.id == row.id and one.kind == PAUSE]


def lift(session: Session, registry: Registry, row: DataRequest, *, staff: Staff) -> None:
    """End the pauses of a request: processing goes on. It takes nothing away, so nothing is to drain."""
    platform, at, subject = registry.platform, registry.platform.clock.now(), SubjectId(row.subject)
    for read in pauses(session, registry, row):
        unsigned = exclusion.build_lift(
            Reference(read.id, read.digest), id=_id(row, LIFT, 1), controller=platform.controller, subject=subject,
            at=at,
        )  # fmt: skip
        made = signed.issue(
            session, unsigned, LIFT, signers=(platform.signer,), subject=subject, did=platform.controller, at=at,
            about=read.id,
        )  # fmt: skip
        version = registry.moved(session, subject)
        data = {"exclusion": read.id, "lift": made.id, "credential": read.id, "version": version, "request": row.id}
        records: list[tuple[SubjectId | None, dict[str, object]]] = [(subject, data)]
        key = f"resumed:{read.id}"
        outbox.emit(session, event.GROUND_RESUMED, at=at, header=asks.by(staff), records=records, key=key)
        registry.note(subject, version, {"lift": signed.document(made)}, at=at)


def shut_at(session: Session, row: DataRequest, kind: str) -> datetime | None:
    """When the last read under way had ended after this exclusion (after its second round, where there is one).

    None while no event of ours tells of it, or there is none.
    """
    for round_ in (2, 1):
        id_ = f"excluded:{_id(row, kind, round_)}"
        if session.get(settling.Settling, id_) is not None or outbox.under(session, id_) is not None:
            shut = settling.shut_event(session, id_)  # not what a column says: anybody may have written it
            return None if shut is None else shut.at
    return None


def _asks_for(row: Credential, platform: Platform, purpose: str) -> bool:
    ask = closing.proved(row, platform)
    return ask is not None and any(process.purpose == purpose for process in ask.processes)


def _covers(row: Credential, registry: Registry, purpose: str) -> bool:
    try:
        held: Consent = settling.consent_of(row, registry.platform)
    except settling.SPOILED:
        return False  # it grants nothing
    return any(process.purpose == purpose for process in held.processes)


def _id(row: DataRequest, kind: str, round_: int) -> str:
    seed = hashlib.sha256(f"{row.id} {kind} {round_}".encode()).digest()
    return f"urn:uuid:{uuid.UUID(bytes=seed[:16], version=4)}"
