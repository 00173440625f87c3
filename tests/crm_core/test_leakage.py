"""A withheld value changes no byte of any answer: the same requests to an organisation that never collected it.

Two organisations hold the same customers. One knows an e-mail address and a phone number of each that nobody
granted, or that were withdrawn; the other was never told them. What is random (references, cursors, ids of releases)
is renamed.
"""

import itertools
import re

import pytest

from crm_core import seal, writer
from protocol.consent import SubjectId

CITIES = ["Leeds", "上海", None, "Cardiff", "Leeds", "Bristol"]
SECRETS = [
    "mia@example.com",
    "abe@example.com",
    "zoe@example.com",
    "wei@example.com",
    "ann@example.com",
    "bob@example.com",
]
OPERATORS = [
    "eq:mia@example.com",
    "eq:nobody@example.com",
    "ne:mia@example.com",
    "in:mia@example.com,zoe@example.com",
    "prefix:m",
    "contains:@example",
    "present",
    "absent",
]
QUERIES = [
    *({"filter": f"contact.email:{condition}"} for condition in OPERATORS),
    *({"filter": f"contact.email:{condition}", "sort": "-address.city", "limit": "2"} for condition in OPERATORS),
    *({"sort": f"{order}contact.email", **page} for order in ("", "-") for page in ({}, {"limit": "2"})),
    {"select": "contact.email"},
    {"select": "contact.email,contact.phone,address.city", "filter": "address.city:eq:leeds", "sort": "contact.email"},
    {},
]
RANDOM = re.compile(r"sub_[a-z2-7]{26}|urn:uuid:[0-9a-f-]{36}|did:key:z\w+|(?<=\"next\":\")[\w-]+")


def numbered(monkeypatch):
    """References in the same order on both sides: what is compared is what an answer says, not what was drawn."""
    counter = itertools.count()
    monkeypatch.setattr(
        writer, "new_subject", lambda: SubjectId(f"sub_{next(counter):a>26}".translate(str.maketrans("0189", "uvwx")))
    )


def fill(stage, *, collected, ended):
    for city, secret in zip(CITIES, SECRETS, strict=True):
        values = {"address__city": city} if city else {}
        if collected:
            values |= {"contact__email": secret, "contact__phone": "+8613" + str(len(secret))}
        subject = stage.customer(**values)
        if ended:
            stage.withdraw(subject, stage.grant(subject, "contact.email", "contact.phone"))
        stage.grant(subject, "address.city")


def renamed(text):
    names = {}
    return RANDOM.sub(lambda found: names.setdefault(found[0], f"<{len(names)}>"), text)


def answers(client, query):
    """Every page of a query, as its bytes came, with renamed references."""
    pages, cursor = [], None
    while True:
        params = {"purpose": "marketing", **query, **({"cursor": cursor} if cursor else {})}
        answer = client.get("/crm/customers", params=params)
        pages.append((answer.status_code, dict(answer.headers), answer.text))
        cursor = answer.json().get("next")
        if cursor is None:
            return [(status, headers, renamed(text)) for status, headers, text in pages]


def on_record(stage):
    events = stage.events("release", "refusal")
    return renamed("".join(str((event.header, event.records)) for event in events))


@pytest.mark.parametrize("ended", [False, True])
def test_no_answer_and_no_record_tells_a_withheld_value_from_one_never_collected(stages, monkeypatch, ended):
    clients = []
    for stage, collected in zip(stages, (True, False), strict=True):
        numbered(monkeypatch)
        fill(stage, collected=collected, ended=ended)
        clients.append(stage.client("marketing"))
    for query in QUERIES:
        knowing, unknowing = (answers(client, query) for client in clients)
        assert knowing == unknowing, query
    listed = [client.get("/crm/customers", params={"purpose": "marketing"}).json()["items"] for client in clients]
    for items in zip(*listed, strict=True):
        knowing, unknowing = (
            client.get(f"/crm/customers/{item['subject']}", params={"purpose": "marketing"})
            for client, item in zip(clients, items, strict=True)
        )
        assert knowing.status_code == 200
        assert renamed(knowing.text) == renamed(unknowing.text)
    assert on_record(stages[0]) == on_record(stages[1])


def test_the_comparison_would_notice_a_leak(stages, monkeypatch):
    """The control: once the field is granted, the same comparison tells the two organisations apart."""
    clients = []
    for stage, collected in zip(stages, (True, False), strict=True):
        numbered(monkeypatch)
        fill(stage, collected=collected, ended=False)
        clients.append(stage.client("marketing"))
        stage.grant(stage.page(limit=1).items[0].subject, "contact.email", "address.city")
    told_apart = [query for query in QUERIES if answers(clients[0], query) != answers(clients[1], query)]
    assert {"filter": "contact.email:present"} in told_apart
    assert {"sort": "contact.email"} in told_apart
    assert {"select": "contact.email"} in told_apart


def test_a_value_never_reaches_the_query_when_it_is_withheld(stage, monkeypatch):
    fill(stage, collected=True, ended=False)
    opened = []
    really = seal.open_value

    def listen(*args, **place):
        opened.append(place["field"])
        return really(*args, **place)

    monkeypatch.setattr(seal, "open_value", listen)
    stage.page(filter_="contact.email:prefix:m", sort="contact.phone", select="contact.email,address.city")
    stage.page(sort="-contact.email")
    assert set(opened) == {"address.city"}
