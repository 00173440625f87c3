"""The terminal."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from redaction import app as edge
from redaction import archive_cli, cli, clock_cli, worker
from redaction.worker import Pass
from runtime import staff
from runtime.keyring import bucket_of
from tests.redaction.test_app import PASSWORD
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, VALUES, World, settle

TERMINAL = CliRunner()


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "real")
    yield made
    made.platform.close()


@pytest.fixture
def where(real: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "200")
    return ["--data", str(real.settings.data_dir), "--keys", str(real.settings.keys_dir)]


def test_run_once_carries_everything_to_its_end(real: World, where: list[str]) -> None:
    who = real.customer()
    real.withdraw(who, real.consent(who, (PHONE, EMAIL, CITY)))
    done = TERMINAL.invoke(cli.app, ["run-once", *where])
    assert (done.exit_code, done.output.strip()) == (0, "planned 1, finished 1, restored 0, destroyed 0")
    assert real.readable(who) == {GIVEN: VALUES[GIVEN]}


def test_run_once_says_what_is_left(real: World, where: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    left = Pass(planned=0, finished=0, restored=0, failed=1, left=2)
    monkeypatch.setattr(worker, "run_once", lambda platform, chosen: left)
    done = TERMINAL.invoke(cli.app, ["run-once", "--timeout", "0.1", *where])
    assert done.exit_code == 1
    assert "2 still under way, 1 steps failed at the last try" in done.output


def test_status_shows_jobs_fields_and_the_measured_time(real: World, where: list[str]) -> None:
    who = real.customer()
    real.withdraw(who, real.consent(who, (PHONE, EMAIL)))
    assert TERMINAL.invoke(cli.app, ["run-once", *where]).exit_code == 0
    shown = TERMINAL.invoke(cli.app, ["status", *where])
    assert shown.exit_code == 0
    for text in ("jobs done", "fields: seal", "fields: shred", "fields in the archive", "withdrawal to destroyed key"):
        assert text in shown.output
    assert not any(value in shown.output for value in VALUES.values())


def test_keys_status_shows_a_summary_and_on_request_each_bucket(real: World, where: list[str]) -> None:
    who = real.customer()
    assert "never" in TERMINAL.invoke(cli.keys_app, ["status", "--all", *where]).output
    real.withdraw(who, real.consent(who, [PHONE]))
    assert TERMINAL.invoke(cli.app, ["run-once", *where]).exit_code == 0
    real.platform.keyring.begin_rotation(bucket_of(who.subject))  # as a rotation that was cut off leaves it
    short = TERMINAL.invoke(cli.keys_app, ["status", *where])
    assert (short.exit_code, "rotating now" in short.output, "2, 3 (rotating)" in short.output) == (0, True, False)
    assert "withdrawal to destroyed key, longest" in short.output
    assert "2, 3 (rotating)" in TERMINAL.invoke(cli.keys_app, ["status", "--all", *where]).output
    found = json.loads(TERMINAL.invoke(cli.keys_app, ["status", "--json", *where]).output)
    assert (found["summary"]["rotating"], found["summary"]["data_keys"], found["shred"]["count"]) == (1, 1, 1)
    assert "buckets" not in found
    assert len(json.loads(TERMINAL.invoke(cli.keys_app, ["status", "--json", "--all", *where]).output)["buckets"]) == 1


def test_the_private_halves_lie_with_the_officer_and_a_restore_waits_for_them(real: World, where: list[str]) -> None:
    who, file = real.customer(), real.settings.home / "p3y.fgkeys"
    real.withdraw(who, real.consent(who, [EMAIL]))
    settle(real)
    secret = "an officer's long passphrase\n"
    done = TERMINAL.invoke(cli.app, ["archive", "hand-over", "P3Y-claims", "--to", str(file), *where], input=secret * 2)
    assert done.exit_code == 0, done.output
    assert json.loads(TERMINAL.invoke(cli.app, ["archive", "list", "--json", *where]).output)["keys"][0] | {
        "key": "", "ends_at": "",
    } == {"key": "", "period": "P3Y-claims", "ends_at": "", "private": "officer", "boxes": 1}  # fmt: skip
    real.consent(who, [EMAIL])
    settle(real)
    assert EMAIL not in real.readable(who)
    shown = TERMINAL.invoke(cli.app, ["status", *where]).output
    assert "fields waiting for an archive key" in shown
    bad = TERMINAL.invoke(cli.app, ["archive", "bring-back", str(file), *where], input="something else\n")
    assert (bad.exit_code, "wrong_passphrase" in bad.output) == (1, True)
    back = TERMINAL.invoke(cli.app, ["archive", "bring-back", str(file), *where], input=secret)
    assert back.exit_code == 0, back.output
    settle(real)
    assert real.readable(who)[EMAIL] == VALUES[EMAIL]
    assert [one.records[0][1]["to"] for one in real.events("archive.moved")] == ["officer", "key-ring"]
    assert "officer" not in file.read_text()


def test_what_cannot_be_handed_over_is_one_line(real: World, where: list[str]) -> None:
    file = str(real.settings.home / "halves")
    done = TERMINAL.invoke(cli.app, ["archive", "hand-over", "P9Y", "--to", file, *where])
    assert (done.exit_code, done.output.strip().splitlines()[-1].startswith("fieldgrant: key_gone")) == (1, True)
    real.platform.keyring.archive.public("P9Y~2030-01-01")
    done = TERMINAL.invoke(cli.app, ["archive", "hand-over", "P9Y", "--to", file, *where], input="short\nshort\n")
    assert "weak_passphrase" in done.output
    assert real.platform.keyring.archive.at_hand("P9Y~2030-01-01")
    Path(file).write_text("{}")
    done = TERMINAL.invoke(cli.app, ["archive", "bring-back", file, *where], input="x\n")
    assert "bad_key_file" in done.output
    assert "P9Y~2030-01-01" in TERMINAL.invoke(cli.app, ["archive", "list", *where]).output


@pytest.fixture
def served(real: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The platform's routes, reached by the terminal's client."""
    for account, role in (("dora", "dpo"), ("otto", "dpo")):
        with real.platform.database.write("owner") as session:
            staff.create_account(
                session, real.platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                at=real.now(),
            )  # fmt: skip
    routes = edge.create(real.platform)
    monkeypatch.setattr(
        archive_cli.httpx, "Client", lambda **options: TestClient(routes, base_url=str(options["base_url"]))
    )
    return real


def test_two_officers_open_a_box_from_their_terminals(served: World) -> None:
    who = served.customer()
    served.withdraw(who, served.consent(who, [EMAIL]))
    settle(served)

    def run(account: str, *words: str) -> dict[str, str]:
        done = TERMINAL.invoke(cli.app, ["archive", "open", "--account", account, *words], input=f"{PASSWORD}\n")
        assert PASSWORD not in done.output
        lines = done.output.strip().splitlines()
        return json.loads(lines[-1]) if done.exit_code == 0 else {"refused": lines[-1]}

    paper = ("--legal-ground", "GDPR art. 17(3)(e)", "--evidence", "Court file 7 O 12/26")
    id_ = run("dora", "--subject", who.subject, "--field", EMAIL, *paper)["id"]
    assert "own_request" in run("dora", "--approve", id_)["refused"]
    assert run("otto", "--approve", id_)["state"] == "approved"
    assert run("dora", "--request", id_)["value"] == VALUES[EMAIL]
    assert "already_used" in run("dora", "--request", id_)["refused"]


def test_two_officers_end_a_period_from_their_terminals(served: World) -> None:
    served.platform.keyring.archive.public("P3Y-claims~2030-01-01")

    def run(account: str, *words: str) -> dict[str, str]:
        words = ("archive", "destroy-period", "--account", account, *words)
        done = TERMINAL.invoke(cli.app, list(words), input=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output
        return json.loads(done.output.strip().splitlines()[-1])

    id_ = run("dora", "P3Y-claims", "--legal-ground", "PIPL art. 47", "--evidence", "Decision 2026-14")["id"]
    run("otto", "--approve", id_)
    assert run("dora", "--request", id_)["keys"] == ["P3Y-claims~2030-01-01"]


def test_no_password_goes_to_a_server_in_clear(served: World) -> None:
    words = ["archive", "open", "--account", "dora", "--server", "http://crm.example.com", "--approve", "x"]
    done = TERMINAL.invoke(cli.app, words)
    assert "insecure_url" in done.output


def test_a_person_confirms_the_clock_and_it_is_on_record(real: World, where: list[str]) -> None:
    with real.platform.database.write("owner") as session:
        for account, role in (("dora", "dpo"), ("mei", "marketing")):
            staff.create_account(
                session, real.platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                at=real.now(),
            )  # fmt: skip

    def confirm(account: str) -> Result:
        words = ["confirm", "--account", account, "--why", "checked against my watch", *where]
        return TERMINAL.invoke(clock_cli.app, words, input=f"{PASSWORD}\n")

    assert TERMINAL.invoke(clock_cli.app, ["status", *where]).exit_code == 0
    assert "not_paused" in confirm("dora").output
    who = real.customer()
    real.withdraw(who, real.consent(who, [PHONE]))
    real.settings.clock_file.write_text("2026-01-01T00:00:00.000Z")  # long ago: as if the machine had been off
    assert TERMINAL.invoke(cli.app, ["run-once", *where]).exit_code == 1
    assert PHONE in real.readable(who)
    assert "fieldgrant clock confirm" in TERMINAL.invoke(cli.app, ["status", *where]).output
    assert TERMINAL.invoke(clock_cli.app, ["status", *where]).exit_code == 1
    assert "role" in confirm("mei").output
    assert confirm("dora").exit_code == 0
    (told,) = real.events("clock.confirmed")
    assert (told.records[0][1]["by"], told.records[0][1]["reason"]) == ("dora", "checked against my watch")
    done = TERMINAL.invoke(cli.app, ["run-once", *where])
    assert done.exit_code == 0, done.output
    assert PHONE not in real.readable(who)


def test_a_missing_platform_is_one_line(tmp_path: Path) -> None:
    done = TERMINAL.invoke(cli.app, ["status", "--data", str(tmp_path / "no"), "--keys", str(tmp_path / "keys")])
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1
    assert done.output.startswith("fieldgrant: ")


@pytest.mark.parametrize("word", ["run-once", "status"])
def test_help_shows_an_example(word: str) -> None:
    assert "Example: fieldgrant redaction" in TERMINAL.invoke(cli.app, [word, "--help"]).output
    assert "Example: fieldgrant keys" in TERMINAL.invoke(cli.keys_app, ["status", "--help"]).output
