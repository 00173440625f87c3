"""Where a Chromium for the tests comes from: the first rung that holds. None of them is skipped silently.

`$CHROMIUM`; Playwright's own; one of the machine's; `playwright install`; else the tests fail and say what to do.
"""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Playwright

SYSTEM = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)  # fmt: skip
ARGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
ADVICE = """no Chromium on this machine, and none could be installed.
  Debian, Ubuntu: sudo apt install chromium        macOS: install Chrome
  elsewhere: .venv/bin/python -m playwright install chromium, or CHROMIUM=/path/to/chrome
  everything but these tests: python3 dev.py test --ignore=tests/browser"""


@functools.cache
def _installed() -> bool:
    command = [sys.executable, "-m", "playwright", "install", "--only-shell", "chromium"]
    return subprocess.run(command, capture_output=True, timeout=600, check=False).returncode == 0


def executable(play: Playwright) -> str | None:
    """The program to start; None for Playwright's own. AssertionError with advice when there is none."""
    if named := os.environ.get("CHROMIUM"):
        assert shutil.which(named), f"CHROMIUM is no program: {named}"
        return named
    if Path(play.chromium.executable_path).exists():
        return None
    for name in SYSTEM:
        if found := shutil.which(name):
            return found
    assert _installed(), ADVICE
    return None


def arguments() -> list[str]:
    """How it is started: quietly; without its own sandbox where it refuses one, as root does."""
    return [*ARGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
