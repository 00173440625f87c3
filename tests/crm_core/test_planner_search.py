"""Search over granted fields: forms, ranks, pages; several conditions and orders through the planner."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core.reading import folding, search
from crm_core.reading.app import fields_of
from crm_core.reading.asking import of_body
from crm_core.reading.search import Rank

NAME, FAMILY, EMAIL, PHONE, CITY = (
    "contact.given_name",
    "contact.family_name",
    "contact.email",
    "contact.phone",
    "address.city",
)
TYPES = {NAME: "text", FAMILY: "text", EMAIL: "email", PHONE: "phone", "preference.newsletter": "boolean"}


def rank(text, **values):
    return search.prepare(text, TYPES).rank({key.replace("__", "."): value for key, value in values.items()})


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("jose", "José", Rank.EXACT),
        ("JOSÉ", "jose\u0301", Rank.EXACT),
        ("strasse", "Straße 7", Rank.PREFIX),
        ("øre", "ORE", Rank.EXACT),
        ("lodz", "Łódź", Rank.EXACT),
        ("istanbul", "İSTANBUL", Rank.EXACT),
        ("ｗｅｉ", "wei", Rank.EXACT),
        ("海", "上海市", Rank.CONTAINS),
        ("上海", "上海市", Rank.PREFIX),
        ("漢", "汉", None),
        ("е", "ё", None),
        ("й", "й", Rank.EXACT),
        ("한", "한국", Rank.PREFIX),
        ("a  b", "xx b yy a", Rank.CONTAINS),
        (".*", "anything", None),
        ("%", "anything", None),
        ("wei_", "weix", None),
    ],
)
def test_a_search_folds_what_it_says_it_folds(text, value, expected):
    assert rank(text, contact__given_name=value) is expected


@pytest.mark.parametrize(
    ("text", "given_name", "family", "expected"),
    [
        ("王伟", "伟", "王", Rank.EXACT),
        ("王", "小明", "王", Rank.EXACT),
        ("欧阳小", "小明", "欧阳", Rank.PREFIX),
        ("伟王", "伟", "王", None),
        ("anna smith", "Anna", "Smith", Rank.EXACT),
        ("smith anna", "Anna", "Smith", Rank.CONTAINS),
        ("naS", "Anna", "Smith", None),
        ("王伟", "伟", None, None),
    ],
)
def test_a_whole_name_is_found_as_people_write_it(text, given_name, family, expected):
    assert rank(text, contact__given_name=given_name, contact__family_name=family) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+86 138 0013-8000", Rank.EXACT),
        ("13800138000", Rank.CONTAINS),
        ("(138) 0013", Rank.CONTAINS),
        ("８６１３８", Rank.PREFIX),
        ("999", None),
        ("13", Rank.CONTAINS),  # too short for a number, but a text like any other
        ("138 wei", None),
    ],
)
def test_phones_are_found_by_their_digits(text, expected):
    assert rank(text, contact__phone="+8613800138000") is expected


def test_all_words_must_occur_each_in_any_field():
    values = {"contact__given_name": "Wei", "contact__family_name": "Li", "contact__phone": "+8613800138000"}
    assert rank("li wei", **values) is Rank.CONTAINS
    assert rank("wei 138", **values) is Rank.CONTAINS
    assert rank("wei liu", **values) is None


def test_any_of_several_values_is_found():
    assert rank("b@x", contact__email=["a@x.cn", "b@x.cn"]) is Rank.PREFIX


def test_digits_in_other_fields_are_no_phone():
    assert rank("12 34", contact__email="1234@x.cn") is Rank.CONTAINS
    assert rank("1 2 3", contact__given_name="321") is Rank.CONTAINS
    assert rank("123 4", contact__given_name="12 34") is None


@given(st.text(max_size=30))
def test_the_form_of_a_search_is_stable_and_never_fails(text):
    once = folding.searched(text)
    assert folding.searched(once) == once or not once.isascii()
    assert once == " ".join(once.split())


@given(st.text(min_size=1, max_size=20).filter(str.strip))
def test_whatever_is_stored_is_found_by_itself(text):
    if len(folding.searched(text).split()) in range(1, search.MAX_WORDS + 1):
        assert rank(text, contact__given_name=text) is Rank.EXACT


def people(stage, *rows):
    subjects = []
    for given_name, city in rows:
        values = {"contact__given_name": given_name} | ({"address__city": city} if city else {})
        subjects.append(stage.customer(**values, contact__email="hidden@example.com"))
        stage.grant(subjects[-1], NAME, CITY)
    return subjects


def found(stage, **body):
    """Names and cities over all pages of a query."""
    rows, cursor, visit = [], None, stage.visit()
    while True:
        asked = of_body(
            stage.catalogue,
            {"select": [NAME, CITY], **body} | ({"cursor": cursor} if cursor else {}),
            default=fields_of(stage.catalogue, "marketing"),
        )
        with stage.planner.page(visit, asked) as (_, page):
            rows += [(item.fields.get(NAME), item.fields.get(CITY)) for item in page.items]
        if (cursor := page.next) is None:
            return rows


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_hits_come_by_rank_and_pages_put_together_are_the_whole(stage, limit):
    people(stage, ("Wenwei", None), ("Wei", None), ("Weimar", "x"), ("Anna", "Wei"), ("Bo", "y"), ("Anwei", "Weiden"))
    hits = [name for name, _ in found(stage, search="wei", limit=limit)]
    assert len(hits) == 5
    assert set(hits[:2]) == {"Wei", "Anna"}
    assert set(hits[2:4]) == {"Weimar", "Anwei"}
    assert hits[4] == "Wenwei"


def test_a_search_and_filters_and_orders_work_together(stage):
    people(stage, ("Wei", "b"), ("Wei", "a"), ("Weimar", "a"), ("Bo", "a"), ("Wei", None))
    assert found(stage, search="wei", sort=["-address.city", NAME], limit=2) == [
        ("Wei", "b"), ("Wei", "a"), ("Weimar", "a"), ("Wei", None),
    ]  # fmt: skip
    either = [
        {"any": [{"field": CITY, "operator": "gt", "value": "a"}, {"field": NAME, "operator": "eq", "value": "BO"}]}
    ]
    assert sorted(found(stage, filters=either)) == [("Bo", "a"), ("Wei", "b")]
    between = [{"field": CITY, "operator": "between", "value": ["a", "a"]}]
    assert sorted(found(stage, filters=[*between, *either])) == [("Bo", "a")]


def test_a_search_opens_and_records_the_searched_fields_and_no_word(stage):
    (subject,) = people(stage, ("Wei", "Leeds"))
    assert found(stage, search="hidden") == []
    assert found(stage, search="Wei") == [("Wei", "Leeds")]
    empty, full = stage.events("release")
    assert empty.header["query"]["examined"] == 1
    assert EMAIL in full.header["query"]["search"]
    ((who, told),) = full.records
    assert who == subject
    assert set(told["released"]) == {NAME, CITY}
    assert EMAIL in told["withheld"]
    assert "wei" not in str((full.header, told)).lower()


def test_a_rank_that_changed_between_two_pages_leaves_nobody_out(stage):
    subjects = people(stage, ("Wei", None), ("Weimar", None), ("Weida", None), ("Anwei", None))
    asked = {"select": [NAME], "search": "wei", "limit": 2}
    default = fields_of(stage.catalogue, "marketing")
    with stage.planner.page(stage.visit(), of_body(stage.catalogue, asked, default=default)) as (_, first):
        last = first.items[-1].subject
    stage.put(last, contact__given_name="Wei")
    following = of_body(stage.catalogue, asked | {"cursor": first.next, "limit": 9}, default=default)
    with stage.planner.page(stage.visit(), following) as (_, rest):
        assert {item.subject for item in (*first.items, *rest.items)} == set(subjects)


def test_a_last_customer_who_is_no_longer_found_leaves_nobody_out(stage):
    subjects = people(stage, ("Wei", None), ("Weimar", None), ("Weida", None), ("Anwei", None))
    asked = {"select": [NAME], "search": "wei", "limit": 2}
    default = fields_of(stage.catalogue, "marketing")
    with stage.planner.page(stage.visit(), of_body(stage.catalogue, asked, default=default)) as (_, first):
        last = first.items[-1].subject
    stage.put(last, contact__given_name="Anna")
    following = of_body(stage.catalogue, asked | {"cursor": first.next, "limit": 9}, default=default)
    with stage.planner.page(stage.visit(), following) as (_, rest):
        assert {item.subject for item in (*first.items, *rest.items)} == set(subjects)
