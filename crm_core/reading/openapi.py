"""What the API's documentation says of queries, aggregates and exports with a JSON body."""

from typing import Any

from crm_core.openapi import ROLE, SIGN_IN, answer, refused
from crm_core.reading.query import Operator

_OPERATORS = ", ".join(f"`{operator}`" for operator in Operator)
_WHERE = (
    "`filters` are conditions `{field, operator, value}` joined by *and*; one may be `{any: [conditions]}`, met when "
    f"any of them is. Operators: {_OPERATORS}. `in` and `between` take a list (both ends of `between` are included), "
    "`present` and `absent` no value. Numbers and dates compare by their order, texts by their folded form (NFKC, case "
    "does not matter). A field of several values meets a condition when any value does, `ne` when none "
    "equals. `search` "
    "is a text whose words must all occur in the purpose's text-like fields: case, width and the marks "
    "of Latin letters "
    "do not matter, phone numbers are found by their digits; traditional and simplified Chinese are not folded. "
    "A withheld field is an absent one."
)
QUERY = (
    "One page of customers, asked for in a body, so that no operand stands in an address. " + _WHERE + " `sort` is up "
    "to three fields, `-field` falling; customers without one come last. A search without `sort` ranks: a field equals "
    "the text, begins with it, contains its words. Problems name the member that is wrong in `field` "
    "(`filters[1].field`): `unknown_field`, `item_field`, `bad_filter`, `bad_search`, `bad_sort`, `bad_limit`, "
    "`bad_cursor`, `unknown_purpose`, `role`."
)
_CONDITION: dict[str, Any] = {
    "type": "object",
    "properties": {
        "field": {"type": "string"},
        "operator": {"type": "string", "enum": list(Operator)},
        "value": {},
        "any": {"type": "array", "items": {"type": "object"}},
    },
}
_WHERE_PROPERTIES: dict[str, Any] = {
    "purpose": {"type": "string"},
    "filters": {"type": "array", "maxItems": 10, "items": _CONDITION},
    "search": {"type": "string", "maxLength": 200},
}
_FILTERS: list[dict[str, Any]] = [
    {"field": "address.city", "operator": "in", "value": ["Shanghai", "上海"]},
    {
        "any": [
            {"field": "contact.birth_date", "operator": "lt", "value": "1990-01-01"},
            {"field": "contact.email", "operator": "present"},
        ]
    },
]


def _body(properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": ["purpose"],
        "properties": _WHERE_PROPERTIES | properties,
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}}


_SELECT: dict[str, Any] = {"type": "array", "items": {"type": "string"}, "maxItems": 128}
QUERY_BODY = _body(
    {
        "select": _SELECT,
        "sort": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
        "limit": {"type": "integer", "minimum": 1, "maximum": 500},
        "cursor": {"type": "string"},
    },
    {
        "purpose": "marketing",
        "select": ["contact.given_name", "address.city"],
        "filters": _FILTERS,
        "sort": ["address.city", "-contact.given_name"],
        "limit": 50,
    },
)

AGGREGATE = (
    "Counts customers, in groups if wished, and aggregates granted values: `count`, `min`, `max` (of "
    "numbers and dates), "
    "`sum`, `avg` (of numbers). " + _WHERE + " `group_by` takes one or two fields, a date also as "
    "`{field, by: day|month|year}`; a field of several values counts a customer once in each. What fewer than "
    "`small_group` customers stand behind is not shown: a count is null with `fewer_than`, a small group is left out, "
    "and with it the next smallest where the total would else give it away (`suppressed` says so). Each contributing "
    "customer has the release on record. This protects a report that is passed on; whoever may read for the purpose "
    "can read each customer that it counts. Problems: `bad_aggregate`, `bad_filter`, `bad_search`, `unknown_field`, "
    "`item_field`, `too_many_groups`, `unknown_purpose`, `role`."
)
AGGREGATE_BODY = _body(
    {
        "group_by": {"type": "array", "maxItems": 2, "items": {}},
        "aggregates": {
            "type": "array",
            "maxItems": 10,
            "items": {
                "type": "object",
                "required": ["function", "field"],
                "properties": {
                    "function": {"type": "string", "enum": ["count", "min", "max", "sum", "avg"]},
                    "field": {"type": "string"},
                },
            },
        },
    },
    {
        "purpose": "marketing",
        "filters": _FILTERS[:1],
        "group_by": ["address.city", {"field": "interaction.last_seen", "by": "month"}],
        "aggregates": [{"function": "max", "field": "interaction.last_seen"}],
    },
)
AGGREGATE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer(
        "Counts and aggregates; none of fewer customers than `small_group`.",
        {
            "count": 120,
            "aggregates": [{"function": "max", "field": "interaction.last_seen", "value": "2026-11-20T10:00:00Z"}],
            "groups": [
                {
                    "by": ["Shanghai", "2026-11"],
                    "count": 80,
                    "aggregates": [
                        {"function": "max", "field": "interaction.last_seen", "value": None, "fewer_than": 5}
                    ],
                }
            ],
            "suppressed": True,
            "small_group": 5,
            "purpose": "https://w3id.org/dpv#DirectMarketing",
            "release": "urn:uuid:6a0bbf1c-4f0f-4a36-9d1f-0c8a6b0d7e11",
        },
    ),
    400: refused("bad_aggregate", "The query is not understood."),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_purpose", "The catalogue has no such purpose."),
}

EXPORT = (
    "Sends a file of the customers of whom a selected field is released: `csv`, `jsonl` or `vcard` (4.0), in chunks of "
    "at most 500 customers, each decided anew and on record before it is sent: who withdraws meanwhile is not in later "
    "ones. A file that breaks off (the connection is cut) is not whole. " + _WHERE + " `recipient` (a DID) and "
    "`jurisdiction` say to whom and where the file goes, when not to the controller at home; only grants "
    "that name them "
    "count. In CSV a text that a spreadsheet could take for a formula has a `'` in front. The export's id is in the "
    "header `Fieldgrant-Export`. Problems: `bad_export`, `bad_filter`, `bad_search`, `unknown_field`, `item_field`, "
    "`unknown_purpose`, `role`."
)
EXPORT_BODY = _body(
    {
        "select": _SELECT,
        "format": {"type": "string", "enum": ["csv", "jsonl", "vcard"]},
        "recipient": {"type": "string"},
        "jurisdiction": {"type": "string"},
    },
    {"purpose": "marketing", "select": ["contact.given_name", "contact.email"], "format": "csv"},
)
EXPORT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file.",
        "content": {"text/csv": {"example": "subject,contact.given_name\r\nsub_mfrggzdfmztwq2lknnwg23tpoa,Wei\r\n"}},
    },
    400: refused("bad_export", "The export is not understood."),
    401: SIGN_IN,
    403: ROLE,
    404: refused("unknown_purpose", "The catalogue has no such purpose."),
}
EXPORTS = "The exports, newest first, for the data protection officer: who, what for, to whom, which fields, how many."
EXPORTS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: answer(
        "At most 200 exports.",
        {
            "items": [
                {
                    "id": "urn:uuid:0b7f4f53-9d0e-4c22-8f3b-6b5b6d1c6a10",
                    "at": "2026-11-22T08:00:00.000Z",
                    "account": "mia",
                    "role": "marketing",
                    "purpose": "https://w3id.org/dpv#DirectMarketing",
                    "recipient": "did:web:crm.example.com",
                    "jurisdiction": "CN",
                    "format": "csv",
                    "fields": ["contact.email"],
                    "rows": 480,
                    "state": "complete",
                    "finished_at": "2026-11-22T08:00:03.000Z",
                }
            ]
        },
    ),
    401: SIGN_IN,
    403: ROLE,
}
