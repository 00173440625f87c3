"""The planner over a real gate: what is released, filtered, sorted, paged and put on record."""

import base64
from datetime import timedelta

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import event as listening
from sqlalchemy import update
from sqlmodel import SQLModel

from crm_core import records, writer
from crm_core.cells import apart, pack, tagged, unpack
from runtime import outbox
from runtime.problem import Problem
from tests.engine import mapping

EMAIL, CITY, NAME = "contact.email", "address.city", "contact.given_name"


def releases(stage):
    with stage.platform.database.read() as session:
        return [each for each in outbox.pending(session, 0, 1000) if each.type == "release"]


def cities(page):
    return [item.fields.get(CITY) for item in page.items]


def people(stage, *names, granted=(CITY,)):
    subjects = []
    for name in names:
        subject = stage.customer(**({"address__city": name} if name else {}), contact__phone="+86100")
        stage.grant(subject, *granted)
        subjects.append(subject)
    return subjects


def test_a_granted_field_is_released_and_another_carries_a_reason(stage):
    subject = stage.customer(contact__email="wei@example.com", address__city="上海", contact__phone="+8610000")
    stage.grant(subject, EMAIL, CITY)
    item = stage.one(subject, EMAIL, "contact.phone", CITY).items[0]
    assert item.fields == {EMAIL: "wei@example.com", CITY: "上海"}
    assert item.withheld == {"contact.phone": "no_ground"}


def test_a_granted_field_without_a_value_is_null_and_a_withheld_one_says_nothing_of_its_value(stage):
    subject = stage.customer(contact__email="wei@example.com")
    stage.grant(subject, CITY)
    item = stage.one(subject, CITY, EMAIL, "contact.phone").items[0]
    assert item.fields == {CITY: None}
    assert item.withheld == {EMAIL: "no_ground", "contact.phone": "no_ground"}


def test_staff_see_names_only_under_the_contract_ground(stage):
    stage.contract("administration", NAME)
    stage.customer(contact__given_name="伟", contact__email="wei@example.com")
    visit = stage.visit("sales", "administration")
    (item,) = stage.page(visit, select=f"{NAME},{EMAIL}").items
    assert item.fields == {NAME: "伟"}
    assert item.withheld == {EMAIL: "no_ground"}


def test_an_unknown_customer_is_a_problem_of_its_own(stage):
    with pytest.raises(Problem) as caught:
        stage.one("sub_" + "a" * 26, CITY)
    assert (caught.value.status, caught.value.code) == (404, "unknown_subject")


def test_a_withdrawn_field_is_absent_from_filter_and_sort(stage):
    subject = stage.customer(address__city="Leeds")
    consent = stage.grant(subject, CITY)
    other = people(stage, "Cardiff")[0]
    assert cities(stage.page(sort=CITY)) == ["Cardiff", "Leeds"]
    stage.withdraw(subject, consent)
    page = stage.page(sort=CITY)
    assert [item.subject for item in page.items] == [other, subject]
    assert page.items[1].withheld[CITY] == "withdrawn"
    assert [item.subject for item in stage.page(filter_="address.city:eq:Leeds").items] == []
    assert [item.subject for item in stage.page(filter_="address.city:absent").items] == [subject]


def test_an_expired_grant_releases_nothing(stage):
    subject = people(stage, "Leeds")[0]
    stage.clock.advance(timedelta(days=31))
    item = stage.one(subject, CITY).items[0]
    assert item.fields == {}
    assert item.withheld == {CITY: "expired"}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("eq:leeds", {"Leeds"}),
        ("ne:leeds", {"London", "上海"}),
        ("in:leeds,上海", {"Leeds", "上海"}),
        ("prefix:l", {"Leeds", "London"}),
        ("contains:ON", {"London"}),
        ("present", {"Leeds", "London", "上海"}),
        ("absent", {None}),
    ],
)
def test_each_filter_finds_what_it_asks_for(stage, condition, expected):
    people(stage, "Leeds", "London", "上海", None)
    assert set(cities(stage.page(filter_=f"{CITY}:{condition}"))) == expected


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("query", [{}, {"sort": CITY}, {"sort": f"-{CITY}"}, {"filter_": f"{CITY}:prefix:b"}])
def test_pages_put_together_are_the_whole_without_gaps_or_repeats(stage, limit, query):
    people(stage, "b", "a", "b", None, "ba", "b", None)
    whole = [item.subject for item in stage.page(**query).items]
    found, cursor = [], None
    while True:
        page = stage.page(limit=limit, cursor=cursor, **query)
        assert 0 < len(page.items) <= limit
        found += [item.subject for item in page.items]
        if (cursor := page.next) is None:
            break
    assert found == whole
    assert len(set(whole)) == len(whole)


def test_equal_keys_stay_in_the_order_of_their_references_falling_or_rising(stage):
    people(stage, "b", "b", "a", "a", None, None)
    for sort, expected in ((CITY, ["a", "a", "b", "b", None, None]), (f"-{CITY}", ["b", "b", "a", "a", None, None])):
        page = stage.page(sort=sort)
        assert cities(page) == expected
        subjects = [item.subject for item in page.items]
        assert all(subjects[pair : pair + 2] == sorted(subjects[pair : pair + 2]) for pair in (0, 2, 4))


def test_paging_goes_on_when_the_last_customer_of_a_page_withdraws(stage):
    rows = [(name, stage.customer(address__city=name)) for name in "abcd"]
    consents = {subject: stage.grant(subject, CITY) for _, subject in rows}
    first = stage.page(sort=CITY, limit=2)
    last = first.items[-1].subject
    stage.withdraw(last, consents[last])
    rest = stage.page(sort=CITY, limit=5, cursor=first.next)
    assert cities(rest) == ["c", "d", None]


def test_paging_goes_on_when_the_last_customer_of_a_page_consents(stage):
    people(stage, "a", "b")
    rest = [stage.customer(address__city="c", contact__phone="+86100") for _ in range(3)]
    first = stage.page(sort=CITY, limit=3)
    assert cities(first) == ["a", "b", None]
    stage.grant(first.items[-1].subject, CITY)
    second = stage.page(sort=CITY, limit=5, cursor=first.next)
    assert {item.subject for item in second.items} == set(rest) - {first.items[-1].subject}


def test_an_unfiltered_page_reads_no_more_rows_than_it_shows(stage):
    people(stage, *"abcdefgh")
    seen = []

    def listen(_connection, _cursor, statement, parameters, _context, _many):
        if "FROM record" in statement:
            seen.append(list(parameters.values() if isinstance(parameters, dict) else parameters))

    listening.listen(stage.platform.database._dialect.reader, "before_cursor_execute", listen)
    page = stage.page(limit=3)
    after = page.items[-1].subject
    stage.page(limit=3, cursor=page.next)
    assert [parameters.count(4) for parameters in seen] == [1, 1]
    # Both keys are bound to the cursor, record and allowance: on PostgreSQL by one name.
    assert [parameters.count(after) for parameters in seen] == [0, 1 if mapping.on() else 2]


@pytest.mark.parametrize("change", ["reader", "role", "purpose", "query", "byte", "noise", "text"])
def test_a_cursor_serves_its_own_reader_purpose_and_query_only(stage, change):
    stage.contract("administration", NAME, "contact.family_name")
    people(stage, "a", "b", "c")
    visit = stage.visit("marketing", "administration")
    cursor = stage.page(visit, limit=1).next
    assert stage.page(visit, limit=2, cursor=cursor).items
    query = {}
    if change == "reader":
        visit = stage.visit("marketing", "administration", account="max")
    elif change == "role":
        visit = stage.visit("sales", "administration")
    elif change == "purpose":
        visit = stage.visit()
    elif change == "query":
        query = {"sort": NAME}
    elif change == "byte":
        box = bytearray(base64.urlsafe_b64decode(cursor + "=="))
        box[20] ^= 1
        cursor = base64.urlsafe_b64encode(box).decode().rstrip("=")
    else:
        cursor = "AAAA" * 20 if change == "noise" else "näh"
    with pytest.raises(Problem) as caught:
        stage.page(visit, cursor=cursor, **query)
    assert (caught.value.status, caught.value.code) == (400, "bad_cursor")


def test_cursors_are_all_of_one_length_and_show_nothing(stage):
    people(stage, "a", "b" * 200, None, "c")
    cursors = []
    for query in ({}, {"sort": CITY}, {"filter_": "address.city:prefix:b"}, {"filter_": "address.city:absent"}):
        page = stage.page(limit=1, **query)
        cursors += [page.next] if page.next else []
    assert len(cursors) >= 2
    assert len({len(cursor) for cursor in cursors}) == 1


def test_a_release_is_on_record_with_the_filtered_field_and_without_the_operand(stage):
    people(stage, "Leeds")
    page = stage.page(select=NAME, filter_=f"{CITY}:eq:leeds")
    (event,) = releases(stage)
    assert event.event_id == page.release
    ((subject, told),) = event.records
    assert subject == page.items[0].subject
    assert told["released"] == [CITY]
    assert set(told["withheld"]) == {NAME}
    assert event.header["query"]["filters"] == [{"field": CITY, "operator": "eq"}]
    assert "leeds" not in orjson.dumps([event.header, told]).decode().lower()


def test_an_empty_page_is_on_record_too(stage):
    assert stage.page(filter_=f"{CITY}:eq:atlantis").items == ()
    assert len(releases(stage)) == 1


def move(stage, subject, **columns):
    with stage.platform.database.write("owner") as session:
        session.connection().execute(update(records.TABLE).where(records.TABLE.c.subject == subject).values(**columns))


def load(stage, subject):
    with stage.platform.database.read() as session:
        return records.load(session, subject)


def boxes_of(stage, subject):
    return unpack(apart(load(stage, subject).cells)[1])


def put_in(stage, subject, boxes):
    tag, packed = apart(load(stage, subject).cells)
    move(stage, subject, cells=tagged(tag, pack(unpack(packed) | boxes)))


def swapped_between_subjects(stage, one, two):
    put_in(stage, one, {CITY: boxes_of(stage, two)[CITY]})


def swapped_between_fields(stage, one, _two):
    put_in(stage, one, {CITY: boxes_of(stage, one)["contact.phone"]})


def swapped_between_generations(stage, one, _two):
    old = boxes_of(stage, one)
    with stage.platform.database.write("owner") as session:
        records.reseal(session, stage.platform, one, frozenset({CITY, "contact.phone"}))
    put_in(stage, one, {CITY: old[CITY]})


def data_key_of_another(stage, one, two):
    theirs = load(stage, two)
    move(stage, one, wrapped=theirs.wrapped, bucket=theirs.bucket)


def broken_packing(stage, one, _two):
    move(stage, one, cells=load(stage, one).cells[:-1])


def unknown_epoch(stage, one, _two):
    move(stage, one, epoch=99)


@pytest.mark.parametrize(
    "attack",
    [
        swapped_between_subjects,
        swapped_between_fields,
        swapped_between_generations,
        data_key_of_another,
        broken_packing,
        unknown_epoch,
    ],
)
def test_a_cell_that_was_moved_fails_closed_and_leaves_the_page_standing(stage, attack):
    one, two = people(stage, "Leeds", "London", granted=(CITY, "contact.phone"))
    attack(stage, one, two)
    items = {item.subject: item for item in stage.page(sort=CITY, select=f"{CITY},contact.phone").items}
    assert items[two].fields == {CITY: "London", "contact.phone": "+86100"}
    assert CITY in items[one].unreadable
    assert CITY not in items[one].fields
    assert CITY not in items[one].withheld
    assert [item.subject for item in stage.page(filter_=f"{CITY}:present").items] == [two]
    told = dict(releases(stage)[0].records)
    assert CITY not in told[one]["released"]
    assert told[two]["released"] == [CITY, "contact.phone"]


class Unbound:
    """A data key's cipher that binds nothing to its place."""

    def __init__(self, key: bytes) -> None:
        self._key = AESGCM(key)

    def encrypt(self, nonce: bytes, plain: bytes, _place: bytes) -> bytes:
        return self._key.encrypt(nonce, plain, None)

    def decrypt(self, nonce: bytes, box: bytes, _place: bytes) -> bytes:
        return self._key.decrypt(nonce, box, None)


def test_a_cell_that_was_moved_is_read_without_protection_when_the_place_is_not_bound(stage, monkeypatch):
    """The control of the test above: without the associated data the moved cell opens."""
    monkeypatch.setattr("crm_core.records.AESGCM", Unbound)
    monkeypatch.setattr("crm_core.seal.check", lambda *_parts, **_place: None)
    one, two = people(stage, "Leeds", "London", granted=(CITY, "contact.phone"))
    swapped_between_fields(stage, one, two)
    assert stage.one(one, CITY).items[0].fields == {CITY: "+86100"}


def test_a_bucket_that_is_rotated_between_snapshot_and_opening_costs_no_value(stage, monkeypatch):
    (subject,) = people(stage, "Leeds")
    keyring = stage.platform.keyring
    bucket = load(stage, subject).bucket
    opened = records.open_readable

    def rotate_first(platform, record, fields):
        monkeypatch.setattr(records, "open_readable", opened)
        epoch = keyring.begin_rotation(bucket)
        with platform.database.write("owner") as session:
            assert records.rewrap_bucket(session, platform, bucket, epoch) == 1
        keyring.destroy(bucket, record.epoch)
        keyring._held.clear()
        return opened(platform, record, fields)

    monkeypatch.setattr(records, "open_readable", rotate_first)
    assert stage.one(subject, CITY).items[0].fields == {CITY: "Leeds"}


def test_the_allowances_of_a_new_customer_are_there_from_the_first_moment(stage):
    stage.customer(address__city="Leeds")
    stage.page()
    with stage.platform.database.read() as session:
        quarantine = SQLModel.metadata.tables["quarantine"]
        assert session.connection().execute(quarantine.select()).all() == []


def test_references_are_random_and_in_the_agreed_form():
    found = {writer.new_subject() for _ in range(200)}
    assert len(found) == 200
    assert all(len(each) == 30 and each.startswith("sub_") and each == each.lower() for each in found)
