"""`fieldgrant crm import` in a terminal."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crm_core.cli import app

CSV = "First Name,Email,City\nWei,wei@example.com,Leeds\nAnn,broken,Leeds\n"


@pytest.fixture
def run(stage, tmp_path):
    data, keys = stage.platform.settings.data_dir, stage.platform.settings.keys_dir

    def run(*args, csv=CSV):
        file = tmp_path / "contacts.csv"
        file.write_text(csv, encoding="utf-8")
        return CliRunner().invoke(app, ["import", str(file), "--data", str(data), "--keys", str(keys), *args])

    return run


def test_the_last_line_with_json_is_the_five_counts(run):
    result = run("--json")
    assert result.exit_code == 0
    counts = json.loads(result.stdout.splitlines()[-1])
    assert counts == {"read": 2, "created": 1, "updated": 0, "unchanged": 0, "rejected": 1}


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
        (["--map", "Email"], CSV, "--map wants COLUMN=FIELD"),
        (["--map", "Email=contact.moon"], CSV, "unknown_field"),
        (["--map", "Moon=contact.email"], CSV, "unknown_column"),
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


def test_columns_that_nobody_knows_are_named_and_not_lost_in_silence(run):
    csv = "Vorname;Nachname;E-Mail;Haustier;Lieblingsfarbe\nÄnne;Groß;aenne@example.org;Katze;rot\n"
    told = run("--map", "Lieblingsfarbe=", csv=csv).stdout
    assert "'Haustier'" in told
    assert "Lieblingsfarbe" not in told
    assert "Vorname" not in told
    assert "Katze" not in told
