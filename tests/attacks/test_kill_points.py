"""A server killed by SIGKILL at each named step of a withdrawal, of the drain and of a reconciliation: nothing is lost.

The withdrawal's bytes are sent again, as a wallet does that got no answer; what follows takes up where it was left.
"""

import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from audit import drain
from audit.log import Log
from fieldgrant import compose, recovery
from issuer import receipts, registry, settling
from issuer.desk import Desk
from issuer.live import LiveCatalogue
from protocol import canonical
from protocol.did import Did
from runtime import crash, outbox
from runtime.journal import Journal
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.settings import Settings
from tests.attacks.house import CITY, House, Signed, built
from tests.attacks.test_crashes import nothing_doubled
from tests.engine import hand
from tests.redaction import test_crash, test_ending
from verifier.reconcile import Disagreement

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.attacks.house"])
KILLED = -signal.SIGKILL
WITHDRAWAL, DRAIN = ("withdrawal", "settle"), ("drain", "publish", "agree")
RECONCILIATION = ("replay", "rebuild", "rollforward")
TILES = "rebuild.before"  # reached only where tiles are written anew


def settings_of(home: Path, url: str) -> Settings:
    return Settings(home=home, mail_dir=home / "mail", base_url=url)


def withdraw(home: Path, url: str, point: str | None, body: bytes, did: str) -> None:
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_of(home, url))
    compose.house(platform).registry.withdraw(body, Did(did))
    platform.close()


def log(home: Path, url: str, point: str | None) -> None:
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_of(home, url))
    drain.drain_all(Log(platform))
    platform.close()


def reconcile(home: Path, url: str, point: str | None) -> None:
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_of(home, url))
    recovery.restore(platform, LiveCatalogue(platform))
    platform.close()


def run(target: object, *arguments: object) -> int | None:
    process = PROCESSES.Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join(60)
    return process.exitcode


def points(*steps: str) -> list[str]:
    return [f"{step}.{moment}" for step in steps for moment in ("before", "within", "after")]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path, customers=2) as made:
        yield made


def reopened(house: House) -> House:
    """What another process did is seen by one that starts after it; a crash may have asked for `reconcile` first."""
    house.platform.close()
    for name in ("platform", "own"):
        house.__dict__.pop(name, None)
    try:
        assert house.own
    except Disagreement:  # the plug between journal and commit
        assert run(reconcile, house.home, house.url(0), None) == 0
        house.__dict__.pop("platform").close()
        house.__dict__.pop("own", None)
    return house


def ended_once(house: House, wallet: Signed, given: str) -> None:
    drain.drain_all(Log(house.platform))
    (row,) = house.sql("SELECT ended_kind FROM credential WHERE id = ?", given)
    assert row == ("withdrawn",)
    for kind in ("consent.withdrawn", "consent.shut"):
        assert len(house.told(wallet.person, kind)) == 1, kind
    (receipts,) = house.sql(
        "SELECT count(*) FROM credential r JOIN credential w ON r.about = w.id "
        "WHERE r.kind = 'receipt' AND w.kind = 'withdrawal'"
    )
    assert receipts == (1,)
    assert house.platform.journal.ended(given)


@pytest.mark.parametrize("point", points(*WITHDRAWAL))
def test_a_withdrawal_killed_at_a_step_and_sent_again_ends_the_consent_once(house: House, point: str) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([CITY])
    body = canonical.jcs(wallet.withdrawal(given))
    assert run(withdraw, house.home, house.url(0), point, body, wallet.signer.did) == KILLED
    reopened(house).own.registry.withdraw(body, wallet.signer.did)
    ended_once(house, wallet, str(given["id"]))


def unjournalled(home: Path, url: str, point: str, body: bytes, did: str) -> None:
    """A control: the journal is told after the commit, by a process that dies before it comes to that."""
    later: list[dict[str, Any]] = []
    append = Journal.append
    Journal.append = lambda _, entry: later.append(dict(entry))  # type: ignore[assignment, method-assign]
    platform = Platform.open(settings_of(home, url))
    os.environ[crash.VARIABLE] = point
    compose.house(platform).registry.withdraw(body, Did(did))
    for entry in later:
        append(platform.journal, entry)


def settled_first(home: Path, url: str, point: str, body: bytes, did: str) -> None:
    """A control: what follows a withdrawal is marked as done before it is: the drain, the word of it, the receipt."""
    right = settling.settle

    def wrong(desk: Desk, *ids: str) -> Any:
        with desk.platform.database.write("owner") as session:
            session.connection().exec_driver_sql("UPDATE settling SET settled_at = at")
        os.environ[crash.VARIABLE] = point
        return right(desk, *ids)

    registry.settle = wrong  # type: ignore[attr-defined]
    platform = Platform.open(settings_of(home, url))
    compose.house(platform).registry.withdraw(body, Did(did))


@pytest.mark.parametrize(("target", "point"), [(unjournalled, "withdrawal.after"), (settled_first, "settle.before")])
def test_control_a_withdrawal_without_what_protects_it_is_missed(
    house: House, target: object, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No journal before the commit; or marks before acts, and nobody looks whether a marked one was told of."""
    if target is settled_first:
        monkeypatch.setattr(receipts, "of", lambda session, answered: {})
        monkeypatch.setattr(settling, "shut_event", lambda session, id_: session.get(settling.Settling, id_))
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([CITY])
    body = canonical.jcs(wallet.withdrawal(given))
    assert run(target, house.home, house.url(0), point, body, wallet.signer.did) == KILLED
    with pytest.raises((AssertionError, Disagreement)):  # a start-up sees by itself what the journal lacks
        sent_again(house, wallet, given, body)


def sent_again(house: House, wallet: Signed, given: dict[str, Any], body: bytes) -> None:
    with suppress(Problem):  # no receipt was made
        reopened(house).own.registry.withdraw(body, wallet.signer.did)
    ended_once(house, wallet, str(given["id"]))


@pytest.mark.parametrize("point", points(*DRAIN))
def test_a_drain_killed_at_a_step_logs_each_event_once(house: House, point: str) -> None:
    """And the next start finds nothing wrong: an end that no head covers yet is in the outbox."""
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([CITY])
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    assert run(log, house.home, house.url(0), point) == KILLED
    recovery.check(house.platform)
    assert run(log, house.home, house.url(0), None) == 0
    reopened(house)
    (events,), (entries,) = house.sql("SELECT count(*) FROM outbox"), house.sql("SELECT count(*) FROM log_entry")
    assert events == entries
    with house.platform.database.read() as session:
        assert Log(house.platform).check(session).size == entries[0]


@pytest.mark.parametrize("point", [one for one in points(*RECONCILIATION) if one != TILES])
def test_a_reconciliation_killed_at_a_step_is_taken_up_by_the_next(house: House, point: str) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([CITY])
    drain.drain_all(Log(house.platform))
    copy = house.home / "copy.db"
    with closing(hand.connect(house.file)) as live, closing(hand.connect(copy)) as target:
        live.backup(target)
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    drain.drain_all(Log(house.platform))
    old = Log(house.platform).head()
    house.platform.close()
    hand.copied(copy, house.file)
    assert run(reconcile, house.home, house.url(0), point) == KILLED
    assert run(reconcile, house.home, house.url(0), None) == 0
    for name in ("platform", "own"):
        house.__dict__.pop(name, None)
    assert house.own
    drain.drain_all(Log(house.platform))
    assert len(house.told(wallet.person, "consent.withdrawn")) == 1
    assert len(house.sql("SELECT id FROM outbox WHERE type = 'log.recovered'")) == 1
    assert Log(house.platform).head().size > old.size


def test_a_log_whose_tiles_are_written_anew_and_that_is_killed_meanwhile_is_taken_up_by_the_next(house: House) -> None:
    house.enrol_by_hand(house.people.pop()).give([CITY])
    drain.drain_all(Log(house.platform))
    head = Log(house.platform).head()
    house.platform.close()
    shutil.rmtree(house.settings.log_dir)
    assert run(reconcile, house.home, house.url(0), TILES) == KILLED
    assert run(reconcile, house.home, house.url(0), None) == 0
    for name in ("platform", "own"):
        house.__dict__.pop(name, None)
    assert house.own
    assert Log(house.platform).head() == head
    with house.platform.database.read() as session:
        assert Log(house.platform).check(session) == head


def test_every_named_step_is_killed_by_a_test() -> None:
    """Here, or in the tests of redaction; a step without its kill is not proved."""
    here = points(*WITHDRAWAL, *DRAIN, *RECONCILIATION)
    elsewhere = [*test_crash.ON_THE_WAY, *test_crash.RESTORE, *test_ending.ENDS]
    assert sorted([*here, *elsewhere]) == sorted(crash.POINTS)


def test_control_an_event_that_is_emitted_without_its_key_is_doubled(house: House) -> None:
    """Without the unique key, whoever does it again after a crash tells it twice: what the tests above would see."""
    for _ in range(2):
        with house.platform.database.write("owner") as session:
            outbox.emit(session, "consent.shut", at=house.platform.clock.now(), records=[(None, {"version": 1})])
    assert len(house.sql("SELECT id FROM outbox WHERE type = 'consent.shut'")) == 2
    assert nothing_doubled
