"""What a query means, against a model, and what is refused."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import query
from crm_core.query import Filter, Operator, Query, Sort
from issuer import catalogue as catalogues
from runtime.problem import Problem

CATALOGUE = catalogues.load()
VALUES = st.none() | st.text(max_size=12) | st.booleans() | st.integers(-99, 99)
TEXTS = st.text(min_size=1, max_size=4)
CITY = "address.city"


def folded(value):
    if isinstance(value, bool):
        return str(value).lower()
    return unicodedata.normalize("NFKC", str(value)).casefold()


MODEL = {
    Operator.EQ: lambda text, asked: text == asked[0],
    Operator.NE: lambda text, asked: text != asked[0],
    Operator.IN: lambda text, asked: any(text == each for each in asked),
    Operator.PREFIX: lambda text, asked: text[: len(asked[0])] == asked[0],
    Operator.CONTAINS: lambda text, asked: text.find(asked[0]) >= 0,
    Operator.PRESENT: lambda _text, _asked: True,
    Operator.ABSENT: lambda _text, _asked: False,
}


@given(VALUES, st.sampled_from(Operator), st.lists(TEXTS, min_size=1, max_size=3))
def test_a_filter_means_what_the_model_says(value, operator, operands):
    asked = tuple(map(folded, operands))
    expected = operator is Operator.ABSENT if value is None else MODEL[operator](folded(value), asked)
    assert Filter(CITY, operator, asked).matches(value) is expected


@given(st.lists(st.text(max_size=6) | st.booleans() | st.integers(-99, 99)))
def test_sort_keys_order_numbers_before_texts_and_texts_by_their_folded_form(values):
    ordered = sorted(values, key=query.sort_key)
    numbers = [value for value in ordered if isinstance(value, int)]
    texts = [value for value in ordered if isinstance(value, str)]
    assert ordered == numbers + texts
    assert numbers == sorted(numbers)
    assert [folded(text) for text in texts] == sorted(map(folded, texts))


def parsed(**texts):
    return query.parse(CATALOGUE, **({"select": None, "default": (CITY,)} | texts))


def test_a_query_is_read_from_its_texts():
    asked = parsed(
        select="contact.email, address.city,contact.email",
        filter_="address.city:in:Bristol,ＬＥＥＤＳ",
        sort="-contact.email",
    )
    assert asked.select == ("contact.email", "address.city")
    assert asked.filter == Filter(CITY, Operator.IN, ("bristol", "leeds"))
    assert asked.sort == Sort("contact.email", descending=True)
    assert asked.asked == {"contact.email", CITY}


def test_a_value_may_hold_colons():
    assert parsed(filter_="contact.profile_url:eq:https://a.example:8/x").filter.operands == ("https://a.example:8/x",)


def test_without_select_the_default_is_selected():
    assert parsed().select == parsed(select="").select == (CITY,)


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ({"filter_": "address.city"}, "bad_filter"),
        ({"filter_": "address.city:like:x"}, "bad_filter"),
        ({"filter_": "address.city:eq"}, "bad_filter"),
        ({"filter_": "address.city:eq: "}, "bad_filter"),
        ({"filter_": "address.city:absent:x"}, "bad_filter"),
        ({"filter_": "address.city:in:a,,b"}, "bad_filter"),
        ({"filter_": "address.city:in:" + ",".join("a" * 51)}, "bad_filter"),
        ({"filter_": "address.city:eq:" + "a" * 513}, "bad_filter"),
        ({"sort": ""}, "bad_sort"),
        ({"sort": "-"}, "bad_sort"),
        ({"sort": "address.city,contact.email"}, "bad_sort"),
        ({"limit": 0}, "bad_limit"),
        ({"limit": 501}, "bad_limit"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_own_code(texts, code):
    with pytest.raises(Problem) as caught:
        parsed(**texts)
    assert (caught.value.status, caught.value.code) == (400, code)


@pytest.mark.parametrize(
    "texts", [{"select": "address.moon"}, {"filter_": "address.moon:eq:x"}, {"sort": "-address.moon"}]
)
def test_an_unknown_field_is_named(texts):
    with pytest.raises(Problem) as caught:
        parsed(**texts)
    assert (caught.value.code, caught.value.field) == ("unknown_field", "address.moon")


def test_what_does_not_look_like_a_field_is_not_told_back():
    with pytest.raises(Problem) as caught:
        parsed(select="wei@example.com")
    assert caught.value.field == "select"
    assert "wei" not in caught.value.detail


def test_the_record_of_a_query_names_field_and_operator_but_not_the_operand():
    asked = Query(select=(CITY,), filter=Filter(CITY, Operator.EQ, ("atlantis",)), sort=Sort(CITY), limit=7)
    told = asked.told()
    assert told["filter"] == {"field": CITY, "operator": "eq"}
    assert "atlantis" not in str(told)
