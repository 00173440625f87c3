"""Versions of the catalogue in effect: signed by two, seen by every process at once, never revived, never hidden."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from issuer import editions, live, publication, worker
from issuer.catalogue import content
from issuer.registry import Registry
from protocol import canonical, event, proof
from protocol.errors import EvidenceError
from redaction import lapse
from runtime.problem import Problem
from tests.engine import hand
from tests.issuer.catalogue_stage import Edit, Shelf, open_shelf, with_field, without, without_purpose
from tests.verifier.stage import CITY, EMAIL, FAMILY, GIVEN, PHONE, Customer, look, make
from verifier import grounds, reconcile
from verifier.drain import DrainTimeoutError
from verifier.reconcile import Disagreement


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("bare")
    make(home)
    return home


@pytest.fixture
def shelf(tmp_path: Path, bare: Path) -> Iterator[Shelf]:
    hand.copied_home(bare, tmp_path / "home")
    made = open_shelf(tmp_path / "home")
    yield made
    made.platform.close()


@pytest.fixture
def customer(shelf: Shelf) -> Customer:
    return shelf.enrol()


def refused(act: Any, *args: Any, **named: Any) -> str:
    try:
        act(*args, **named)
    except (Problem, EvidenceError) as error:
        return error.code
    pytest.fail("it was not refused")


def version(shelf: Shelf, customer: Customer) -> int:
    ((found,),) = shelf.sql("SELECT version FROM standing WHERE subject = ?", customer.subject)
    return int(found)


def database(shelf: Shelf) -> Path:
    return shelf.platform.settings.db_dir / "fieldgrant.db"


def test_a_version_is_in_effect_for_the_object_that_everybody_holds_and_in_other_processes(shelf: Shelf) -> None:
    other = shelf.again()
    assert shelf.catalogue.number == other.catalogue.number == 0
    shelf.publish(with_field("x.y", 58, "marketing"))
    for one in (shelf.catalogue, other.catalogue):
        assert one.number == 1
        assert one.field("x.y").bit == 58
        assert one.purposes["marketing"].necessity["x.y"] == "optional"
        assert one.digest == one.current().digest != content.packaged().catalogue.digest
        assert (one.version, one.endings, one.retired.fields) == ("test 1", (), {})
        assert one.notices
        assert one.recipients
    assert [one.type for one in shelf.events() if one.type.startswith("catalogue.")] == [
        event.CATALOGUE_DECLARED, event.CATALOGUE_PUBLISHED, event.CATALOGUE_SETTLED,
    ]  # fmt: skip


def test_what_a_version_ends_is_denied_at_once_and_withheld_is_not_quarantined(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.give(customer, [EMAIL, PHONE, CITY])
    shelf.give(customer, [GIVEN, FAMILY], purpose="service")
    shelf.publish(without("marketing", PHONE), finish=False)
    # compiled by nobody yet: marketing is withheld whole, service was not touched and stays readable
    assert shelf.released(customer.subject) == set()
    assert shelf.released(customer.subject, "service", "service") == {GIVEN, FAMILY}
    assert shelf.sql("SELECT * FROM quarantine") == []
    worker.run_once(shelf.registry)
    assert shelf.released(customer.subject) == {EMAIL, CITY}
    assert shelf.see(customer.subject).reasons[PHONE] == "withdrawn"
    assert shelf.sql("SELECT * FROM quarantine") == []
    assert publication.standing(shelf.registry).catalogue.number == 1


def test_a_new_purpose_is_withheld_until_compiled_and_its_missing_rows_accuse_nobody(
    shelf: Shelf, customer: Customer
) -> None:
    def club(said: dict[str, Any]) -> None:
        said["purposes"]["club"] = {
            **said["purposes"]["marketing"],
            "iri": "https://w3id.org/dpv#MemberPartnerManagement",
        }
        said["notices"]["club"] = {"1": dict(said["notices"]["marketing"]["1"])}

    id_ = shelf.publish(club, finish=False)
    assert shelf.released(customer.subject, "club") == set()
    assert shelf.sql("SELECT * FROM quarantine") == []
    publication.finish(shelf.registry, id_)
    shelf.give(customer, [EMAIL], purpose="club")
    assert shelf.released(customer.subject, "club") == {EMAIL}
    shelf.sql("DELETE FROM allowance WHERE purpose LIKE '%MemberPartner%'")  # the control: now somebody took them away
    assert shelf.released(customer.subject, "club") == set()
    assert [cause for _, cause, _ in shelf.sql("SELECT * FROM quarantine")] == ["missing"]


def test_a_new_field_leaves_every_row_that_exists_readable(shelf: Shelf, customer: Customer) -> None:
    shelf.give(customer, [EMAIL])
    shelf.publish(with_field("x.y", 100, "sales"), finish=False)
    verdict = shelf.see(customer.subject)
    assert verdict.released == {EMAIL}
    assert verdict.reasons["x.y"] == "no_ground"  # type: ignore[index]


def test_rolling_back_revives_no_consent_and_a_new_one_counts(shelf: Shelf, customer: Customer) -> None:
    shelf.give(customer, [EMAIL, PHONE])
    shelf.publish(without("marketing", PHONE))
    shelf.roll_back(0)
    assert shelf.catalogue.number == 2
    assert PHONE in shelf.catalogue.purposes["marketing"].necessity
    assert shelf.released(customer.subject) == {EMAIL}
    shelf.give(customer, [PHONE])
    assert shelf.released(customer.subject) == {EMAIL, PHONE}


def test_narrowing_a_consent_does_not_bring_back_what_a_version_ended(shelf: Shelf, customer: Customer) -> None:
    given = shelf.give(customer, [EMAIL, PHONE, CITY])
    old = shelf.give(customer, [GIVEN], purpose="service")
    shelf.publish(without("marketing", PHONE), without("service", GIVEN))
    shelf.roll_back(0)
    narrowed = shelf.narrow(customer, given, [EMAIL])
    assert shelf.released(customer.subject) == {EMAIL}
    document = shelf.registry.offer_narrowing(narrowed.id, customer.wallet.did)
    (process,) = document["credentialSubject"]["requestsConsent"]["hasProcess"]
    assert process["hasPersonalData"] == [EMAIL]
    assert refused(shelf.registry.offer_narrowing, old.id, customer.wallet.did) == "consent_ended"


def test_a_statutory_ground_of_before_ends_with_the_field_and_one_of_after_counts(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.ground("service", EMAIL, GIVEN)
    shelf.give(customer, [EMAIL], purpose="service")
    shelf.publish(without("service", EMAIL))
    assert shelf.released(customer.subject, "service", "service") == {GIVEN}
    shelf.roll_back(0)
    assert shelf.released(customer.subject, "service", "service") == {GIVEN}
    shelf.ground("service", EMAIL)
    assert shelf.released(customer.subject, "service", "service") == {GIVEN, EMAIL}


def test_a_purpose_that_only_consent_may_open_from_now_on_ends_grounds_of_law(shelf: Shelf, customer: Customer) -> None:
    shelf.ground("service", EMAIL)
    shelf.give(customer, [GIVEN], purpose="service")
    shelf.publish(lambda c: c["purposes"]["service"].update(consent_only=True))
    assert shelf.released(customer.subject, "service", "service") == {GIVEN}
    with shelf.platform.database.read() as session:
        (evidence,) = grounds.collect(session, [customer.subject])
    found = grounds.grants(shelf.platform, shelf.catalogue, evidence)
    assert {(one.kind, one.ended) for one in found} == {("statutory", "revoked"), ("consent", None)}


def test_what_a_version_leaves_without_a_ground_lapses_and_going_back_does_not_undo_that(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.give(customer, [EMAIL, PHONE])
    before = version(shelf, customer)
    shelf.publish(without("marketing", PHONE))
    assert version(shelf, customer) > before  # redaction looks at whose standing moved
    shelf.roll_back(0)
    with shelf.platform.database.read() as session:
        (evidence,) = grounds.collect(session, [customer.subject])
    found = lapse.lapse({EMAIL, PHONE}, grounds.grants(shelf.platform, shelf.catalogue, evidence), shelf.clock.now())
    assert [one.field for one in found.bare] == [PHONE]


def test_a_removed_purpose_is_unknown_to_staff_and_a_visit_opened_before_finds_it_shut(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.give(customer, [EMAIL])
    visit = shelf.gate.visit(shelf.reader(), "marketing")
    shelf.publish(without_purpose("marketing"))
    assert refused(shelf.gate.visit, shelf.reader(), "marketing") == "unknown_purpose"
    with (
        pytest.raises(Problem) as caught,
        shelf.gate.read(visit, lambda passage: look(shelf, passage, customer.subject)),
    ):
        pass
    assert caught.value.code == "unknown_purpose"
    assert refused(shelf.ask, customer, [EMAIL], purpose="marketing") == "unknown_purpose"
    with shelf.platform.database.read() as session:
        (evidence,) = grounds.collect(session, [customer.subject])
    assert {one.ended for one in grounds.grants(shelf.platform, shelf.catalogue, evidence)} == {"revoked"}


def test_a_role_that_was_taken_from_a_purpose_is_refused_in_the_next_passage(shelf: Shelf, customer: Customer) -> None:
    visit = shelf.gate.visit(shelf.reader(), "marketing")
    shelf.publish(lambda c: c["purposes"]["marketing"].update(roles=["sales"]), finish=False)
    with (
        pytest.raises(Problem) as caught,
        shelf.gate.read(visit, lambda passage: look(shelf, passage, customer.subject)),
    ):
        pass
    assert caught.value.code == "role"


@pytest.mark.parametrize(
    "edit",
    [
        without("marketing", PHONE),
        lambda c: c["notices"]["marketing"].update({"2": {"en": "New words.", "zh-CN": "新的说明。"}}),
        without_purpose("marketing"),
    ],
)
def test_an_ask_of_before_cannot_be_answered_after_a_change(shelf: Shelf, customer: Customer, edit: Edit) -> None:
    ask = shelf.ask(customer, [EMAIL, PHONE])
    shelf.publish(edit)
    body = shelf.answer(customer, ask)
    assert refused(shelf.registry.consent, body, customer.wallet.did) == "ask_outdated"
    if "marketing" in shelf.catalogue.purposes:
        again = shelf.ask(customer, [EMAIL])
        assert again.id != ask.id
        shelf.registry.consent(shelf.answer(customer, again), customer.wallet.did)
        assert shelf.released(customer.subject) == {EMAIL}


def test_an_open_ask_of_before_is_not_given_again_after_going_back(shelf: Shelf, customer: Customer) -> None:
    ask = shelf.ask(customer, [EMAIL])
    shelf.publish(without("marketing", EMAIL))
    shelf.roll_back(0)  # looks as before, and yet what was asked then is over
    assert shelf.ask(customer, [EMAIL]).id != ask.id


def test_an_ask_that_a_version_does_not_touch_stays_open(shelf: Shelf, customer: Customer) -> None:
    ask = shelf.ask(customer, [EMAIL])
    shelf.publish(without("service", EMAIL), with_field("x.y", 58, "marketing"))
    assert shelf.ask(customer, [EMAIL]).id == ask.id
    shelf.registry.consent(shelf.answer(customer, ask), customer.wallet.did)
    assert shelf.released(customer.subject) == {EMAIL}


def test_a_customer_is_asked_again_only_after_the_time_that_the_catalogue_names(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.publish(lambda c: c["purposes"]["marketing"].update(ask_again_after="P30D"))
    ask = shelf.ask(customer, [EMAIL])
    assert shelf.ask(customer, [EMAIL]).id == ask.id  # the same open one is no second ask
    with pytest.raises(Problem) as caught:
        shelf.ask(customer, [EMAIL, CITY])
    assert (caught.value.status, caught.value.code) == (429, "asked_too_often")
    assert caught.value.headers == {"Retry-After": str(30 * 86400)}
    shelf.ask(customer, [EMAIL], purpose="sales")  # another purpose is another matter
    shelf.clock.set(shelf.clock.now() + timedelta(days=30))
    assert shelf.ask(customer, [EMAIL, CITY]).id != ask.id


# -- who may publish


def test_one_person_alone_publishes_nothing(shelf: Shelf) -> None:
    for staff in (shelf.admin, shelf.staff("mia", "marketing"), shelf.staff("ann", "auditor")):
        assert refused(publication.declare, shelf.registry, staff, {**shelf.written(), "version": "x"}) == "role"
    id_ = shelf.draft(without("marketing", PHONE))
    assert refused(publication.approve, shelf.registry, shelf.dpo, id_) == "second_approver"
    assert refused(publication.approve, shelf.registry, shelf.staff("dora", "admin"), id_) == "second_approver"
    assert refused(publication.approve, shelf.registry, shelf.staff("mia", "marketing"), id_) == "role"
    assert refused(publication.approve, shelf.registry, shelf.admin, "urn:uuid:none") == "unknown_catalogue"
    assert shelf.catalogue.number == 0


def test_a_draft_that_another_version_overtook_is_outdated(shelf: Shelf) -> None:
    first, second = shelf.draft(without("marketing", PHONE)), shelf.draft(without("marketing", CITY))
    publication.approve(shelf.registry, shelf.admin, first)
    assert refused(publication.approve, shelf.registry, shelf.admin, second) == "draft_outdated"
    publication.approve(shelf.registry, shelf.admin, first)  # again: nothing happens
    assert shelf.catalogue.number == 1


def test_a_bad_draft_is_refused_with_its_place(shelf: Shelf) -> None:
    with pytest.raises(Problem) as caught:
        shelf.draft(with_field("x.y", 3))
    assert (caught.value.code, caught.value.field) == ("bad_catalogue", "fields.x.y.bit")


def test_a_process_with_a_fixed_catalogue_publishes_nothing(shelf: Shelf) -> None:
    fixed = Registry(shelf.platform, content.packaged().catalogue, shelf.compile, lambda: None)
    assert refused(publication.declare, fixed, shelf.dpo, shelf.written()) == "catalogue_fixed"


# -- whoever writes to the database


def test_a_planted_draft_with_a_strangers_key_is_not_approved(shelf: Shelf) -> None:
    id_ = shelf.draft(without("marketing", PHONE))
    ((body,),) = shelf.sql("SELECT body FROM credential WHERE id = ?", id_)
    document = json.loads(body)
    del document["proof"]
    stranger = shelf.enrol().wallet
    document["issuer"] = stranger.did
    forged = canonical.jcs(proof.sign(document, stranger, created=shelf.clock.now()))
    shelf.sql("UPDATE credential SET body = ? WHERE id = ?", forged, id_)
    assert refused(publication.approve, shelf.registry, shelf.admin, id_) == "foreign_catalogue"
    assert shelf.catalogue.number == 0


def test_who_approves_one_draft_does_not_sign_another_that_lies_in_its_place(shelf: Shelf) -> None:
    narrow, wide = shelf.draft(without("marketing", PHONE)), shelf.draft(with_field("x.y", 99, "marketing"))
    for table, columns in (("credential", "body"), ("catalogue_content", "content")):
        shelf.sql(
            f"UPDATE {table} SET {columns} = (SELECT {columns} FROM {table} WHERE id = ?) WHERE id = ?",  # noqa: S608
            wide,
            narrow,
        )
    assert refused(publication.approve, shelf.registry, shelf.admin, narrow) == "foreign_catalogue"
    assert shelf.catalogue.number == 0
    publication.approve(shelf.registry, shelf.admin, wide)  # the control: under its own name it is one
    assert "x.y" in shelf.catalogue.fields


def test_an_officer_who_writes_to_the_database_is_not_their_own_second_person(shelf: Shelf) -> None:
    id_ = shelf.draft(without("marketing", PHONE))
    shelf.sql("UPDATE credential SET did = ? WHERE id = ?", shelf.admin.did, id_)
    assert refused(publication.approve, shelf.registry, shelf.dpo, id_) == "not_approved"
    assert shelf.catalogue.number == 0


def test_changed_content_of_a_draft_is_seen(shelf: Shelf) -> None:
    id_ = shelf.draft(without("marketing", PHONE))
    longer = "CAST(replace(CAST(content AS TEXT), 'P180D', 'P999D') AS BLOB)"
    shelf.sql(f"UPDATE catalogue_content SET content = {longer} WHERE id = ?", id_)  # noqa: S608 - the attacker's own words
    assert refused(publication.approve, shelf.registry, shelf.admin, id_) == "digest_mismatch"


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM credential WHERE id = :id",
        "DELETE FROM catalogue_content WHERE id = :id",
        "UPDATE catalogue_content SET content = X'7B7D' WHERE id = :id",
        "UPDATE credential SET body = X'7B7D' WHERE id = :id",
        "UPDATE credential SET digest = 'zQmOther' WHERE id = :id",
    ],
)
def test_a_version_that_somebody_takes_away_or_edits_is_missed_and_everything_denied(
    shelf: Shelf, customer: Customer, attack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.1)
    shelf.give(customer, [EMAIL, PHONE])
    id_ = shelf.publish(without("marketing", PHONE))
    shelf.sql(attack.replace(":id", "?"), id_)
    other = shelf.again()
    assert refused(other.see, customer.subject) == "catalogue_missing"
    with pytest.raises(Disagreement) as caught:
        reconcile.startup_check(other.platform)
    assert caught.value.code == "journal_ahead"
    reconcile.reconcile(other.platform, other.catalogue)
    assert other.catalogue.number == 1
    assert other.released(customer.subject) == {EMAIL}
    reconcile.startup_check(other.platform)


def test_a_database_rolled_back_to_before_a_version_opens_nothing_until_the_journal_is_replayed(
    shelf: Shelf, customer: Customer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.1)
    shelf.give(customer, [EMAIL, PHONE])
    hand.copied(database(shelf), tmp_path / "older.db")
    shelf.publish(without("marketing", PHONE))
    shelf.platform.close()
    hand.copied(tmp_path / "older.db", database(shelf))
    other = shelf.again()
    assert refused(other.see, customer.subject) == "catalogue_missing"
    reconcile.reconcile(other.platform, other.catalogue)
    assert other.released(customer.subject) == {EMAIL}
    assert [number for number, _ in chain(other)] == [1]


def test_a_cut_journal_is_behind_the_signed_versions_of_the_database(shelf: Shelf) -> None:
    journal = shelf.platform.settings.journal_dir / "journal.jsonl"
    before = journal.read_bytes()
    shelf.publish(without("marketing", PHONE))
    journal.write_bytes(before)
    other = shelf.again()
    with pytest.raises(Disagreement) as caught:
        reconcile.startup_check(other.platform)
    assert caught.value.code == "journal_behind"


def test_an_older_version_put_in_the_place_of_the_newest_is_not_believed(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.1)
    first = shelf.publish(lambda c: c["purposes"]["marketing"].update(consent_life="P90D"))
    second = shelf.publish(without("marketing", PHONE))
    ((body, digest),) = shelf.sql("SELECT body, digest FROM credential WHERE id = ?", first)
    ((said,),) = shelf.sql("SELECT content FROM catalogue_content WHERE id = ?", first)
    ((newest,),) = shelf.sql("SELECT digest FROM credential WHERE id = ?", second)
    shelf.sql("DELETE FROM credential WHERE id = ?", first)
    shelf.sql("UPDATE credential SET body = ?, digest = ? WHERE id = ?", body, newest, second)
    shelf.sql("UPDATE catalogue_content SET content = ?, number = 2 WHERE id = ?", said, second)
    assert digest != newest
    assert refused(lambda: shelf.again().catalogue.number) == "catalogue_missing"


def test_the_chain_of_versions_shows_a_gap_where_one_is_missing(shelf: Shelf) -> None:
    first = shelf.publish(without("marketing", PHONE))
    shelf.publish(without("marketing", CITY))
    shelf.sql("DELETE FROM credential WHERE id = ?", first)
    assert [(number, found is not None) for number, found in chain(shelf)] == [(2, True), (1, False)]
    assert refused(publication.written_of, shelf.registry, 1) == "unknown_catalogue"
    assert publication.written_of(shelf.registry, 0)["version"] == content.packaged().catalogue.version


def chain(shelf: Shelf) -> list[tuple[int, Any]]:
    with shelf.platform.database.read() as session:
        return list(editions.chain(session, shelf.platform, shelf.platform.journal.catalogue))


def test_old_allowances_put_back_after_a_version_release_nothing_that_it_ended(
    shelf: Shelf, customer: Customer
) -> None:
    shelf.give(customer, [EMAIL, PHONE])
    rows = shelf.sql("SELECT * FROM allowance WHERE subject = ?", customer.subject)
    shelf.publish(without("marketing", PHONE))
    assert shelf.released(customer.subject) == {EMAIL}
    shelf.put_back(rows)
    assert shelf.released(customer.subject) == set()


# -- a crash between the journal and the commit


def test_a_crash_before_the_commit_denies_until_the_journal_is_replayed(
    shelf: Shelf, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PATIENCE", 0.1)
    shelf.give(customer, [EMAIL, PHONE])
    id_ = shelf.draft(without("marketing", PHONE))
    append = type(shelf.platform.journal).append

    def dies(self: Any, entry: Any) -> int:
        append(self, entry)
        raise RuntimeError("the process dies here")

    with monkeypatch.context() as patch:
        patch.setattr(type(shelf.platform.journal), "append", dies)
        with pytest.raises(RuntimeError):
            publication.approve(shelf.registry, shelf.admin, id_)
    assert refused(shelf.see, customer.subject) == "catalogue_missing"
    reconcile.reconcile(shelf.platform, shelf.catalogue)
    assert shelf.released(customer.subject) == {EMAIL}


def test_compiling_that_was_cut_short_goes_on_where_it_stopped(
    shelf: Shelf, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "BATCH", 2)
    subjects = sorted([customer.subject, *(shelf.subject() for _ in range(4))])
    id_ = shelf.publish(without("marketing", PHONE), finish=False)
    told: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 1:
            raise RuntimeError("the process dies here")

    with pytest.raises(RuntimeError):
        publication.finish(shelf.registry, id_, stop)
    publication.finish(shelf.registry, id_, stop)
    assert told == [(2, 5), (4, 5), (5, 5), (5, 5)]
    assert len(subjects) == 5
    with shelf.platform.database.read() as session:
        assert publication.unfinished(session) == []


def test_whatever_somebody_wrote_beside_a_draft_everybody_is_waited_for_and_compiled(
    shelf: Shelf, customer: Customer
) -> None:
    id_ = shelf.draft(without("marketing", PHONE))
    shelf.sql("UPDATE catalogue_content SET drained_at = '2026-01-01', reached = 'sub_zz', done = 9 WHERE id = ?", id_)
    drained: list[int] = []
    registry = Registry(shelf.platform, shelf.catalogue, shelf.compile, lambda: drained.append(1))
    publication.approve(registry, shelf.admin, id_)
    told: list[int] = []
    publication.finish(registry, id_, lambda done, _total: told.append(done))
    assert (drained, set(told)) == ([1], {1})


def test_a_version_is_acknowledged_only_after_a_drain_whatever_somebody_writes_after_its_commit(
    shelf: Shelf,
) -> None:
    def drain() -> None:
        shelf.sql("UPDATE catalogue_content SET drained_at = '2026-01-01'")
        raise DrainTimeoutError("reads in flight did not end in time")

    id_ = shelf.draft(without("marketing", PHONE))
    stuck = Registry(shelf.platform, shelf.catalogue, shelf.compile, drain)
    for _ in range(2):
        assert refused(publication.approve, stuck, shelf.admin, id_) == "drain_timeout"
    publication.approve(shelf.registry, shelf.admin, id_)


# -- the race

READERS, SENDING = 6, 0.01


def late(shelf: Shelf, customer: Customer, registry: Registry) -> tuple[int, int]:
    """Reads that returned the field after the acknowledgement of the version that ended it, and all that did."""
    shelf.give(customer, [EMAIL, PHONE])
    stop, returned = threading.Event(), list[float]()

    def read() -> None:
        visit = shelf.gate.visit(shelf.reader(), "marketing")
        while not stop.is_set():
            with shelf.gate.read(visit, lambda passage: look(shelf, passage, customer.subject)) as (_, verdict):
                time.sleep(SENDING)  # bytes on their way to the socket
                if PHONE in verdict.released:
                    returned.append(time.monotonic())

    threads = [threading.Thread(target=read) for _ in range(READERS)]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 20
    while len(returned) < 3 * READERS and time.monotonic() < until:
        time.sleep(0.005)
    shelf.publish(without("marketing", PHONE), registry=registry, finish=False)
    acknowledged = time.monotonic()
    time.sleep(0.1)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(at > acknowledged for at in returned), len(returned)


def test_no_read_returns_a_removed_field_after_the_acknowledgement_and_without_the_drain_some_do(
    shelf: Shelf, customer: Customer
) -> None:
    for _ in range(3):
        after, total = late(shelf, customer, shelf.registry)
        assert total >= 3 * READERS
        assert after == 0
        shelf.roll_back(0)
    undrained = Registry(shelf.platform, shelf.catalogue, shelf.compile, lambda: None)
    found = 0
    for _ in range(5):
        found += late(shelf, customer, undrained)[0]
        shelf.roll_back(0)
        if found:
            break
    assert found > 0
    assert shelf.sql("SELECT * FROM quarantine") == []
