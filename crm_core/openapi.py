"""What the API's documentation says of the records: texts and examples, apart from the code that answers."""

from typing import Any

APP = (
    "The customer records of one organisation. Every value rests sealed; every read states its purpose, passes the "
    "gate and is on record, for the customer too, before it leaves. A withheld field carries a reason and never a "
    "value, and to filters and sorting it is an absent one."
)
PURPOSE = (
    "What the values are read for: a purpose of the catalogue, by its key or IRI, that the caller's role may act for."
)
SELECT = "Fields, parted by commas. Left out: every field that the purpose may be asked for."
SUBJECT = "The customer's opaque reference."
FILTER = (
    "One condition, `field:operator:value`. Operators: `eq`, `ne`, `in` and `between` (values parted by commas), "
    "`prefix`, `contains`, `gt`, `gte`, `lt`, `lte`; `present` and `absent` take no value. Letter case and width do "
    "not matter. A withheld field is absent. The value stands in the address: POST /crm/customers/query keeps it out."
)
FILTERS = ["address.city:eq:Shanghai", "contact.family_name:prefix:W", "contact.phone:absent"]
SORT = (
    "Up to three fields, parted by commas, rising; `-field` falling. Customers without one, or for whom it is "
    "withheld, come last."
)
LIMIT = "How many customers a page holds, 1 to 500."
CURSOR = "The `next` of the page before, with the same reader, purpose, fields, filter and order."
LIST = (
    "One page of customers. Without `sort` in the order of their references. Problems: `unknown_field`, "
    "`item_field`, `unknown_purpose`, `bad_filter`, `bad_sort`, `bad_limit`, `bad_cursor`, `role`."
)
ONE = (
    "What one customer's record releases for a purpose; without `select` also its `version`, for corrections. "
    "Problems: `unknown_subject`, `unknown_field`, `role`."
)
FIELDS = (
    "The fields and purposes of the catalogue, with the purposes that the caller's role may act for marked. `many`: "
    "the value is a list of texts; `item`: the field lives in items of this kind, of which a customer may have several."
)

_ITEM: dict[str, Any] = {
    "subject": "sub_mfrggzdfmztwq2lknnwg23tpoa",
    "fields": {"contact.given_name": "Wei", "address.city": None},
    "withheld": {"contact.email": "no_ground"},
    "purpose": "https://w3id.org/dpv#DirectMarketing",
    "release": "urn:uuid:6a0bbf1c-4f0f-4a36-9d1f-0c8a6b0d7e11",
}


def refused(code: str, text: str) -> dict[str, Any]:
    """A response with an example of its problem."""
    body = {"type": f"https://ns.fieldgrant.example/problems/{code}", "title": text, "code": code}
    return {"description": text, "content": {"application/problem+json": {"example": body}}}


def answer(text: str, example: Any) -> dict[str, Any]:
    """A response with an example of its body."""
    return {"description": text, "content": {"application/json": {"example": example}}}


SIGN_IN = refused("not_signed_in", "No valid bearer token.")
ROLE = refused("role", "The caller's role may not do this.")
LIST_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("Released values, and a reason for each withheld field.", {"items": [_ITEM], "next": None}),
    400: refused("bad_filter", "The query is not understood."),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_purpose", "The catalogue has no such purpose."),
}
ONE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer("Released values, and a reason for each withheld field.", _ITEM),
    400: refused("unknown_field", "The catalogue has no such field."),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_subject", "There is no such customer."),
}
FIELDS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer(
        "The catalogue.",
        {
            "version": "2026-11-22",
            "fields": [
                {
                    "id": "address.city", "category": "pd:City", "sensitive": False, "type": "text", "many": False,
                    "item": None, "labels": {"en": "City", "zh-CN": "城市"}, "disposition": "shred",
                }
            ],
            "purposes": [{"key": "marketing", "iri": "https://w3id.org/dpv#DirectMarketing", "allowed": True}],
        },
    ),
    401: SIGN_IN,
}  # fmt: skip
