"""Does a value lie in clear, in any usual encoding, in any file below a directory?"""

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CONTROL = 'residue control "对照值" №1'  # looks different in every encoding
SHORTEST = 6  # bytes; anything shorter turns up in ciphertext by chance


@dataclass(frozen=True, slots=True)
class Hit:
    """One form of one value found in one file; the value itself is named by its place in the list only."""

    path: Path
    value: int
    encoding: str


def forms(value: str) -> dict[str, bytes]:
    """The byte strings that betray a value: text encodings, escapes of JSON and addresses, base64 at three alignments.

    Forms shorter than `SHORTEST` bytes, and those that an encoding cannot express, are left out.
    """
    found = {
        "utf-8": value.encode(),
        "utf-16-le": value.encode("utf-16-le"),
        "utf-16-be": value.encode("utf-16-be"),
        "json": json.dumps(value)[1:-1].encode(),
        "json-utf-8": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "gb18030": value.encode("gb18030"),
        "percent": quote(value, safe="").encode(),
    }
    raw = value.encode()
    for shift in range(3):
        # only the characters that no neighbouring byte can change; the rest depends on the text around it
        text = base64.b64encode(b"\0" * shift + raw)
        first, last = (0, 2, 3)[shift], (shift + len(raw)) * 8 // 6
        found[f"base64+{shift}"] = text[first:last]
    return {name: form for name, form in found.items() if len(form) >= SHORTEST}


def search(directory: Path, values: Iterable[str]) -> list[Hit]:
    """Every hit of every value in every regular file below `directory`: database, WAL, journal, logs, leftovers."""
    patterns: dict[bytes, list[tuple[int, str]]] = {}
    for number, value in enumerate(values):
        for name, form in forms(value).items():
            patterns.setdefault(form, []).append((number, name))
    hits = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a draft that was put in its place meanwhile, or a lock that was let go
            continue
        hits += [Hit(path, *one) for pattern, where in patterns.items() if pattern in content for one in where]
    return hits


def control(directory: Path) -> tuple[int, int]:
    """Plant a value in every encoding, search for it, and take it away again: (encodings found, encodings planted)."""
    path = directory / "residue-control.tmp"
    planted = forms(CONTROL)
    path.write_bytes(b"\n".join(planted.values()))
    try:
        found = {hit.encoding for hit in search(directory, [CONTROL])}
    finally:
        path.unlink()
    return len(found), len(planted)
