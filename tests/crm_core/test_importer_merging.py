"""Which rows are one customer, what becomes of their values, and who may see that they were merged."""

from datetime import timedelta

import pytest

from crm_core import records, writer
from crm_core.imports import importer, matching
from crm_core.imports.importer import Plan
from crm_core.origin import Origin
from protocol.consent import Field
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

EMAIL, OTHERS, PHONE, PHONES = "contact.email", "contact.other_emails", "contact.phone", "contact.other_phones"
HEAD = "First Name,Last Name,Email,Email other,Phone,City,Customer Number\n"


def bring(stage, *rows, rules="email,phone+name,customer-number", **more):
    merges = []
    report = importer.run(
        stage.platform,
        stage.catalogue,
        (HEAD + "\n".join(rows) + "\n").encode(),
        source="test",
        importer=stage.platform.controller,
        plan=Plan(rules=matching.rules(rules)),
        merged=merges.append,
        **more,
    )
    return report, merges


def stored(stage):
    with stage.platform.database.read() as session:
        found = [
            records.open_fields(stage.platform, one, tuple(stage.catalogue.fields)) for one in records.every(session)
        ]
    return sorted(found, key=lambda values: values.get(EMAIL, ""))


def test_any_of_the_addresses_makes_rows_one_customer_and_further_ones_are_kept(stage):
    report, (merge,) = bring(
        stage, "Wei,Li,A@x.example,b@x.example,,上海,", "Wei,,b@x.example,c@x.example,+86100,北京,"
    )
    assert (report.created, report.updated, report.merged) == (1, 1, 1)
    (values,) = stored(stage)
    assert (values[EMAIL], values[OTHERS]) == ("a@x.example", ["b@x.example", "c@x.example"])
    assert values["address.city"] == "上海"  # the first that is not blank wins
    assert (merge.rows, merge.rule, merge.differing) == ((1, 2), "email", ("address.city", EMAIL))
    assert "上海" not in str(merge)


def test_a_phone_number_makes_one_customer_only_with_the_same_name(stage):
    report, merges = bring(
        stage,
        "Wei,Li,a@x.example,,+86 138 0013 8000,,",
        "WEI,li,z@x.example,,138-0013-8000,,",
        "Ann,Li,,,0086 13800138000,,",
    )
    assert report.created == 2
    assert [(one.rows, one.rule) for one in merges] == [((1, 2), "phone+name")]
    assert stored(stage)[1][OTHERS] == ["z@x.example"]


def test_a_customer_number_is_the_last_resort_and_the_first_rule_counts(stage):
    report, merges = bring(
        stage,
        "Wei,Li,a@x.example,,,,K1",
        "Ann,Lee,b@x.example,,,,K2",
        "W,L,,,,Leeds,k1",
        ",,a@x.example,,,,K2",  # by e-mail it is Wei, by number Ann: the address says more
    )
    assert (report.created, report.updated + report.unchanged) == (2, 2)
    assert [(one.rows, one.rule) for one in merges] == [((1, 3, 4), "customer-number")]
    assert [values["identity.customer_number"] for values in stored(stage)] == ["K1", "K2"]


@pytest.mark.parametrize(("rules", "created"), [("", 2), ("phone+name", 2), ("email", 1)])
def test_the_rules_can_be_chosen(stage, rules, created):
    report, _ = bring(stage, "Wei,Li,a@x.example,,,,", "Ann,Lee,a@x.example,,,,", rules=rules)
    assert report.created == created


def test_a_rule_that_nobody_knows_is_refused():
    with pytest.raises(EvidenceError) as caught:
        matching.rules("email,shoe-size")
    assert caught.value.code == "unknown_rule"
    assert matching.rules(" E-mail".replace("-", "") + ",email") == ("email",)


def test_a_later_file_finds_its_customer_by_other_addresses_and_extends_without_erasing(stage):
    bring(stage, "Wei,Li,a@x.example,b@x.example,+86100,上海,K1")
    report, (merge,) = bring(stage, ",,b@x.example,d@x.example,,北京,")
    assert (report.created, report.updated) == (0, 1)
    (values,) = stored(stage)
    assert (values[EMAIL], values[OTHERS]) == ("a@x.example", ["b@x.example", "d@x.example"])
    assert (values["contact.given_name"], values[PHONE], values["address.city"]) == ("Wei", "+86100", "北京")
    assert merge.differing == ("address.city", OTHERS)


def test_a_new_address_takes_the_first_place_and_the_old_one_is_kept(stage):
    first, second = "Wei,Li,a@x.example,,,,K1", "Wei,Li,n@x.example,,,,K1"
    bring(stage, first)
    for row, primary, others in ((second, "n@x.example", ["a@x.example"]), (first, "n@x.example", ["a@x.example"])):
        for _ in range(2):
            bring(stage, row)
            (values,) = stored(stage)
            assert (values[EMAIL], values[OTHERS]) == (primary, others)


def test_whose_own_address_it_is_counts_more_than_whose_other(stage):
    rows = ("Wei,Li,a@x.example,,,,", "Ann,Lee,b@x.example,,,,", ",,a@x.example,b@x.example,,,")
    report, _ = bring(stage, *rows)
    assert report.created == 2
    again, _ = bring(stage, *rows)
    assert (again.created, again.updated, again.unchanged) == (0, 0, 3)
    later, _ = bring(stage, ",,b@x.example,,,Leeds,")
    assert later.updated == 1
    assert [values.get("address.city") for values in stored(stage)] == [None, "Leeds"]


def test_numbers_are_compared_in_the_manner_of_e_164():
    for number in ("+8613800138000", "008613800138000", "13800138000", "013800138000", "13800138000x7"):
        assert matching.dialled(number, "CN") == "+8613800138000"
    assert matching.dialled("12345", "CN") == "12345"
    assert matching.dialled("13800138000", "XX") == "13800138000"


def test_the_steward_alone_sees_what_was_merged_and_no_values(stage):
    body = HEAD + "Wei,Li,a@x.example,,,上海,\nAnn,Lee,A@x.example,,,北京,\nBob,,b@x.example,,,,\n"
    admin = stage.client("admin")
    told = admin.post("/crm/imports", content=body.encode(), headers={"content-type": "text/csv"}).json()
    assert (told["merged"], told["encoding"], told["format"]) == (1, "UTF-8", "csv")
    path = f"/crm/imports/{told['run']}/merges"
    for role in ("admin", "dpo", "sales", "service", "marketing", "auditor"):
        refused = (admin if role == "admin" else stage.client(role)).get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "role"), role
    steward = stage.client("steward")
    answer = steward.get(path)
    (item,) = answer.json()["items"]
    assert item["rows"] == [1, 2]
    assert item["differing"] == ["address.city", "contact.family_name", "contact.given_name"]
    assert item["subject"].startswith("sub_")
    assert not [value for value in ("Wei", "Lee", "上海", "x.example") if value in answer.text]
    assert steward.get(path, params={"after": 1}).json() == {"items": [], "next": None}
    assert steward.get("/crm/imports/imp_nothing/merges").json()["code"] == "unknown_run"
    (run,) = steward.get("/crm/imports").json()["items"]
    assert (run["id"], run["state"], run["counts"]["read"]) == (told["run"], "done", 3)
    assert stage.client("sales", "leo").get("/crm/imports").status_code == 403
    assert steward.post("/crm/imports", content=b"x", headers={"content-type": "text/csv"}).status_code == 403


def test_every_kind_of_file_is_taken_over_http_and_others_are_not(stage):
    admin = stage.client("admin")
    kinds = {
        "text/csv; charset=utf-8": b"Mail;Vorname\na@x.example;Wei\n",
        "text/vcard": b"BEGIN:VCARD\nVERSION:4.0\nFN:Li\nEMAIL:b@x.example\nEND:VCARD\n",
        "application/jsonl": b'{"email": "c@x.example"}\n',
    }
    for kind, body in kinds.items():
        query = {"map": ["Mail=contact.email"]} if "csv" in kind else {}
        told = admin.post("/crm/imports", params=query, content=body, headers={"content-type": kind}).json()
        assert told["created"] == 1, (kind, told)
    refused = admin.post("/crm/imports", content=b"{}", headers={"content-type": "application/octet-stream"})
    assert refused.json()["code"] == "unsupported_media_type"
    for query, code in {"match=x": "unknown_rule", "map=x": "bad_map", "encoding=rot13": "unknown_encoding"}.items():
        refused = admin.post(f"/crm/imports?{query}", content=b"Email\n", headers={"content-type": "text/csv"})
        assert (refused.status_code, refused.json()["code"]) == (400, code)


@pytest.mark.parametrize("field", ["contact.email", "contact.other_emails"])
@pytest.mark.parametrize("source", ["subject", "Web form"])
def test_nobody_draws_another_s_row_into_their_own_record_by_that_one_s_address(stage, field, source):
    """A corrected address nobody of us has seen; the row would go to whoever asks for a copy of the record."""
    thief = stage.customer(contact__email="thief@x.example", contact__given_name="Eve")
    value = ["mei@x.example"] if field == "contact.other_emails" else "mei@x.example"
    stage.clock.advance(timedelta(seconds=1))
    wallet = Ed25519Signer.generate().did
    with stage.platform.database.write("owner") as session:
        theirs = Origin(source=source, source_digest="-", importer=wallet, at=stage.clock.now())
        writer.put(session, stage.platform, stage.catalogue, thief, {Field(field): value}, origin=theirs)
    told = importer.run(
        stage.platform, stage.catalogue, b"First Name,Email,City\nMei,mei@x.example,Bath\n", source="file",
        importer=stage.platform.controller,
    )  # fmt: skip
    assert (told.created, told.updated) == (1, 0)


def test_a_lead_does_not_come_with_somebody_else_s_address_beside_their_own(stage):
    lead = Origin(source="Web form", source_digest="-", importer=Ed25519Signer.generate().did, at=stage.clock.now())
    values = {Field("contact.email"): "thief@x.example", Field("contact.other_emails"): ["mei@x.example"]}
    with stage.platform.database.write("owner") as session:
        writer.create(session, stage.platform, stage.catalogue, values, origin=lead)
    report, _ = bring(stage, "Mei,,mei@x.example,,,Bath,")
    assert (report.created, report.updated) == (1, 0)


def test_a_lead_is_found_by_phone_and_name(stage):
    lead = Origin(source="Web form", source_digest="-", importer=Ed25519Signer.generate().did, at=stage.clock.now())
    values = {Field("contact.phone"): "+8613800004271", Field("contact.given_name"): "Mei"}
    with stage.platform.database.write("owner") as session:
        writer.create(session, stage.platform, stage.catalogue, values, origin=lead)
    report, _ = bring(stage, "Mei,,mei@x.example,,+86 138 0000 4271,Bath,")
    assert (report.created, report.updated) == (0, 1)


def test_an_address_that_came_with_the_customer_finds_them_whoever_brought_it(stage):
    wallet = Ed25519Signer.generate().did
    lead = Origin(source="Web form", source_digest="-", importer=wallet, at=stage.clock.now())
    with stage.platform.database.write("owner") as session:
        email = {Field("contact.email"): "mei@x.example"}
        writer.create(session, stage.platform, stage.catalogue, email, origin=lead)
    rows = b"First Name,Email,City\nMei,mei@x.example,Bath\n"
    told = importer.run(
        stage.platform, stage.catalogue, rows, source="file", importer=stage.platform.controller
    )  # fmt: skip
    assert (told.created, told.updated) == (0, 1)
