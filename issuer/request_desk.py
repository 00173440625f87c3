"""What the data protection officer does with requests, and requests of customers who have no wallet.

Nobody acts alone for a customer without a wallet: one records how the customer was identified, another confirms it, and
only then is anything done. What a customer with a wallet asks for needs nobody: the wallet's signature identifies.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import Session

from issuer import attempts, credentials, excluding, explaining, requests, sealing, settling, signed, taking
from issuer.catalogue import Catalogue
from issuer.credentials import Credential
from issuer.registry import Registry
from issuer.requests import DataRequest
from protocol import canonical, consent, exclusion, proof, request
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.exclusion import ANY, ERASURE, OBJECTION, Excepted
from protocol.request import Identified
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

METHODS = frozenset({"id_document", "known_person", "call_back", "contract_details", "representative"})
SECONDS = ("dpo", "admin", "service")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a customer without a wallet asks for, as the officer records it. `values` only for a rectification."""

    subject: SubjectId
    kind: str
    identified: Identified
    purpose: str | None = None
    ground: str | None = None
    event: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)


def record(registry: Registry, staff: Staff, recorded: Recorded) -> dict[str, Any]:
    """Sign and store a draft; nothing is done until somebody else has confirmed it. As `taking.state_of`.

    Problem 403 `role`, 404 `unknown_subject`, 409 `has_wallet`, 422 `bad_method` and those of `taking.take`.
    """
    platform, subject = registry.platform, recorded.subject
    with attempts.recorded(platform, "request-record", did=staff.did, subject=subject):
        if staff.role != "dpo":
            raise Problem(403, "role", "Only the data protection officer may record a request.")
        if recorded.identified.method not in METHODS:
            raise Problem(422, "bad_method", f"Must be one of {', '.join(sorted(METHODS))}.", field="method")
        box, period = _sealed(platform, registry.catalogue, recorded)
        with platform.database.write() as session:
            if credentials.version(session, subject) == 0:
                raise Problem(404, "unknown_subject", "There is no such customer.", field="subject")
            if credentials.living(session, "enrolment", subject=subject):
                raise Problem(409, "has_wallet", "This customer asks with the wallet, or has lost it: end it first.")
            unsigned = _unsigned(registry, staff, recorded, box)
            row = signed.issue(
                session, unsigned, requests.DRAFT, signers=(platform.keyring.signer(f"staff/{staff.account}"),),
                subject=subject, did=platform.controller, at=platform.clock.now(),
            )  # fmt: skip
            asked = request.parse_request(signed.reverify(row, platform, request.REQUEST_TYPE))
            taking.refuse_unfounded(session, registry, subject, asked)
            requests.open_(
                session, platform, row, asked, subject, waiting="second", recorded_by=staff.account, box=box,
                box_period=period,
            )  # fmt: skip
    return taking.state_of(registry, row.id)


def confirm(registry: Registry, staff: Staff, id_: str) -> dict[str, Any]:
    """As the second person: the customer is who they say. Now it counts, and takes effect. As `taking.state_of`.

    Problem 403 `role`, `own_request`, 404 `unknown_request`, 409 `request_closed`, `already_confirmed`; EvidenceError
    `foreign_request`.
    """
    platform = registry.platform
    with attempts.recorded(platform, "request-confirmation", did=staff.did):
        if staff.role not in SECONDS:
            raise Problem(403, "role", "Your role may not confirm a request.")
        with platform.database.write() as session:
            row = requests.living(session, platform, id_)
            if row.recorded_by is None or row.state != "received":
                raise Problem(409, "already_confirmed", "This request needs no confirmation, or not any more.")
            stored, asked = requests.asked(session, platform, row)
            if staff.account == row.recorded_by or staff.did in asked.signers:
                raise Problem(403, "own_request", "Somebody else has to confirm whom you have identified.")
            if asked.issuer != platform.keyring.signer(f"staff/{row.recorded_by}").did:
                raise EvidenceError("foreign_request", "none of our officers recorded this", field="issuer")
            _countersign(session, platform, stored, staff)
            _, asked = requests.asked(session, platform, row)
            requests.wait(session, platform, row, None, confirmed_by=staff.account)
            requests.move(session, platform, row, "identified", staff=staff)
            step = taking.begin(session, registry, row, asked, staff=staff)
            step.commit()
    settling.settle(registry, *step.settle)
    taking.complete(registry, id_)
    return taking.state_of(registry, id_)


def shown(registry: Registry, id_: str) -> dict[str, Any]:
    """As `taking.state_of`; of an erasure that waits for the officer also the contract grounds that may stay.

    Of a restriction `restricts`: whether it holds anything back now.
    """
    told = taking.state_of(registry, id_)
    if told["kind"] == "restriction":
        with registry.platform.database.read() as session:
            row = requests.of_id(session, registry.platform, id_)
            return told | {"restricts": bool(excluding.pauses(session, registry, row))}
    if (told["kind"], told["waiting_for"]) != ("erasure", taking.DPO):
        return told
    with registry.platform.database.read() as session:
        open_ = excluding.may_stay(session, registry, SubjectId(told["subject"]))
    contracts = [
        {
            "id": one.id,
            "citation": one.citation,
            "fields": sorted({f for process in one.processes for f in process.fields}),
        }
        for one in open_
    ]
    return told | {"may_stay": contracts}


def take(registry: Registry, staff: Staff, id_: str) -> dict[str, Any]:
    """Take a request into work. Problem 403 `role`, 404, 409 `not_identified`, `request_closed`."""
    with _officer(registry, staff, "request-take"), registry.platform.database.write() as session:
        row = _identified(session, registry, id_)
        requests.wait(session, registry.platform, row, row.waiting, taken_by=staff.account)
        if row.state == "identified":
            requests.move(session, registry.platform, row, "in_work", staff=staff)
    return taking.state_of(registry, id_)


def extend(registry: Registry, staff: Staff, id_: str, *, reason: str) -> dict[str, Any]:
    """Extend the deadline, once, and tell the customer why (GDPR art. 12(3)). Problem 409 `request_closed`."""
    with _officer(registry, staff, "request-extend"), registry.platform.database.write() as session:
        row = _identified(session, registry, id_)
        requests.extend(session, registry.platform, row)
        requests.move(session, registry.platform, row, "extended", staff=staff, reason=reason, citation=_EXTENDED)
    return taking.state_of(registry, id_)


def answer(
    registry: Registry, staff: Staff, id_: str, *, keep: Mapping[str, str], explanation: str | None = None
) -> dict[str, Any]:
    """Grant an erasure, an objection or a restriction; explain a read.

    `keep`: contract grounds (ids) that stay of an erasure, each with its reason; `explanation`: why the read was.

    Problem 403 `role`, 404, 409 `answered_elsewhere` (values go to the customer alone; corrections are accepted at the
    records), `not_identified`, `request_closed`, 422 `bad_keep`, `bad_explanation`.
    """
    platform = registry.platform
    with _officer(registry, staff, "request-answer"):
        with platform.database.write() as session:
            row = _identified(session, registry, id_)
            if row.kind not in _ANSWERED_HERE:
                raise Problem(409, "answered_elsewhere", "The answer to this request is given at the records.")
            if keep and row.kind != "erasure":
                raise Problem(422, "bad_keep", "Only of an erasure may something be kept.", field="keep")
            told = explaining.answer(row.kind, explanation)
            step, kind = excluding.Step(), ERASURE
            narrows, subject = row.kind in taking.NARROWING, SubjectId(row.subject)
            if row.kind == "erasure":
                step = _end_contracts(session, registry, row, staff, keep)
            elif row.kind == "objection":
                kind = OBJECTION
                if row.waiting == taking.DPO:
                    _, asked = requests.asked(session, platform, row)
                    pairs = [Excepted(asked.ground or ANY, registry.catalogue.purpose(asked.purpose or "").iri)]
                    step = excluding.exclude(session, registry, row, OBJECTION, pairs, staff=staff)
            requests.wait(session, platform, row, row.waiting, taken_by=staff.account)
            step.commit()
        settling.settle(registry, *step.settle)
        if narrows and not step.settle:  # what ended, ended before: those reads may not have been waited for
            settling.settle_again(registry, subject)
        with platform.database.write() as session:
            row = requests.living(session, platform, id_)
            if row.kind == "restriction":
                told = {"citation": "GDPR art. 18; PIPL art. 44"}
            elif row.kind != "explanation":
                told = taking.ended(session, registry, row, kind, reasons=keep)
            requests.move(session, platform, row, "answered", staff=staff, **told)
    return taking.state_of(registry, id_)


def refuse(registry: Registry, staff: Staff, id_: str, *, reason: str, citation: str) -> dict[str, Any]:
    """Refuse with a legal reason. What was held back for an objection or a restriction goes on.

    Problem 403 `role`, 404 `unknown_request`, 409 `request_closed`, `already_effective` for what took effect at once.
    """
    with _officer(registry, staff, "request-refuse"), registry.platform.database.write() as session:
        platform = registry.platform
        row = requests.living(session, platform, id_)
        if row.waiting == taking.DRAIN or (row.kind == "erasure" and row.state != "received"):
            raise Problem(409, "already_effective", "What this request ended has ended; say what is kept, and answer.")
        if row.state != "received":
            requests.asked(session, platform, row)
        requests.move(session, platform, row, "refused", staff=staff, reason=reason, citation=citation)
        if row.kind in ("objection", "restriction"):
            excluding.lift(session, registry, row, staff=staff)
    return taking.state_of(registry, id_)


def lift(registry: Registry, staff: Staff, id_: str, *, reason: str) -> dict[str, Any]:
    """End a restriction that was granted; the customer is told (GDPR art. 18(3)). Problem 409 `not_restricted`."""
    with _officer(registry, staff, "request-lift"), registry.platform.database.write() as session:
        platform = registry.platform
        row = requests.of_id(session, platform, id_)
        if row.kind != "restriction" or row.state != "answered" or not excluding.pauses(session, registry, row):
            raise Problem(409, "not_restricted", "This request restricts nothing.")
        said = {"reason": reason, "citation": "GDPR art. 18(3)"}
        requests.receipt(session, platform, row, at=platform.clock.now(), **said)
        excluding.lift(session, registry, row, staff=staff)
    return taking.state_of(registry, id_)


_ANSWERED_HERE = frozenset({"erasure", "explanation", "objection", "restriction"})
_EXTENDED = "GDPR art. 12(3); PIPL art. 50"


def _officer(registry: Registry, staff: Staff, action: str) -> Any:
    if staff.role != "dpo":
        with attempts.recorded(registry.platform, action, did=staff.did):
            raise Problem(403, "role", "Only the data protection officer may do this.")
    return attempts.recorded(registry.platform, action, did=staff.did)


def _identified(session: Session, registry: Registry, id_: str) -> DataRequest:
    row = requests.living(session, registry.platform, id_)
    if row.state == "received":
        raise Problem(409, "not_identified", "Somebody else has to confirm first who is asking.")
    requests.asked(session, registry.platform, row)
    return row


def _end_contracts(
    session: Session, registry: Registry, row: DataRequest, staff: Staff, keep: Mapping[str, str]
) -> excluding.Step:
    """End the contract grounds that the officer does not keep: the erasure's second round."""
    open_ = {one.id for one in excluding.may_stay(session, registry, SubjectId(row.subject))}
    if not set(keep) <= open_ or not all(reason.strip() for reason in keep.values()):
        raise Problem(422, "bad_keep", "Only contract grounds of this customer, each with its reason.", field="keep")
    ending = [Excepted(one, ANY) for one in sorted(open_ - set(keep))]
    if not ending:
        return excluding.Step()
    return excluding.exclude(session, registry, row, exclusion.ERASURE, ending, round_=2, staff=staff)


def _sealed(platform: Platform, catalogue: Catalogue, recorded: Recorded) -> tuple[bytes | None, str | None]:
    if (recorded.kind == "rectification") != bool(recorded.values):
        raise Problem(422, "bad_request", "A rectification brings values, and nothing else does.", field="values")
    if not recorded.values:
        return None, None
    sealing.check(catalogue, recorded.values)
    return sealing.seal(platform, platform.controller, recorded.values)


def _unsigned(registry: Registry, staff: Staff, recorded: Recorded, box: bytes | None) -> dict[str, Any]:
    purpose = None if recorded.purpose is None else registry.catalogue.purpose(recorded.purpose).iri
    return request.build_request(
        recorded.kind, id=consent.fresh_id(), controller=registry.platform.controller, issuer=Did(staff.did),
        at=registry.platform.clock.now(), purpose=purpose, ground=recorded.ground, fields=recorded.values,
        correction=None if box is None else canonical.digest(box), event=recorded.event, subject=recorded.subject,
        identified=recorded.identified,
    )  # fmt: skip


def _countersign(session: Session, platform: Platform, stored: Credential, staff: Staff) -> None:
    """The second person and the controller sign the same document: two rows of a database make no request."""
    document: dict[str, Any] = json.loads(stored.body)
    for signer in (platform.keyring.signer(f"staff/{staff.account}"), platform.signer):
        document = proof.sign(document, signer, created=platform.clock.now())
    stored.body = canonical.jcs(document)
    stored.digest, stored.kind = canonical.digest(stored.body), requests.KIND
    session.add(stored)
    session.flush()
