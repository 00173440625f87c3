"""A withheld value changes no byte of any answer: the same requests to an organisation that never collected it.

Two organisations hold the same customers. One knows a value of every field of each; some of these customers never
granted them, some withdrew, of some the consent ran out. The other organisation was never told them. Every operator,
every parameter and every route is tried on every field; what is random (cursors, ids) is renamed, cursors by length.
"""

import itertools
import re
import statistics
import time
from datetime import timedelta

import pytest

from crm_core import records, seal, writer
from crm_core.reading import export, search
from crm_core.reading.aggregate import Function
from crm_core.reading.query import BARE, RANGES, SEVERAL, Operator
from issuer import catalogue as catalogues
from protocol.consent import SubjectId
from tests.crm_core.conftest import open_stage
from verifier.passage import Passage

CITY, NAME = "address.city", "contact.given_name"
CATALOGUE = catalogues.load()
FIELDS = [entry for entry in CATALOGUE.fields.values() if entry.item is None]
CITIES = ["Leeds", "Bath", "上海", "Leeds", "Bath", "Leeds", "Leeds", None, None, "Leeds", "Bath", "Leeds"]

# What each customer's value of a type is, by their number; a new type without an entry fails here.
SECRETS = {
    "text": lambda n: f"Geheim {n * 7 % 4} 秘密",
    "email": lambda n: f"mia{n * 7 % 12:02}@example.com",
    "phone": lambda n: f"+86138001380{n * 7 % 12:02}",
    "url": lambda n: f"https://example.com/{n * 7 % 12:02}",
    "tags": lambda n: f"vip, tag{n * 7 % 12:02}",
    "boolean": lambda n: n % 2 == 0,
    "number": lambda n: -n * 1.5,
    "date": lambda n: f"1990-0{9 - n % 9}-01",
    "datetime": lambda n: f"2026-0{9 - n % 9}-01T08:00:00Z",
}
# What each operator is asked with, so that it would find some; a new operator without an entry fails here.
OPERANDS = {
    Operator.EQ: lambda secret: secret(0),
    Operator.NE: lambda secret: secret(1),
    Operator.IN: lambda secret: [secret(0), secret(3)],
    Operator.PREFIX: lambda secret: str(secret(2))[:2],
    Operator.CONTAINS: lambda secret: str(secret(2))[1:4],
    Operator.GT: lambda secret: secret(2),
    Operator.GTE: lambda secret: secret(2),
    Operator.LT: lambda secret: secret(2),
    Operator.LTE: lambda secret: secret(2),
    Operator.BETWEEN: lambda secret: [secret(2), secret(1)],
    Operator.PRESENT: None,
    Operator.ABSENT: None,
}
RANDOM = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|did:key:z\w+|(?<=\"next\":\")[\w-]+")


def numbered(monkeypatch):
    """References in the same order on both sides: what is compared is what an answer says, not what was drawn."""
    counter = itertools.count()
    monkeypatch.setattr(
        writer, "new_subject", lambda: SubjectId(f"sub_{next(counter):a>26}".translate(str.maketrans("0189", "uvwx")))
    )


def secret_of(entry):
    one = SECRETS[entry.type]
    return (lambda number: [str(one(number)), str(one(number + 1))]) if entry.many else one


def fill(stage, *, collected, granted=CITY):
    """Customers who grant one field; the others never, until they withdrew, or until it ran out."""
    withheld = [entry for entry in FIELDS if entry.id != granted]
    names = [entry.id for entry in withheld]
    subjects, late = [], []
    for number, city in enumerate(CITIES):
        values = {granted.replace(".", "__"): city} if city else {}
        if collected:
            values |= {entry.id.replace(".", "__"): secret_of(entry)(number) for entry in withheld}
        subject = stage.customer(**values)
        subjects.append(subject)
        if number % 3 == 1:
            stage.grant(subject, granted, *names)
        else:
            late.append(subject)
    stage.clock.advance(timedelta(days=31))
    for number, subject in enumerate(late):
        if number % 2:
            stage.withdraw(subject, stage.grant(subject, *names))
        stage.grant(subject, granted)
    return subjects


def renamed(text):
    names = {}
    return RANDOM.sub(lambda found: names.setdefault(found[0], f"<{len(names)}:{len(found[0])}>"), text)


def heard(answer):
    headers = {key: value for key, value in answer.headers.items() if key != "date"}
    return answer.status_code, renamed(str(sorted(headers.items()))), renamed(answer.text)


def query(client, body, **more):
    """Every page of a query, as its bytes came; the reader walks on for as long as there is a cursor."""
    pages, cursor = [], None
    while True:
        sent = {"purpose": "marketing", **body, **more} | ({"cursor": cursor} if cursor else {})
        answer = client.post("/crm/customers/query", json=sent)
        pages.append(heard(answer))
        cursor = answer.json().get("next")
        if cursor is None:
            return pages


def listed(client, **params):
    pages, cursor = [], None
    while True:
        sent = {"purpose": "marketing", **params} | ({"cursor": cursor} if cursor else {})
        answer = client.get("/crm/customers", params=sent)
        pages.append(heard(answer))
        cursor = answer.json().get("next")
        if cursor is None:
            return pages


def post(client, path, **body):
    return [heard(client.post(path, json={"purpose": "marketing"} | body))]


def condition(entry, operator):
    made = {"field": entry.id, "operator": operator.value}
    if OPERANDS[operator] is None:
        return made
    one = SECRETS[entry.type]
    return made | {"value": OPERANDS[operator](one)}


def in_address(entry, operator):
    if operator in BARE:
        return f"{entry.id}:{operator}"
    value = condition(entry, operator)["value"]
    return f"{entry.id}:{operator}:{','.join(map(str, value)) if operator in SEVERAL else value}"


AGGREGATE, EXPORT = "/crm/customers/aggregate", "/crm/exports"


def probes(entry, operators=tuple(Operator)):
    """Every way to ask for a field: (name, what to do with a client)."""
    leeds = {"field": CITY, "operator": "eq", "value": "Leeds"}
    searched = str(secret_of(entry)(2))[:20]
    for operator in operators:
        one = condition(entry, operator)
        yield operator, lambda client, one=one: query(client, {"filters": [one], "sort": f"-{CITY}"}, limit=3)
    mixed = [{"any": [condition(entry, operator) for operator in (Operator.EQ, Operator.PRESENT)] + [leeds]}]
    yield "any", lambda client: query(client, {"filters": mixed, "select": [entry.id]})
    for order in (entry.id, f"-{entry.id}"):
        yield f"sort {order}", lambda client, order=order: query(client, {"sort": [order, CITY], "limit": 2})
    yield "search", lambda client: query(client, {"search": searched, "select": [entry.id, CITY]}, limit=2)
    yield (
        "address",
        lambda client: listed(
            client, filter=in_address(entry, Operator.IN), sort=f"{entry.id}", select=f"{entry.id},{CITY}", limit="2"
        ),
    )
    yield (
        "one",
        lambda client: [
            heard(client.get(f"/crm/customers/{subject}", params={"purpose": "marketing", "select": entry.id}))
            for subject in client.subjects[:3]
        ],
    )
    filters = [condition(entry, Operator.PRESENT)]
    yield "count", lambda client: post(client, AGGREGATE, filters=filters)
    groups = [CITY, entry.id]
    yield "groups", lambda client: post(client, AGGREGATE, group_by=groups)
    functions = [{"function": each.value, "field": entry.id} for each in Function]
    fitting = functions if entry.type == "number" else functions[:3] if "date" in entry.type else functions[:1]
    yield "aggregates", lambda client: post(client, AGGREGATE, group_by=[entry.id], aggregates=fitting)
    for format_ in export.FORMS:
        yield format_, lambda client, format_=format_: post(client, EXPORT, select=[entry.id, CITY], format=format_)
    yield "export", lambda client: post(client, EXPORT, filters=filters, format="csv")
    yield "role", lambda client: post(client.stranger, "/crm/customers/query", filters=filters)


def on_record(stage):
    events = stage.events("release", "refusal", "attempt.refused")
    return renamed("".join(str((event.header, event.records)) for event in events))


class Sides:
    """The two organisations, the knowing one first, and a reader of each."""

    def __init__(self, home, granted=CITY):
        self.stages, self.clients = [], []
        for name, collected in (("knowing", True), ("unknowing", False)):
            stage = open_stage(home / name)
            with pytest.MonkeyPatch.context() as patched:
                numbered(patched)
                subjects = fill(stage, collected=collected, granted=granted)
            client = stage.client("marketing")
            client.subjects, client.stranger = subjects, stage.client("service")
            self.stages.append(stage)
            self.clients.append(client)

    def differ(self, entry):
        """The probes that tell the two apart."""
        knowing, unknowing = self.clients
        return [name for name, act in probes(entry) if act(knowing) != act(unknowing)]


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    made = Sides(tmp_path_factory.mktemp("leakage"))
    yield made
    for stage in made.stages:
        stage.platform.close()


def test_every_operator_and_every_type_has_its_case():
    assert set(OPERANDS) == set(Operator)
    assert {entry.type for entry in FIELDS} <= set(SECRETS)


@pytest.mark.parametrize("entry", [entry for entry in FIELDS if entry.id != CITY], ids=lambda entry: entry.id)
def test_no_answer_tells_a_withheld_value_from_one_never_collected(sides, entry):
    assert sides.differ(entry) == []


def test_no_record_of_all_that_was_asked_tells_it_either(sides):
    assert sides.differ(CATALOGUE.fields[NAME]) == []  # on another worker nothing was asked yet
    knowing, unknowing = map(on_record, sides.stages)
    assert len(knowing) > 1000
    assert knowing == unknowing
    assert {'"withdrawn"', '"expired"', '"no_ground"'} <= set(re.findall(r'"\w+"', knowing.replace("'", '"')))


def test_the_field_that_the_others_were_compared_by_tells_nothing_when_it_is_withheld(tmp_path):
    made = Sides(tmp_path, granted=NAME)
    assert made.differ(CATALOGUE.fields[CITY]) == []
    for stage in made.stages:
        stage.platform.close()


@pytest.mark.parametrize("field", ["contact.email", "vehicle.mileage", "vehicle.fault_codes", "preference.newsletter"])
def test_the_comparison_would_notice_a_leak(sides, field, monkeypatch):
    """The control: once the gate releases the field, the same probes tell the two organisations apart."""
    judged = Passage.judge_stored

    def generous(self, who, stored):
        verdict = judged(self, who, stored)
        return verdict._replace(released=verdict.released | {field})

    monkeypatch.setattr(Passage, "judge_stored", generous)
    told, type_ = set(sides.differ(CATALOGUE.fields[field])), CATALOGUE.fields[field].type
    silent = {"role"}
    if type_ in ("number", "boolean"):
        silent |= {Operator.PREFIX, Operator.CONTAINS} | (RANGES if type_ == "boolean" else set())
    if type_ not in search.TYPES or field not in CATALOGUE.purpose("marketing").necessity:
        silent |= {"search"}
    assert {name for name, _ in probes(CATALOGUE.fields[field])} - told == silent


def test_a_value_never_reaches_the_query_when_it_is_withheld(sides, monkeypatch):
    stage = sides.stages[0]
    opened = []
    really = seal.open_readable

    def listen(key, boxes, **place):
        opened.extend(boxes)
        return really(key, boxes, **place)

    texts = records.open_texts

    def listen_too(platform, record, fields):
        opened.extend(fields)
        return texts(platform, record, fields)

    monkeypatch.setattr(seal, "open_readable", listen)
    monkeypatch.setattr(records, "open_texts", listen_too)
    monkeypatch.delattr(seal, "open_value")  # the other way in
    for entry in FIELDS[:12]:
        if entry.id != CITY:
            for _, act in probes(entry, operators=(Operator.PREFIX,)):
                act(sides.clients[0])
    assert stage.events("release")
    assert set(opened) == {CITY}


ROUNDS = 40


def medians(acts):
    """Seconds that each of some acts takes, taken in turns so that noise falls on all alike."""
    taken = [[] for _ in acts]
    for _ in range(ROUNDS):
        for times, act in zip(taken, acts, strict=True):
            begun = time.perf_counter()
            act()
            times.append(time.perf_counter() - begun)
    return [statistics.median(times) for times in taken]


@pytest.mark.alone
def test_no_time_tells_a_withheld_value_above_the_noise(sides):
    """Values of ordinary length; what a row's size costs is said in docs/decisions/013."""
    knowing, unknowing = sides.clients
    body = {"purpose": "marketing", "filters": [condition(CATALOGUE.fields["contact.phone"], Operator.EQ)]}

    def asking(client):
        return lambda: client.post("/crm/customers/query", json=body)

    known, unknown, again = medians([asking(knowing), asking(unknowing), asking(unknowing)])
    noise = abs(again / unknown - 1)
    assert abs(known / unknown - 1) < max(0.4, 3 * noise)
