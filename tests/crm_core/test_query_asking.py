"""Queries out of requests: what is read from texts and bodies, and what is refused, naming the member that is wrong."""

import pytest

from crm_core.reading import asking
from crm_core.reading.query import AnyOf, Filter, Operator, Sort
from issuer import catalogue as catalogues
from runtime.problem import Problem

CATALOGUE = catalogues.load()
CITY, EMAIL, PHONE, SEEN = "address.city", "contact.email", "contact.phone", "interaction.last_seen"
NEWS, MILEAGE = "preference.newsletter", "vehicle.mileage"


def parsed(**texts):
    return asking.parse(CATALOGUE, **({"select": None, "default": (CITY,)} | texts))


def asked(**body):
    return asking.of_body(CATALOGUE, body, default=(CITY, EMAIL, PHONE))


def the_filter(field, operator, value):
    (found,) = asked(filters=[{"field": field, "operator": operator, "value": value}]).where.filters
    return found


def refused(act, **members):
    with pytest.raises(Problem) as caught:
        act(**members)
    return caught.value


def test_a_query_is_read_from_its_texts():
    query = parsed(
        select="contact.email, address.city,contact.email",
        filter_="address.city:in:Bristol,ＬＥＥＤＳ",
        sort="-contact.email,address.city",
    )
    assert query.select == (EMAIL, CITY)
    assert query.where.filters == (Filter(CITY, Operator.IN, ("bristol", "leeds")),)
    assert query.sort == (Sort(EMAIL, descending=True), Sort(CITY))
    assert query.asked == {EMAIL, CITY}


def test_a_value_may_hold_colons():
    (found,) = parsed(filter_="contact.profile_url:eq:https://a.example:8/x").where.filters
    assert found.operands == ("https://a.example:8/x",)


def test_without_select_the_default_is_selected():
    assert parsed().select == parsed(select="").select == (CITY,)
    assert asked().select == (CITY, EMAIL, PHONE)


def test_a_body_joins_conditions_and_nests_one_any():
    one = {"field": CITY, "operator": "prefix", "value": "Lö"}
    query = asked(filters=[one, {"any": [one, {"field": EMAIL, "operator": "absent"}]}], sort="-address.city")
    begins = Filter(CITY, Operator.PREFIX, ("lö",))
    assert query.where.filters == (begins, AnyOf((begins, Filter(EMAIL, Operator.ABSENT))))
    assert query.sort == (Sort(CITY, descending=True),)


@pytest.mark.parametrize(
    ("field", "operator", "value", "operands"),
    [
        (PHONE, "eq", "+86 (138) 0013-8000", ("+8613800138000",)),
        (PHONE, "eq", "none of your business", ("none of your business",)),
        (PHONE, "prefix", "+86 1", ("+86 1",)),
        (SEEN, "gte", "2026-11-01", ("2026-11-01t00:00:00z",)),
        (SEEN, "prefix", "2026-11", ("2026-11",)),
        (NEWS, "eq", True, ("true",)),
        (NEWS, "in", ["是", "no"], ("true", "false")),
        (MILEAGE, "between", [1, "2.5"], (1, 2.5)),
        (MILEAGE, "eq", "-3", (-3,)),
    ],
)
def test_operands_are_read_by_the_type_of_their_field(field, operator, value, operands):
    found = the_filter(field, operator, value)
    assert found.operands == operands
    assert found.numeric is (field == MILEAGE)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"filter_": "address.city"}, "bad_filter"),
        ({"filter_": "address.city:like:x"}, "bad_filter"),
        ({"filter_": "address.city:eq"}, "bad_filter"),
        ({"filter_": "address.city:eq: "}, "bad_filter"),
        ({"filter_": "address.city:absent:x"}, "bad_filter"),
        ({"filter_": "address.city:in:a,,b"}, "bad_filter"),
        ({"filter_": "address.city:between:a"}, "bad_filter"),
        ({"filter_": "address.city:in:" + ",".join("a" * 51)}, "bad_filter"),
        ({"filter_": "address.city:eq:" + "a" * 513}, "bad_filter"),
        ({"filter_": "interaction.last_seen:gt:yesterday"}, "bad_filter"),
        ({"filter_": "preference.newsletter:gt:yes"}, "bad_filter"),
        ({"sort": ""}, "bad_sort"),
        ({"sort": "-"}, "bad_sort"),
        ({"sort": "address.city,-address.city"}, "bad_sort"),
        ({"sort": "address.city,contact.email,contact.phone,contact.gender"}, "bad_sort"),
        ({"limit": 0}, "bad_limit"),
        ({"limit": 501}, "bad_limit"),
        ({"limit": True}, "bad_limit"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_own_code(texts, code):
    problem = refused(parsed, **texts)
    assert (problem.status, problem.code) == (400, code)


@pytest.mark.parametrize(
    "texts", [{"select": "address.moon"}, {"filter_": "address.moon:eq:x"}, {"sort": "-address.moon"}]
)
def test_an_unknown_field_is_named(texts):
    problem = refused(parsed, **texts)
    assert (problem.code, problem.field) == ("unknown_field", "address.moon")


def condition(field=CITY, operator="eq", **value):
    return {"field": field, "operator": operator, **value}


@pytest.mark.parametrize(
    ("body", "code", "member"),
    [
        ({"select": "contact.email"}, "bad_request", "select"),
        ({"select": []}, "bad_request", "select"),
        ({"select": [CITY, "address.moon"]}, "unknown_field", "select[1]"),
        ({"select": [CITY, {"a": 1}]}, "unknown_field", "select[1]"),
        ({"select": ["deal.amount"]}, "item_field", "select[0]"),
        ({"sort": ["deal.amount"]}, "item_field", "deal.amount"),
        ({"sort": [7]}, "bad_sort", "sort"),
        ({"sort": {}}, "bad_sort", "sort"),
        ({"filters": {}}, "bad_filter", "filters"),
        ({"filters": [condition(value="x")] * 11}, "bad_filter", "filters"),
        ({"filters": [condition(value="x"), 7]}, "bad_filter", "filters[1]"),
        ({"filters": [condition(value="x", also=1)]}, "bad_filter", "filters[0]"),
        ({"filters": [condition("address.moon", value=1)]}, "unknown_field", "filters[0].field"),
        ({"filters": [condition(["address.city"], value=1)]}, "unknown_field", "filters[0].field"),
        ({"filters": [condition("ticket.body", value="x")]}, "item_field", "filters[0].field"),
        ({"filters": [condition(operator="regex", value=".*")]}, "bad_filter", "filters[0].operator"),
        ({"filters": [condition(operator=["eq"], value="x")]}, "bad_filter", "filters[0].operator"),
        ({"filters": [condition(operator="present", value=None)]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition()]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(value=["x"])]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(value={"$ne": 1})]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(operator="in", value=[])]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(operator="in", value="x")]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(operator="between", value=["a", "b", "c"])]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(MILEAGE, "gt", value="ten")]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(MILEAGE, "gt", value=True)]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(MILEAGE, "gt", value="1e999")]}, "bad_filter", "filters[0].value"),
        ({"filters": [condition(MILEAGE, "prefix", value=1)]}, "bad_filter", "filters[0].value"),
        ({"filters": [{"any": []}]}, "bad_filter", "filters[0].any"),
        ({"filters": [{"any": [{"any": [condition(value="x")]}]}]}, "bad_filter", "filters[0].any[0]"),
        ({"filters": [{"any": [condition(value="x"), condition()]}]}, "bad_filter", "filters[0].any[1].value"),
        ({"search": ""}, "bad_search", "search"),
        ({"search": " \u3000"}, "bad_search", "search"),
        ({"search": ["x"]}, "bad_search", "search"),
        ({"search": "x" * 201}, "bad_search", "search"),
        ({"search": "a b c d e f g h i"}, "bad_search", "search"),
        ({"limit": "7"}, "bad_limit", "limit"),
        ({"cursor": 7}, "bad_request", "cursor"),
        ({"filter": []}, "bad_request", "filter"),
        ({"wei@example.com": 1}, "bad_request", None),
    ],
)
def test_an_error_names_the_member_that_is_wrong(body, code, member):
    problem = refused(asked, **body)
    assert (problem.code, problem.field) == (code, member)
    assert "wei" not in problem.detail


def test_what_does_not_look_like_a_field_is_not_told_back():
    for problem in (
        refused(parsed, select="wei@example.com"),
        refused(asked, filters=[condition("wei@example.com", value="x")]),
    ):
        assert problem.field in {"select", "filters[0].field"}
        assert "wei" not in problem.detail


def test_a_search_covers_the_text_like_fields_of_the_purpose():
    found = asking.of_body(CATALOGUE, {"search": " Wéi  ＬＩ "}, default=(CITY, PHONE, NEWS, SEEN)).where.search
    assert found.fields == (CITY, PHONE)
    assert found.words == ("wei", "li")
