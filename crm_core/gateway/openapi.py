"""What the API's documentation says of touchpoints and their uploads."""

from typing import Any

_ID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"
_DID = "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
_SUBJECT = "sub_mfrggzdfmztwq2lknnwg23tpoa"
SUBJECT = "The customer's opaque reference."
INGEST = (
    "A registered touchpoint's values, at most 500 uploads and 1 MiB, signed by its key (RFC 9421 over `@method`, "
    "`@target-uri` and `content-digest`; each nonce once, good for two minutes), or by a browser's key with a "
    "`delegation` of at most 15 minutes. Each upload declares its purpose and names a ground, or brings the "
    "customer's consent itself. Two checks: the touchpoint is registered for purpose and field and the purpose needs "
    "it; and a living ground of this customer lets it be collected (`dpv:Collect`) here and now. An upload is taken "
    "whole or not at all. **200**: all stored. **202**: all held. **207**: look at the `status` of each. **422**: "
    "nothing was taken. An upload's answer is final and kept for seven days: the same `id` with the same content gets "
    "the same answer, with another content 409. A new customer (`subject: null`) needs a statutory ground for "
    "everyone; whether the person is known already is left to the import's merge."
)
HELD = "What touchpoints left without a ground, sealed until one comes or seven days are over: names of fields alone."
MINE = "What of mine is held without a ground, and until when. To destroy it at once, refuse or withdraw."
LIST = "Every touchpoint with its standing: `draft`, `living`, `expired`, `revoked`, or `broken` (proves nothing)."
ONE = "One touchpoint."
REGISTER = (
    "An administrator registers a touchpoint: its key, the purposes and fields that it may bring, where, and what "
    "becomes of fields without a ground. It lets nothing in until a data protection officer approved it."
)
APPROVE = "The second person's signature, after which the touchpoint may upload."
END = "Ends a touchpoint for good: once this is answered nothing of it is taken. Its key can never be registered again."


def _problem(code: str, told: str) -> dict[str, Any]:
    body = {"type": f"https://ns.fieldgrant.example/problems/{code}", "title": told, "code": code}
    return {"description": told, "content": {"application/problem+json": {"example": body}}}


def _answer(told: str, example: Any) -> dict[str, Any]:
    return {"description": told, "content": {"application/json": {"example": example}}}


_STORED: dict[str, Any] = {
    "id": _ID,
    "status": 200,
    "stored": ["ticket.subject"],
    "refused": {},
    "event": _ID,
    "subject": _SUBJECT,
}
_REFUSED: dict[str, Any] = {
    "id": _ID,
    "status": 403,
    "stored": [],
    "refused": {"vehicle.location": "withdrawn"},
    "event": None,
    "code": "withdrawn",
}
INGEST_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _answer("Every upload is stored.", {"results": [_STORED]}),
    202: _answer("Every upload is held.", {"results": [{**_STORED, "status": 202, "stored": [], "held": ["x.y"]}]}),
    207: _answer("Some are stored or held, some are not.", {"results": [_STORED, _REFUSED]}),
    400: _problem("bad_upload", "The body is not understood."),
    401: _problem("bad_signature", "Not signed, stale, or sent before: also `stale_signature`, `nonce_used`."),
    403: _problem("unknown_touchpoint", "Not registered, or the delegation or the page's origin does not fit."),
    409: _problem("idempotency_conflict", "The Idempotency-Key was used for another request."),
    413: _problem("too_large", "More than 1 MiB or 500 uploads."),
    422: {"description": "Nothing was taken; `results` says why.", "content": {
        "application/problem+json": {"example": {"code": "nothing_taken", "results": [_REFUSED]}}}},
    429: _problem("too_many_requests", "Too many: wait for `Retry-After` seconds."),
}  # fmt: skip
INGEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["uploads"],
                    "properties": {
                        "uploads": {"type": "array", "minItems": 1, "maxItems": 500, "items": {"type": "object"}},
                        "delegation": {"type": "object"},
                    },
                },
                "example": {
                    "uploads": [
                        {
                            "id": _ID,
                            "subject": _SUBJECT,
                            "purpose": "support",
                            "ground": _ID,
                            "values": {"ticket.subject": "The heating does not start"},
                            "collected_at": "2026-11-22T08:00:00Z",
                        }
                    ]
                },
            }
        },
    }
}
_HELD = {
    "id": _ID,
    "subject": _SUBJECT,
    "touchpoint": _ID,
    "purpose": "https://w3id.org/dpv#TechnicalServiceProvision",
    "fields": ["vehicle.mileage"],
    "at": "2026-11-22T08:00:00.000Z",
    "destroy_by": "2026-11-29T08:00:00.000Z",
}
HELD_RESPONSES: dict[int | str, dict[str, Any]] = {200: _answer("Names of fields.", {"items": [_HELD]})}
TOUCHPOINT: dict[str, Any] = {
    "id": _ID,
    "did": _DID,
    "at": "2026-11-22T08:00:00.000Z",
    "ended_at": None,
    "standing": "living",
    "name": "Web form",
    "declared_by": _DID,
    "processes": [{"purpose": "https://w3id.org/dpv#RequestedServiceProvision", "fields": ["ticket.subject"]}],
    "jurisdiction": "CN",
    "ungrounded": "refuse",
    "rate": 600,
    "origins": ["https://shop.example.com"],
    "valid_until": "2027-11-22T08:00:00Z",
}
LIST_RESPONSES: dict[int | str, dict[str, Any]] = {200: _answer("The touchpoints.", {"items": [TOUCHPOINT]})}
ONE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: _answer("The touchpoint.", TOUCHPOINT),
    404: _problem("unknown_touchpoint", "There is no such touchpoint."),
}
MADE_RESPONSES: dict[int | str, dict[str, Any]] = {
    201: _answer("The draft.", {**TOUCHPOINT, "standing": "draft"}),
    409: _problem("did_used", "The key is known already."),
    422: _problem("field_not_needed", "The purpose does not need a field, or foresees no collecting."),
}
CHANGED_RESPONSES: dict[int | str, dict[str, Any]] = {
    **ONE_RESPONSES,
    409: _problem("touchpoint_ended", "The touchpoint has ended."),
}
