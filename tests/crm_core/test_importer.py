"""The import: headings, encodings, duplicates, bad rows, and that it happens as a whole or not at all."""

from importlib import resources

import pytest
from sqlmodel import SQLModel

from crm_core import normal, origin, records
from crm_core.imports import importer, mapping, sheet
from crm_core.imports.importer import Plan, Reject
from issuer import catalogue as catalogues
from protocol.errors import EvidenceError

CATALOGUE = catalogues.load()
EMAIL, PHONE, CITY = "contact.email", "contact.phone", "address.city"
HEAD = "First Name,Last Name,Email,Phone Number,City\r\n"


def bring(stage, text, *, encoding="utf-8", **more):
    data = text if isinstance(text, bytes) else text.encode(encoding)
    return importer.run(
        stage.platform, stage.catalogue, data, source="test", importer=stage.platform.controller, **more
    )


def everyone(stage):
    """What all records hold, by e-mail address or, for those without, by name."""
    with stage.platform.database.read() as session:
        found = [
            records.open_fields(stage.platform, record, tuple(stage.catalogue.fields))
            for record in records.every(session)
        ]
    return {values.get(EMAIL) or values["contact.given_name"]: values for values in found}


def rows_in(stage, *tables):
    with stage.platform.database.read() as session:
        connection = session.connection()
        return {name: connection.execute(SQLModel.metadata.tables[name].select()).all() for name in tables}


def opened(tables):
    """Sealed cells told by their records' fields: what was put back is the old box under a new tag."""
    return {
        name: [
            {**row._mapping, "cells": records.packing.apart(row.cells)[1]} if name == "record" else row for row in rows
        ]
        for name, rows in tables.items()
    }


def test_rows_become_customers_in_their_normal_form(stage):
    report = bring(stage, HEAD + " Wei ,李,  WEI@Example.COM ,(212) 555-0101 x7,上海\r\n")
    assert report.counts() == {"read": 1, "created": 1, "updated": 0, "unchanged": 0, "rejected": 0}
    assert everyone(stage)["wei@example.com"] == {
        "contact.given_name": "Wei",
        "contact.family_name": "李",
        EMAIL: "wei@example.com",
        PHONE: "2125550101x7",
        CITY: "上海",
    }


def test_a_second_import_of_the_same_file_changes_nothing(stage):
    text = HEAD + "Wei,Li,wei@example.com,,上海\r\nAnn,,,+86100,\r\n,,broken,,\r\n"
    first = bring(stage, text)
    before = rows_in(stage, "record", "origin", "standing", "allowance")
    second = bring(stage, text)
    assert first.counts() == {"read": 3, "created": 2, "updated": 0, "unchanged": 0, "rejected": 1}
    assert second.counts() == {"read": 3, "created": 0, "updated": 0, "unchanged": 2, "rejected": 1}
    assert rows_in(stage, "record", "origin", "standing", "allowance") == before


def test_blank_cells_erase_nothing_and_other_values_are_corrected(stage):
    bring(stage, HEAD + "Wei,Li,wei@example.com,+86100,上海\r\n")
    report = bring(stage, HEAD + ",Lee,WEI@example.com, ,\r\n")
    assert report.counts() == {"read": 1, "created": 0, "updated": 1, "unchanged": 0, "rejected": 0}
    values = everyone(stage)["wei@example.com"]
    assert (values["contact.family_name"], values["contact.given_name"], values[CITY]) == ("Lee", "Wei", "上海")
    (event,) = stage.events("value.corrected")
    assert event.records[0][1]["fields"] == ["contact.family_name"]


def test_rows_with_one_address_are_one_customer_and_the_first_value_counts(stage):
    rows = ["Wei,Li,wei@example.com,,上海", ",,WEI@EXAMPLE.COM,+86100,北京", "Wei,Li,Wei@example.com,,"]
    report = bring(stage, HEAD + "\r\n".join(rows) + "\r\n")
    assert report.counts() == {"read": 3, "created": 1, "updated": 1, "unchanged": 1, "rejected": 0}
    assert len(everyone(stage)) == 1
    assert everyone(stage)["wei@example.com"] | {PHONE: "+86100", CITY: "上海"} == everyone(stage)["wei@example.com"]
    (subject,) = [row.subject for row in rows_in(stage, "record")["record"]]
    with stage.platform.database.read() as session:
        origins = {one.field: one.row for one in origin.of_subject(session, subject)}
    assert origins == {"contact.given_name": 1, "contact.family_name": 1, EMAIL: 1, CITY: 1, PHONE: 2}


def test_bad_rows_are_named_by_row_column_and_reason_and_never_quoted(stage):
    rows = [
        "Wei,Li,not an address,,",
        ",,,+86100,上海",
        "Wei,Li,wei@example.com,,上海,stray",
        "Wei,Li,wei@example.com,call me,",
        f"Wei,Li,ann@example.com,,{'x' * 20_001}",
        "Wei,Li,bob@example.com,,a\x00b",
    ]
    report = bring(stage, HEAD + "\r\n".join(rows) + "\r\n")
    assert report.rejects == (
        Reject(1, "Email", "bad_email"),
        Reject(2, None, "no_name_and_no_email"),
        Reject(3, None, "column_count"),
        Reject(4, "Phone Number", "bad_phone"),
        Reject(5, "City", "too_long"),
        Reject(6, "City", "bad_text"),
    )
    assert report.counts() == {"read": 6, "created": 0, "updated": 0, "unchanged": 0, "rejected": 6}
    assert everyone(stage) == {}


def test_events_name_fields_and_rows_and_never_a_value(stage):
    bring(stage, HEAD + "Wei,Li,wei@example.com,,上海\r\nAnn,Lee,ann@example.com,,\r\n")
    (collected,) = stage.events("value.collected")
    (completed,) = stage.events("import.completed")
    assert len(collected.records) == len(collected.salts) == 2
    assert collected.records[0][1] == {
        "fields": [CITY, EMAIL, "contact.family_name", "contact.given_name"],
        "rows": [1],
    }
    assert completed.records[0][1]["created"] == 2
    assert collected.header["digest"] == completed.header["digest"]
    assert "wei" not in str((collected, completed)).lower()


def test_an_import_that_breaks_is_undone_whole(stage):
    bring(stage, HEAD + "Wei,Li,wei@example.com,,上海\r\n")
    tables = ("record", "origin", "standing", "allowance")
    before = rows_in(stage, *tables)
    rows = "".join(f"N{number},,n{number}@example.com,,\r\n" for number in range(600))

    class UnpluggedError(Exception):
        pass

    half = {}

    def break_off(what, done, total):
        if what == "Sealing customers" and done >= 500:
            assert total == 601
            half.update(rows_in(stage, "record", "import_run"))
            raise UnpluggedError

    with pytest.raises(UnpluggedError):
        bring(stage, HEAD + rows + ",Lee,wei@example.com,,\r\n", plan=Plan(progress=break_off))
    assert len(half["record"]) == 500  # it was half done, and said so
    assert half["import_run"][-1].state == "running"
    assert opened(rows_in(stage, *tables)) == opened(before)
    assert everyone(stage)["wei@example.com"]["contact.family_name"] == "Li"
    undone = [data for event in stage.events("import.undone") for _, data in event.records]
    assert (undone[-1]["removed"], undone[-1]["restored"], undone[-1]["kept"]) == (499, 1, 0)
    assert [row.state for row in rows_in(stage, "import_run")["import_run"]] == ["done", "undone"]
    assert half["import_run"][-1].id not in {row.run for row in rows_in(stage, "import_undo")["import_undo"]}


def test_a_file_that_breaks_off_changes_nothing(stage):
    with pytest.raises(EvidenceError) as caught:
        bring(stage, HEAD + 'Wei,Li,wei@example.com,,上海\r\nAnn,"Lee')
    assert caught.value.code == "bad_csv"
    assert everyone(stage) == {}


def test_what_was_disposed_of_does_not_come_back_with_an_old_export(stage):
    text = HEAD + "Wei,Li,wei@example.com,+86100,上海\r\n"
    bring(stage, text)
    (subject,) = [row.subject for row in rows_in(stage, "record")["record"]]
    with stage.platform.database.write("owner") as session:
        records.reseal(session, stage.platform, subject, frozenset({EMAIL, "contact.given_name"}))
    for again in (text, text + "Ann,Lee,ann@example.com,,\r\n"):
        bring(stage, again)
        assert everyone(stage)["wei@example.com"] == {"contact.given_name": "Wei", EMAIL: "wei@example.com"}


def test_the_same_file_finds_its_customer_when_even_the_address_is_gone(stage):
    text = HEAD + "Wei,Li,wei@example.com,+86100,上海\r\n"
    bring(stage, text)
    (subject,) = [row.subject for row in rows_in(stage, "record")["record"]]
    with stage.platform.database.write("owner") as session:
        records.reseal(session, stage.platform, subject, frozenset({"contact.given_name"}))
    assert bring(stage, text).counts()["unchanged"] == 1
    assert everyone(stage) == {"Wei": {"contact.given_name": "Wei"}}


def test_a_stored_value_that_does_not_open_rejects_its_row_and_no_other(stage):
    text = HEAD + "Wei,Li,wei@example.com,,上海\r\nAnn,Lee,ann@example.com,,Leeds\r\n"
    bring(stage, text)
    with stage.platform.database.write("owner") as session:
        first, _ = sorted(records.every(session), key=lambda record: record.created_at)
        tag, packed = records.packing.apart(first.cells)
        boxes = records.packing.unpack(packed)
        cells = records.packing.tagged(tag, records.packing.pack(boxes | {CITY: boxes[EMAIL]}))
        place = {"generation": 1, "wrapped": first.wrapped, "bucket": first.bucket, "epoch": first.epoch}
        records.replace(session, first.subject, cells=cells, **place)
    report = bring(stage, text)
    assert report.counts() == {"read": 2, "created": 0, "updated": 0, "unchanged": 1, "rejected": 1}
    assert {reject.reason for reject in report.rejects} == {"unreadable"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters_of_real_exports_are_read(encoding, delimiter):
    text = (
        HEAD.replace(",", delimiter) + delimiter.join(["嘉懿", "欧阳", "ou@example.com", "+86100", "呼和浩特"]) + "\n"
    )
    (row,) = importer.rows_of(text.encode(encoding), CATALOGUE)
    assert (row["contact.family_name"], row[CITY]) == ("欧阳", "呼和浩特")


def test_the_columns_of_atomic_crm_are_recognised():
    headings = (
        "id,first_name,last_name,gender,title,background,first_seen,last_seen,has_newsletter,status,tags,company_id,"
        "sales_id,linkedin_url,company_name,nb_tasks,company,sales,email_work,email_home,email_other,phone_work,"
        "phone_home,phone_other"
    )
    row = (
        "2,Shelley,Kerluke,female,Buyer,A note.,2024-08-13T18:04:34.666+00:00,2024-08-14T11:39:02+00:00,false,warm,"
        '"vip,x",1,1,linkedin.com/in/sk,Gottlieb and Sons,0,Gottlieb and Sons,Jane Doe,,,Shelley_K@example.net,,'
        "1-955-371-0847 x371,"
    )
    assert importer.rows_of(f"{headings}\n{row}\n".encode(), CATALOGUE) == [
        {
            "contact.given_name": "Shelley",
            "contact.family_name": "Kerluke",
            "contact.gender": "female",
            "employment.job_title": "Buyer",
            "employment.company": "Gottlieb and Sons",
            "interaction.note": "A note.",
            "interaction.first_seen": "2024-08-13T18:04:34Z",
            "interaction.last_seen": "2024-08-14T11:39:02Z",
            "interaction.status": "warm",
            "interaction.tags": "vip, x",
            "preference.newsletter": False,
            "contact.profile_url": "https://linkedin.com/in/sk",
            EMAIL: "shelley_k@example.net",
            PHONE: "19553710847x371",
        }
    ]


def test_a_heading_can_be_mapped_by_hand_and_a_column_left_out():
    data = b"First Name,Kontakt,City\nWei,wei@example.com,Leeds\n"
    columns = {"kontakt": EMAIL, "City": ""}
    assert importer.rows_of(data, CATALOGUE, columns) == [{"contact.given_name": "Wei", EMAIL: "wei@example.com"}]


@pytest.mark.parametrize(
    ("data", "columns", "code"),
    [
        (b"", {}, "no_headings"),
        (b"\xef\xbb\xbf\r\n\r\n", {}, "no_headings"),
        (b"a,b\n1,2\n", {}, "no_known_columns"),
        (b"Email\n", {"Mail": EMAIL}, "unknown_column"),
        (b"Email\n", {"Email": "contact.moon"}, "unknown_field"),
        (b"Email\n\xff\xff\xff\n", {}, "bad_encoding"),
        (b"PK\x03\x04\x14\x00\x06\x00", {}, "not_text"),
        (b'Email\n"a"b\n', {}, "bad_csv"),
        (b"Email\n" + b"a," * 501 + b"\n", {}, "too_many_columns"),
    ],
)
def test_a_file_that_cannot_be_read_has_a_code_of_its_own(data, columns, code):
    with pytest.raises(EvidenceError) as caught:
        importer.rows_of(data, CATALOGUE, columns)
    assert caught.value.code == code


def test_lines_without_an_end_are_no_csv(monkeypatch):
    monkeypatch.setattr(sheet, "MAX_LINE", 64)
    with pytest.raises(EvidenceError) as caught:
        importer.rows_of(b"Email\n" + b"x" * 80, CATALOGUE)
    assert caught.value.code == "bad_csv"


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("email", "Ｗei@Example.com", "wei@example.com"),
        ("email", "o'hara+x@sub.example.org", "o'hara+x@sub.example.org"),
        ("phone", "００８６-10 1234", "0086101234"),
        ("phone", "+1 (212) 555-0101 ext. 9", "+12125550101x9"),
        ("boolean", "是", True),
        ("boolean", "No", False),
        ("datetime", "2024-08-14 11:39", "2024-08-14T11:39:00Z"),
        ("datetime", "8/14/2024", "2024-08-14T00:00:00Z"),
        ("url", "https://example.com/a", "https://example.com/a"),
        ("tags", "b; a ;b,", "b, a"),
        ("text", "  two   words ", "two words"),
        ("text", "one\n  two", "one\n  two"),
        ("text", "é", "é"),
        ("text", " \t", None),
    ],
)
def test_each_type_has_one_spelling(type_, text, value):
    assert normal.normal(type_, text) == value
    assert value is None or normal.normal(type_, str(value)) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("email", "a@b"),
        ("email", "a@@example.com"),
        ("email", "a b@example.com"),
        ("email", "a.@example.com"),
        ("email", "x" * 65 + "@example.com"),
        ("email", "a@-b.com"),
        ("phone", "12"),
        ("phone", "1" * 21),
        ("phone", "+"),
        ("boolean", "maybe"),
        ("datetime", "yesterday"),
        ("url", "ftp://example.com"),
        ("url", "http://[::1"),
    ],
)
def test_what_has_no_normal_form_is_refused_without_being_quoted(type_, text):
    with pytest.raises(EvidenceError) as caught:
        normal.normal(type_, text)
    assert caught.value.code == f"bad_{type_}"
    assert text not in str(caught.value)


def test_every_known_heading_leads_to_a_field_of_the_catalogue():
    assert set(mapping._HEADINGS) <= set(CATALOGUE.fields)


def test_the_sample_that_ships_is_imported_as_it_was_meant(stage):
    data = (resources.files("crm_core") / "sample" / "contacts.csv").read_bytes()
    report = bring(stage, data)
    assert (report.read, report.created, report.rejected) == (532, 500, 8)
    assert report.updated + report.unchanged == 24
    assert {reject.reason for reject in report.rejects} == {"bad_email", "no_name_and_no_email", "column_count"}
    assert bring(stage, data).counts() == {"read": 532, "created": 0, "updated": 0, "unchanged": 524, "rejected": 8}
