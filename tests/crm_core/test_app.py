"""The HTTP edge: who may do what, the codes of refusals, and that they are on record."""

import pytest

from crm_core import app

CSV = b"First Name,Last Name,Email,City\nWei,Li,wei@example.com,\xe4\xb8\x8a\xe6\xb5\xb7\n,,broken,\n"
NAME, EMAIL, CITY = "contact.given_name", "contact.email", "address.city"


def load_csv(client, data=CSV, **more):
    return client.post("/crm/imports", content=data, **({"headers": {"content-type": "text/csv"}} | more))


def get(client, path="/crm/customers", **params):
    return client.get(path, params={"purpose": "marketing"} | params)


def test_an_import_answers_with_its_counts_and_what_it_rejected(stage):
    answer = load_csv(stage.client("admin"))
    assert answer.status_code == 200
    body = answer.json()
    assert body.pop("run").startswith("imp_")
    assert body == {
        "read": 2,
        "created": 1,
        "updated": 0,
        "unchanged": 0,
        "rejected": 1,
        "rejects": [{"row": 2, "column": "Email", "reason": "bad_email"}],
        "left_out": [],
        "format": "csv",
        "encoding": "UTF-8",
        "merged": 0,
    }


@pytest.mark.parametrize("role", ["sales", "service", "marketing", "auditor"])
def test_only_admin_and_dpo_may_import_and_other_attempts_are_on_record(stage, role):
    answer = load_csv(stage.client(role))
    assert (answer.status_code, answer.json()["code"]) == (403, "role")
    (attempt,) = stage.events("attempt.refused")
    assert attempt.header["role"] == role
    assert not stage.events("value.collected")


def test_nothing_is_read_or_imported_without_a_token(stage):
    client = stage.client("dpo")
    del client.headers["Authorization"]
    for answer in (load_csv(client), get(client), get(client, "/crm/customers/sub_x"), client.get("/crm/fields")):
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_an_import_that_is_no_csv_or_too_large_is_refused(stage, monkeypatch):
    answer = load_csv(stage.client("dpo"), headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    monkeypatch.setattr(app, "BODY_LIMITS", {"/crm/imports": 10})
    answer = load_csv(stage.client("dpo", "dan"))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_body_above_the_usual_limit_is_taken_for_an_import_alone(stage):
    rows = b"".join(b"N%d,,n%d@example.com,%s\n" % (number, number, b"x" * 2000) for number in range(40))
    assert len(rows) > 65536
    assert load_csv(stage.client("dpo"), b"First Name,Last Name,Email,City\n" + rows).json()["created"] == 40
    assert app.BODY_LIMITS["/crm/imports"] == 2**30


def test_columns_are_mapped_by_the_query(stage):
    client = stage.client("dpo")
    data = b"Wer,Mail\nWei,wei@example.com\n"
    answer = load_csv(client, data, params={"map": ["Wer:contact.given_name", "Mail:contact.email"]})
    assert answer.json()["created"] == 1
    for bad in ("contact.email", ":contact.email"):
        assert load_csv(client, data, params={"map": bad}).json()["code"] == "bad_map"


def test_one_customer_and_a_list_have_the_agreed_shapes(stage):
    subject = stage.customer(contact__email="wei@example.com")
    stage.grant(subject, EMAIL, CITY)
    client = stage.client("marketing")
    one = get(client, f"/crm/customers/{subject}", select=f"{EMAIL},{CITY},{NAME}")
    assert one.status_code == 200
    assert one.headers["cache-control"] == "no-store"
    body = one.json()
    assert body.pop("release") in {event.event_id for event in stage.events("release")}
    assert body == {
        "subject": subject,
        "fields": {EMAIL: "wei@example.com", CITY: None},
        "withheld": {NAME: "no_ground"},
        "purpose": "https://w3id.org/dpv#DirectMarketing",
    }
    listed = get(client, select=f"{EMAIL},{CITY},{NAME}").json()
    release = listed["items"][0].pop("release")
    assert listed == {"items": [body], "next": None}
    assert release == stage.events("release")[-1].event_id


def test_the_default_selection_is_what_the_purpose_may_be_asked_for(stage):
    stage.customer(contact__email="wei@example.com")
    (item,) = get(stage.client("sales"), purpose="administration").json()["items"]
    assert set(item["withheld"]) == {NAME, "contact.family_name"}


def test_a_purpose_may_be_named_by_its_iri(stage):
    subject = stage.customer()
    iri = "https://w3id.org/dpv#DirectMarketing"
    assert get(stage.client("marketing"), f"/crm/customers/{subject}", purpose=iri).json()["purpose"] == iri


@pytest.mark.parametrize(
    ("params", "status", "code", "field"),
    [
        ({"select": "address.moon"}, 400, "unknown_field", "address.moon"),
        ({"filter": "address.city:like:x"}, 400, "bad_filter", "filter"),
        ({"sort": "-"}, 400, "bad_sort", "sort"),
        ({"limit": "501"}, 400, "bad_limit", "limit"),
        ({"limit": "many"}, 400, "bad_limit", "limit"),
        ({"limit": "9" * 40}, 400, "bad_limit", "limit"),
        ({"cursor": "made-up"}, 400, "bad_cursor", "cursor"),
        ({"purpose": "astrology"}, 404, "unknown_purpose", "purpose"),
        ({"purpose": "service"}, 403, "role", "purpose"),
    ],
)
def test_each_refusal_has_its_own_code_and_is_on_record(stage, params, status, code, field):
    answer = get(stage.client("marketing"), **params)
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["code"], body["field"]) == (status, code, field)
    (event,) = stage.events("attempt.refused", "refusal")
    assert event.records[0][1]["code"] == code
    assert stage.events("release") == []


def test_an_unknown_customer_is_not_found_and_the_attempt_is_on_record(stage):
    answer = get(stage.client("marketing"), "/crm/customers/sub_nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_subject")
    assert [event.records[0][1]["code"] for event in stage.events("attempt.refused")] == ["unknown_subject"]


def test_an_unreadable_value_is_named_and_not_shown(stage, monkeypatch):
    subject = stage.customer(contact__email="wei@example.com", address__city="Leeds")
    stage.grant(subject, EMAIL, CITY)
    client = stage.client("marketing")
    monkeypatch.setattr("crm_core.seal._bound", lambda *_parts: b"elsewhere")
    body = get(client, f"/crm/customers/{subject}", select=EMAIL).json()
    assert body["unreadable"] == [EMAIL]
    assert body["fields"] == body["withheld"] == {}


def test_the_passage_is_let_go_after_an_answer_and_after_a_refusal(stage, monkeypatch):
    stage.customer()
    client = stage.client("marketing")
    get(client)
    get(client, cursor="made-up")
    get(client, "/crm/customers/sub_nobody")
    monkeypatch.setattr("crm_core.reading.together.Together._read", lambda *_parts: 1 / 0)
    monkeypatch.setattr("crm_core.reading.app._shown", lambda *_parts: 1 / 0)
    assert get(client).status_code == 500
    stage.gate._turnstile.drain(timeout=2.0)


def test_the_catalogue_marks_what_the_caller_may_do(stage):
    body = stage.client("service").get("/crm/fields").json()
    assert body["version"] == stage.catalogue.version
    assert {entry["id"] for entry in body["fields"]} == set(stage.catalogue.fields)
    allowed = {entry["key"] for entry in body["purposes"] if entry["allowed"]}
    assert {"administration", "service", "support"} <= allowed
    assert allowed == {key for key in stage.catalogue.purposes if stage.catalogue.may("service", key)}


def test_the_api_describes_itself_with_examples(stage):
    api = stage.client("admin").get("/openapi.json").json()
    for path, verb in [("/crm/customers", "get"), ("/crm/customers/{subject}", "get"), ("/crm/imports", "post")]:
        operation = api["paths"][path][verb]
        assert len(operation["description"]) > 40
        assert operation["responses"]["200"]["content"]["application/json"]["example"]
        assert all(parameter["description"] for parameter in operation.get("parameters", []))
    assert "text/csv" in api["paths"]["/crm/imports"]["post"]["requestBody"]["content"]
