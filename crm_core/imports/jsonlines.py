"""JSON Lines as rows: one object per line; members of members are joined by dots, lists stay lists of texts."""

from collections.abc import Iterator
from typing import Any, TextIO

from protocol import canonical
from protocol.errors import EvidenceError

MAX_LINE = 2**20
MAX_MEMBERS = 500
Cell = str | list[str]
Flat = dict[str, Cell]


def rows(text: TextIO) -> Iterator[Flat | str]:
    """Each line's members, flattened, or a reason code where the line is no such object. Empty lines are left out.

    Codes: `bad_json`, `duplicate_key`, `not_an_object`, `bad_number`, `too_deep`, `bad_text`, `too_large`,
    `too_many_members`. Raises EvidenceError `bad_jsonl` when a line does not end.
    """
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise EvidenceError("bad_jsonl", "a line of the file is too long")
        if line.strip():
            yield _flat(line)


def _flat(line: str) -> Flat | str:
    found: Flat = {}
    try:
        for name, value in canonical.parse(line.encode(), limit=4 * MAX_LINE).items():
            _add(found, name, value)
    except EvidenceError as error:
        return error.code
    except UnicodeEncodeError:
        return "bad_text"
    return found


def _add(found: Flat, name: str, value: Any) -> None:
    if isinstance(value, dict):
        for inner, one in value.items():
            _add(found, f"{name}.{inner}", one)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, dict | list):
                _add(found, name, one)
            elif one is not None:
                _append(found, name, _text(one))
    elif name in found:
        _append(found, name, _text(value))
    else:
        if len(found) == MAX_MEMBERS:
            raise EvidenceError("too_many_members", f"an object has more than {MAX_MEMBERS} members")
        found[name] = _text(value)


def _append(found: Flat, name: str, text: str) -> None:
    known = found.get(name)
    if isinstance(known, list):
        known.append(text)  # in place: a copy for each would cost the square of a long list
    else:
        found[name] = [text] if known is None else [known, text]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
