"""`fieldgrant database`: the roles of a PostgreSQL database, and its schema."""

from typing import Annotated

import typer
from sqlalchemy.exc import ProgrammingError

from runtime import terminal
from runtime.dialect import DatabaseError
from runtime.session import Database
from runtime.terminal import Data, Keys

app = typer.Typer(no_args_is_help=True, help="The PostgreSQL database: its roles and its schema.")
_ROLES = """
Examples:

  fieldgrant database roles | psql -h db1 -U postgres fieldgrant

  fieldgrant database roles --name shop --database shop --apply postgresql+psycopg://postgres@db1/shop

Then give the four roles passwords or certificates. Where the platform runs, set FIELDGRANT_DATABASE (the name alone),
FIELDGRANT_DATABASE_KEEPER (…_keeper) and FIELDGRANT_DATABASE_READER (…_reader). FIELDGRANT_DATABASE_OWNER (…_owner) is
for where the schema is changed, or the log made anew (`fieldgrant reconcile`).
"""
_MIGRATE = """
Examples:

  FIELDGRANT_DATABASE_OWNER=postgresql+psycopg://fieldgrant_owner@db1/fieldgrant fieldgrant database migrate
"""


@app.command("roles")
def roles(
    name: Annotated[str, typer.Option(help="The writer's name; the others are called after it.")] = "fieldgrant",
    database: Annotated[str, typer.Option(help="The database's name.")] = "fieldgrant",
    apply: Annotated[
        str | None, typer.Option(metavar="URL", help="Run it there, as a superuser, instead of printing it.")
    ] = None,
) -> None:
    """Print what makes the roles: an owner of the tables, a writer of consents, a keeper of values, and a reader."""
    from runtime.dialect import roles as made  # noqa: PLC0415 - only where there is PostgreSQL

    lines = list(made.statements(name, database))
    if apply is None:
        typer.echo("".join(f"{line};\n" for line in lines), nl=False)
        return
    with terminal.one_line():
        run(apply, lines)


def run(url: str, lines: list[str]) -> None:
    """All of it in one transaction. Raises DatabaseError, OperationalError."""
    superuser = Database(url)
    try:
        if superuser.engine.dialect.name != "postgresql":
            raise DatabaseError(
                "no_roles", "a file has none: whoever has it may do everything. Use postgresql+psycopg://…"
            )
        with superuser.engine.begin() as connection:
            for line in lines:
                connection.exec_driver_sql(line.replace("%", "%%"))
    except ProgrammingError as error:
        raise DatabaseError("not_superuser", str(error.orig).strip().splitlines()[0]) from None
    finally:
        superuser.dispose()


@app.command("migrate")
def migrate(data: Data = None, keys: Keys = None) -> None:
    """Bring the schema to this version, as its owner (FIELDGRANT_DATABASE_OWNER)."""
    with terminal.one_line():
        chosen = terminal.settings(data, keys)
        if chosen.database_owner is None:
            raise DatabaseError(
                "no_owner",
                "set FIELDGRANT_DATABASE_OWNER to the owner's address, e.g. postgresql+psycopg://fieldgrant_owner@db1/fieldgrant",
            )
        owner = Database(chosen.database_owner)
        try:
            owner.migrate()
        finally:
            owner.dispose()


roles.__doc__ = f"{roles.__doc__}\n{_ROLES}"
migrate.__doc__ = f"{migrate.__doc__}\n{_MIGRATE}"
