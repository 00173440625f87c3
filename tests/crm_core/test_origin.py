"""Where values came from, and until when they may stay without a ground."""

import json
from datetime import timedelta

from sqlalchemy import func, update
from sqlmodel import col, select

from crm_core import origin
from crm_core.imports import importer, recall
from crm_core.imports import undo as import_undo
from protocol import times
from protocol.consent import Field, SubjectId
from runtime.outbox import Outbox

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
    with stage.platform.database.write("owner") as session:
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
    with stage.platform.database.write("owner") as session:
        events = [one.event_id for one in origin.of_subject(session, wei)][:1]
        origin.forget(session, {wei: {CITY}, ann: {CITY, EMAIL, GIVEN}}, events)
        assert origin.collected_fields(session, wei) == {GIVEN, EMAIL}
        assert origin.collected_of(session, [wei, ann, SubjectId("sub_none")]).keys() == {wei}
        assert origin.counted(session) == {GIVEN: 1, EMAIL: 1}


def test_whoever_postpones_a_date_in_the_database_wins_a_few_rounds_at_most(stage):
    bring(stage, "First Name,Email\nWei,wei@x.example\n")
    (subject,) = subjects(stage)
    at = stage.clock.now() + timedelta(days=90)
    for attack in (
        "UPDATE origin SET destroy_by = '2099-01-01T00:00:00Z'",
        "UPDATE origin SET destroy_by = NULL",
        """UPDATE origin SET fields = '{"contact.email":1}'""",
        "DELETE FROM origin",
    ):
        with stage.platform.database.write("owner") as session:
            session.connection().exec_driver_sql(attack)
        with stage.platform.database.read() as session:
            assert origin.unclaimed(session, at, 10) != [(subject, frozenset({GIVEN, EMAIL}))]  # the control
        assert recall.some(stage.platform, at - timedelta(seconds=1)) == 0  # not yet
        assert sum(recall.some(stage.platform, at) for _ in range(40)) == 1
        with stage.platform.database.read() as session:
            assert origin.unclaimed(session, at, 10) == [(subject, frozenset({GIVEN, EMAIL}))]


def test_what_was_taken_back_since_stays_so_and_a_planted_event_dates_nothing(stage):
    bring(stage, "First Name,Email\nWei,wei@x.example\n")
    (wei,) = subjects(stage)
    done = bring(stage, "First Name,Email,City\nWei,wei@x.example,Leeds\nAnn,ann@x.example,Bath\n")
    with import_undo.alone(stage.platform):
        import_undo.undo(stage.platform, done.run)
    typed = stage.customer(contact__email="desk@x.example")
    with stage.platform.database.write("owner") as session:
        newest = select(func.max(Outbox.id)).where(col(Outbox.type) == "value.collected").scalar_subquery()
        header = session.execute(select(Outbox.header).where(col(Outbox.id) == newest)).scalar_one()
        changed = json.dumps(json.loads(header) | {"destroy_by": "2020-01-01T00:00:00Z"})
        session.execute(update(Outbox).where(col(Outbox.id) == newest).values(header=changed))
    at = stage.clock.now() + timedelta(days=900)
    assert sum(recall.some(stage.platform, at) for _ in range(40)) == 0
    with stage.platform.database.read() as session:
        assert origin.collected_of(session, [wei, typed]).keys() == {wei, typed}
        assert dict(origin.unclaimed(session, at, 10)) == {wei: frozenset({GIVEN, EMAIL})}
