"""The audit's terminal."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit import cli
from runtime import terminal
from runtime.platform import Platform
from tests.audit.world import SUBJECT, World

ROOT = Path(__file__).resolve().parents[2]
runner = CliRunner()


@pytest.fixture
def exported(world: World, tmp_path: Path) -> tuple[Path, Path]:
    world.journey()
    bundle, key = tmp_path / "bundle.zip", tmp_path / "log.vkey"
    bundle.write_bytes(world.export())
    key.write_text(world.log.vkey + "\n")
    return bundle, key


def test_a_valid_bundle_exits_with_0(world: World, exported: tuple[Path, Path]) -> None:
    bundle, key = exported
    for given in (str(key), world.log.vkey):
        done = runner.invoke(cli.app, ["verify", str(bundle), "--log-key", given])
        assert done.exit_code == 0, done.output
        assert "The bundle is valid." in done.output


def test_a_changed_bundle_exits_with_1_and_names_the_check(exported: tuple[Path, Path]) -> None:
    bundle, key = exported
    data = bytearray(bundle.read_bytes())
    data[200] ^= 1
    bundle.write_bytes(data)
    done = runner.invoke(cli.app, ["verify", str(bundle), "--log-key", str(key), "--json"])
    found = json.loads(done.output)
    assert done.exit_code == 1
    assert (found["status"], found["verdict"]) == (1, "invalid")
    assert found["checks"][-1]["outcome"] == "failed"


def test_an_incomplete_bundle_exits_with_2(world: World, tmp_path: Path) -> None:
    world.collect("contact.email")
    world.enrol()
    world.withdraw(world.consent(["contact.email"]))
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(world.export())
    done = runner.invoke(cli.app, ["verify", str(bundle), "--log-key", world.log.vkey])
    assert done.exit_code == 2
    assert "disposition_missing" in done.output


@pytest.mark.parametrize("key", ["no/such/file", "x" * 5000, "\0"])
def test_what_cannot_be_read_exits_with_1(exported: tuple[Path, Path], key: str) -> None:
    bundle, _ = exported
    assert runner.invoke(cli.app, ["verify", str(bundle), "--log-key", key]).exit_code == 1
    assert runner.invoke(cli.app, ["verify", str(bundle.parent), "--log-key", key]).exit_code == 1
    assert runner.invoke(cli.app, ["verify", str(bundle) + "x", "--log-key", key]).exit_code == 1


def test_a_key_file_that_is_no_text_exits_with_1(exported: tuple[Path, Path]) -> None:
    bundle, key = exported
    key.write_bytes(b"\xff\xfe")
    assert runner.invoke(cli.app, ["verify", str(bundle), "--log-key", str(key)]).exit_code == 1


def test_text_out_of_a_bundle_cannot_play_with_the_terminal() -> None:
    assert cli._plain("\x1b[31m[red]x") == "?\\[31m\\[red]x"


def test_verifying_loads_no_package_of_the_organisation(exported: tuple[Path, Path]) -> None:
    bundle, key = exported
    program = (
        "import sys\n"
        "from audit.cli import app\n"
        f"try: app(['verify', {str(bundle)!r}, '--log-key', {str(key)!r}], standalone_mode=False)\n"
        "finally: print(sorted({name.partition('.')[0] for name in sys.modules} & {'runtime', 'issuer', 'verifier', "
        "'crm_core', 'redaction', 'wallet', 'fieldgrant', 'sqlalchemy', 'sqlmodel', 'fastapi', 'httpx'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_exporting_from_the_terminal(world: World, tmp_path: Path) -> None:
    world.journey()
    opened: list[tuple[Path | None, Path | None]] = []

    @contextmanager
    def open_platform(data: Path | None, keys: Path | None) -> Iterator[Platform]:
        opened.append((data, keys))
        with terminal.one_line():
            yield world.platform

    app = cli.build_app(open_platform=open_platform, credentials=world.credentials)
    out = tmp_path / "out" / "bundle.zip"
    where = ["--data", str(tmp_path / "data"), "--keys", str(tmp_path / "keys")]
    done = runner.invoke(app, ["export", "--subject", SUBJECT, "--field", "contact.email", str(out), *where])
    assert done.exit_code == 0, done.output
    assert opened == [(tmp_path / "data", tmp_path / "keys")]
    key = runner.invoke(app, ["key", *where]).output.strip()
    assert key == world.log.vkey
    assert runner.invoke(app, ["verify", str(out), "--log-key", key]).exit_code == 0
    done = runner.invoke(app, ["export", "--subject", "sub_nobody", str(out), *where])
    assert done.exit_code == 1
    assert "unknown_subject" in done.output
    done = runner.invoke(app, ["export", "--subject", SUBJECT, "--field", "contact.nix", str(out), *where])
    assert done.exit_code == 1
    assert "unknown_field" in done.output


def test_without_a_platform_there_is_verify_alone() -> None:
    assert runner.invoke(cli.app, ["export", "--subject", "x", "y"]).exit_code == 2
    assert runner.invoke(cli.app, ["--help"]).output.count("export") == 0
