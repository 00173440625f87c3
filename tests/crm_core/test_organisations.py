"""Organisations: sealed, merged, deleted; who works there is the customer's own to tell."""

import pytest
from sqlalchemy import text, update

from crm_core.reading import organisations
from crm_core.reading.organisations import Content

CARS = {"name": "示例汽车 Cars", "domain": "cars.example.com", "country": "CN"}
SERVICE = "service"


@pytest.fixture
def desk(stage):
    return stage.client("service")


def made(client, **content):
    answer = client.post("/crm/organisations", json=CARS | content)
    assert answer.status_code == 201
    return answer.json()["id"]


def members(client, id_, **params):
    answer = client.get(f"/crm/organisations/{id_}/customers", params={"purpose": SERVICE} | params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def employee(stage, id_, *, granted=True):
    subject = stage.customer(employment__organisation=id_, contact__given_name="Wei")
    stage.grant(subject, "contact.given_name", *(["employment.organisation"] if granted else []), purpose=SERVICE)
    return subject


def refused(answer):
    return answer.status_code, answer.json()["code"]


def test_an_organisation_is_made_found_changed_and_deleted(desk):
    id_ = made(desk)
    other = made(desk, name="Another", domain="")
    assert [one["id"] for one in desk.get("/crm/organisations", params={"q": "ｃａｒｓ"}).json()["items"]] == [id_]
    assert [one["id"] for one in desk.get("/crm/organisations").json()["items"]] == [other, id_]
    assert desk.get(f"/crm/organisations/{id_}").json() == {
        "id": id_, "revision": 1, "registration_number": "", "address": "", "website": "", **CARS
    }  # fmt: skip
    changed = desk.put(f"/crm/organisations/{id_}", json={"content": CARS | {"country": "DE"}, "if_revision": 1})
    assert (changed.json()["country"], changed.json()["revision"]) == ("DE", 2)
    assert refused(desk.put(f"/crm/organisations/{id_}", json={"content": CARS, "if_revision": 1})) == (409, "conflict")
    for _ in range(2):
        assert desk.delete(f"/crm/organisations/{id_}").status_code == 204
    assert refused(desk.get(f"/crm/organisations/{id_}")) == (404, "unknown_organisation")
    assert refused(desk.put(f"/crm/organisations/{id_}", json={"content": CARS})) == (404, "unknown_organisation")


def test_nothing_of_an_organisation_is_in_clear_and_changes_are_on_record(stage, desk):
    id_ = made(desk)
    with stage.platform.database.read() as session:
        (row,) = session.connection().execute(text("SELECT * FROM organisation")).all()
    assert b"cars" not in b"".join(str(part).encode() if not isinstance(part, bytes) else part for part in row)
    desk.delete(f"/crm/organisations/{id_}")
    told = stage.events("organisation.changed")
    assert [one.records[0][1]["change"] for one in told] == ["created", "deleted"]
    assert "cars" not in str(told)


def test_a_box_that_was_moved_or_is_older_than_its_row_says_is_no_organisation(stage, desk):
    id_, other = made(desk), made(desk, name="Another")
    table = organisations.TABLE
    with stage.platform.database.write("owner") as session:
        rows = {row.id: row for row in session.connection().execute(table.select())}
        session.connection().execute(update(table).where(table.c.id == id_).values(box=rows[other].box))
        session.connection().execute(update(table).where(table.c.id == other).values(revision=2))
    for gone in (id_, other):
        assert refused(desk.get(f"/crm/organisations/{gone}")) == (404, "unknown_organisation")
    assert desk.get("/crm/organisations").json()["items"] == []


def test_only_customers_who_let_see_where_they_work_are_listed(stage, desk):
    id_ = made(desk)
    shown, hidden = employee(stage, id_), employee(stage, id_, granted=False)
    employee(stage, made(desk, name="Another"))
    page = members(desk, id_)
    assert [item["subject"] for item in page["items"]] == [shown]
    assert hidden not in str(page)
    assert page["items"][0]["fields"]["contact.given_name"] == "Wei"
    release = stage.events("release")[-1]
    assert release.event_id == page["items"][0]["release"]
    assert id_ not in str(release.header)


def test_customers_of_an_organisation_come_in_pages_whose_cursors_fit_nowhere_else(stage, desk):
    id_, other = made(desk), made(desk, name="Another")
    everyone = {employee(stage, id_) for _ in range(3)}
    first = members(desk, id_, limit="2")
    second = members(desk, id_, limit="2", cursor=first["next"])
    assert {item["subject"] for item in first["items"] + second["items"]} == everyone
    assert second["next"] is None
    for path in (f"/crm/organisations/{other}/customers", "/crm/customers"):
        answer = desk.get(path, params={"purpose": SERVICE, "cursor": first["next"]})
        assert refused(answer) == (400, "bad_cursor")


def test_of_two_that_are_one_the_links_count_for_both(stage, desk):
    one, two, three = (made(desk, name=name) for name in ("One", "Two", "Three"))
    people = {employee(stage, id_) for id_ in (one, two, three)}
    assert desk.post(f"/crm/organisations/{two}/merge", json={"other": three}).status_code == 200
    assert desk.post(f"/crm/organisations/{one}/merge", json={"other": two}).status_code == 200
    for id_ in (one, two, three):
        assert desk.get(f"/crm/organisations/{id_}").json()["name"] == "One"
        assert {item["subject"] for item in members(desk, id_)["items"]} == people
    assert len(desk.get("/crm/organisations").json()["items"]) == 1
    same = desk.post(f"/crm/organisations/{one}/merge", json={"other": three})
    assert refused(same) == (422, "same_organisation")
    unknown = desk.post(f"/crm/organisations/{one}/merge", json={"other": "org_" + "a" * 26})
    assert refused(unknown) == (404, "unknown_organisation")


@pytest.mark.parametrize("granted", [True, False])
def test_an_organisation_is_deleted_whoever_works_there_and_the_link_dangles(stage, desk, granted):
    id_ = made(desk)
    subject = employee(stage, id_, granted=granted)
    gone = desk.delete(f"/crm/organisations/{id_}")
    assert (gone.status_code, gone.content) == (204, b"")
    answer = desk.get(f"/crm/organisations/{id_}/customers", params={"purpose": SERVICE})
    assert refused(answer) == (404, "unknown_organisation")
    assert stage.stored(subject)["employment.organisation"] == id_


def test_a_customer_is_not_sent_to_work_where_there_is_nothing(stage, desk):
    subject = employee(stage, made(desk))

    def send(id_):
        body = {"purpose": SERVICE, "values": {"employment.organisation": id_}}
        return desk.patch(f"/crm/customers/{subject}", json=body)

    assert refused(send("org_" + "a" * 26)) == (422, "unknown_organisation")
    assert send(made(desk, name="Another")).status_code == 204


def test_an_organisation_without_a_name_or_with_a_novel_is_refused(stage, desk):
    assert refused(desk.post("/crm/organisations", json={"name": " "})) == (422, "no_name")
    assert desk.post("/crm/organisations", json={"name": "x" * 513}).status_code == 422
    assert desk.post("/crm/organisations", json={"name": "x", "owner": "Wei"}).status_code == 422
    with pytest.raises(Exception, match="too_long"):
        organisations.checked(Content(name="x" * 513))
    unknown = desk.get("/crm/organisations/org_x/customers", params={"purpose": SERVICE})
    assert refused(unknown) == (404, "unknown_organisation")


@pytest.mark.parametrize("role", ["auditor", "admin"])
def test_other_roles_have_no_business_with_organisations(stage, role):
    client = stage.client(role)
    for answer in (client.get("/crm/organisations"), client.post("/crm/organisations", json=CARS)):
        assert refused(answer) == (403, "role")
