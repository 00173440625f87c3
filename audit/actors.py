"""Who the members of staff are whom records know by their DIDs only."""

from typing import Any

from sqlmodel import Session, col, select

from runtime.staff import StaffAccount


def known(session: Session) -> list[dict[str, Any]]:
    """Everybody who has an account or had one: did, account, name, role, ended; by name."""
    rows = session.exec(select(StaffAccount).order_by(col(StaffAccount.name), col(StaffAccount.account)))
    return [
        {"did": row.did, "account": row.account, "name": row.name, "role": row.role, "ended": row.ended_at is not None}
        for row in rows
    ]
