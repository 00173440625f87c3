"""The command line: helpful, calm about mistakes, and light where an auditor runs it."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
from typer.testing import CliRunner

from fieldgrant import cli, compose
from fieldgrant.compose import PARTIES
from fieldgrant.demo.stage import Stage, free_ports
from runtime.platform import Platform

SERVER_PACKAGES = {"runtime", "issuer", "verifier", "crm_core", "redaction", "fastapi", "sqlmodel", "sqlalchemy"}
TRACE = "Traceback"


def run(*words: str, cwd: Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line as people do, in a process of its own."""
    how = ("-m", "fieldgrant") if code is None else ("-c", code)
    return subprocess.run(
        [sys.executable, *how, *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What was told to standard error, which has to be one line and the command's own."""
    assert TRACE not in done.stdout + done.stderr
    told = done.stderr.strip().splitlines()
    assert len(told) == 1, done.stderr
    assert told[0].startswith("fieldgrant: ")
    return told[0]


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command that does something, as the words to type."""
    for name, one in getattr(command, "commands", {}).items():
        yield from leaves(one, (*path, name))
    if not hasattr(command, "commands"):
        yield path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """An organisation with its accounts; nothing runs yet."""
    home = tmp_path_factory.mktemp("home")
    made = Stage(home, home / "letters", dict(zip(PARTIES, free_ports(len(PARTIES)), strict=True)))
    made.build()
    return made


# -- help


def test_help_names_every_command() -> None:
    told = CliRunner().invoke(cli.build(None), ["--help"], env={"COLUMNS": "200"})
    assert told.exit_code == 0
    for name in cli.COMMANDS:
        assert re.search(rf"^\W+{name} ", told.output, re.MULTILINE), name


def test_a_bare_command_shows_help_and_no_trace(tmp_path: Path) -> None:
    done = run(cwd=tmp_path)
    assert "Usage:" in done.stdout + done.stderr
    assert TRACE not in done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted(leaves(typer.main.get_command(cli.build(None)))), ids=" ".join)
def test_each_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    told = CliRunner().invoke(cli.build(path[0]), [*path, "--help"], env={"COLUMNS": "200"}, prog_name="fieldgrant")
    assert told.exit_code == 0
    usage, _, rest = told.output.partition("\n")[2].partition("\n")
    assert "Usage" in told.output.splitlines()[1], usage
    assert f"fieldgrant {' '.join(path)}" in rest.replace("\n", " "), "no example"
    assert str(Path(__file__).parents[2]) not in told.output, "a path of this machine"


# -- the auditor's command


def test_audit_verify_brings_in_no_server_package(tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_bytes(b"not a bundle")
    (tmp_path / "log.vkey").write_text("nor a key")
    code = (
        "import sys\n"
        "from fieldgrant.cli import main\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    print('status', end.code)\n"
        "    print('roots', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = run("audit", "verify", "bundle.zip", "--log-key", "log.vkey", cwd=tmp_path, code=code)
    assert "status 1" in done.stdout, done.stderr
    roots = set(done.stdout.rpartition("roots ")[2].split())
    assert "audit" in roots
    assert "protocol" in roots
    assert not roots & SERVER_PACKAGES


# -- mistakes


@pytest.mark.parametrize(
    "words",
    [
        ("serve",),
        ("staff", "list"),
        ("staff", "add", "mei", "--role", "marketing"),
        ("redaction", "status"),
        ("keys", "status"),
        ("reconcile",),
        ("audit", "export", "--subject", "sub_a", "out.zip"),
    ],
    ids=" ".join,
)
def test_a_missing_data_directory_is_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*words, "--data", "nowhere/data", "--keys", "nowhere/keys", cwd=tmp_path)
    assert done.returncode == 1
    one_line(done)
    assert not (tmp_path / "nowhere").exists()


def test_a_port_in_use_is_one_line_that_says_what_to_do(stage: Stage, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = stage.settings
        where = ("--data", str(settings.data_dir), "--keys", str(settings.keys_dir))
        for more in (where, ()):  # also before the demo's data is made for that port
            done = run("serve", "--port", str(port), *more, cwd=tmp_path)
            assert done.returncode == 1
            told = one_line(done)
            assert str(port) in told
            assert "--port" in told
    assert not list(tmp_path.iterdir())


def test_a_stranger_among_the_parties_is_named(stage: Stage, tmp_path: Path) -> None:
    done = run("serve", "--only", "nobody", "--data", str(stage.settings.data_dir), cwd=tmp_path)
    assert done.returncode == 2
    assert "nobody is not a party: issuer, crm, verifier, redaction, audit" in done.stderr
    assert TRACE not in done.stderr


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    init = ("init", "--admin", "ada", "--base-url", "http://localhost:1", "--data", "file/data", "--keys", "file/keys")
    for words in (init, ("demo", "--out", "file/demo")):
        done = run(*words, cwd=tmp_path)
        assert done.returncode == 1
        assert "file" in one_line(done)


def test_a_public_address_without_https_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    places = ("--data", "fg/data", "--keys", "fg/keys")
    done = run("init", "--admin", "ada", "--base-url", "http://crm.example.com", *places, cwd=tmp_path)
    assert done.returncode == 1
    assert "https://" in one_line(done)
    assert not list(tmp_path.iterdir())


def test_an_unknown_command_is_no_trace(tmp_path: Path) -> None:
    done = run("nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr
    assert TRACE not in done.stderr


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no_headings"),
        (b"colour,size\nred,7\n", "no_known_columns"),
        (b"First Name\n\xff\xfe\x00\x81", "bad_encoding"),
        (b"First Name,Last Name,Email,Phone,City\nAda,Lee,ada@example.org,+1 503 555 0101,Oslo\n", "needs four rows"),
    ],
    ids=["empty", "no known column", "not text", "no rows that fit"],
)
def test_contacts_that_will_not_do_are_one_line_and_leave_an_earlier_demo_alone(
    content: bytes, told: str, tmp_path: Path
) -> None:
    (tmp_path / "contacts.csv").write_bytes(content)
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "journey.json").write_text("{}")
    done = run("demo", "--contacts", "contacts.csv", "--out", "earlier", cwd=tmp_path)
    assert done.returncode == 1
    assert told in one_line(done)
    assert (tmp_path / "earlier" / "journey.json").read_text() == "{}"


def test_contacts_that_are_not_there_are_named(tmp_path: Path) -> None:
    done = run("demo", "--contacts", "gone.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "'gone.csv' does not exist" in done.stderr
    assert TRACE not in done.stderr


# -- what is served


@pytest.mark.slow
def test_each_party_starts_alone_and_says_that_it_is_well(stage: Stage) -> None:
    try:
        stage.start()
        for party in PARTIES:
            answer = httpx.get(f"{stage.url(party)}/health", timeout=30)
            assert answer.status_code == 200
            assert answer.json()["parties"] == [party]
            others = {path.split("/")[1] for path in httpx.get(f"{stage.url(party)}/openapi.json").json()["paths"]}
            assert party in others
            assert not others & ({*PARTIES} - {party})
    finally:
        stage.stop()


def test_every_route_has_a_summary_and_a_description(stage: Stage) -> None:
    platform = Platform.open(stage.settings)
    try:
        paths = compose.app(compose.house(platform), PARTIES).openapi()["paths"]
    finally:
        platform.close()
    bare = [
        f"{verb} {path}"
        for path, verbs in paths.items()
        for verb, said in verbs.items()
        if not said.get("summary") or not said.get("description")
    ]
    assert len(paths) > 40
    assert not bare
