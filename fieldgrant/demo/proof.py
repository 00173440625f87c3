"""Step 8: the auditor takes the chain of one value away and verifies it with the log's key alone."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import httpx

from audit import verify as offline
from fieldgrant.demo.cast import MAIL
from fieldgrant.demo.journey import Play, expect, problem

CHAIN = (
    "value.collected", "enrolment.completed", "consent.given", "release", "consent.withdrawn", "consent.shut",
    "value.sealed", "value.restored",
)


def verify(bundle: Path, key: Path) -> subprocess.CompletedProcess[str]:
    """Run the offline verifier as an auditor would."""
    command = [sys.executable, "-m", "fieldgrant", "audit", "verify", str(bundle), "--log-key", str(key), "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603


def flipped(bundle: bytes, name: str) -> bytes:
    """The bundle with one byte changed in the middle of one of its files, packed as neatly as before."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(bundle)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        for entry in source.infolist():
            content = bytearray(source.read(entry))
            if entry.filename == name:
                content[len(content) // 2] ^= 1
            target.writestr(entry, bytes(content))
    return out.getvalue()


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
    seen = types_of(answer.content)
    missing = [kind for kind in CHAIN if kind not in seen]
    expect(not missing, f"the chain of the e-mail lacks {', '.join(missing)}")
    expect(second.values[MAIL].encode() not in answer.content, "the bundle holds the value itself")
    told = verify(path, home / "log.vkey")
    expect(told.returncode == 0, f"the verifier says {told.returncode}: {told.stdout[-300:]}{told.stderr[-300:]}")
    names = zipfile.ZipFile(BytesIO(answer.content)).namelist()
    with play.progress("one byte changed in each file", len(names)) as done:
        for number, name in enumerate(names, start=1):
            status = offline.verify(flipped(answer.content, name), key.text).status
            expect(status == 1, f"one changed byte in {name} went unnoticed ({status})")
            done(number)
    broken = home / "bundle-broken.zip"
    broken.write_bytes(flipped(answer.content, names[-1]))
    wrong = verify(broken, home / "log.vkey")
    broken.unlink()
    expect(wrong.returncode == 1, f"the verifier's command took a broken bundle: {wrong.returncode}")
    play.figures["bundle"] = {"bytes": len(answer.content), "files": len(names), "flips": len(names), "flips_found": len(names)}
    return (
        f"{len(names)} files from collection to restore, verified offline with the log's key alone; "
        f"{len(names)} bundles with one changed byte, one per file, all refused"
    )


def types_of(bundle: bytes) -> set[str]:
    """The kinds of event in a bundle."""
    with zipfile.ZipFile(BytesIO(bundle)) as content:
        texts = [content.read(name).decode() for name in content.namelist() if name.startswith("events/")]
    return {kind for kind in CHAIN for text in texts if f'"{kind}"' in text or f"{kind}" in text}
