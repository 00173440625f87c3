"""Compiling: one row per purpose and place, cheap for many, and only for time what time changes."""

import dataclasses
import threading
import time
from datetime import timedelta

import pytest

from issuer import credentials
from protocol.consent import SubjectId
from protocol.did import Did
from tests.verifier.stage import ASKED, EMAIL, FAMILY, GIVEN, Customer, Stage
from verifier import allowance, verdicts, worker
from verifier.gate import Gate


def test_each_purpose_has_a_row_at_home_and_every_other_granted_place_its_own(stage: Stage, customer: Customer) -> None:
    them = Did("did:web:delivery.example")  # at home, too
    purpose = next(one for one in stage.catalogue.purposes.values() if "*" in one.recipients)
    fields = [field for field in purpose.necessity if not stage.catalogue.field(field).sensitive][:1]
    stage.give(customer, fields, purpose=purpose.key, recipients=frozenset({them}))
    rows = stage.allowances(customer.subject)
    us, home = stage.platform.controller, "CN"
    assert {(key, us, home) for key in (one.iri for one in stage.catalogue.purposes.values())} <= set(rows)
    assert set(rows) - {(one.iri, us, home) for one in stage.catalogue.purposes.values()} == {(purpose.iri, them, home)}
    role = sorted(purpose.roles)[0]
    assert stage.see(customer.subject, purpose.key, role, recipient=them).released == set(fields)
    assert stage.see(customer.subject, purpose.key, role).reasons[fields[0]] == "recipient_not_granted"


def test_five_hundred_subjects_are_compiled_in_under_two_seconds(stage: Stage) -> None:
    stage.ground("administration", GIVEN, FAMILY)
    stage.ground("invitation", EMAIL, roles=frozenset({"mailer"}), until_enrolled=True)
    subjects = [SubjectId(f"sub_{number:026}") for number in range(500)]
    with stage.platform.database.write("owner") as session:
        for subject in subjects:
            credentials.open_standing(session, subject)
        start = time.process_time()
        assert allowance.compile_many(session, stage.platform, stage.catalogue, subjects) == 500
        took = time.process_time() - start
    assert took < 2.0
    assert stage.released(subjects[499], "administration", "sales") == {GIVEN, FAMILY}
    assert allowance.compile_all(stage.platform, stage.catalogue) == 500


def test_after_a_change_of_catalogue_everybody_is_compiled_once(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    stage.subject()
    purposes = {
        key: dataclasses.replace(one, roles=one.roles | {"admin"}) for key, one in stage.catalogue.purposes.items()
    }
    newer = dataclasses.replace(stage.catalogue, digest="zQmNewer", purposes=purposes)
    assert allowance.compile_stale(stage.platform, newer) == 2
    assert allowance.compile_stale(stage.platform, newer) == 0
    gate = Gate.open(stage.platform, newer)
    stage.gate = gate
    assert stage.see(customer.subject).grounds == {given.id: ASKED}
    assert stage.sql("SELECT * FROM quarantine") == []


def test_an_unknown_subject_is_not_compiled(stage: Stage) -> None:
    stage.compile_again(SubjectId("sub_nobody"))
    assert stage.allowances(SubjectId("sub_nobody")) == {}


def test_a_signature_is_verified_once(stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.give(customer)

    def never(*args: object, **kwargs: object) -> None:
        raise AssertionError

    monkeypatch.setattr(verdicts.credential, "verify", never)
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == ASKED


def test_the_memory_of_verdicts_is_bounded_and_the_oldest_goes(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "CAPACITY", 2)
    verdicts._kept.clear()
    stage.give(customer)
    for _ in range(3):
        stage.give(stage.enrol())
        assert len(verdicts._kept) <= 2
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == ASKED


def test_the_worker_compiles_what_time_changed_and_outlives_errors(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.give(customer, until=stage.clock.now() + timedelta(hours=1))
    stage.clock.advance(timedelta(hours=2))
    stop = threading.Event()
    compile_due, calls = allowance.compile_due, []

    def fails_first(*args: object) -> int:
        calls.append("call")
        if len(calls) == 1:
            raise OSError("disk")
        if len(calls) == 3:
            stop.set()
        return compile_due(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(allowance, "compile_due", fails_first)
    worker.run(stage.platform, stage.catalogue, stop, interval=0.01)
    change = stage.allowances(customer.subject)[
        (stage.catalogue.purpose("marketing").iri, stage.platform.controller, "CN")
    ]["next_change_at"]
    assert change is None
