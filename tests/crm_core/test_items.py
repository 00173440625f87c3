"""Items, and writes by staff: what a ground covers is stored and shown, and nothing else can be found out."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import text, update

from crm_core import items, records
from crm_core.editing import editor as editing
from crm_core.editing.editor import Editor
from issuer.catalogue import entries
from protocol.consent import Field
from runtime.problem import Problem
from verifier.gate import Gate

SUPPORT, CONTRACT = "support", "contract"
TITLE, BODY, STATUS, OPENED = "ticket.subject", "ticket.body", "ticket.status", "ticket.opened_at"
TICKET = (TITLE, BODY, STATUS, OPENED)
NOWHERE = "sub_" + "a" * 26


@pytest.fixture
def desk(stage):
    """A customer who lets the service desk keep tickets, and the desk's client."""
    subject = stage.customer(contact__email="wei@example.com", contact__phone="+8610")
    stage.grant(subject, *TICKET, "contact.email", "contact.given_name", purpose=SUPPORT)
    return subject, stage.client("service")


def add(client, subject, purpose=SUPPORT, **values):
    body = {"purpose": purpose, "values": {name.replace("__", "."): value for name, value in values.items()}}
    return client.post(f"/crm/customers/{subject}/items", json=body)


def feed(client, subject, purpose=SUPPORT, **params):
    return client.get(f"/crm/customers/{subject}/items", params={"purpose": purpose} | params)


def change(client, subject, item, values, purpose=SUPPORT, **more):
    return client.patch(f"/crm/customers/{subject}/items/{item}", json={"purpose": purpose, "values": values, **more})


def correct(client, subject, values, purpose=SUPPORT, **more):
    return client.patch(f"/crm/customers/{subject}", json={"purpose": purpose, "values": values, **more})


def refused(answer):
    return answer.status_code, answer.json()["code"]


def sealed_items(stage, subject):
    with stage.platform.database.read() as session:
        return items.of_subject(session, subject)


def test_a_ticket_is_stored_shown_changed_and_deleted(stage, desk):
    subject, client = desk
    made = add(client, subject, ticket__subject="Charging stops", ticket__opened_at="2026-11-20 09:30")
    assert made.status_code == 201
    (shown,) = feed(client, subject).json()["items"]
    assert shown["item"] == made.json()["item"]
    assert (shown["kind"], shown["fields"]) == (
        "ticket",
        {TITLE: "Charging stops", OPENED: "2026-11-20T09:30:00Z"},
    )
    done = change(client, subject, shown["item"], {STATUS: "open", TITLE: "Stops at 80 %"}, if_version=shown["version"])
    assert done.status_code == 204
    again = change(client, subject, shown["item"], {STATUS: None}, if_version=shown["version"])
    assert refused(again) == (409, "conflict")
    assert change(client, subject, shown["item"], {STATUS: None}).status_code == 204
    (shown,) = feed(client, subject).json()["items"]
    assert shown["fields"][TITLE] == "Stops at 80 %"
    assert STATUS not in shown["fields"]
    for _ in range(2):
        gone = client.delete(f"/crm/customers/{subject}/items/{shown['item']}", params={"purpose": SUPPORT})
        assert gone.status_code == 204
    assert feed(client, subject).json()["items"] == []
    assert sealed_items(stage, subject) == []


def test_what_is_written_tells_where_it_came_from_and_names_no_value(stage, desk):
    subject, client = desk
    before = len(stage.events())
    item = add(client, subject, ticket__subject="Charging stops").json()["item"]
    change(client, subject, item, {TITLE: "Stops", STATUS: "open"})
    client.delete(f"/crm/customers/{subject}/items/{item}", params={"purpose": SUPPORT})
    told = [one for one in stage.events()[before:] if one.type.startswith("value.")]
    assert [(one.type, one.records[0][1]["fields"]) for one in told] == [
        ("value.collected", [TITLE]),
        ("value.collected", [STATUS]),
        ("value.corrected", [TITLE]),
        ("value.deleted", [STATUS, TITLE]),
    ]
    assert told[-1].records[0][1]["gone"] == [STATUS, TITLE]
    assert {one.header["source"] for one in told} == {"staff"}
    assert all(one.header["importer"].startswith("did:key:") for one in told)
    assert "Charging" not in str(told)


def test_nothing_in_clear_tells_what_an_item_is_or_when_it_happened(stage, desk):
    subject, client = desk
    add(client, subject, ticket__subject="Charging stops", ticket__opened_at="2026-11-20")
    with stage.platform.database.read() as session:
        (row,) = session.connection().execute(text("SELECT * FROM item")).all()
    assert {type(value) for value in row} == {str, int, bytes}
    raw = b"".join(str(value).encode() if not isinstance(value, bytes) else value for value in row)
    for word in (b"ticket", b"Charging", b"2026", b"opened"):
        assert word not in raw


@pytest.mark.parametrize("values", [{"ticket.priority": "high"}, {TITLE: "x", "ticket.priority": "high"}])
def test_a_field_that_was_not_granted_is_refused_by_name_and_nothing_is_stored(stage, desk, values):
    subject, client = desk
    answer = add(client, subject, **{name.replace(".", "__"): value for name, value in values.items()})
    assert refused(answer) == (403, "not_granted")
    assert answer.json()["field"] == "ticket.priority"
    assert sealed_items(stage, subject) == []
    assert stage.events("attempt.refused")[-1].records[0][1] == {"code": "not_granted"}


def test_a_ground_that_only_allows_use_takes_nothing_new_in_but_corrects_what_is_there(stage):
    subject = stage.customer(contact__email="wei@example.com")
    stage.grant(subject, "contact.email", "address.city")  # marketing: to use, not to collect
    client = stage.client("marketing")
    answer = correct(client, subject, {"address.city": "Leeds"}, "marketing")
    assert refused(answer) == (403, "no_ground_to_collect")
    assert correct(client, subject, {"contact.email": "li@example.com"}, "marketing").status_code == 204
    assert stage.stored(subject) == {"contact.email": "li@example.com"}


def test_a_withheld_value_cannot_be_overwritten_and_the_refusal_does_not_tell_that_it_is_there(stage, desk):
    subject, client = desk
    without = stage.customer(contact__email="ann@example.com")
    stage.grant(without, *TICKET, "contact.email", "contact.given_name", purpose=SUPPORT)
    answers = [correct(client, who, {"contact.phone": "+4420"}) for who in (subject, without)]
    assert answers[0].content == answers[1].content
    assert refused(answers[0]) == (403, "not_granted")
    assert stage.stored(subject)["contact.phone"] == "+8610"


def test_after_a_withdrawal_nothing_is_written(stage):
    subject = stage.customer()
    consent = stage.grant(subject, *TICKET, purpose=SUPPORT)
    client = stage.client("service")
    item = add(client, subject, ticket__subject="Charging stops").json()["item"]
    stage.withdraw(subject, consent)
    assert refused(add(client, subject, ticket__subject="Again")) == (403, "not_granted")
    assert refused(change(client, subject, item, {TITLE: "Again"})) == (403, "not_granted")
    client.delete(f"/crm/customers/{subject}/items/{item}", params={"purpose": SUPPORT})
    assert len(sealed_items(stage, subject)) == 1  # it is redaction's now
    assert feed(client, subject).json()["items"] == []


def test_a_record_is_corrected_against_the_version_that_was_read(stage, desk):
    subject, client = desk
    read = client.get(f"/crm/customers/{subject}", params={"purpose": SUPPORT}).json()
    done = correct(client, subject, {"contact.email": "li@example.com"}, if_version=read["version"])
    assert (done.status_code, done.content) == (204, b"")
    assert refused(correct(client, subject, {"contact.email": "x@example.com"}, if_version=read["version"])) == (
        409,
        "conflict",
    )
    stage.put(subject, contact__phone="+4420")  # withheld: it changes no version
    read = client.get(f"/crm/customers/{subject}", params={"purpose": SUPPORT}).json()
    stage.put(subject, contact__phone="+4421")
    assert correct(client, subject, {"contact.given_name": "Wei"}, if_version=read["version"]).status_code == 204


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"contact.email": "no address"}, "bad_email"),
        ({"contact.email": None}, "blank"),
        ({"contact.email": " "}, "blank"),
        ({"contact.email": True}, "bad_value"),
        ({"contact.email": ["a@example.com"]}, "bad_value"),
        ({"contact.email": 7}, "bad_value"),
        ({TITLE: "x"}, "item_field"),
        ({}, "no_values"),
        ({"contact.other_emails": "a@example.com"}, "bad_value"),
    ],
)
def test_what_has_no_normal_form_is_refused_by_a_code(desk, values, code):
    subject, client = desk
    assert refused(correct(client, subject, values)) == (422, code)


def test_what_was_typed_is_never_told_back(desk):
    subject, client = desk
    for values in ({"wei@example.com": "x"}, {"contact.email": "not-an-address-of-wei"}):
        answer = correct(client, subject, values)
        assert answer.status_code in (400, 422)
        assert "wei" not in answer.text


def test_fields_of_several_kinds_are_no_item_and_a_field_of_the_record_is_none(stage, desk):
    subject, client = desk
    assert refused(add(client, subject, contact__email="a@example.com")) == (422, "not_item_field")
    other = stage.customer()
    stage.grant(other, *TICKET, purpose=SUPPORT)
    assert refused(add(client, other, ticket__subject=None)) == (422, "blank")
    assert refused(feed(client, other, kind="song")) == (400, "bad_kind")
    assert refused(feed(client, other, limit="0")) == (400, "bad_limit")
    assert refused(feed(client, other, cursor="AAAA")) == (400, "bad_cursor")
    assert refused(feed(client, NOWHERE)) == (404, "unknown_subject")
    assert refused(add(client, NOWHERE, ticket__subject="x")) == (404, "unknown_subject")
    assert refused(change(client, other, "itm_" + "a" * 26, {TITLE: "x"})) == (404, "unknown_item")


def test_only_the_purpose_s_roles_write(stage, desk):
    subject, _ = desk
    client = stage.client("marketing")
    for answer in (
        add(client, subject, ticket__subject="x"),
        correct(client, subject, {"contact.email": "x@example.com"}),
        client.delete(f"/crm/customers/{subject}/items/itm_{'a' * 26}", params={"purpose": SUPPORT}),
        client.post("/crm/customers", json={"purpose": SUPPORT, "values": {"contact.email": "x@example.com"}}),
    ):
        assert refused(answer) == (403, "role")


def test_items_come_newest_first_and_in_pages(stage, desk):
    subject, client = desk
    days = ["2026-11-20", "2026-11-22", "2026-11-21", None, "2026-11-19"]
    for day in days:
        values = {"ticket__subject": f"of {day}"} | ({"ticket__opened_at": day} if day else {})
        assert add(client, subject, **values).status_code == 201
    seen, cursor = [], None
    while True:
        page = feed(client, subject, limit="2", **({"cursor": cursor} if cursor else {})).json()
        seen += [entry["fields"][TITLE] for entry in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [f"of {day}" for day in sorted(filter(None, days), reverse=True)] + ["of None"]
    other = stage.customer()
    stage.grant(other, *TICKET, purpose=SUPPORT)
    first = feed(client, subject, limit="1").json()["next"]
    assert refused(feed(client, other, limit="1", cursor=first)) == (400, "bad_cursor")


def test_a_page_goes_on_where_it_was_although_the_last_item_is_gone(desk):
    subject, client = desk
    for day in range(10, 15):
        add(client, subject, ticket__subject=str(day), ticket__opened_at=f"2026-11-{day}")
    page = feed(client, subject, limit="2").json()
    last = page["items"][-1]["item"]
    client.delete(f"/crm/customers/{subject}/items/{last}", params={"purpose": SUPPORT})
    following = feed(client, subject, limit="2", cursor=page["next"]).json()
    assert [entry["fields"][TITLE] for entry in following["items"]] == ["12", "11"]


def test_a_read_of_items_is_on_record_before_they_leave(stage, desk):
    subject, client = desk
    add(client, subject, ticket__subject="Charging stops")
    page = feed(client, subject).json()
    release = stage.events("release")[-1]
    assert release.event_id == page["release"]
    assert release.header["query"]["items"] == "all"
    ((who, data),) = release.records
    assert who == subject
    assert set(data["released"]) == set(TICKET)
    assert "ticket.priority" in data["withheld"]


def test_a_customer_has_no_more_items_than_there_is_room_for(desk, monkeypatch):
    monkeypatch.setattr(editing, "MAX_ITEMS", 2)
    subject, client = desk
    answers = [add(client, subject, ticket__subject=str(number)) for number in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[-1].json()["code"] == "too_many_items"


def test_a_new_customer_needs_a_ground_for_everybody(stage):
    client = stage.client("service")
    body = {"purpose": CONTRACT, "values": {"contact.given_name": "Wei", "contract.number": "C-1"}}
    before = stage.page(stage.visit("service", SUPPORT)).items
    answer = client.post("/crm/customers", json=body)
    assert refused(answer) == (403, "not_granted")
    assert stage.page(stage.visit("service", SUPPORT)).items == before
    assert not stage.events("value.collected")
    stage.contract(CONTRACT, "contact.given_name", "contract.number")
    made = client.post("/crm/customers", json=body)
    assert made.status_code == 201
    assert stage.stored(made.json()["subject"]) == {"contact.given_name": "Wei", "contract.number": "C-1"}


# -- links, and fields of an organisation's own


@pytest.fixture
def own(stage):
    """A catalogue with a kind of item and two fields that no code knows."""

    def field(id_, bit, item, type_="text"):
        return entries.FieldEntry(
            id=id_, bit=bit, category="pd:Communication", sensitive=False, labels={"en": id_}, type=type_,
            disposition="shred", item=item,
        )  # fmt: skip

    new = [
        field("ticket.about", 120, "ticket"),
        field("visit.place", 121, "visit"),
        field("visit.on", 122, "visit", "date"),
    ]
    support = stage.catalogue.purposes[SUPPORT]
    necessity = {**support.necessity, **{one.id: "optional" for one in new}}
    catalogue = replace(
        stage.catalogue,
        fields={**stage.catalogue.fields, **{one.id: one for one in new}},
        purposes={**stage.catalogue.purposes, SUPPORT: replace(support, necessity=necessity)},
    )
    gate = Gate(stage.platform, catalogue, stage.gate.turnstile, stage.gate._recorder)
    return replace(stage, catalogue=catalogue, gate=gate)


def test_a_kind_of_item_that_only_the_catalogue_knows_works_like_any_other(own):
    subject = own.customer()
    own.grant(subject, *TICKET, "visit.place", "visit.on", purpose=SUPPORT)
    client = own.client("service")
    add(client, subject, visit__place="Leeds", visit__on="2026-11-20")
    add(client, subject, visit__place="London", visit__on="2026-11-21")
    add(client, subject, ticket__subject="Charging stops")
    found = feed(client, subject, kind="visit").json()["items"]
    assert [entry["fields"]["visit.place"] for entry in found] == ["London", "Leeds"]
    assert {entry["kind"] for entry in feed(client, subject).json()["items"]} == {"visit", "ticket"}
    mixed = add(client, subject, visit__place="Leeds", ticket__subject="x")
    assert refused(mixed) == (422, "mixed_kinds")
    assert refused(change(client, subject, found[0]["item"], {TITLE: "x"})) == (422, "wrong_kind")


def test_a_link_is_shown_to_whom_sees_what_it_names(own):
    subject = own.customer()
    link = own.grant(subject, "ticket.about", "ticket.subject", "visit.place", purpose=SUPPORT)
    client = own.client("service")
    visit = add(client, subject, visit__place="Leeds").json()["item"]
    company = client.post("/crm/organisations", json={"name": "Cars"}).json()["id"]
    ticket = add(client, subject, ticket__about=visit, ticket__subject=company).json()["item"]

    def shown():
        return feed(client, subject, kind="ticket").json()["items"][0]["fields"]

    assert shown() == {"ticket.about": visit, TITLE: company}
    assert client.delete(f"/crm/organisations/{company}").status_code == 204
    assert shown() == {"ticket.about": visit}
    own.withdraw(subject, link)
    own.grant(subject, "ticket.about", "ticket.subject", purpose=SUPPORT)
    assert shown() == {}  # the visit is there still, and withheld
    for absent in (visit, "itm_" + "b" * 26):
        assert refused(change(client, subject, ticket, {"ticket.about": absent})) == (422, "unknown_link")
    assert refused(change(client, subject, ticket, {"ticket.about": company})) == (422, "unknown_organisation")


# -- attacks on the rows


def rows(stage, **values):
    with stage.platform.database.write("owner") as session:
        session.connection().execute(update(items.TABLE).values(**values))


def test_cells_of_an_earlier_state_put_under_a_later_one_show_nothing(stage, desk):
    subject, client = desk
    item = add(client, subject, ticket__subject="open", ticket__status="open").json()["item"]
    (old,) = sealed_items(stage, subject)
    change(client, subject, item, {STATUS: "closed"})
    assert feed(client, subject).json()["items"][0]["fields"][STATUS] == "closed"
    rows(stage, cells=old.cells)
    assert feed(client, subject).json()["items"] == []


def test_an_item_that_was_moved_to_another_customer_or_id_shows_nothing(stage, desk):
    subject, client = desk
    add(client, subject, ticket__subject="Charging stops")
    other = stage.customer()
    stage.grant(other, *TICKET, purpose=SUPPORT)
    rows(stage, subject=other)
    assert feed(client, other).json()["items"] == []
    rows(stage, subject=subject, item="itm_" + "b" * 26)
    assert feed(client, subject).json()["items"] == []


def test_a_whole_row_of_the_same_generation_that_was_put_back_is_shown(stage, desk):
    """What cannot be noticed from inside (docs/decisions/012): the whole of an older state, in its own place."""
    subject, client = desk
    item = add(client, subject, ticket__subject="old").json()["item"]
    (old,) = sealed_items(stage, subject)
    change(client, subject, item, {TITLE: "new"})
    rows(stage, cells=old.cells, head=old.head)
    assert feed(client, subject).json()["items"][0]["fields"] == {TITLE: "old"}


def test_cells_of_a_record_that_were_not_written_together_do_not_open(stage):
    subject = stage.customer(address__city="Leeds", contact__email="wei@example.com")
    stage.grant(subject, "address.city", "contact.email")
    with stage.platform.database.read() as session:
        old = records.load(session, subject)
    stage.put(subject, address__city="London", contact__email="li@example.com")
    with stage.platform.database.read() as session:
        new = records.load(session, subject)
    before, after = (records.packing.unpack(records.packing.apart(one.cells)[1]) for one in (old, new))
    tag = records.packing.apart(new.cells)[0]
    mixed = records.packing.pack(after | {"address.city": before["address.city"]})
    cut = records.packing.pack({"contact.email": after["contact.email"]})
    for cells in (mixed, cut):
        with stage.platform.database.write("owner") as session:
            session.connection().execute(update(records.TABLE).values(cells=records.packing.tagged(tag, cells)))
        item = stage.one(subject, "address.city", "contact.email").items[0]
        assert "contact.email" in item.unreadable
        assert "address.city" not in {name for name, value in item.fields.items() if value}


def test_numbers_lists_and_dates_rest_and_come_back_as_they_are(stage):
    values = {"contact.other_emails": ["a@example.com", "b@example.com"], "contract.amount": 19.5}
    subject = stage.customer(**{name.replace(".", "__"): value for name, value in values.items()})
    assert stage.stored(subject) == values
    stage.contract(CONTRACT, "contract.amount")
    stage.grant(subject, "contact.other_emails", purpose=SUPPORT)
    client = stage.client("service")
    many = {"contact.other_emails": ["C@example.com ", "c@example.com", "", "d@example.com"]}
    assert correct(client, subject, many).status_code == 204
    assert correct(client, subject, {"contract.amount": 20}, CONTRACT).status_code == 204
    assert refused(correct(client, subject, {"contract.amount": True}, CONTRACT)) == (422, "bad_value")
    assert stage.stored(subject) == {
        "contact.other_emails": ["c@example.com", "d@example.com"],
        "contract.amount": 20,
    }


def test_the_length_of_a_head_does_not_tell_how_many_fields_there_are(stage, desk):
    subject, client = desk
    add(client, subject, ticket__subject="x")
    add(client, subject, ticket__body="x")
    first, second = sealed_items(stage, subject)
    assert len(first.head) == len(second.head)


# -- races


def together(*acts):
    """Run these at the same moment; what each answered: None, or the code of its refusal."""
    start = threading.Barrier(len(acts))

    def run(act):
        start.wait()
        try:
            act()
        except Problem as problem:
            return problem.code
        return None

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@pytest.mark.parametrize("guarded", [True, False])
def test_of_two_who_change_what_they_read_at_once_one_is_told_to_read_again(stage, desk, guarded):
    """Unguarded, the control: both are stored, and one of them lost what the other wrote."""
    subject, client = desk
    item = add(client, subject, ticket__subject="of both").json()["item"]
    read = feed(client, subject).json()["items"][0]["version"]
    editor, visit = Editor(stage.platform, stage.catalogue, stage.gate), stage.visit("service", SUPPORT, "service-1")
    acts = [
        partial(editor.change_item, visit, subject, item, {Field(TITLE): name}, read if guarded else None)
        for name in ("of one", "of another")
    ]
    assert together(*acts).count("conflict") == (1 if guarded else 0)


def test_nothing_is_written_after_a_withdrawal_was_acknowledged(stage):
    subject = stage.customer()
    consent = stage.grant(subject, *TICKET, purpose=SUPPORT)
    editor, visit = Editor(stage.platform, stage.catalogue, stage.gate), stage.visit("service", SUPPORT)
    acknowledged, late = threading.Event(), []

    def keep_writing():
        for number in range(1000):
            after = acknowledged.is_set()  # asked before the write begins
            try:
                editor.add_item(visit, subject, {Field(TITLE): str(number)})
            except Problem:
                return
            if after:
                late.append(number)

    with ThreadPoolExecutor(3) as pool:
        done = [pool.submit(keep_writing) for _ in range(3)]
        time.sleep(0.2)
        stage.withdraw(subject, consent)
        acknowledged.set()
        stored = len(sealed_items(stage, subject))
        for one in done:
            one.result()
    assert stored
    assert late == []
    assert len(sealed_items(stage, subject)) == stored


def test_a_consent_that_ran_out_covers_no_write(stage, desk):
    subject, client = desk
    stage.clock.advance(timedelta(days=31))
    client.headers["Authorization"] = stage.client("service", "service-2").headers["Authorization"]
    assert refused(add(client, subject, ticket__subject="late")) == (403, "not_granted")
