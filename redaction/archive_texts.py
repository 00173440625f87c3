"""What the OpenAPI description says of the archive."""

from collections.abc import Mapping
from typing import Any, Final

REQUEST: Final = "urn:uuid:8c0a7f4e-3f0b-4d0c-9b57-1a2b3c4d5e6f"
KEY: Final = "P3Y-claims~2030-01-01"

ARCHIVE: Final = (
    "Each key of the archive that has not ended: its retention period, the day on which it is destroyed and every copy"
    " of every box with it, whether its private half is `here` or lies with the data protection `officer`, and how many"
    " boxes are under it. Role: dpo. No personal values."
)
RESTORES: Final = (
    "Archived fields that customers asked for anew by a consent and that cannot come back yet: `key_gone` (the private"
    " half lies with you: `fieldgrant redaction archive bring-back`), `bad_box` and `bad_row` (what lies there is not"
    " what we sealed). The customer sees in the wallet that they wait. Role: dpo."
)
REQUESTS: Final = (
    "The latest 200 requests, newest first. `state` is `asked`, `approved`, `used`, `over` (not used within a day) or"
    " `disputed` (somebody changed the row). Roles: dpo, admin."
)
ASK: Final = (
    "Ask to open one archived field (`open`) or to end the keys of a period before their day (`destroy`), with a"
    " reason, a legal ground and the paper that shows it. It permits nothing until another person approves it."
    " Role: dpo."
)
APPROVE: Final = (
    "Another person than who asked says yes; the request then holds for one day and for one use. Roles: dpo, admin."
)
OPENING: Final = (
    "Opens the box of an approved request for the one who asked, once. The release is on record before the value"
    " leaves, and the customer sees it with the reason, the legal ground and who approved. Role: dpo."
)
DESTRUCTION: Final = (
    "Destroys the keys of an approved request's period, wherever their private halves lie, and with them every copy of"
    " every box. The customers concerned get a signed certificate. It cannot be undone. Role: dpo."
)

ARCHIVE_EXAMPLE: Final[Mapping[str, Any]] = {
    "keys": [{"key": KEY, "period": "P3Y-claims", "ends_at": "2030-01-01", "private": "here", "boxes": 12}]
}
RESTORES_EXAMPLE: Final[Mapping[str, Any]] = {
    "restores": [
        {
            "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
            "field": "contact.email",
            "period": "P3Y-claims",
            "archive_key": KEY,
            "since": "2026-11-22T08:00:00.000Z",
            "waiting": "key_gone",
            "consent": "urn:uuid:5b6c4c1a-3f58-4b43-8f0a-4f0f0a1f7b11",
        }
    ]
}
REQUESTS_EXAMPLE: Final[Mapping[str, Any]] = {
    "requests": [
        {
            "id": REQUEST,
            "kind": "open",
            "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
            "field": "contact.email",
            "reason": "legal_claim",
            "legal_ground": "GDPR art. 17(3)(e)",
            "evidence": "Court file 7 O 12/26",
            "requested_by": "dora",
            "requested_at": "2026-11-22T08:00:00.000Z",
            "state": "asked",
        }
    ]
}
REQUEST_EXAMPLE: Final[Mapping[str, Any]] = {"id": REQUEST, "state": "asked"}
APPROVED_EXAMPLE: Final[Mapping[str, Any]] = {"id": REQUEST, "state": "approved"}
OPENING_EXAMPLE: Final[Mapping[str, Any]] = {
    "request": REQUEST,
    "field": "contact.email",
    "value": "wei@example.com",
    "event": "urn:uuid:0d7c1a52-2b65-4d0e-8a0f-6b1f6b0f2f3a",
}
DESTRUCTION_EXAMPLE: Final[Mapping[str, Any]] = {"id": REQUEST, "keys": [KEY], "boxes": 12}

PROBLEMS: Final[Mapping[int, str]] = {
    401: "Not signed in.",
    403: "The role may not see this.",
    429: "Too many requests; `Retry-After` says when to try again.",
}
ASK_PROBLEMS: Final[Mapping[int, str]] = {
    **PROBLEMS,
    404: "`not_archived`: no such field of this customer lies there; `unknown_period`: no key of such a period.",
    422: "`bad_request`: something is missing or malformed.",
}
ACT_PROBLEMS: Final[Mapping[int, str]] = {
    **PROBLEMS,
    403: "`role`; `own_request`: somebody else must approve it; `not_your_request`, `not_approved`.",
    404: "`unknown_request`, `not_archived`.",
    409: "`already_used`, `already_approved`, `key_gone` (it lies with the officer), `bad_box`, `period_changed`.",
    410: "`request_over`: it was not used within a day.",
}
