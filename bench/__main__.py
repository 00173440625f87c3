"""`python -m bench`: measure the rows, print them as a table, write `out/bench.json`.

`--engine postgresql`: those that touch the database, on a server that the run brings up; `out/bench-postgresql.json`.
"""

import argparse
import importlib
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import engine
from bench.result import Result
from bench.size import Size

GROUPS = ("decision", "verify", "reading", "export", "query", "withdrawal", "disposition", "imports", "log")
OUT = {"sqlite": Path("out/bench.json"), "postgresql": Path("out/bench-postgresql.json")}


def main() -> int:
    """0 when every row that was measured meets its goal."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=f"of {', '.join(GROUPS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="small, for a first look; goals speak of the full size")
    parser.add_argument("--home", type=Path, help="keep the organisations there, for the next run")
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite", help="where databases lie")
    given = parser.parse_args()
    if given.home and given.engine != "sqlite":
        parser.error("--home keeps files; a PostgreSQL server of the run's own ends with it")
    if strangers := sorted(set(given.groups) - set(GROUPS)):
        parser.error(f"{strangers[0]} is not a group: {', '.join(GROUPS)}")
    with ExitStack() as stack:
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="fieldgrant-bench-"))
        if given.engine == "postgresql":
            stack.enter_context(engine.served())
        home = given.home or Path(scratch)
        size = Size.quick(home) if given.quick else Size.full(home)
        found: list[Result] = []
        for group in given.groups or (one for one in GROUPS if one != "verify" or not engine.postgresql()):
            for row in importlib.import_module(f"bench.rows.{group}").measure(size):
                found.append(replace(row, name=f"{row.name} (PostgreSQL)") if engine.postgresql() else row)
                print(_line(found[-1]), file=sys.stderr, flush=True)
    out = OUT[given.engine]
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps([row.told() for row in found], indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    Console(soft_wrap=True).print(_table(found))
    return 0 if all(row.ok for row in found) else 1


def _line(row: Result) -> str:
    return f"{'ok ' if row.ok else '-- '} {row.name}: {row.ratio} ({row.goal})"


def _table(found: list[Result]) -> Table:
    table = Table("row", "ours", "reference", "ratio", "goal", "A/A", "ok")
    for row in found:
        ours, reference = (_number(each, row.unit) for each in (row.ours, row.reference))
        table.add_row(row.name, ours, reference, _number(row.ratio), row.goal, _number(row.control), _said(row))
    return table


def _number(value: float | None, unit: str = "") -> str:
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def _said(row: Result) -> str:
    return "yes" if row.ok else "no"


if __name__ == "__main__":
    sys.exit(main())
