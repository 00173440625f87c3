"""The long tests (marked `torture`), one after the other: hundreds of kills, thousands of withdrawals.

    python3 dev.py torture                 all of them; one that passed for this very commit is not run again
    python3 dev.py torture crash years     those whose name has one of these words in it
    python3 dev.py torture --list          their names, their numbers, and what is known of them
    python3 dev.py torture --again         also those that passed

FIELDGRANT_TEST_ENGINE=postgresql: the same on PostgreSQL, with results of their own (out/torture-postgresql.json).

It can be interrupted (Ctrl+C) and goes on with the next test that has not passed. Results are in out/torture.json,
what each test printed beside it in out/torture/. There is no limit of time but for hangs: a test that ends no round
within half an hour is ended.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
ENGINE = os.environ.get("FIELDGRANT_TEST_ENGINE", "sqlite")
OUT = ROOT / "out" / ("torture.json" if ENGINE == "sqlite" else f"torture-{ENGINE}.json")
HANG = 1800.0  # seconds without a round
LOOK = 1.0
PASSED, FAILED, HUNG, INTERRUPTED = "passed", "failed", "hung", "interrupted"


@dataclass(frozen=True, slots=True)
class Result:
    """What a test came to: `number` is what it is to do, `done` the rounds that it told of."""

    test: str
    number: str
    done: str
    outcome: str
    minutes: float
    commit: str
    at: str


def main() -> int:
    """0 when every chosen test has passed for this commit."""
    parser = argparse.ArgumentParser(
        prog="dev.py torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", metavar="word", help="part of a test's name")
    parser.add_argument("--again", action="store_true", help="also what passed for this commit")
    parser.add_argument("--list", action="store_true", help="run nothing")
    given = parser.parse_args()
    chosen = [test for test in collected() if not given.words or any(word in test for word in given.words)]
    if not chosen:
        parser.error("no long test has such a name; --list shows them all")
    commit, known = state(), read()
    due = [test for test in chosen if given.again or not passed(known, test, commit)]
    for number in (signal.SIGINT, signal.SIGTERM):  # in the background, too
        signal.signal(number, signal.default_int_handler)
    interrupted = False
    for place, test in enumerate([] if given.list else due, 1):
        print(f"{place} of {len(due)}  {test}", flush=True)
        known[test] = found = run(test, commit)
        write(known)
        print(f"   {found.outcome} after {found.minutes:.1f} min", flush=True)
        if interrupted := found.outcome == INTERRUPTED:
            break
    Console(soft_wrap=True).print(table(chosen, known, commit))
    if interrupted:
        return 130
    return 0 if given.list or all(passed(known, test, commit) for test in chosen) else 1


def collected() -> list[str]:
    """The ids of all long tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-m", "torture", "tests"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"the tests cannot be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def state() -> str:
    """The commit that is tested; what was changed since makes it another one each time."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603, S607
        return done.stdout.strip() if done.returncode == 0 else "?"

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "HEAD") + (f" changed {time.time():.0f}" if changed else "")


def passed(known: dict[str, Result], test: str, commit: str) -> bool:
    """Whether the test passed for this very commit."""
    found = known.get(test)
    return found is not None and (found.outcome, found.commit) == (PASSED, commit)


def run(test: str, commit: str) -> Result:
    """Run one test in a group of processes of its own, and show how far it is."""
    name = re.sub(r"\W+", "-", test.partition("::")[2]).strip("-")
    folder = OUT.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    log, rounds = folder / f"{name}.log", folder / f"{name}.rounds"
    rounds.unlink(missing_ok=True)
    started, at = time.monotonic(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "torture",
        "-o",
        "timeout=0",
        "-p",
        "no:cacheprovider",
        "-rP",
        test,
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, "FIELDGRANT_ROUNDS": str(rounds)},
        )  # fmt: skip
    try:
        hung = not watched(process, rounds)
        outcome = HUNG if hung else PASSED if process.wait() == 0 else FAILED
    except KeyboardInterrupt:
        outcome = INTERRUPTED
    finally:
        ended(process)
    if outcome in (FAILED, HUNG):
        print(log.read_text(encoding="utf-8", errors="replace")[-4000:], flush=True)
    number = re.findall(r"\[(.*)\]$", test)
    return Result(
        test=test, number=number[0] if number else "", done=" of ".join(so_far(rounds)), outcome=outcome,
        minutes=round((time.monotonic() - started) / 60, 1), commit=commit, at=at,
    )  # fmt: skip


def watched(process: subprocess.Popen[bytes], rounds: Path) -> bool:
    """Wait for a test while it goes on; False when it ended no round for too long."""
    begun = moved = time.monotonic()
    said, last = begun, so_far(rounds)
    while True:
        try:
            process.wait(LOOK)
        except subprocess.TimeoutExpired:
            now, found = time.monotonic(), so_far(rounds)
            if found != last:
                moved, last = now, found
            if now - moved > HANG:
                process.send_signal(signal.SIGABRT)  # Python's fault handler prints where each thread stands
                time.sleep(LOOK)
                return False
            if now - said >= (2 if sys.stdout.isatty() else 60):
                said = now
                show(found, now - begun)
        else:
            if sys.stdout.isatty():
                print("\r" + " " * 60, end="\r", flush=True)
            return True


def show(found: list[str], seconds: float) -> None:
    """One line of progress: on a terminal always the same one."""
    text = f"   {' of '.join(found) or 'begins'}, {seconds / 60:.0f} min"
    if len(found) == 2 and 0 < int(found[0]) < int(found[1]):
        done, of = map(int, found)
        text += f", about {seconds * (of - done) / done / 60:.0f} more"
    print(f"\r{text:60}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


def so_far(rounds: Path) -> list[str]:
    """How many rounds of how many are over; empty before the first was told."""
    try:
        return rounds.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return []


def ended(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a test: itself, and the servers that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def read() -> dict[str, Result]:
    """The results of earlier runs, by test."""
    try:
        return {one["test"]: Result(**one) for one in json.loads(OUT.read_text(encoding="utf-8"))}
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return {}


def write(known: dict[str, Result]) -> None:
    """Keep all results; whole, also when we are interrupted meanwhile."""
    new = OUT.with_suffix(".new")
    new.write_text(json.dumps([asdict(one) for one in known.values()], indent=1) + "\n", encoding="utf-8")
    new.replace(OUT)


def table(chosen: list[str], known: dict[str, Result], commit: str) -> Table:
    """What is known of the chosen tests; of another commit it is said so."""
    shown = Table("test", "number", "rounds", "result", "minutes")
    for test in chosen:
        file, _, name = test.partition("::")
        found = known.get(test)
        title = f"{Path(file).stem}: {name.partition('[')[0].removeprefix('test_').replace('_', ' ')}"
        if found is None:
            shown.add_row(title, "".join(re.findall(r"\[(.*)\]$", test)), "", "not yet", "")
            continue
        result = found.outcome + ("" if found.commit == commit else f" (at {found.commit[:8]})")
        shown.add_row(title, found.number, found.done, result, f"{found.minutes:.1f}")
    return shown


if __name__ == "__main__":
    sys.exit(main())
