"""Words and examples of the verifier's API."""

from typing import Any

APP = "Who may see what: verifies credentials, and says which fields a ground releases. It never answers with a value."
SUBJECT = "The customer's opaque reference."
PURPOSE = "A purpose of the catalogue, by key or IRI."
FIELDS = "Fields of the catalogue."
VERIFIABLE_CREDENTIAL = "A VCDM 2.0 credential with an eddsa-jcs-2022 or eddsa-rdfc-2022 proof."
VERIFY = (
    "Structure, every proof, a proof by the issuer's own key, and dates (W3C VC API, verify credential). DIDs: "
    "did:key, and the did:web of this organisation. Nothing is fetched, nothing is stored."
)
DECISIONS = (
    "Which of these fields would be released to you for this purpose now, under which grounds, and why not the others. "
    "No value is read. The question is on record like a read, and the customer sees it."
)

VERIFY_BODY: dict[str, Any] = {
    "verifiableCredential": {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "issuer": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
        "credentialSubject": {"id": "did:example:subject"},
        "proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022", "proofValue": "z…"},
    },
    "options": {"challenge": "b0f1…", "domain": "crm.example.com"},
}
DECISION_BODY: dict[str, Any] = {
    "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
    "purpose": "marketing",
    "fields": ["contact.email", "address.city"],
}
_DECIDED = {
    "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
    "purpose": "https://w3id.org/dpv#DirectMarketing",
    "released": ["address.city"],
    "withheld": {"contact.email": "withdrawn"},
    "version": 4,
    "grounds": {"urn:uuid:0b1e6c0c-7d0b-4f6e-9c55-3f1a2b3c4d5e": ["address.city"]},
    "release": "urn:uuid:6f8f1f0a-2f55-4f0b-8f43-0d0d6a1f7c11",
}


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    body = {"type": f"https://ns.fieldgrant.example/problems/{code}", "status": status, "code": code, "detail": detail}
    return {"description": detail, "content": {"application/problem+json": {"example": body}}}


VERIFY_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "It verifies.",
        "content": {"application/json": {"example": {"verified": True, "problemDetails": []}}},
    },
    400: {
        "description": "It does not; each problem has a stable code.",
        "content": {
            "application/json": {
                "example": {
                    "verified": False,
                    "problemDetails": [
                        {
                            "type": "https://ns.fieldgrant.example/problems/bad_signature",
                            "title": "bad_signature",
                            "detail": "the signature does not fit",
                        }
                    ],
                }
            }
        },
    },
}
DECISION_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The decision.", "content": {"application/json": {"example": _DECIDED}}},
    401: _problem(401, "not_signed_in", "Sign in first."),
    403: _problem(403, "role", "Your role may not act for this purpose."),
    404: _problem(404, "unknown_subject", "There is no such customer, purpose or field."),
    503: _problem(503, "not_recorded", "The record of this read could not be kept, so nothing is shown. Try again."),
}
