"""What the API's documentation says of writes, items, histories and organisations."""

from typing import Any

from crm_core.openapi import ROLE, SIGN_IN, answer, refused

Responses = dict[int | str, dict[str, Any]]

CREATE = (
    "A new customer by hand. Every field must be covered by a ground that concerns everybody and allows collecting it "
    "for this purpose; else the answer names the first one that is not, and nothing is stored."
)
CORRECT = (
    "Correct values of a customer's record, or add to it. A field that is withheld from you is refused (`not_granted`) "
    "whatever is stored; a value that was not there needs a ground that covers collecting it "
    "(`no_ground_to_collect`). `if_version` is the `version` that reading the customer without `select` gave: "
    "when what you may see was changed since, the answer is 409 `conflict`. Nothing is answered: read it again, on "
    "record."
)
ADD_ITEM = (
    "A new interaction, deal or ticket (or what the catalogue adds): fields of one kind. Every field needs a ground "
    "that covers collecting it for this purpose. At most 1,000 items."
)
CHANGE_ITEM = "Correct values of an item, add to it, or take some away (null). Rules as for the record."
DELETE_ITEM = (
    "Take away what you may see of an item. One that is not there is no error, and the answer does not tell whether it "
    "was. It cannot be undone. What is withheld from you stays."
)
FEED = (
    "The customer's items, newest first by the moment that the catalogue knows for their kind, where you may see it; "
    "the others after them. An item without a granted field is not there; links to what you may not see are absent."
)
HISTORY = (
    "Where a value came from, when it was corrected, what became of it, and under which grounds; never a value. For a "
    "purpose that releases the field; the data protection officer and auditors need no purpose. A withheld field "
    "answers as an absent one."
)
ORGANISATIONS = (
    "Organisations by name or domain (`q`, letter case and width do not matter), in the order of their names."
)
ORGANISATION = "One organisation; the id of one that was absorbed leads to the one that absorbed it."
ADD_ORGANISATION = "A new organisation. Customers name it by its id in `employment.organisation`."
CHANGE_ORGANISATION = "Put new content in the place of the old; `if_revision` guards against overwriting a newer one."
MERGE = "Let this organisation absorb another one: who works for either works for this one."
DELETE_ORGANISATION = (
    "Delete an organisation. It is never refused because of customers who work there: that would tell of links that "
    "are withheld. Their link shows as unknown then."
)
MEMBERS = (
    "The customers whose `employment.organisation` is this one and released for the purpose, a page at a time: those "
    "who let you see where they work."
)
ITEM = "The item's id."
KIND = "Only items of this kind: interaction, deal, ticket."
FIELD = "A field of the catalogue."
ID = "The organisation's id."
IF_VERSION = "The version that you read; when it is no longer that one: 409 `conflict`."

_ITEM: dict[str, Any] = {
    "item": "itm_mfrggzdfmztwq2lknnwg23tpoa",
    "kind": "ticket",
    "fields": {"ticket.subject": "Charging stops at 80 %", "ticket.status": "open"},
    "version": "0f3a5c",
}
_ORGANISATION: dict[str, Any] = {
    "id": "org_mfrggzdfmztwq2lknnwg23tpoa",
    "revision": 1,
    "name": "Example Cars Ltd",
    "domain": "cars.example.com",
    "registration_number": "91310000MA1K35A00X",
    "address": "1 Century Avenue, Shanghai",
    "country": "CN",
    "website": "https://cars.example.com",
}
_GRANT = refused("not_granted", "Not granted, no ground to collect, or not your role: the code says which.")
_UNKNOWN = refused("unknown_subject", "There is no such customer.")
_CONFLICT = refused("conflict", "It was changed since you read it.")
_BAD = refused("bad_value", "A value has no normal form; the field is named.")
_BAD_FIELD = refused("unknown_field", "The catalogue has no such field.")
_NO_ORGANISATION = refused("unknown_organisation", "There is no such organisation.")


def _done(text: str) -> dict[str, Any]:
    return {"description": text}


_WRITE: Responses = {400: _BAD_FIELD, 401: SIGN_IN, 403: _GRANT, 404: _UNKNOWN, 409: _CONFLICT, 422: _BAD}
CREATE_RESPONSES: Responses = _WRITE | {201: answer("Stored.", {"subject": "sub_mfrggzdfmztwq2lknnwg23tpoa"})}
CORRECT_RESPONSES: Responses = _WRITE | {204: _done("Stored.")}
ADD_ITEM_RESPONSES: Responses = _WRITE | {201: answer("Stored.", {"item": _ITEM["item"]})}
CHANGE_ITEM_RESPONSES: Responses = _WRITE | {204: _done("Stored.")}
DELETE_ITEM_RESPONSES: Responses = {
    204: _done("What you may see of it is gone, or was not there."),
    401: SIGN_IN,
    403: ROLE,
    404: _UNKNOWN,
    409: _CONFLICT,
}
FEED_RESPONSES: Responses = {
    200: answer(
        "One page.",
        {
            "items": [_ITEM],
            "withheld": {"ticket.body": "no_ground"},
            "next": None,
            "purpose": "https://w3id.org/dpv#RequestedServiceProvision",
            "release": "urn:uuid:6a0bbf1c-4f0f-4a36-9d1f-0c8a6b0d7e11",
        },
    ),
    400: refused("bad_cursor", "The query is not understood (`bad_cursor`, `bad_limit`, `bad_kind`)."),
    401: SIGN_IN,
    403: ROLE,
    404: _UNKNOWN,
}
HISTORY_RESPONSES: Responses = {
    200: answer(
        "What is known of the value.",
        {
            "field": "contact.email",
            "steps": [
                {
                    "at": "2026-11-22T08:00:00.000Z",
                    "kind": "value.collected",
                    "event": "urn:uuid:6a0bbf1c-4f0f-4a36-9d1f-0c8a6b0d7e11",
                    "source": "import",
                    "digest": "5f1c…",
                    "importer": "did:key:z6Mk…",
                    "row": 17,
                }
            ],
            "grounds": [{"ground": "urn:uuid:2c1d5a52-6d3a-4bf4-8a5e-4a7f0c4f9b11"}],
        },
    ),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_field", "There is no such field, or no such customer."),
    422: refused("no_purpose", "Your role needs a purpose."),
}
ORGANISATIONS_RESPONSES: Responses = {
    200: answer("At most 50.", {"items": [_ORGANISATION]}),
    401: SIGN_IN,
    403: ROLE,
}
ORGANISATION_RESPONSES: Responses = {
    200: answer("The organisation.", _ORGANISATION),
    401: SIGN_IN,
    403: ROLE,
    404: _NO_ORGANISATION,
}
ADD_ORGANISATION_RESPONSES: Responses = {
    201: answer("Stored.", _ORGANISATION),
    401: SIGN_IN,
    403: ROLE,
    422: refused("no_name", "A text is missing or too long."),
}
CHANGE_ORGANISATION_RESPONSES: Responses = ORGANISATION_RESPONSES | {
    409: _CONFLICT,
    422: refused("no_name", "A text is missing or too long."),
}
MERGE_RESPONSES: Responses = ORGANISATION_RESPONSES | {422: refused("same_organisation", "The two are one already.")}
DELETE_ORGANISATION_RESPONSES: Responses = {204: _done("It is gone, or was not there."), 401: SIGN_IN, 403: ROLE}
MEMBERS_RESPONSES: Responses = {
    200: answer("One page, as of `GET /crm/customers`.", {"items": [], "next": None}),
    400: refused("bad_cursor", "The cursor does not continue this page."),
    401: SIGN_IN,
    403: ROLE,
    404: _NO_ORGANISATION,
}
