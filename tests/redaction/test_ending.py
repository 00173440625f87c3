"""The destroy-by date: a key whose day has come ends, whatever the database says, and each customer is told, signed."""

import errno
import multiprocessing
import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, select

from issuer import catalogue as catalogues
from protocol import certificate, credential, times
from protocol.certificate import Certificate
from redaction import archive, crash, ending, status, terms, worker
from redaction import certificate as certificates
from redaction.archive import Archived
from redaction.ending import Cause
from runtime import keyfiles, outbox
from runtime.archivekeys import ArchiveKeys
from runtime.clock import FixedClock
from runtime.keyring import KeyGone
from runtime.outbox import Outbox
from runtime.platform import Platform
from tests.redaction.world import CITY, EMAIL, GIVEN, START, VALUES, Customer, World, settings_in, settle

DUE = datetime(2030, 1, 1, tzinfo=UTC)
KEY = "P3Y-claims~2030-01-01"
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.redaction.world"])


@pytest.fixture
def gone(world: World) -> Customer:
    """A customer who withdrew: e-mail and given name sealed, city shredded."""
    return archived(world)


def archived(world: World) -> Customer:
    who = world.customer()
    world.withdraw(who, world.consent(who, [EMAIL, GIVEN, CITY]))
    settle(world)
    return who


def certified(world: World, who: Customer) -> list[Certificate]:
    with world.platform.database.read() as session:
        bodies = certificates.of_subject(session, who.subject)
    return [
        certificate.parse_certificate(
            credential.verify(body, world.platform.keys, at=world.now(), expected_type=certificate.CERTIFICATE_TYPE)
        )
        for body in bodies
    ]


def states(world: World, who: Customer) -> dict[str, str]:
    with world.platform.database.read() as session:
        return {one.field: one.state for one in status.fields(session, who.subject)}


def change(world: World, field: str, **columns: object) -> None:
    """Somebody writes to the table of the archive."""
    with world.platform.database.write("owner") as session:
        row = session.exec(select(Archived).where(Archived.field == field)).one()
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)


@given(st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_a_destroy_by_date_is_the_end_of_its_quarter(at: datetime) -> None:
    end = terms.end_of_quarter(at)
    assert at <= end < at + timedelta(days=93)
    assert (end.month in (1, 4, 7, 10), end.day, end.hour) == (True, 1, 0)
    name = terms.key_name("P3Y-claims", end)
    assert (terms.due_at(name), terms.period_of(name)) == (end, "P3Y-claims")
    assert terms.end_of_quarter(end) == end


def test_on_its_day_the_key_ends_with_every_copy_of_the_box(world: World, clock: FixedClock, gone: Customer) -> None:
    (before, *_) = world.rows(Archived)
    private = world.platform.keyring.archive.private(KEY)
    assert archive.open_box(private, before.box, before.context(world.platform.controller)) in VALUES.values()
    clock.set(DUE - timedelta(milliseconds=1))
    assert worker.run_once(world.platform, world.catalogue).destroyed == 0
    clock.set(DUE)
    assert worker.run_once(world.platform, world.catalogue).destroyed == 2
    assert world.rows(Archived) == []
    assert not list((world.settings.keys_dir / "archive").glob("*.key"))
    for half in (world.platform.keyring.archive.private, world.platform.keyring.archive.public):
        with pytest.raises(KeyGone):
            half(KEY)
    assert states(world, gone) == {EMAIL: "destroyed", GIVEN: "destroyed", CITY: "shredded"}


def test_the_customer_gets_a_certificate_that_says_what_when_and_which_key(
    world: World, clock: FixedClock, gone: Customer
) -> None:
    clock.set(DUE + timedelta(hours=3))
    settle(world)
    _, told = certified(world, gone)
    assert {(one.field, one.disposition, one.archive_key, one.destroy_by) for one in told.items} == {
        (field, "destroy", KEY, DUE) for field in (EMAIL, GIVEN)
    }
    assert told.at == DUE + timedelta(hours=3)
    events = world.events("value.destroyed")
    assert told.events == {one.event_id for one in events}
    assert {one.records[0][0] for one in events} == {gone.subject}
    (ended,) = world.events("archive.ended")
    assert told.cause == ended.event_id
    assert dict(ended.records[0][1]) == {"archive_key": KEY, "cause": "destroy_by"}


def test_it_happens_once(world: World, clock: FixedClock, gone: Customer) -> None:
    clock.set(DUE)
    for _ in range(3):
        settle(world)
    assert len(world.events("value.destroyed")) == 2
    assert len(certified(world, gone)) == 2


def test_a_date_that_somebody_moves_in_the_database_moves_nothing(
    world: World, clock: FixedClock, gone: Customer
) -> None:
    change(world, EMAIL, destroy_by="2099-01-01T00:00:00.000Z")
    clock.set(DUE)
    settle(world)
    with pytest.raises(KeyGone):
        world.platform.keyring.archive.private(KEY)
    assert states(world, gone)[GIVEN] == "destroyed"
    # whose box that was nobody can say by its row: no certificate on a word that is not ours, and it is on record
    assert [item.field for item in certified(world, gone)[-1].items] == [GIVEN]
    assert [one.records[0][1]["code"] for one in world.events("attempt.refused")] == ["bad_archive_row"]


def test_a_certificate_names_our_event_of_the_end_not_one_that_somebody_planted(
    world: World, clock: FixedClock, gone: Customer
) -> None:
    records = orjson.dumps([{"subject": None, "data": {"archive_key": KEY, "cause": "urn:uuid:of-no-request"}}])
    with world.platform.database.write("owner") as session:
        session.add(
            Outbox(
                event_id="urn:uuid:planted", type="archive.ended", at=times.iso_ms(world.now()), header="{}",
                records=records.decode(), salts=bytes(32), key=f"archive.ended:{KEY}", prev=b"", mac=bytes(32),
            )
        )  # fmt: skip
    clock.set(DUE)
    settle(world)
    cause = certified(world, gone)[-1].cause
    with world.platform.database.read() as session:
        ours = outbox.told(session, cause)
    assert ours is not None, cause
    assert dict(ours.records[0][1]) == {"archive_key": KEY, "cause": "destroy_by"}


def test_a_date_moved_earlier_destroys_nothing_early(world: World, clock: FixedClock, gone: Customer) -> None:
    change(world, EMAIL, destroy_by="2026-11-23T00:00:00.000Z")
    clock.advance(timedelta(days=2))
    settle(world)
    assert len(world.rows(Archived)) == 2
    assert world.events("archive.ended") == []


def test_a_row_put_under_another_key_neither_lives_longer_nor_gets_a_certificate(
    world: World, clock: FixedClock, gone: Customer
) -> None:
    change(world, EMAIL, archive_key="P3Y-claims~2099-01-01")
    clock.set(DUE)
    settle(world)
    (row,) = world.rows(Archived)
    assert not archive.authentic(world.platform, row)
    with pytest.raises(KeyGone):
        world.platform.keyring.archive.private(KEY)
    change(world, EMAIL, archive_key="../../root")
    settle(world)


def test_a_box_that_was_moved_to_another_row_is_not_certified_for_its_owner(
    world: World, clock: FixedClock, gone: Customer
) -> None:
    other = archived(world)
    with world.platform.database.write("owner") as session:
        for row in session.exec(select(Archived).where(Archived.subject == gone.subject)):
            row.subject = other.subject
            row.job = "moved"
            session.add(row)
    clock.set(DUE)
    settle(world)
    assert len(certified(world, gone)) == 1
    assert {item.field for item in certified(world, other)[-1].items} == {EMAIL, GIVEN}


def test_a_key_that_lies_with_the_officer_ends_too(world: World, clock: FixedClock, gone: Customer) -> None:
    keys = world.platform.keyring.archive
    given = keys.take_out(KEY)
    keys.removed(KEY)
    clock.set(DUE)
    settle(world)
    assert states(world, gone)[EMAIL] == "destroyed"
    with pytest.raises(KeyGone):
        keys.put_back(KEY, given)


def test_nothing_is_destroyed_before_its_key(world: World, clock: FixedClock, gone: Customer) -> None:
    """A row is removed only once its key has ended."""
    clock.set(DUE)
    seen: list[bool] = []
    delete = Session.delete

    def watching(session: Session, row: object) -> None:
        if isinstance(row, Archived):
            seen.append(world.platform.keyring.archive.ended(row.archive_key))
        delete(session, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "delete", watching)
        settle(world)
    assert seen == [True, True]


def test_a_key_that_cannot_be_erased_opens_nothing_and_nobody_is_told_that_it_is_gone(
    world: World, clock: FixedClock, gone: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, other, destroy = world.platform.keyring.archive, "P1Y-tax~2030-01-01", keyfiles.destroy
    keys.public(other)

    def failing(path: Path) -> None:
        if path.name == f"{KEY}.key":
            raise OSError(errno.EIO, "input/output error")
        destroy(path)

    monkeypatch.setattr(keyfiles, "destroy", failing)
    clock.set(DUE)
    for _ in range(2):
        done = worker.run_once(world.platform, world.catalogue)
        assert (done.failed, done.destroyed, len(world.rows(Archived))) == (1, 0, 2)
    with pytest.raises(KeyGone):
        keys.private(KEY)
    assert (len(certified(world, gone)), world.events("value.destroyed")) == (1, [])
    assert keys.ended(other), "one that fails holds up no other"
    monkeypatch.setattr(keyfiles, "destroy", destroy)
    assert worker.run_once(world.platform, world.catalogue).destroyed == 2
    assert files(world) == {f"{KEY}.ended", f"{other}.ended"}
    assert len(certified(world, gone)) == 2


def files(world: World) -> set[str]:
    """What is left of the archive's keys."""
    return {path.name for path in (world.settings.keys_dir / "archive").iterdir()}


def work(home: Path, point: str | None) -> None:
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_in(home), FixedClock(DUE))
    chosen = catalogues.load()
    while worker.run_once(platform, chosen).left:
        pass
    platform.close()


ENDS = [point for point in crash.POINTS if point.startswith(("period.", "erase.", "due."))]


@pytest.mark.parametrize("point", ENDS)
def test_killed_at_a_point_it_ends_once(world: World, clock: FixedClock, point: str) -> None:
    who = archived(world)
    for at in (point, None):
        process = PROCESSES.Process(target=work, args=(world.settings.home, at))
        process.start()
        process.join(30)
        assert process.exitcode == (-signal.SIGKILL if at else 0)
    clock.set(DUE)
    assert len(world.events("archive.ended")) == 1
    assert sorted(data["field"] for one in world.events("value.destroyed") for _, data in one.records) == [EMAIL, GIVEN]
    assert len(certified(world, who)) == 2
    assert ending.untold(world.platform) == []


REQUEST = "urn:uuid:two-officers"


def early(home: Path, point: str) -> None:
    """Two officers end the key years before its day."""
    os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_in(home), FixedClock(START))
    ending.end_key(platform, KEY, Cause(id=REQUEST, by=(("approver", "ada"),)))


def killed_early(world: World, point: str) -> None:
    process = PROCESSES.Process(target=early, args=(world.settings.home, point))
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("point", [point for point in ENDS if not point.startswith("due.")])
def test_an_end_before_its_day_that_was_killed_is_carried_out_or_never_was(world: World, point: str) -> None:
    who = archived(world)
    killed_early(world, point)
    settle(world)
    if point in ("period.before", "erase.before"):
        assert world.platform.keyring.archive.at_hand(KEY)
        assert (len(world.rows(Archived)), len(certified(world, who))) == (2, 1)
        return
    assert files(world) == {f"{KEY}.ended"}
    assert (world.rows(Archived), len(certified(world, who))) == ([], 2)
    (told,) = world.events("archive.ended")
    assert (told.records[0][1]["cause"], told.header["approver"]) == (REQUEST, "ada"), "who ended it is not lost"


def test_an_end_that_was_killed_and_of_which_no_box_tells_is_carried_out_too(world: World) -> None:
    world.platform.keyring.archive.public(KEY)
    killed_early(world, "erase.within")
    settle(world)
    assert files(world) == {f"{KEY}.ended"}
    assert len(world.events("archive.ended")) == 1


def test_control_who_believes_the_mark_certifies_what_is_still_there(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = archived(world)
    killed_early(world, "erase.within")
    monkeypatch.setattr(ArchiveKeys, "unfinished", lambda _: ())
    monkeypatch.setattr(ArchiveKeys, "destroy", lambda *_: None)
    settle(world)
    assert (len(certified(world, who)), f"{KEY}.key" in files(world)) == (2, True)
