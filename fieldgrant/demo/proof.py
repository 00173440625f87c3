"""Step 8: the auditor takes the chain of one value away and verifies it with the log's key alone."""

import subprocess
import sys
import zipfile
from io import BytesIO
from pathlib import Path

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
