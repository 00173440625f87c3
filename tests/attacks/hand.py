"""A hand in the tables of redaction, and what the customers' certificates then say."""

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from issuer.credentials import Credential
from protocol import certificate, credential
from protocol.certificate import Certificate
from protocol.consent import Field
from protocol.errors import EvidenceError
from redaction import certificate as certificates_of
from redaction import crash, disposal, worker
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
    "planned": "seal.before", "journalled": "begin.before", "begun": "rewrap.before",
    "rewrapped": "destroy.before", "dropped": "dropped.after",
}  # fmt: skip


def turned(field: Field, **said: str | None) -> str:
    """Somebody has a job say something else of a field."""
    told = "".join(
        f", '$.\"{field}\".{name}', {'NULL' if value is None else repr(value)}" for name, value in said.items()
    )
    return f"UPDATE redaction_job SET fates = json_set(fates{told})"  # noqa: S608 - the attacker's own statement


def refuse(*_: object, **__: object) -> int:
    raise EvidenceError("bad_cells", "the cells of a record were not written together")


class Hand:
    """Once a job has reached a step, and before the next one begins: the attack, once."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch) -> None:
        self._world, self._patch, self._real = world, patch, crash.point
        self._at, self._act = "", tuple[str, ...]()
        patch.setattr(crash, "point", self._point)

    def whenever(self, step: str, *act: str) -> None:
        if step == "planned":  # as after a failure: else nothing stands between the decision and the act
            self._patch.setattr(disposal, "at_once", refuse)
        if step == "dropped":
            self._patch.setattr(certificates_of, "at_once", refuse)
        self._at, self._act = BEFORE[step], act

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
