"""The round behind the desk: where one part of it fails, each time, the others have done their work."""

import threading
from datetime import timedelta

import pytest

from issuer import credentials, grounds, worker
from issuer.registry import Registry
from protocol import canonical
from tests.issuer import rights_world as rights
from tests.issuer.test_grounds import _approve, _declare
from tests.issuer.world import Crash, Wallet, World
from verifier.drain import DrainTimeoutError

SHUT, EXPIRED, ENDED, GROUND, ANSWERED = "shut", "expired", "ended by time", "ground shut", "answered"
EVERYTHING = frozenset({SHUT, EXPIRED, ENDED, GROUND, ANSWERED})
WITHOUT = {
    "consents that ran out": {EXPIRED},
    "grounds that ran out": {ENDED},
    "narrowings to be shut": {SHUT, ANSWERED},  # an answer waits for its reads
    "grounds to be compiled": {GROUND},
    "requests to be answered": {ANSWERED},
}


class BrokenError(OSError):
    """What fails in every round."""


def half_done(world: World) -> str:
    """A withdrawal, the end of a ground and a request whose processes died, a consent and a ground that run out.

    The id of the ground that ran out.
    """
    gone, asking, running = (world.enrolled() for _ in range(3))
    given = gone.give(world.asked(gone))
    running.give(world.asked(running), until=world.now + timedelta(days=2))
    ended = _declare(world)
    over = _declare(world, key="short", valid_until=(world.now + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    for id_ in (ended, over):
        assert _approve(world, id_).status_code == 200
    world.crash_in.add("drain")
    with pytest.raises(Crash):
        world.registry.withdraw(canonical.jcs(gone.withdrawal(given)), gone.signer.did)
    with pytest.raises(Crash):
        grounds.end(world.registry, world.staff("dpo"), ended)
    world.crash_in = {"reads"}
    document = rights.signed(asking, "objection", purpose=rights.MARKETING)
    assert rights.send(asking, document).status_code == 503
    world.crash_in.clear()
    world.clock.advance(timedelta(days=3))
    return over


def achieved(world: World, over: str) -> set[str]:
    how = [data["how"] for one in world.events("consent.shut") for _, data in one.records]
    named = [data["credential"] for one in world.events("consent.shut") for _, data in one.records]
    done = {
        SHUT: "withdrawn" in how,
        EXPIRED: bool(world.events("consent.expired")),
        ENDED: world.platform.journal.ended(over),
        GROUND: any(kind == "ground" and id_ != over for kind, id_ in zip(how, named, strict=True)),
        ANSWERED: any(b'"answered"' in row.body for row in world.rows("request-receipt")),
    }
    return {name for name, is_so in done.items() if is_so}


def test_a_round_does_all_of_it(world: World) -> None:
    """The control."""
    over = half_done(world)
    assert achieved(world, over) == set()
    worker.run_once(world.registry)
    assert achieved(world, over) == EVERYTHING


@pytest.mark.parametrize("part", worker.PARTS)
def test_where_one_part_fails_in_each_round_the_others_have_done_their_work(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    over = half_done(world)

    def broken(_: Registry) -> int:
        raise BrokenError

    monkeypatch.setitem(worker.PARTS, part, broken)  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(BrokenError):
            worker.run_once(world.registry)
    assert achieved(world, over) == EVERYTHING - WITHOUT.get(part, set())
    assert f"{part}: BrokenError" in caplog.text


def test_a_withdrawal_whose_process_died_is_shut_though_nothing_can_expire(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = half_done(world)

    def broken(*_: object) -> bool:
        raise BrokenError

    monkeypatch.setattr(credentials, "running_out", broken)
    with pytest.raises(BrokenError):
        worker.run_once(world.registry)
    assert achieved(world, over) == {SHUT, GROUND, ANSWERED}


def test_a_read_that_stays_inside_is_told_and_the_loop_goes_on(
    world: World, wallet: Wallet, caplog: pytest.LogCaptureFixture
) -> None:
    given = wallet.give(world.asked(wallet))
    world.crash_in.add("reads")
    with pytest.raises(DrainTimeoutError):
        world.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)

    class Twice(threading.Event):
        rounds = 0

        def wait(self, timeout: float | None = None) -> bool:
            self.rounds += 1
            if self.rounds == 2:
                world.crash_in.clear()
            return self.rounds > 2

    worker.run(world.registry, Twice())
    assert "narrowings to be shut: drain_timeout" in caplog.text
    assert len(world.events("consent.shut")) == 1
