"""What customers were asked of late, over all customers, newest first, page by page.

Staff see the asks for purposes that their role may act for, overseers see all. A customer is an opaque reference.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlmodel import Session, col, select, tuple_

from issuer import signed
from issuer.catalogue import Catalogue
from issuer.credentials import Credential
from runtime.problem import Problem
from runtime.staff import Staff

OVERSEERS = frozenset({"dpo", "admin", "auditor"})
LIMIT = 50
_CHUNK = 200
_MOST_LOOKED_AT = 2_000  # rows for one page: whoever asks seldom finds less, not slower


@dataclass(frozen=True, slots=True)
class Recent:
    """One page; `next` is the `before` of the next one, None after the last."""

    rows: tuple[Credential, ...]
    next: str | None


def page(session: Session, catalogue: Catalogue, staff: Staff, before: str | None) -> Recent:
    """The asks made before `before` (an ask's id), or the newest. Problem 404 `unknown_ask`."""
    purposes = {entry.iri for entry in catalogue.current().purposes.values() if staff.role in entry.roles}
    found: list[Credential] = []
    last: Credential | None = None
    for row in _before(session, _place(session, before)):
        if len(found) == LIMIT:
            return Recent(tuple(found), found[-1].id)
        last = row
        if staff.role in OVERSEERS or _purposes(row) <= purposes:
            found.append(row)
    more = last is not None and next(_before(session, (last.at, last.id)), None) is not None
    return Recent(tuple(found), last.id if more and last is not None else None)


def _place(session: Session, before: str | None) -> tuple[str, str] | None:
    if before is None:
        return None
    row = session.get(Credential, before)
    if row is None or row.kind != "ask":
        raise Problem(404, "unknown_ask", "There is no such ask.", field="before")
    return row.at, row.id


def _before(session: Session, place: tuple[str, str] | None) -> Iterator[Credential]:
    """Asks by staff, newest first; those that a wallet wanted for narrowing a consent are about that consent."""
    for _ in range(0, _MOST_LOOKED_AT, _CHUNK):
        statement = select(Credential).where(Credential.kind == "ask", col(Credential.about).is_(None))
        if place is not None:
            statement = statement.where(tuple_(col(Credential.at), col(Credential.id)) < place)
        rows = list(
            session.exec(statement.order_by(col(Credential.at).desc(), col(Credential.id).desc()).limit(_CHUNK))
        )
        yield from rows
        if len(rows) < _CHUNK:
            return
        place = rows[-1].at, rows[-1].id


def _purposes(row: Credential) -> frozenset[str]:
    request = signed.document(row)["credentialSubject"]["requestsConsent"]
    return frozenset(process["hasPurpose"] for process in request["hasProcess"])
