"""Whoever has stolen one role's connection: what the server refuses them, and what is seen of all that it lets them do.

Each role tries the same forgeries on a living platform. What it may not do, the server says; what it may do releases
nothing more, and is named. (As superuser, on both engines: tests/verifier/test_attacks.py, tests/attacks.)
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from protocol import event
from runtime.dialect.postgresql import plain
from tests.postgresql.roles import of, stage_apart
from tests.postgresql.test_roles import DENIED
from tests.verifier.stage import CITY, EMAIL, GIVEN, Customer, Stage
from verifier import gate as gates
from verifier import passage, reconcile

ROLES = {"writer": "shop", "keeper": "shop_keeper", "reader": "shop_reader"}


@dataclass(slots=True)
class Thief:
    """A role's connection, and whoever is to be wronged: the city was given, the address given and taken back."""

    stage: Stage
    connection: "psycopg.Connection[tuple[Any, ...]]"
    customer: Customer
    other: Customer  # gave both
    withdrawn: str
    yesterday: list[tuple[Any, ...]]  # the customer's allowances before the withdrawal

    def sql(self, statement: str, *values: Any) -> None:
        self.connection.execute(statement.encode(), values)

    def compiled(self) -> None:
        """Have the customer compiled from what the database says; whoever writes to it can bring that about."""
        self.stage.compile_again(self.customer.subject)


def widen(thief: Thief) -> None:
    thief.sql("UPDATE allowance SET mask = %s WHERE subject = %s", b"\xff" * 16, thief.customer.subject)


def put_back(thief: Thief) -> None:
    thief.sql("DELETE FROM allowance WHERE subject = %s", thief.customer.subject)
    for row in thief.yesterday:
        thief.sql(f"INSERT INTO allowance VALUES ({', '.join(['%s'] * len(row))})", *row)  # noqa: S608 - the thief's own words


def copy(thief: Thief) -> None:
    """Another customer's allowance."""
    thief.sql(
        "UPDATE allowance AS a SET mask = b.mask, reasons = b.reasons, grounds = b.grounds, version = b.version, "
        "mac = b.mac FROM allowance AS b WHERE a.subject = %s AND b.subject = %s AND a.purpose = b.purpose "
        "AND a.recipient = b.recipient AND a.jurisdiction = b.jurisdiction",
        thief.customer.subject, thief.other.subject,
    )  # fmt: skip


def take_away(thief: Thief) -> None:
    thief.sql("DELETE FROM allowance WHERE subject = %s", thief.customer.subject)


def consent(thief: Thief) -> None:
    """A consent that the registry never took: another customer's, under a name and digest of its own."""
    thief.sql(
        "INSERT INTO credential (id, kind, subject, did, body, digest, at) SELECT 'urn:uuid:planted', kind, %s, %s, "
        "body, 'zPlanted', at FROM credential WHERE kind = 'consent' AND subject = %s",
        thief.customer.subject, thief.customer.wallet.did, thief.other.subject,
    )  # fmt: skip
    thief.compiled()


def move(thief: Thief) -> None:
    thief.sql(
        "UPDATE credential SET subject = %s WHERE kind = 'consent' AND subject = %s",
        thief.customer.subject, thief.other.subject,
    )  # fmt: skip
    thief.compiled()


def enrol(thief: Thief) -> None:
    """The other's wallet is the customer's from now on."""
    thief.sql(
        "UPDATE credential SET subject = %s WHERE kind IN ('enrolment', 'consent') AND subject = %s",
        thief.customer.subject, thief.other.subject,
    )  # fmt: skip
    thief.compiled()


def revive(thief: Thief) -> None:
    """As if nobody had withdrawn it."""
    thief.sql("DELETE FROM credential WHERE kind = 'withdrawal' AND subject = %s", thief.customer.subject)
    thief.sql(
        "UPDATE credential SET ended_at = NULL, ended_by = NULL, ended_kind = NULL WHERE id = %s", thief.withdrawn
    )
    thief.compiled()


def unwithdraw(thief: Thief) -> None:
    """Its end stays marked on the consent, and in the journal."""
    thief.sql("DELETE FROM credential WHERE kind = 'withdrawal' AND subject = %s", thief.customer.subject)
    thief.compiled()


def step_back(thief: Thief) -> None:
    """The standing as it was before the withdrawal; the keeper can do it by taking the row out and adding one."""
    thief.sql("DELETE FROM standing WHERE subject = %s", thief.customer.subject)
    thief.sql("INSERT INTO standing (subject, version) VALUES (%s, 1)", thief.customer.subject)
    thief.compiled()


def clear_bit(thief: Thief) -> None:
    thief.sql("UPDATE status_entry SET ended_at = NULL")
    thief.compiled()


def approve(thief: Thief) -> None:
    """A ground of another customer's covers this one, too."""
    thief.sql("INSERT INTO ground_subject SELECT ground_id, %s FROM ground_subject LIMIT 1", thief.customer.subject)
    thief.compiled()


def empty(thief: Thief) -> None:
    """Wide, and out of the quarantine that it led to."""
    thief.sql("UPDATE allowance SET mask = %s WHERE subject = %s", b"\xff" * 16, thief.customer.subject)
    thief.stage.see(thief.customer.subject)
    thief.sql("DELETE FROM quarantine")


def silence(thief: Thief) -> None:
    """What was read, and that somebody was put under quarantine, is on no record any more."""
    thief.sql("DELETE FROM outbox WHERE type = 'release'")


def unlog(thief: Thief) -> None:
    thief.sql("UPDATE log_entry SET leaf = ''")


def publish(thief: Thief) -> None:
    thief.sql("UPDATE catalogue_content SET content = '{}'")


def promote(thief: Thief) -> None:
    thief.sql("UPDATE staff SET role = 'dpo'")


@dataclass(frozen=True, slots=True)
class Forgery:
    """What is done; by whom the server lets it be done; what names it (`""`: it says nothing that anybody believes)."""

    act: Callable[[Thief], None]
    may: frozenset[str]
    named: str
    left: frozenset[str] = frozenset({CITY})  # what of the customer is released still


BOTH, ALONE, NOBODY = frozenset({"writer", "keeper"}), frozenset({"writer"}), frozenset[str]()
NOTHING = frozenset[str]()
FORGERIES = {
    "a mask is widened": Forgery(widen, BOTH, "bad_mac", NOTHING),
    "yesterday's allowances are put back": Forgery(put_back, BOTH, "below_floor", NOTHING),
    "another customer's allowance is copied": Forgery(copy, BOTH, "below_floor", NOTHING),
    "allowances are taken away": Forgery(take_away, BOTH, "missing", NOTHING),
    "a consent is planted": Forgery(consent, ALONE, "not_enrolled"),
    "a consent is moved": Forgery(move, ALONE, "not_enrolled"),
    "an enrolment is moved": Forgery(enrol, ALONE, "foreign_enrolment"),
    "a withdrawn consent is revived": Forgery(revive, ALONE, "journal_ahead"),
    "a withdrawal is deleted": Forgery(unwithdraw, BOTH, ""),
    "a standing is set back": Forgery(step_back, BOTH, "journal_ahead"),
    "a status bit is cleared": Forgery(clear_bit, ALONE, ""),
    "a ground is stretched": Forgery(approve, ALONE, "foreign_ground"),
    "a quarantine is emptied": Forgery(empty, ALONE, "bad_mac", NOTHING),
    "releases are taken off the record": Forgery(silence, NOBODY, ""),
    "the log is changed": Forgery(unlog, NOBODY, ""),
    "the catalogue is changed": Forgery(publish, ALONE, ""),
    "everybody is an officer": Forgery(promote, ALONE, ""),
}


@pytest.fixture
def stage(apart: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(gates, "PATIENCE", 0.05)
    made = stage_apart(apart, tmp_path)
    yield made
    made.platform.close()


def wronged(stage: Stage, url: str, role: str) -> Thief:
    """Customers of whom something is given, something taken back; and a thief."""
    customer, other = stage.enrol(), stage.enrol()
    stage.ground("administration", GIVEN, subjects=frozenset({other.subject}))
    stage.give(customer, [CITY])
    withdrawn = stage.give(customer, [EMAIL])
    stage.give(other, [CITY, EMAIL])
    with stage.platform.database.read() as session:
        yesterday = [
            tuple(row)
            for row in session.connection().exec_driver_sql(
                "SELECT * FROM allowance WHERE subject = %s", (customer.subject,)
            )
        ]
    stage.withdraw(customer, withdrawn)
    assert stage.released(customer.subject) == {CITY}
    return Thief(stage, plain(of(url, ROLES[role])), customer, other, withdrawn.id, yesterday)


def names(thief: Thief) -> set[str]:
    """All that was seen of it: causes of quarantine, evidence that proves nothing, a start that is refused."""
    stage, found = thief.stage, set[str]()
    for type_, key in ((event.SUBJECT_QUARANTINED, "cause"), (event.ATTEMPT_REFUSED, "code")):
        for told in stage.events(type_):
            found |= {data[key] for subject, data in told.records if subject == thief.customer.subject}
    try:
        reconcile.startup_check(stage.platform)
    except reconcile.Disagreement as error:
        found.add(error.code)
    return found


def tried(thief: Thief, forgery: Forgery) -> str:
    """What came of it: `refused` by the server; else what is wrong with what the platform made of it, or nothing."""
    try:
        forgery.act(thief)
    except psycopg.errors.InsufficientPrivilege:
        return "refused"
    except psycopg.errors.ReadOnlySqlTransaction:
        return "refused"
    released = thief.stage.released(thief.customer.subject)
    if released != forgery.left:
        return f"releases {sorted(released)}"
    if forgery.named and forgery.named not in names(thief):
        return f"named {sorted(names(thief))}"
    return ""


@pytest.mark.parametrize("role", ROLES)
def test_a_stolen_connection_forges_nothing(stage: Stage, apart: str, role: str) -> None:
    found: dict[str, str] = {}
    for name, forgery in FORGERIES.items():
        thief = wronged(stage, apart, role)
        with closing(thief.connection):
            found[name] = tried(thief, forgery)
        reconcile.reconcile(stage.platform, stage.catalogue)
        assert stage.released(thief.customer.subject) <= {CITY}, name
    assert found == {name: "" if role in forgery.may else "refused" for name, forgery in FORGERIES.items()}


@pytest.mark.parametrize("role", ["writer", "keeper"])
def test_control_without_the_mac_a_stolen_connection_opens_what_it_likes(
    stage: Stage, apart: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passage, "hmac", SimpleNamespace(compare_digest=lambda *_: True))
    thief = wronged(stage, apart, role)
    with closing(thief.connection):
        widen(thief)
    assert EMAIL in stage.released(thief.customer.subject)


BEYOND = {
    "another's session is ended": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "the server's files are read": "SELECT pg_read_file('postgresql.conf')",
    "a file is read into a table": "COPY staff FROM '/etc/passwd'",
    "a program is run": "COPY staff TO PROGRAM 'true'",
    "a table of one's own stands before ours": "CREATE TEMPORARY TABLE outbox (id INTEGER)",
    "a schema of one's own": "CREATE SCHEMA mine",
    "a function of one's own": "CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "a trigger": "CREATE TRIGGER t BEFORE INSERT ON outbox FOR EACH ROW "
    "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "a rule": "CREATE RULE r AS ON INSERT TO outbox DO INSTEAD NOTHING",
    "a policy": "CREATE POLICY p ON credential USING (true)",
    "a publication": "CREATE PUBLICATION mine FOR TABLE credential",
    "another's table": "ALTER TABLE record OWNER TO {self}",
    "another's role": "GRANT {owner} TO {self}",
    "another's settings": "ALTER ROLE {owner} SET search_path = 'mine'",
    "the server's settings": "ALTER SYSTEM SET synchronous_commit = 'off'",
    "triggers are switched off": "SET session_replication_role = 'replica'",
    "a new role": "CREATE ROLE mallory SUPERUSER",
    "more than one is": "ALTER ROLE {self} BYPASSRLS",
    "statistics of values": "SELECT stavalues1 FROM pg_statistic",
    "passwords": "SELECT rolpassword FROM pg_authid",
    "replication": "SELECT pg_create_physical_replication_slot('mine')",
}


@pytest.mark.parametrize("role", ROLES)
def test_a_stolen_connection_does_not_leave_its_tables(stage: Stage, apart: str, role: str) -> None:
    assert stage.platform.database
    found = {}
    for name, statement in BEYOND.items():
        with closing(plain(of(apart, ROLES[role]))) as connection:
            connection.execute(b"SET default_transaction_read_only = off")
            told = statement.format(owner="shop_owner", self=ROLES[role])
            try:
                connection.execute(told.encode())
                found[name] = "done"
            except psycopg.Error as error:
                found[name] = str(error.sqlstate)
    assert {name: code for name, code in found.items() if code != DENIED} == {}


def test_the_writer_learns_nothing_of_sealed_values_by_statistics(stage: Stage, apart: str) -> None:
    wronged(stage, apart, "writer").connection.close()
    look = b"SELECT count(*) FROM pg_stats WHERE tablename = 'record' AND attname IN ('cells', 'wrapped')"
    with closing(plain(of(apart, "shop_owner"))) as owner, closing(plain(of(apart, "shop"))) as writer:
        owner.execute(b"INSERT INTO record SELECT 's' || n, '', 1, 1, 1, 'y', 'z' FROM generate_series(1, 50) AS n")
        owner.execute(b"ANALYZE record")
        assert owner.execute(look).fetchone() != (0,)  # the control
        assert writer.execute(look).fetchone() == (0,)


def test_what_a_stolen_connection_sets_for_its_role_binds_nobody(stage: Stage, apart: str) -> None:
    """Anybody may change the defaults of their own role: ours are said by each session."""
    with closing(plain(of(apart, "shop"))) as thief:
        for setting in (
            "synchronous_commit = off", "search_path = mine, public", "default_transaction_isolation = serializable",
            "lock_timeout = 1", "statement_timeout = 1", "idle_in_transaction_session_timeout = 1",
        ):  # fmt: skip
            thief.execute(f"ALTER ROLE shop SET {setting}".encode())
    wanted = {
        "synchronous_commit": "on", "search_path": "public,pg_temp", "transaction_isolation": "read committed",
        "lock_timeout": "10s", "statement_timeout": "1min", "idle_in_transaction_session_timeout": "1min",
    }  # fmt: skip
    stage.platform.database.dispose()
    try:
        with stage.platform.database.write() as session:
            connection = session.connection()
            found = {name: connection.exec_driver_sql(f"SHOW {name}").scalar() for name in wanted}
    finally:
        with closing(plain(of(apart, "shop"))) as thief:
            thief.execute(b"ALTER ROLE shop RESET ALL")
    assert found == wanted
