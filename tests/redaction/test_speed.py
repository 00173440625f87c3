"""Many dispositions at once: what a group shares, what it costs beside its boxes, and that none harms another."""

import sqlite3
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox
from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from crm_core import records
from crm_core.records import RecordRow
from issuer.credentials import Credential
from protocol.consent import Field
from redaction import certificate, disposition, downstream, plan, rotation, status, worker
from redaction.archive import Archived
from redaction.disposition import Job
from redaction.pace import HOLD, Pace
from redaction.rewrapping import HANDFUL, handfuls
from redaction.rotations import Going
from runtime import bulk
from runtime.dialect import Role
from runtime.journal import Journal
from runtime.keyring import bucket_of
from runtime.platform import Platform
from runtime.session import Database
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, VALUES, Customer, World, settle
from verifier import disclosure, grounds

PEOPLE = 24
MANY = 60
ROUNDS = 3
# Of what sealed boxes and one commit for all of them allow (docs/decisions/022). With so few customers nearly each has
# a bucket of their own to rotate: 0.055 was measured, on a machine with twenty others at work.
FLOOR = 0.033
FIELDS = {
    Field(name): f"value of {name}"
    for name in ("contact.given_name", "contact.family_name", "identity.customer_number", "contract.number")
} | {EMAIL: VALUES[EMAIL]}
# Ten fields of which the catalogue seals nine and shreds one.
TEN: dict[Field, Any] = {
    **FIELDS, Field("contract.product"): "a product", Field("contract.amount"): 1234.5,
    Field("contract.start"): "2024-05-01", Field("contract.end"): "2026-05-01", PHONE: VALUES[PHONE],
}  # fmt: skip


def withdrawn(world: World, count: int, fields: Mapping[Field, Any] = FIELDS) -> list[Customer]:
    people = [world.customer(fields) for _ in range(count)]
    for who in people:
        world.withdraw(who, world.consent(who, fields))
    return people


def verified(world: World, people: Sequence[Customer]) -> None:
    """What who took the withdrawals has done already: an allowance is compiled of verified evidence."""
    for start in range(0, len(people), plan.BATCH):
        subjects = [who.subject for who in people[start : start + plan.BATCH]]
        with world.platform.database.read() as session:
            for evidence in grounds.collect(session, subjects):
                assert not grounds.examine(world.platform, world.catalogue, evidence, world.now()).complaints


def boxes_alone(path: Path, count: int) -> float:
    """Processor seconds for so many sealed boxes, and one durable commit of all of them."""
    public = PrivateKey.generate().public_key
    database = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE IF NOT EXISTS box (it)"):
        database.execute(statement)
    began = time.process_time()
    boxes = [(SealedBox(public).encrypt(b"x" * 300),) for _ in range(count)]
    database.execute("BEGIN IMMEDIATE")
    database.executemany("INSERT INTO box VALUES (?)", boxes)
    database.execute("COMMIT")
    took = time.process_time() - began
    database.close()
    return took


@contextmanager
def untraced() -> Iterator[None]:
    """Coverage counts the lines of ours, not those of libsodium; in threads too."""
    tracing, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        yield
    finally:
        sys.settrace(tracing)
        threading.settrace(in_threads)  # type: ignore[arg-type]


@pytest.mark.alone
def test_dispositions_keep_a_share_of_the_speed_of_their_sealed_boxes(world: World, tmp_path: Path) -> None:
    ratios = []
    for _ in range(ROUNDS):
        people = withdrawn(world, MANY)
        with untraced():
            alone = boxes_alone(tmp_path / "boxes.db", MANY * len(FIELDS))
            began = time.process_time()
            settle(world)
            took = time.process_time() - began
            alone = (alone + boxes_alone(tmp_path / "boxes.db", MANY * len(FIELDS))) / 2
        ratios.append(alone / took)
        assert all(world.readable(who) == {} for who in people)
    assert median(ratios) > FLOOR


def test_of_ten_fields_nine_go_into_the_archive_and_one_is_shredded(world: World) -> None:
    people = withdrawn(world, 2, TEN)
    verified(world, people)
    settle(world)
    assert len(world.rows(Archived)) == 2 * (len(TEN) - 1)
    assert [len(one.records) for one in world.events("value.shredded")] == [2]


def test_a_group_shares_its_transactions_its_journal_entries_and_its_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = withdrawn(world, PEOPLE)
    transactions, appended = [], []
    write, append_all = Database.write, Journal.append_all

    @contextmanager
    def counted(self: Database, *role: Role) -> Iterator[Session]:
        transactions.append(1)
        with write(self, *role) as session:
            yield session

    def noted(self: Journal, entries: Sequence[dict[str, object]]) -> int:
        appended.append(len(entries))
        return append_all(self, entries)

    monkeypatch.setattr(Database, "write", counted)
    monkeypatch.setattr(Journal, "append_all", noted)
    for pace in ("_DISPOSING", "_CERTIFYING"):  # however slow this machine is
        monkeypatch.setattr(worker, pace, Pace(size=PEOPLE, least=PEOPLE, most=PEOPLE))
    settle(world)
    assert len(transactions) <= 25, "as many as for one customer, and those of destroyed keys"
    assert appended == [2 * PEOPLE], "what was dropped and what survives"
    told = world.events("value.sealed")
    assert [len(one.records) for one in told] == [PEOPLE] * len(FIELDS)
    for one in told:  # a record each
        assert sorted(subject for subject, _ in one.records if subject) == sorted(who.subject for who in people)
    (certified,) = world.events("certificate.issued")
    assert len(certified.records) == PEOPLE


def test_one_that_fails_holds_up_and_undoes_none_of_the_others(world: World) -> None:
    people = withdrawn(world, 5)
    broken = people[2]
    with world.platform.database.write("owner") as session:
        row = session.get_one(RecordRow, broken.subject)
        row.cells = row.cells[:-1] + bytes([row.cells[-1] ^ 1])
        session.add(row)
    plan.plan_due(world.platform, world.catalogue)
    done = worker.run_once(world.platform, world.catalogue)
    assert done.failed >= 1
    steps = {job.subject: (job.step, job.error) for job in world.rows(Job)}
    assert steps.pop(broken.subject)[1] in {"bad_cells", "bad_cell"}
    settle_others(world, broken)
    others = {job.subject: (job.step, job.error) for job in world.rows(Job) if job.subject != broken.subject}
    assert set(others.values()) == {("done", None)}
    assert len(others) == len(people) - 1
    for who in people:
        told = [one for one in world.events("value.sealed") for subject, _ in one.records if subject == who.subject]
        assert len(told) == (0 if who is broken else len(FIELDS))


def settle_others(world: World, broken: Customer) -> None:
    until = time.monotonic() + 20
    while any(job.step != "done" for job in world.rows(Job) if job.subject != broken.subject):
        assert time.monotonic() < until
        worker.run_once(world.platform, world.catalogue)
        time.sleep(0.02)


def test_a_ground_that_is_given_between_the_steps_saves_a_field_of_one_of_a_group(world: World) -> None:
    people = withdrawn(world, 3)
    proofs = plan.Proofs(world.platform, world.catalogue)
    plan.plan_due(world.platform, world.catalogue, proofs=proofs)
    jobs = [job.id for job in world.rows(Job)]
    world.consent(people[1], [EMAIL])
    worker.disposal.dispose(world.platform, world.catalogue, jobs, proofs)
    kept = [(row.subject, row.field) for row in world.fates() if row.action == "keep"]
    assert kept == [(people[1].subject, EMAIL)]
    settle(world)
    assert [world.readable(who) for who in people] == [{}, {EMAIL: VALUES[EMAIL]}, {}]


def test_a_handful_is_never_more_than_what_writers_may_wait_for() -> None:
    one, two, three = (Going(number, 2, "[1]") for number in range(3))
    page = [(one, list(range(2 * HANDFUL + 5))), (two, []), (three, list(range(7)))]
    cut = handfuls(page)  # type: ignore[arg-type]  # whatever stands for a key
    assert [sum(len(keys) for _, keys in handful) for handful in cut] == [HANDFUL, HANDFUL, 12]
    assert [key for handful in cut for row, keys in handful if row is one for key in keys] == page[0][1]
    assert cut[-1][-1] == (three, list(range(7)))
    assert handfuls([]) == []


@pytest.mark.sqlite("EXPLAIN QUERY PLAN")
def test_a_look_for_keys_left_behind_reads_none_of_those_that_are_not(world: World) -> None:
    """It is done under the write lock: 40,000 keys that were moved already must not be looked at again."""
    with world.platform.database.read() as session:
        text = records._BEHIND.compile(dialect=session.get_bind().dialect)
        plan_ = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (1, 1, 1, 1, 1, 0)).all()
    looks = [row[-1] for row in plan_ if row[-1].startswith(("SCAN", "SEARCH"))]
    assert [("record_bucket_epoch (bucket=? AND epoch" in look) for look in looks] == [True, True], plan_


def test_a_transaction_takes_as_much_as_the_last_one_lets_expect(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, HOLD / 3, 0.0, HOLD * 2, 0.0, HOLD * 9, 0.0, HOLD / 9])
    monkeypatch.setattr(time, "thread_time", lambda: next(clock))
    pace, sizes = Pace(size=10, least=4, most=14), []
    for count in (10, 14, 7, 3):
        with pace.held(count):
            pass
        sizes.append(pace.size)
    assert sizes == [14, 7, 4, 4], "grows, halves, is never too small, and learns nothing of a few"
    assert list(pace.some(range(9))) == [range(4), range(4, 8), range(8, 9)]


def test_one_pass_rotates_a_bucket_once_for_all_who_wait(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "BATCH", 3)
    people, rotated = withdrawn(world, 8), []
    rotate = rotation.rotate

    def noted(platform: Platform, buckets: Sequence[int]) -> frozenset[int]:
        rotated.append(len(buckets))
        return rotate(platform, buckets)

    monkeypatch.setattr(rotation, "rotate", noted)
    done = worker.run_once(world.platform, world.catalogue)
    assert (done.planned, done.more) == (8, False)
    assert rotated == [len({bucket_of(who.subject) for who in people})]


def test_progress_is_told_as_how_much_of_how_much(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [PHONE, EMAIL, CITY, GIVEN]))
    monkeypatch.setattr(rotation, "_destroy", lambda *_: frozenset())
    worker.run_once(world.platform, world.catalogue)
    (job,) = world.rows(Job)
    with world.platform.database.read() as session:
        found = status.progress(session)
    assert (found.rotating, found.dispositions) == ({job.bucket: (1, 1)}, (2, 4))
    monkeypatch.undo()
    settle(world)
    with world.platform.database.read() as session:
        found = status.progress(session)
    assert (found.rotating, found.dispositions) == ({}, (0, 0))


_ASKED = (grounds._OWN, certificate._ENROLLED, downstream._UNNAMED, disclosure._UNTOLD, disposition._TASKS)


@pytest.mark.sqlite("EXPLAIN QUERY PLAN")
@pytest.mark.parametrize("statement", _ASKED, ids=lambda one: str(one.froms[0]))
def test_a_look_at_some_customers_is_not_one_at_every_row_of_a_kind(world: World, statement: Any) -> None:
    assert searched(world, statement).partition("(")[2].split("=")[0] in {"subject", "id"}


@pytest.mark.sqlite("EXPLAIN QUERY PLAN")
def test_the_control_would_look_at_every_enrolment(world: World) -> None:
    columns = Credential.subject, Credential.did
    some, kind = col(Credential.subject).in_(bulk.these()), Credential.kind == bindparam("kind")
    plain = select(*columns).where(some, kind).order_by(col(Credential.at))
    assert searched(world, plain).endswith("(kind=?)"), "or the test could not fail"


def searched(world: World, statement: Any) -> str:
    """The first table that is looked at, by which index and columns."""
    with world.platform.database.read() as session:
        text, names, *_ = bulk._selecting(statement, session.get_bind().dialect)
        looks = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", tuple("[]" for _ in names)).all()
    return str(looks[0][-1])
