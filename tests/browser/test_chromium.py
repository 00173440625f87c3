"""The ladder to a browser: a named one first, never a silent skip."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.browser import chromium


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A machine without any browser; Playwright as far as the ladder looks at it."""
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(chromium, "_installed", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: name if name == str(tmp_path / "mine") else None)
    return SimpleNamespace(chromium=SimpleNamespace(executable_path=str(tmp_path / "own")))


def test_without_a_browser_the_tests_fail_and_say_what_to_do(bare: Any) -> None:
    with pytest.raises(AssertionError, match="apt install chromium"):
        chromium.executable(bare)


def test_a_browser_that_was_named_comes_first_and_has_to_be_one(
    bare: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "own").touch()
    assert chromium.executable(bare) is None
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "mine"))
    assert chromium.executable(bare) == str(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "gone"))
    with pytest.raises(AssertionError, match="is no program"):
        chromium.executable(bare)
