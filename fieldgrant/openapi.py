"""The OpenAPI description of a whole process: how each caller signs in, and the errors that every operation shares.

The packages describe what is their own; what runtime refuses for all of them is added here, once.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from runtime.problem import TITLES

Json = dict[str, Any]
_PROBLEM = {
    "title": "Problem",
    "description": "An error (RFC 9457). `code` is stable, `detail` is for people, `field` names what was wrong.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "field": {"type": "string"},
    },
}
_SIGNED = {
    "type": "apiKey",
    "in": "header",
    "name": "Signature",
    "description": (
        "HTTP message signature (RFC 9421) by the enrolled wallet's did:key: Ed25519 over `@method`, `@target-uri` and "
        '`content-digest`, with `created`, `nonce`, `keyid` and `tag="fieldgrant"` in `Signature-Input`. '
        "A nonce counts once; a signature is good for two minutes."
    ),
}
_WALLETS = frozenset(
    {
        "/crm/ingest",
        "/crm/wallet/held",
        "/crm/rights/answers",
        "/audit/history",
        "/redaction/certificates",
        "/redaction/state",
    }
)
_STAFF = {401: ("not_signed_in",), 403: ("role", "csrf", "foreign_origin"), 429: ("too_many_requests",)}
_WALLET = {
    401: ("no_signature", "bad_signature", "stale_signature", "bad_digest", "nonce_used"),
    403: ("not_enrolled", "staff_not_wallet"),
    429: ("too_many_requests",),
}
_EVIDENCE = ("bad_json", "bad_credential", "bad_proof", "bad_signature", "wrong_type", "expired")
# (verb, path) → status → codes: what an operation of the issuer refuses besides
_OWN: Mapping[tuple[str, str], Mapping[int, tuple[str, ...]]] = {
    ("post", "/staff/sessions"): {
        400: ("bad_json",),
        401: ("bad_sign_in",),
        403: ("foreign_origin",),
        429: ("too_many_requests",),
    },
    ("post", "/issuer/invitations"): {
        404: ("unknown_subject",),
        409: ("already_enrolled", "no_channel", "no_second_channel", "channels_replaced"),
    },
    ("post", "/issuer/invitations/in-person"): {404: ("unknown_subject",), 409: ("already_enrolled",)},
    ("post", "/issuer/invitations/{id}/confirmation"): {
        403: ("role", "own_invitation"),
        404: ("unknown_invitation",),
        409: ("already_confirmed",),
        410: ("invitation_expired", "invitation_used", "invitation_ended"),
    },
    ("post", "/issuer/invitations/{id}/code"): {
        403: ("role", "not_your_invitation"),
        404: ("unknown_invitation",),
        409: ("not_opened",),
        410: ("invitation_expired", "invitation_used", "invitation_ended"),
        429: ("too_many_codes", "too_many_requests"),
    },
    ("post", "/issuer/enrolments/challenge"): {
        404: ("unknown_invitation",),
        409: ("no_second_channel", "channels_replaced"),
        410: ("invitation_expired", "invitation_used", "invitation_ended"),
        429: ("too_many_codes", "too_many_requests"),
    },
    ("post", "/issuer/enrolments"): {
        400: ("bad_presentation", "wrong_challenge", "wrong_domain", "bad_proof"),
        403: ("wrong_code", "staff_not_wallet"),
        404: ("unknown_invitation",),
        409: ("no_challenge", "already_enrolled", "did_enrolled"),
        410: ("invitation_expired", "invitation_used", "invitation_ended"),
        429: ("too_many_codes", "too_many_requests"),
    },
    ("post", "/issuer/subjects/{subject}/enrolment/end"): {409: ("not_enrolled",)},
    ("post", "/issuer/asks"): {
        404: ("unknown_subject", "unknown_notice"),
        409: ("not_enrolled",),
        422: (
            "field_not_needed",
            "separate_consent",
            "recipient_not_allowed",
            "jurisdiction_not_allowed",
            "one_recipient",
            "transfer_not_allowed",
            "purpose_twice",
            "bad_request",
        ),
        429: ("asked_too_often", "too_many_requests"),
    },
    ("get", "/issuer/asks"): {404: ("unknown_ask",)},
    ("get", "/issuer/asks/{id}"): {404: ("unknown_ask",)},
    ("get", "/issuer/asks/{id}/link"): {404: ("unknown_ask", "no_wallet_page"), 409: ("ask_closed",)},
    ("post", "/issuer/asks/{id}/end"): {404: ("unknown_ask",), 409: ("ask_closed",)},
    ("post", "/issuer/consents/{id}/revocation"): {404: ("unknown_consent",), 409: ("consent_ended",)},
    ("post", "/issuer/grounds"): {
        422: ("bad_basis", "consent_only", "role_not_allowed", "bad_valid_until", "bad_evidence", "bad_request")
    },
    ("post", "/issuer/grounds/{id}/approval"): {
        403: ("second_approver", "role"),
        404: ("unknown_ground",),
        409: ("ground_ended",),
    },
    ("post", "/issuer/catalogue/drafts"): {413: ("too_large",), 422: ("bad_catalogue",)},
    ("post", "/issuer/catalogue/rollbacks"): {404: ("unknown_catalogue",), 422: ("bad_catalogue", "bad_request")},
    ("get", "/issuer/catalogue/versions/{number}"): {404: ("unknown_catalogue",)},
    ("get", "/issuer/catalogue/drafts/{id}"): {404: ("unknown_catalogue",)},
    ("get", "/issuer/catalogue/drafts/{id}/diff"): {404: ("unknown_catalogue",)},
    ("get", "/issuer/catalogue/drafts/{id}/impact"): {404: ("unknown_catalogue",)},
    ("post", "/issuer/catalogue/drafts/{id}/approval"): {
        403: ("role", "second_approver"),
        404: ("unknown_catalogue",),
        409: ("draft_outdated", "draft_withdrawn", "foreign_catalogue"),
        503: ("drain_timeout", "catalogue_missing"),
    },
    ("post", "/issuer/catalogue/drafts/{id}/withdrawal"): {
        404: ("unknown_catalogue",),
        409: ("already_published",),
    },
    ("post", "/issuer/grounds/{id}/end"): {404: ("unknown_ground",), 409: ("ground_ended",)},
    ("post", "/issuer/wallet/consents"): {
        400: _EVIDENCE,
        403: ("foreign_ask", "not_enrolled"),
        409: ("stale_ask", "ask_ended", "ask_outdated", "challenge_used", "id_used"),
        410: ("challenge_expired",),
        422: ("consent_wider_than_ask",),
    },
    ("get", "/issuer/wallet/asks/{id}"): {404: ("unknown_ask",)},
    ("post", "/issuer/wallet/refusals"): {
        400: _EVIDENCE,
        403: ("foreign_ask", "not_enrolled"),
        409: ("stale_ask", "ask_ended"),
    },
    ("post", "/issuer/wallet/narrowings/offers"): {
        403: ("not_your_consent", "not_enrolled"),
        404: ("unknown_consent",),
        409: ("consent_ended",),
    },
    ("post", "/issuer/wallet/narrowings"): {
        400: _EVIDENCE,
        409: ("consent_ended", "digest_mismatch"),
        422: ("not_narrower", "consent_wider_than_ask"),
    },
    ("post", "/issuer/wallet/withdrawals"): {
        400: _EVIDENCE,
        403: ("not_your_consent", "not_enrolled"),
        404: ("unknown_consent",),
        409: ("consent_ended", "digest_mismatch"),
    },
    ("post", "/issuer/wallet/requests"): {
        400: _EVIDENCE,
        403: ("foreign_request", "not_enrolled"),
        404: ("unknown_field", "unknown_purpose", "unknown_read"),
        409: ("request_open", "nothing_to_object", "id_used"),
        422: ("bad_request", "bad_correction", "bad_box"),
        429: ("too_many_requests",),
    },
    ("get", "/issuer/requests/{id}"): {404: ("unknown_request",), 409: ("request_disputed",)},
    ("post", "/issuer/requests"): {
        404: ("unknown_subject", "unknown_field", "unknown_purpose", "unknown_read"),
        409: ("has_wallet", "request_open", "nothing_to_object"),
        422: ("bad_method", "bad_request", "bad_correction"),
    },
    ("post", "/issuer/requests/{id}/confirmation"): {
        403: ("role", "own_request", "foreign_request"),
        404: ("unknown_request",),
        409: ("already_confirmed", "request_closed", "request_disputed"),
    },
    **{
        ("post", f"/issuer/requests/{{id}}/{act}"): {
            403: ("role", "foreign_request"),
            404: ("unknown_request",),
            409: ("not_identified", "request_closed", "request_disputed", *codes),
            422: ("bad_request",),
        }
        for act, codes in {
            "taking": (),
            "extension": (),
            "answer": ("answered_elsewhere", "bad_explanation", "bad_keep"),
            "refusal": ("already_effective",),
            "lifting": ("not_restricted",),
        }.items()
    },
    ("post", "/crm/rights/answers"): {
        403: ("foreign_request", "not_enrolled"),
        404: ("unknown_request",),
        409: ("no_answer_here", "request_closed", "wallet_ended"),
        410: ("answer_over",),
        429: ("too_many_requests",),
    },
    ("post", "/crm/rights/requests/{id}/file"): {
        403: ("role", "own_confirmation"),
        404: ("unknown_request",),
        409: ("no_answer_here", "not_identified", "request_closed"),
        410: ("answer_over",),
    },
    ("post", "/crm/rights/requests/{id}/passphrase"): {
        403: ("role", "not_your_confirmation"),
        404: ("unknown_request",),
        409: ("no_answer_here", "not_identified"),
        410: ("answer_over",),
    },
    ("post", "/crm/rights/requests/{id}/correction"): {
        403: ("role", "foreign_request"),
        404: ("unknown_request",),
        409: ("no_answer_here", "not_identified", "not_held", "request_closed", "wallet_ended", "digest_mismatch"),
        410: ("key_gone",),
        422: ("bad_box", "bad_correction"),
    },
    ("post", "/issuer/losses"): {
        404: ("unknown_subject",),
        409: ("not_enrolled",),
        422: ("bad_method", "bad_request"),
    },
    ("post", "/issuer/losses/{id}/confirmation"): {
        403: ("role", "own_report", "no_officer"),
        404: ("unknown_loss",),
        409: ("already_confirmed", "not_enrolled"),
    },
    ("get", "/issuer/notices/{purpose}/{version}"): {404: ("unknown_notice",)},
    ("get", "/issuer/status/{n}"): {404: ("unknown_status_list",)},
    ("get", "/crm/live"): {429: ("too_many_streams", "too_many_requests")},
    ("get", "/audit/checkpoint"): {404: ("log_empty",)},
    ("get", "/audit/tile/{path}"): {404: ("no_such_tile",)},
    ("get", "/audit/provenance"): {404: ("unknown_subject",)},
    ("get", "/audit/records/{leaf}/{place}"): {404: ("not_in_log",), 409: ("body_changed",), 410: ("body_gone",)},
    ("post", "/audit/exports"): {
        400: ("bad_scope", "bad_datetime"),
        429: ("too_many_exports", "too_many_requests"),
    },
    ("get", "/audit/exports/{id}"): {404: ("unknown_export",)},
    ("post", "/audit/exports/{id}/cancellation"): {404: ("unknown_export",)},
    ("post", "/audit/exports/{id}/resumption"): {
        404: ("unknown_export",),
        429: ("too_many_exports", "too_many_requests"),
    },
    ("get", "/audit/exports/{id}/bundle"): {404: ("unknown_export",), 409: ("not_ready",)},
    ("get", "/audit/log"): {404: ("log_empty",), 409: ("log_shorter", "log_forked")},
    ("post", "/audit/verifications"): {413: ("too_large",)},
    ("get", "/audit/bundles"): {404: ("unknown_subject",), 413: ("too_large", "too_many_files")},
}


def add(app: FastAPI) -> None:
    """Complete the description of a finished app."""
    document = app.openapi()
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {})["Problem"] = _PROBLEM
    parts.setdefault("securitySchemes", {})["WalletSignature"] = _SIGNED
    for name in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(name, None)
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            _complete(operation, verb, path)
    app.openapi = lambda: document  # type: ignore[method-assign]  # FastAPI's own way; later routes are not described


def _complete(operation: Json, verb: str, path: str) -> None:
    shared: Mapping[int, tuple[str, ...]] = {}
    if operation.get("security"):
        shared = _STAFF
    elif path.startswith("/issuer/wallet/") or path in _WALLETS:
        operation["security"] = [{"WalletSignature": []}]
        shared = _WALLET
    responses: Json = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(responses.get("422")):
        responses["422"] = _refused(422, ("bad_request",))
    for status, codes in {**shared, **_OWN.get((verb, path), {})}.items():
        if status not in _OWN.get((verb, path), {}) and str(status) in responses:
            continue  # the package says it better
        responses[str(status)] = _refused(status, codes)
    operation["responses"] = dict(sorted(responses.items()))


def _refused(status: int, codes: tuple[str, ...]) -> Json:
    def example(code: str) -> Json:
        kind = f"https://ns.fieldgrant.example/problems/{code}"
        body = {
            "type": kind,
            "title": TITLES[status],
            "status": status,
            "detail": "What was wrong, in words.",
            "code": code,
        }
        return {"value": body}

    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {code: example(code) for code in codes}}
    return {
        "description": f"Refused: {', '.join(f'`{code}`' for code in codes)}.",
        "content": {"application/problem+json": content},
    }
