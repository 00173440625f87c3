"""`fieldgrant crm import` in a terminal."""

import json
import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crm_core import records
from crm_core.cli import app
from crm_core.imports import ask as import_ask

CSV = "First Name,Email,City\nWei,wei@example.com,Leeds\nAnn,broken,Leeds\n"


@pytest.fixture
def run(stage, tmp_path):
    data, keys = stage.platform.settings.data_dir, stage.platform.settings.keys_dir

    def run(*args, csv=CSV):
        file = tmp_path / "contacts.csv"
        if csv is not None:
            file.write_text(csv, encoding="utf-8")
        named = [] if csv is None else [str(file)]
        return CliRunner().invoke(app, ["import", *named, "--data", str(data), "--keys", str(keys), *args])

    return run


def test_the_last_line_with_json_is_the_five_counts(run):
    result = run("--json")
    assert result.exit_code == 0
    counts = json.loads(result.stdout.splitlines()[-1])
    assert counts == {"read": 2, "created": 1, "updated": 0, "unchanged": 0, "rejected": 1}
    assert "--undo imp_" in result.stderr  # standard output is for the program that reads it


def test_people_are_told_the_counts_and_the_rejected_rows_without_their_values(run):
    result = run(csv=CSV + "Bob,broken\n" * 30)
    assert result.exit_code == 0
    assert "created" in result.stdout
    assert "row 2, column Email: bad_email" in result.stdout
    assert "… and 11 more" in result.stdout
    assert "wei@" not in result.output


def test_columns_are_mapped_by_hand(run):
    result = run("--json", "--map", "Wer=contact.given_name", "--map", "Ort=", csv="Wer,Ort\nWei,Leeds\n")
    assert json.loads(result.stdout.splitlines()[-1])["created"] == 1


@pytest.mark.parametrize(
    ("args", "csv", "message"),
    [
        (["--match", "shoe-size"], CSV, "unknown_rule"),
        (["--format", "xlsx"], CSV, "unknown_format"),
        (["--encoding", "rot13"], CSV, "unknown_encoding"),
        (["--undo", "imp_x"], CSV, "not both"),
        (["--map", "Email"], CSV, "--map wants COLUMN=FIELD"),
        (
            ["--map", "Email=contact.emial"],
            CSV,
            "'contact.emial', which is no field of customers; did you mean contact.email",
        ),
        (["--map", "Email=ticket.body"], CSV, "a field of tickets"),
        (["--map", "Email=moon.age"], CSV, "`fieldgrant crm fields` lists them"),
        (["--map", "City=address.city", "--map", "Blue Moon=contact.email"], CSV, "heading of --map: 'Blue Moon'"),
        ([], "a,b\n1,2\n", "no_known_columns"),
        ([], 'Email\n"broken', "bad_csv"),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(run, args, csv, message):
    result = run(*args, csv=csv)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_a_missing_file_or_platform_is_told_in_one_line(tmp_path):
    missing = CliRunner().invoke(app, ["import", str(tmp_path / "none.csv")])
    file = tmp_path / "contacts.csv"
    file.write_text(CSV, encoding="utf-8")
    nowhere = CliRunner().invoke(app, ["import", str(file), "--data", str(tmp_path / "nowhere" / "data")])
    for result in (missing, nowhere):
        assert result.exit_code == 1
        assert len(result.stderr.strip().splitlines()) == 1
    assert not Path(tmp_path / "nowhere").exists()


def test_help_shows_examples():
    result = CliRunner().invoke(app, ["import", "--help"])
    assert "fieldgrant crm import contacts.csv" in result.stdout


def test_the_fields_that_a_column_can_be_mapped_to_are_listed(stage):
    places = ["--data", str(stage.platform.settings.data_dir), "--keys", str(stage.platform.settings.keys_dir)]
    shown = CliRunner().invoke(app, ["fields", *places], env={"COLUMNS": "160"})
    assert shown.exit_code == 0, shown.output
    assert "contact.email" in shown.stdout
    listed = json.loads(CliRunner().invoke(app, ["fields", "--purpose", "marketing", "--json", *places]).stdout)
    assert {"contact.email", "contact.given_name"} <= {one["id"] for one in listed}
    assert all(one["labels"].keys() == {"en", "zh-CN"} for one in listed)
    wrong = CliRunner().invoke(app, ["fields", "--purpose", "moon", *places])
    assert (wrong.exit_code, wrong.stderr.startswith("fieldgrant: unknown_purpose")) == (1, True)


def test_columns_that_nobody_knows_are_named_and_not_lost_in_silence(run):
    csv = "Vorname;Nachname;E-Mail;Haustier;Lieblingsfarbe\nÄnne;Groß;aenne@example.org;Katze;rot\n"
    told = run("--map", "Lieblingsfarbe=", csv=csv).stdout
    assert "'Haustier'" in told
    assert "Lieblingsfarbe" not in told
    assert "Vorname" not in told
    assert "Katze" not in told


def test_headings_are_asked_for_where_a_person_sits_at_the_terminal(stage, tmp_path, monkeypatch):
    monkeypatch.setattr(import_ask, "possible", lambda: True)
    file = tmp_path / "contacts.csv"
    file.write_text("Nmae given,Mial,Haustier\nWei,wei@example.com,Katze\n", encoding="utf-8")
    data, keys = stage.platform.settings.data_dir, stage.platform.settings.keys_dir
    places = ["--data", str(data), "--keys", str(keys)]
    said = CliRunner().invoke(app, ["import", str(file), *places], input="1\nnonsense\ncontact.email\n\n")
    assert said.exit_code == 0, said.output
    assert "There is no such field" in said.output
    assert "3 columns are not known" in said.output
    with stage.platform.database.read() as session:
        (record,) = records.every(session)
        values = records.open_fields(stage.platform, record, tuple(stage.catalogue.fields))
    assert values == {"contact.given_name": "Wei", "contact.email": "wei@example.com"}


def test_nobody_is_asked_where_no_person_sits(run):
    result = run(csv=CSV.replace("City", "Haustier"))
    assert result.exit_code == 0
    assert "'Haustier'" in result.stdout


def test_rejected_values_go_to_a_new_file_of_ones_own_outside_the_platform(run, stage, tmp_path):
    values = tmp_path / "bad.jsonl"
    result = run("--with-values", str(values))
    assert result.exit_code == 0
    assert stat.S_IMODE(values.stat().st_mode) == 0o600
    assert json.loads(values.read_text()) == {
        "row": 2, "column": "Email", "reason": "bad_email",
        "values": {"First Name": "Ann", "Email": "broken", "City": "Leeds"},
    }  # fmt: skip
    assert "broken" not in result.output
    again = run("--with-values", str(values))  # it is there already
    link = tmp_path / "link.jsonl"
    link.symlink_to(tmp_path / "elsewhere.jsonl")
    inside = stage.platform.settings.data_dir / "bad.jsonl"
    door = tmp_path / "door"
    door.symlink_to(stage.platform.settings.keys_dir)
    refused = [again, run("--with-values", str(link)), run("--with-values", str(inside))]
    refused += [run("--with-values", str(door / "bad.jsonl")), run("--merges", str(tmp_path / "no" / "where"))]
    for one in refused:
        assert one.exit_code == 1
        assert len(one.stderr.strip().splitlines()) == 1
    assert "inside_platform" in refused[2].stderr
    assert "inside_platform" in refused[3].stderr
    assert not inside.exists()
    assert os.listdir(stage.platform.settings.keys_dir) == os.listdir(door)


def test_merges_are_written_without_values_and_a_run_is_undone(run, tmp_path):
    merges = tmp_path / "merged.jsonl"
    told = run("--merges", str(merges), csv="First Name,Email\nWei,a@x.example\nAnn,a@x.example\n").stdout
    (line,) = merges.read_text().splitlines()
    assert json.loads(line)["rows"] == [1, 2]
    assert json.loads(line)["differing"] == ["contact.given_name"]
    assert "Wei" not in line
    assert "read as UTF-8 (csv); 1 merges" in told
    run_id = told.partition("--undo ")[2].split()[0]
    undone = run_alone("--undo", run_id, "--json", like=run)
    assert json.loads(undone.stdout)["removed"] == 1
    assert "not_undoable" in run_alone("--undo", run_id, like=run).stderr


def run_alone(*args, like):
    """The command without a file."""
    return like(*args, csv=None)
