"""What a query means, against a model."""

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.reading import folding
from crm_core.reading.query import SEVERAL, AnyOf, Filter, Operator, Query, Sort, Where
from crm_core.reading.search import Rank

ONE = st.text(max_size=12) | st.booleans() | st.integers(-99, 99)
VALUES = st.none() | ONE | st.lists(st.text(max_size=6), min_size=1, max_size=3)
TEXTS = st.text(min_size=1, max_size=4)
NUMBERS = st.integers(-9, 9) | st.floats(-9, 9)
CITY, AMOUNT = "address.city", "deal.amount"


def folded(value):
    if isinstance(value, bool):
        return str(value).lower()
    return unicodedata.normalize("NFKC", str(value)).casefold()


MODEL = {
    Operator.EQ: lambda form, asked: form == asked[0],
    Operator.NE: lambda form, asked: form != asked[0],
    Operator.IN: lambda form, asked: any(form == each for each in asked),
    Operator.PREFIX: lambda form, asked: form[: len(asked[0])] == asked[0],
    Operator.CONTAINS: lambda form, asked: form.find(asked[0]) >= 0,
    Operator.GT: lambda form, asked: form > asked[0],
    Operator.GTE: lambda form, asked: form >= asked[0],
    Operator.LT: lambda form, asked: form < asked[0],
    Operator.LTE: lambda form, asked: form <= asked[0],
    Operator.BETWEEN: lambda form, asked: asked[0] <= form <= asked[1],
}


def expected(value, operator, asked, form):
    """Any of the values of a field; `ne` means all of them; an absent one meets `absent` alone."""
    if operator in (Operator.PRESENT, Operator.ABSENT) or value is None:
        return (value is None) == (operator is Operator.ABSENT)
    forms = [form(one) for one in (value if isinstance(value, list) else [value])]
    return (all if operator is Operator.NE else any)(MODEL[operator](one, asked) for one in forms)


def test_the_model_knows_every_operator():
    assert set(MODEL) | {Operator.PRESENT, Operator.ABSENT} == set(Operator)


@given(VALUES, st.sampled_from(Operator), st.lists(TEXTS, min_size=2, max_size=3))
def test_a_filter_of_texts_means_what_the_model_says(value, operator, operands):
    asked = tuple(map(folded, operands))
    asked = asked if operator is Operator.IN else asked[:2] if operator in SEVERAL else asked[:1]
    assert Filter(CITY, operator, asked).matches(value) is expected(value, operator, asked, folded)


@given(
    st.none() | NUMBERS,
    st.sampled_from(sorted(set(Operator) - {Operator.PREFIX, Operator.CONTAINS})),
    st.lists(NUMBERS, min_size=2, max_size=3).map(tuple),
)
def test_a_filter_of_numbers_compares_them_by_their_size(value, operator, asked):
    asked = asked if operator is Operator.IN else asked[:2] if operator in SEVERAL else asked[:1]
    assert Filter(AMOUNT, operator, asked, numeric=True).matches(value) is expected(value, operator, asked, float)


@pytest.mark.parametrize("value", ["12", True, math.nan, math.inf])
def test_what_is_no_number_is_not_compared_with_one(value):
    for operator in (Operator.EQ, Operator.GT, Operator.LTE):
        assert not Filter(AMOUNT, operator, (1,), numeric=True).matches(value)
    assert Filter(AMOUNT, Operator.NE, (1,), numeric=True).matches(value)


@given(st.lists(ONE))
def test_sort_keys_order_numbers_before_texts_and_texts_by_their_folded_form(values):
    ordered = sorted(values, key=folding.sort_key)
    numbers = [value for value in ordered if isinstance(value, int)]
    texts = [value for value in ordered if isinstance(value, str)]
    assert ordered == numbers + texts
    assert numbers == sorted(numbers)
    assert [folded(text) for text in texts] == sorted(map(folded, texts))


def test_several_values_are_sorted_by_the_first_of_them():
    assert folding.sort_key(["b", "Ａ"]) == folding.sort_key("a")
    assert folding.sort_key([]) <= folding.sort_key("")


def test_conditions_are_joined_by_and_and_one_of_any_is_enough():
    leeds, wei = Filter(CITY, Operator.EQ, ("leeds",)), Filter("contact.given_name", Operator.EQ, ("wei",))
    both, either = Where(filters=(leeds, wei)), Where(filters=(AnyOf((leeds, wei)),))
    for values, joined in (({CITY: "Leeds"}, False), ({CITY: "Leeds", "contact.given_name": "Wei"}, True)):
        assert (both.accepts()(values) is not None) is joined
        assert either.accepts()(values) is Rank.CONTAINS
    assert either.accepts()({CITY: "London"}) is None
    assert both.fields == either.fields == (CITY, "contact.given_name")


def test_the_record_of_a_query_names_fields_and_operators_but_no_operand():
    atlantis = Filter(CITY, Operator.EQ, ("atlantis",))
    where = Where(filters=(atlantis, AnyOf((atlantis, Filter("contact.email", Operator.PRESENT)))))
    asked = Query(select=(CITY,), where=where, sort=(Sort(CITY),), limit=7)
    told = asked.told()
    assert told["filters"] == [
        {"field": CITY, "operator": "eq"},
        {"any": [{"field": CITY, "operator": "eq"}, {"field": "contact.email", "operator": "present"}]},
    ]
    assert "atlantis" not in str(told)
    assert asked.asked == {CITY, "contact.email"}
