"""Attacks on the planner over HTTP: cursors that are carried elsewhere, hostile operands and bodies, differencing."""

import time

import pytest

from crm_core.reading import aggregate
from crm_core.reading.aggregate import Question
from crm_core.reading.planner import Planner
from protocol import event
from verifier.drain import DrainTimeoutError
from verifier.recorder import Recorder

CITY, NAME, FAMILY = "address.city", "contact.given_name", "contact.family_name"
PLAIN = "/crm/customers"
QUERY, AGGREGATE, EXPORT = "/crm/customers/query", "/crm/customers/aggregate", "/crm/exports"
LEEDS = [{"field": CITY, "operator": "eq", "value": "Leeds"}]


def people(stage, count, city="Leeds"):
    for _ in range(count):
        stage.grant(stage.customer(address__city=city, contact__given_name="Wei"), CITY, NAME)


def code_of(answer):
    return answer.json()["code"]


def test_a_cursor_serves_its_own_reader_purpose_query_and_route_only(stage):
    stage.contract("administration", NAME, FAMILY)
    people(stage, 3)
    mia, max_, sam = stage.client("marketing", "mia"), stage.client("marketing", "max"), stage.client("sales", "sam")
    body = {"purpose": "administration", "select": [NAME], "limit": 1}
    cursor = mia.post(QUERY, json=body).json()["next"]
    assert mia.post(QUERY, json=body | {"cursor": cursor}).json()["items"]
    moved = [
        max_.post(QUERY, json=body | {"cursor": cursor}),
        sam.post(QUERY, json=body | {"cursor": cursor}),
        mia.post(QUERY, json=body | {"cursor": cursor, "purpose": "marketing"}),
        mia.post(QUERY, json=body | {"cursor": cursor, "select": [FAMILY]}),
        mia.post(QUERY, json=body | {"cursor": cursor, "select": [NAME, FAMILY]}),
        mia.post(QUERY, json=body | {"cursor": cursor, "sort": [NAME]}),
        mia.post(QUERY, json=body | {"cursor": cursor, "search": "wei"}),
        mia.post(QUERY, json=body | {"cursor": cursor, "filters": LEEDS}),
        mia.post(QUERY, json=body | {"cursor": cursor, "filters": [{"any": LEEDS}]}),
        mia.get("/crm/customers", params={"purpose": "administration", "select": NAME, "cursor": cursor}),
    ]
    assert {code_of(answer) for answer in moved} == {"bad_cursor"}
    for path in (AGGREGATE, EXPORT):
        answer = mia.post(path, json={"purpose": "administration", "cursor": cursor})
        assert (code_of(answer), answer.json()["field"]) == ("bad_request", "cursor")
    assert [each.records[0][1]["code"] for each in stage.events("attempt.refused")][:10] == ["bad_cursor"] * 10


def test_a_cursor_of_one_condition_is_none_of_another_with_the_same_words(stage):
    people(stage, 2)
    client = stage.client("marketing")
    one = {"purpose": "marketing", "limit": 1, "filters": [{"field": CITY, "operator": "in", "value": ["Leeds", "x"]}]}
    cursor = client.post(QUERY, json=one).json()["next"]
    other = one | {"filters": [{"field": CITY, "operator": "between", "value": ["Leeds", "x"]}], "cursor": cursor}
    assert code_of(client.post(QUERY, json=other)) == "bad_cursor"


@pytest.mark.parametrize("cursor", ["A" * 10_000, "A" * 83 + "=", "\u0000", "././././", "ä" * 84])
def test_a_made_up_cursor_is_refused(stage, cursor):
    answer = stage.client("marketing").post(QUERY, json={"purpose": "marketing", "cursor": cursor})
    assert code_of(answer) in {"bad_cursor", "bad_request"}


def test_hostile_bodies_are_refused_before_anything_is_read(stage):
    people(stage, 1)
    client = stage.client("marketing")
    start = '{"purpose": "marketing", "filters": [{"field": "vehicle.mileage", "operator": "gt", "value": '
    deep = '{"purpose": "marketing", "filters": ' + '[{"any":' * 40 + "[]" + "}]" * 40 + "}"
    for content, code in (
        (f"{start}NaN}}]}}", "bad_number"),
        (f"{start}Infinity}}]}}", "bad_number"),
        (f"{start}1e999}}]}}", "bad_number"),
        (f"{start}9007199254740993}}]}}", "bad_number"),
        (deep, "too_deep"),
        ('{"purpose": "marketing", "purpose": "service"}', "duplicate_key"),
        ('{"purpose": "marketing", "search": "' + "x" * 70_000 + '"}', "too_large"),
        ('["purpose"]', "not_an_object"),
    ):
        for path in (QUERY, AGGREGATE, EXPORT):
            answer = client.post(path, content=content, headers={"content-type": "application/json"})
            assert code_of(answer) == code, (path, content[:60])
    assert stage.events("release") == []


def test_what_looks_like_a_pattern_is_taken_as_it_stands_and_costs_no_time(stage):
    people(stage, 3, city="a" * 400)
    client = stage.client("marketing")
    for operator in ("eq", "contains", "prefix"):
        for value in ("(a+)+$", ".*", "%", "a_", "a" * 399 + "b", "'; DROP TABLE record; --", "$ne", "*"):
            begun = time.perf_counter()
            filters = [{"field": CITY, "operator": operator, "value": value}]
            assert client.post(QUERY, json={"purpose": "marketing", "filters": filters}).json()["items"] == []
            assert time.perf_counter() - begun < 5
    assert client.post(QUERY, json={"purpose": "marketing", "search": "(a+)+$"}).json()["items"] == []


def test_an_operand_stands_in_no_record_no_error_and_no_attempt(stage):
    people(stage, 1)
    client, typed = stage.client("marketing"), "lin.wei@example.cn"
    told = []
    for body in (
        {"filters": [{"field": CITY, "operator": "eq", "value": typed}]},
        {"filters": [{"field": typed, "operator": "eq", "value": typed}]},
        {"filters": [{"field": CITY, "operator": typed, "value": typed}]},
        {"filters": [{"field": "vehicle.mileage", "operator": "eq", "value": typed}]},
        {"search": typed},
        {typed: typed},
        {"select": [typed]},
        {"group_by": [typed]},
        {"format": typed, "recipient": typed},
    ):
        told += [client.post(path, json={"purpose": "marketing", **body}).text for path in (QUERY, AGGREGATE, EXPORT)]
    told += [str((each.header, each.records)) for each in stage.events()]
    assert not [text for text in told if "lin.wei" in text]


def test_two_counts_that_differ_by_one_customer_tell_of_that_one(stage):
    """What suppression does not prevent (docs/decisions/013): whoever may read for the purpose can list them anyway."""
    people(stage, 6)
    stage.grant(stage.customer(address__city="Leeds", contact__given_name="Zoe"), CITY, NAME)
    client = stage.client("marketing")
    without = [*LEEDS, {"field": NAME, "operator": "ne", "value": "Zoe"}]
    counts = [
        client.post(AGGREGATE, json={"purpose": "marketing", "filters": filters}).json()["count"]
        for filters in (LEEDS, without)
    ]
    assert counts == [7, 6]
    # Both are on record for each whom they count, so whoever differences can be found.
    assert len(stage.events("release")) == 2


def test_differencing_never_reaches_what_is_withheld(stage):
    people(stage, 6)
    stage.customer(address__city="Leeds", contact__given_name="Zoe")
    client = stage.client("marketing")
    absent = [{"field": CITY, "operator": "absent"}]
    for filters in (LEEDS, [{"any": [*LEEDS, {"field": NAME, "operator": "eq", "value": "Zoe"}]}]):
        assert client.post(AGGREGATE, json={"purpose": "marketing", "filters": filters}).json()["count"] == 6
    assert client.post(AGGREGATE, json={"purpose": "marketing", "filters": absent}).json()["fewer_than"] == 5


@pytest.mark.parametrize("path", [PLAIN, QUERY, AGGREGATE, EXPORT])
def test_nothing_leaves_without_its_record(stage, monkeypatch, path):
    people(stage, 6)
    client, record = stage.client("marketing"), Recorder._commit

    def failing(self):
        if any(each.type == event.RELEASE for waiting in self._queue for each in waiting.events):
            self._database = None
        record(self)

    monkeypatch.setattr(Recorder, "_commit", failing)
    if path == PLAIN:
        answer = client.get(path, params={"purpose": "marketing"})
    else:
        body = {"purpose": "marketing", "format": "csv"} if path == EXPORT else {"purpose": "marketing"}
        answer = client.post(path, json=body)
    assert (answer.status_code, code_of(answer)) == (503, "not_recorded")
    assert "Leeds" not in answer.text


def test_a_withdrawal_waits_for_the_aggregate_under_way(stage):
    people(stage, 1)
    planner = Planner(stage.platform, stage.gate)
    reading = planner.reading(stage.visit(), lambda read: aggregate.answer(read, Question(), 5))
    with reading, pytest.raises(DrainTimeoutError):
        stage.gate.turnstile.drain(0.1)
    stage.gate.turnstile.drain(5.0)
