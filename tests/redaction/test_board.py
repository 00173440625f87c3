"""The board: what happened is counted once, what takes too long is named, and nobody is."""

from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event as sqlalchemy_event

from issuer.settling import Settling
from protocol import event
from protocol.times import iso, iso_ms
from redaction import app as edge
from redaction import board
from redaction.board import Json
from redaction.downstream import NoticeRow
from redaction.tally import Tally
from runtime import outbox
from runtime.clock import FixedClock
from tests.redaction.test_app import problem, token
from tests.redaction.world import CITY, EMAIL, PHONE, World, settle

TOUCH = "urn:uuid:11111111-2222-4333-8444-555555555555"


def look(world: World, tally: Tally, threshold: float = board.THRESHOLD) -> Json:
    with world.platform.database.read() as session:
        return board.read(session, world.platform, tally, world.now(), threshold)


def emit(world: World, kind: str, *, header: Json | None = None, **data: object) -> None:
    with world.platform.database.write("owner") as session:
        outbox.emit(session, kind, at=world.now(), header=header or {}, records=[(None, data)])


def codes(shown: Json) -> set[str]:
    return {one["code"] for one in shown["alerts"]}


def test_each_event_is_counted_once_and_forgotten_after_an_hour(world: World, clock: FixedClock) -> None:
    tally = Tally()
    first = look(world, tally)
    for _ in range(3):
        emit(world, event.RELEASE)
    emit(world, event.REFUSAL)
    for kind in (event.CONSENT_WITHDRAWN, event.CONSENT_NARROWED, event.CONSENT_REVOKED):
        emit(world, kind)
    for _ in range(2):
        shown = look(world, tally)
        assert shown["totals"]["releases"] - first["totals"]["releases"] == 3
        assert shown["totals"]["refusals"] - first["totals"]["refusals"] == 1
        assert shown["totals"]["withdrawals"] - first["totals"]["withdrawals"] == 3
    assert sum(one["releases"] for one in shown["minutes"]) == shown["totals"]["releases"]
    assert len(shown["minutes"]) == 61
    assert look(world, Tally())["totals"] == shown["totals"]  # a process that begins now finds the same
    clock.advance(timedelta(minutes=62))
    assert look(world, tally)["totals"] == look(world, Tally())["totals"] == dict.fromkeys(shown["totals"], 0)


def test_a_withdrawal_is_followed_from_the_act_to_the_destroyed_key(world: World, clock: FixedClock) -> None:
    who, tally = world.customer(), Tally()
    given = world.consent(who, (PHONE, EMAIL, CITY))
    look(world, tally)
    world.withdraw(who, given)
    clock.advance(timedelta(seconds=20))
    waiting = look(world, tally)
    settle(world)
    over = look(world, tally)
    assert over["disposition"]["count"] == 1
    assert over["disposition"]["longest"] >= 20
    assert over["queue"]["open"] == 0
    assert over["queue"]["rotating"] == {"buckets": 0, "moved": 0}
    assert "disposition_slow" in codes(over)
    assert "disposition_slow" not in codes(look(world, tally, threshold=3600))
    assert waiting["disposition"]["count"] == 0
    assert who.subject not in str(over)


def test_a_gate_that_is_not_shut_in_time_is_an_alert(world: World, clock: FixedClock) -> None:
    tally, began = Tally(), world.now()
    ids = [f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(2)]
    with world.platform.database.write("owner") as session:
        for n, over in enumerate((None, iso_ms(began + timedelta(seconds=2)))):
            session.add(
                Settling(
                    id=ids[n], kind="withdrawn", subject="sub_x", ended="x", by="x", version=1, at=iso_ms(began),
                    settled_at=over,
                )
            )  # fmt: skip
    clock.advance(timedelta(seconds=16))
    shown = look(world, tally)
    assert shown["shut"] == {"count": 1, "median": 2.0, "longest": 2.0, "open": 1, "open_longest": 16.0}
    assert codes(shown) == {"shut_open"}
    assert codes(look(world, tally, 17)) == set()


def test_a_touchpoints_throughput_delay_and_failures_are_told_by_the_link(world: World) -> None:
    tally = Tally()
    header = {"touchpoint": TOUCH, "collected_at": iso(world.now() - timedelta(seconds=40))}
    for _ in range(19):
        emit(world, event.VALUE_COLLECTED, header=header, fields=[EMAIL])
    emit(world, event.VALUE_COLLECTED, header={"source": "import"}, fields=[EMAIL])  # no touchpoint's
    emit(world, event.ATTEMPT_REFUSED, code="bad_value", touchpoint=TOUCH)
    emit(world, event.ATTEMPT_REFUSED, code="role")
    shown = look(world, tally)
    (link,) = shown["touchpoints"]
    assert (link["id"], link["stored"], link["refused"], link["tries"]) == (TOUCH, 19, 1, 20)
    assert link["per_minute"] == round(19 / 60, 3)
    assert link["delay"]["median"] == pytest.approx(40, abs=2)
    assert link["failure_rate"] == 0.05
    assert codes(shown) == {"link_slow"}
    emit(world, event.ATTEMPT_REFUSED, code="bad_value", touchpoint=TOUCH)
    assert codes(look(world, tally)) == {"link_slow", "link_failing"}


def test_a_recipient_who_cannot_be_told_is_an_alert(world: World, clock: FixedClock) -> None:
    at = world.now()
    with world.platform.database.write("owner") as session:
        for n, delivered in enumerate((iso_ms(at + timedelta(seconds=3)), None)):
            session.add(
                NoticeRow(
                    id=f"n{n}", subject="sub_x", recipient="did:web:partner.example", body=b"{}", at=iso_ms(at),
                    deadline=iso_ms(at), delivered_at=delivered, error=None if delivered else "unreachable",
                )
            )  # fmt: skip
    clock.advance(timedelta(seconds=30))
    shown = look(world, Tally())
    (link,) = shown["recipients"]
    assert (link["waiting"], link["failing"], link["delay"]["longest"], link["oldest"]) == (1, 1, 3.0, 30.0)
    assert codes(shown) == {"link_waiting"}


def test_a_later_look_takes_only_what_is_new(world: World) -> None:
    tally, seen = Tally(), []
    for _ in range(50):
        emit(world, event.RELEASE)
    look(world, tally)

    def noted(*found: object) -> None:
        seen.append((found[2], found[3]))

    reader = world.platform.database._dialect.reader
    sqlalchemy_event.listen(reader, "before_cursor_execute", noted)
    look(world, tally)
    emit(world, event.RELEASE)
    look(world, tally)
    sqlalchemy_event.remove(reader, "before_cursor_execute", noted)
    passes = [said for said, _ in seen if "outbox.at" in str(said) and "SELECT" in str(said)]
    assert len(passes) == 2  # the group and the reading, for the second look alone: nothing new, nothing read


def test_the_board_is_for_few_and_names_nobody(world: World) -> None:
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    who = world.customer()
    world.withdraw(who, world.consent(who, (PHONE, EMAIL)))
    settle(world)
    officer = token(world, "dpo")
    answer = client.get("/redaction/board", headers=officer)
    assert answer.status_code == 200, answer.text
    assert "sub_" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert problem(client.get("/redaction/board", headers=token(world, "auditor"))) == (403, "role")
    assert problem(client.get("/redaction/board")) == (401, "not_signed_in")
    assert problem(client.get("/redaction/board?threshold=0", headers=officer)) == (422, "bad_request")
