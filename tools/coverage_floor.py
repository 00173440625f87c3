"""Is the branch coverage of what Fieldgrant exists for at least 95 %?  usage: coverage_floor.py coverage.json"""

import json
import pathlib
import sys

FLOOR = 95.0
ROOMS = ("protocol/", "issuer/registry", "verifier/", "crm_core/reading/", "redaction/", "audit/")


def share(files: dict[str, dict[str, dict[str, int]]], room: str) -> float:
    """Lines and branches run, in per cent, over the files whose path begins with `room`."""
    summaries = [entry["summary"] for path, entry in files.items() if path.startswith(room)]
    run = sum(one["covered_lines"] + one.get("covered_branches", 0) for one in summaries)
    there = sum(one["num_statements"] + one.get("num_branches", 0) for one in summaries)
    return 100.0 * run / there if there else 0.0


def main() -> None:
    """Print a line a room; exit 1 when one lies below the floor."""
    files = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))["files"]
    shares = {room: share(files, room) for room in ROOMS}
    for room, per_cent in shares.items():
        print(f"{room:20} {per_cent:5.1f} %" + ("" if per_cent >= FLOOR else f"   below {FLOOR:.0f} %"))
    sys.exit(any(per_cent < FLOOR for per_cent in shares.values()))


if __name__ == "__main__":
    main()
