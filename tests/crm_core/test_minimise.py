"""Least data, measured: which fields an outcome needs, and which nobody ever read."""

import json
import random
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from crm_core.cli import app
from crm_core.least import features, minimise, unread
from issuer.catalogue import content
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime import staff

OUTCOME, CITY, MILES, TWICE, NOTE = map(Field, ("o.o", "a.city", "v.miles", "v.twice", "i.note"))
PASSWORD = "long enough to be one"
TYPES = {OUTCOME: "boolean", CITY: "text", MILES: "number", TWICE: "number", NOTE: "text"}


def drivers(count: int = 600, *, told: float = 0.9):
    """Customers whose outcome depends on city and mileage together; `twice` says what `miles` says."""
    chance = random.Random(7)  # noqa: S311
    for number in range(count):
        city, miles = chance.choice("ABCD"), chance.random() * 100_000
        likely = (miles > 50_000) == (city in "AB")
        note = f"{chance.choice(['谢谢', 'hello', 'call back'])} {number}"
        yes = chance.random() < (told if likely else 1 - told)
        yield {OUTCOME: yes, CITY: city, MILES: miles, TWICE: miles * 2, NOTE: note}


def test_the_smallest_set_holds_what_matters_and_neither_noise_nor_a_double():
    found = minimise.measure(list(drivers()), TYPES, OUTCOME, tolerance=0.02)
    chosen = {each.field for each in found.worth if each.chosen}
    assert CITY in chosen
    assert len(chosen & {MILES, TWICE}) == 1
    assert NOTE not in chosen
    assert found.measure == "roc_auc"
    assert found.none == pytest.approx(0.5, abs=0.01)
    assert found.chosen >= found.every - 0.02
    assert found.fresh_chosen > 0.75


def test_where_nothing_predicts_the_outcome_nothing_is_to_be_asked():
    found = minimise.measure(list(drivers(told=0.5)), TYPES, OUTCOME, tolerance=0.1)
    assert {each.field for each in found.worth if each.chosen} == set()
    assert set(found.dispensable) == {CITY, MILES, TWICE, NOTE}


def test_a_field_that_the_purpose_requires_is_never_dispensable():
    found = minimise.measure(list(drivers(told=0.5)), TYPES, OUTCOME, tolerance=0.1, required=frozenset({NOTE}))
    assert NOTE not in found.dispensable


def test_an_outcome_that_is_a_size_is_measured_by_r2():
    types = {MILES: "number", TWICE: "number", CITY: "text"}
    found = minimise.measure(list(drivers(300)), types, MILES)
    assert found.measure == "r2"
    assert [each.field for each in found.worth if each.chosen] == [TWICE]


def test_several_kinds_of_outcome_are_measured_one_against_the_rest():
    rows = [{**row, Field("o.kind"): "gold" if row[MILES] > 66_000 else "silver" if row[MILES] > 33_000 else "none"}
            for row in drivers(300)]  # fmt: skip
    found = minimise.measure(rows, {Field("o.kind"): "text", MILES: "number", CITY: "text"}, Field("o.kind"))
    assert [each.field for each in found.worth if each.chosen] == [MILES]


def test_a_field_that_hardly_anybody_has_says_nothing():
    rare = Field("v.rare")
    rows = [{**row, rare: 1.0 if number < 3 else None} for number, row in enumerate(drivers(200))]
    found = minimise.measure(rows, {**TYPES, rare: "number"}, OUTCOME, tolerance=0.05)
    worth = next(each for each in found.worth if each.field == rare)
    assert (worth.known, worth.chosen) == (3, False)


@pytest.mark.parametrize(
    ("rows", "types", "code"),
    [
        (list(drivers(99)), TYPES, "too_few_customers"),
        ([{**row, OUTCOME: None} for row in drivers(200)], TYPES, "too_few_customers"),
        ([{**row, OUTCOME: True} for row in drivers(200)], TYPES, "outcome_of_one_kind"),
        (list(drivers(200)), {OUTCOME: "boolean"}, "nothing_to_measure"),
    ],
)
def test_what_cannot_be_measured_is_said(rows, types, code):
    with pytest.raises(EvidenceError) as raised:
        minimise.measure(rows, types, OUTCOME)
    assert raised.value.code == code


def test_each_type_of_field_becomes_numbers_and_what_is_unknown_stays_unknown():
    def shape(type_, *values):
        found = features.columns(type_, values)
        assert found.numbers.shape == (len(values), len(found.kinds))
        return found.numbers.tolist()

    assert shape("date", "1970-01-02", "nonsense")[0] == [1.0]
    assert shape("email", "a@x.cn", "b@x.cn", "c@y.cn") == [[0.0], [0.0], [1.0]]
    assert shape("boolean", True, False) == [[1.0], [0.0]]
    assert shape("text", ["p", "q"], ["q"])[0][0] == 2.0
    many = shape("text", *(f"note {number}" for number in range(40)), None)
    assert many[0][0] == 6.0
    assert str(many[-1][0]) == "nan"


@pytest.fixture
def garage(stage):
    """120 customers whose status follows their city, read for the purpose service under a ground of law."""
    stage.clock.set(datetime.now(UTC))  # the terminal has a clock of its own
    stage.contract("service", "address.city", "interaction.status", "contact.given_name")
    for number in range(120):
        city = "Leeds" if number % 2 else "Wuhan"
        status = "hot" if number % 2 else "cold"
        stage.customer(address__city=city, interaction__status=status, contact__given_name=f"N{number}",
                       contact__phone="+8613800000000")  # fmt: skip
    with stage.platform.database.write("owner") as session:
        at = stage.clock.now()
        for role in ("service", "sales"):
            staff.create_account(
                session, stage.platform.keyring, account=role, name=role, role=role, password=PASSWORD,
                at=at,
            )  # fmt: skip
    return stage


def run(stage, *words, purpose="service", account="service", password=PASSWORD):
    settings = stage.platform.settings
    where = ["--data", str(settings.data_dir), "--keys", str(settings.keys_dir), "--account", account]
    return CliRunner().invoke(app, ["minimise", "--purpose", purpose, *where, *words], input=f"{password}\n")


def test_the_terminal_reads_through_the_gate_and_proposes_the_change(garage, tmp_path):
    draft = tmp_path / "less.json"
    result = run(garage, "--outcome", "interaction.status", "--json", "--draft", str(draft))
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["customers"] == 120
    assert [each["field"] for each in told["worth"] if each["chosen"]] == ["address.city"]
    assert "interaction.note" in told["dispensable"]
    assert "contact.given_name" not in told["dispensable"]  # the purpose requires it
    assert [each["field"] for each in told["unread"]] == ["contact.phone"]
    change = json.loads(draft.read_text(encoding="utf-8"))
    content.follow(content.packaged(), content.changed(content.packaged().written, change, name="less"))
    left = change["purposes"]["service"]["necessity"]
    assert {"address.city", "interaction.status", "contact.given_name"} <= left.keys()
    assert "interaction.note" not in left
    releases = garage.events("release")
    assert releases
    assert {event.header["role"] for event in releases} == {"service"}
    assert "Leeds" not in result.output


def test_people_are_shown_a_table_and_what_nobody_read(garage):
    result = run(garage, "--outcome", "interaction.status")
    assert result.exit_code == 0
    assert "address.city" in result.stdout
    assert "never read by anybody (customers): contact.phone (120)" in result.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"account": "sales"}, "role"),
        ({"password": "another password"}, "bad_sign_in"),
        ({"purpose": "moon"}, "unknown_purpose"),
        ({"words": ["--outcome", "contact.gender"]}, "outcome_not_of_purpose"),
        ({"words": ["--outcome", "contact.moon"]}, "unknown_field"),
    ],
)
def test_who_may_not_read_for_the_purpose_measures_nothing(garage, words, message):
    given = dict(words)
    result = run(garage, *given.pop("words", ["--outcome", "interaction.status"]), **given)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not garage.events("release")


def test_reads_are_counted_by_field_and_customer(garage):
    visit = garage.visit("service", "service")
    garage.page(visit, select="address.city", limit=50)
    with garage.platform.database.read() as session:
        uses = {each.field: each for each in unread.use(session, garage.catalogue)}
    assert uses[Field("address.city")].reads == 50
    assert uses[Field("contact.phone")].reads == 0
    assert uses[Field("contact.phone")].collected == 120


def test_whoever_measures_does_not_learn_what_a_few_customers_told_somebody_else(stage):
    def listed():
        with stage.platform.database.read() as session:
            return [each.field for each in unread.unread(session, stage.catalogue, least=5)]

    for _ in range(4):
        stage.customer(health__condition="asthma")
    assert listed() == []
    stage.customer(health__condition="asthma")  # from so many on it is nobody's
    assert listed() == ["health.condition"]
