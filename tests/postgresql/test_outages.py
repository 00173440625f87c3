"""The database is slow, gone or another one in the middle of withdrawals: closed meanwhile, then on, nothing lost."""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from audit import drain
from audit.log import Log
from protocol import event
from protocol.consent import Consent
from runtime import crash
from runtime.dialect.postgresql import LOCKS, WRITING, plain
from runtime.journal import Journal
from runtime.problem import Problem
from tests.engine import server
from tests.engine.server import Server
from tests.postgresql.pair import Pair
from tests.postgresql.roles import stage_at
from tests.verifier.stage import CITY, EMAIL, Customer, Stage
from verifier import gate as gates
from verifier import reconcile

KNOWN = (Problem, OperationalError, InterfaceError, InternalError, PoolTimeout)  # 503 at the edge (runtime.problem)
STEPS = ("withdrawal.before", "withdrawal.within", "withdrawal.after", "settle.before", "settle.within", "settle.after")


@dataclass
class Outage:
    """A server that dies at a step of the way, as often as it is told to."""

    begin: Callable[[], None]
    end: Callable[[], None]
    at: str = ""
    met: int = 0

    def point(self, name: str) -> None:
        if name == self.at:
            self.at, self.met = "", self.met + 1
            self.begin()


@dataclass
class Lone:
    """One server, whose data outlives it."""

    running: Server
    database: str = ""

    @property
    def url(self) -> str:
        return self.running.url(self.database)

    def down(self) -> None:
        self.running.kill()

    def up(self) -> None:
        self.running = server.start(self.running.home, self.running.data)


@pytest.fixture(scope="module")
def one() -> Iterator[Lone]:
    with server.running() as running:
        made = Lone(running)
        yield made
        server.stop(made.running)


_NUMBERS = itertools.count()


@pytest.fixture
def lone(one: Lone) -> Lone:
    one.database = f"o{next(_NUMBERS)}"
    server.psql(one.running, f"CREATE DATABASE {one.database} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    return one


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Callable[[Outage], None]:
    monkeypatch.setattr(gates, "PATIENCE", 0.1)
    return lambda outage: monkeypatch.setattr(crash, "point", outage.point)


def gave(stage: Stage) -> tuple[Customer, Consent]:
    """Somebody who gave the city for service and the address for marketing, and will take the address back."""
    customer = stage.enrol()
    stage.give(customer, [CITY], purpose="service")
    given = stage.give(customer, [EMAIL])
    assert stage.released(customer.subject) == {EMAIL}
    return customer, given


def told(stage: Stage, type_: str, customer: Customer) -> int:
    return sum(subject == customer.subject for each in stage.events(type_) for subject, _ in each.records)


def withdrawn_at(stage: Stage, outage: Outage) -> None:
    """One withdrawal with an outage in it, looked at from all sides."""
    customer, given = gave(stage)
    body, receipt = stage.withdrawal(customer, given), None
    with suppress(KNOWN):
        receipt = stage.registry.withdraw(body, customer.wallet.did)
    assert outage.met == 1
    outage.end()
    if receipt is not None:
        assert stage.released(customer.subject) == set()
    again = stage.registry.withdraw(body, customer.wallet.did)
    assert receipt in (None, again)
    assert stage.released(customer.subject) == set()
    assert stage.released(customer.subject, "service", "service") == {CITY}
    assert told(stage, event.CONSENT_WITHDRAWN, customer) == 1
    assert told(stage, event.CONSENT_SHUT, customer) == 1
    reconcile.startup_check(stage.platform)
    drain.drain_all(Log(stage.platform))


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_dies_in_a_withdrawal_loses_nothing_and_doubles_nothing(
    lone: Lone, tmp_path: Path, point: Callable[[Outage], None], step: str
) -> None:
    stage = stage_at(lone.url, tmp_path)
    outage = Outage(lone.down, lone.up, step)
    point(outage)
    withdrawn_at(stage, outage)
    stage.platform.close()


@pytest.mark.parametrize("step", ["withdrawal.within", "withdrawal.after", "settle.within"])
def test_a_fail_over_in_a_withdrawal_loses_nothing_and_doubles_nothing(
    pair: Pair, tmp_path: Path, point: Callable[[Outage], None], step: str
) -> None:
    stage = stage_at(pair.url, tmp_path)
    outage = Outage(pair.fail_over, lambda: None, step)
    point(outage)
    withdrawn_at(stage, outage)
    stage.platform.close()


def test_while_the_server_is_gone_nothing_is_shown_and_nothing_acknowledged(lone: Lone, tmp_path: Path) -> None:
    stage = stage_at(lone.url, tmp_path)
    customer, given = gave(stage)
    lone.down()
    for act in (lambda: stage.released(customer.subject), lambda: stage.withdraw(customer, given)):
        for _ in range(3):
            begun = time.monotonic()
            with pytest.raises(KNOWN):
                act()
            assert time.monotonic() - begun < 20
    lone.up()
    assert stage.released(customer.subject) == {EMAIL}  # nobody was told that it had ended
    stage.withdraw(customer, given)
    assert stage.released(customer.subject) == set()
    stage.platform.close()


@dataclass
class Crowd:
    """Wallets that take back one consent each until they have a receipt, and readers who look on."""

    stage: Stage
    people: list[tuple[Customer, Consent]]
    careless: bool  # the control: whatever fails is acknowledged
    acknowledged: dict[str, float] = field(default_factory=dict)
    reads: list[tuple[str, float]] = field(default_factory=list)  # that returned the address: of whom, when
    failed: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def withdraw(self, mine: list[tuple[Customer, Consent]]) -> None:
        for customer, given in mine:
            body = self.stage.withdrawal(customer, given)
            while customer.subject not in self.acknowledged:
                try:
                    self.stage.registry.withdraw(body, customer.wallet.did)
                except KNOWN:
                    self.failed += 1
                    time.sleep(0.05)
                    if not self.careless:
                        continue
                self.acknowledged[customer.subject] = time.monotonic()

    def look(self, dice: random.Random) -> None:
        while not self.stop.is_set():
            customer, _ = dice.choice(self.people)
            try:
                if self.stage.released(customer.subject):
                    self.reads.append((customer.subject, time.monotonic()))
            except KNOWN:
                time.sleep(0.02)

    def run(self, disturb: Callable[[], None]) -> None:
        readers = [threading.Thread(target=self.look, args=(random.Random(n),)) for n in range(3)]  # noqa: S311
        wallets = [threading.Thread(target=self.withdraw, args=(self.people[n::4],)) for n in range(4)]
        for thread in (*readers, *wallets):
            thread.start()
        disturb()
        for thread in wallets:
            thread.join()
        for customer, _ in self.people:  # and once more when all is quiet
            if self.stage.released(customer.subject):
                self.reads.append((customer.subject, time.monotonic()))
        self.stop.set()
        for thread in readers:
            thread.join()

    def late(self) -> int:
        return sum(at > self.acknowledged[subject] for subject, at in self.reads)


def three_times(lone: Lone, crowd: Crowd) -> None:
    """Each time in the middle of the withdrawals, whatever they are doing just then."""
    for outage in range(3):
        until = time.monotonic() + 60
        while len(crowd.acknowledged) < 3 + 6 * outage and time.monotonic() < until:
            time.sleep(0.005)
        lone.down()
        time.sleep(0.3)
        lone.up()


@pytest.mark.parametrize("careless", [False, True], ids=["ours", "control"])
def test_withdrawals_beside_readers_while_the_server_dies_again_and_again(
    lone: Lone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, careless: bool
) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 0.1)
    stage = stage_at(lone.url, tmp_path)
    crowd = Crowd(stage, [gave(stage) for _ in range(24)], careless)
    crowd.run(lambda: three_times(lone, crowd))
    assert crowd.failed > 0
    if careless:
        assert crowd.late() > 0
        return
    assert crowd.late() == 0
    for customer, _ in crowd.people:
        assert told(stage, event.CONSENT_WITHDRAWN, customer) == 1
        assert told(stage, event.CONSENT_SHUT, customer) == 1
    assert reconcile.reconcile(stage.platform, stage.catalogue).kept == {}  # who was read between journal and commit
    for customer, _ in crowd.people:
        assert stage.released(customer.subject, "service", "service") == {CITY}
    reconcile.startup_check(stage.platform)
    drain.drain_all(Log(stage.platform))
    stage.platform.close()


def test_a_server_that_is_held_is_waited_for_and_no_longer_than_that(lone: Lone, tmp_path: Path) -> None:
    """Slow, then stuck: first it comes through, then nothing is acknowledged or shown, then it goes on."""
    options = quote("-c lock_timeout=300")
    stage = stage_at(f"{lone.url}&options={options}", tmp_path)
    customer, given = gave(stage)
    body = stage.withdrawal(customer, given)
    hold, free = (f"SELECT pg_advisory_{what}({LOCKS}, {WRITING})".encode() for what in ("lock", "unlock"))
    with closing(plain(lone.url)) as other:
        other.execute(hold)
        threading.Timer(0.1, other.execute, [free]).start()
        assert stage.released(customer.subject) == {EMAIL}
        other.execute(hold)
        for act in (lambda: stage.released(customer.subject), lambda: stage.registry.withdraw(body, given.subject_did)):
            with pytest.raises(KNOWN):
                act()
        other.execute(free)
    assert stage.registry.withdraw(body, given.subject_did)
    assert stage.released(customer.subject) == set()
    assert told(stage, event.CONSENT_WITHDRAWN, customer) == 1
    stage.platform.close()


def test_while_the_standby_is_away_nothing_is_acknowledged_and_nothing_shown(pair: Pair, tmp_path: Path) -> None:
    options = quote("-c lock_timeout=300")
    stage = stage_at(f"{pair.url}&options={options}", tmp_path)
    customer, given = gave(stage)
    body, receipts = stage.withdrawal(customer, given), list[object]()
    pair.cut_off()
    wallet = threading.Thread(target=lambda: receipts.append(stage.registry.withdraw(body, given.subject_did)))
    wallet.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    while server.psql(pair.primary, waiting) != [(1,)]:
        time.sleep(0.01)
    for _ in range(2):
        with pytest.raises(KNOWN):
            stage.released(customer.subject)
    assert receipts == []
    pair.together()
    wallet.join(30)
    assert len(receipts) == 1
    assert stage.released(customer.subject) == set()
    stage.platform.close()


def unfollowed(pair: Pair, tmp_path: Path) -> tuple[Stage, Customer, dict[str, int]]:
    """A withdrawal that was acknowledged, and a fail-over to a standby that never heard of it.

    And what the journal said of the customer before.
    """
    server.psql(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()")
    stage = stage_at(pair.url, tmp_path)
    customer, given = gave(stage)
    pair.caught_up()
    pair.cut_off()
    journal = stage.platform.journal
    before = {"floor": journal.floor(customer.subject), "mark": journal.mark(customer.subject)}
    assert stage.withdraw(customer, given)
    assert stage.released(customer.subject) == set()
    pair.fail_over()
    with stage.platform.database.read() as session:  # the control: to the database it is as if nobody had withdrawn
        rows = session.connection().exec_driver_sql("SELECT kind FROM credential WHERE kind = 'withdrawal'").all()
    assert rows == []
    return stage, customer, before


def test_a_withdrawal_that_the_standby_never_got_stays_one(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a standby that is not synchronous, against what operating.md says: the journal knows."""
    monkeypatch.setattr(gates, "PATIENCE", 0.1)
    stage, customer, _ = unfollowed(pair, tmp_path)
    assert stage.released(customer.subject) == set()
    with pytest.raises(reconcile.Disagreement):
        reconcile.startup_check(stage.platform)
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.see(customer.subject).reasons[EMAIL] == "withdrawn"
    assert stage.released(customer.subject, "service", "service") == {CITY}


def test_control_without_the_journal_it_would_be_back(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, customer, before = unfollowed(pair, tmp_path)
    for name, value in before.items():
        monkeypatch.setattr(Journal, name, lambda self, subject, value=value: value)
    monkeypatch.setattr(Journal, "ended", lambda self, ground: False)
    assert stage.released(customer.subject) == {EMAIL}


def cancelled(pair: Pair, act: Callable[[], None]) -> BaseException | None:
    """Commit while the standby hears nothing, until somebody tells the primary to wait no longer; how it failed."""
    pair.cut_off()
    found: list[BaseException | None] = []

    def commit() -> None:
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - looked at below
            found.append(error)
        else:
            found.append(None)

    thread = threading.Thread(target=commit)
    thread.start()
    until = time.monotonic() + 30
    while thread.is_alive() and time.monotonic() < until:
        waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        server.psql(pair.primary, waiting)
        time.sleep(0.05)
    thread.join()
    return found[0]


@pytest.mark.parametrize("messages", ["notice", "error"])
def test_what_is_committed_without_its_standby_is_not_acknowledged(pair: Pair, tmp_path: Path, messages: str) -> None:
    """Nor where somebody told the server to keep its warnings to itself."""
    server.psql(pair.primary, f"ALTER SYSTEM SET client_min_messages = {messages}")
    server.psql(pair.primary, "SELECT pg_reload_conf()")
    stage = stage_at(pair.url, tmp_path)
    customer, given = gave(stage)
    failed = cancelled(pair, lambda: stage.withdraw(customer, given) and None)
    assert isinstance(failed, OperationalError), failed


def test_control_psycopg_takes_it_for_a_commit(pair: Pair) -> None:
    def insert() -> None:
        with psycopg.connect(pair.primary.conninfo) as raw:
            raw.execute("CREATE TABLE told (n INTEGER)")

    assert cancelled(pair, insert) is None
