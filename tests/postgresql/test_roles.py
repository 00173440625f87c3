"""Owner, writer and reader: what each may do, and that the platform runs when they are apart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from typer.testing import CliRunner

from fieldgrant.cli import build
from runtime.dialect import DatabaseError, roles
from runtime.platform import Platform
from runtime.session import Database
from runtime.settings import Settings
from tests.engine import server
from tests.engine.server import Server
from tests.verifier.stage import CITY, Stage, default_catalogue
from verifier.gate import Gate


def of(url: str, role: str) -> str:
    return url.replace("//postgres@", f"//{role}@")


@pytest.fixture
def apart(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database as `fieldgrant database roles` and `… migrate` leave it; its superuser's address."""
    name = url.split("@/")[1].partition("?")[0]
    words = ["database", "roles", "--name", "shop", "--database", name, "--apply", url]
    done = CliRunner().invoke(build("database"), words)
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("FIELDGRANT_DATABASE_OWNER", of(url, "shop_owner"))
    done = CliRunner().invoke(build("database"), ["database", "migrate"])
    assert done.exit_code == 0, done.output
    return url


def refused(database: Database, statement: str, *, write: bool = True) -> str:
    with pytest.raises(SQLAlchemyError) as caught, database.write() if write else database.read() as session:
        session.execute(text(statement))
    return str(getattr(caught.value.orig, "sqlstate", ""))  # type: ignore[attr-defined]


DENIED, READ_ONLY = "42501", "25006"


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE credential",
        "ALTER TABLE record ADD COLUMN clear TEXT",
        "TRUNCATE outbox",
        "DELETE FROM outbox",
        "UPDATE log_entry SET leaf_hash = leaf_hash",
        "DELETE FROM log_checkpoint",
        "CREATE TABLE mine (n INTEGER)",
        "UPDATE alembic_version SET version_num = 'x'",
        "SET ROLE shop_owner",
    ],
)
def test_the_writer_owns_nothing_and_takes_no_event_away(apart: str, statement: str) -> None:
    assert refused(Database(of(apart, "shop")), statement) == DENIED


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO standing (subject, version) VALUES ('s', 1)",
        "UPDATE credential SET body = ''",
        "DELETE FROM allowance",
        "SELECT setval('outbox_id_seq', 1)",
    ],
)
def test_the_reader_writes_nothing_whatever_its_session_says_of_itself(apart: str, statement: str) -> None:
    database = Database(of(apart, "shop"), reader=of(apart, "shop_reader"))
    assert refused(database, statement, write=False) in {DENIED, READ_ONLY}
    with Database(of(apart, "shop_reader")).engine.begin() as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        with pytest.raises(SQLAlchemyError) as caught:
            connection.execute(text(statement))
    assert getattr(caught.value.orig, "sqlstate", "") == DENIED  # type: ignore[attr-defined]


def test_roles_are_printed_for_whoever_runs_them(apart: str) -> None:
    done = CliRunner().invoke(build("database"), ["database", "roles", "--name", "shop"])
    assert done.exit_code == 0
    assert 'CREATE ROLE "shop_owner" LOGIN NOSUPERUSER' in done.output
    assert done.output.count(";\n") == len(list(roles.statements("shop", "fieldgrant")))


def test_a_platform_runs_with_its_roles_apart(apart: str, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, mail_dir=tmp_path / "mail", send_deadline=0.5, database=of(apart, "shop"),
        database_owner=of(apart, "shop_owner"), database_reader=of(apart, "shop_reader"),
    )  # fmt: skip
    Platform.create(settings).close()
    platform = Platform.open(settings)
    stage = Stage(platform, default_catalogue(), Gate.open(platform, default_catalogue()), platform.clock)  # type: ignore[arg-type]
    try:
        customer = stage.enrol()
        given = stage.give(customer, [CITY])
        assert stage.released(customer.subject) == {CITY}
        stage.withdraw(customer, given)
        assert stage.released(customer.subject) == set()
    finally:
        platform.close()


def forbidden(act: Callable[[], object], code: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        act()
    assert caught.value.code == code


def test_a_trigger_a_rule_or_a_policy_on_a_table_of_ours_stops_every_writer(apart: str, postgres: Server) -> None:
    name, database = apart.split("@/")[1].partition("?")[0], Database(of(apart, "shop"))

    def write() -> None:
        with database.write():
            pass

    write()
    for plant, remove in (
        ("CREATE RULE eat AS ON INSERT TO outbox DO INSTEAD NOTHING", "DROP RULE eat ON outbox"),
        ("ALTER TABLE outbox ENABLE ROW LEVEL SECURITY", "ALTER TABLE outbox DISABLE ROW LEVEL SECURITY"),
        (
            "CREATE FUNCTION eat() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';"
            "CREATE TRIGGER eat BEFORE INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION eat()",
            "DROP TRIGGER eat ON outbox",
        ),
    ):
        server.psql(postgres, plant, database=name)
        forbidden(write, "foreign_code")
        server.psql(postgres, remove, database=name)
    write()


def test_an_address_with_a_password_and_a_database_of_another_encoding_are_refused(
    postgres: Server, tmp_path: Path
) -> None:
    forbidden(lambda: Database(postgres.url().replace("postgres@", "postgres:secret@")), "password_in_url")
    forbidden(lambda: Database("mysql://here"), "unknown_database")
    server.psql(
        postgres,
        "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
    )
    forbidden(Database(postgres.url("bytes")).migrate, "unfit_database")
    server.psql(postgres, "DROP DATABASE bytes WITH (FORCE)")


def test_without_the_owner_the_writer_cannot_migrate(url: str) -> None:
    name = url.split("@/")[1].partition("?")[0]
    words = ["database", "roles", "--name", "shop", "--database", name, "--apply", url]
    assert CliRunner().invoke(build("database"), words).exit_code == 0
    with pytest.raises(ProgrammingError):
        Database(of(url, "shop")).migrate()
