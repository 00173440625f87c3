"""What the OpenAPI description says of recipients, their answers and our own copies."""

from collections.abc import Mapping
from typing import Any, Final

NOTICE: Final = "urn:uuid:2b1f7a53-77d5-4a55-bd5e-9e0a1f0f3c11"

DOWNSTREAM: Final = (
    "The latest 500 notices to recipients who had fields that nothing covers any more, newest first. `state` is `open`"
    " (not delivered yet), `delivered`, `acknowledged`, `kept` (the recipient names the law in `citation`), `overdue`"
    " after the deadline, or `disputed` (somebody wrote an answer into the database). `error` is the stable code of the"
    " last try. A notice to ourselves is about an export that stayed in the house: confirm it. Role: dpo."
)
OPEN: Final = "Only what nobody has answered yet."
ANSWER: Final = (
    "For recipients: the `RedactionAcknowledgementCredential` over a notice, as JSON, signed by the DID that the notice"
    " went to. It needs no sign-in: the signature over this very notice is what counts. The answer to the POST of a"
    " notice may carry the same. Sent again, nothing happens."
)
CONFIRM: Final = (
    "An officer's word that a copy in the house (an export that a member of staff took) is `deleted`, was `not_found`,"
    " or is `kept` under a law that `citation` names. Signed by the officer and by us; the customer sees it. Role: dpo."
)
COPIES: Final = (
    "Everything that could hold a copy of a value: caches and search indexes (none are made), backups (they end with"
    " their keys), and the latest 200 exports, each with its disposition: `living`, `open`, `overdue`, `partly_ended`,"
    " `acknowledged` or `disputed`. Role: dpo."
)

_NOTICE: Final[Mapping[str, Any]] = {
    "notice": NOTICE,
    "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
    "recipient": "did:web:partner.example",
    "fields": ["contact.email"],
    "state": "delivered",
    "at": "2026-11-22T08:00:02Z",
    "deadline": "2026-11-29T08:00:02Z",
    "delivered_at": "2026-11-22T08:00:04.120Z",
    "attempts": 1,
}
DOWNSTREAM_EXAMPLE: Final[Mapping[str, Any]] = {"notices": [_NOTICE]}
ANSWER_EXAMPLE: Final[Mapping[str, Any]] = {"notice": NOTICE, "state": "acknowledged"}
COPIES_EXAMPLE: Final[Mapping[str, Any]] = {
    "copies": [
        {"kind": "cache", "disposition": "none_made"},
        {
            "kind": "export",
            "id": "exp_mfrggzdfmztwq2lknnwg23tpoa",
            "at": "2026-11-22T07:00:00.000Z",
            "account": "mei",
            "recipient": "did:web:crm.example.com",
            "purpose": "https://w3id.org/dpv#DirectMarketing",
            "format": "csv",
            "rows": 40,
            "fields_disclosed": 80,
            "fields_ended": 2,
            "disposition": "open",
        },
    ]
}
PROBLEMS: Final[Mapping[int, str]] = {
    401: "Not signed in.",
    403: "The role may not do this; `not_ours`: only the recipient itself may answer.",
    404: "`unknown_notice`.",
    429: "Too many requests; `Retry-After` says when to try again.",
}
ANSWER_PROBLEMS: Final[Mapping[int, str]] = {
    400: "`bad_credential`, `bad_proof`, `wrong_issuer`, `foreign_answer`: not the recipient's answer to that notice.",
    404: "`unknown_notice`.",
    429: "Too many requests; `Retry-After` says when to try again.",
    503: "`keys_unreachable`: the recipient's did:web document could not be fetched.",
}
