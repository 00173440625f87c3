"""Withheld items change no byte of any answer: the same requests to an organisation that never collected them.

Two organisations hold the same customers with the same granted items. One also has items that nobody granted, items
whose consent was withdrawn, and withheld fields in the items that are granted. What is random is renamed.
"""

import itertools
import re

import pytest

from crm_core import items
from crm_core.editing import item_writer
from crm_core.items import ItemId
from crm_core.reading import feed

SUPPORT = "support"
GRANTED = ("ticket.subject", "ticket.opened_at", "contact.given_name")
RANDOM = re.compile(r"sub_[a-z2-7]{26}|urn:uuid:[0-9a-f-]{36}|did:key:z\w+|(?<=\"(?:next)\":\")[\w-]+|[0-9a-f]{32}")
FEEDS = [{}, {"limit": "1"}, {"limit": "2"}, {"kind": "ticket"}, {"kind": "ticket", "limit": "2"}, {"kind": "deal"},
         {"kind": "interaction"}, {"kind": "interaction", "limit": "1"}]  # fmt: skip


def item(letter, number):
    return ItemId("itm_" + letter * 25 + "abcdefghij"[number])


def fill(stage, *, collected, ended, dated):
    subject = stage.customer(contact__given_name="Wei")
    hidden = {"ticket.body": "secret", "ticket.status": "open"} if collected else {}
    late = stage.grant(subject, "interaction.subject", "ticket.body", "ticket.priority", purpose="service")
    with stage.platform.database.write("owner") as session:

        def write(id_, **values):
            given = {name.replace("__", "."): value for name, value in values.items()}
            item_writer.write(session, stage.platform, subject, id_, given, origin=stage.origin())

        for number in range(3):
            day = {"ticket__opened_at": f"2026-11-2{number}T00:00:00Z"} if number else {}
            write(item("c", number), ticket__subject=f"ticket {number}", **day, **hidden)
            if collected:
                write(item("b", number), interaction__subject="secret", interaction__at="2026-11-21T00:00:00Z")
                write(item("d", number), deal__title="secret", deal__close_date="2026-11-22")
                write(item("e", number), ticket__body="secret", ticket__priority="high")
    if ended:
        stage.withdraw(subject, late)
    stage.grant(subject, *(GRANTED if dated else GRANTED[::2]), purpose=SUPPORT)
    return subject


def renamed(text):
    names = {}
    return RANDOM.sub(lambda found: names.setdefault(found[0], f"<{len(names)}>"), text)


def pages(client, subject, query):
    found, cursor = [], None
    while True:
        params = {"purpose": SUPPORT, **query, **({"cursor": cursor} if cursor else {})}
        answer = client.get(f"/crm/customers/{subject}/items", params=params)
        found.append((answer.status_code, dict(answer.headers), answer.text))
        cursor = answer.json().get("next")
        if cursor is None:
            return [(status, headers, renamed(text)) for status, headers, text in found]


def writes(client, subject):
    """Everything that somebody could send to find out; to items that are withheld, and to none at all."""
    values = [{"ticket.subject": "x"}, {"ticket.body": "x"}, {"interaction.subject": "x"}, {"deal.title": None}]
    refs = [item("b", 0), item("d", 0), item("e", 0), item("f", 0), item("c", 0)]
    for ref in refs:
        for given in values:
            body = {"purpose": SUPPORT, "values": given, "if_version": "0"}
            yield client.patch(f"/crm/customers/{subject}/items/{ref}", json=body)
        for version in ("0", None):
            params = {"purpose": SUPPORT} | ({"if_version": version} if version else {})
            yield client.delete(f"/crm/customers/{subject}/items/{ref}", params=params)
    for given in values:
        yield client.post(f"/crm/customers/{subject}/items", json={"purpose": SUPPORT, "values": given})
    for ref in refs:
        given = {"ticket.subject": ref}
        yield client.post(f"/crm/customers/{subject}/items", json={"purpose": SUPPORT, "values": given})
    for field in ("ticket.body", "interaction.subject", "deal.title", "ticket.subject", "contact.email"):
        yield client.get(f"/crm/customers/{subject}/fields/{field}/history", params={"purpose": SUPPORT})


@pytest.mark.parametrize("dated", [True, False])
@pytest.mark.parametrize("ended", [False, True])
def test_no_answer_and_no_record_tells_withheld_items_from_ones_never_collected(stages, monkeypatch, ended, dated):
    sides = []
    drawn = itertools.count()  # the same references on both sides
    monkeypatch.setattr(items, "new_id", lambda: item("g", next(drawn) // 2))
    for stage, collected in zip(stages, (True, False), strict=True):
        subject = fill(stage, collected=collected, ended=ended, dated=dated)
        sides.append((stage.client("service"), subject))
    for query in FEEDS:
        knowing, unknowing = (pages(client, subject, query) for client, subject in sides)
        assert knowing == unknowing, query
    assert all("ticket 2" in pages(*side, {})[0][2] for side in sides)  # the control: there is something to see
    for knowing, unknowing in zip(*(writes(client, subject) for client, subject in sides), strict=True):
        assert knowing.status_code == unknowing.status_code
        assert renamed(knowing.text) == renamed(unknowing.text)
    for query in FEEDS:
        knowing, unknowing = (pages(client, subject, query) for client, subject in sides)
        assert knowing == unknowing, query
    told = [
        renamed(
            "".join(str((one.header, one.records)) for one in stage.events("release", "refusal", "attempt.refused"))
        )
        for stage in stages
    ]
    assert told[0] == told[1]


def test_the_comparison_finds_a_feed_that_does_not_ask_the_gate(stages, monkeypatch):
    """The control: were items shown by what is stored, the two organisations would differ."""
    whole = feed.visible

    def ungated(*args, released, **more):
        return whole(*args, released=feed.item_fields(args[2]), **more)

    monkeypatch.setattr(feed, "visible", ungated)
    answers = []
    for stage, collected in zip(stages, (True, False), strict=True):
        subject = fill(stage, collected=collected, ended=False, dated=True)
        answers.append(pages(stage.client("service"), subject, {}))
    assert answers[0] != answers[1]
