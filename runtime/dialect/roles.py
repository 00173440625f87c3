"""The roles of a PostgreSQL database: who owns the tables, who writes consents, who keeps the values, and who reads.

The owner changes the schema and does nothing else. The others own nothing: they can neither change a table nor empty
one nor put a trigger on it, and of the log's events they can take none away. The writer, by whom consents, standings
and the record of each release are written, cannot look at a sealed value. The keeper, by whom values are sealed, moved
and destroyed, cannot write a consent. The reader, by whom values are opened for people, writes nothing at all.
"""

from collections.abc import Iterator
from typing import Final

from psycopg import sql

OWNER, KEEPER, READER = "owner", "keeper", "reader"  # the writer bears the name alone

SEALED: Final = {
    "record": ("wrapped", "cells"),
    "item": ("head", "cells"),
    "organisation": ("box",),
    "archive": ("box",),
    "held_upload": ("box",),
    "import_undo": ("box",),
}
"""Where values rest, sealed: the columns that the writer cannot look at, of tables to which it writes nothing."""

_LOG: Final = ("log_entry", "log_record", "log_checkpoint", "alembic_version")
# Beside SEALED: what the keeper writes to. Allowances and standings of new customers: their rows are MACed, and say
# nothing that the signed statements do not.
_KEPT: Final = {
    "allowance": "INSERT, UPDATE, DELETE",
    "archive_request": "INSERT, UPDATE",
    "credential": "INSERT, DELETE",  # adds STATEMENTS alone; takes out what somebody put in a certificate's place
    "data_request": "INSERT, UPDATE",
    "disclosure": "INSERT, UPDATE",
    "export": "INSERT, UPDATE",
    "import_merge": "INSERT, DELETE",
    "import_run": "INSERT, UPDATE",
    "lapse": "INSERT, UPDATE, DELETE",
    "origin": "INSERT, UPDATE, DELETE",
    "outbox": "INSERT",
    "redaction_job": "INSERT, UPDATE, DELETE",
    "redaction_notice": "INSERT, UPDATE",
    "rotation": "INSERT, UPDATE, DELETE",
    "standing": "INSERT, DELETE",
    "upload_answer": "INSERT, UPDATE, DELETE",
}
# Of the statements, the organisation's own, which grant nothing to anybody.
STATEMENTS: Final = ("certificate", "receipt", "request-receipt")
POLICIES: Final = ("fieldgrant_all", "fieldgrant_keeper")


def named(name: str) -> tuple[str, str, str, str]:
    """Owner, writer, keeper and reader of an installation."""
    return f"{name}_{OWNER}", name, f"{name}_{KEEPER}", f"{name}_{READER}"


def statements(name: str, database: str) -> Iterator[str]:
    """What a superuser runs, connected to this database, before the first migration; again does no harm."""
    roles = named(name)
    for role in roles:
        yield _put(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {0}) THEN CREATE ROLE {1} LOGIN "
            "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS; END IF; END $$",
            sql.Literal(role),
            sql.Identifier(role),
        )
    base = sql.Identifier(database)
    o, w, k, r = map(sql.Identifier, roles)
    yield _put("REVOKE ALL ON DATABASE {0} FROM PUBLIC", base)
    yield _put("GRANT CONNECT ON DATABASE {0} TO {1}, {2}, {3}, {4}", base, o, w, k, r)
    yield _put("REVOKE ALL ON SCHEMA public FROM PUBLIC, {0}, {1}, {2}", w, k, r)
    yield _put("GRANT USAGE ON SCHEMA public TO {0}, {1}, {2}", w, k, r)
    yield _put("GRANT USAGE, CREATE ON SCHEMA public TO {0}", o)
    yield _put("ALTER ROLE {0} SET default_transaction_read_only = on", r)


def grants(name: str, tables: dict[str, tuple[str, ...]]) -> Iterator[str]:
    """What the owner runs in the transaction of each migration; `tables`: each with its columns."""
    w, k, r = map(sql.Identifier, named(name)[1:])
    yield _put("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {0}, {1}, {2}", w, k, r)
    yield _put("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {0}, {1}", k, r)
    yield _put("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {0}, {1}", w, k)
    for table, columns in tables.items():
        named_ = sql.Identifier("public", table)
        if table in SEALED:
            open_ = [column for column in columns if column not in SEALED[table]]
            shown = sql.SQL(", ").join(map(sql.Identifier, open_))
            yield _put("GRANT SELECT ({0}) ON {1} TO {2}", shown, named_, w)
            yield _put("GRANT INSERT, UPDATE, DELETE ON {0} TO {1}", named_, k)
            continue
        yield _put(f"GRANT {_written(table)} ON {{0}} TO {{1}}", named_, w)
        if table in _KEPT:
            yield _put(f"GRANT {_KEPT[table]} ON {{0}} TO {{1}}", named_, k)
    yield from _statements(k)


def _written(table: str) -> str:
    """Only `fieldgrant reconcile` needs more, and runs as the owner: it makes the log anew from its files."""
    if table == "alembic_version":
        return "SELECT"
    return "SELECT, INSERT" if table in {"outbox", *_LOG} else "SELECT, INSERT, UPDATE, DELETE"


def _statements(keeper: sql.Identifier) -> Iterator[str]:
    """Whoever may insert a row of `credential` could else insert one that is a consent."""
    table = sql.Identifier("public", "credential")
    theirs = sql.SQL("kind IN ({})").format(sql.SQL(", ").join(map(sql.Literal, STATEMENTS)))
    every, adds = policies = [sql.Identifier(policy) for policy in POLICIES]
    for policy in policies:
        yield _put("DROP POLICY IF EXISTS {0} ON {1}", policy, table)
    yield _put("CREATE POLICY {0} ON {1} USING (true) WITH CHECK (true)", every, table)
    only = "CREATE POLICY {0} ON {1} AS RESTRICTIVE FOR INSERT TO {2} WITH CHECK ({3})"
    yield _put(only, adds, table, keeper, theirs)
    yield _put("ALTER TABLE {0} ENABLE ROW LEVEL SECURITY", table)


def _put(statement: str, *names: sql.Composable) -> str:
    return sql.SQL(statement).format(*names).as_string()
