"""Looking at a file before it is imported, hearing how far an import has come, and taking it back, over HTTP."""

import json
from typing import Any

import pytest

from crm_core.imports import importer, preview, telling

CSV = b"First Name,Email,Shoe size\nWei,wei@x.example,42\nAda,broken,\n"
EMAIL, NAME = "contact.email", "contact.given_name"


def post(client: Any, path: str, data: bytes = CSV, kind: str = "text/csv", **more: Any) -> Any:
    headers = {"content-type": kind, **more.pop("headers", {})}
    return client.post(path, content=data, headers=headers, **more)


def look(client: Any, data: bytes = CSV, **more: Any) -> Any:
    answer = post(client, "/crm/imports/preview", data, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_preview_says_which_column_is_which_and_what_would_be_rejected(stage: Any) -> None:
    found = look(stage.client("dpo"))
    assert (found["format"], found["encoding"]) == ("csv", "UTF-8")
    assert [(one["heading"], one["field"]) for one in found["columns"]] == [
        ("First Name", NAME), ("Email", EMAIL), ("Shoe size", None),
    ]  # fmt: skip
    assert [(one["row"], one["fault"], one["column"]) for one in found["rows"]] == [
        (1, None, None), (2, "bad_email", "Email"),
    ]  # fmt: skip
    named = look(stage.client("dpo", "dan"), params={"map": ["Shoe size=contact.other_phones", "Email="]})
    assert [one["field"] for one in named["columns"]] == [NAME, None, "contact.other_phones"]


def test_a_preview_shows_values_only_of_fields_that_the_importers_role_may_act_for(stage: Any) -> None:
    columns = (*look(stage.client("dpo"))["rows"][0]["cells"],)
    assert columns[0] == {"value": "Wei", "looks": "text"}
    assert columns[2] == {"value": None, "looks": "number"}  # nobody knows what it is
    hidden = look(stage.client("admin"))
    assert [cell for row in hidden["rows"] for cell in row["cells"] if cell["value"] is not None] == []
    assert [cell["looks"] for cell in hidden["rows"][0]["cells"]] == ["text", "email", "number"]
    assert "wei@x.example" not in json.dumps(hidden)


def test_a_preview_changes_nothing_and_leaves_nothing(stage: Any) -> None:
    look(stage.client("dpo"))
    assert stage.client("dpo", "dan").get("/crm/imports").json()["items"] == []
    assert not stage.events("value.collected")
    spool = stage.platform.settings.data_dir / "spool"
    assert not spool.exists() or not list(spool.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_the_beginning_of_a_larger_file_is_enough(stage: Any, encoding: str) -> None:
    lines = "名,邮箱\n" + "".join(f"王伟{n},n{n}@x.example\n" for n in range(40_000))
    found = look(stage.client("dpo"), lines.encode(encoding)[: preview.MAX_BYTES])
    assert [one["field"] for one in found["columns"]] == [NAME, EMAIL]
    assert [one["fault"] for one in found["rows"]] == [None] * preview.ROWS


def test_cards_and_lines_have_a_preview_too(stage: Any) -> None:
    cards = b"BEGIN:VCARD\nVERSION:4.0\nFN:Li Wei\nN:Li;Wei;;;\nEMAIL:li@x.example\nEND:VCARD\n" * 8_000
    found = look(stage.client("dpo"), cards[: preview.MAX_BYTES], kind="text/vcard")
    assert found["format"] == "vcard"
    assert EMAIL in [one["field"] for one in found["columns"]]
    found = look(
        stage.client("dpo", "dan"), b'{"email": "a@x.example", "x": [1]}\n{"name": 3}\n{', kind="application/jsonl"
    )
    assert EMAIL in [one["field"] for one in found["columns"]]


def test_what_is_no_such_file_is_refused_as_an_import_refuses_it(stage: Any) -> None:
    client = stage.client("dpo")
    for data, code in ((b"", "no_headings"), (b"PK\x03\x04rest", "not_text"), (b"\xff\xfe\x00", "bad_encoding")):
        assert post(client, "/crm/imports/preview", data).json()["code"] == code
    too_large = post(client, "/crm/imports/preview", b"x" * (preview.MAX_BYTES + 1))
    assert (too_large.status_code, too_large.json()["code"]) == (413, "too_large")


def test_an_import_tells_how_far_it_has_come_and_ends_with_its_report(stage: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(telling, "_EVERY", 0.0)
    data = b"First Name,Email\n" + b"".join(b"N%d,n%d@x.example\n" % (n, n) for n in range(1_200))
    answer = post(stage.client("admin"), "/crm/imports", data, headers={"accept": "application/jsonl"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines[-1]["report"]["created"] == 1_200
    done = [line["done"] for line in lines[:-1] if line["doing"] == "Sealing customers"]
    assert done == sorted(done)
    assert (len(done) > 1, done[-1]) == (True, 1_200)


def test_what_goes_wrong_meanwhile_is_the_last_line(stage: Any, monkeypatch: Any) -> None:
    asked = {"accept": "application/jsonl"}
    broken = post(stage.client("admin"), "/crm/imports", b'First Name\n"never', headers=asked)
    assert json.loads(broken.text.splitlines()[-1])["problem"]["code"] == "bad_csv"

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("Wei Li")

    monkeypatch.setattr(importer, "run", fails)
    monkeypatch.setattr("threading.excepthook", lambda _: None)
    failed = post(stage.client("admin", "ann"), "/crm/imports", headers=asked)
    assert json.loads(failed.text.splitlines()[-1])["problem"]["code"] == "internal_error"
    assert "Wei" not in failed.text


def test_an_import_is_taken_back_once_and_the_record_says_by_whom(stage: Any) -> None:
    client = stage.client("dpo")
    run = post(client, "/crm/imports").json()["run"]
    assert [(one["id"], one["undoable"]) for one in client.get("/crm/imports").json()["items"]] == [(run, True)]
    undone = client.post(f"/crm/imports/{run}/undo")
    assert undone.json() == {"run": run, "removed": 1, "restored": 0, "kept": 0}
    (told,) = [one for one in stage.events("import.undone") if one.header]
    assert told.header["role"] == "dpo"
    (listed,) = client.get("/crm/imports").json()["items"]
    assert (listed["state"], listed["undoable"]) == ("undone", False)
    again = client.post(f"/crm/imports/{run}/undo")
    assert (again.status_code, again.json()["code"]) == (409, "not_undoable")
    assert client.post("/crm/imports/imp_x/undo").json()["code"] == "unknown_run"


@pytest.mark.parametrize("role", ["sales", "auditor", "steward"])
def test_others_neither_look_nor_take_back(stage: Any, role: str) -> None:
    client = stage.client(role)
    for path in ("/crm/imports/preview", "/crm/imports/imp_x/undo"):
        answer = post(client, path)
        assert (answer.status_code, answer.json()["code"]) == (403, "role")
