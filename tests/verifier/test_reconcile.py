"""A restore revives nothing: what the journal knows is brought back into the database, and nobody serves before."""

import contextlib
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from issuer import ask_ending, settling, signed
from issuer.credentials import Credential
from protocol import event
from tests.engine import hand
from tests.verifier.stage import ASKED, CITY, EMAIL, GIVEN, PHONE, Customer, Stage
from verifier import gate as gates
from verifier import reconcile


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 0.05)


@contextlib.contextmanager
def restored(stage: Stage) -> Iterator[None]:
    """What happens inside is lost from the database, as by a restore; the journal keeps what it has."""
    path = stage.platform.settings.db_dir / "fieldgrant.db"
    copy = path.with_suffix(".backup")
    with contextlib.closing(hand.connect(path)) as live, contextlib.closing(hand.connect(copy)) as backup:
        live.backup(backup)
    yield
    stage.platform.database.dispose()
    with contextlib.closing(hand.connect(copy)) as backup, contextlib.closing(hand.connect(path)) as live:
        backup.backup(live)


def settled(stage: Stage) -> list[str]:
    with stage.platform.database.read() as session:
        return settling.unsettled(session)


def disagreement(stage: Stage) -> str | None:
    try:
        reconcile.startup_check(stage.platform)
    except reconcile.Disagreement as found:
        return found.code
    return None


def test_a_platform_in_order_may_serve(stage: Stage, customer: Customer) -> None:
    stage.withdraw(customer, stage.give(customer))
    stage.give(customer)
    assert disagreement(stage) is None
    assert reconcile.reconcile(stage.platform, stage.catalogue) == reconcile.Report(
        ended=(), compiled=0, lifted=(), kept={}
    )


def test_a_restored_withdrawal_is_replayed(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    withdrawal = stage.withdrawal(customer, given)
    with restored(stage):
        stage.registry.withdraw(withdrawal, customer.wallet.did)
    assert disagreement(stage) == "journal_ahead"
    assert stage.released(customer.subject) == set()
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert report.ended == (given.id,)
    assert report.lifted == (customer.subject,)
    assert disagreement(stage) is None
    assert stage.see(customer.subject).reasons[EMAIL] == "withdrawn"
    row = stage.row(given.id)
    assert (row.ended_kind, row.ended_by) == ("withdrawn", "journal")
    assert stage.sql("SELECT about FROM credential WHERE kind = 'withdrawal'") == [(given.id,)]
    (told,) = stage.events(event.CONSENT_WITHDRAWN)
    assert told.records[0][1]["consent"] == given.id
    assert stage.registry.withdraw(withdrawal, customer.wallet.did) == stage.registry.withdraw(
        withdrawal, customer.wallet.did
    )
    assert len(stage.events(event.CONSENT_SHUT)) == 1
    stage.give(customer, [CITY])
    assert stage.released(customer.subject) == {CITY}


def test_a_restored_narrowing_leaves_the_narrower_consent(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    with restored(stage):
        stage.narrow(customer, given, [CITY])
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.released(customer.subject) == {CITY}
    assert stage.row(given.id).ended_kind == "superseded"
    settling.settle(stage.registry, *settled(stage))
    assert len(stage.events(event.CONSENT_NARROWED)) == len(stage.events(event.CONSENT_SHUT)) == 1


def test_a_restored_enrolment_is_replayed_and_ends_the_mailers_ground(stage: Stage) -> None:
    subject = stage.subject()
    stage.ground("invitation", EMAIL, PHONE, roles=frozenset({"mailer"}), until_enrolled=True)
    with restored(stage):
        customer = Customer(subject, stage.enrol(stage.subject()).wallet)
        with stage.platform.database.write("owner") as session:
            id_ = stage.store_enrolment(session, customer)
            version = stage.registry.raised(session, subject)
            evidence = {"enrolment": signed.document(session.get_one(Credential, id_))}
            stage.registry.journal(session, subject, version, [], evidence, at=stage.clock.now())
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.released(subject, "invitation", "mailer") == set()
    assert stage.row(id_).did == customer.wallet.did


def test_an_expiry_and_a_revocation_keep_their_names(stage: Stage, customer: Customer) -> None:
    first = stage.give(customer, until=stage.clock.now() + timedelta(hours=1))
    second = stage.give(customer, [GIVEN], purpose="service")
    with restored(stage):
        stage.registry.revoke(second.id, stage.staff("dora", "dpo"))
        stage.clock.advance(timedelta(hours=2))
        stage.expire()
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.row(first.id).ended_kind == "expired"
    assert stage.row(second.id).ended_kind == "revoked"
    assert disagreement(stage) is None


def test_the_end_of_a_ground_for_everyone_is_replayed_for_everyone(stage: Stage) -> None:
    subjects = [stage.subject() for _ in range(3)]
    ground = stage.ground("administration", GIVEN)
    with restored(stage):
        stage.end_ground(ground)
    assert disagreement(stage) == "journal_ahead"
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert (report.ended, report.compiled) == ((ground,), 3)
    for subject in subjects:
        assert stage.see(subject, "administration", "sales").reasons[GIVEN] == "withdrawn"


def test_a_customer_of_after_the_backup_is_simply_gone(stage: Stage) -> None:
    with restored(stage):
        customer = stage.enrol()
        stage.withdraw(customer, stage.give(customer))
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.sql("SELECT * FROM credential") == []
    assert disagreement(stage) is None


def test_a_forged_statement_in_the_journal_ends_but_is_not_put_back(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    stage.platform.journal.append(
        {
            "kind": "narrowing",
            "subject": customer.subject,
            "version": 9,
            "ended": [given.id],
            "evidence": {"withdrawal": {"id": "urn:x", "issuer": customer.wallet.did}},
            "at": "2026-11-22T08:00:00.000Z",
        }
    )
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.sql("SELECT * FROM credential WHERE kind = 'withdrawal'") == []
    assert stage.released(customer.subject) == set()
    assert stage.sql("SELECT version FROM standing WHERE subject = ?", customer.subject) == [(9,)]


def test_other_entries_of_the_journal_are_left_alone(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.platform.journal.append({"kind": "survivors", "subject": customer.subject})
    assert reconcile.reconcile(stage.platform, stage.catalogue).compiled == 0
    assert stage.released(customer.subject) == ASKED


def test_a_journal_that_lacks_an_ending_is_not_served_by(stage: Stage, customer: Customer, tmp_path: Path) -> None:
    path = stage.platform.settings.journal_dir / "journal.jsonl"
    shutil.copy(path, tmp_path / "old")
    stage.withdraw(customer, stage.give(customer))
    shutil.copy(tmp_path / "old", path)
    opened = type(stage.platform).open(stage.platform.settings, stage.clock)
    try:
        with pytest.raises(reconcile.Disagreement) as found:
            reconcile.startup_check(opened)
        assert found.value.code == "journal_behind"
    finally:
        opened.close()


def test_a_subject_whose_stored_statements_prove_nothing_stays_denied(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    stage.sql("UPDATE allowance SET mac = x'00' WHERE subject = ?", customer.subject)
    stage.sql("UPDATE credential SET body = x'7b7d' WHERE id = ?", given.id)
    stage.see(customer.subject)
    stage.sql("INSERT INTO quarantine VALUES ('sub_nobody', 'missing', '-')")
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert report.lifted == ()
    assert report.kept == {customer.subject: ("bad_credential",), "sub_nobody": ("unknown_subject",)}
    assert stage.released(customer.subject) == set()


def test_a_consent_that_a_restore_lost_comes_back_from_the_journal_proved_anew(
    stage: Stage, customer: Customer
) -> None:
    with restored(stage):
        given = stage.give(customer)
        assert stage.released(customer.subject) == ASKED
    assert stage.released(customer.subject) == set()
    look = reconcile.reconcile(stage.platform, stage.catalogue, dry_run=True)
    assert look.given == (given.id,)
    assert stage.released(customer.subject) == set()
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert (report.given, report.ended) == ((given.id,), ())
    assert stage.released(customer.subject) == ASKED
    assert reconcile.reconcile(stage.platform, stage.catalogue).given == ()
    (told,) = stage.events(event.CONSENT_GIVEN)
    assert told.records[0][1]["replayed"] is True
    withdrawal = stage.withdrawal(customer, given)
    stage.registry.withdraw(withdrawal, customer.wallet.did)
    assert stage.released(customer.subject) == set()


def test_a_consent_that_was_given_and_taken_back_after_the_backup_stays_ended(stage: Stage, customer: Customer) -> None:
    with restored(stage):
        stage.withdraw(customer, stage.give(customer))
        kept = stage.give(customer, [CITY])
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert kept.id in report.given
    assert stage.released(customer.subject) == {CITY}
    assert disagreement(stage) is None


def test_an_answer_in_the_journal_that_another_key_signed_gives_nothing(stage: Stage, customer: Customer) -> None:
    with restored(stage):
        given = stage.give(customer)
    (entry,) = [one.body for one in stage.platform.journal.entries() if one.body["kind"] == "answer"]
    forged = {**entry["evidence"]["consent"], "id": "urn:uuid:00000000-0000-4000-8000-000000000001"}
    wider = {**entry, "evidence": {**entry["evidence"], "consent": forged}}
    stage.platform.journal.append(wider)
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert report.given == (given.id,)
    assert stage.released(customer.subject) == ASKED


def test_an_answer_of_a_wallet_that_is_nobodys_gives_nothing(stage: Stage, customer: Customer) -> None:
    other = stage.enrol()
    with restored(stage):
        stage.give(customer)
    (entry,) = [one.body for one in stage.platform.journal.entries() if one.body["kind"] == "answer"]
    stage.platform.journal.append({**entry, "subject": other.subject})
    stage.sql("DELETE FROM credential WHERE kind = 'enrolment' AND subject = ?", customer.subject)
    reconcile.reconcile(stage.platform, stage.catalogue)
    assert stage.released(other.subject) == set()


def unheard(stage: Stage, customer: Customer, body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer whose commit fails: it is in the journal, and its wallet was told that nothing came of it."""

    class FullDiskError(Exception):
        pass

    def appended(entry: dict[str, object]) -> int:
        append(entry)
        raise FullDiskError

    append = stage.platform.journal.append
    with monkeypatch.context() as patch:
        patch.setattr(stage.platform.journal, "append", appended)
        with pytest.raises(FullDiskError):
            stage.registry.consent(body, customer.wallet.did)


def test_of_two_answers_to_one_ask_only_the_one_that_was_heard_is_put_back(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = stage.ask(customer)
    unheard(stage, customer, stage.answer(customer, ask), monkeypatch)
    fewer = stage.answer(customer, ask, fields=frozenset({CITY}))
    stage.registry.consent(fewer, customer.wallet.did)
    assert reconcile.reconcile(stage.platform, stage.catalogue).given == ()
    assert stage.released(customer.subject) == {CITY}


def test_of_two_lost_answers_to_one_ask_the_last_is_put_back(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = stage.ask(customer)
    with restored(stage):
        unheard(stage, customer, stage.answer(customer, ask), monkeypatch)
        fewer = stage.answer(customer, ask, fields=frozenset({CITY}))
        stage.registry.consent(fewer, customer.wallet.did)
    assert reconcile.reconcile(stage.platform, stage.catalogue).given == (stage.parsed(fewer).id,)
    assert stage.released(customer.subject) == {CITY}


def test_an_answer_that_nobody_heard_to_an_ask_that_was_then_closed_gives_nothing(
    stage: Stage, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = stage.ask(customer)
    unheard(stage, customer, stage.answer(customer, ask), monkeypatch)
    ask_ending.end(stage.registry, stage.staff("mia", "marketing"), ask.id)
    assert reconcile.reconcile(stage.platform, stage.catalogue).given == ()
    assert stage.released(customer.subject) == set()


def test_a_database_that_lacks_what_was_given_is_not_served(stage: Stage, customer: Customer) -> None:
    before = stage.platform.journal.head()[0]
    reconcile.refuse_lost(stage.platform, before)
    with restored(stage):
        stage.give(customer)
        reconcile.refuse_lost(stage.platform, before)
    with pytest.raises(reconcile.Disagreement, match="lacks 1 answers") as refused:
        reconcile.refuse_lost(stage.platform, before)
    assert refused.value.code == "journal_ahead"
    assert stage.released(customer.subject) == set()  # a look puts nothing back
    reconcile.reconcile(stage.platform, stage.catalogue)
    reconcile.refuse_lost(stage.platform, before)
