"""Publishing a version of the catalogue: declared by the officer, approved by somebody else, in effect at once.

The journal names the version before it commits; then the reads in flight that still judge by the older one are waited
for, and from the acknowledgement on nothing is released that the version ended. Allowances are compiled afterwards, in
batches: those of a purpose that changed are withheld until then.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from issuer import asks, credentials, editions, settling, signed
from issuer.catalogue import CatalogueError, content
from issuer.catalogue.content import Version
from issuer.credentials import Credential, Standing
from issuer.desk import Desk
from issuer.editions import ABOUT, DRAFT, KIND, CatalogueContent, Proved
from issuer.live import LiveCatalogue
from issuer.settling import Settling
from protocol import canonical, consent, edition, event, proof
from protocol.errors import EvidenceError
from protocol.times import iso_ms, parse
from runtime import outbox
from runtime.journal import CATALOGUE, CLOSED
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

BATCH = 200
Tell = Callable[[int, int], None]  # (customers done, customers in all)


def standing(desk: Desk) -> Version:
    """The version in effect; Problem 503 `catalogue_fixed` where this process was given one that cannot change."""
    if not isinstance(desk.catalogue, LiveCatalogue):
        raise Problem(503, "catalogue_fixed", "This process was started with a catalogue that does not change.")
    return desk.catalogue.standing()


def declare(desk: Desk, staff: Staff, written: Mapping[str, Any]) -> Credential:
    """Sign and store a draft of the version that follows the one in effect; it changes nothing until `approve`.

    Problem 403 `role`, 422 `bad_catalogue` with the place as its field.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only the data protection officer may declare a version of the catalogue.")
    platform, at = desk.platform, desk.platform.clock.now()
    with platform.database.write() as session:
        before = standing(desk)
        said = _following(before, written)
        unsigned = edition.build_edition(
            id=consent.fresh_id(), number=before.catalogue.number + 1, previous=before.digest,
            content=canonical.digest(said), controller=platform.controller, declared_by=staff.did, at=at,
        )  # fmt: skip
        signer = platform.keyring.signer(f"staff/{staff.account}")
        row = signed.issue(session, unsigned, DRAFT, signers=(signer,), subject=ABOUT, did=staff.did, at=at)
        session.add(CatalogueContent(id=row.id, number=before.catalogue.number + 1, content=said))
        _emit(session, event.CATALOGUE_DECLARED, row, before.catalogue.number + 1, staff, at=at)
    return row


def roll_back(desk: Desk, staff: Staff, number: int, *, name: str) -> Credential:
    """A draft with the content of an older version (0: the packaged one) under a new name. It revives no consent.

    Problem as `declare`, 404 `unknown_catalogue`.
    """
    return declare(desk, staff, {**written_of(desk, number), "version": name})


def written_of(desk: Desk, number: int) -> Mapping[str, Any]:
    """What somebody wrote of a version. Problem 404 `unknown_catalogue`."""
    if number == 0:
        return content.packaged().written
    with desk.platform.database.read() as session:
        found = dict(editions.chain(session, desk.platform, desk.platform.journal.catalogue)).get(number)
    if found is None:
        raise Problem(404, "unknown_catalogue", "There is no such version of the catalogue, or it proves nothing.")
    return found.version.written


def proposed(desk: Desk, id_: str) -> Proved:
    """A draft (or version) with its content, proved. Problem 404 `unknown_catalogue`; EvidenceError."""
    with desk.platform.database.read() as session:
        row, said = editions.row_of(session, id_)
    return editions.prove(desk.platform, row, said.content, approved=row.kind == KIND)


def approve(desk: Desk, staff: Staff, id_: str) -> Credential:
    """Sign the draft as the second person: it is in effect when this answers. Compiling goes on (`finish`).

    Problem 403 `role`, `second_approver`, 404 `unknown_catalogue`, 409 `draft_outdated`, `draft_withdrawn`. Approved
    before: it waits for the reads again. EvidenceError `foreign_catalogue`.
    """
    if staff.role not in ("dpo", "admin"):
        raise Problem(403, "role", "Only a data protection officer or an administrator may approve a catalogue.")
    platform = desk.platform
    with platform.database.write() as session:
        row, said = editions.row_of(session, id_)
        if row.did == staff.did:
            raise Problem(403, "second_approver", "Somebody else than who declared it must approve it.")
        if row.kind == DRAFT:
            platform.journal.refresh()
            if row.ended_at is not None or platform.journal.ended(row.id):
                raise Problem(409, "draft_withdrawn", "This draft was withdrawn.")
            _publish(session, desk, row, said, staff)
    _drain(desk, id_)  # again, too: what a column says of it anybody may have written
    return row


def withdraw(desk: Desk, staff: Staff, id_: str) -> Credential:
    """Take a draft back: nobody can approve it any more. Again: nothing happens.

    Problem 403 `role`, 404 `unknown_catalogue`, 409 `already_published`.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only the data protection officer may withdraw a draft of the catalogue.")
    platform = desk.platform
    with platform.database.write() as session:
        row, said = editions.row_of(session, id_)
        if row.kind == KIND:
            raise Problem(409, "already_published", "This version took effect; go back to an older one instead.")
        if row.ended_at is None:
            at = platform.clock.now()
            credentials.end(session, row, "withdrawn", by=staff.account, at=at)
            _emit(session, event.CATALOGUE_DRAFT_WITHDRAWN, row, said.number, staff, at=at)
            # last: only the commit may follow
            platform.journal.append({"kind": CLOSED, "id": row.id, "at": iso_ms(at)})
    return row


def drained(desk: Desk, id_: str) -> None:
    """For a worker: wait for the reads that judge by the version before, where that is not noted yet."""
    with desk.platform.database.read() as session:
        if editions.row_of(session, id_)[1].drained_at is not None:
            return
    _drain(desk, id_)


def finish(desk: Desk, id_: str, tell: Tell | None = None) -> None:
    """Compile every customer under the version in effect, in batches, each its own transaction.

    Do it again as you like: it goes on where it stopped.
    """
    drained(desk, id_)
    while True:
        with desk.platform.database.write() as session:
            work = session.get(Settling, f"catalogue:{id_}")
            if work is None or work.settled_at is not None:
                return
            said = session.get_one(CatalogueContent, id_)
            if not _batch(session, desk, said):
                work.settled_at = iso_ms(desk.platform.clock.now())
                session.add(work)
                row = session.get_one(Credential, id_)
                _emit(session, event.CATALOGUE_SETTLED, row, said.number, None, at=desk.platform.clock.now())
        if tell is not None:
            tell(said.done, said.total)


def put_back(platform: Platform) -> bool:
    """Put back what the journal carries and a restored database lost; True when something was. Raises JournalError.

    The newest is compiled anew. A version takes away or it opens what people sign for anew: nothing is revived by it.
    """
    restored: list[tuple[str, int, str]] = []
    entries = [entry.body for entry in platform.journal.entries() if entry.body.get("kind") == CATALOGUE]
    with platform.database.write() as session:
        for entry in entries:
            if (id_ := editions.restore(session, platform, entry)) is not None:
                restored.append((id_, int(entry["number"]), str(entry["at"])))
        if restored:
            id_, number, at = restored[-1]
            session.get_one(CatalogueContent, id_).total = session.exec(_customers()).one()
            begin(session, id_, number, parse(at, field="at"))
    return bool(restored)


def unfinished(session: Session) -> list[str]:
    """Versions under which not every customer has been compiled yet."""
    statement = select(Settling.ended).where(Settling.kind == "catalogue", col(Settling.settled_at).is_(None))
    return list(session.exec(statement))


def _drain(desk: Desk, id_: str) -> None:
    """Wait for the reads that judge by the version before, and note that they have ended."""
    desk.drain()
    with desk.platform.database.write() as session:
        said = session.get_one(CatalogueContent, id_)
        said.drained_at = said.drained_at or iso_ms(desk.platform.clock.now())
        session.add(said)


def _following(before: Version, written: Mapping[str, Any]) -> bytes:
    try:
        return content.follow(before, written)
    except CatalogueError as error:
        raise Problem(422, error.code, error.detail, field=error.place) from None


def _publish(session: Session, desk: Desk, row: Credential, said: CatalogueContent, staff: Staff) -> None:
    platform, at, before = desk.platform, desk.platform.clock.now(), standing(desk)
    draft = editions.prove(platform, row, said.content, approved=False)
    _declared_by_staff(desk, draft)
    if draft.edition.previous != before.digest or draft.edition.number != before.catalogue.number + 1:
        raise Problem(409, "draft_outdated", "Another version took effect since; declare it anew.")
    if _following(before, draft.version.written) != said.content:
        raise EvidenceError("foreign_catalogue", "this draft does not follow from the version in effect")
    document: dict[str, Any] = json.loads(row.body)
    # the controller signs as well: two accounts that somebody wrote into the database publish nothing
    for signer in (platform.keyring.signer(f"staff/{staff.account}"), platform.signer):
        document = proof.sign(document, signer, created=at)
    row.body = canonical.jcs(document)
    row.digest, row.kind = canonical.digest(row.body), KIND
    session.add(row)
    # whatever somebody wrote beside the draft: nobody was waited for or compiled under it yet
    said.drained_at, said.reached, said.done = None, "", 0
    said.total = session.exec(_customers()).one()
    session.add(said)
    session.flush()
    editions.prove(platform, row, said.content)
    _emit(session, event.CATALOGUE_PUBLISHED, row, said.number, staff, at=at)
    begin(session, row.id, said.number, at)
    entry = {
        "kind": CATALOGUE, "number": said.number, "digest": row.digest, "at": iso_ms(at),
        "evidence": {"catalogue": document, "content": json.loads(said.content), "number": said.number},
    }  # fmt: skip
    platform.journal.append(entry)  # last: only the commit may follow


def begin(session: Session, id_: str, number: int, at: datetime) -> None:
    """Note that every customer is to be compiled; one that was under way for an older version is taken over by this."""
    older = select(Settling).where(Settling.kind == "catalogue", col(Settling.settled_at).is_(None))
    for work in session.exec(older).all():
        work.settled_at = iso_ms(at)
        session.add(work)
    if session.get(Settling, f"catalogue:{id_}") is None:
        settling.begin(session, "catalogue", subject=ABOUT, ended=id_, by=id_, version=number, at=at)


def _batch(session: Session, desk: Desk, said: CatalogueContent) -> bool:
    """Compile the next customers; False when there are none left."""
    batch = credentials.subjects_after(session, said.reached, BATCH)
    if not batch:
        return False
    credentials.raise_versions(session, batch)  # whoever follows standings looks at what lapsed
    for subject in batch:
        desk.compile(session, subject)
    said.reached, said.done = batch[-1], said.done + len(batch)
    session.add(said)
    return True


def _customers() -> SelectOfScalar[int]:
    return select(func.count()).select_from(Standing)


def _declared_by_staff(desk: Desk, draft: Proved) -> None:
    """A draft that somebody wrote into the database bears a signature that none of our keys made."""
    keyring = desk.platform.keyring
    names = [name for name in keyring.signers() if name.startswith("staff/")]
    if all(keyring.signer(name).did != draft.edition.declared_by for name in names):
        raise EvidenceError("foreign_catalogue", "none of our officers declared this version", field="issuer")


def _emit(session: Session, type_: str, row: Credential, number: int, staff: Staff | None, *, at: datetime) -> None:
    data = {"catalogue": row.id, "digest": row.digest, "number": number}
    header = asks.by(staff) if staff is not None else {}
    outbox.emit(session, type_, at=at, header=header, records=[(None, data)], key=f"{type_}:{row.id}")
