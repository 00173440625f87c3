"""A decision without values: the gate's word on one customer, from one statement."""

from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import Dialect, bindparam, select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import Session, SQLModel

from issuer.credentials import Standing
from protocol.consent import SubjectId
from verifier import gate
from verifier.passage import Passage, Stored, Verdict

_ALLOWANCE = SQLModel.metadata.tables["allowance"]
_STANDING = SQLModel.metadata.tables[str(Standing.__tablename__)]
_ONE = (
    select(*gate.COLUMNS)
    .select_from(_STANDING.outerjoin(_ALLOWANCE, gate.beside(_STANDING.c.subject)))
    .where(_STANDING.c.subject == bindparam("subject"))
)


def of(session: Session, passage: Passage, subject: SubjectId) -> Verdict | None:
    """What a passage's visit may see of a customer; None for one whom nobody knows. Raises what `judge` raises."""
    return asking(session, passage)(subject)


def asking(session: Session, passage: Passage) -> Callable[[SubjectId], Verdict | None]:
    """The same for many customers in one passage and one snapshot.

    Past SQLAlchemy's own handling of statements, which costs several times what the decision does. What somebody
    wrote into a column of another type is no allowance: the MAC is not made of such.
    """
    connection = session.connection()
    compiled = _compiled(connection.dialect)
    text, cursor, judge = str(compiled), connection.connection.cursor(), passage.judge_stored
    given = {**compiled.params, **gate.place(passage.visit)}
    order = compiled.positiontup

    def ask(subject: SubjectId) -> Verdict | None:
        given["subject"] = subject
        cursor.execute(text, given if order is None else [given[name] for name in order])
        row = cursor.fetchone()
        return None if row is None else judge(subject, Stored._make(row))

    return ask


@lru_cache(maxsize=4)
def _compiled(dialect: Dialect) -> SQLCompiler:
    compiled = _ONE.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - narrows the type for mypy
    return compiled
