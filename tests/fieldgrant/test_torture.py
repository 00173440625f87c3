"""`dev.py torture`: what passed is not run again for the same commit, what comes no further is ended."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import rounds
from tools import torture

TEST = "tests/a.py::test_b[300]"


def result(outcome: str, commit: str) -> torture.Result:
    return torture.Result(
        test=TEST, number="300", done="300 of 300", outcome=outcome, minutes=1.0, commit=commit, at=""
    )


@pytest.mark.parametrize(
    ("outcome", "commit", "skipped"),
    [("passed", "here", True), ("passed", "elsewhere", False), ("failed", "here", False), ("hung", "here", False)],
)
def test_what_passed_for_this_very_commit_is_not_run_again(outcome: str, commit: str, skipped: bool) -> None:
    assert torture.passed({TEST: result(outcome, commit)}, TEST, "here") is skipped
    assert not torture.passed({}, TEST, "here")


def test_results_are_kept_over_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torture, "OUT", tmp_path / "torture.json")
    assert torture.read() == {}
    known = {TEST: result("passed", "here")}
    torture.write(known)
    assert torture.read() == known


@pytest.mark.parametrize(("every", "goes_on"), [(0.2, True), (60.0, False)])
def test_a_slow_test_is_waited_for_and_one_that_hangs_is_ended(
    every: float, goes_on: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torture, "HANG", 5.0)
    monkeypatch.setattr(torture, "LOOK", 0.1)
    told = tmp_path / "rounds"
    monkeypatch.setenv(rounds.FILE, str(told))
    script = f"import time; from tests.rounds import rounds\nfor _ in rounds(3): time.sleep({every})"
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", script], cwd=torture.ROOT, start_new_session=True)
    assert torture.watched(process, told) is goes_on
    torture.ended(process)
    assert process.poll() is not None
    assert (torture.so_far(told) == ["3", "3"]) is goes_on
    assert goes_on or time.monotonic() - began >= 5.0
    capfd.readouterr()
