"""A few customers, any order of events, and a model of a hundred lines that says what must be seen after each.

Asks, consents, narrowings, withdrawals, the passing of time, clocks that jump, redaction, imports, backups, restores.
After every step staff read for both purposes, one by one and as a list; what they get is what the model says.
"""

import shutil
import tempfile
from collections.abc import Collection
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from audit import drain
from audit.log import Log
from crm_core import records
from crm_core.imports import importer
from crm_core.reading.planner import Planner
from crm_core.reading.query import Query
from fieldgrant import compose, recovery
from issuer import worker as expiry
from issuer.catalogue import load
from issuer.registry import Registry
from protocol import canonical, consent, credential
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import worker
from runtime import clock
from runtime.clock import Clock, ClockError
from runtime.problem import Problem
from tests.attacks.house import House, Person, Signed
from tests.attacks.model import Person as Expected
from tests.engine import hand
from tests.rounds import told
from verifier import allowance
from verifier.gate import Reader
from verifier.reconcile import Disagreement

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
NAMES = ("contact.email", "address.city", "contact.given_name", "contact.phone")
ASKED = frozenset(map(Field, NAMES))
ROLES = {"marketing": "mei", "service": "sina"}
NOWHERE = (8700,)  # nothing is served
PEOPLE, SPARE = 3, 2  # with a wallet from the start; rows that may still be imported
some_fields = st.frozensets(st.sampled_from(NAMES), min_size=1)
purposes = st.sampled_from(sorted(ROLES))


class Time:
    """A machine's clock that a test turns: `pass_` lets time pass, `leap` sets the wall clock alone."""

    def __init__(self) -> None:
        self.wall, self.elapsed = START, 1000.0

    def pass_(self, by: timedelta) -> None:
        self.wall += by
        self.elapsed += by.total_seconds()

    def leap(self, by: timedelta) -> None:
        self.wall += by

    def clock(self, home: Path) -> Clock:
        home.mkdir(parents=True, exist_ok=True)
        return Clock(home / "mark", wall=lambda: self.wall, elapsed=lambda: self.elapsed, key=b"k" * 32)


@cache
def template() -> Path:
    """A house with its customers, made once and copied for each run."""
    home = Path(tempfile.mkdtemp(prefix="fieldgrant-machine-"))
    house = House(home / "house", NOWHERE, clock=Time().clock(home / "clock"))
    house.build(PEOPLE)
    house.platform.close()
    (home / "subjects").write_text("\n".join(person.subject for person in house.people))
    return home


class Machine(RuleBasedStateMachine):
    """The platform beside its model."""

    runs = over = 0  # of this test, for whoever watches it

    @initialize()
    def open_(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="fieldgrant-machine-"))
        shutil.copytree(template(), self.home, dirs_exist_ok=True, ignore=shutil.ignore_patterns("house"))
        hand.copied_home(template() / "house", self.home / "house")
        self.time = Time()
        self.house = House(self.home / "house", NOWHERE, clock=self.time.clock(self.home / "clock"))
        self.expected: dict[SubjectId, Expected] = {}
        self.wallets: dict[SubjectId, Signed] = {}
        self.asks: list[tuple[SubjectId, str, consent.Ask, frozenset[str]]] = []
        self.documents: dict[str, dict[str, Any]] = {}
        self.answered: set[str] = set()
        self.saved: tuple[Path, frozenset[SubjectId]] | None = None
        self.imported, self.leapt = 0, timedelta()
        for n, subject in enumerate((template() / "subjects").read_text().split()):
            self.welcome(Person(SubjectId(subject), "", ""), f"person{n}@example.org", f"Given{n}", n)

    def welcome(self, person: Person, email: str, given: str, n: int) -> None:
        values = {NAMES[0]: email, NAMES[1]: f"City {n}", NAMES[2]: given, NAMES[3]: f"+861380000{1000 + n}"}
        self.expected[person.subject] = Expected(dict(values))
        self.wallets[person.subject] = self.house.enrol_by_hand(person)
        for purpose, fields in (("marketing", ASKED), ("service", frozenset(NAMES[2:]))):
            self.agree(person.subject, purpose, self.wallets[person.subject].asked(fields, purpose), fields, 150 + n)

    def agree(self, subject: SubjectId, purpose: str, ask: consent.Ask, fields: frozenset[str], hours: int) -> None:
        """The wallet signs and sends; raises what the registry raises, and then nothing is expected of it."""
        wallet, ends = self.wallets[subject], min(self.at + timedelta(hours=hours), ask.latest_until)
        document = wallet.consent(ask, fields, ends)
        self.house.own.registry.consent(canonical.jcs(document), wallet.signer.did)
        self.documents[document["id"]] = document
        self.expected[subject].give(document["id"], purpose, fields, ends)

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self.house.close()
            for file in (self.house.file, self.home / "copy.db"):
                hand.removed(file)
            shutil.rmtree(self.home, ignore_errors=True)
        Machine.over += 1
        told(Machine.over, Machine.runs)

    @property
    def at(self) -> datetime:
        return self.time.wall

    def pick(self, data: st.DataObject, of: Collection[Any]) -> Any:
        # in the order in which they came: ids are random, and a run that is done again must meet the same
        return data.draw(st.sampled_from(list(of)))

    def living(self) -> list[tuple[SubjectId, str]]:
        return [
            (subject, id_)
            for subject, person in self.expected.items()
            for id_, given in person.given.items()
            if given.lives(self.at)
        ]

    trusted = precondition(lambda self: not self.leapt)
    answerable = precondition(lambda self: not self.leapt and self.asks)
    given = precondition(lambda self: not self.leapt and self.living())

    # -- what customers and staff do

    @trusted
    @rule(data=st.data(), purpose=purposes, fields=some_fields, later=st.booleans())
    def ask(self, data: st.DataObject, purpose: str, fields: frozenset[str], later: bool) -> None:
        subject = self.pick(data, self.expected)
        self.time.pass_(timedelta(seconds=1))
        ask = self.wallets[subject].asked(fields, purpose)
        if later or ask.id in self.answered:
            self.asks.append((subject, purpose, ask, fields))
        else:
            self.answered.add(ask.id)
            self.agree(subject, purpose, ask, fields, data.draw(st.integers(1, 200)))

    @answerable
    @rule(data=st.data(), hours=st.integers(1, 200), keep=some_fields)
    def answer(self, data: st.DataObject, hours: int, keep: frozenset[str]) -> None:
        """Each ask is answered once, with some of its fields, until some hour; a second time it is refused."""
        subject, purpose, ask, fields = self.pick(data, self.asks)
        try:
            self.agree(subject, purpose, ask, fields & keep or fields, hours)
        except EvidenceError as error:
            assert error.code in ("stale_ask", "challenge_used"), error.code  # noqa: PT017
            assert self.at >= ask.expires or ask.id in self.answered
        else:
            assert self.at < ask.expires
            assert ask.id not in self.answered
        self.answered.add(ask.id)

    @given
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        subject, id_ = self.pick(data, self.living())
        wallet = self.wallets[subject]
        self.house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(self.documents[id_])), wallet.signer.did)
        self.expected[subject].end(id_)

    @given
    @rule(data=st.data(), keep=some_fields)
    def narrow(self, data: st.DataObject, keep: frozenset[str]) -> None:
        subject, id_ = self.pick(data, self.living())
        wallet, old = self.wallets[subject], self.expected[subject].given[id_]
        smaller = old.fields & keep
        if not smaller or smaller == old.fields:
            return
        registry, document = self.house.own.registry, self.documents[id_]
        offer = registry.offer_narrowing(id_, wallet.signer.did)
        keys = self.house.platform.keys
        verified = credential.verify(canonical.jcs(offer), keys, at=self.at, expected_type=consent.ASK_TYPE)
        less = wallet.consent(consent.parse_ask(verified), smaller, old.ends)
        registry.narrow(canonical.jcs(wallet.withdrawal(document)), canonical.jcs(less), wallet.signer.did)
        self.documents[less["id"]] = less
        self.expected[subject].narrow(id_, less["id"], smaller, old.ends)

    @given
    @rule(data=st.data())
    def withdraw_again(self, data: st.DataObject) -> None:
        """What has ended cannot be ended again, and nothing changes."""
        ended = [
            (subject, id_)
            for subject, person in self.expected.items()
            for id_, given in person.given.items()
            if given.over
        ]
        if ended:
            subject, id_ = self.pick(data, ended)
            wallet = self.wallets[subject]
            with pytest.raises((Problem, EvidenceError)) as refused:
                self.house.own.registry.withdraw(
                    canonical.jcs(wallet.withdrawal(self.documents[id_])), wallet.signer.did
                )
            assert refused.value.code in ("consent_ended", "foreign_consent")

    @trusted
    @precondition(lambda self: self.imported < SPARE)
    @rule()
    def import_(self) -> None:
        n = PEOPLE + self.imported
        self.imported += 1
        row = f"Given{n},Family{n},person{n}@example.org,+861380000{1000 + n},City {n}"
        data = f"First Name,Last Name,Email,Phone Number,City\n{row}".encode()
        platform = self.house.platform
        importer.run(platform, self.house.own.catalogue, data, source="crm", importer=platform.controller)
        known = "', '".join(self.expected)
        [(subject,)] = self.house.sql(f"SELECT subject FROM standing WHERE subject NOT IN ('{known}', '*')")  # noqa: S608
        self.welcome(Person(SubjectId(subject), "", ""), f"person{n}@example.org", f"Given{n}", n)

    # -- time

    @trusted
    @rule(hours=st.integers(1, 100), told=st.booleans())
    def wait(self, hours: int, told: bool) -> None:
        """Time passes; the workers that say so may or may not have looked."""
        self.time.pass_(timedelta(hours=hours))
        for purpose in ROLES:  # nobody has compiled yet what is due: less may be seen, never more
            for subject, one in self.expected.items():
                assert self.read(purpose, subject).keys() <= one.sees(purpose, ASKED, self.at).keys()
        if told:
            expiry.run_once(self.house.own.registry)
            allowance.compile_due(self.house.platform, self.house.own.catalogue)

    @trusted
    @rule(hours=st.sampled_from((2, 23, 24, 25, 10_000, -1, -24, -10_000)))
    def leap(self, hours: int) -> None:
        self.time.leap(timedelta(hours=hours))
        self.leapt = timedelta(hours=hours)

    @precondition(lambda self: self.leapt)
    @rule(confirmed=st.booleans())
    def put_right(self, confirmed: bool) -> None:
        """The clock is right again; if it was ahead, nothing is destroyed before a person has said so."""
        clock = self.house.platform.clock
        with pytest.raises(ClockError):
            clock.now()
        self.time.leap(-self.leapt)
        ahead, self.leapt = self.leapt > timedelta(), timedelta()
        assert isinstance(clock, Clock)
        if ahead and not confirmed:
            with pytest.raises(ClockError):
                worker.run_once(self.house.platform, self.house.own.catalogue)
        clock.confirm()

    # -- the house

    @trusted
    @rule()
    def redact(self) -> None:
        expiry.run_once(self.house.own.registry)  # what a restore shut is settled first, as a server does
        for _ in range(400):
            if not worker.run_once(self.house.platform, self.house.own.catalogue).left:
                break
        else:
            raise AssertionError("redaction does not come to its end")
        drain.drain_all(Log(self.house.platform))
        for subject, person in self.expected.items():
            person.redact(self.at)
            assert self.stored(subject) == person.stored

    @trusted
    @rule()
    def back_up(self) -> None:
        copy = self.home / "copy.db"
        with closing(hand.connect(self.house.file)) as live, closing(hand.connect(copy)) as target:
            live.backup(target)
        self.saved = (copy, frozenset(self.expected))

    @trusted
    @precondition(lambda self: self.saved is not None)
    @rule()
    def restore(self) -> None:
        """The older database takes the place of the present one, is refused where it differs, and rolled forward."""
        assert self.saved is not None
        copy, then = self.saved
        self.house.platform.close()
        for name in ("platform", "own"):
            self.house.__dict__.pop(name, None)
        hand.removed(self.house.file)
        hand.copied(copy, self.house.file)
        try:
            compose.house(self.house.platform)
        except Disagreement:
            assert recovery.restore(self.house.platform, load()).settled
        compose.house(self.house.platform)
        for gone in set(self.expected) - then:
            del self.expected[gone]
            del self.wallets[gone]
        for person in self.expected.values():
            person.restore()
        self.asks = []  # asks of after the backup are gone, and whoever answers one is told so
        allowance.compile_due(self.house.platform, self.house.own.catalogue)

    # -- what must hold after each step

    @invariant()
    def seen(self) -> None:
        if not hasattr(self, "house"):
            return
        if self.leapt:
            with pytest.raises((ClockError, Problem)):
                self.read("marketing", next(iter(self.expected)))
            return
        allowance.compile_due(self.house.platform, self.house.own.catalogue)
        for purpose in ROLES:
            got = {subject: self.read(purpose, subject) for subject in self.expected}
            expected = {subject: one.sees(purpose, ASKED, self.at) for subject, one in self.expected.items()}
            for subject, one in self.expected.items():
                for name in one.awaited & expected[subject].keys():
                    assert got[subject][name] in (expected[subject][name], None)
                    expected[subject][name] = got[subject][name]
            assert got == expected
            assert self.listed(purpose) == got

    def stored(self, subject: SubjectId) -> dict[str, Any]:
        """What the present keys open of a customer, past the gate."""
        with self.house.platform.database.read() as session:
            record = records.load(session, subject)
            assert record is not None
            held = records.stored_fields(session, self.house.platform, subject)
            return dict(records.open_fields(self.house.platform, record, sorted(ASKED & held)))

    def visit(self, purpose: str) -> Any:
        staff = self.house.staff(ROLES[purpose])
        return self.house.own.gate.visit(Reader(did=staff.did, role=staff.role, account=staff.account), purpose)

    def read(self, purpose: str, subject: SubjectId) -> dict[str, Any]:
        planner = Planner(self.house.platform, self.house.own.gate)
        with planner.one(self.visit(purpose), subject, tuple(sorted(ASKED))) as (_, page):
            return dict(page.items[0].fields)

    def listed(self, purpose: str) -> dict[SubjectId, dict[str, Any]]:
        planner = Planner(self.house.platform, self.house.own.gate)
        with planner.page(self.visit(purpose), Query(select=tuple(sorted(ASKED)), limit=50)) as (_, page):
            return {item.subject: dict(item.fields) for item in page.items}


def played(runs: int, steps: int, **other: Any) -> None:
    Machine.runs, Machine.over = runs, 0
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Machine,
        settings=settings(
            max_examples=runs, stateful_step_count=steps, deadline=None, derandomize=runs < 100,
            suppress_health_check=list(HealthCheck), **other,
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("runs", "steps"),
    [(6, 30), pytest.param(1000, 50, marks=pytest.mark.torture)],
)
def test_whatever_happens_in_whatever_order_staff_see_what_the_model_says(runs: int, steps: int) -> None:
    played(runs, steps)


@pytest.mark.parametrize(
    ("owner", "name", "bent"),
    [
        (Registry, "withdraw", lambda *_: None),
        (clock, "FORWARDS", timedelta(days=1000)),
        (recovery, "restore", lambda *_: SimpleNamespace(settled=True)),
    ],
    ids=["withdraws_nothing", "believes_a_jump", "rolls_nothing_forward"],
)
def test_control_with_a_protection_broken_it_is_seen(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, bent: object
) -> None:
    monkeypatch.setattr(owner, name, bent)
    with pytest.raises((AssertionError, Disagreement, pytest.fail.Exception)):
        played(30, 30, phases=[Phase.generate], report_multiple_bugs=False)
