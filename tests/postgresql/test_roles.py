"""Owner, writer and reader: what each may do, and that the platform runs when they are apart."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import LargeBinary, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel
from typer.testing import CliRunner

from fieldgrant.cli import build
from migrations.tables import import_tables
from runtime.dialect import DatabaseError, Role, roles
from runtime.platform import Platform
from runtime.session import Database
from runtime.settings import Settings
from tests.engine import server
from tests.engine.server import Server
from tests.postgresql.roles import of
from tests.verifier.stage import CITY, Stage, default_catalogue
from verifier.gate import Gate


def opened(url: str) -> Database:
    """With its roles apart."""
    others: dict[Role, str | None] = {role: of(url, f"shop_{role}") for role in ("owner", "keeper", "reader")}
    return Database(of(url, "shop"), others=others)


def refused(database: Database, statement: str, by: Role) -> str:
    """The server's word for why; "" when it is done."""
    try:
        with database.read() if by == "reader" else database.write(by) as session:
            session.execute(text(statement))
            session.rollback()
    except SQLAlchemyError as error:
        return str(getattr(error.orig, "sqlstate", error))  # type: ignore[attr-defined]
    return ""


DENIED, READ_ONLY = "42501", "25006"
CREDENTIAL = (
    "INSERT INTO credential (id, kind, subject, did, body, digest, at) VALUES ('c', '{}', 's', 'd', '', 'z', 't')"
)
EVERY = {
    "owns nothing": [
        "DROP TABLE credential",
        "ALTER TABLE record ADD COLUMN clear TEXT",
        "TRUNCATE outbox",
        "CREATE TABLE mine (n INTEGER)",
        "ALTER TABLE credential DISABLE ROW LEVEL SECURITY",
    ],
    "takes no event away and makes no log anew": [
        "DELETE FROM outbox",
        "UPDATE outbox SET mac = mac",
        "SELECT setval('outbox_id_seq', 1)",
        "UPDATE log_entry SET leaf_hash = leaf_hash",
        "DELETE FROM log_checkpoint",
        "UPDATE alembic_version SET version_num = version_num",
    ],
}
WRITER = {
    "looks at no sealed value": [
        "SELECT cells FROM record",
        "SELECT * FROM record",
        "SELECT wrapped FROM record WHERE subject = 's'",
        "SELECT count(*) FROM record WHERE cells = ''",
        "SELECT head, cells FROM item",
        "SELECT box FROM archive",
        "SELECT box FROM held_upload",
        "SELECT box FROM import_undo",
        "SELECT box FROM organisation",
        "SELECT record FROM record",
        "UPDATE record SET cells = cells",
        "DELETE FROM record",
        "UPDATE record SET subject = subject RETURNING cells",
    ],
}
KEEPER = {
    "writes no consent": [
        CREDENTIAL.format("consent"),
        CREDENTIAL.format("enrolment"),
        CREDENTIAL.format("ground"),
        CREDENTIAL.format("request"),
        "UPDATE credential SET ended_at = NULL",
        "UPDATE credential SET kind = 'consent'",
        "UPDATE standing SET version = 1",
        "UPDATE status_entry SET ended_at = NULL",
        "UPDATE challenge SET used_at = NULL",
        "INSERT INTO staff SELECT * FROM staff",
        "DELETE FROM quarantine",
        "DELETE FROM settling",
    ],
}
READER = {
    "writes nothing": [
        "INSERT INTO standing (subject, version) VALUES ('s', 1)",
        CREDENTIAL.format("receipt"),
        "UPDATE credential SET body = ''",
        "DELETE FROM allowance",
        "UPDATE record SET cells = ''",
    ],
}
CASES = [
    (role, statement)
    for role, groups in (("writer", EVERY | WRITER), ("keeper", EVERY | KEEPER), ("reader", EVERY | READER))
    for statements_ in groups.values()
    for statement in statements_
]


def test_each_role_is_refused_what_is_anothers(apart: str) -> None:
    database = opened(apart)
    told = {(role, statement): refused(database, statement, role) for role, statement in CASES}  # type: ignore[arg-type]
    assert [case for case, word in told.items() if word not in {DENIED, READ_ONLY}] == []
    owner = {statement: refused(database, statement, "owner") for _, statement in CASES}  # the control
    assert [statement for statement, word in owner.items() if word in {DENIED, READ_ONLY}] == []
    database.dispose()


def test_the_reader_writes_nothing_whatever_its_session_says_of_itself(apart: str) -> None:
    with Database(of(apart, "shop_reader")).engine.begin() as connection:
        connection.execute(text("SET TRANSACTION READ WRITE"))
        with pytest.raises(SQLAlchemyError) as caught:
            connection.execute(text("DELETE FROM allowance"))
    assert getattr(caught.value.orig, "sqlstate", "") == DENIED  # type: ignore[attr-defined]


@pytest.mark.parametrize("role", ["writer", "keeper", "reader"])
def test_nobody_takes_another_role_over(apart: str, role: Role) -> None:
    database = opened(apart)
    for other in {"shop", "shop_owner", "shop_keeper", "shop_reader", "postgres"} - {database_role(database, role)}:
        assert refused(database, f"SET ROLE {other}", role) == DENIED
    database.dispose()


def database_role(database: Database, role: Role) -> str:
    with database.read() if role == "reader" else database.write(role) as session:
        return str(session.execute(text("SELECT current_user")).scalar())


def test_the_keeper_says_what_is_the_organisations_own(apart: str) -> None:
    """The control: receipts and certificates, which grant nobody anything."""
    database = opened(apart)
    for kind in roles.STATEMENTS:
        assert refused(database, CREDENTIAL.format(kind), "keeper") == ""
    assert refused(database, "UPDATE record SET cells = cells", "keeper") == ""
    assert refused(database, "SELECT cells FROM record", "reader") == ""
    assert refused(database, "SELECT subject, generation FROM record", "writer") == ""
    database.dispose()


def test_of_every_table_it_is_said_whether_values_rest_in_it() -> None:
    """A new one with bytes in it is looked at by a person: is it a value, then `roles.SEALED` must name it."""
    import_tables()
    plain = {
        "allowance", "catalogue_content", "credential", "data_request", "import_run", "log_checkpoint", "log_entry",
        "log_record", "lost_wallet", "outbox", "redaction_notice", "staff", "staff_session",
    }  # fmt: skip
    bytes_ = {
        table.name
        for table in SQLModel.metadata.sorted_tables
        if any(isinstance(column.type, LargeBinary) for column in table.columns)
    }
    assert bytes_ - set(roles.SEALED) == plain
    for table, columns in roles.SEALED.items():
        assert set(columns) <= set(SQLModel.metadata.tables[table].columns.keys())


def test_whoever_forgets_a_role_or_takes_the_wrong_one_learns_it_at_the_start(apart: str) -> None:
    forbidden(Database(of(apart, "shop")).migrate, "wrong_role")
    right: dict[Role, str | None] = {"keeper": of(apart, "shop_keeper"), "reader": of(apart, "shop_reader")}
    Database(of(apart, "shop"), others=right).migrate()
    forbidden(Database(of(apart, "shop"), others=right | {"keeper": of(apart, "shop")}).migrate, "wrong_role")
    forbidden(Database(of(apart, "shop"), others=right | {"reader": of(apart, "shop")}).migrate, "wrong_role")
    forbidden(Database(of(apart, "shop_keeper"), others=right).migrate, "wrong_role")


def test_roles_are_printed_for_whoever_runs_them(apart: str) -> None:
    done = CliRunner().invoke(build("database"), ["database", "roles", "--name", "shop"])
    assert done.exit_code == 0
    assert 'CREATE ROLE "shop_owner" LOGIN NOSUPERUSER' in done.output
    assert done.output.count(";\n") == len(list(roles.statements("shop", "fieldgrant")))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["roles", "--apply", "sqlite:///{home}/a.db"], "no_roles"),
        (["roles", "--name", "shop", "--database", "{name}", "--apply", "{keeper}"], "not_superuser"),
        (["roles", "--apply", "postgresql+psycopg://a:secret@db/x"], "password_in_url"),
        (["roles", "--apply", "postgresql+psycopg://postgres@/nowhere?host={home}"], "database_unavailable"),
        (["migrate"], "no_owner"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    apart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.delenv("FIELDGRANT_DATABASE_OWNER")
    places = {"home": tmp_path, "keeper": of(apart, "shop_keeper"), "name": apart.split("@/")[1].partition("?")[0]}
    done = CliRunner().invoke(build("database"), ["database", *(word.format(**places) for word in words)])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert told in line
    assert "secret" not in line


def test_a_platform_runs_with_its_roles_apart(apart: str, tmp_path: Path) -> None:
    settings = Settings(
        home=tmp_path, mail_dir=tmp_path / "mail", send_deadline=0.5, database=of(apart, "shop"),
        database_keeper=of(apart, "shop_keeper"), database_reader=of(apart, "shop_reader"),
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
        ("CREATE POLICY hide ON credential AS RESTRICTIVE USING (subject <> 's')", "DROP POLICY hide ON credential"),
        (
            "CREATE POLICY call ON credential AS RESTRICTIVE FOR INSERT WITH CHECK (pg_backend_pid() > 0)",
            "DROP POLICY call ON credential",
        ),
        (
            "ALTER POLICY fieldgrant_all ON credential USING (kind <> 'withdrawal')",
            "ALTER POLICY fieldgrant_all ON credential USING (true)",
        ),
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
    forbidden(Database(of(url, "shop")).migrate, "not_owner")


def test_a_schema_that_another_version_made_is_not_touched(apart: str, postgres: Server) -> None:
    name = apart.split("@/")[1].partition("?")[0]
    server.psql(postgres, "UPDATE alembic_version SET version_num = '9999'", database=name)
    forbidden(Database(of(apart, "shop_owner")).migrate, "unknown_schema")
