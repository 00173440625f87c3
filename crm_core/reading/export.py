"""The forms of an export: CSV (RFC 4180), JSON Lines, vCard 4.0. Pure: released values in, bytes out.

A withheld field is written as an absent one. In CSV a text that a spreadsheet could take for a formula gets a `'` in
front, also behind a semicolon within it (OWASP, CSV injection); phones, numbers, dates and truth values are left as
they are. Several values of one field stand in one cell, parted by `;`.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from crm_core.reading import vcards
from crm_core.reading.exports import Format
from crm_core.seal import Value
from protocol.consent import Field, SubjectId

Released = Mapping[Field, Value | None]

SUBJECT = "subject"  # heading of the column with the customer's reference
_SAFE = frozenset({"phone", "number", "date", "datetime", "boolean"})
# At the beginning, or behind what parts cells where numbers have a comma: the quotes around a cell do not help there.
_BEFORE = re.compile(r"\A(?=[=+\-@\t\r\n＝＋－＠])|(?<=;)(?=[\"']*\s*[=+\-@＝＋－＠])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a file is written: what comes first, and one customer."""

    media_type: str
    suffix: str
    head: Callable[[Sequence[Field]], bytes]
    row: Callable[[SubjectId, Released, Mapping[Field, str]], bytes]


def neutral(text: str) -> str:
    """A text that no spreadsheet takes for a formula, one that parts cells at semicolons neither."""
    return _BEFORE.sub("'", text)


def _csv_head(fields: Sequence[Field]) -> bytes:
    return _line([SUBJECT, *fields])


def _csv_row(subject: SubjectId, values: Released, types: Mapping[Field, str]) -> bytes:
    """`types` has every field of the file, in its order; one that is not among `values` is an empty cell."""
    return _line([subject, *(_cell(values.get(field), type_) for field, type_ in types.items())])


def _cell(value: Value | None, type_: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = ";".join(value) if isinstance(value, list) else str(value)
    return text if type_ in _SAFE else neutral(text)


def _line(cells: Sequence[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().encode()


def _nothing(_fields: Sequence[Field]) -> bytes:
    return b""


def _json_row(subject: SubjectId, values: Released, _types: Mapping[Field, str]) -> bytes:
    return orjson.dumps({"subject": subject, "fields": values}, option=orjson.OPT_APPEND_NEWLINE)


def _card(subject: SubjectId, values: Released, _types: Mapping[Field, str]) -> bytes:
    return vcards.write(subject, {field: value for field, value in values.items() if value is not None}).encode()


FORMS: Mapping[Format, Form] = {
    "csv": Form(media_type="text/csv", suffix="csv", head=_csv_head, row=_csv_row),
    "jsonl": Form(media_type="application/jsonl", suffix="jsonl", head=_nothing, row=_json_row),
    "vcard": Form(media_type="text/vcard", suffix="vcf", head=_nothing, row=_card),
}
