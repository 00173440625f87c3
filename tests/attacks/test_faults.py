"""A disk that is full, fails or takes no writes, at each step of the way: nothing is done by halves, nothing is lost.

What was not acknowledged may have been done or not; what was, is. Once the disk is well the same is done again, by the
same process or by a new one, and comes to the same end as if nothing had been.
"""

import errno
import itertools
import json
import os
import random
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import event
from sqlmodel import select

from audit import drain
from audit.log import Log, leaf_count
from crm_core import records
from crm_core.reading.planner import Planner
from fieldgrant import recovery
from issuer import worker as desk
from issuer.catalogue import load
from protocol import canonical
from protocol.errors import EvidenceError
from redaction import worker
from redaction.archive import Archived
from redaction.worker import FAILURES
from runtime.clock import ClockError, FixedClock
from runtime.journal import KEY, Journal, JournalError
from runtime.problem import Problem
from tests.attacks import faults, forked
from tests.attacks.house import CITY, EMAIL, House, Signed, built
from tests.attacks.test_crashes import nothing_doubled, restarted, settle
from tests.engine import hand
from tests.rounds import rounds
from verifier.gate import Reader
from verifier.reconcile import Disagreement
from verifier.recorder import Recorder

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
KNOWN = (Problem, ClockError, sqlite3.Error, *FAILURES)
NOWHERE = (8700,)  # nothing is served
GIVEN = (CITY, EMAIL)
GIVEN_NAME = "contact.given_name"  # the contract keeps it: it can be given and taken back as often as one likes
PASSES = 60


@dataclass
class Case:
    """A house on its own disk, and a customer to whom something is about to be done."""

    house: House
    who: Signed
    body: bytes = b""
    tells: int = 0  # reads that returned a value
    answers: list[Any] = field(default_factory=list)

    def shown(self) -> set[str]:
        """What staff get of the customer."""
        staff = self.house.staff("mei")
        reader = Reader(did=staff.did, role=staff.role, account=staff.account)
        visit = self.house.own.gate.visit(reader, "marketing")
        planner = Planner(self.house.platform, self.house.own.gate)
        with planner.one(visit, self.who.person.subject, GIVEN) as (_, page):
            found = {name for name, value in page.items[0].fields.items() if value is not None}
        self.tells += 1
        return found

    def stored(self) -> set[str]:
        """What the present keys open."""
        with self.house.platform.database.read() as session:
            record = records.load(session, self.who.person.subject)
            assert record is not None
            return set(records.open_fields(self.house.platform, record, records.stored(record)))

    def archived(self) -> int:
        with self.house.platform.database.read() as session:
            return len(session.exec(select(Archived)).all())

    def certificates(self) -> int:
        return int(self.house.sql("SELECT count(*) FROM credential WHERE kind = 'certificate'")[0][0])

    def later(self, by: timedelta = timedelta(minutes=5)) -> None:
        clock = self.house.platform.clock
        assert isinstance(clock, FixedClock)
        clock.advance(by)

    def anew(self) -> None:
        """A new process, as an operator starts one: `reconcile` where it asks for that."""
        self.house.platform.close()
        for name in ("platform", "own"):
            self.house.__dict__.pop(name, None)
        try:
            assert self.house.own
        except Disagreement:
            assert recovery.restore(self.house.platform, load()).settled
            assert self.house.own

    def redacted(self) -> None:
        """Passes of redaction, until nothing is left of itself."""
        for _ in range(PASSES):
            if not worker.run_once(self.house.platform, self.house.own.catalogue).left:
                return
            self.later()
        raise AssertionError("dispositions do not come to their end")

    def settled(self) -> None:
        """What the workers do, to its end; and nothing is doubled or lost in it."""
        self.later()
        desk.run_once(self.house.own.registry)
        self.redacted()
        drain.drain_all(Log(self.house.platform))
        nothing_doubled(self.house)


def _withdraw(case: Case) -> None:
    case.answers.append(case.house.own.registry.withdraw(case.body, case.who.signer.did))


def _consent(case: Case) -> None:
    case.answers.append(case.house.own.registry.consent(case.body, case.who.signer.did))


def _redact(case: Case) -> None:
    """Some passes; each step that fails is noted and tried again."""
    for _ in range(6):
        worker.run_once(case.house.platform, case.house.own.catalogue)
        case.later()


def _log(case: Case) -> None:
    drain.drain_all(Log(case.house.platform))


def _giving(case: Case) -> None:
    case.body = canonical.jcs(case.who.consent(case.who.asked(GIVEN)))


def _given(case: Case) -> None:
    case.body = canonical.jcs(case.who.withdrawal(case.who.give(GIVEN)))


def _lapsed(case: Case) -> None:
    _given(case)
    _withdraw(case)


def _archived(case: Case) -> None:
    _lapsed(case)
    case.redacted()
    case.who.give([EMAIL])


def _acknowledged(case: Case) -> None:
    """A receipt is given for an end that is in the journal on the disk, and nothing else."""
    if case.answers:
        house = case.house
        ended = json.loads(case.body)["credentialSubject"]["withdrawsConsent"]["consent"]["id"]
        assert Journal(house.settings.journal_dir, house.platform.keyring.secret(KEY)).ended(ended)
        assert case.shown() == set()


def _recorded(case: Case) -> None:
    """A value was returned only if that is on record."""
    assert len(case.house.told(case.who.person, "release")) >= case.tells


def _certified(case: Case) -> None:
    """A certificate is given for what no key opens, and nothing else."""
    assert not case.certificates() or not case.stored() & set(GIVEN)


def _receipted(case: Case) -> None:
    """A receipt is given for a consent that holds, also in a new process, and for nothing else."""
    assert not case.answers or case.shown() == set(GIVEN)


def _somewhere(case: Case) -> None:
    """What comes back is in the archive or in the open part, and in one of them."""
    assert (case.archived(), case.stored() & {EMAIL}) in ((1, set()), (0, {EMAIL}))


def _signed(case: Case) -> None:
    """The head on the disk is one that we signed, over no more leaves than there are events."""
    log = Log(case.house.platform)
    with case.house.platform.database.read() as session:
        assert log.head().size <= drain.newest(log)
        assert drain.drained_until(session) <= drain.newest(log)


def _logged(case: Case) -> bool:
    """Every event is a leaf under the head."""
    log = Log(case.house.platform)
    with case.house.platform.database.read() as session:
        return drain.drained_until(session) == drain.newest(log) and log.head().size == leaf_count(session)


@dataclass(frozen=True, slots=True)
class Way:
    """What is done, from where; what may be believed while it fails; and what has come of it at last."""

    prepare: Callable[[Case], None]
    act: Callable[[Case], object]
    closed: Callable[[Case], None]
    came: Callable[[Case], bool]


WAYS = {
    "consent": Way(_giving, _consent, _receipted, lambda case: case.shown() == set(GIVEN)),
    "read": Way(_given, Case.shown, _recorded, lambda case: case.shown() == set(GIVEN)),
    "withdrawal": Way(_given, _withdraw, _acknowledged, lambda case: case.shown() == set()),
    "redaction": Way(
        _lapsed, _redact, _certified, lambda case: (case.archived(), case.stored() & {CITY, EMAIL}) == (1, set())
    ),
    "restore": Way(
        _archived, _redact, _somewhere, lambda case: (case.archived(), case.stored() & {CITY, EMAIL}) == (0, {EMAIL})
    ),
    "log": Way(_given, _log, _signed, _logged),
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A house as it is before something is done, to be copied."""

    home: Path
    who: Signed
    body: bytes
    steps: tuple[str, ...]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Signed]:
    """One customer with a wallet, in a house that nobody has open."""
    home = tmp_path_factory.mktemp("base") / "house"
    house = House(home, NOWHERE, clock=FixedClock(START))
    house.build(1)
    who = house.enrol_by_hand(house.people[0])
    house.close()
    return home, who


def opened(home: Path, source: Path, who: Signed, body: bytes = b"") -> Case:
    hand.copied_home(source, home)
    house = House(home, NOWHERE, clock=FixedClock(START + timedelta(minutes=1)))
    return Case(house, Signed(house, who.person, who.signer), body)


def prepared(way: Way, base: tuple[Path, Signed], home: Path) -> Prepared:
    """The house where it begins, and how many steps the way has when nothing fails."""
    case = opened(home / "before", *base)
    way.prepare(case)
    case.house.close()
    before = Prepared(home / "before", case.who, case.body, ())
    case = opened(home / "clean", before.home, before.who, before.body)
    assert case.house.own
    with faults.watched(case.house.home) as disk:
        way.act(case)
        steps = list(disk.steps)
    assert way.came(case), "the way does not lead there"
    case.house.close()
    shutil.rmtree(case.house.home)
    print(len(steps), "steps:", ", ".join(steps))
    return Prepared(before.home, before.who, before.body, tuple(steps))


@dataclass(frozen=True, slots=True)
class Fault:
    """At which step, how, for how long; and who takes it up again."""

    at: int
    error: int
    late: bool
    lasting: bool
    anew: bool


def failing(way: Way, before: Prepared, fault: Fault, home: Path) -> None:
    """Do it while the disk fails, look, heal the disk, do it again, look."""
    case = opened(home, before.home, before.who, before.body)
    try:
        assert case.house.own
        with faults.watched(case.house.home) as disk:
            disk.fails(fault.at, fault.error, late=fault.late, lasting=fault.lasting)
            with suppress(*KNOWN):
                way.act(case)
            assert disk.failed, "the fault was not met"
            disk.heals()
            way.closed(case)
        if fault.anew:
            case.anew()
            way.closed(case)
        case.later()
        way.act(case)
        assert way.came(case)
        case.settled()
        assert way.came(case)
        _recorded(case)
    finally:
        case.house.close()
        shutil.rmtree(home)


def chosen(steps: int, every: bool) -> list[Fault]:
    """Each step, in each way in which it can fail; or some that chance names."""
    whole = [
        Fault(at, faults.ERRORS[(at + number) % 3], late, lasting, anew)
        for at in range(steps)
        for number, (late, lasting, anew) in enumerate(itertools.product((False, True), repeat=3))
    ]
    if every:
        return whole
    dice = random.Random(20261123)  # noqa: S311 - samples, not secrets
    return sorted(dice.sample(whole, 6), key=lambda one: one.at)


@pytest.mark.parametrize("every", [False, pytest.param(True, marks=pytest.mark.torture)], ids=["some", "every"])
@pytest.mark.parametrize("name", WAYS)
def test_whatever_step_fails_nothing_is_believed_too_early_and_it_comes_to_its_end(
    name: str, every: bool, base: tuple[Path, Signed], tmp_path: Path
) -> None:
    way = WAYS[name]
    before = prepared(way, base, tmp_path)
    faulted = chosen(len(before.steps), every)
    wrong = []
    for number, fault in zip(rounds(len(faulted)), faulted, strict=True):
        try:
            failing(way, before, fault, tmp_path / str(number))
        except Exception as error:  # noqa: BLE001 - all that goes wrong is told together
            wrong.append((fault, repr(error)[:300]))
    assert wrong == []


Careless = Callable[[pytest.MonkeyPatch], None]


def _unrecorded(patch: pytest.MonkeyPatch) -> None:
    """Whoever reads is answered, whatever became of the record."""
    record = Recorder.record

    def careless(self: Recorder, *told: Any, **more: Any) -> str:
        with suppress(Problem):
            return record(self, *told, **more)
        return "urn:uuid:nothing"

    patch.setattr(Recorder, "record", careless)


def _unjournalled(patch: pytest.MonkeyPatch) -> None:
    """What ends is acknowledged, whatever became of the journal."""
    append = Journal.append_all

    def careless(self: Journal, entries: Any) -> int:
        with suppress(JournalError):
            return append(self, entries)
        return 0

    patch.setattr(Journal, "append_all", careless)


@pytest.mark.parametrize(
    ("name", "step", "carelessly", "found"),
    [("read", "commit", _unrecorded, AssertionError), ("withdrawal", "write", _unjournalled, EvidenceError)],
)
def test_control_who_does_not_look_at_the_disk_is_found_out(  # noqa: PLR0917 - what is done, and where
    name: str, step: str, carelessly: Careless, found: type[Exception], base: tuple[Path, Signed], tmp_path: Path
) -> None:
    """A read by this test; a withdrawal by what follows it: no receipt for an end that the journal does not know."""
    before = prepared(WAYS[name], base, tmp_path)
    fault = Fault(before.steps.index(step), errno.ENOSPC, False, False, False)
    failing(WAYS[name], before, fault, tmp_path / "protected")
    with pytest.MonkeyPatch.context() as patch:
        carelessly(patch)
        with pytest.raises(found):
            failing(WAYS[name], before, fault, tmp_path / "careless")


def reads(case: Case, count: int) -> None:
    for _ in range(count):
        case.shown()


def limited(case: Case, pages: int) -> None:
    """From now on the database holds no more pages than that."""
    engine = case.house.platform.database.engine

    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    engine.dispose()
    event.listen(engine, "connect", limit)


@pytest.mark.sqlite("its own words for a full disk")
@pytest.mark.parametrize("name", WAYS)
def test_a_database_that_can_grow_no_more_fails_closed_and_goes_on_when_it_can(
    name: str, base: tuple[Path, Signed], tmp_path: Path
) -> None:
    """SQLite's own word (SQLITE_FULL), in the middle of a statement."""
    way = WAYS[name]
    case = opened(tmp_path / "full", *base)
    try:
        way.prepare(case)
        case.house.sql("VACUUM")
        ((held,),) = case.house.sql("PRAGMA page_count")
        limited(case, held)
        with pytest.raises(Problem, match="record of this read"):
            reads(case, 40)  # each is on record, until that finds no room
        with suppress(*KNOWN):
            way.act(case)
        way.closed(case)
        limited(case, 1 << 30)
        case.later()
        way.act(case)
        case.settled()
        assert way.came(case)
    finally:
        case.house.close()


def limited_server() -> None:
    """In a server process: no file may grow beyond so many bytes, SQLite's neither (EFBIG: to us, a full disk)."""
    most = int(os.environ["FIELDGRANT_TEST_FILE_SIZE"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


@dataclass
class Patron:
    """A wallet that gives and takes back over HTTP, and sends again what got no receipt."""

    wallet: Signed
    client: httpx.Client
    sent: tuple[str, dict[str, Any]] | None = None  # not answered yet
    given: dict[str, Any] | None = None  # acknowledged
    reads: int = 0

    def goes_on(self) -> httpx.Response:
        """The next step, or the last one again."""
        if self.sent is None and self.given is None:
            self.sent = "consent", self.wallet.consent(self.wallet.asked([GIVEN_NAME]))
        elif self.sent is None and self.given is not None:
            self.sent = "withdrawal", self.wallet.withdrawal(self.given)
        assert self.sent is not None
        what, document = self.sent
        answer = self.wallet.send(f"/issuer/wallet/{what}s", {what: document}, self.client)
        if answer.is_success:
            self.given, self.sent = document if what == "consent" else None, None
        return answer

    def read(self) -> httpx.Response:
        """What staff get; never a value that was not given, or is taken back."""
        house, person = self.wallet.house, self.wallet.person
        url = f"{house.url(0)}/crm/customers/{person.subject}?purpose=marketing"
        answer = self.client.get(url, headers=house.desk("mei"))
        shown = answer.is_success and GIVEN_NAME in answer.json()["fields"]
        self.reads += shown
        assert answer.is_success or "Given" not in answer.text
        if self.sent is None:
            assert not shown or self.given is not None, "an acknowledged withdrawal shows the value"
            assert shown or not answer.is_success or self.given is None, "an acknowledged consent shows nothing"
        return answer


def until_full(patrons: list[Patron]) -> None:
    """Until nothing goes any more, and then a while on; what is refused is a problem with a code."""
    refused = 0
    for turn in range(2_000):
        for answer in (patrons[turn % len(patrons)].goes_on(), patrons[turn % len(patrons)].read()):
            if answer.is_success:
                continue
            refused += 1
            assert answer.status_code == 503, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        if refused >= 12:
            return
    raise AssertionError("the disk was never full")


@pytest.mark.sqlite("its write-ahead log")
def test_a_server_whose_disk_is_full_acknowledges_and_returns_nothing_and_a_new_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with built(tmp_path, customers=3) as house, httpx.Client(timeout=60) as client:
        patrons = [Patron(house.enrol_by_hand(house.people.pop()), client) for _ in range(3)]
        assert house.tokens
        log = house.file.with_name(f"{house.file.name}-wal")
        monkeypatch.setenv("FIELDGRANT_TEST_FILE_SIZE", str(log.stat().st_size + (1 << 20)))
        forked.start(house, 0, before=limited_server)
        until_full(patrons)
        house.kill(0)
        restarted(house)
        for patron in patrons:
            while patron.sent is not None:
                assert patron.goes_on().is_success
            assert patron.read().is_success
        releases = sum(len(house.told(patron.wallet.person, "release")) for patron in patrons)
        assert releases >= sum(patron.reads for patron in patrons)
        settle(house)
        house.stop()
        nothing_doubled(house)


@pytest.mark.sqlite("tests/postgresql/test_outages.py holds the other")
def test_a_database_that_somebody_holds_is_waited_for_and_no_longer_than_that(
    base: tuple[Path, Signed], tmp_path: Path
) -> None:
    """Slow, then down: first it comes through, then nothing is acknowledged or shown, then it goes on."""
    case = opened(tmp_path / "held", *base)
    _given(case)
    try:
        with closing(sqlite3.connect(case.house.file, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            threading.Timer(0.5, other.execute, ["ROLLBACK"]).start()
            assert case.shown() == set(GIVEN)
            other.execute("BEGIN IMMEDIATE")
            impatient(case)
            for act in (case.shown, lambda: _withdraw(case)):
                with pytest.raises(KNOWN):
                    act()
            assert case.answers == []
            other.execute("ROLLBACK")
        _withdraw(case)
        assert case.shown() == set()
        case.settled()
        _recorded(case)
    finally:
        case.house.close()


def impatient(case: Case) -> None:
    """A lock is waited for only 0.2 s, not ten."""
    engine = case.house.platform.database.engine
    engine.dispose()
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA busy_timeout=200"))
