"""The demo holds, and it believes nobody: with any one protection broken, the step of that protection fails."""

import csv
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nacl.pwhash import argon2id
from rich.console import Console

from audit import verify_chain
from fieldgrant.compose import PARTIES
from fieldgrant.demo import cli
from fieldgrant.demo.journey import Pace, Step
from fieldgrant.demo.stage import Stage, free_ports
from wallet.keystore import Strength

SABOTAGE = Path(__file__).with_name("sabotage.py")
SAMPLE = Path(__file__).parents[2] / "crm_core" / "sample" / "contacts.csv"
ROWS = 60
WEAK = Strength(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
QUICK = Pace(strength=WEAK, seen_before=3, afterwards=0.5)
# What never comes is not waited for long; what does come has time to on a busy machine.
HASTY = Pace(strength=WEAK, seen_before=3, afterwards=0.5, patience=12)
# Each reader's last read before the withdrawal takes a second, and so does the first one after it.
SLOW = Pace(strength=WEAK, seen_before=2, afterwards=2.5)
NEVER_COMES = {"refusals_unrecorded", "releases_unrecorded", "not_restored"}

pytestmark = [pytest.mark.slow, pytest.mark.sqlite("the demo copies its database's file and looks through its bytes")]


@pytest.fixture(scope="module")
def contacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first rows of the sample: English and Chinese names, blanks, duplicates."""
    with SAMPLE.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for _, row in zip(range(ROWS + 1), csv.reader(file), strict=False)]
    assert any("\u4e00" <= character <= "\u9fff" for row in rows for character in "".join(row[1:3]))
    path = tmp_path_factory.mktemp("contacts") / "contacts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


Plays = Callable[..., list[Step]]


@pytest.fixture
def play(tmp_path: Path, contacts: Path) -> Plays:
    """Play the journey, all parties in one process, with one protection broken (or none)."""

    def played(broken: str | None = None, *, pace: Pace = QUICK, until: int = len(cli.ACTS)) -> list[Step]:
        product = (str(SABOTAGE), broken) if broken else ("-m", "fieldgrant")
        [port] = free_ports(1)
        home = tmp_path / "home"
        home.mkdir()
        stage = Stage(home, tmp_path / "mail", dict.fromkeys(PARTIES, port), (sys.executable, *product))
        return cli.play_out(stage, contacts, Console(quiet=True), pace=pace, acts=cli.ACTS[:until])

    return played


def test_the_whole_journey_holds_and_a_second_one_starts_clean(tmp_path: Path, contacts: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    stage = Stage(home, tmp_path / "mail", dict(zip(PARTIES, free_ports(len(PARTIES)), strict=True)))
    pace = Pace(strength=WEAK)
    steps = cli.play_out(stage, contacts, Console(quiet=True), pace=pace)
    assert [(step.step, step.ok) for step in steps] == [(number, True) for number in range(1, 9)], steps[-1]
    told = json.loads((home / "journey.json").read_text(encoding="utf-8"))
    assert told.keys() == {"steps", "figures"}
    assert [one.keys() for one in told["steps"]] == [{"step", "title", "ok", "detail"}] * 8
    assert all(one["ok"] is True and one["title"] and one["detail"] for one in told["steps"])
    withdrawal = told["figures"]["withdrawal"]
    assert withdrawal["readers"] == 8
    assert withdrawal["seen_before_by_each_at_least"] >= 20
    assert withdrawal["values_after"] == 0
    assert (home / "data").is_dir()
    assert (home / "keys").is_dir()
    assert (home / "bundle.zip").is_file()
    assert (home / "log.vkey").is_file()

    again = cli.play_out(stage, contacts, Console(quiet=True), pace=pace, acts=cli.ACTS[:1])
    assert [step.ok for step in again] == [True], again[-1]
    assert not (home / "bundle.zip").exists()
    assert not (home / "wallets").exists()
    with sqlite3.connect(home / "data" / "db" / "fieldgrant.db") as database:
        assert database.execute("SELECT count(*) FROM record").fetchone()[0] <= ROWS


@pytest.mark.parametrize(
    ("broken", "step", "seen"),
    [
        ("values_in_clear", 1, "values lie in clear"),
        ("names_without_ground", 1, "before there was any ground"),
        ("one_officer", 1, "approved her own ground"),
        ("second_code", 2, "with a code that he made up"),
        ("staff_token", 2, "a staff token could enrol"),
        ("gate_open", 3, "contact.email came for"),
        ("filter_leaks", 3, "a filter told of a value"),
        ("sort_leaks", 3, "not sorted by what was granted"),
        ("role_unchecked", 4, "sales for marketing: 200"),
        ("refusals_unrecorded", 4, "the refused attempt is not in the customer's history"),
        ("releases_unrecorded", 4, "reads are not in the customer's history"),
        ("allowance_stale", 5, "what was kept is no longer seen"),
        ("withdrawn_still_grants", 5, "returned the e-mail after the acknowledgement"),
        ("old_key_kept", 6, "open from an earlier copy"),
        ("debug_log", 6, "values lie in clear, the first in debug.log"),
        ("shredding_skipped", 6, "still in the database"),
        ("not_restored", 7, "did not come back"),
        ("shredded_restored", 7, "shredded and yet there again"),
        ("shut_unlogged", 8, "lacks consent.shut"),
        ("restore_unlogged", 8, "lacks value.restored"),
    ],
)
def test_with_a_protection_broken_its_step_fails(play: Plays, broken: str, step: int, seen: str) -> None:
    steps = play(broken, pace=HASTY if broken in NEVER_COMES else QUICK, until=step)
    assert [one.ok for one in steps] == [True] * (step - 1) + [False], steps[-1]
    assert seen in steps[-1].detail


def test_slow_reads_are_waited_for(play: Plays) -> None:
    steps = play("slow", pace=SLOW, until=5)
    assert [one.ok for one in steps] == [True] * 5, steps[-1]


def test_slow_reads_that_nobody_waits_for_return_the_value_and_step_5_fails(play: Plays) -> None:
    steps = play("no_drain", pace=SLOW, until=5)
    assert [one.ok for one in steps] == [True] * 4 + [False], steps[-1]
    assert "returned the e-mail after the acknowledgement" in steps[-1].detail


def test_a_verifier_that_overlooks_a_changed_byte_fails_step_8(play: Plays, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_chain, "check_manifest", lambda files: None)
    steps = play(None)
    assert [one.ok for one in steps] == [True] * 7 + [False], steps[-1]
    assert "went unnoticed" in steps[-1].detail


def test_the_command_exits_non_zero_and_names_the_step(tmp_path: Path, contacts: Path) -> None:
    # Python runs sitecustomize in every process: the demo's servers, and they alone, lose a protection by it.
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import sys\n"
        "if 'serve' in sys.orig_argv:\n"
        f"    sys.path.insert(0, {str(SABOTAGE.parent)!r})\n"
        "    import sabotage\n"
        "    sabotage.PROTECTIONS['one_officer']()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "fieldgrant", "demo", "--contacts", str(contacts), "--out", "home"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "fieldgrant: step 1 failed: Contacts come in" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    told = json.loads((tmp_path / "home" / "journey.json").read_text(encoding="utf-8"))
    assert [(one["step"], one["ok"]) for one in told["steps"]] == [(1, False)]
