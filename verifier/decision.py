"""A decision without values: the gate's word on one customer, from one statement."""

from sqlalchemy import bindparam, select
from sqlmodel import Session, SQLModel

from issuer.credentials import Standing
from protocol.consent import SubjectId
from verifier import gate
from verifier.passage import Passage, Verdict

_ALLOWANCE = SQLModel.metadata.tables["allowance"]
_STANDING = SQLModel.metadata.tables[str(Standing.__tablename__)]
_ONE = (
    select(_STANDING.c.subject, *gate.COLUMNS)
    .select_from(_STANDING.outerjoin(_ALLOWANCE, gate.beside(_STANDING.c.subject)))
    .where(_STANDING.c.subject == bindparam("subject"))
)


def of(session: Session, passage: Passage, subject: SubjectId) -> Verdict | None:
    """What a passage's visit may see of a customer; None for one whom nobody knows. Raises what `judge` raises."""
    row = session.connection().execute(_ONE, {"subject": subject, **gate.place(passage.visit)}).first()
    return None if row is None else passage.judge(row)
