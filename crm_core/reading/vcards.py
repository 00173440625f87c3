"""One customer as a vCard 4.0 (RFC 6350). Pure: values in, text out, escaped and folded."""

from collections.abc import Iterable, Mapping
from typing import Any

from crm_core.seal import Value
from protocol.consent import Field, SubjectId

_MAX_LINE = 75  # octets, RFC 6350 section 3.2
_NAME = ("contact.family_name", "contact.given_name")
_ADDRESS = ("address.street", "address.city", "address.region", "address.postal_code", "address.country")
_ORGANISATION = ("employment.company", "employment.department")
_LISTS = frozenset({"interaction.tags"})
_OWN: Mapping[str, str] = {
    "contact.email": "EMAIL;PREF=1",
    "contact.other_emails": "EMAIL",
    "contact.phone": "TEL;PREF=1;VALUE=text",
    "contact.other_phones": "TEL;VALUE=text",
    "contact.birth_date": "BDAY",
    "contact.language": "LANG",
    "contact.profile_url": "URL",
    "employment.job_title": "TITLE",
    "interaction.note": "NOTE",
    "interaction.tags": "CATEGORIES",
}


def write(subject: SubjectId, values: Mapping[Field, Value]) -> str:
    """The card of one customer, lines ended by CRLF; a field without a property of its own becomes `X-…`.

    `FN`, which every card must have, is the name, else the company, else the reference: it never holds a field that
    is not among `values`.
    """
    said: Mapping[str, Value] = {str(field): value for field, value in values.items()}
    lines = ["BEGIN:VCARD", "VERSION:4.0", f"UID:{_escaped(subject)}", f"FN:{_escaped(_full_name(said, subject))}"]
    if any(field in said for field in _NAME):
        lines.append(f"N:{_structured(said, _NAME)};;;")
    if any(field in said for field in _ADDRESS):
        lines.append(f"ADR:;;{_structured(said, _ADDRESS)}")
    if "employment.company" in said or "employment.department" in said:
        lines.append(f"ORG:{_structured(said, _ORGANISATION)}".rstrip(";"))
    for field, value in said.items():
        if field not in (*_NAME, *_ADDRESS, *_ORGANISATION):
            name = _OWN.get(field) or "X-" + field.replace(".", "-").replace("_", "-").upper()
            lines += [f"{name}:{text}" for text in _texts(field, value)]
    return "".join(map(_folded, (*lines, "END:VCARD")))


def _full_name(said: Mapping[str, Value], subject: SubjectId) -> str:
    parts = [str(said[field]) for field in ("contact.given_name", "contact.family_name") if field in said]
    return " ".join(parts) or str(said.get("employment.company", subject))


def _structured(said: Mapping[str, Value], fields: Iterable[str]) -> str:
    return ";".join(_escaped(said.get(field, "")) for field in fields)


def _texts(field: str, value: Value) -> list[str]:
    if field in _LISTS and isinstance(value, str):
        return [",".join(_escaped(tag.strip()) for tag in value.split(","))]
    return [_escaped(each) for each in (value if isinstance(value, list) else [value])]


def _escaped(value: Any) -> str:
    """RFC 6350 section 3.4. A carriage return alone would end a line for some readers: it is a newline, too."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\\", "\\\\")
    return text.replace("\n", "\\n").replace(",", "\\,").replace(";", "\\;")


def _folded(line: str) -> str:
    """A line in pieces of at most 75 octets, never cut within a character."""
    pieces, piece, size = [], "", 0
    for mark in line:
        width = len(mark.encode())
        if size + width > _MAX_LINE:
            pieces.append(piece)
            piece, size = " ", 1
        piece, size = piece + mark, size + width
    return "\r\n".join((*pieces, piece)) + "\r\n"
