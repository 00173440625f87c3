"""A hand in the tables of redaction, and what the customers' certificates then say."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from issuer.credentials import Credential
from protocol import certificate, credential
from protocol.certificate import Certificate
from protocol.consent import Field
from redaction import crash, worker
from redaction.sweep import Sweep
from runtime.clock import FixedClock
from tests.engine import hand
from tests.redaction.world import CITY, EMAIL, PHONE, Customer, Given, World, settle

HELD = (PHONE, EMAIL, CITY)
TRUE = {EMAIL: "seal", CITY: "shred", PHONE: "shred"}  # what becomes of them, and what is to be certified


def sql(world: World, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What somebody does who may write anything into the database, and has no key and no journal."""
    with closing(hand.connect(world.settings.db_dir / "fieldgrant.db", timeout=20)) as connection:
        rows = connection.execute(statement, values).fetchall()
        connection.commit()
        return rows


BEFORE = {
    "planned": "seal", "journalled": "begin", "begun": "rewrap",
    "rewrapped": "destroy", "dropped": "certify",
}  # fmt: skip


class Hand:
    """Once a job has reached a step, and before the next one begins: the attack, once."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self._world, self._real = world, crash.point
        self._at, self._act = "", tuple[str, ...]()
        patch.setattr(crash, "point", self._point)

    def whenever(self, step: str, *act: str) -> None:
        self._at, self._act = f"{BEFORE[step]}.before", act

    def _point(self, name: str) -> None:
        if name == self._at:
            self._at = ""
            for one in self._act:
                sql(self._world, one)
        self._real(name)


def ended(world: World, who: Customer, fields: tuple[Field, ...] = HELD) -> Given:
    given = world.consent(who, fields)
    settle(world)
    world.withdraw(who, given)
    return given


def advance(world: World, by: timedelta) -> None:
    clock = world.platform.clock
    assert isinstance(clock, FixedClock)
    clock.advance(by)


def passes(world: World, count: int = 6) -> None:
    for _ in range(count):
        advance(world, timedelta(seconds=60))  # past the pause after a failure
        worker.run_once(world.platform, world.catalogue)


def swept(world: World) -> None:
    """A day later: the sweep's round, and what it finds carried out."""
    Sweep().some(world.platform, world.catalogue, budget=5)
    passes(world)


def certificates(world: World, who: Customer) -> list[Certificate]:
    return [
        certificate.parse_certificate(
            credential.verify(
                row.body, world.platform.keys, at=world.now(), expected_type=certificate.CERTIFICATE_TYPE,
                expected_issuer=world.platform.controller,
            )
        )
        for row in world.rows(Credential)
        if row.kind == "certificate" and row.subject == who.subject
    ]  # fmt: skip


def said(world: World, who: Customer) -> dict[str, str]:
    """Field → what the customer's certificates say became of it (the last one)."""
    return {item.field: item.disposition for one in certificates(world, who) for item in one.items}
