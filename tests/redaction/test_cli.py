"""The terminal."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from redaction import cli, worker
from redaction.worker import Pass
from runtime.keyring import bucket_of
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, VALUES, World

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
    assert (done.exit_code, done.output.strip()) == (0, "planned 1, finished 1, restored 0")
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


def test_keys_status_shows_epochs_and_ages(real: World, where: list[str]) -> None:
    who = real.customer()
    before = TERMINAL.invoke(cli.keys_app, ["status", *where])
    assert "never" in before.output
    real.withdraw(who, real.consent(who, [PHONE]))
    assert TERMINAL.invoke(cli.app, ["run-once", *where]).exit_code == 0
    real.platform.keyring.begin_rotation(bucket_of(who.subject))  # as a rotation that was cut off leaves it
    after = TERMINAL.invoke(cli.keys_app, ["status", *where])
    assert after.exit_code == 0
    assert "2, 3 (rotating)" in after.output
    assert "withdrawal to destroyed key, longest" in after.output


def test_a_missing_platform_is_one_line(tmp_path: Path) -> None:
    done = TERMINAL.invoke(cli.app, ["status", "--data", str(tmp_path / "no"), "--keys", str(tmp_path / "keys")])
    assert done.exit_code == 1
    assert len(done.output.strip().splitlines()) == 1
    assert done.output.startswith("fieldgrant: ")


@pytest.mark.parametrize("word", ["run-once", "status"])
def test_help_shows_an_example(word: str) -> None:
    assert "Example: fieldgrant redaction" in TERMINAL.invoke(cli.app, [word, "--help"]).output
    assert "Example: fieldgrant keys" in TERMINAL.invoke(cli.keys_app, ["status", "--help"]).output
