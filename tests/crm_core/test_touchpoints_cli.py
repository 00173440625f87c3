"""Touchpoints at the terminal: two people, each with a password."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crm_core.cli import app
from protocol.keys import Ed25519Signer
from runtime.platform import Platform
from runtime.settings import Settings
from runtime.staff import create_account

RUNNER = CliRunner()
PASSWORD = "correct horse battery"


@pytest.fixture
def where(tmp_path: Path) -> list[str]:
    platform = Platform.create(Settings(home=tmp_path, mail_dir=tmp_path / "mail"))
    with platform.database.write("owner") as session:
        for account, role in (("ada", "admin"), ("dan", "dpo"), ("mei", "marketing")):
            create_account(
                session, platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                at=platform.clock.now(),
            )  # fmt: skip
    platform.close()
    return ["--data", str(platform.settings.data_dir), "--keys", str(platform.settings.keys_dir)]


def run(where: list[str], *words: str, password: str = PASSWORD) -> tuple[int, str]:
    done = RUNNER.invoke(app, ["touchpoint", *words, *where], input=f"{password}\n")
    return done.exit_code, done.stdout.strip() if done.exit_code == 0 else done.output


def test_one_registers_another_approves_and_either_ends(where: list[str]) -> None:
    did = Ed25519Signer.generate().did
    bring = ["--name", "Web form", "--bring", "support:ticket.subject,ticket.body"]
    assert "role" in run(where, "register", did, *bring, "--account", "dan")[1]
    assert "bad_sign_in" in run(where, "register", did, *bring, "--account", "ada", password="wrong")[1]
    code, text = run(where, "register", did, *bring, "--account", "ada")
    assert code == 0, text
    made = json.loads(text.splitlines()[-1])
    assert (made["standing"], made["did"]) == ("draft", did)
    assert "role" in run(where, "approve", made["id"], "--account", "ada")[1]
    assert json.loads(run(where, "approve", made["id"], "--account", "dan")[1].splitlines()[-1])["standing"] == "living"
    assert "role" in run(where, "end", made["id"], "--account", "mei")[1]
    [listed] = json.loads(run(where, "list", "--json")[1])
    assert listed["standing"] == "living"
    assert json.loads(run(where, "end", made["id"], "--account", "dan")[1].splitlines()[-1])["standing"] == "revoked"
    shown = run(where, "list")[1]
    assert made["id"] in shown  # whole, to be copied
    assert "Web form: revoked" in shown
    assert "support: ticket.body, ticket.subject" in shown
    assert "did_used" in run(where, "register", did, *bring, "--account", "ada")[1]


def test_what_cannot_be_is_one_line(where: list[str]) -> None:
    did = Ed25519Signer.generate().did
    for words, expected in (
        (["--name", "X", "--bring", "support"], "PURPOSE:FIELD"),
        (["--name", "X", "--bring", "support:ticket.subject", "--ungrounded", "keep"], "bad_ungrounded"),
        (["--name", "X", "--bring", "support:vehicle.vin"], "field_not_needed"),
        (["--name", "X", "--bring", "invitation:contact.email"], "not_for_collection"),
        (
            ["--name", "X", "--bring", "telemetry:ticket.subject"],
            "unknown_purpose: telemetry; values are collected for",
        ),
        (["--name", "X", "--bring", "support:ticket.moon"], "unknown_field: ticket.moon"),
        (["--name", "小", "--bring", "support:ticket.subject"], "bad_credential"),
        (["--name", "X", "--bring", "support:ticket.subject", "--origin", "https://x.example/page"], "bad_credential"),
    ):
        code, text = run(where, "register", did, *words, "--account", "ada")
        assert code == 1
        assert expected in text
