"""Withdrawal, narrowing, expiry, revocation: what becomes of each field, once, and what the customer is told."""

import base64
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from sqlmodel import select

from crm_core import records, writer
from issuer.credentials import Credential, Standing
from issuer.settling import Settling
from protocol import certificate, credential
from protocol.certificate import Certificate
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from redaction import archive, due, looking, plan, replica, worker
from redaction.archive import Archived
from redaction.disposition import DONE, Job
from redaction.due import LapseRow
from redaction.rotation import Rotation
from runtime.clock import FixedClock
from runtime.keyring import bucket_of
from runtime.session import Database
from tests.redaction.world import CITY, EMAIL, GIVEN, NAMES, PHONE, SERVICE, VALUES, Customer, World, settle
from verifier import quarantine
from verifier.grant import Grant

ALL = (PHONE, EMAIL, CITY)


def dispositions(world: World) -> list[tuple[str, str, str]]:
    return sorted((row.field, row.action, row.state) for row in world.fates())


def certificates(world: World, who: Customer) -> list[Certificate]:
    rows = [row for row in world.rows(Credential) if row.kind == "certificate" and row.subject == who.subject]
    return [
        certificate.parse_certificate(
            credential.verify(
                row.body,
                world.platform.keys,
                at=world.now(),
                expected_type=certificate.CERTIFICATE_TYPE,
                expected_issuer=world.platform.controller,
            )
        )
        for row in rows
    ]


def test_a_withdrawal_seals_what_the_catalogue_seals_and_shreds_the_rest(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    settle(world)
    assert world.readable(who) == VALUES
    world.withdraw(who, given)
    settle(world)
    assert dispositions(world) == [(CITY, "shred", DONE), (EMAIL, "seal", DONE), (PHONE, "shred", DONE)]
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}
    assert world.told("value.sealed", "value.shredded", "value.kept") == [
        ("value.sealed", EMAIL),
        ("value.shredded", CITY),
        ("value.shredded", PHONE),
    ]


def test_nothing_is_disposed_of_while_reads_are_in_flight(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    settle(world)
    world.withdraw(who, given)
    with world.platform.database.write("owner") as session:
        session.add(
            Settling(id="w", kind="withdrawn", subject=who.subject, ended=given.id, by="w", version=2, at="2026")
        )
    settle(world)
    assert dispositions(world) == []
    assert world.readable(who) == VALUES
    with world.platform.database.write("owner") as session:
        session.get_one(Settling, "w").settled_at = "2026"
    settle(world)
    assert len(dispositions(world)) == len(ALL)


def test_the_certificate_is_signed_and_names_generation_bucket_and_epoch(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    world.withdraw(who, given)
    settle(world)
    (one,) = certificates(world, who)
    bucket = bucket_of(who.subject)
    assert one.subject_did == who.wallet.did
    assert one.cause == given.id
    for item in one.items:
        assert (item.generation, item.bucket, item.epoch) == (1, bucket, 1)
    sealed = next(item for item in one.items if item.field == EMAIL)
    (kept,) = world.rows(Archived)
    assert sealed.archive_digest == kept.digest
    assert sealed.archive_period == "P3Y-claims"
    assert sealed.destroy_by is not None
    assert world.platform.keyring.epochs(bucket) == (2,)
    (told,) = world.events("certificate.issued")
    assert told.records[0][1]["certificate"] == one.id


def test_imported_fields_that_never_had_a_ground_stay(world: World) -> None:
    who = world.customer()
    settle(world)
    assert world.readable(who) == VALUES
    assert dispositions(world) == []


def test_a_field_under_another_living_ground_is_kept_and_says_which(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    other = world.consent(who, [EMAIL], purpose=SERVICE)
    world.withdraw(who, given)
    settle(world)
    assert dispositions(world) == [(CITY, "shred", DONE), (EMAIL, "keep", DONE), (PHONE, "shred", DONE)]
    (one,) = certificates(world, who)
    assert next(item for item in one.items if item.field == EMAIL).kept_ground == other.id
    (told,) = world.events("value.kept")
    assert told.records[0][1]["ground"] == other.id


def test_that_a_field_is_kept_is_said_once_and_no_key_is_destroyed_for_it(world: World) -> None:
    who = world.customer()
    given = world.consent(who, [EMAIL])
    world.consent(who, [EMAIL], purpose=SERVICE)
    world.withdraw(who, given)
    settle(world)
    world.consent(who, [CITY])
    settle(world)
    assert dispositions(world) == [(EMAIL, "keep", DONE)]
    assert len(certificates(world, who)) == 1
    assert world.rows(Rotation) == []


def test_when_the_ground_that_held_it_ends_too_the_field_goes(world: World) -> None:
    who = world.customer()
    given = world.consent(who, [EMAIL])
    other = world.consent(who, [EMAIL], purpose=SERVICE)
    world.withdraw(who, given)
    settle(world)
    world.withdraw(who, other)
    settle(world)
    assert dispositions(world) == [(EMAIL, "keep", DONE), (EMAIL, "seal", DONE)]


def test_a_narrowing_takes_only_what_was_given_up(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    smaller = world.withdraw(who, given, keep=[CITY])
    settle(world)
    assert smaller is not None
    assert dispositions(world) == [(CITY, "keep", DONE), (EMAIL, "seal", DONE), (PHONE, "shred", DONE)]
    assert world.readable(who) == {CITY: VALUES[CITY], GIVEN: VALUES[GIVEN]}
    (job,) = world.rows(Job)
    assert (job.cause, job.cause_id) == ("superseded", given.id)


def test_a_consent_that_runs_out_lapses_without_anybody_telling(world: World, clock: FixedClock) -> None:
    who = world.customer()
    world.consent(who, [PHONE], life=timedelta(days=1))
    settle(world)
    (row,) = world.rows(LapseRow)
    assert row.next_at is not None
    clock.advance(timedelta(days=1, seconds=1))
    settle(world)
    assert dispositions(world) == [(PHONE, "shred", DONE)]
    (job,) = world.rows(Job)
    assert job.cause == "expired"


def test_two_grounds_that_run_out_at_one_version_are_two_rounds(world: World, clock: FixedClock) -> None:
    who = world.customer()
    world.consent(who, [PHONE], life=timedelta(days=1))
    world.consent(who, [CITY], life=timedelta(days=2))
    for _ in range(2):
        settle(world)
        clock.advance(timedelta(days=1, seconds=1))
    settle(world)
    jobs = world.rows(Job)
    assert len({job.version for job in jobs}) == 1
    assert sorted(job.round for job in jobs) == [0, 1]


def test_a_revocation_by_the_officer_lapses(world: World) -> None:
    who = world.customer()
    world.revoke(who, world.consent(who, [PHONE]))
    settle(world)
    assert dispositions(world) == [(PHONE, "shred", DONE)]
    assert world.rows(Job)[0].cause == "revoked"


def test_the_end_of_a_statutory_ground_lapses(world: World) -> None:
    who = world.customer()
    ended = world.statutory([GIVEN])
    settle(world)
    world.end_ground(who, ended)
    settle(world)
    assert dispositions(world) == [(GIVEN, "seal", DONE)]


def test_a_statutory_ground_ends_at_its_end_date_and_its_fields_lapse(world: World, clock: FixedClock) -> None:
    world.customer()
    world.statutory([GIVEN], life=timedelta(days=1))
    settle(world)
    assert dispositions(world) == []
    clock.advance(timedelta(days=1, seconds=1))
    settle(world)
    assert dispositions(world) == [(GIVEN, "seal", DONE)]
    assert world.rows(Job)[0].cause == "expired"


def test_a_statutory_ground_keeps_a_field_whose_consent_was_withdrawn(world: World) -> None:
    who = world.customer()
    ground = world.statutory([GIVEN])
    given = world.consent(who, [GIVEN])
    world.withdraw(who, given)
    settle(world)
    (row,) = world.fates()
    assert (row.action, row.ground) == ("keep", ground)


def test_a_second_pass_does_nothing_more(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    settle(world)
    before = (dispositions(world), len(world.events("value.sealed", "value.shredded", "certificate.issued")))
    again = worker.run_once(world.platform, world.catalogue)
    assert (again.planned, again.finished, again.left) == (0, 0, 0)
    assert before == (dispositions(world), len(world.events("value.sealed", "value.shredded", "certificate.issued")))


def test_a_new_consent_before_the_act_spares_the_field(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    world.withdraw(who, given)
    plan.plan_due(world.platform, world.catalogue)
    again = world.consent(who, [PHONE])
    settle(world)
    assert (PHONE, "keep", DONE) in dispositions(world)
    assert world.readable(who)[PHONE] == VALUES[PHONE]
    assert next(row for row in world.fates() if row.field == PHONE).ground == again.id


def test_a_job_whose_every_field_is_spared_destroys_no_key(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [PHONE]))
    plan.plan_due(world.platform, world.catalogue)
    world.consent(who, [PHONE])
    settle(world)
    assert dispositions(world) == [(PHONE, "keep", DONE)]
    assert world.rows(Rotation) == []


def test_the_other_customers_of_the_bucket_survive_its_rotation(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = world.customer()
    bucket = bucket_of(who.subject)

    def in_the_bucket() -> SubjectId:
        return next(one for one in iter(new_subject, None) if bucket_of(one) == bucket)

    new_subject = writer.new_subject
    monkeypatch.setattr(writer, "new_subject", in_the_bucket)
    mates = [world.customer() for _ in range(3)]
    world.withdraw(who, world.consent(who, ALL))
    settle(world)
    assert [bucket_of(mate.subject) for mate in mates] == [bucket] * 3
    assert [world.readable(mate) for mate in mates] == [VALUES] * 3
    (rotation,) = world.rows(Rotation)
    assert (rotation.bucket, rotation.ended, rotation.epoch, rotation.rewrapped) == (bucket, "[1]", 2, 4)


def test_one_rotation_serves_several_withdrawals_of_its_bucket(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = world.customer()
    new_subject = writer.new_subject
    monkeypatch.setattr(
        writer,
        "new_subject",
        lambda: next(one for one in iter(new_subject, None) if bucket_of(one) == bucket_of(who.subject)),
    )
    mate = world.customer()
    for each in (who, mate):
        world.withdraw(each, world.consent(each, [PHONE]))
    settle(world)
    assert len(world.rows(Rotation)) == 1
    assert len(world.told("value.shredded")) == 2


def test_a_fields_second_lapse_after_a_restore_is_its_own_disposition(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [EMAIL]))
    settle(world)
    again = world.consent(who, [EMAIL])
    settle(world)
    world.withdraw(who, again)
    settle(world)
    assert dispositions(world) == [(EMAIL, "seal", DONE), (EMAIL, "seal", "restored")]
    assert len(certificates(world, who)) == 2


def test_the_box_of_the_archive_holds_its_context_and_no_other_row_can_carry_it(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [EMAIL]))
    settle(world)
    (row,) = world.rows(Archived)
    private = world.platform.keyring.archive.private(row.archive_key)
    assert archive.open_box(private, row.box, row.context(world.platform.controller)) == VALUES[EMAIL]
    row.field = PHONE
    with pytest.raises(Exception, match="belongs elsewhere"):
        archive.open_box(private, row.box, row.context(world.platform.controller))
    row.field = EMAIL
    with pytest.raises(Exception, match="does not open"):
        archive.open_box(private, row.box[:-1] + bytes([row.box[-1] ^ 1]), row.context(world.platform.controller))


def test_the_fields_of_a_customer_share_an_envelope_and_none_opens_in_anothers_place(world: World) -> None:
    who, other = world.customer(), world.customer()
    for one in (who, other):
        world.withdraw(one, world.consent(one, [EMAIL, GIVEN]))
    settle(world)
    rows = {(row.subject, row.field): row for row in world.rows(Archived)}
    email, given, foreign = rows[who.subject, EMAIL], rows[who.subject, GIVEN], rows[other.subject, EMAIL]
    end = 2 + int.from_bytes(email.box[:2], "big")
    assert email.box[:end] == given.box[:end] != foreign.box[:end]
    private, org = world.platform.keyring.archive.private(email.archive_key), world.platform.controller
    assert archive.open_box(private, given.box, given.context(org)) == VALUES[GIVEN]
    swapped = (
        (given.box, email.context(org)),  # another field's ciphertext
        (foreign.box, email.context(org)),  # another customer's box
        (email.box[:end] + foreign.box[end:], email.context(org)),  # another customer's ciphertext in this envelope
        (foreign.box[:end] + email.box[end:], email.context(org)),
        (email.box[: end - 1], email.context(org)),
        (b"", email.context(org)),
    )
    for box, context in swapped:
        with pytest.raises(EvidenceError) as caught:
            archive.open_box(private, box, context)
        assert caught.value.code == "bad_box"


def test_nothing_is_destroyed_on_evidence_that_cannot_be_believed(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    held = world.consent(who, ALL, purpose=SERVICE)
    world.withdraw(who, given)
    with world.platform.database.write(
        "owner"
    ) as session:  # whoever writes to the database spoils the consent that holds
        row = session.get_one(Credential, held.id)
        body = orjson.loads(row.body)
        body["validUntil"] = "2027-01-01T00:00:00Z"
        row.body = orjson.dumps(body)
        session.add(row)
    settle(world)
    assert dispositions(world) == []
    assert world.readable(who) == VALUES
    assert [row.error for row in world.rows(LapseRow)] == ["disputed_evidence"]


def test_a_standing_below_the_journals_floor_is_left_alone(world: World) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    world.withdraw(who, given)
    with world.platform.database.write("owner") as session:
        row = session.get_one(Standing, who.subject)
        row.version -= 1
        session.add(row)
    settle(world)
    assert [row.error for row in world.rows(LapseRow)] == ["below_floor"]


@pytest.mark.parametrize("committed", [True, False])
def test_who_looks_between_the_journal_and_the_commit_of_an_ending_looks_again_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    proved = looking.proved

    def meanwhile(*_: object) -> tuple[Grant, ...]:
        monkeypatch.setattr(looking, "proved", proved)
        if committed:
            world.withdraw(who, given)
        raise EvidenceError("below_floor", "the standing is older than the journal knows")

    monkeypatch.setattr(looking, "proved", meanwhile)
    plan.plan_due(world.platform, world.catalogue)
    assert [row.error for row in world.rows(LapseRow)] == ([] if committed else ["below_floor"])
    planned, _ = plan.plan_due(world.platform, world.catalogue)
    assert planned == committed


def test_an_old_copy_of_the_database_with_the_present_keys_opens_nothing_that_was_shredded(world: World) -> None:
    who, bystander = world.customer(), world.customer()
    given = world.consent(who, ALL)
    old = world.copy("before.db")
    world.withdraw(who, given)
    settle(world)
    assert world.opens(old, who.subject) == {}
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}
    assert world.readable(bystander) == VALUES


def test_control_without_the_rotation_the_old_copy_opens_everything(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    given = world.consent(who, ALL)
    old = world.copy("before.db")
    world.withdraw(who, given)
    monkeypatch.setattr("redaction.rotation.rotate", lambda platform, buckets: frozenset())
    worker.run_once(world.platform, world.catalogue)
    assert world.opens(old, who.subject) == VALUES


def roll_forward(world: World, backup: Path) -> None:
    """What a restore does with an older backup: survivors' cells from the journal, data keys from the replica."""
    old = Database(f"sqlite:///{backup}")
    with old.write() as session:
        for one in world.platform.journal.entries():
            if one.body["kind"] == "survivors":
                row = session.get_one(records.RecordRow, one.body["subject"])
                row.cells, row.wrapped = (base64.b64decode(one.body[name]) for name in ("cells", "wrapped"))
                row.generation, row.epoch = one.body["generation"], one.body["epoch"]
                session.add(row)
        for row in session.exec(select(records.RecordRow)):
            newest = replica.read(world.platform, row.bucket).get(SubjectId(row.subject))
            if newest is not None and newest[0] == row.generation:
                _, row.epoch, row.wrapped = newest
                session.add(row)
    old.dispose()


def test_an_older_backup_rolled_forward_opens_every_survivor_and_nothing_shredded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    new_subject, bucket = writer.new_subject, bucket_of(who.subject)
    monkeypatch.setattr(
        writer, "new_subject", lambda: next(one for one in iter(new_subject, None) if bucket_of(one) == bucket)
    )
    mate, later = world.customer(), world.customer()
    first, second = world.consent(who, ALL), world.consent(later, [PHONE])
    backup = world.copy("backup.db")
    for customer, given in ((who, first), (later, second)):  # two rotations, one after the other
        world.withdraw(customer, given)
        settle(world)
    assert len(world.rows(Rotation)) == 2
    assert [world.opens(backup, one.subject) for one in (who, mate, later)] == [{}, {}, {}]
    roll_forward(world, backup)
    assert world.opens(backup, who.subject) == {GIVEN: VALUES[GIVEN]}
    assert world.opens(backup, mate.subject) == VALUES
    assert world.opens(backup, later.subject) == {field: VALUES[field] for field in (EMAIL, CITY, GIVEN)}


def test_the_journal_holds_the_survivors_before_the_key_is_destroyed(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    settle(world)
    (entry,) = [one.body for one in world.platform.journal.entries() if one.body["kind"] == "survivors"]
    assert (entry["subject"], entry["generation"]) == (who.subject, 2)
    assert VALUES[GIVEN].encode() not in orjson.dumps(dict(entry))


def test_where_the_archive_key_of_that_day_has_ended_nothing_more_is_archived(world: World) -> None:
    who = world.customer()
    world.platform.keyring.archive.destroy("P3Y-claims~2030-01-01")
    world.withdraw(who, world.consent(who, [EMAIL]))
    settle(world)
    assert dispositions(world) == [(EMAIL, "shred", DONE)]
    assert world.rows(Archived) == []
    (certified,) = certificates(world, who)
    assert [(item.field, item.disposition, item.archive_digest) for item in certified.items] == [(EMAIL, "shred", None)]


def test_an_archive_key_that_is_lost_stops_sealing_and_the_value_stays(world: World) -> None:
    who = world.customer()
    world.platform.keyring.archive.public("P3Y-claims~2030-01-01")
    public = world.settings.keys_dir / "archive" / "P3Y-claims~2030-01-01.public"
    public.write_bytes(b"0" * public.stat().st_size)
    world.withdraw(who, world.consent(who, [EMAIL]))
    done = worker.run_once(world.platform, world.catalogue)
    assert (done.failed, done.left) == (1, 1)
    (job,) = world.rows(Job)
    assert (job.attempts, job.step) == (1, "planned")
    assert world.readable(who)[EMAIL] == VALUES[EMAIL]
    assert worker.run_once(world.platform, world.catalogue).failed == 0  # it waits before it tries again


def test_dispositions_of_a_quarantined_subject_wait(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    with world.platform.database.write("owner") as session:
        quarantine.put(session, who.subject, "bad_mac", world.now())
    settle(world)
    assert dispositions(world) == []


def test_the_standing_and_no_raw_column_decides_which_subject_is_looked_at(world: World) -> None:
    who = world.customer()
    world.consent(who, [PHONE], purpose=NAMES)
    settle(world)
    with world.platform.database.read() as session:
        version = session.exec(select(Standing.version)).one()
        assert due.due(session, world.now()) == []
    assert [row.done_version for row in world.rows(LapseRow)] == [version]
