"""The gate: what it releases, why it withholds, what is on record."""

import contextlib
import threading
import time
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from issuer import registry
from protocol import event
from protocol.consent import Jurisdiction, Processing, SubjectId
from protocol.did import Did
from runtime.clock import ClockError
from runtime.problem import Problem
from tests.verifier.stage import ASKED, CITY, EMAIL, FAMILY, GIVEN, PHONE, Customer, Stage, foreign_did, look
from verifier import allowance, grounds, quarantine
from verifier import gate as gates
from verifier.gate import StandingMoved


def test_without_a_ground_nothing_is_released(stage: Stage) -> None:
    verdict = stage.see(stage.subject())
    assert verdict.released == frozenset()
    assert set(verdict.reasons.values()) == {"no_ground"}
    assert set(verdict.reasons) == set(stage.catalogue.fields)


def test_a_consent_releases_its_fields_for_its_purpose_alone(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    verdict = stage.see(customer.subject)
    assert verdict.released == ASKED
    assert verdict.grounds == {given.id: ASKED}
    assert verdict.reasons[PHONE] == "no_ground"
    assert stage.see(customer.subject, "service", "service").reasons[EMAIL] == "purpose_not_granted"


def test_every_catalogue_field_is_either_released_or_has_a_reason(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    verdict = stage.see(customer.subject)
    assert verdict.released | set(verdict.reasons) == set(stage.catalogue.fields)
    assert not verdict.released & set(verdict.reasons)


def test_after_a_withdrawal_the_reason_says_so(stage: Stage, customer: Customer) -> None:
    stage.withdraw(customer, stage.give(customer))
    verdict = stage.see(customer.subject)
    assert verdict.released == frozenset()
    assert verdict.reasons[EMAIL] == "withdrawn"


def test_a_narrowing_takes_only_what_was_lost(stage: Stage, customer: Customer) -> None:
    stage.narrow(customer, stage.give(customer), [CITY])
    verdict = stage.see(customer.subject)
    assert verdict.released == {CITY}
    assert verdict.reasons[EMAIL] == "withdrawn"


def test_past_its_next_change_the_gate_denies_until_somebody_compiles(stage: Stage, customer: Customer) -> None:
    until = stage.clock.now() + timedelta(hours=1)
    stage.give(customer, until=until)
    stage.clock.advance(timedelta(minutes=59))
    assert stage.released(customer.subject) == ASKED
    stage.clock.set(until)
    verdict = stage.see(customer.subject)
    assert verdict.released == frozenset()
    assert verdict.reasons[EMAIL] == "expired"
    assert allowance.compile_due(stage.platform, stage.catalogue) == 1
    assert stage.see(customer.subject).reasons[EMAIL] == "expired"
    assert allowance.compile_due(stage.platform, stage.catalogue) == 0


def test_an_expired_consent_is_expired_for_good(stage: Stage, customer: Customer) -> None:
    stage.give(customer, until=stage.clock.now() + timedelta(hours=1))
    stage.clock.advance(timedelta(hours=2))
    stage.expire()
    assert stage.see(customer.subject).reasons[EMAIL] == "expired"


def test_a_role_that_may_not_act_for_a_purpose_is_refused_and_it_is_on_record(stage: Stage) -> None:
    with pytest.raises(Problem) as refused:
        stage.gate.visit(stage.reader("sales"), "marketing")
    assert (refused.value.status, refused.value.code) == (403, "role")
    (told,) = stage.events(event.REFUSAL)
    assert told.header["role"] == "sales"


def test_an_unknown_purpose_is_refused_and_its_text_is_kept_nowhere(stage: Stage) -> None:
    with pytest.raises(Problem) as refused:
        stage.gate.visit(stage.reader(), "li.wei@customers.example")
    assert (refused.value.status, refused.value.code) == (404, "unknown_purpose")
    (told,) = stage.events(event.ATTEMPT_REFUSED)
    assert b"li.wei" not in b"".join(told.bodies())


def test_other_recipients_places_and_processings_are_not_granted(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    for abroad in ({"recipient": foreign_did()}, {"jurisdiction": Jurisdiction("US")}):
        with pytest.raises(Problem) as caught:
            stage.see(customer.subject, **abroad)
        assert caught.value.code == "transfer_not_allowed"
    carrier = stage.see(customer.subject, "partner-delivery", "service", recipient=Did("did:web:delivery.example"))
    assert carrier.reasons[EMAIL] == "recipient_not_granted"
    other = stage.see(customer.subject, processing=Processing("dpv:Sell"))
    assert other.released == frozenset()
    assert other.reasons[EMAIL] == "purpose_not_granted"


def test_a_release_is_on_record_with_fields_reasons_and_grounds(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer, [EMAIL])
    stage.see(customer.subject)
    told = stage.events(event.RELEASE)[-1]
    ((subject, data),) = told.records
    assert subject == customer.subject
    assert data["released"] == [EMAIL]
    assert data["withheld"] == {CITY: "no_ground", GIVEN: "no_ground"}
    assert data["grounds"] == {given.id: [EMAIL]}
    assert data["version"] == stage.see(customer.subject).version
    assert told.header["purpose"] == stage.catalogue.purpose("marketing").iri


def test_a_page_without_rows_is_on_record_too(stage: Stage) -> None:
    visit = stage.gate.visit(stage.reader(), "marketing")
    with stage.gate.read(visit, lambda passage: passage.record([], query={})) as (_, release):
        assert stage.events(event.RELEASE)[-1].event_id == release


def test_an_unrecorded_read_cannot_be_answered(stage: Stage) -> None:
    visit = stage.gate.visit(stage.reader(), "marketing")
    with stage.gate.passage(visit) as passage, pytest.raises(RuntimeError):
        passage.hand_over()


def test_statutory_grounds_cover_whom_they_name_and_who_may_use_them(stage: Stage, customer: Customer) -> None:
    other = stage.subject()
    stage.ground("administration", GIVEN, FAMILY, subjects=frozenset({customer.subject}))
    assert stage.released(customer.subject, "administration", "sales") == {GIVEN, FAMILY}
    assert stage.released(other, "administration", "sales") == set()
    stage.ground("service", GIVEN, roles=frozenset({"service"}))
    assert stage.released(other, "service", "service") == {GIVEN}


def test_a_ground_for_some_roles_is_not_lent_to_the_others_of_its_purpose(stage: Stage) -> None:
    subject = stage.subject()
    stage.ground("administration", GIVEN, roles=frozenset({"dpo"}))
    assert stage.see(subject, "administration", "sales").reasons[GIVEN] == "role"


def test_the_mailer_reads_channels_until_the_customer_has_a_wallet(stage: Stage) -> None:
    subject = stage.subject()
    stage.ground("invitation", EMAIL, PHONE, roles=frozenset({"mailer"}), until_enrolled=True)
    assert stage.released(subject, "invitation", "mailer") == {EMAIL, PHONE}
    stage.enrol(subject)
    assert stage.see(subject, "invitation", "mailer").reasons[EMAIL] == "no_ground"


def test_a_ground_for_everyone_releases_nothing_once_its_end_is_in_the_journal(stage: Stage) -> None:
    subject = stage.subject()
    ground = stage.ground("administration", GIVEN, FAMILY)
    before = stage.sql("SELECT * FROM allowance WHERE subject = ?", subject)
    stage.end_ground(ground)
    stage.put_back(before)  # as between the end's commit and the last subject's compilation
    verdict = stage.see(subject, "administration", "sales")
    assert verdict.released == frozenset()
    assert verdict.reasons[GIVEN] == "withdrawn"
    assert stage.sql("SELECT * FROM quarantine") == []


def test_no_later_ground_revives_what_was_withdrawn(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer, [GIVEN, EMAIL], purpose="service")
    stage.withdraw(customer, given)
    stage.clock.advance(timedelta(hours=1))
    stage.ground("service", GIVEN, FAMILY)
    verdict = stage.see(customer.subject, "service", "service")
    assert verdict.released == {FAMILY}
    assert verdict.reasons[GIVEN] == "withdrawn"


def test_a_new_consent_after_a_withdrawal_releases_again(stage: Stage, customer: Customer) -> None:
    stage.withdraw(customer, stage.give(customer))
    stage.give(customer, [CITY])
    assert stage.released(customer.subject) == {CITY}


def test_a_consent_of_a_wallet_that_was_replaced_ends_with_it(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.clock.advance(timedelta(hours=1))
    stage.enrol(customer.subject)
    assert stage.see(customer.subject).reasons[EMAIL] == "withdrawn"


def test_a_clock_that_cannot_be_believed_denies(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = stage.gate.visit(stage.reader(), "marketing")

    def broken() -> None:
        raise ClockError("below its mark")

    monkeypatch.setattr(stage.clock, "now", broken)
    with pytest.raises(Problem, match="cannot be believed") as refused, stage.gate.passage(visit):
        pass
    assert (refused.value.status, refused.value.code) == (503, "clock_implausible")
    with pytest.raises(Problem) as refused:
        stage.gate.visit(stage.reader(), "marketing")
    assert refused.value.code == "clock_implausible"
    stage.gate.turnstile.drain(1.0)


def test_without_the_journal_nothing_is_read(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    (stage.platform.settings.journal_dir / "journal.jsonl").unlink()
    with pytest.raises(Problem) as refused:
        stage.see(customer.subject)
    assert (refused.value.status, refused.value.code) == (503, "journal_missing")
    stage.gate.turnstile.drain(1.0)


def test_a_change_in_progress_is_waited_for_and_not_taken_for_a_rollback(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    visit = stage.gate.visit(stage.reader(), "marketing")
    seen: list[str] = []

    def work(passage: object) -> object:
        if not seen:  # the journal is ahead for an instant, then the withdrawal commits
            stage.platform.journal.append(
                {"kind": "narrowing", "subject": customer.subject, "version": 99, "ended": [given.id], "at": "-"}
            )
        elif len(seen) == 1:
            stage.sql("UPDATE standing SET version = 99 WHERE subject = ?", customer.subject)
            stage.compile_again(customer.subject)
        seen.append("try")
        return look(stage, passage, customer.subject)  # type: ignore[arg-type]

    with stage.gate.read(visit, work) as (_, verdict):
        assert verdict.released == frozenset()  # type: ignore[attr-defined]
    assert len(seen) == 2
    assert stage.sql("SELECT * FROM quarantine") == []


class Failed(RuntimeError):  # noqa: N818 - not an error of ours
    """The commit fails here."""


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a read has lost its patience with somebody."""
    monkeypatch.setattr(gates, "PATIENCE", 0.05)
    suspect, event_ = gates.Gate._suspect, threading.Event()

    def suspected(*args: Any) -> Any:
        event_.set()
        return suspect(*args)

    monkeypatch.setattr(gates.Gate, "_suspect", suspected)
    return event_


@pytest.mark.parametrize("commits", [True, False])
def test_a_change_that_takes_longer_than_patience_puts_nobody_in_doubt_once_it_has_committed(
    stage: Stage, customer: Customer, met: threading.Event, commits: bool
) -> None:
    """The control: its commit fails, and the standing stays below the journal's floor."""
    stage.give(customer)
    journaled = threading.Event()

    def change() -> None:
        with contextlib.suppress(Failed), stage.platform.database.write() as session:
            version = stage.registry.raised(session, customer.subject)
            stage.registry.journal(session, customer.subject, version, [], {}, at=stage.clock.now())
            journaled.set()
            assert met.wait(10)
            time.sleep(0.1)
            if not commits:
                raise Failed

    thread = threading.Thread(target=change)
    thread.start()
    assert journaled.wait(10)
    released = stage.released(customer.subject)
    thread.join()
    assert met.is_set()
    assert stage.sql("SELECT cause FROM quarantine") == ([] if commits else [("below_floor",)])
    assert released == (ASKED if commits else set())


@pytest.mark.parametrize("again", [True, False])
def test_a_row_that_is_what_we_wrote_by_the_time_of_the_lock_is_read_anew(
    stage: Stage, customer: Customer, met: threading.Event, again: bool
) -> None:
    """The control: it stays what somebody planted."""
    stage.give(customer)
    stage.sql("UPDATE allowance SET mask = ? WHERE subject = ?", b"\xff" * 16, customer.subject)
    written = threading.Event()

    def change() -> None:
        with stage.platform.database.write() as session:
            if again:
                stage.compile(session, customer.subject)
            written.set()
            assert met.wait(10)
            time.sleep(0.1)

    thread = threading.Thread(target=change)
    thread.start()
    assert written.wait(10)
    released = stage.released(customer.subject)
    thread.join()
    assert stage.sql("SELECT cause FROM quarantine") == ([] if again else [("bad_mac",)])
    assert released == (ASKED if again else set())


@pytest.mark.parametrize("place", ["turnstile", "change"])
def test_to_wait_at_the_turnstile_is_no_patience_with_a_change(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The control: the same time passes after the change was met."""
    stage.give(customer)
    visit, clock, tries = stage.gate.visit(stage.reader(), "marketing"), [0.0], []
    enter = stage.gate.turnstile.passage

    def waits(seconds: float) -> None:
        clock[0] += seconds

    def passage() -> Any:
        waits(3.0 if place == "turnstile" and not tries else 0.0)
        return enter()

    monkeypatch.setattr(gates, "time", SimpleNamespace(monotonic=lambda: clock[0], sleep=waits))
    monkeypatch.setattr(gates, "_PAUSE", 3.0 if place == "change" else 0.02)
    monkeypatch.setattr(stage.gate.turnstile, "passage", passage)
    floor = {"kind": "narrowing", "subject": customer.subject, "version": 99, "ended": [], "at": "-"}
    stage.platform.journal.append(floor)

    def work(passage: Any) -> Any:
        tries.append("try")
        if len(tries) == 3:
            stage.sql("UPDATE standing SET version = 99 WHERE subject = ?", customer.subject)
            stage.compile_again(customer.subject)
        return look(stage, passage, customer.subject)

    with stage.gate.read(visit, work) as (_, verdict):
        assert verdict.released == (ASKED if place == "turnstile" else set())
    assert stage.sql("SELECT cause FROM quarantine") == ([] if place == "turnstile" else [("below_floor",)])


def test_a_read_that_keeps_meeting_changes_gives_up_and_puts_nobody_in_doubt(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "LONGEST", 0.05)
    stage.platform.journal.append(
        {"kind": "narrowing", "subject": customer.subject, "version": 99, "ended": [], "at": "-"}
    )
    with pytest.raises(StandingMoved):
        stage.see(customer.subject)
    assert stage.sql("SELECT * FROM quarantine") == []
    stage.gate.turnstile.drain(1.0)


def test_an_unforeseen_error_at_the_door_leaves_nothing_locked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    visit = stage.gate.visit(stage.reader(), "marketing")

    def broken() -> None:
        raise OSError("disk")

    monkeypatch.setattr(stage.clock, "now", broken)
    with pytest.raises(OSError, match="disk"), stage.gate.passage(visit):
        pass
    stage.gate.turnstile.drain(1.0)


def test_in_a_passage_of_its_own_a_moving_standing_fails_closed(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.platform.journal.append(
        {"kind": "narrowing", "subject": customer.subject, "version": 99, "ended": [], "at": "-"}
    )
    visit = stage.gate.visit(stage.reader(), "marketing")
    with pytest.raises(StandingMoved) as refused, stage.gate.passage(visit) as passage:
        look(stage, passage, customer.subject)
    assert (refused.value.status, refused.value.code) == (503, "standing_moving")
    stage.gate.turnstile.drain(1.0)


def test_whatever_a_read_raises_the_passage_is_left(stage: Stage) -> None:
    visit = stage.gate.visit(stage.reader(), "marketing")

    def work(passage: object) -> None:
        raise KeyError

    with pytest.raises(KeyError), stage.gate.read(visit, work):
        pass
    stage.gate.turnstile.drain(1.0)


def test_grants_are_read_by_others_as_the_gate_reads_them(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    with stage.platform.database.read() as session:
        (evidence,) = grounds.collect(session, [customer.subject])
        assert evidence == registry.evidence(session, customer.subject)
    (grant,) = grounds.grants(stage.platform, stage.catalogue, evidence)
    assert (grant.ground, grant.kind, grant.fields, grant.ended) == (given.id, "consent", ASKED, None)


def test_only_who_is_under_quarantine_can_be_freed(stage: Stage) -> None:
    with stage.platform.database.write("owner") as session:
        assert not quarantine.lift(session, SubjectId("sub_nobody"), stage.clock.now())
    assert stage.events(event.SUBJECT_QUARANTINED) == []
