"""The roles of a PostgreSQL database: who owns the tables, who writes to them, and who reads.

The owner changes the schema and does nothing else. The writer owns nothing: it can neither change a table nor empty
one nor put a trigger on it, and of the log's events it can take none away. The reader, whose sessions open the sealed
values for people, can write nothing at all: so it makes no consent, whatever is put into its statements.
"""

from collections.abc import Iterator

from psycopg import sql

OWNER, READER = "owner", "reader"  # the writer bears the name alone
# Only `fieldgrant reconcile` needs these, and runs as the owner: it makes the log anew from its files.
_TAKEN = {
    "outbox": "DELETE",
    "log_entry": "UPDATE, DELETE",
    "log_record": "UPDATE, DELETE",
    "log_checkpoint": "UPDATE, DELETE",
    "alembic_version": "INSERT, UPDATE, DELETE",
}


def named(name: str) -> tuple[str, str, str]:
    """Owner, writer and reader of an installation."""
    return f"{name}_{OWNER}", name, f"{name}_{READER}"


def statements(name: str, database: str) -> Iterator[str]:
    """What a superuser runs, connected to this database: before the first migration, or again after any other."""
    owner, writer, reader = named(name)
    for role in (owner, writer, reader):
        yield _put(
            "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {0}) THEN CREATE ROLE {1} LOGIN "
            "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS; END IF; END $$",
            sql.Literal(role),
            sql.Identifier(role),
        )
    base = sql.Identifier(database)
    o, w, r = (sql.Identifier(role) for role in (owner, writer, reader))
    yield _put("REVOKE ALL ON DATABASE {0} FROM PUBLIC", base)
    yield _put("GRANT CONNECT ON DATABASE {0} TO {1}, {2}, {3}", base, o, w, r)
    yield _put("REVOKE ALL ON SCHEMA public FROM PUBLIC, {0}, {1}", w, r)
    yield _put("GRANT USAGE ON SCHEMA public TO {0}, {1}", w, r)
    yield _put("GRANT USAGE, CREATE ON SCHEMA public TO {0}", o)
    yield _put("ALTER ROLE {0} SET default_transaction_read_only = on", r)
    mine = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {0} IN SCHEMA public ").format(o).as_string()
    for how, tables, sequences in ((mine, "TABLES", "SEQUENCES"), ("", *("ALL " + _ for _ in _ALL))):
        yield _put(how + f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables} TO {{0}}", w)
        yield _put(how + f"GRANT SELECT ON {tables} TO {{0}}", r)
        yield _put(how + f"GRANT USAGE, SELECT, UPDATE ON {sequences} TO {{0}}", w)
    yield from taken(name)


def taken(name: str) -> Iterator[str]:
    """What the owner of the tables takes away from the writer again, once they are there."""
    writer = sql.Identifier(named(name)[1])
    for table, rights in _TAKEN.items():
        yield _put(
            f"DO $$ BEGIN IF to_regclass({{0}}) IS NOT NULL THEN REVOKE {rights} ON {{1}} FROM {{2}}; END IF; END $$",
            sql.Literal(f"public.{table}"),
            sql.Identifier("public", table),
            writer,
        )


_ALL = ("TABLES IN SCHEMA public", "SEQUENCES IN SCHEMA public")


def _put(statement: str, *names: sql.Composable) -> str:
    return sql.SQL(statement).format(*names).as_string()
