"""The plug is pulled on a server at random moments: nothing acknowledged is lost, nothing withdrawn comes back."""

import json
import os
import random
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from audit.log import Log
from fieldgrant.cli import build
from protocol import canonical
from redaction import fate
from tests.attacks import forked
from tests.attacks.house import EMAIL, House, Signed, built
from tests.engine import hand
from tests.rounds import rounds

ROUNDS = int(os.environ.get("FIELDGRANT_TEST_KILLS", "3"))
WALLETS = 4
NAME = "contact.given_name"  # kept by the contract's ground: it can be given and taken back as often as one likes


@dataclass(slots=True)
class Life:
    """What one customer did; `given` and `withdrawal` are what was not answered yet."""

    wallet: Signed
    given: dict[str, Any] | None = None
    withdrawal: dict[str, Any] | None = None
    consents: int = 0
    withdrawals: int = 0
    reads: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Consent, read, withdraw, read, and so on, until the plug is pulled."""
        try:
            with httpx.Client(timeout=30) as client:
                while not stop.is_set():
                    self.settle(client)
                    self.step(client)
        except httpx.HTTPError:
            return

    def answers(self) -> int:
        return self.consents + self.withdrawals + self.reads

    def settle(self, client: httpx.Client) -> None:
        """Send again what has no answer yet: the same bytes, as a wallet does."""
        if self.withdrawal is not None:
            self._end(client)
        elif self.given is not None:
            self._begin(client)

    def step(self, client: httpx.Client) -> None:
        if self.given is None:
            self.given = self.wallet.consent(self.wallet.asked([NAME]))
            self._begin(client)
        if not self._seen(client):
            self.wrong.append("an acknowledged consent shows nothing")
        self.withdrawal = self.wallet.withdrawal(self.given)
        self._end(client)
        if self._seen(client):
            self.wrong.append("an acknowledged withdrawal shows the value")

    def _begin(self, client: httpx.Client) -> None:
        assert self.given is not None
        answer = self.wallet.send("/issuer/wallet/consents", {"consent": self.given}, client)
        if not answer.is_success:
            self.wrong.append(f"consent: {answer.text[:200]}")
        self.consents += 1

    def _end(self, client: httpx.Client) -> None:
        answer = self.wallet.send("/issuer/wallet/withdrawals", {"withdrawal": self.withdrawal}, client)
        if not answer.is_success:
            self.wrong.append(f"withdrawal: {answer.text[:200]}")
        self.given = self.withdrawal = None
        self.withdrawals += 1

    def _seen(self, client: httpx.Client) -> bool:
        house, person = self.wallet.house, self.wallet.person
        url = f"{house.url(0)}/crm/customers/{person.subject}?purpose=marketing"
        answer = client.get(url, headers=house.desk("mei"))
        if answer.status_code != 200:
            self.wrong.append(f"read: {answer.text[:200]}")
        self.reads += 1
        return NAME in answer.json()["fields"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with built(tmp_path_factory.mktemp("house"), customers=2 * WALLETS + 2) as made:
        yield made


def restarted(house: House) -> bool:
    """Start the server again; True when it asked for `reconcile` first, which then brings it back."""
    refused = ""
    try:
        forked.start(house, 0)
    except RuntimeError as refusal:
        refused = str(refusal)
    if not refused:
        return False
    last = refused.strip().splitlines()[-1]
    assert "journal_ahead" in last, refused
    assert "run fieldgrant reconcile" in last
    settings = house.settings
    arguments = ["reconcile", "--data", str(settings.data_dir), "--keys", str(settings.keys_dir), "--json"]
    done = CliRunner().invoke(build("reconcile"), arguments)
    assert done.exit_code == 0, done.output
    forked.start(house, 0)
    return True


def answered(lives: list[Life], count: int) -> None:
    """Wait for so many answers, however slow the machine is: a kill before anything was done proves nothing."""
    before, until = sum(map(Life.answers, lives)), time.monotonic() + 120
    while sum(map(Life.answers, lives)) < before + count:
        assert time.monotonic() < until, "the server does not answer"
        time.sleep(0.001)


@pytest.mark.parametrize("moments", [ROUNDS, pytest.param(300, marks=pytest.mark.torture)])
def test_killed_at_random_moments_nothing_acknowledged_is_lost(house: House, moments: int) -> None:
    chance = random.Random()  # noqa: S311 - moments, not secrets
    lives = [Life(house.enrol_by_hand(house.people.pop())) for _ in range(WALLETS)]
    forked.start(house, 0)
    for _ in rounds(moments):
        stop = threading.Event()
        threads = [threading.Thread(target=life.run, args=(stop,), daemon=True) for life in lives]
        for thread in threads:
            thread.start()
        answered(lives, chance.randint(2, 16))
        time.sleep(chance.uniform(0.0, 0.05))
        house.kill(0)
        stop.set()
        for thread in threads:
            thread.join(60)
        restarted(house)
    with httpx.Client(timeout=60) as client:
        for life in lives:
            life.settle(client)  # what had no answer gets one, whatever the crash left of it
            expected = life.given is not None
            assert life._seen(client) is expected
    assert [life.wrong for life in lives] == [[]] * WALLETS
    assert sum(life.withdrawals for life in lives) >= moments
    print(f"{moments} kills, {sum(map(Life.answers, lives))} answers between them")
    settle(house)
    house.stop()
    nothing_doubled(house)


def settle(house: House, limit: float = 60.0) -> None:
    """Wait until the workers have nothing left to do."""
    left = (
        "SELECT (SELECT count(*) FROM settling WHERE settled_at IS NULL) "
        "+ (SELECT count(*) FROM redaction_job WHERE step <> 'done') "
        "+ (SELECT max(id) FROM outbox) - (SELECT max(outbox_id) FROM log_entry) "
        "+ (SELECT count(*) FROM standing s LEFT JOIN lapse l ON l.subject = s.subject "
        "WHERE l.done_version IS NULL OR l.done_version < s.version)"
    )
    until = time.monotonic() + limit
    while house.sql(left) != [(0,)]:
        assert time.monotonic() < until, house.sql(left)
        time.sleep(0.2)


def nothing_doubled(house: House) -> None:
    """Events, receipts, dispositions and certificates: each once; and the log is whole."""
    for what, where in (
        ("key", "outbox WHERE key IS NOT NULL"),
        ("event_id", "outbox"),
        ("about", "credential WHERE kind = 'receipt'"),
        ("outbox_id", "log_entry"),
    ):
        doubled = house.sql(f"SELECT {what}, count(*) FROM {where} GROUP BY 1 HAVING count(*) > 1")  # noqa: S608 - ours
        assert doubled == [], what
    fates = Counter(
        (subject, one.field, one.action, one.causes)
        for job, subject, packed in house.sql("SELECT id, subject, fates FROM redaction_job")
        for one in fate.unpack(job, subject, packed)
    )
    assert [one for one, times in fates.items() if times > 1] == []
    ended = {id_ for (id_,) in house.sql("SELECT id FROM credential WHERE kind = 'consent' AND ended_at IS NOT NULL")}
    shut = [
        one["data"]["credential"]
        for (records,) in house.sql("SELECT records FROM outbox WHERE type = 'consent.shut'")
        for one in json.loads(records)
    ]
    assert sorted(one for one in shut if one in ended) == sorted(ended)
    certified = house.sql("SELECT count(*) FROM credential WHERE kind = 'certificate'")
    assert certified == house.sql("SELECT count(*) FROM redaction_job")
    assert house.sql("SELECT count(*) FROM quarantine") == [(0,)]
    log = Log(house.platform)
    with house.platform.database.read() as session:
        head = log.check(session)
    assert [(head.size,)] == house.sql("SELECT count(*) FROM outbox")


def test_a_narrowing_that_only_the_journal_knows_stops_the_start_until_reconcile(house: House) -> None:
    """The plug between journal and commit: nobody can hit that moment by chance, so the commit is made to fail."""
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give()
    withdrawal = wallet.withdrawal(given)
    begin = house.platform.database.write

    class Pulled(BaseException):
        pass

    @contextmanager
    def pulled() -> Iterator[Any]:
        with begin() as session:
            yield session
            raise Pulled

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(house.platform.database), "write", lambda *_: pulled())
        with pytest.raises(Pulled):
            house.own.registry.withdraw(canonical.jcs(withdrawal), wallet.signer.did)
    assert restarted(house) is True
    try:
        assert house.shown(wallet.person) == {}
        assert house.reasons(wallet.person)[EMAIL] == "withdrawn"
        with httpx.Client(timeout=60) as client:
            receipt = wallet.send("/issuer/wallet/withdrawals", {"withdrawal": withdrawal}, client)
            again = wallet.send("/issuer/wallet/withdrawals", {"withdrawal": withdrawal}, client)
        assert receipt.is_success, receipt.text
        assert receipt.json() == again.json()
        settle(house)
    finally:
        house.stop()
    nothing_doubled(house)


@pytest.mark.parametrize("with_journal", [False, True])
def test_a_database_rolled_back_as_a_whole_revives_nothing_unless_the_journal_goes_with_it(
    house: House, with_journal: bool
) -> None:
    """Without its journal: the control, and what only wallets and witnesses can see (DESIGN, 7)."""
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([NAME])
    copy, journal = house.home / "copy.db", house.settings.journal_dir / "journal.jsonl"
    with closing(hand.connect(house.file)) as live, closing(hand.connect(copy)) as target:
        live.backup(target)
    shutil.copy(journal, house.home / "journal")
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    with closing(hand.connect(copy)) as old, closing(hand.connect(house.file)) as live:
        old.backup(live)
    if with_journal:
        shutil.copy(house.home / "journal", journal)
    assert restarted(house) is not with_journal
    try:
        assert (NAME in house.shown(wallet.person)) is with_journal
    finally:
        house.stop()
