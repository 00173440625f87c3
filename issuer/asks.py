"""Asks: what an organisation would like to do, signed by the controller,
with the challenge and status index of the answer.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from sqlmodel import Session

from issuer import ask_rules, challenges, credentials, proved, signed, statuslists, transfers
from issuer.catalogue import Catalogue, Notice, PurposeEntry
from issuer.credentials import Credential
from issuer.transfers import Home
from protocol import consent, event, times
from protocol import did as dids
from protocol.consent import Ask, Consent, Field, Jurisdiction, NoticeRef, Process, Processing, Purpose, SubjectId
from protocol.did import Did
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

ASK_LIFE = timedelta(days=7)
_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")  # ISO 3166-1 and -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What staff would like for one purpose (key or IRI). No recipients: the controller; no jurisdictions: home.

    No processing: all that the catalogue foresees for the purpose (in an ask), `dpv:Use` (in a statutory ground).
    """

    purpose: str
    fields: frozenset[str]
    recipients: frozenset[str] | None = None
    jurisdictions: frozenset[str] | None = None
    processing: frozenset[str] | None = None


def process_of(wish: Wish, platform: Platform, catalogue: Catalogue) -> tuple[PurposeEntry, Process]:
    """A wish as a process within the catalogue.

    EvidenceError `unknown_purpose`, `unknown_field`, `bad_did`, `unsupported_did`; Problem 422 `field_not_needed`,
    `recipient_not_allowed`, `jurisdiction_not_allowed`, `bad_jurisdiction`, `one_recipient`, `transfer_not_allowed`,
    `processing_not_allowed`, `no_fields`.
    """
    catalogue = catalogue.current()
    entry = catalogue.purpose(wish.purpose)
    if not wish.fields:
        raise Problem(422, "no_fields", "Name at least one field.", field="fields")
    for field in sorted(wish.fields):
        catalogue.field(field)
        if field not in entry.necessity:
            raise Problem(422, "field_not_needed", f"{field} is not needed for {entry.key}.", field="fields")
    home = platform.settings.home_jurisdiction
    recipients = wish.recipients or frozenset({platform.controller})
    jurisdictions = wish.jurisdictions or frozenset({home})
    _may_go(catalogue, entry, platform, recipients, jurisdictions)
    processing = wish.processing or entry.processing
    if not processing <= entry.processing:
        raise Problem(422, "processing_not_allowed", "The purpose does not foresee this.", field="processing")
    return entry, Process(
        purpose=Purpose(entry.iri),
        fields=frozenset(map(Field, wish.fields)),
        processing=frozenset(map(Processing, processing)),
        recipients=frozenset(map(Did, recipients)),
        jurisdictions=frozenset(map(Jurisdiction, jurisdictions)),
        duration=entry.duration,
        locations=frozenset({Jurisdiction(home)}),
    )


def _may_go(
    catalogue: Catalogue, entry: PurposeEntry, platform: Platform, recipients: frozenset[str], places: frozenset[str]
) -> None:
    """Refuse recipients and places that the catalogue does not foresee, or whose mechanism has run out."""
    home = Home(platform.controller, platform.settings.home_jurisdiction)
    if not entry.recipients and recipients != {home.controller}:
        raise Problem(422, "recipient_not_allowed", "The purpose does not allow this recipient.", field="recipients")
    for recipient in sorted(recipients):
        dids.check(recipient, field="recipients")
    if not all(_PLACE.fullmatch(one) for one in places - {home.jurisdiction}):
        raise Problem(422, "bad_jurisdiction", "Must be codes of ISO 3166 such as CN or US-CA.", field="jurisdictions")
    if len(recipients) > 1 or len(places) > 1:
        raise Problem(422, "one_recipient", "Ask for one recipient in one country at a time.", field="recipients")
    at = platform.clock.now()
    for recipient, place in product(recipients, places):
        match transfers.missing(catalogue, entry, recipient, place, home=home, at=at):
            case None:
                continue
            case "mechanism" | "separate_consent" as lack:
                raise Problem(422, "transfer_not_allowed", transfers.SAID[lack], field="recipients")
            case "jurisdiction" as lack:
                raise Problem(422, "jurisdiction_not_allowed", transfers.SAID[lack], field="jurisdictions")
            case lack if recipient == home.controller:
                raise Problem(422, "jurisdiction_not_allowed", transfers.SAID[lack], field="jurisdictions")
            case lack:
                raise Problem(422, "recipient_not_allowed", transfers.SAID[lack], field="recipients")


def _kept_apart(entries: Sequence[PurposeEntry], wishes: Sequence[Wish], catalogue: Catalogue) -> None:
    """PIPL 23, 29, 39: third parties, sensitive data and going abroad are asked for one by one."""
    if len({entry.key for entry in entries}) != len(entries):
        raise Problem(422, "purpose_twice", "Each purpose may stand in an ask once.", field="processes")
    if len(entries) > 1 and any(entry.separate_consent for entry in entries):
        raise Problem(422, "separate_consent", "This purpose must be asked for on its own.", field="processes")
    for entry, wish in zip(entries, wishes, strict=True):
        if not entry.separate_consent and any(catalogue.field(field).sensitive for field in wish.fields):
            raise Problem(422, "separate_consent", "Sensitive fields need a purpose of their own.", field="fields")


def make(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    staff: Staff,
    *,
    subject: SubjectId,
    wishes: Sequence[Wish],
    latest_until: datetime | None = None,
    language: str = "en",
) -> tuple[Credential, bool]:
    """Make and store a signed ask; the row, and whether it is new: an identical open one is not doubled.

    Problem 403 `role`, 404 `unknown_subject`, 409 `not_enrolled`, 422 `separate_consent`, `purpose_twice`,
    `bad_latest_until`, 429 `asked_too_often` and those of `process_of`; EvidenceError `unknown_purpose`,
    `unknown_field`, `unknown_notice`.
    """
    at, catalogue = platform.clock.now(), catalogue.current()
    entries, processes = zip(*(process_of(wish, platform, catalogue) for wish in wishes), strict=True)
    for entry in entries:
        if staff.role not in entry.roles:
            raise Problem(403, "role", f"The role {staff.role} may not act for {entry.key}.", field="processes")
    _kept_apart(entries, wishes, catalogue)
    did = wallet_of(session, platform, subject)
    longest = at + min(times.duration(entry.consent_life) for entry in entries)
    if latest_until is not None and not at < latest_until <= longest:
        raise Problem(
            422,
            "bad_latest_until",
            "Must lie in the future and within the longest life of a consent.",
            field="latest_until",
        )
    notice = notice_ref(platform, catalogue.joint_notice([entry.key for entry in entries], language))
    for known in open_asks(session, platform, did):
        same = (set(known.processes), known.notice, known.replaces) == (set(processes), notice, None)
        again = latest_until is None or times.iso(latest_until) == times.iso(known.latest_until)
        if same and again and not ask_rules.outdated(known, platform, catalogue):
            return session.get_one(Credential, known.id), False
    if any(entry.ask_again_after for entry in entries):
        rows = credentials.of_kind(session, "ask", subject=subject)
        ask_rules.leave_in_peace(entries, [parse(row, platform) for row in rows if row.about is None], at)
    made = offer(
        session, platform, subject, did,
        processes=processes, notice=notice, latest_until=latest_until or longest, header=by(staff),
    )  # fmt: skip
    return made, True


def offer(
    session: Session,
    platform: Platform,
    subject: SubjectId,
    did: Did,
    *,
    processes: Sequence[Process],
    notice: NoticeRef,
    latest_until: datetime,
    replaces: str | None = None,
    header: Mapping[str, str] | None = None,
) -> Credential:
    """Sign and store an ask with a challenge and a status index of its own, with its event."""
    at = platform.clock.now()
    expires = min(at + ASK_LIFE, latest_until)
    n, status = statuslists.reserve(session, platform)
    id_ = consent.fresh_id()
    unsigned = consent.build_ask(
        id=id_,
        controller=platform.controller,
        subject_did=did,
        processes=processes,
        notice=notice,
        latest_until=latest_until,
        issued=at,
        expires=expires,
        challenge=challenges.give(session, "ask", id_, expires=expires),
        domain=platform.settings.base_url,
        status=status,
        replaces=replaces,
    )
    row = signed.issue(
        session, unsigned, "ask", signers=(platform.signer,), subject=subject, did=did, at=at,
        about=replaces, status_list=n, status_index=status.index,
    )  # fmt: skip
    parse(row, platform)  # what nobody could read must not stand among a wallet's asks: it would hide the others
    data = {"credential": row.id, "digest": row.digest, **told(processes)}
    if replaces is not None:
        data["replaces"] = replaces
    outbox.emit(session, event.ASK_MADE, at=at, header=header or {}, records=[(subject, data)])
    return row


def renew_for(
    session: Session, platform: Platform, catalogue: Catalogue, old: Credential, consented: Consent
) -> Credential:
    """The ask under which a living consent may be narrowed; an open one is given again.

    What a version of the catalogue ended is not offered anew: it would be revived. Problem 409 `consent_ended`.
    """
    asked = session.get(Credential, consented.ask_id)
    made = consented.valid_from if asked is None else parse(asked, platform).issued
    processes = tuple(ask_rules.unended(consented.processes, made, catalogue))
    if not processes:
        raise Problem(409, "consent_ended", "A change of the catalogue ended all of this consent.", field="consent")
    for known in open_asks(session, platform, Did(old.did)):
        if known.replaces == old.id and known.processes == processes:
            return session.get_one(Credential, known.id)
    return offer(
        session, platform, SubjectId(old.subject), Did(old.did),
        processes=processes, notice=consented.notice, latest_until=consented.valid_until, replaces=old.id,
    )  # fmt: skip


def wallet_of(session: Session, platform: Platform, subject: SubjectId) -> Did:
    """The wallet that speaks for a subject; Problem 404 `unknown_subject`, 409 `not_enrolled`."""
    if credentials.version(session, subject) == 0:
        raise Problem(404, "unknown_subject", "There is no such customer.", field="subject")
    rows = proved.enrolments(session, platform, subject=subject)
    if not rows:
        raise Problem(409, "not_enrolled", "This customer has no wallet enrolled; send an invitation.", field="subject")
    return Did(rows[-1].did)


def parse(row: Credential, platform: Platform) -> Ask:
    """The ask of a row, its signature verified anew. EvidenceError."""
    return consent.parse_ask(signed.reverify(row, platform, consent.ASK_TYPE))


def open_asks(session: Session, platform: Platform, did: Did) -> list[Ask]:
    """The asks to a wallet that can still be answered, oldest first."""
    at = platform.clock.now()
    asks = [parse(row, platform) for row in credentials.living(session, "ask", did=did)]
    return [ask for ask in asks if at < ask.expires and not platform.journal.ended(ask.id)]


def notice_ref(platform: Platform, notice: Notice) -> NoticeRef:
    """A notice as credentials name it."""
    base = platform.settings.base_url.rstrip("/")
    return NoticeRef(f"{base}/issuer/notices/{notice.purpose}/{notice.version}", notice.digest, notice.language)


def told(processes: Sequence[Process]) -> dict[str, object]:
    """Processes as events tell of them: purposes and names of fields, never values."""
    return {
        "fields": sorted(frozenset[str]().union(*(process.fields for process in processes))),
        "processes": [{"purpose": one.purpose, "fields": sorted(one.fields)} for one in processes],
    }


def by(staff: Staff) -> dict[str, str]:
    """The header of an event that a member of staff brought about."""
    return {"reader": staff.did, "role": staff.role}


def standing_of(row: Credential, at: datetime) -> str:
    """How an ask or a consent stands: living, or how it ended."""
    if row.ended_kind is not None:
        return row.ended_kind
    over = row.valid_until is not None and row.valid_until <= times.iso(at)
    return "expired" if over else "living"


def listed(row: Credential, at: datetime) -> dict[str, object]:
    """A row as APIs list it."""
    return {"credential": signed.document(row), "standing": standing_of(row, at), "ended_at": row.ended_at}
