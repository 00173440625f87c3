"""The two engines, SQLite and PostgreSQL: all that differs between them lies in this room (docs/decisions/028)."""

from collections.abc import Mapping

from sqlalchemy.engine import make_url

from runtime.dialect.common import (
    WRITERS,
    DatabaseError,
    Dialect,
    Role,
    insert,
    is_sqlite,
    is_text,
    ours,
    ours_on,
)

__all__ = ["WRITERS", "DatabaseError", "Dialect", "Role", "insert", "is_sqlite", "is_text", "opened", "ours", "ours_on"]


def opened(url: str, others: Mapping[Role, str]) -> Dialect:
    """The engine of a URL of SQLAlchemy's; `others` as for Database. Raises DatabaseError.

    Codes: `unknown_database`, `password_in_url`.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        from runtime.dialect.sqlite import SQLite  # noqa: PLC0415 - only one of the two is ever needed

        return SQLite(parsed)
    if parsed.drivername == "postgresql+psycopg":
        urls = {role: make_url(other) for role, other in others.items()}
        if any(one.password for one in (parsed, *urls.values())):  # addresses are shown, kept and logged
            raise DatabaseError("password_in_url", "leave it out: it is taken from PGPASSWORD, PGPASSFILE or ~/.pgpass")
        from runtime.dialect.postgresql import PostgreSQL  # noqa: PLC0415

        return PostgreSQL(parsed, urls)
    raise DatabaseError("unknown_database", "use sqlite:///… or postgresql+psycopg://…")
