"""Killed once the journal knows what a job drops, and before the commit: whatever the customer does before the retry.

What the journal was told cannot be taken back. So the retry says of the same job, and the same generation of the data
key, what became of it after all: one certificate, and every rotation of the bucket goes on.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from protocol.certificate import Certificate
from protocol.consent import SubjectId, fresh_id
from redaction import disposal, disposition, plan, revive, rewrapping, shred
from redaction.archive import Archived
from redaction.disposition import DONE, Job
from runtime.platform import Platform
from tests.attacks.hand import certificates, said, sql
from tests.redaction import test_crash
from tests.redaction.test_crash import ALL, KILLED, run
from tests.redaction.test_dispositions import roll_forward
from tests.redaction.world import CITY, EMAIL, PHONE, VALUES, Customer, Given, World

SHORT = 2.5  # seconds: what does not come by then does not come
TOLD = "journal.within"
LOST = {EMAIL: "seal", CITY: "shred", PHONE: "shred"}


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    """A platform on the machine's clock, which other processes share."""
    made = World(tmp_path / "real")
    yield made
    made.platform.close()


def killed(real: World, who: Customer, given: Given, *, planned: bool = False) -> None:
    """The customer withdraws; the journal is told of it, and nothing is committed."""
    real.withdraw(who, given)
    if planned:  # as after a failure: else nothing stands between the decision and the act
        plan.plan_due(real.platform, real.catalogue)
    assert run(real.settings.home, TOLD) == KILLED


def dropping(real: World, who: Customer) -> list[Certificate]:
    """The certificates that say of a data key that it ended with some field."""
    return [one for one in certificates(real, who) if any(item.generation is not None for item in one.items)]


@pytest.mark.parametrize("planned", [False, True])
def test_a_customer_who_consents_anew_before_the_retry_keeps_all_and_holds_up_nobody(
    real: World, planned: bool
) -> None:
    who = real.customer()
    mate = real.neighbour(who)
    given, theirs = real.consent(who, ALL), real.consent(mate, ALL)
    old = real.copy("before.db")
    killed(real, who, given, planned=planned)
    real.consent(who, ALL)
    real.withdraw(mate, theirs)
    assert run(real.settings.home) == 0
    assert said(real, mate) == LOST
    assert said(real, who) == dict.fromkeys(ALL, "keep")
    assert [row.step for row in real.rows(Job)] == [DONE, DONE]
    assert revive.revive(real.platform) == 0, "what was told before the kill is no other job"
    assert real.readable(who) == VALUES
    assert (real.opens(old, who.subject), real.opens(old, mate.subject)) == ({}, {}), "the key of before is gone"
    roll_forward(real, old)
    assert real.opens(old, who.subject) == VALUES


def test_who_consented_anew_and_withdraws_again_loses_it_once(real: World) -> None:
    who = real.customer()
    killed(real, who, real.consent(who, ALL))
    again = real.consent(who, ALL)
    assert run(real.settings.home) == 0
    real.withdraw(who, again)
    assert run(real.settings.home) == 0
    assert said(real, who) == LOST
    assert len(dropping(real, who)) == 1
    assert [field for _, field in real.told("value.shredded")] == [CITY, PHONE]
    assert revive.revive(real.platform) == 0


def by_fields_alone(home: Path, point: str | None, limit: float = SHORT) -> None:
    """The control: a job of which all is kept leaves the data key that the journal calls dropped."""
    disposal._loses = lambda _, task, __: bool(shred.gone(task.fates))
    test_crash.work(home, point, limit)


def unrefused(home: Path, point: str | None, limit: float = SHORT) -> None:
    """The same, and the rotation does not mind."""
    rewrapping._refuse_dropped = lambda *_: None
    by_fields_alone(home, point, limit)


@pytest.mark.parametrize("wrong", [by_fields_alone, unrefused])
def test_control_a_data_key_that_was_told_as_dropped_and_lives_on_stops_its_bucket_or_is_lost(
    real: World, wrong: object
) -> None:
    who = real.customer()
    mate = real.neighbour(who)
    given, theirs = real.consent(who, ALL), real.consent(mate, ALL)
    old = real.copy("before.db")
    killed(real, who, given)
    real.consent(who, ALL)
    real.withdraw(mate, theirs)
    assert run(real.settings.home, None, wrong, SHORT) == 0
    roll_forward(real, old)
    rotated = said(real, mate) == LOST
    assert (rotated, real.opens(old, who.subject) == VALUES) == (wrong is unrefused, False)


def kept_before(real: World) -> tuple[Customer, Given]:
    """A customer for whom a job was planned, of which all was kept: it bears an id for this generation."""
    who = real.customer()
    real.withdraw(who, real.consent(who, ALL))
    plan.plan_due(real.platform, real.catalogue)
    again = real.consent(who, ALL)
    assert run(real.settings.home) == 0
    assert said(real, who) == dict.fromkeys(ALL, "keep")
    return who, again


def lost_once(real: World, who: Customer) -> bool:
    told = [field for _, field in real.told("value.shredded")]
    return (len(dropping(real, who)), told, len(real.rows(Archived))) == (1, [CITY, PHONE], 1)


@pytest.mark.parametrize("vanished", [False, True])
def test_one_generation_ends_with_one_certificate_though_another_job_was_to_drop_it_before(
    real: World, vanished: bool
) -> None:
    who, given = kept_before(real)
    killed(real, who, given)
    if vanished:  # the older job's row, as in a database that was restored
        sql(real, "DELETE FROM redaction_job")
    assert run(real.settings.home) == 0
    assert (revive.revive(real.platform), run(real.settings.home)) == (0, 0)
    assert lost_once(real, who)


def with_fresh_ids(home: Path, point: str | None, limit: float = SHORT) -> None:
    """The control: whose id is taken gets a new one at each try."""
    right = disposition.ids_of

    def wrong(platform: Platform, subject: SubjectId, generation: int) -> Iterator[str]:
        told = platform.journal.dropped_of(subject)
        first = next(id_ for id_ in right(platform, subject, generation) if id_ not in told)
        return chain([first], iter(fresh_id, None))

    disposition.ids_of = wrong
    test_crash.work(home, point, limit)


def test_control_with_another_id_at_each_try_one_generation_ends_twice(real: World) -> None:
    who, given = kept_before(real)
    real.withdraw(who, given)
    assert run(real.settings.home, TOLD, with_fresh_ids) == KILLED
    assert run(real.settings.home, None, with_fresh_ids, SHORT) == 0
    revive.revive(real.platform)
    assert run(real.settings.home, None, with_fresh_ids, SHORT) == 0
    assert not lost_once(real, who)
