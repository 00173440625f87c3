"""What the OpenAPI description says of redaction: for people who write a wallet or a page against it."""

from collections.abc import Mapping
from typing import Any, Final

APP: Final = (
    "What becomes of a field that lost its last ground: it is kept under another ground, sealed into the archive under"
    " a named legal ground until a destroy-by date, or shredded by destroying its key. Each end is certified, signed."
)
CERTIFICATES: Final = (
    "The signed `DispositionCertificate` credentials of the customer whose wallet signed this request (RFC 9421),"
    " oldest first, in the very bytes that the controller signed. A certificate is issued only when every process that"
    " opens records has let go of the destroyed key."
)
STATE: Final = (
    "For each field of the calling customer that ever lost a ground, what became of it. `state` is `pending` (a job is"
    " under way), `kept` (`ground` or `legal_ground` says why), `sealed` (with `legal_ground` and `destroy_by`),"
    " `shredded`, `destroyed` (its archive key ended), `restored`, `restoring`, or `waiting` (asked for again by a new"
    " consent, but the key of the archive lies with the data protection officer). `openings` are the archived fields"
    " that two officers opened, with reason, legal ground and who approved; `elsewhere` are the recipients who had"
    " fields, and whether they have answered."
)
JOBS: Final = (
    "The latest 500 jobs, newest first, and all of it in figures. A job is one customer's lapse; its `step` goes"
    " planned → sealed → resealed → journalled → dropped → done. `error` is the stable code of the last failed try;"
    " it is tried again at `next_try_at`. `parts` says which part is still open: the stored fields, the archive,"
    " recipients elsewhere (`downstream`), copies in the house. Role: dpo. No personal values."
)
OPEN: Final = "Only jobs that are not done."
KEYS: Final = (
    "The buckets that hold data keys, with the epochs whose key exists (more than one: a rotation is under way) and the"
    " age of the newest; all of that as a `summary`; and how long it took from the act that ended a ground to the key"
    " that nobody holds any more: `longest` and `median` in seconds, `open_longest` for what is still under way."
    " Role: dpo."
)

CERTIFICATES_EXAMPLE: Final[Mapping[str, Any]] = {
    "certificates": [
        {
            "@context": ["https://www.w3.org/ns/credentials/v2", "https://ns.fieldgrant.example/consent/v1"],
            "id": "urn:uuid:6d8f3f0e-5d57-4b53-9d6a-0d2f2f1c7c55",
            "type": ["VerifiableCredential", "DispositionCertificate"],
            "issuer": "did:web:crm.example.com",
            "validFrom": "2026-11-22T08:00:02Z",
            "credentialSubject": {
                "id": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
                "hasDispositionRecord": {
                    "type": "DispositionRecord",
                    "hasDataController": "did:web:crm.example.com",
                    "dispositionCause": "urn:uuid:5b6c4c1a-3f58-4b43-8f0a-4f0f0a1f7b11",
                    "disposedAt": "2026-11-22T08:00:02Z",
                    "hasDisposition": [
                        {
                            "type": "Disposition",
                            "field": "contact.phone",
                            "disposition": "shred",
                            "generation": 1,
                            "bucket": 77,
                            "epochEnded": 1,
                        }
                    ],
                },
            },
        }
    ]
}
STATE_EXAMPLE: Final[Mapping[str, Any]] = {
    "fields": [
        {
            "field": "contact.phone",
            "state": "shredded",
            "disposition": "shred",
            "at": "2026-11-22T08:00:02.120Z",
            "certificate": "urn:uuid:6d8f3f0e-5d57-4b53-9d6a-0d2f2f1c7c55",
            "causes": ["urn:uuid:5b6c4c1a-3f58-4b43-8f0a-4f0f0a1f7b11"],
        }
    ],
    "openings": [],
    "elsewhere": [
        {
            "notice": "urn:uuid:2b1f7a53-77d5-4a55-bd5e-9e0a1f0f3c11",
            "recipient": "did:web:partner.example",
            "fields": ["contact.phone"],
            "state": "delivered",
            "at": "2026-11-22T08:00:02Z",
            "deadline": "2026-11-29T08:00:02Z",
        }
    ],
}
_SHRED: Final = {"count": 3, "longest": 1.42, "median": 0.61, "open_longest": None}
JOBS_EXAMPLE: Final[Mapping[str, Any]] = {
    "jobs": [
        {
            "id": "urn:uuid:6d8f3f0e-5d57-4b53-9d6a-0d2f2f1c7c55",
            "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
            "version": 4,
            "round": 0,
            "step": "journalled",
            "cause": "withdrawn",
            "cause_id": "urn:uuid:5b6c4c1a-3f58-4b43-8f0a-4f0f0a1f7b11",
            "ended_at": "2026-11-22T08:00:01.300Z",
            "planned_at": "2026-11-22T08:00:01.450Z",
            "bucket": 77,
            "generation": 1,
            "epoch": 1,
            "attempts": 0,
            "parts": {"stored": "open", "archive": "done", "downstream": "none", "copies": "none"},
        }
    ],
    "figures": {
        "jobs": {"journalled": 1, "done": 3},
        "failing": 0,
        "dispositions": {"keep": 2, "seal": 3, "shred": 5},
        "archived": 3,
        "waiting": 0,
        "disputed": 0,
        "shred": _SHRED,
    },
}
KEYS_EXAMPLE: Final[Mapping[str, Any]] = {
    "buckets": [{"bucket": 77, "epochs": [2], "data_keys": 4, "rotated_at": "2026-11-22T08:00:01.700Z", "age": 310.2}],
    "summary": {
        "buckets": 1,
        "epochs": {"newest": 2, "held": 1},
        "rotating": 0,
        "data_keys": 4,
        "rotated": 1,
        "age": {"min": 310.2, "median": 310.2, "max": 310.2},
    },
    "shred": _SHRED,
}

WALLET_PROBLEMS: Final[Mapping[int, str]] = {
    401: "The request is not signed, its signature is bad or stale, or it was sent before.",
    403: "The wallet is not enrolled (any more), or a member of staff asks.",
    429: "Too many requests; `Retry-After` says when to try again.",
}
STAFF_PROBLEMS: Final[Mapping[int, str]] = {
    401: "Not signed in.",
    403: "The role may not see this.",
    429: "Too many requests; `Retry-After` says when to try again.",
}


def answers(
    example: Mapping[str, Any], problems: Mapping[int, str], status: int = 200
) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: its answer with an example, and its problems (RFC 9457)."""
    body = {"application/json": {"schema": {"type": "object"}, "example": example}}
    refused = {"application/problem+json": {"schema": {"type": "object"}}}
    documented: dict[int | str, dict[str, Any]] = {status: {"description": "Done.", "content": body}}
    return documented | {code: {"description": text, "content": refused} for code, text in problems.items()}
