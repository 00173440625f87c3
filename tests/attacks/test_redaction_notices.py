"""Notices to recipients, a hand in the database and hostile recipients: who was to be told is told, and awaited."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from protocol import event
from protocol.errors import EvidenceError
from redaction import delivery, downstream
from redaction.downstream import NoticeRow
from redaction.sweep import Sweep
from runtime.clock import FixedClock
from tests.attacks.hand import advance, certificates, sql
from tests.redaction.test_downstream import PARTNER, answered, notice, released
from tests.redaction.world import EMAIL, PHONE, START, Customer, World, settle


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FixedClock(START))
    yield made
    made.platform.close()


@pytest.fixture
def told(world: World) -> Customer:
    """A partner read phone and e-mail of a customer who then withdrew."""
    who = world.customer()
    given = world.consent(who, (PHONE, EMAIL))
    released(world, who, PHONE, EMAIL)
    world.withdraw(who, given)
    settle(world)
    return who


def awaited(world: World, who: Customer) -> set[str]:
    """The fields whose end some recipient was told and has not answered, as officers and the customer see it."""
    with world.platform.database.read() as session:
        at = world.now()
        seen = downstream.every(session, world.platform, at, open_only=True)
        mine = downstream.of_subject(session, world.platform, who.subject, at)
    assert [one.notice.id for one in seen] == [one.notice.id for one in mine if not one.settled]
    return {field for one in seen for field in one.notice.fields}


@pytest.mark.parametrize(
    "hidden",
    [
        "DELETE FROM redaction_notice",
        "UPDATE redaction_notice SET recipient = 'did:key:zOther'",
        "UPDATE redaction_notice SET subject = 'sub_other'",
        "UPDATE redaction_notice SET answer = x'7b7d', answer_mac = x'00', closed_at = '2026-11-22T08:00:00.000Z'",
        "UPDATE redaction_notice SET closed_at = '2026-11-22T08:00:00.000Z'",
        "UPDATE redaction_notice SET next_try_at = '2099-01-01T00:00:00.000Z'",
        "UPDATE redaction_notice SET body = x'7b7d'",
        "UPDATE redaction_notice SET id = 'urn:uuid:another'",
    ],
)
def test_a_notice_that_somebody_hides_is_awaited_again(world: World, told: Customer, hidden: str) -> None:
    sql(world, hidden)
    assert Sweep().some(world.platform, world.catalogue, budget=5) > 0
    settle(world)
    assert awaited(world, told) == {PHONE, EMAIL}
    due = [row for row in world.rows(NoticeRow) if row.closed_at is None and (row.next_try_at or "") < "2027"]
    assert [row for row in due if downstream.standing(world.platform, row, world.now())]


def test_the_sweep_leaves_what_nobody_touched(world: World, told: Customer) -> None:
    about = notice(world)
    assert Sweep().some(world.platform, world.catalogue, budget=5) == 0
    delivery.accept(world.platform, answered(world, about))
    assert Sweep().some(world.platform, world.catalogue, budget=5) == 0
    assert awaited(world, told) == set()


def test_a_disclosure_that_names_a_notice_about_something_else_was_not_told(world: World, told: Customer) -> None:
    other = world.customer()
    given = world.consent(other, [PHONE])
    released(world, other, PHONE)
    (about,) = world.rows(NoticeRow)
    sql(world, "UPDATE disclosure SET told_by = ? WHERE subject = ?", about.id, other.subject)
    world.withdraw(other, given)
    settle(world)
    Sweep().some(world.platform, world.catalogue, budget=5)
    settle(world)
    assert {row.subject for row in world.rows(NoticeRow)} == {told.subject, other.subject}


def test_a_disclosure_after_the_answer_does_not_hide_behind_it(world: World, told: Customer) -> None:
    about = notice(world)
    delivery.accept(world.platform, answered(world, about))
    advance(world, timedelta(days=1))
    given = world.consent(told, [PHONE])
    released(world, told, PHONE)
    sql(world, "UPDATE disclosure SET told_by = ?, last_at = '2026-11-22T08:00:00.000Z'", about.id)
    world.withdraw(told, given)
    settle(world)
    Sweep().some(world.platform, world.catalogue, budget=5)
    Sweep().some(world.platform, world.catalogue, budget=5)  # the releases on record come last in a round
    settle(world)
    assert awaited(world, told) == {PHONE}


def test_no_second_certificate_says_that_all_answered_when_a_notice_was_removed(world: World) -> None:
    who = world.customer()
    given = world.consent(who, (PHONE, EMAIL))
    released(world, who, PHONE)
    released(world, who, EMAIL, recipient=world.platform.controller, export="urn:uuid:export")
    world.withdraw(who, given)
    settle(world)
    (before,) = certificates(world, who)
    assert len(before.open) == 2
    ours = next(row for row in world.rows(NoticeRow) if row.recipient == PARTNER.did)
    sql(world, "DELETE FROM redaction_notice WHERE id <> ?", ours.id)
    delivery.accept(world.platform, answered(world, downstream.read(world.platform, ours)))
    assert len(certificates(world, who)) == 1


def test_a_release_that_somebody_wrote_into_the_outbox_tells_nobody_anything(world: World) -> None:
    who = world.customer()
    given = world.consent(who, [PHONE])
    released(world, who, PHONE, recipient=world.platform.controller)
    sql(
        world,
        "UPDATE outbox SET header = replace(header, ?, ?) WHERE type = ?",
        world.platform.controller, PARTNER.did, event.RELEASE,
    )  # fmt: skip
    world.withdraw(who, given)
    settle(world)
    for _ in range(2):
        Sweep().some(world.platform, world.catalogue, budget=5)
    settle(world)
    assert world.rows(NoticeRow) == []


def test_an_answer_is_for_its_own_notice_alone_and_counts_once(world: World, told: Customer) -> None:
    other = world.customer()
    given = world.consent(other, [PHONE])
    released(world, other, PHONE)
    world.withdraw(other, given)
    settle(world)
    first, second = (downstream.read(world.platform, row) for row in world.rows(NoticeRow))
    with pytest.raises(EvidenceError, match="foreign_answer"):
        delivery.accept(
            world.platform, answered(world, first, reference=type(first.reference)(second.id, first.digest))
        )
    body = answered(world, first)
    delivery.accept(world.platform, body)
    delivery.accept(world.platform, body)
    delivery.accept(world.platform, answered(world, first, action="kept", citation="a later change of mind"))
    states = {row.id: downstream.standing(world.platform, row, world.now()) for row in world.rows(NoticeRow)}
    assert [states[one.id].state for one in (first, second)] == ["acknowledged", "open"]  # type: ignore[union-attr]
    assert len(world.events(event.NOTICE_ACKNOWLEDGED)) == 1
