"""Every cause for which a field loses its last ground, from its beginning to the certificate that the customer gets."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import Session

from crm_core import writer
from crm_core.origin import Origin
from issuer import credentials
from issuer.catalogue.entries import Ending
from protocol.certificate import Certificate
from protocol.keys import Ed25519Signer
from redaction import plan
from redaction.disposition import Job
from runtime.clock import FixedClock
from tests.redaction.test_ending import certified
from tests.redaction.world import CITY, EMAIL, GIVEN, MARKETING, PHONE, SERVICE, VALUES, Customer, World, settle

Cause = Callable[[World, FixedClock, Customer], None]


def withdrawn(world: World, clock: FixedClock, who: Customer) -> None:
    world.withdraw(who, world.consent(who, [PHONE]))


def superseded(world: World, clock: FixedClock, who: Customer) -> None:
    world.withdraw(who, world.consent(who, [PHONE, CITY]), keep=[CITY])


def expired(world: World, clock: FixedClock, who: Customer) -> None:
    world.consent(who, [PHONE], life=timedelta(days=3))
    settle(world)
    clock.advance(timedelta(days=3))


def revoked(world: World, clock: FixedClock, who: Customer) -> None:
    """The officer ends a consent; an erasure request ends all of them in the same way."""
    world.revoke(who, world.consent(who, [PHONE]))


def ground_ended(world: World, clock: FixedClock, who: Customer) -> None:
    world.end_ground(who, world.statutory([PHONE]))


def ground_ran_out(world: World, clock: FixedClock, who: Customer) -> None:
    world.statutory([PHONE], life=timedelta(days=3))
    settle(world)
    clock.advance(timedelta(days=3))


def catalogue(world: World, clock: FixedClock, who: Customer) -> None:
    """A version of the catalogue ends a field of a purpose."""
    world.consent(who, [PHONE, CITY])
    clock.advance(timedelta(minutes=1))
    ending = Ending(purpose=MARKETING, field=PHONE, at=world.now())
    world.catalogue = replace(world.catalogue, endings=(ending,))
    with world.platform.database.write("owner") as session:
        credentials.raise_versions(session, [who.subject])


CAUSES: dict[str, Cause] = {
    "withdrawn": withdrawn,
    "superseded": superseded,
    "expired": expired,
    "revoked": revoked,
    "ground_ended": ground_ended,
    "ground_ran_out": ground_ran_out,
    "catalogue": catalogue,
}


@pytest.mark.parametrize("cause", CAUSES)
def test_from_the_cause_to_the_certificate(world: World, clock: FixedClock, cause: str) -> None:
    who = world.customer()
    CAUSES[cause](world, clock, who)
    settle(world)
    assert PHONE not in world.readable(who)
    assert {EMAIL, CITY, GIVEN} <= set(world.readable(who))
    (told,) = certified(world, who)
    item = next(one for one in told.items if one.disposition != "keep")
    assert (item.field, item.disposition, item.bucket is not None, item.epoch) == (PHONE, "shred", True, 1)
    assert {one.event_id for one in world.events("value.shredded")} <= told.events
    (job,) = world.rows(Job)
    spoken = {"ground_ended": "revoked", "ground_ran_out": "expired"}.get(cause, cause)
    assert (job.cause, job.cause_id) == (spoken, told.cause)


@pytest.mark.parametrize("cause", ["withdrawn", "expired", "revoked", "ground_ended", "catalogue"])
def test_what_another_living_ground_covers_stays_and_its_ground_is_named(
    world: World, clock: FixedClock, cause: str
) -> None:
    who = world.customer()
    other = world.consent(who, [PHONE], purpose=SERVICE)
    settle(world)
    CAUSES[cause](world, clock, who)
    settle(world)
    assert world.readable(who)[PHONE] == VALUES[PHONE]
    kept = {item.field: item for item in one_certificate(world, who).items}[PHONE]
    assert (kept.disposition, kept.kept_ground) == ("keep", other.id)
    assert world.told("value.kept") == [("value.kept", PHONE)]


def one_certificate(world: World, who: Customer) -> Certificate:
    (told,) = certified(world, who)
    return told


def imported(world: World, days: int) -> Customer:
    """A customer whose values came with an import and are to be destroyed unless a ground comes."""
    at = world.now()
    origin = Origin(
        source="test", source_digest="0" * 64, importer=world.platform.controller, at=at,
        destroy_by=at + timedelta(days=days),
    )  # fmt: skip
    with world.platform.database.write("owner") as session:
        subject = writer.create(session, world.platform, world.catalogue, VALUES, origin=origin)
    return Customer(subject, Ed25519Signer.generate())


def test_imported_values_that_nobody_claimed_are_destroyed_on_their_day(world: World, clock: FixedClock) -> None:
    who = imported(world, days=90)
    world.enrol(who)
    world.consent(who, [CITY], life=timedelta(days=400))
    clock.advance(timedelta(days=89))
    settle(world)
    assert world.readable(who) == VALUES
    clock.advance(timedelta(days=1))
    settle(world)
    assert PHONE not in world.readable(who)
    told = certified(world, who)
    assert {(item.field, item.disposition) for one in told for item in one.items if one.cause == "unclaimed"} == {
        (field, "shred") for field in (PHONE, EMAIL, GIVEN)
    }
    assert len({job.id for job in world.rows(Job) if job.cause == "unclaimed"}) == 1
    settle(world)
    assert len(certified(world, who)) == len(told)


def test_a_claimed_value_outlives_the_day_of_its_import(world: World, clock: FixedClock) -> None:
    who = imported(world, days=10)
    world.enrol(who)
    world.consent(who, (PHONE, EMAIL, CITY, GIVEN))
    clock.advance(timedelta(days=11))
    settle(world)
    assert world.readable(who) == VALUES
    assert certified(world, who) == []


def test_a_ground_that_comes_before_the_key_goes_spares_an_unclaimed_value(world: World, clock: FixedClock) -> None:
    who = imported(world, days=10)
    world.enrol(who)
    clock.advance(timedelta(days=10))
    plan.plan_due(world.platform, world.catalogue)
    world.consent(who, [PHONE])
    settle(world)
    assert world.readable(who) == {PHONE: VALUES[PHONE]}


def test_unclaimed_values_of_a_customer_whose_evidence_is_disputed_wait(world: World, clock: FixedClock) -> None:
    who = imported(world, days=10)
    world.enrol(who)
    with world.platform.database.write("owner") as session:
        _spoil(session, who)
    clock.advance(timedelta(days=10))
    settle(world)
    assert world.readable(who) == VALUES


def _spoil(session: Session, who: Customer) -> None:
    (row,) = credentials.of_kind(session, "enrolment", subject=who.subject)
    row.body = row.body.replace(b"localhost", b"elsewhere")
    session.add(row)
