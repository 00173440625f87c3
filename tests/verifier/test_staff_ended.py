"""The end of a staff account: once it is acknowledged none of its reads returns anything, begun before or after."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fieldgrant import staff as command
from runtime import staff, terminal
from runtime.platform import Platform
from runtime.problem import Problem
from tests.verifier.stage import EMAIL, Customer, Stage, look
from verifier.drain import Turnstile
from verifier.gate import Reader, Verdict, Visit


@pytest.fixture
def visit(stage: Stage, customer: Customer) -> Visit:
    """Of an account whose sign-in was looked at a moment ago."""
    stage.give(customer)
    with stage.platform.database.write("owner") as session:
        made = staff.create_account(
            session, stage.platform.keyring, account="mia", name="Mia", role="marketing", password="a long passphrase",
            at=stage.clock.now(),
        )  # fmt: skip
    reader = Reader(did=made.did, role=made.role, account=made.account, since=made.since)
    return stage.gate.visit(reader, "marketing")


@pytest.fixture
def ends(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> threading.Thread:
    """`fieldgrant staff end mia`, to be started."""

    @contextmanager
    def opened(*_: Any) -> Iterator[Platform]:
        yield stage.platform

    monkeypatch.setattr(terminal, "opened", opened)
    return threading.Thread(target=command.end, args=("mia",), daemon=True)


def read(stage: Stage, visit: Visit, customer: Customer) -> Verdict:
    with stage.gate.read(visit, lambda passage: look(stage, passage, customer.subject)) as (_, verdict):
        return verdict


def test_a_read_that_begins_after_the_end_is_refused_whatever_was_looked_at_before(
    stage: Stage, visit: Visit, customer: Customer
) -> None:
    assert EMAIL in read(stage, visit, customer).released
    with stage.platform.database.write("owner") as session:
        staff.end_account(session, stage.platform, "mia", stage.clock.now())
    with pytest.raises(Problem) as refused:
        read(stage, visit, customer)
    assert (refused.value.status, refused.value.code) == (401, "not_signed_in")
    stage.gate.turnstile.drain(timeout=1)  # it keeps no place inside
    assert EMAIL in stage.released(customer.subject)  # others read on


def returned_while_reading(stage: Stage, visit: Visit, customer: Customer, ends: threading.Thread) -> bool:
    """Whether the command returned while a read of theirs had not sent its last byte."""
    with stage.gate.read(visit, lambda passage: look(stage, passage, customer.subject)) as (_, verdict):
        assert EMAIL in verdict.released
        ends.start()
        until = time.monotonic() + 60
        while not stage.platform.journal.staff_ended("mia", visit.reader.since) and time.monotonic() < until:
            time.sleep(0.01)
        ends.join(2)
        early = not ends.is_alive()
    ends.join(60)
    assert not ends.is_alive()
    assert stage.platform.journal.staff_ended("mia", visit.reader.since)
    return early


def test_the_end_of_an_account_is_acknowledged_after_its_reads(
    stage: Stage, visit: Visit, customer: Customer, ends: threading.Thread
) -> None:
    assert not returned_while_reading(stage, visit, customer, ends)


def test_the_control_without_the_drain_it_is_acknowledged_before(
    stage: Stage, visit: Visit, customer: Customer, ends: threading.Thread, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Turnstile, "drain", lambda _: None)
    monkeypatch.setattr(type(stage.gate.turnstile), "drain", lambda _: None)
    assert returned_while_reading(stage, visit, customer, ends)
