"""The tables of signed statements and of each subject's standing, and the queries on them.

A credential rests as the JCS bytes that its signer signed. The columns beside the bytes say how it stands with us;
whoever decides by them (the verifier) checks the signature over the bytes first, so a changed column can end a
consent but not make one.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Index, delete, insert
from sqlmodel import Field, Session, SQLModel, col, select, update

from protocol.consent import SubjectId
from protocol.did import Did
from protocol.times import iso, iso_ms
from runtime import bulk, dialect
from runtime.problem import Problem

EVERYONE = "*"


class Credential(SQLModel, table=True):
    """One signed statement: `body` is its JCS bytes, `digest` their digestMultibase."""

    __tablename__ = "credential"
    __table_args__ = (
        Index("credential_of_subject", "subject", "kind"),
        Index("credential_of_did", "did", "kind"),
        Index("credential_living_until", "kind", "ended_at", "valid_until"),
        Index("credential_by_time", "kind", "at"),
    )

    id: str = Field(primary_key=True)
    kind: str  # enrolment, ask, consent, withdrawal, refusal, revocation, receipt, ground, ground-draft, certificate
    subject: str  # "*" for a ground that covers every customer
    did: str  # the wallet concerned; for a ground the DPO who declared it
    body: bytes
    digest: str = Field(unique=True)
    at: str  # when it was stored, milliseconds
    valid_until: str | None = None
    ask_id: str | None = Field(default=None, index=True)
    about: str | None = Field(default=None, index=True)  # the credential that this one ends, answers or confirms
    status_list: int | None = None
    status_index: int | None = None
    ended_at: str | None = None
    ended_by: str | None = None  # id of the credential, or account of the staff, that ended it
    # withdrawn, superseded, revoked, expired; of an ask also answered, refused; unknown: put aside (`issuer.expiring`)
    ended_kind: str | None = None


class GroundSubject(SQLModel, table=True):
    """Whom a statutory ground covers: a row per subject, or the one row `*`."""

    __tablename__ = "ground_subject"

    ground_id: str = Field(primary_key=True)
    subject: str = Field(primary_key=True, index=True)


_LAST = 2**31 - 1  # that a column of numbers holds


class Standing(SQLModel, table=True):
    """The version of a subject's grounds: it rises by one with each change of them."""

    __tablename__ = "standing"

    subject: str = Field(primary_key=True)
    version: int


class StoredCredential(NamedTuple):
    """A row of `credential` as a value. `body` are the signed bytes; trust them only after verifying.

    A tuple in the order of the table's columns: whoever looks at many customers reads some of each.
    """

    id: str
    kind: str
    subject: SubjectId
    did: Did
    body: bytes
    digest: str
    at: str
    valid_until: str | None
    ask_id: str | None
    about: str | None
    status_list: int | None
    status_index: int | None
    ended_at: str | None
    ended_by: str | None
    ended_kind: str | None


def stored(row: Credential) -> StoredCredential:
    """The row as a value."""
    return StoredCredential(
        id=row.id, kind=row.kind, subject=SubjectId(row.subject), did=Did(row.did), body=row.body, digest=row.digest,
        at=row.at, valid_until=row.valid_until, ask_id=row.ask_id, about=row.about, status_list=row.status_list,
        status_index=row.status_index, ended_at=row.ended_at, ended_by=row.ended_by, ended_kind=row.ended_kind,
    )  # fmt: skip


def open_standing(session: Session, subject: SubjectId) -> int:
    """Give a new subject standing version 1 (the writer calls this when it makes a customer);
    known ones keep theirs.
    """
    row = session.get(Standing, subject)
    if row is None:
        row = Standing(subject=subject, version=1)
        session.add(row)
        session.flush()
    return row.version


_OPEN = insert(SQLModel.metadata.tables["standing"])


def open_standings(session: Session, subjects: Sequence[SubjectId]) -> None:
    """The same for many new subjects in one statement; there must be none of them yet."""
    bulk.each(session, _OPEN, ("subject", "version"), [(subject, 1) for subject in subjects])


def close_standings(session: Session, subjects: Sequence[SubjectId]) -> None:
    """Take the standing of subjects away that never were a wallet's: an import that made them is undone."""
    session.connection().execute(delete(Standing).where(col(Standing.subject).in_(subjects)))


def version(session: Session, subject: SubjectId) -> int:
    """The standing version; 0 for a subject nobody opened."""
    row = session.get(Standing, subject)
    return 0 if row is None else row.version


def mend_version(session: Session, subject: SubjectId, floor: int) -> None:
    """Put what is no version back to the journal's floor: it keeps its customer's consents from no end.

    An allowance of a version that comes again is no wider than today's: it is bound to the last narrowing too.
    """
    row = session.get(Standing, subject)
    if row is not None and not (isinstance(row.version, int) and 0 <= row.version < _LAST):
        row.version = floor
        session.add(row)
        session.flush()


def raise_versions(session: Session, subjects: Sequence[SubjectId]) -> None:
    """Standing version + 1 for each of the subjects."""
    session.flush()
    session.exec(update(Standing).where(col(Standing.subject).in_(subjects)).values(version=Standing.version + 1))


def subjects(session: Session) -> Iterator[SubjectId]:
    """Every subject that has a standing, ascending, read in pages of 500."""
    after = ""
    while page := subjects_after(session, after, 500):
        yield from page
        after = page[-1]


def subjects_after(session: Session, after: str, limit: int) -> list[SubjectId]:
    """The next subjects in ascending order."""
    statement = select(Standing.subject).where(Standing.subject > after, dialect.ours(session, col(Standing.subject)))
    statement = statement.order_by(col(Standing.subject)).limit(limit)
    return [SubjectId(subject) for subject in session.exec(statement)]


def living(
    session: Session, kind: str, *, did: Did | None = None, subject: SubjectId | None = None
) -> list[Credential]:
    """The credentials of a kind that nothing has ended, oldest first."""
    statement = select(Credential).where(Credential.kind == kind, col(Credential.ended_at).is_(None))
    if did is not None:
        statement = statement.where(Credential.did == did)
    if subject is not None:
        statement = statement.where(Credential.subject == subject)
    return list(session.exec(statement.order_by(col(Credential.at), col(Credential.id))))


def of_kind(
    session: Session, kind: str, *, did: Did | None = None, subject: SubjectId | None = None
) -> list[Credential]:
    """All credentials of a kind, ended ones too, oldest first."""
    statement = select(Credential).where(Credential.kind == kind)
    if did is not None:
        statement = statement.where(Credential.did == did)
    if subject is not None:
        statement = statement.where(Credential.subject == subject)
    return list(session.exec(statement.order_by(col(Credential.at), col(Credential.id))))


def over(at: datetime) -> tuple[ColumnElement[bool], ...]:
    """Conditions: it ran out by `at` and is not marked as ended, nor put aside (`issuer.expiring`)."""
    unended = (col(Credential.ended_at).is_(None), col(Credential.ended_kind).is_(None))
    return *unended, col(Credential.valid_until) <= iso(at)


def running_out(session: Session, at: datetime) -> bool:
    """Is there a consent or a ground that ran out by `at` and is neither marked as ended nor put aside?"""
    statement = select(Credential.id).where(col(Credential.kind).in_(("consent", "ground")), *over(at))
    return session.exec(statement.where(dialect.ours(session, col(Credential.id))).limit(1)).first() is not None


def by_digest(session: Session, digest: str) -> Credential | None:
    """The credential with these very bytes."""
    return session.exec(select(Credential).where(Credential.digest == digest)).first()


def store(session: Session, row: Credential) -> Credential:
    """Insert; a second credential under the same id is refused (`id_used`, 409)."""
    if session.get(Credential, row.id) is not None:
        raise Problem(409, "id_used", "A credential with this id exists already; give each its own.", field="id")
    session.add(row)
    session.flush()
    return row


_INSERT = insert(SQLModel.metadata.tables["credential"])


_KNOWN = select(Credential.id).where(col(Credential.id).in_(bulk.these()))


def insert_new(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """The same for at most 500 rows at once, all or none, by those of their columns that hold something."""
    if bulk.rows(session, _KNOWN, [row["id"] for row in rows]):
        raise Problem(409, "id_used", "A credential with this id exists already; give each its own.", field="id")
    bulk.execute(session, _INSERT, rows)


def end(session: Session, row: Credential, kind: str, *, by: str, at: datetime) -> None:
    """Mark a credential as ended; what is ended stays as it was ended first."""
    if row.ended_at is None:
        row.ended_at, row.ended_by, row.ended_kind = iso_ms(at), by, kind
        session.add(row)
        session.flush()


def enrolled_subject(session: Session, did: Did) -> SubjectId | None:
    """Whose living enrolment binds this wallet; None when there is none."""
    rows = living(session, "enrolment", did=did)
    return SubjectId(rows[0].subject) if rows else None
