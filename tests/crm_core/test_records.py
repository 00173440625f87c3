"""Sealed records: new generations, rewrapped buckets, and what no key opens any more."""

import pytest
from sqlalchemy import update

from crm_core import records, writer
from protocol.errors import EvidenceError
from runtime.keyring import KeyGone

EMAIL, CITY = "contact.email", "address.city"
NOBODY = "sub_" + "a" * 26


def load(stage, subject):
    with stage.platform.database.read() as session:
        record = records.load(session, subject)
        assert record is not None
        return record


def opened(stage, record):
    return records.open_fields(stage.platform, record, (EMAIL, CITY, "contact.phone"))


def test_the_next_generation_holds_the_survivors_under_a_new_key(stage):
    subject = stage.customer(contact__email="wei@example.com", address__city="Leeds")
    old = load(stage, subject)
    with stage.platform.database.write("owner") as session:
        returned = records.reseal(session, stage.platform, subject, frozenset({CITY, "contact.phone"}))
    new = load(stage, subject)
    assert new == returned
    assert (new.generation, new.created_at) == (old.generation + 1, old.created_at)
    assert opened(stage, new) == {CITY: "Leeds"}
    assert records.stored(new) == {CITY}
    with pytest.raises(EvidenceError) as caught:
        opened(stage, old._replace(wrapped=new.wrapped, generation=new.generation))
    assert caught.value.code == "bad_cells"


def test_a_rewrapped_bucket_opens_as_before_and_an_old_copy_opens_nothing(stage):
    subject = stage.customer(contact__email="wei@example.com")
    old = load(stage, subject)
    keyring = stage.platform.keyring
    epoch = keyring.begin_rotation(old.bucket)
    with stage.platform.database.write("owner") as session:
        assert records.rewrap_bucket(session, stage.platform, old.bucket, epoch) == 1
        assert records.rewrap_bucket(session, stage.platform, old.bucket, epoch) == 0
    assert opened(stage, old) == {EMAIL: "wei@example.com"}  # the control: until the old key is destroyed it opens
    keyring.destroy(old.bucket, old.epoch)
    keyring._held.clear()
    new = load(stage, subject)
    assert (new.epoch, new.generation, new.cells) == (epoch, old.generation, old.cells)
    assert opened(stage, new) == {EMAIL: "wei@example.com"}
    with pytest.raises(KeyGone):
        opened(stage, old)


def test_a_bucket_is_not_rewrapped_past_a_data_key_that_does_not_open(stage):
    subject = stage.customer(contact__email="wei@example.com")
    record = load(stage, subject)
    epoch = stage.platform.keyring.begin_rotation(record.bucket)
    with stage.platform.database.write("owner") as session:
        changed = update(records.TABLE).where(records.TABLE.c.subject == subject).values(wrapped=bytes(60))
        session.connection().execute(changed)
    with stage.platform.database.write("owner") as session, pytest.raises(EvidenceError) as caught:
        records.rewrap_bucket(session, stage.platform, record.bucket, epoch)
    assert caught.value.code == "bad_data_key"


def test_a_new_record_uses_the_newest_epoch_of_its_bucket(stage, monkeypatch):
    first = load(stage, stage.customer(contact__email="wei@example.com"))
    epoch = stage.platform.keyring.begin_rotation(first.bucket)
    monkeypatch.setattr("runtime.keyring.bucket_of", lambda _subject: first.bucket)
    assert load(stage, stage.customer(contact__email="ann@example.com")).epoch == epoch


def test_an_unknown_customer_has_no_record_and_no_fields(stage):
    with stage.platform.database.write("owner") as session:
        assert records.load(session, NOBODY) is None
        assert records.stored_fields(session, stage.platform, NOBODY) == frozenset()
        for change in (
            lambda: records.reseal(session, stage.platform, NOBODY, frozenset()),
            lambda: records.put_values(session, stage.platform, NOBODY, {EMAIL: "a@example.com"}),
            lambda: records.replace(session, NOBODY, cells=b"", generation=1, wrapped=b"", bucket=0, epoch=1),
            lambda: writer.put(
                session, stage.platform, stage.catalogue, NOBODY, {EMAIL: "a@example.com"}, origin=stage.origin()
            ),
        ):
            with pytest.raises(EvidenceError) as caught:
                change()
            assert caught.value.code == "unknown_subject"


def test_stored_fields_are_told_without_a_data_key(stage):
    subject = stage.customer(contact__email="wei@example.com", address__city="Leeds")
    with stage.platform.database.read() as session:
        assert records.stored_fields(session, stage.platform, subject) == {EMAIL, CITY}
        assert records.open_fields(stage.platform, records.load(session, subject), ("contact.phone",)) == {}


def test_all_records_come_in_batches_without_gaps(stage, monkeypatch):
    subjects = {stage.customer(address__city=str(number)) for number in range(5)}
    monkeypatch.setattr(records, "_BATCH", 2)
    monkeypatch.setattr("crm_core.reading.snapshot.BATCH", 2)
    with stage.platform.database.read() as session:
        assert [record.subject for record in records.every(session)] == sorted(subjects)
    assert [item.subject for item in stage.page(sort=CITY).items] == sorted(subjects)


def test_writing_the_same_value_again_writes_nothing(stage):
    subject = stage.customer(contact__email="wei@example.com", preference__newsletter=True)
    before, events = load(stage, subject), len(stage.events())
    assert stage.put(subject, contact__email="wei@example.com", preference__newsletter=True) == frozenset()
    assert load(stage, subject) == before
    assert len(stage.events()) == events
    assert stage.put(subject, contact__email="wei@example.org", address__city="Leeds") == {EMAIL, CITY}
    assert [event.type for event in stage.events()[events:]] == ["value.collected", "value.corrected"]


def test_an_unknown_field_is_not_written(stage):
    with pytest.raises(EvidenceError) as caught:
        stage.customer(address__moon="x")
    assert caught.value.code == "unknown_field"


def test_a_write_over_a_value_that_does_not_open_is_refused(stage):
    subject = stage.customer(contact__email="wei@example.com")
    with stage.platform.database.write("owner") as session:
        session.connection().execute(update(records.TABLE).values(epoch=99))
    with pytest.raises(EvidenceError) as caught:
        stage.put(subject, contact__email="ann@example.com")
    assert caught.value.code == "unreadable"
