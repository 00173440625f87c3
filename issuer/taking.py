"""What becomes of a request once we know who asks: what ends at once, what waits for the officer or for the wallet.

The same bytes sent again, after a crash at any point, complete what is missing and give the same state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from issuer import attempts, credentials, excluding, explaining, requests, sealing, settling, signed
from issuer.credentials import Credential
from issuer.excluding import DIRECT_MARKETING, Step
from issuer.registry import Registry, refuse_unfit
from issuer.requests import DataRequest
from issuer.wallet_auth import WalletCaller
from protocol import canonical, credential, request, signature
from protocol import did as dids
from protocol.consent import SubjectId
from protocol.credential import VerifiedCredential
from protocol.errors import EvidenceError
from protocol.exclusion import ANY, ERASURE, OBJECTION, OBLIGATION, PAUSE, Excepted
from protocol.request import DataSubjectRequest
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

DPO, WALLET, DRAIN = "dpo", "wallet", "drain"  # for whom or what a request waits
NARROWING = frozenset({"erasure", "objection", "restriction"})


def take(registry: Registry, document: Mapping[str, Any], box: bytes | None, caller: WalletCaller) -> dict[str, Any]:
    """Take a request that an enrolled wallet signed; as `state_of`. It is known whose it is: the wallet says so.

    Raises EvidenceError (those of `protocol.credential.verify` and `parse_request`; `foreign_request`, `unknown_field`,
    `unknown_purpose`, `unknown_read`, `bad_correction`, `bad_box`, `digest_mismatch`), Problem 409 `request_open`,
    `nothing_to_object`, `id_used`, 422 `bad_request`, 429 `too_many_requests`.
    """
    with attempts.recorded(registry.platform, "request", did=caller.did, subject=caller.subject):
        sent = _verified(registry, document, box, caller)
        with registry.platform.database.write() as session:
            known = credentials.by_digest(session, sent.verified.digest)
            row = None if known is None else session.get(DataRequest, known.id)
            step, again = Step(), row is not None
            if row is None:
                row = _keep(session, registry, known, sent, caller)
                requests.move(session, registry.platform, row, "identified")
                step = begin(session, registry, row, sent.asked)
                step.commit()
            id_ = row.id
    settling.settle(registry, *step.settle)
    if again and sent.asked.kind in NARROWING:
        settling.settle_again(registry, caller.subject)
    complete(registry, id_)
    return state_of(registry, id_)


def begin(
    session: Session, registry: Registry, row: DataRequest, asked: DataSubjectRequest, *, staff: Staff | None = None
) -> Step:
    """What takes effect at once, in the caller's transaction. Problem 409 `nothing_to_object`."""
    platform = registry.platform
    if row.kind == "erasure":
        _drop_boxes(session, registry, row)
        step = excluding.erase(session, registry, row, staff=staff)
        decide = excluding.may_stay(session, registry, SubjectId(row.subject))
        requests.move(session, platform, row, "in_work", staff=staff)
        requests.wait(session, platform, row, DPO if decide else DRAIN)
        return step
    if row.kind == "objection":
        return _object(session, registry, row, asked, staff)
    if row.kind == "restriction":
        step = excluding.exclude(session, registry, row, PAUSE, [Excepted(ANY, ANY)], staff=staff)
        requests.wait(session, platform, row, DPO)
        return step
    requests.wait(session, platform, row, WALLET if row.kind in ("access", "portability") else DPO)
    return Step()


def complete(registry: Registry, id_: str) -> None:
    """Answer a request that only waited for reads under way to end. Do it again as you like."""
    platform = registry.platform
    with platform.database.read() as session:
        row = requests.of_id(session, platform, id_)
        kind = _kind(row)
        if row.waiting != DRAIN or excluding.shut_at(session, row, kind) is None:
            return
    with platform.database.write() as session:
        row = requests.of_id(session, platform, id_)
        if row.waiting != DRAIN:
            return
        requests.move(session, platform, row, "answered", **ended(session, registry, row, kind))


def ended(
    session: Session,
    registry: Registry,
    row: DataRequest,
    kind: str,
    *,
    reasons: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What the last receipt says of an erasure or an objection: since when it holds, and what stays and why."""
    told: dict[str, Any] = {"shut_at": excluding.shut_at(session, row, kind)}
    if kind == ERASURE:
        stays = excluding.not_excluded(session, registry, SubjectId(row.subject))
        told |= {"kept": excluding.kept(stays, dict(reasons or {})), "citation": "GDPR art. 17; PIPL art. 47"}
    else:
        told |= {"citation": "GDPR art. 21(3); PIPL art. 24, 44"}
    return told


def unfinished(session: Session) -> list[str]:
    """Requests whose process ended before it had answered."""
    return list(session.exec(select(DataRequest.id).where(col(DataRequest.waiting) == DRAIN)))


def marked(session: Session, platform: Platform) -> list[str]:
    """What somebody else marked as settled of those whose request waits for it: ids to settle all the same."""
    statement = select(DataRequest.subject).where(col(DataRequest.waiting) == DRAIN).distinct()
    return [id_ for one in session.exec(statement).all() for id_ in settling.marked(session, platform, SubjectId(one))]


def _kind(row: DataRequest) -> str:
    return ERASURE if row.kind == "erasure" else OBJECTION


def state_of(registry: Registry, id_: str) -> dict[str, Any]:
    """A request with its signed receipts, oldest first; `read` is the one that an explanation asks about."""
    platform = registry.platform
    with platform.database.read() as session:
        row = requests.of_id(session, platform, id_)
        shown = requests.shown(platform, row, platform.clock.now())
        stored = session.get_one(Credential, id_)
        document = signed.document(stored)
        about = document["credentialSubject"]["makesRequest"].get("asksAboutEvent")
        read = {} if about is None else {"read": explaining.read(session, SubjectId(row.subject), about)}
        return {**shown, **read, "request": document, "receipts": requests.receipts_of(session, id_)}


def open_twin(session: Session, row_id: str, subject: SubjectId, asked: DataSubjectRequest) -> bool:
    """Is there an open request that asks for the very same?"""
    statement = select(DataRequest, Credential).where(
        DataRequest.subject == subject, DataRequest.kind == asked.kind, DataRequest.id != row_id,
        col(DataRequest.state).in_(requests.OPEN), DataRequest.id == Credential.id,
    )  # fmt: skip
    same = ("hasPurpose", "exceptedGround", "asksAboutEvent")
    wanted = (asked.purpose, asked.ground, asked.event)
    for _, stored in session.exec(statement):
        claim = signed.document(stored)["credentialSubject"]["makesRequest"]
        if tuple(claim.get(name) for name in same) == wanted:
            return True
    return False


def refuse_unfounded(session: Session, registry: Registry, subject: SubjectId, asked: DataSubjectRequest) -> None:
    """Problem 409 `request_open`, `nothing_to_object`; EvidenceError `unknown_purpose`, `_field`, `_read`."""
    if asked.kind != "rectification" and open_twin(session, asked.id, subject, asked):
        raise Problem(409, "request_open", "The same was asked before and is being worked on.", field="request")
    for field in asked.fields:
        registry.catalogue.field(field)
    if asked.event is not None:
        explaining.check(session, subject, asked.event)
    if asked.kind == "objection" and asked.purpose is not None:
        entry = registry.catalogue.purpose(asked.purpose)
        if entry.iri not in DIRECT_MARKETING and not _objectable(session, registry, subject, asked):
            raise Problem(409, "nothing_to_object", "No such ground is used for you; a consent you withdraw.")


@dataclass(frozen=True, slots=True)
class _Sent:
    verified: VerifiedCredential
    asked: DataSubjectRequest
    box: bytes | None


def _verified(registry: Registry, document: Mapping[str, Any], box: bytes | None, caller: WalletCaller) -> _Sent:
    issuer = document.get("issuer")
    if isinstance(issuer, str):
        dids.public_of(issuer)
    verified = credential.verify(
        canonical.jcs(dict(document)), registry.platform.keys, at=registry.platform.clock.now(),
        expected_type=request.REQUEST_TYPE, expected_issuer=caller.did, ahead=signature.CLOCK_SKEW,
    )  # fmt: skip
    refuse_unfit(verified)
    asked = request.parse_request(verified)
    if asked.controller != registry.platform.controller or asked.subject is not None:
        raise EvidenceError("foreign_request", "this request is not for us, or not a wallet's", field="request")
    return _Sent(verified, asked, box)


def _keep(
    session: Session,
    registry: Registry,
    known: Credential | None,
    sent: _Sent,
    caller: WalletCaller,
) -> DataRequest:
    """Store it; `known` when a restored database has the credential and lost what we noted of it."""
    platform, asked = registry.platform, sent.asked
    refuse_unfounded(session, registry, caller.subject, asked)
    columns: dict[str, Any] = {}
    if asked.correction is not None:
        columns = _correction(registry, asked, sent.box, caller)
    elif sent.box is not None:
        raise Problem(422, "bad_request", "Only a correction brings sealed values.", field="sealed")
    if known is None:
        fresh = signed.row(
            sent.verified.document, requests.KIND, subject=caller.subject, did=caller.did, at=platform.clock.now()
        )
        known = credentials.store(session, fresh)
    return requests.open_(session, platform, known, asked, caller.subject, **columns)


def _correction(
    registry: Registry, asked: DataSubjectRequest, box: bytes | None, caller: WalletCaller
) -> dict[str, Any]:
    platform = registry.platform
    if box is None or len(box) > sealing.MAX_BOX:
        raise Problem(422, "bad_request", "A correction brings its sealed values, 48 KiB at most.", field="sealed")
    period = sealing.find_period(platform, box, sealing.recent(platform.clock.now()))
    sealing.check(registry.catalogue, sealing.open_box(platform, box, period, asked, caller.did))
    return {"box": box, "box_period": period}


def _object(
    session: Session, registry: Registry, row: DataRequest, asked: DataSubjectRequest, staff: Staff | None
) -> Step:
    """Direct marketing ends at once (GDPR art. 21(3)); anything else is held back until it is decided (18(1)(d))."""
    purpose = registry.catalogue.purpose(asked.purpose or "").iri
    if purpose in DIRECT_MARKETING:
        ending = excluding.end_consents(session, registry, row, purpose=purpose, staff=staff)
        step = excluding.exclude(session, registry, row, OBJECTION, [Excepted(ANY, purpose)], staff=staff)
        requests.wait(session, registry.platform, row, DRAIN)
        return Step([*ending.journal, *step.journal], [*ending.settle, *step.settle])
    step = excluding.exclude(session, registry, row, PAUSE, [Excepted(asked.ground or ANY, purpose)], staff=staff)
    requests.wait(session, registry.platform, row, DPO)
    return step


def _objectable(session: Session, registry: Registry, subject: SubjectId, asked: DataSubjectRequest) -> bool:
    purpose = registry.catalogue.purpose(asked.purpose or "").iri
    return any(
        excluding.basis(one) != OBLIGATION
        and asked.ground in (None, one.id)
        and any(process.purpose == purpose for process in one.processes)
        for one in excluding.not_excluded(session, registry, subject)
    )


def _drop_boxes(session: Session, registry: Registry, row: DataRequest) -> None:
    """An erased customer's proposed values go too: their corrections end unread."""
    statement = select(DataRequest).where(DataRequest.subject == row.subject, col(DataRequest.box).is_not(None))
    for other in session.exec(statement).all():
        if other.state in requests.OPEN:
            requests.move(
                session, registry.platform, other, "refused", citation="GDPR art. 17", reason="erased on request"
            )
