"""Does a value lie in clear, in any usual encoding, in any file below a directory?"""

import base64
import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

CONTROL = 'residue control "对照值" №1'  # looks different in every encoding
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
SHORTEST = 6  # bytes; anything shorter turns up in ciphertext by chance


@dataclass(frozen=True, slots=True)
class Hit:
    """One form of one value found in one file; the value itself is named by its place in the list only."""

    path: Path
    value: int
    encoding: str


def forms(value: str) -> dict[str, bytes]:
    """The byte strings that betray a value: text encodings, escapes of JSON and addresses, base64 of each encoding.

    Base64 comes at three alignments, without the characters that a neighbouring byte can change. Forms shorter than
    `SHORTEST` bytes, and those that an encoding cannot express, are left out.
    """
    found = {name: value.encode(name) for name in ENCODINGS}
    found |= {
        "json": json.dumps(value)[1:-1].encode(),
        "json-utf-8": json.dumps(value, ensure_ascii=False)[1:-1].encode(),
        "percent": quote(value, safe="").encode(),
    }
    for name in ENCODINGS:
        prefix = "" if name == "utf-8" else f"{name}-"
        found |= {f"{prefix}base64+{shift}": _base64(found[name], shift) for shift in range(3)}
    return {name: form for name, form in found.items() if len(form) >= SHORTEST}


def _base64(raw: bytes, shift: int) -> bytes:
    """What stands in a base64 text that holds these bytes `shift` bytes behind a multiple of three."""
    first, last = (0, 2, 3)[shift], (shift + len(raw)) * 8 // 6
    return base64.b64encode(b"\0" * shift + raw)[first:last]


def search(directory: Path, values: Iterable[str]) -> list[Hit]:
    """Every hit of every value in every regular file below `directory`: database, WAL, journal, logs, leftovers."""
    patterns: dict[bytes, list[tuple[int, str]]] = {}
    for number, value in enumerate(values):
        for name, form in forms(value).items():
            patterns.setdefault(form, []).append((number, name))
    finder = _finder(patterns)
    hits = []
    for path in sorted(path for path in directory.rglob("*") if path.is_file() and not path.is_symlink()):
        try:
            content = path.read_bytes()
        except FileNotFoundError:  # a draft that was put in its place meanwhile, or a lock that was let go
            continue
        hits += [Hit(path, *one) for pattern in finder(content) for one in patterns[pattern]]
    return hits


def _finder(patterns: Collection[bytes]) -> Callable[[bytes], list[bytes]]:
    """Which of the patterns a content holds: one pass for their beginnings, then a look for the few that begin."""
    beginnings: dict[bytes, list[bytes]] = {}
    for pattern in patterns:
        beginnings.setdefault(pattern[:SHORTEST], []).append(pattern)
    if not beginnings:
        return lambda _: []
    tails: dict[bytes, set[bytes]] = {}
    for one in beginnings:
        tails.setdefault(one[:1], set()).add(one[1:])
    # one byte taken and the rest looked at ahead, so that a beginning within another one is found, too
    text = b"|".join(
        re.escape(head) + b"(?=" + b"|".join(map(re.escape, sorted(rest))) + b")" for head, rest in tails.items()
    )
    begins = re.compile(text, re.DOTALL)

    def found(content: bytes) -> list[bytes]:
        seen = {content[match.start() : match.start() + SHORTEST] for match in begins.finditer(content)}
        return [pattern for one in seen for pattern in beginnings[one] if pattern in content]

    return found


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
