"""A bundle tells of customers who were taken out of a ground, and whoever read on is found out."""

from typing import Any

import pytest

from audit import verify
from audit.report import Outcome
from protocol import canonical, exclusion, request
from protocol.consent import Reference, SubjectId
from protocol.exclusion import ANY, Excepted
from tests.audit.world import CITY, OTHER, SUBJECT, World


def _trouble(world: World) -> list[str | None]:
    report = verify.verify(world.export(), world.log.vkey)
    return [check.code for check in report.checks if check.outcome is not Outcome.OK]


def _asked(world: World) -> Reference:
    document = request.build_request(
        "restriction", id=world.fresh(), controller=world.platform.controller, issuer=world.wallet.did,
        at=world.clock.now(),
    )  # fmt: skip
    told = world.told(world.sign("request", document, world.wallet))
    world.emit("request.received", {"request": told["credential"], "digest": told["digest"], "kind": "restriction"})
    return Reference(told["credential"], told["digest"])


def _exclude(world: World, kind: str, ground: str = ANY, *, subject: SubjectId = SUBJECT, **tell: Any) -> Reference:
    document = exclusion.build_exclusion(
        kind, id=world.fresh(), controller=world.platform.controller, subject=subject,
        excepted=[Excepted(ground, ANY)], request=_asked(world), at=world.clock.now(),
    )  # fmt: skip
    told = world.told(world.sign("exclusion", document, world.platform.signer))
    world.version += 1
    data = {"exclusion": told["credential"], "digest": told["digest"], "version": world.version, "excepts": []}
    world.emit("ground.excluded", data | tell)
    world.emit("consent.shut", {"credential": told["credential"], "how": "excluded", "version": world.version})
    return Reference(told["credential"], told["digest"])


def _lift(world: World, paused: Reference) -> None:
    document = exclusion.build_lift(
        paused, id=world.fresh(), controller=world.platform.controller, subject=SUBJECT, at=world.clock.now()
    )
    told = world.told(world.sign("lift", document, world.platform.signer))
    world.version += 1
    data = {"exclusion": paused.id, "lift": told["credential"], "version": world.version}
    world.emit("ground.resumed", data)


@pytest.fixture
def ground(world: World) -> str:
    world.collect(CITY)
    world.enrol()
    return world.ground([CITY])


def test_reads_before_a_pause_and_after_its_lift_are_in_order_and_those_between_are_not(
    world: World, ground: str
) -> None:
    world.release({CITY: [ground]})
    paused = _exclude(world, "pause")
    _lift(world, paused)
    world.release({CITY: [ground]})
    assert _trouble(world) == []
    _exclude(world, "pause")
    world.release({CITY: [ground]})
    assert _trouble(world) == ["ground_excluded"]


def test_after_an_objection_that_was_granted_no_read_is_in_order_and_the_field_has_an_end(
    world: World, ground: str
) -> None:
    _exclude(world, "objection", ground)
    assert _trouble(world) == ["disposition_missing"]
    world.dispose(**{CITY.replace(".", "__"): "shred"})
    assert _trouble(world) == []
    world.release({CITY: [ground]})
    assert "ground_excluded" in _trouble(world)


def test_an_erasure_wants_an_end_for_everything_that_is_stored(world: World, ground: str) -> None:
    world.collect("contact.phone")
    _exclude(world, "erasure", ground)
    world.dispose(**{CITY.replace(".", "__"): "shred"})
    assert _trouble(world) == ["disposition_missing"]
    world.dispose(contact__phone="shred")
    assert _trouble(world) == []


def test_an_exclusion_that_is_left_out_or_of_another_subject_is_found(world: World, ground: str) -> None:
    paused = _exclude(world, "pause")
    kept = list(world.papers)
    world.papers[:] = [one for one in kept if canonical.parse(one[1])["id"] != paused.id]
    assert _trouble(world) == ["credential_missing"]
    world.papers[:] = kept
    _exclude(world, "pause", subject=OTHER)
    assert _trouble(world) == ["foreign_exclusion"]
