#!/usr/bin/env python3
"""Set up and run Fieldgrant with nothing but Python 3.11 or newer, pip and git.

    python3 dev.py demo                      the whole journey, step by step; writes out/demo/
    python3 dev.py demo --contacts FILE.csv  the same with your own CRM export
    python3 dev.py test                      every test (more words go to pytest: dev.py test -k withdraw)
    python3 dev.py test --engine postgresql  the same on a PostgreSQL of its own; a part of it runs whenever all is run
    python3 dev.py serve --port 8700         the platform on localhost with the demo's data
    python3 dev.py check                     what CI runs: style, types, layers, tests, coverage
    python3 dev.py bench                     how fast it is, against what others use; writes out/bench.json
    python3 dev.py torture                   the long tests, for hours (--help: how to choose); writes out/torture.json
    python3 dev.py fieldgrant -- --help      any command of the product itself

Everything is installed into .venv/ beside this file, from versions locked with hashes; Node, which builds the
pages, comes along when the machine has none that will do. Standard library only.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import pathlib
import subprocess
import sys
import time
import venv

from tools import web

ROOT = pathlib.Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".installed"
COVERAGE_FLOOR = "tools/coverage_floor.py"
BOTH = "tests/engine/both.txt"  # what runs on PostgreSQL too, whenever everything is run: at most three minutes
TOOLS = {"bench": ("-m", "bench"), "torture": ("tools/torture.py",)}


def say(text: str) -> None:
    """Print one line at once, also when the output is a file."""
    print(text, flush=True)


def run(*command: object, **environment: str) -> int:
    """Run a command in the project's folder and return its exit code."""
    words = [str(word) for word in command]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, **environment}, check=False).returncode  # noqa: S603


def must(*command: object, **environment: str) -> None:
    """Run a command; stop with its exit code when it fails."""
    if code := run(*command, **environment):
        sys.exit(code)


def installed() -> str:
    """What .venv was made from: the kind of lock and the digest of everything that decides its content."""
    try:
        return STAMP.read_text(encoding="utf-8")
    except OSError:
        return ""


def wanted(lock: str) -> str:
    """The stamp that `.venv` must carry for this lock."""
    digest = hashlib.sha256()
    for name in (f"requirements/{lock}.lock", "pyproject.toml", "hatch_build.py"):
        digest.update((ROOT / name).read_bytes())
    digest.update(f"{sys.version_info[:2]} {ROOT}".encode())
    return f"{lock} {digest.hexdigest()}"


def peers() -> str:
    """The lock with what we measure ourselves against; where there is none their rows say that they are missing."""
    return "bench" if (ROOT / "requirements" / "bench.lock").is_file() else "dev"


def pages() -> None:
    """Build the pages when their sources are newer."""
    if not web.fresh():
        say("Building the pages …")
        must(PYTHON, "tools/web.py", "build")


def set_up(lock: str) -> None:
    """Make `.venv` and install the locked versions, once; `bench` holds all of `dev`, that of `node`, that of `run`."""
    if sys.version_info < (3, 11):  # noqa: UP036 - who runs this may have an older one
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}. Try python3.11 dev.py …")
    if lock == "run" and not web.fresh() and not web.machine_node():
        lock = "node"
    larger = ("run", "node", "dev", peers())
    if PYTHON.exists() and installed() in map(wanted, larger[larger.index(lock) :]):
        pages()
        return
    started = time.monotonic()
    say(f"Setting up .venv from requirements/{lock}.lock (once; about a minute) …")
    if not PYTHON.exists():
        venv.create(VENV, with_pip=False)  # needs neither Debian's python3-venv nor root, and is past PEP 668
    # the machine's own pip installs into .venv (pip 22.3 or newer)
    pip = [sys.executable, "-m", "pip", "--python", PYTHON, "--disable-pip-version-check", "install", "--quiet"]
    must(*pip, "--require-hashes", "--only-binary", ":all:", "-r", f"requirements/{lock}.lock")
    pages()
    must(*pip, "--no-deps", "--no-build-isolation", "--editable", ".")
    STAMP.write_text(wanted(lock), encoding="utf-8")
    say(f"Ready after {time.monotonic() - started:.0f} s.")


def side_by_side(words: list[str]) -> list[str]:
    """Tests share the cores, four at most, unless somebody says how (`-n 0`: one after the other)."""
    if any(word.startswith(("-n", "--numprocesses")) for word in words):
        return []
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ["-n", str(min(4, cores)), "--dist", "worksteal"]


def test(words: list[str]) -> int:
    """What the words say; when they choose nothing, the part that both databases must pass also on PostgreSQL."""
    code = run(PYTHON, "-m", "pytest", *side_by_side(words), *words)
    if code or not all(word.startswith(("--cov", "-n")) for word in words):
        return code
    say("── a part of it on PostgreSQL (the whole: python3 dev.py test --engine postgresql)")
    return run(PYTHON, "-m", "pytest", "--engine", "postgresql", *side_by_side([]), f"@{BOTH}")


def check() -> None:
    """Everything that CI runs. All quick checks are reported before the first failure stops the run."""
    quick = {
        "style": [PYTHON, "-m", "ruff", "check", "."],
        "format": [PYTHON, "-m", "ruff", "format", "--check", "--quiet", "."],
        "types": [PYTHON, "-m", "mypy"],
        "layers": [VENV / "bin" / "lint-imports", "--no-cache"],
        "locks": [PYTHON, "tools/check_lock.py"],
        "style of the pages": [PYTHON, "tools/web.py", "style"],
        "types of the pages": [PYTHON, "tools/web.py", "types"],
    }
    failed = []
    for name, command in quick.items():
        say(f"── {name}")
        if run(*command):
            failed.append(name)
    if failed:
        sys.exit(f"check failed: {', '.join(failed)}")
    say("── tests (python3 dev.py test)")
    must(sys.executable, "dev.py", "test", "--cov", "--cov-report=json:out/coverage.json", "--cov-report=")
    say("── coverage")
    must(PYTHON, COVERAGE_FLOOR, "out/coverage.json")
    say("check passed")


def main() -> None:
    """Read the task, set up what it needs, run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["demo", "test", "serve", "check", "bench", "torture", "fieldgrant"])
    parser.add_argument("words", nargs=argparse.REMAINDER, help="go on to the task")
    given = parser.parse_args()
    words = [word for word in given.words if word != "--"]
    set_up({"test": "dev", "check": "dev", "torture": "dev", "bench": peers()}.get(given.task, "run"))
    if given.task == "check":
        check()
    elif given.task == "test":
        sys.exit(test(words))
    elif given.task in TOOLS:
        sys.exit(run(PYTHON, *TOOLS[given.task], *words))
    elif given.task == "fieldgrant":
        sys.exit(run(PYTHON, "-m", "fieldgrant", *words))
    else:
        sys.exit(run(PYTHON, "-m", "fieldgrant", given.task, *words))


if __name__ == "__main__":
    try:
        main()
    except web.WebError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
