"""Events as CloudEvents, each type with a schema."""

from typing import Any

import pytest

from protocol import event
from protocol.did import Did
from protocol.errors import EvidenceError

BODY: dict[str, Any] = {
    "id": "urn:uuid:1",
    "type": event.CONSENT_WITHDRAWN,
    "time": "2026-11-22T08:00:00.123Z",
    "subject": "sub_" + "a" * 26,
    "header": {"role": "marketing"},
    "data": {"consent": "urn:uuid:2", "withdrawal": "urn:uuid:3", "digest": "zQm"},
}
SOURCE = Did("did:web:crm.example.com")


def test_every_type_has_a_constant_and_a_schema() -> None:
    constants = {value for name, value in vars(event).items() if name.isupper() and isinstance(value, str)}
    assert constants - {event.NAMESPACE} == event.TYPES
    assert all(event.schema(type_)["properties"]["type"]["const"] == type_ for type_ in event.TYPES)


def test_a_record_becomes_a_cloud_event() -> None:
    told = event.cloud_event(BODY, source=SOURCE, number=2)
    assert (told["specversion"], told["id"], told["source"]) == ("1.0", "urn:uuid:1#2", SOURCE)
    assert told["type"] == "example.fieldgrant.consent.withdrawn.v1"
    assert told["subject"] == BODY["subject"]
    assert told["dataschema"] == event.schema(event.CONSENT_WITHDRAWN)["$id"]
    assert "subject" not in event.cloud_event({**BODY, "subject": None}, source=SOURCE)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "consent.invented"}, "unknown_event"),
        ({"extra": 1}, "bad_event"),
        ({"header": None}, "bad_event"),
        ({"id": ""}, "bad_event"),
        ({"subject": 7}, "bad_event"),
        ({"data": {"consent": "urn:uuid:2"}}, "bad_event"),
    ],
)
def test_a_body_beside_its_schema_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        event.cloud_event({**BODY, **change}, source=SOURCE)
    assert caught.value.code == code


def test_an_unknown_type_has_no_schema() -> None:
    with pytest.raises(EvidenceError):
        event.schema("nothing")
