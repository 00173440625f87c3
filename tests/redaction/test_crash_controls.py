"""Controls of the crash tests: each step without what protects it, killed at the same place; its loss must be seen.

What protects is that act and mark are one transaction. Here a worker marks a step as done, commits, dies, and only
then would have done it. If one of these passed as unharmed, the tests in `test_crash` would prove nothing of that step.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from crm_core import records
from protocol.errors import EvidenceError
from redaction import certificate, disposal, ending, restore, rewrapping, rotation
from redaction.archive import Archived
from redaction.rotations import Going
from runtime import crash
from runtime.clock import FixedClock
from runtime.journal import Journal
from runtime.keyring import KeyGone
from runtime.platform import Platform
from tests.redaction import test_crash, test_ending
from tests.redaction.test_crash import ALL, KILLED, ended_once, lapsed, run
from tests.redaction.test_ending import DUE, archived, certified
from tests.redaction.world import EMAIL, GIVEN, VALUES, Customer, World

SHORT = 2.5  # seconds: what was lost does not come back by waiting
JOB = "UPDATE redaction_job SET step = '{}' WHERE step = '{}'"


def marking(module: Any, name: str, mark: str, point: str) -> None:
    """From now on this process marks the step before it takes it, and may die in between."""
    right: Callable[..., Any] = getattr(module, name)

    def wrong(platform: Platform, *more: Any, **others: Any) -> Any:
        with platform.database.write("owner") as session:
            session.connection().execute(text(mark))
        if os.environ.get(crash.VARIABLE) == "control":
            os.environ[crash.VARIABLE] = point
            crash.point(point)
        return right(platform, *more, **others)

    setattr(module, name, wrong)


def work(home: Path, point: str | None, limit: float = SHORT) -> None:
    test_crash.work(home, point, limit)


def refuse(*_: Any, **__: Any) -> Any:
    """Nothing is done at once: each step is a transaction of its own, as after a failure."""
    raise EvidenceError("bad_cells", "the cells of a record were not written together")


def disposing(home: Path, point: str | None, limit: float = SHORT) -> None:
    disposal.at_once = refuse
    marking(disposal, "dispose", JOB.format("journalled", "planned"), "seal.before")
    work(home, point, limit)


def journalling(home: Path, point: str | None, limit: float = SHORT) -> None:
    """The journal is told once the rest is committed."""
    append_all, at_once = Journal.append_all, disposal.at_once
    late: list[Any] = []

    def then(platform: Platform, *more: Any, **pace: Any) -> int:
        Journal.append_all = lambda _, entries: late.extend(entries)  # type: ignore[method-assign,assignment,return-value]
        if os.environ.get(crash.VARIABLE) == "control":
            os.environ[crash.VARIABLE] = "journal.after"
        done = at_once(platform, *more, **pace)
        Journal.append_all = append_all  # type: ignore[method-assign]
        platform.journal.append_all(late)
        return done

    disposal.at_once = then
    work(home, point, limit)


def certifying(home: Path, point: str | None, limit: float = SHORT) -> None:
    certificate.at_once = refuse
    marking(certificate, "certify", JOB.format("done", "dropped"), "certify.before")
    work(home, point, limit)


def rotating(home: Path, point: str | None, limit: float = SHORT) -> None:
    """Keys are said to be moved; that is believed, and nobody looks again before the old ones are destroyed."""
    moved, rewrap = "UPDATE rotation SET rewrapped_at = began_at WHERE rewrapped_at IS NULL", rewrapping.rewrap

    def believing(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
        said = frozenset(row.bucket for row in rows if row.rewrapped_at is not None)
        return said | rewrap(platform, [row for row in rows if row.bucket not in said])

    rewrapping.rewrap = believing
    marking(rewrapping, "rewrap", moved, "rewrap.before")
    destroy, behind = rotation._destroy, records.left_behind

    records.refuse_foreign = lambda *_: None

    def unlooking(*more: Any) -> Any:
        records.left_behind = lambda *_: False
        try:
            return destroy(*more)
        finally:
            records.left_behind = behind

    rotation._destroy = unlooking
    work(home, point, limit)


def restoring(home: Path, point: str | None, limit: float = SHORT) -> None:
    marking(restore, "restore", "DELETE FROM archive WHERE wanted_by IS NOT NULL", "restore.before")
    work(home, point, limit)


def ending_due(home: Path, point: str | None) -> None:
    marking(ending, "end_due", "DELETE FROM archive", "period.before")
    test_ending.work(home, point)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "real")
    yield made
    made.platform.close()


def killed(real: World, target: object, then: object = work) -> None:
    """Killed once in the wrong worker, then left to the right one, or to `then`."""
    assert run(real.settings.home, "control", target) == KILLED
    assert run(real.settings.home, None, then, SHORT) == 0


def unharmed(real: World, who: Customer) -> bool:
    """Do the crash tests see nothing?"""
    try:
        ended_once(real, who)
    except (AssertionError, KeyGone, EvidenceError):
        return False
    return True


@pytest.mark.parametrize(("target", "then"), [(disposing, work), (journalling, work), (certifying, work)])
def test_control_a_step_of_a_disposition_that_is_marked_first_is_missed(
    real: World, target: object, then: object
) -> None:
    who = lapsed(real)
    killed(real, target, then)
    assert not unharmed(real, who)


def test_control_a_rotation_that_is_marked_first_destroys_the_survivors(real: World) -> None:
    who = lapsed(real)
    killed(real, rotating, rotating)
    with pytest.raises((KeyGone, EvidenceError)):
        real.readable(who)
    other = lapsed(real)
    assert run(real.settings.home, None, rotating, SHORT) == 0  # without the kill it does no harm
    assert real.readable(other) == {GIVEN: VALUES[GIVEN]}


def test_the_same_without_the_fault_is_unharmed(real: World) -> None:
    """Or the controls above would say nothing: they wait less long than the tests."""
    who = lapsed(real)
    assert run(real.settings.home, "seal.before", work, SHORT) == KILLED
    assert run(real.settings.home, None, work, SHORT) == 0
    assert unharmed(real, who)


def test_control_a_restore_that_is_marked_first_loses_the_value(real: World) -> None:
    who = lapsed(real)
    assert run(real.settings.home) == 0
    real.consent(who, ALL)
    killed(real, restoring)
    assert real.readable(who) == {GIVEN: VALUES[GIVEN]}
    assert (real.rows(Archived), real.told("value.restored")) == ([], [])


def test_control_an_end_of_an_archive_key_that_is_marked_first_is_told_to_nobody(world: World) -> None:
    who = archived(world)
    for target, point in ((ending_due, "control"), (test_ending.work, None)):
        assert run(world.settings.home, point, target) == (KILLED if point else 0)
    assert isinstance(world.platform.clock, FixedClock)
    world.platform.clock.set(DUE)
    assert (len(certified(world, who)), world.events("value.destroyed")) == (1, [])
    assert EMAIL not in world.readable(who)
