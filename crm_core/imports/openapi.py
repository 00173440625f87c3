"""What the API's documentation says of imports, apart from the code that answers."""

from typing import Any

from crm_core.openapi import ROLE, SIGN_IN, answer, refused

IMPORT = (
    "Takes a CRM export, the file itself as the body: `text/csv` (headings in the first line), `text/vcard` (3.0, 4.0) "
    "or `application/jsonl` (one object per line), in UTF-8, UTF-16 or GB18030, at most 1 GiB. It is read as a "
    "stream; what rests meanwhile is sealed under a key that is in memory alone. Rows with one e-mail address are one "
    "customer, else those with one phone number and name, else those with one customer number. Blank cells erase "
    "nothing, bad rows are named and left out, a second import of the same file changes nothing. The file is imported "
    "as a whole or, when it breaks, not at all. One import at a time: `import_running`. With "
    "`Accept: application/jsonl` the answer is lines of JSON: `{doing, done, of}` while it runs, at last `{report}` or "
    "`{problem}`."
)
MAP = (
    "`column=field` (or `column:field`) for a heading that is not recognised; `column=` leaves a column out. May be "
    "repeated."
)
MATCH = "Rules by which rows are one customer, parted by commas, the first counts first; empty: none."
ENCODING = "The file's encoding, where it is not to be found out, as `windows-1252`."
PREVIEW = (
    "Takes the beginning of a file, at most 512 KiB of it, as an import takes the whole. Which column is which field, "
    "what unknown ones may be, and the first five rows: a value only where your role may act for its field, of other "
    "cells what they look like (`empty`, `email`, `phone`, `number`, `date`, `url`, `text`). Nothing is stored."
)
UNDO = (
    "Within seven days. New customers go unless something was done with them since; fields of others become what they "
    "were where they still are what the import wrote. It is on record, with who wanted it."
)
RUNS = "The newest imports, newest first, without anything of their content."
MERGES = (
    "Which rows of an import were taken for one customer, by which rule, and in which fields they differed. Values are "
    "to be had through the gate alone. `after` is the `next` of the page before."
)
RUN = "An import's id."
AFTER = "Only merges whose first row comes after this one."

_REPORT: dict[str, Any] = {
    "read": 500,
    "created": 480,
    "updated": 10,
    "unchanged": 2,
    "rejected": 8,
    "rejects": [{"row": 17, "column": "Email", "reason": "bad_email"}],
    "left_out": ["Contact owner"],
    "run": "imp_mfrggzdfmztwq2lk",
    "format": "csv",
    "encoding": "UTF-8",
    "merged": 9,
}
_RUN: dict[str, Any] = {
    "id": "imp_mfrggzdfmztwq2lk",
    "at": "2026-11-22T08:00:00.000Z",
    "importer": "did:key:z6Mkm3WV1TdLeY5mHdkcpCGqwRZ7mB1Yf3bq2kQXfyk2gk4q",
    "source": "upload",
    "state": "done",
    "counts": {"read": 500, "created": 480, "updated": 10, "unchanged": 2, "rejected": 8},
    "undoable": True,
}
_PREVIEW: dict[str, Any] = {
    "format": "csv",
    "encoding": "UTF-8",
    "columns": [
        {"heading": "Email", "field": "contact.email", "suggestions": []},
        {"heading": "Town of birth", "field": None, "suggestions": ["address.city"]},
    ],
    "rows": [
        {
            "row": 1,
            "cells": [{"value": None, "looks": "email"}, {"value": None, "looks": "text"}],
            "fault": None,
            "column": None,
        }
    ],
}
_MERGE: dict[str, Any] = {
    "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
    "rows": [17, 203],
    "rule": "email",
    "differing": ["address.city"],
}
IMPORT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("What came of the rows; never a value of them.", _REPORT),
    400: refused("bad_csv", "The file cannot be read."),
    401: SIGN_IN,
    403: ROLE,
    409: refused("import_running", "Another import is under way."),
    413: refused("too_large", "The file is too large."),
    415: refused("unsupported_media_type", "The body is none of the three kinds."),
}
PREVIEW_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("The columns and the first rows.", _PREVIEW),
    400: refused("bad_csv", "The file cannot be read."),
    401: SIGN_IN,
    403: ROLE,
    413: refused("too_large", "Send the beginning of the file alone."),
    415: refused("unsupported_media_type", "The body is none of the three kinds."),
}
UNDO_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer(
        "Customers removed, put back, and left as they are in whole or in part.",
        {"run": "imp_mfrggzdfmztwq2lk", "removed": 480, "restored": 10, "kept": 0},
    ),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_run", "There is no such import."),
    409: refused("not_undoable", "It was undone already, or was too long ago."),
}
RUNS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("The newest imports.", {"items": [_RUN]}),
    401: SIGN_IN,
    403: ROLE,
}
MERGES_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("Merges in the order of their first rows.", {"items": [_MERGE], "next": None}),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_run", "There is no such import."),
}


def _file(example: str) -> dict[str, Any]:
    return {"schema": {"type": "string", "format": "binary"}, "example": example}


IMPORT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": _file("First Name,Last Name,Email\nWei,Li,li.wei@example.com\n"),
            "text/vcard": _file("BEGIN:VCARD\nVERSION:4.0\nFN:Li Wei\nEMAIL:li.wei@example.com\nEND:VCARD\n"),
            "application/jsonl": _file('{"first name": "Wei", "emails": ["li.wei@example.com"]}\n'),
        },
    }
}
