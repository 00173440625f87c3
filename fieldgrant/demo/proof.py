"""Step 8: the auditor takes the chain of one value away and verifies it with the log's key alone."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from audit import container
from audit import verify as offline
from fieldgrant.demo.cast import MAIL
from fieldgrant.demo.journey import Play, expect, problem

# In the order of the log. Reads come at many places.
CHAIN = (
    "value.collected",
    "enrolment.completed",
    "consent.given",
    "consent.withdrawn",
    "consent.shut",
    "value.sealed",
    "value.restored",
)
ALSO = ("release",)


def verify(bundle: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Run the offline verifier as an auditor would."""
    command = [sys.executable, "-m", "fieldgrant", "audit", "verify", str(bundle), "--log-key", str(key), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603


def flipped(files: Mapping[str, bytes], name: str) -> bytes:
    """The bundle with one byte changed in the middle of one of its files, and packed as neatly as before."""
    content = bytearray(files[name])
    content[len(content) // 2] ^= 1
    return container.pack({**files, name: bytes(content)})


def prove(play: Play) -> str:
    """Step 8."""
    second = play.cast.people[1]
    home = play.stage.home
    key = httpx.get(f"{play.stage.url('audit')}/audit/log.vkey", timeout=30)
    expect(key.status_code == 200, f"the log's key is not given out: {problem(key)}")
    (home / "log.vkey").write_text(key.text, encoding="utf-8")
    with play.progress("the auditor exports"):
        answer = play.get("aron", "audit", "/audit/bundles", subject=second.subject, field=MAIL)
    expect(answer.status_code == 200, f"the export was refused: {problem(answer)}")
    path = home / "bundle.zip"
    path.write_bytes(answer.content)
    files = container.unpack(answer.content)
    told = events_of(files)
    missing = [kind for kind in (*CHAIN, *ALSO) if kind not in told]
    expect(not missing, f"the chain of the e-mail lacks {', '.join(missing)}")
    expect(sorted(CHAIN, key=told.index) == list(CHAIN), "the chain is out of order")
    expect(second.values[MAIL].encode() not in answer.content, "the bundle holds the value itself")
    verdict = verify(path, home / "log.vkey")
    expect(verdict.returncode == 0, f"the verifier says {verdict.returncode}: {verdict.stdout[-300:]}")
    _flip(files, key.text, play)
    broken = home / "bundle-broken.zip"
    broken.write_bytes(flipped(files, max(files)))
    wrong = verify(broken, home / "log.vkey")
    broken.unlink()
    expect(wrong.returncode == 1, f"the verifier's command took a broken bundle: {wrong.returncode}")
    count = len(files)
    play.figures["bundle"] = {"bytes": len(answer.content), "files": count, "flips": count, "flips_found": count}
    return (
        f"{count} files from collection to restore, verified offline with the log's key alone; "
        f"{count} bundles with one changed byte, one per file, all refused"
    )


def _flip(files: Mapping[str, bytes], key: str, play: Play) -> None:
    with play.progress("one byte changed in each file", len(files)) as done:
        for number, name in enumerate(files, start=1):
            status = offline.verify(flipped(files, name), key).status
            expect(status == 1, f"one changed byte in {name} went unnoticed ({status})")
            done(number)


def events_of(files: Mapping[str, bytes]) -> list[str]:
    """The kinds of event that a bundle tells of the customer, in the order of the log."""
    return [json.loads(files[name])["record"]["type"] for name in sorted(files) if name.startswith("events/")]
