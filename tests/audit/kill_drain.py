"""Run as a program: for every line of the drain, a process that is killed there, and one that goes on afterwards.

    kill_drain.py HOME WORK [swapped]

HOME is a platform with a waiting outbox; each run gets a copy under WORK. Prints one JSON line per run. With `swapped`
the head is signed before its tiles are written: the control, which must be seen to fail.
"""

import json
import os
import shutil
import signal
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from audit import drain, files
from audit.log import Head, Log
from protocol import log as rfc
from protocol import note
from runtime.clock import FixedClock
from runtime.platform import Platform
from runtime.settings import Settings
from tests.engine import hand

WATCHED = ("audit/drain.py", "audit/files.py", "audit/log.py")


def open_log(home: Path) -> Log:
    clock = FixedClock(datetime(2026, 11, 22, 9, tzinfo=UTC))
    return Log(Platform.open(Settings(home=home, mail_dir=home / "mail"), clock))


def swapped_publish(log: Log, head: Head) -> Head:
    from sqlmodel import col, select

    with log.platform.database.read() as session:
        leaves = session.exec(select(drain.LogEntry.leaf).order_by(col(drain.LogEntry.leaf_index))).all()
    root = rfc.root([rfc.leaf_hash(leaf) for leaf in leaves])
    text = note.sign_note(note.checkpoint(log.origin, len(leaves), root), log.origin, log.signer)
    files.write(log.directory / "checkpoint", text.encode())
    log.tiles.extend(head.size, leaves[head.size :])
    return log.head()


def traced(home: Path, target: tuple[str, int, int] | None) -> list[tuple[str, int, int]]:
    """Drain while counting lines; at the target (file, line, how often) the process is gone."""
    log = open_log(home)
    seen: Counter[tuple[str, int]] = Counter()
    order: list[tuple[str, int, int]] = []

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        name = frame.f_code.co_filename
        if not name.endswith(WATCHED):
            return None
        if event == "line":
            place = (name, frame.f_lineno)
            seen[place] += 1
            order.append((*place, seen[place]))
            if order[-1] == target:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    drain.drain(log)
    sys.settrace(None)
    return order


def in_child(work: Any) -> tuple[int, Any]:
    """Run `work` in a process of its own: (signal, what it returned)."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            data = json.dumps(work()).encode()
            with os.fdopen(writer, "wb") as file:
                file.write(data)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    return (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0), json.loads(data) if data else None


def recover(home: Path) -> dict[str, Any]:
    log = open_log(home)
    drained = drain.drain_all(log)
    again = drain.drain_all(log)
    return {"drained": drained, "again": again, "checkpoint": (log.checkpoint() or b"").decode()}


def main() -> None:
    home, work = Path(sys.argv[1]), Path(sys.argv[2])
    control = sys.argv[3:] == ["swapped"]
    if control:
        drain._publish = swapped_publish  # type: ignore[assignment]
    first = work / "whole"
    hand.copied_home(home, first)
    _, order = in_child(lambda: traced(first, None))
    places = [tuple(place) for place in order]
    last = {place[:2]: place for place in places if place[0].endswith("files.py")}
    targets = sorted({*(place for place in places if place[2] == 1), *last.values()}, key=places.index)
    if control:
        targets = [place for place in targets if place[0].endswith("files.py")][-6:]
    for number, target in enumerate(targets):
        copy = work / f"run-{number}"
        hand.copied_home(home, copy)
        killed, _ = in_child(lambda copy=copy, target=target: traced(copy, target))
        snapshot = work / f"seen-{number}"
        shutil.copytree(copy / "data" / "log", snapshot)
        _, found = in_child(lambda copy=copy: recover(copy))
        line = {"at": [Path(target[0]).name, *target[1:]], "killed": killed, "seen": str(snapshot), "found": found}
        print(json.dumps(line | {"home": str(copy)}), flush=True)


if __name__ == "__main__":
    main()
