"""Where values came from, and until when they may stay without a ground."""

from datetime import timedelta

from crm_core import origin
from crm_core.imports import importer
from protocol import times
from protocol.consent import Field, SubjectId

EMAIL, CITY, GIVEN = Field("contact.email"), Field("address.city"), Field("contact.given_name")


def bring(stage, text):
    return importer.run(
        stage.platform, stage.catalogue, text.encode(), source="file", importer=stage.platform.controller
    )


def subjects(stage):
    with stage.platform.database.read() as session:
        return sorted(found for found, _ in origin.unclaimed(session, stage.clock.now() + timedelta(days=900), 100))


def test_every_imported_value_says_where_it_came_from_and_when_it_is_to_go(stage):
    bring(stage, "First Name,Email,City\nWei,wei@x.example,\n,wei@x.example,Leeds\n")
    (subject,) = subjects(stage)
    with stage.platform.database.read() as session:
        found = {one.field: one for one in origin.of_subject(session, subject)}
    assert {field: one.row for field, one in found.items()} == {GIVEN: 1, EMAIL: 1, CITY: 2}
    one = found[CITY]
    assert (one.source, one.importer) == ("file", stage.platform.controller)
    assert len(one.source_digest) == 64
    assert one.destroy_by == times.iso(stage.clock.now() + timedelta(days=90))
    (event,) = stage.events("value.collected")
    assert event.header["destroy_by"] == one.destroy_by


def test_what_nobody_claimed_in_time_is_named_until_it_is_settled(stage):
    bring(stage, "First Name,Email\nWei,wei@x.example\nAnn,ann@x.example\n")
    stage.clock.advance(timedelta(days=30))
    bring(stage, "Email,City\nwei@x.example,Leeds\n")
    typed = stage.customer(contact__email="desk@x.example")  # not imported: no such date
    due = stage.clock.now() + timedelta(days=60)
    with stage.platform.database.write() as session:
        assert origin.unclaimed(session, due - timedelta(seconds=1), 10) == []
        first = origin.unclaimed(session, due, 10)
        assert len(first) == 2
        assert typed not in dict(first)
        assert {fields for _, fields in first} == {frozenset({GIVEN, EMAIL})}
        assert len(origin.unclaimed(session, due, 1)) == 1
        for subject, _ in first:
            origin.settle(session, subject, due)
        assert origin.unclaimed(session, due, 10) == []
        later = origin.unclaimed(session, due + timedelta(days=31), 10)
        assert [fields for _, fields in later] == [frozenset({CITY})]


def test_forgetting_leaves_what_was_not_taken_back(stage):
    bring(stage, "First Name,Email,City\nWei,wei@x.example,Leeds\nAnn,ann@x.example,Bath\n")
    wei, ann = subjects(stage)
    with stage.platform.database.write() as session:
        events = [one.event_id for one in origin.of_subject(session, wei)][:1]
        origin.forget(session, {wei: {CITY}, ann: {CITY, EMAIL, GIVEN}}, events)
        assert origin.collected_fields(session, wei) == {GIVEN, EMAIL}
        assert origin.collected_of(session, [wei, ann, SubjectId("sub_none")]).keys() == {wei}
        assert origin.counted(session) == {GIVEN: 1, EMAIL: 1}
