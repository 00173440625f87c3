"""Ending an ask before it is answered, and the link by which a customer's wallet finds one.

An ask that was ended cannot be answered any more, whatever a restored database says: the journal names it. The link
leads to the wallet's own origin and carries who asks and the ask's id, behind `#`, so that no server's log has it: no
name, no field, no challenge. Whoever finds it can do nothing with it; only the wallet that was asked is shown the ask.
"""

from urllib.parse import quote

from sqlmodel import Session

from issuer import asks, challenges, closing, credentials, statuslists
from issuer.credentials import Credential
from issuer.registry import Registry
from protocol import event
from protocol.consent import Ask, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

OVERSEERS = frozenset({"dpo", "admin", "auditor"})


def end(registry: Registry, staff: Staff, id_: str) -> Credential:
    """End an open ask for good: from here on it can be neither given nor refused. Again: nothing happens.

    Problem 403 `role` (only who may act for all its purposes, or the data protection officer), 404 `unknown_ask`,
    409 `ask_closed` when it was answered or ran out.
    """
    platform = registry.platform
    with platform.database.write() as session:
        row = row_of(session, id_)
        ask = asks.parse(row, platform)
        if closing.proved(row, platform) is None:
            raise EvidenceError("digest_mismatch", "the row is not of the ask that it holds", field="id")
        _refuse_others(registry, staff, ask, frozenset({"dpo"}))
        if row.ended_kind == "revoked":
            return row
        at = platform.clock.now()
        if asks.standing_of(row, at) != "living":
            raise Problem(409, "ask_closed", "This request was answered already, or has run out.")
        credentials.end(session, row, "revoked", by=staff.account, at=at)
        challenges.use(session, ask.challenge, at=at)
        statuslists.end(session, row.status_list, row.status_index, at=at)
        data = {"credential": row.id, "digest": row.digest, **asks.told(ask.processes)}
        records: list[tuple[SubjectId | None, dict[str, object]]] = [(SubjectId(row.subject), data)]
        outbox.emit(session, event.ASK_ENDED, at=at, header=asks.by(staff), records=records, key=f"ask-ended:{row.id}")
        # last: only the commit may follow
        platform.journal.append(closing.line(row, at))
    return row


def link(registry: Registry, staff: Staff, id_: str) -> str:
    """The address at which a wallet shows an open ask.

    Problem 403 `role`, 404 `unknown_ask`, `no_wallet_page` (the settings name none), 409 `ask_closed`.
    """
    platform = registry.platform
    with platform.database.read() as session:
        row = row_of(session, id_)
    _refuse_others(registry, staff, asks.parse(row, platform), OVERSEERS)
    if standing(platform, row) != "living":
        raise Problem(409, "ask_closed", "This request was answered already, or has run out.")
    page = platform.settings.wallet_url
    if page is None:
        raise Problem(404, "no_wallet_page", "The settings do not say where the wallet's page is (wallet_url).")
    return f"{page.rstrip('/')}/#/ask/{quote(platform.controller, safe=':')}/{quote(id_, safe=':')}"


def standing(platform: Platform, row: Credential) -> str:
    """How an ask stands; what the journal ended stays ended in a database that was restored."""
    if row.ended_kind is None and platform.journal.ended(row.id):
        return "revoked"
    return asks.standing_of(row, platform.clock.now())


def row_of(session: Session, id_: str) -> Credential:
    """An ask that staff made; Problem 404 `unknown_ask`. Offers to narrow a consent are the wallet's own."""
    row = session.get(Credential, id_)
    if row is None or row.kind != "ask" or row.about is not None:
        raise Problem(404, "unknown_ask", "There is no such ask.")
    return row


def _refuse_others(registry: Registry, staff: Staff, ask: Ask, beside: frozenset[str]) -> None:
    roles = {entry.iri: entry.roles for entry in registry.catalogue.current().purposes.values()}
    if staff.role not in beside and not all(staff.role in roles.get(one.purpose, ()) for one in ask.processes):
        raise Problem(403, "role", f"The role {staff.role} may not act for what this request asks.")
