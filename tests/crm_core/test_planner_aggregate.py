"""Counts, groups and aggregates: what they mean, what stands on too few, and who contributed."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.reading import aggregate, aggregate_app, suppression
from crm_core.reading.aggregate import Function, Measure, _Tally
from issuer import catalogue as catalogues
from runtime.problem import Problem

CITY, NAME, EMAIL = "address.city", "contact.given_name", "contact.email"
SEEN, MILEAGE, FAULTS, STATUS = (
    "interaction.last_seen",
    "vehicle.mileage",
    "vehicle.fault_codes",
    "interaction.status",
)
PATH = "/crm/customers/aggregate"
CATALOGUE = catalogues.load()
CARE = "vehicle-care"


def ask(stage, role="marketing", **body):
    return stage.client(role, f"{role}-{len(stage.events())}").post(PATH, json={"purpose": "marketing"} | body)


def asked(stage, **body):
    answer = ask(stage, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def people(stage, cities, granted=(CITY, STATUS), **values):
    for city in cities:
        stage.grant(stage.customer(**({"address__city": city} if city else {}), **values), *granted)


def groups(answer):
    return {tuple(group["by"]): group["count"] for group in answer["groups"]}


def test_a_count_is_of_the_customers_whose_granted_values_meet_the_filter(stage):
    people(stage, ["Leeds"] * 6 + ["London"] * 5)
    for _ in range(3):
        stage.customer(address__city="Leeds")
    assert asked(stage)["count"] == 14
    leeds = [{"field": CITY, "operator": "eq", "value": "leeds"}]
    answer = asked(stage, filters=leeds)
    assert (answer["count"], answer["suppressed"], answer["small_group"]) == (6, False, 5)
    assert asked(stage, search="leeds")["count"] == 6


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_count_of_few_says_only_that_they_are_few(stage, count):
    people(stage, ["Leeds"] * count + ["London"] * 5)
    leeds = [{"field": CITY, "operator": "eq", "value": "leeds"}]
    answer = asked(stage, filters=leeds, group_by=[CITY], aggregates=[{"function": "count", "field": CITY}])
    del answer["release"]
    assert answer == {
        "count": None,
        "fewer_than": 5,
        "aggregates": [{"function": "count", "field": CITY, "value": None, "fewer_than": 5}],
        "groups": [],
        "suppressed": True,
        "small_group": 5,
        "purpose": "https://w3id.org/dpv#DirectMarketing",
    }


def test_a_small_group_is_hidden_and_the_next_smallest_with_it(stage):
    people(stage, ["Leeds"] * 8 + ["London"] * 6 + ["Bath"] * 2 + [None] * 9)
    answer = asked(stage, group_by=[CITY])
    assert answer["count"] == 25
    assert groups(answer) == {("Leeds",): 8, (None,): 9}  # 25 less these is 8 for London and Bath together
    assert answer["suppressed"]
    assert "Bath" not in str(answer)


def test_groups_are_by_folded_form_and_a_withheld_value_is_an_absent_one(stage):
    people(stage, ["Leeds", "LEEDS", "ｌeeds"] * 2)
    for _ in range(5):
        stage.grant(stage.customer(address__city="Leeds"), STATUS)
    assert groups(asked(stage, group_by=[CITY])) == {("LEEDS",): 6, (None,): 5}


def test_dates_are_grouped_by_their_month(stage):
    for day in range(10):
        subject = stage.customer(interaction__last_seen=f"2026-{11 if day % 2 else 10}-0{day // 2 + 1}T08:00:00Z")
        stage.grant(subject, SEEN)
    body = {"group_by": [{"field": SEEN, "by": "month"}]}
    body["aggregates"] = [{"function": "max", "field": SEEN}, {"function": "count", "field": SEEN}]
    answer = asked(stage, **body)
    assert groups(answer) == {("2026-10",): 5, ("2026-11",): 5}
    assert [each["value"] for each in answer["aggregates"]] == ["2026-11-05T08:00:00Z", 10]
    assert [each["value"] for each in answer["groups"][0]["aggregates"]] == ["2026-10-05T08:00:00Z", 5]


def test_two_fields_make_a_table_of_which_no_margin_tells_a_small_cell(stage):
    for city, status, count in (
        ("A", "x", 9),
        ("A", "y", 7),
        ("B", "x", 8),
        ("B", "y", 2),
        ("C", "x", 9),
        ("C", "y", 9),
    ):
        people(stage, [city] * count, interaction__status=status)
    shown = groups(asked(stage, group_by=[CITY, STATUS]))
    # B/y has 2. B/x would tell it by the margin of B, A/y by that of y; then A/x by that of A.
    assert shown == {("C", "x"): 9, ("C", "y"): 9} | ({("A", "x"): 9} if ("A", "x") in shown else {})
    assert ("B", "x") not in shown
    assert ("A", "y") not in shown


def fleet(stage, mileages):
    for mileage, faults in mileages:
        values = {"vehicle__mileage": mileage} if mileage is not None else {}
        subject = stage.customer(**values, **({"vehicle__fault_codes": faults} if faults else {}))
        stage.grant(subject, MILEAGE, FAULTS, purpose=CARE)


def measured(stage, *functions, **body):
    body = {"purpose": CARE, "aggregates": [{"function": each, "field": MILEAGE} for each in functions]} | body
    return asked(stage, role="service", **body)


def test_numbers_are_aggregated_exactly(stage):
    fleet(stage, [(value, None) for value in (0.1, 0.2, 0.3, 0.4, 2)] + [(None, None)] * 3)
    answer = measured(stage, *Function)
    assert [each["value"] for each in answer["aggregates"]] == [5, 0.1, 2, 3, 0.6]
    assert answer["count"] == 8


def test_an_aggregate_needs_as_many_contributors_as_a_group(stage):
    fleet(stage, [(1, None)] * 4 + [(None, None)] * 20)
    answer = measured(stage, *Function)
    assert answer["count"] == 24
    assert [each["value"] for each in answer["aggregates"]] == [None] * 5
    assert {each["fewer_than"] for each in answer["aggregates"]} == {5}


def test_several_values_of_a_field_count_a_customer_in_each_group(stage):
    fleet(stage, [(1, ["P1", "P2"])] * 5 + [(2, ["P2", "P2x"])] * 5 + [(3, None)] * 5)
    answer = measured(stage, "sum", group_by=[FAULTS])
    assert groups(answer) == {("P1",): 5, ("P2",): 10, ("P2x",): 5, (None,): 5}
    assert {tuple(each["by"]): each["aggregates"][0]["value"] for each in answer["groups"]} == {
        ("P1",): 5, ("P2",): 15, ("P2x",): 10, (None,): 15,
    }  # fmt: skip


def test_the_sum_of_a_hidden_group_is_not_the_rest_of_the_sums_shown(stage):
    """In P2 only two have a mileage: the sums of the others would tell theirs."""
    fleet(stage, [(7, ["P1"])] * 6 + [(9, ["P2"])] * 2 + [(None, ["P2"])] * 6 + [(5, ["P3"])] * 9)
    answer = measured(stage, "sum", group_by=[FAULTS])
    assert groups(answer) == {("P1",): 6, ("P2",): 8, ("P3",): 9}
    assert {tuple(each["by"]): each["aggregates"][0]["value"] for each in answer["groups"]} == {
        ("P1",): None, ("P2",): None, ("P3",): 45,
    }  # fmt: skip


def test_each_contributor_has_the_release_on_record_in_bounded_parts(stage, monkeypatch):
    monkeypatch.setattr(aggregate, "PART", 4)
    people(stage, ["Leeds"] * 9 + ["London"] * 2)
    leeds = [{"field": CITY, "operator": "eq", "value": "Leeds"}]
    answer = asked(stage, filters=leeds, group_by=[STATUS])
    events = stage.events("release")
    assert events[-1].event_id == answer["release"]
    told = [data["released"] for event in events for subject, data in event.records if subject]
    assert told == [[CITY, STATUS]] * 9
    assert max(len(event.records) for event in events) == 4
    assert len({event.header["query"]["aggregate"] for event in events}) == 1
    assert events[-1].header["query"]["examined"] == 11
    assert "leeds" not in str([event.header for event in events]).lower()


@pytest.mark.parametrize(
    ("body", "code", "member"),
    [
        ({"group_by": CITY}, "bad_aggregate", "group_by"),
        ({"group_by": [CITY, NAME, EMAIL]}, "bad_aggregate", "group_by"),
        ({"group_by": [CITY, {"field": CITY}]}, "bad_aggregate", "group_by"),
        ({"group_by": [{"field": CITY, "by": "month"}]}, "bad_aggregate", "group_by[0].by"),
        ({"group_by": [{"field": SEEN, "by": ["month"]}]}, "bad_aggregate", "group_by[0].by"),
        ({"group_by": [{"field": SEEN, "per": "month"}]}, "bad_aggregate", "group_by[0]"),
        ({"group_by": [7]}, "unknown_field", "group_by[0]"),
        ({"group_by": ["deal.stage"]}, "item_field", "group_by[0]"),
        ({"aggregates": {}}, "bad_aggregate", "aggregates"),
        ({"aggregates": [{"function": "count", "field": CITY}] * 11}, "bad_aggregate", "aggregates"),
        ({"aggregates": ["count"]}, "bad_aggregate", "aggregates[0]"),
        ({"aggregates": [{"function": "median", "field": MILEAGE}]}, "bad_aggregate", "aggregates[0].function"),
        ({"aggregates": [{"function": ["sum"], "field": MILEAGE}]}, "bad_aggregate", "aggregates[0].function"),
        ({"aggregates": [{"function": "sum", "field": SEEN}]}, "bad_aggregate", "aggregates[0].function"),
        ({"aggregates": [{"function": "min", "field": CITY}]}, "bad_aggregate", "aggregates[0].function"),
        ({"aggregates": [{"function": "sum", "field": "deal.amount"}]}, "item_field", "aggregates[0].field"),
        ({"sort": [CITY]}, "bad_request", "sort"),
    ],
)
def test_what_is_not_understood_names_its_member(body, code, member):
    with pytest.raises(Problem) as caught:
        aggregate_app.of_body(CATALOGUE, body, "marketing")
    assert (caught.value.code, caught.value.field) == (code, member)


def test_what_is_not_understood_is_on_record(stage):
    for body, code in (({"group_by": CITY}, "bad_aggregate"), ({"purpose": None}, "bad_request")):
        answer = ask(stage, **body)
        assert (answer.status_code, answer.json()["code"]) in {(400, code), (422, code)}
        assert stage.events("attempt.refused")[-1].records[0][1] == {"code": code}


def test_too_many_groups_are_refused_and_not_cut(stage, monkeypatch):
    people(stage, ["A", "B", "C"])
    monkeypatch.setattr(aggregate, "MAX_GROUPS", 2)
    assert ask(stage, group_by=[CITY]).json()["code"] == "too_many_groups"
    (event,) = stage.events("release")  # it told something of their values
    assert len({subject for subject, _ in event.records}) == 3


def test_too_many_groups_to_show_are_refused(stage, monkeypatch):
    people(stage, ["A"] * 5 + ["B"] * 5)
    monkeypatch.setattr(aggregate, "MAX_SHOWN", 1)
    assert ask(stage, group_by=[CITY]).json()["code"] == "too_many_groups"


NUMBERS = st.integers(-(2**60), 2**60) | st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(NUMBERS))
def test_no_numbers_overflow_and_no_order_changes_a_sum(values):
    def total(numbers):
        tally = _Tally()
        for number in numbers:
            tally.add(number, summing=True)
        return tally

    proper = [value for value in values if math.isfinite(value)]
    tally = total(values)
    assert tally.subjects == len(proper)
    assert tally.result(Function.SUM) == total(reversed(values)).result(Function.SUM)
    average = tally.result(Function.AVG)
    slack = 1e-15 * max(map(abs, proper), default=0)
    assert average is None or min(proper) - slack <= average <= max(proper) + slack
    for function in (Function.SUM, Function.AVG):
        assert not isinstance(tally.result(function), float) or math.isfinite(tally.result(function))


def test_a_sum_beyond_any_float_is_null():
    tally = _Tally()
    for _ in range(3):
        tally.add(1.7e308, summing=True)
    assert tally.result(Function.SUM) is None
    assert tally.result(Function.AVG) == 1.7e308


def test_a_truth_value_is_no_number():
    tally = _Tally()
    tally.add(True, summing=True)
    assert tally.subjects == 0
    assert Measure(Function.SUM, MILEAGE).numeric


CELLS = st.dictionaries(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz")), st.integers(0, 12), min_size=1, max_size=12
)


@given(CELLS, st.integers(1, 6))
def test_no_line_tells_a_hidden_cell_by_what_is_left_of_its_total(cells, k):
    gone = suppression.hidden(cells, k)
    assert gone >= {cell for cell, count in cells.items() if count < k}
    lines = [list(cells)]
    lines += [[cell for cell in cells if cell[axis] == key] for axis in (0, 1) for key in {c[axis] for c in cells}]
    for line in lines:
        secret = [cells[cell] for cell in line if cell in gone and cells[cell]]
        shown = [cell for cell in line if cell not in gone]
        assert not secret or not shown or (len(secret) > 1 and sum(secret) >= k)


@given(st.dictionaries(st.tuples(st.sampled_from("abcdefgh")), st.integers(1, 12), min_size=1), st.integers(2, 6))
def test_whoever_subtracts_the_groups_shown_from_the_total_learns_of_no_few(cells, k):
    gone = suppression.hidden(cells, k)
    rest = sum(cells.values()) - sum(count for cell, count in cells.items() if cell not in gone)
    assert rest == 0 or rest >= k or len(gone) == len(cells)


def test_without_the_second_suppression_the_rest_tells(monkeypatch):
    """The control of the test above."""
    cells = Counter({("a",): 9, ("b",): 8, ("c",): 1})
    monkeypatch.setattr(suppression, "_needed", lambda *_: None)
    assert suppression.hidden(cells, 5) == {("c",)}
