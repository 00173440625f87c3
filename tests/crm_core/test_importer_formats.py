"""What is imported: formats, headings, encodings; exports that nobody here made; whatever a stranger may send."""

import base64
import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crm_core import normal, records
from crm_core.imports import cards, encoding, importer, jsonlines, mapping
from crm_core.imports.importer import Plan
from crm_core.imports.source import of_bytes
from issuer import catalogue as catalogues
from protocol.errors import EvidenceError
from tests.crm_core import exports

CATALOGUE = catalogues.load()
EMAIL, OTHERS, PHONE = "contact.email", "contact.other_emails", "contact.phone"
ATOMIC = Path("/work/shared/data/contacts-atomic-crm.csv")


def bring(stage, data, **more):
    given = of_bytes(data.encode() if isinstance(data, str) else data, **more)
    return importer.run(stage.platform, stage.catalogue, given, source="test", importer=stage.platform.controller)


def stored(stage):
    with stage.platform.database.read() as session:
        return [
            records.open_fields(stage.platform, one, tuple(stage.catalogue.fields)) for one in records.every(session)
        ]


def rows_of(text, columns=None):
    return importer.rows_of(text.encode() if isinstance(text, str) else text, CATALOGUE, columns)


def code_of(data, columns=None):
    with pytest.raises(EvidenceError) as caught:
        rows_of(data, columns)
    assert "\x00" not in str(caught.value)
    return caught.value.code


# -- exports of other programs


@pytest.mark.skipif(not ATOMIC.exists(), reason="the export of Atomic CRM lies beside this checkout")
def test_the_export_of_another_crm_is_taken_and_a_second_time_changes_nothing(stage):
    report = bring(stage, ATOMIC.read_bytes())
    assert (report.read, report.rejected, report.encoding) == (500, 0, "UTF-8")
    assert report.created + report.updated + report.unchanged == 500
    again = bring(stage, ATOMIC.read_bytes())
    assert (again.created, again.updated, again.unchanged) == (0, 0, 500)


def test_a_hubspot_export_with_all_its_nastiness(stage):
    report = bring(stage, exports.hubspot(40))
    assert (report.rejected, report.created, report.updated, report.unchanged) == (0, 40, 5, 0)
    assert report.left_out == ("Record ID", "Contact owner")
    by_email = {values[EMAIL]: values for values in stored(stage)}
    third = by_email["person3@example.org"]
    assert third["contact.given_name"] == "=cmd|' /C calc'!A0"  # as it is: what is written out neutralises it
    assert len(third["interaction.note"]) > 10_000
    sixth = by_email["person6@example.org"]
    assert sixth[OTHERS] == ["p6@work.example", "p6@home.example", "third6@example.net"]
    assert sixth["contact.other_phones"] == ["2125550006"]
    assert sixth["identity.customer_number"] == "K-00006"
    assert sixth["contact.birth_date"] == "1956-07-16"
    assert sixth["address.street"] == '6 Main St., Apt "6"'
    again = bring(stage, exports.hubspot(40))
    assert (again.created, again.updated, again.unchanged) == (0, 0, 45)


def test_a_salesforce_export_parted_by_semicolons(stage):
    report = bring(stage, exports.salesforce(12))
    assert (report.created, report.rejected, report.left_out) == (12, 0, ("Lead Source",))
    values = next(one for one in stored(stage) if one[EMAIL] == "sf2@example.com")
    assert values["contact.salutation"] == "Ms."
    assert values["employment.department"] == "R&D"
    assert values["address.street"] == "2 南京路\nSecond line"
    assert (values["address.region"], values["address.postal_code"]) == ("Bayern", "80002")
    assert values["contact.birth_date"] == "1985-03-14"
    assert values[PHONE] == "004989000002"
    assert values["contact.other_phones"] == ["0890000002"]


def test_every_field_that_is_no_items_is_known_by_its_id_and_its_labels():
    known = mapping.headings_of(CATALOGUE)
    for id_, entry in CATALOGUE.fields.items():
        if entry.item is None:
            for heading in (id_, entry.labels["en"], entry.labels["zh-CN"]):
                assert mapping._plain(heading) in known
        else:
            assert id_ not in known.values()


def test_custom_fields_come_by_their_label_in_either_language_and_in_their_type():
    headings = "Email,车辆识别代号,Mileage,Fault codes,Price in the contract,过敏情况"
    text = f'{headings}\na@b.example,LVS1,"12,345.5",P01;P02,¥1 200,花粉\n'
    (row,) = rows_of(text)
    assert row == {
        EMAIL: "a@b.example",
        "vehicle.vin": "LVS1",
        "vehicle.mileage": 12345.5,
        "vehicle.fault_codes": ["P01", "P02"],
        "contract.amount": 1200,
        "health.allergies": "花粉",
    }


def test_a_field_of_items_cannot_be_mapped():
    assert code_of("Email,Deal\na@b.example,x\n", {"Deal": "deal.title"}) == "unknown_field"


# -- vCard and JSON Lines

CARDS = """BEGIN:VCARD
VERSION:3.0
N;CHARSET=UTF-8:王;伟;;先生;
FN:王伟
ORG:青石物流;采购
item1.EMAIL;TYPE=INTERNET:second@example.com
EMAIL;TYPE=INTERNET,PREF:First@Example.com
TEL;TYPE=CELL:+86 138 0000 0000
TEL;TYPE=HOME:(212) 555-0101 ext. 7
ADR;TYPE=WORK:;;Nanjing Lu 5\\, Bldg 2;上海;SH;200000;中国
BDAY:19850314
NOTE:one line folded
  into two\\, =cmd
PHOTO;ENCODING=b;TYPE=JPEG:{photo}
CATEGORIES:vip,迁移
X-LOYALTY:gold
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Ann 🦊
EMAIL;PREF=2:b@example.net
EMAIL;PREF=1:a@example.net
TEL;VALUE=uri:tel:+49-89-1234
GENDER:F
END:VCARD
BEGIN:VCARD
VERSION:2.1
N;CHARSET=GB18030;ENCODING=QUOTED-PRINTABLE:=C0=EE;=CB=C4
EMAIL:li@example.org
PHOTO;ENCODING=BASE64;TYPE=JPEG:
AAAABBBB
CCCC

END:VCARD
"""


def cards_text():
    photo = base64.b64encode(b"\xff\xd8" * 200_000).decode()
    folded = "\n ".join(photo[start : start + 72] for start in range(0, len(photo), 72))
    return CARDS.replace("{photo}", folded).replace("\n", "\r\n")


def test_vcards_are_read_folded_lines_photos_and_character_sets_included(stage):
    report = bring(stage, cards_text())
    assert (report.created, report.rejected, report.format, report.left_out) == (3, 0, "vcard", ("X-LOYALTY",))
    by_email = {values[EMAIL]: values for values in stored(stage)}
    wei = by_email["first@example.com"]
    assert (wei["contact.given_name"], wei["contact.family_name"], wei["contact.salutation"]) == ("伟", "王", "先生")
    assert wei[OTHERS] == ["second@example.com"]
    assert (wei[PHONE], wei["contact.other_phones"]) == ("+8613800000000", ["2125550101x7"])
    assert (wei["address.street"], wei["address.city"]) == ("Nanjing Lu 5, Bldg 2", "上海")
    assert wei["contact.birth_date"] == "1985-03-14"
    assert wei["interaction.note"] == "one line folded into two, =cmd"
    assert wei["interaction.tags"] == "vip, 迁移"
    assert by_email["a@example.net"][OTHERS] == ["b@example.net"]
    assert by_email["li@example.org"]["contact.family_name"] == "李"
    assert bring(stage, cards_text()).counts()["unchanged"] == 3


@pytest.mark.parametrize(
    ("card", "reason"),
    [
        ("N;CHARSET=zlib_codec;ENCODING=QUOTED-PRINTABLE:x", "bad_charset"),
        ("N;CHARSET=punycode;ENCODING=QUOTED-PRINTABLE:x", "bad_charset"),
        ("BEGIN:VCARD\nN:a;b", "bad_card"),
        ("N;ENCODING=QUOTED-PRINTABLE:=FF=FE", "bad_card"),
        ("NOTE:" + "x" * 300_000, "too_large"),
        ("X-A:1\n" * 3000, "too_large"),
    ],
)
def test_a_hostile_card_is_rejected_and_the_next_one_taken(card, reason):
    text = f"BEGIN:VCARD\nVERSION:3.0\n{card}\nEND:VCARD\nBEGIN:VCARD\nVERSION:3.0\nN:Li;Wei\nEND:VCARD\n"
    found = list(cards.rows(io.StringIO(text)))
    assert found[0] == reason
    assert found[-1] == {"N.given": "Wei", "N.family": "Li"}


@pytest.mark.parametrize("text", ["BEGIN:VCARD\nFN:x\n", "BEGIN:VCARD\nEND:VCARD\nFN:x\n"])
def test_a_file_of_cards_that_breaks_off_is_refused(text):
    assert code_of(text) == "bad_vcard"


def test_json_lines_are_mapped_like_headings_flattened_and_lists_kept(stage):
    lines = [
        {"name": {"first": "伟", "last": "王"}, "emails": ["A@example.org", "b@example.org"],
         "address": {"city": "上海"}},
        {"firstName": "Ann", "contact.email": "ann@example.org", "emails": [{"email": "x@y.example"}], "mileage": 12.5,
         "fault_codes": ["P1", "P2"], "newsletter": True, "extra": {"deep": [1, None]}},
    ]  # fmt: skip
    text = "\n".join(json.dumps(line) for line in lines) + '\n\n{"a": 1, "a": 2}\nnot json\n[1]\n{"email": "\\ud800"}\n'
    report = bring(stage, text)
    assert (report.created, report.rejected, report.format) == (2, 4, "jsonl")
    assert {reject.reason for reject in report.rejects} == {"duplicate_key", "bad_json", "not_an_object", "bad_text"}
    by_email = {values[EMAIL]: values for values in stored(stage)}
    assert by_email["a@example.org"] == {
        "contact.given_name": "伟", "contact.family_name": "王", EMAIL: "a@example.org", OTHERS: ["b@example.org"],
        "address.city": "上海",
    }  # fmt: skip
    ann = by_email["ann@example.org"]
    assert (ann["vehicle.mileage"], ann["preference.newsletter"]) == (12.5, True)
    assert ann["vehicle.fault_codes"] == ["P1", "P2"]
    assert {"extra.deep", "emails.email"} >= set(report.left_out) >= {"extra.deep"}


# -- encodings


@pytest.mark.parametrize(
    ("codec", "shown"),
    [("utf-8", "UTF-8"), ("utf-8-sig", "UTF-8"), ("utf-16", "UTF-16"), ("gb18030", "GB18030")],
)
def test_the_report_says_in_which_encoding_the_file_was_read(stage, codec, shown):
    report = bring(stage, "姓,名,城市\n欧阳,嘉懿,呼和浩特\n".encode(codec))
    assert (report.encoding, report.created) == (shown, 1)


@pytest.mark.parametrize(
    "text",
    ["Vorname,Nachname\nJürgen,Müller\n", "First name,City\nRenée,Orléans\nZoë,Málaga\n", "name,Vorname\nx,Größe\n"],
)
def test_windows_1252_is_not_taken_for_chinese_in_silence(text):
    data = text.encode("windows-1252")
    assert code_of(data) == "bad_encoding"


def test_an_encoding_can_be_named_and_one_that_is_wrong_is_refused(stage):
    data = "Vorname,Nachname\nJürgen,Müller\n".encode("windows-1252")
    report = bring(stage, data, encoding="windows-1252")
    assert (report.created, report.encoding) == (1, "windows-1252")
    assert stored(stage)[0]["contact.family_name"] == "Müller"
    for name, code in {"utf-8": "bad_encoding", "zlib_codec": "unknown_encoding"}.items():
        with pytest.raises(EvidenceError) as caught:
            bring(stage, data, encoding=name)
        assert caught.value.code == code
        assert "ller" not in str(caught.value)


@given(st.text(st.characters(codec="gb2312", min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1))
@settings(max_examples=60, deadline=None)
def test_everyday_chinese_in_gb18030_is_always_recognised(text):
    data = f"姓名\n{text}".encode("gb18030")
    assert encoding.detect(io.BytesIO(data)) in {"gb18030", "utf-8-sig"}


def test_nulls_are_rejected_with_a_reason_and_the_rest_is_taken(stage):
    report = bring(stage, "First Name,City\nWei,a\0b\nAnn,Leeds\n")
    assert (report.created, [(one.row, one.column, one.reason) for one in report.rejects]) == (
        1,
        [(1, "City", "bad_text")],
    )


# -- whatever a stranger may send


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_no_bytes_break_the_reader(data):
    for start in (b"", b"Email,First Name\n", b"BEGIN:VCARD\nVERSION:3.0\n", b'{"email": '):
        with suppress(EvidenceError):
            importer.rows_of(start + data, CATALOGUE)


LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=60)


NAMES = ["N", "ADR", "ORG", "EMAIL;PREF=1", "BDAY", "TEL;TYPE=x", "NOTE;ENCODING=b", "GENDER", 'X-Y;A="', ""]
QUOTED = "NOTE;ENCODING=QUOTED-PRINTABLE"


@given(st.lists(st.tuples(st.sampled_from([*NAMES, QUOTED]), LINE), max_size=8))
@settings(max_examples=150, deadline=None)
def test_no_properties_break_the_reader_of_cards(lines):
    body = "".join(f"{name}:{value}\r\n" for name, value in lines)
    text = f"BEGIN:VCARD\r\nVERSION:3.0\r\n{body}END:VCARD\r\n"
    with suppress(EvidenceError):
        assert all(isinstance(one, str | dict) for one in cards.rows(io.StringIO(text, newline="")))


LEAVES = st.none() | st.booleans() | st.floats(allow_nan=False) | LINE
TREES = st.recursive(
    LEAVES, lambda one: st.lists(one, max_size=3) | st.dictionaries(LINE, one, max_size=3), max_leaves=8
)


@given(TREES)
@settings(max_examples=100, deadline=None)
def test_no_json_breaks_the_reader_of_lines(value):
    (found,) = jsonlines.rows(io.StringIO(json.dumps({"email": value}) + "\n"))
    assert isinstance(found, str | dict)


@given(st.sampled_from(sorted(normal._FORMS)), st.text(max_size=60))
@settings(max_examples=400, deadline=None)
def test_a_normal_form_stays_as_it_is(type_, text):
    with suppress(EvidenceError):
        value = normal.normal(type_, text)
        assert value is None or normal.normal(type_, str(value)) == value


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("date", "1990-02-03", "1990-02-03"), ("date", "19900203", "1990-02-03"), ("date", "3/14/1985", "1985-03-14"),
        ("date", "14.3.1985", "1985-03-14"), ("date", "1985年3月14日", "1985-03-14"),
        ("date", "1985-03-14T10:00:00Z", "1985-03-14"),
        ("number", "1,234.50", 1234.5), ("number", "1.234,5", 1234.5), ("number", "3,5", 3.5), ("number", "80%", 80),
        ("number", "¥1 200", 1200), ("number", "EUR 7", 7), ("number", "-0.25", -0.25), ("number", "1200元", 1200),
    ],
)  # fmt: skip
def test_dates_and_numbers_have_one_spelling(type_, text, value):
    assert normal.normal(type_, text) == value
    assert type(normal.normal(type_, text)) is type(value)


@pytest.mark.parametrize(
    ("type_", "text"),
    [("date", "1990-13-01"), ("date", "25/12/1990"), ("number", "1e9"), ("number", "nan"), ("number", "9" * 30),
     ("number", "12,34,5"), ("datetime", "0001-01-01T00:00:00+14:00")],
)  # fmt: skip
def test_what_is_no_date_or_number_is_refused(type_, text):
    with pytest.raises(EvidenceError) as caught:
        normal.normal(type_, text)
    assert caught.value.code == f"bad_{type_}"


def test_more_values_than_a_person_has_are_refused():
    many = ";".join(f"a{n}@example.org" for n in range(60))
    with pytest.raises(EvidenceError) as caught:
        normal.many("email", normal.parted("email", many))
    assert caught.value.code == "too_many"


def test_an_unknown_heading_has_suggestions():
    assert "contact.family_name" in mapping.suggest(CATALOGUE, "Last nmae")
    assert mapping.suggest(CATALOGUE, "zzzz") == []
    assert mapping.parse(["a=b=contact.email", "Mail:contact.email", "x="]) == {
        "a=b": EMAIL, "Mail": EMAIL, "x": "",
    }  # fmt: skip
    assert Plan().rules == ("email", "phone+name", "customer-number")
