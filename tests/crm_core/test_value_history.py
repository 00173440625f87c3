"""The history of a value: where it came from and what became of it, for whom it is granted to; never a value."""

import re

import pytest

from crm_core.reading import history
from protocol.consent import Field

MARKETING = "marketing"
EMAIL = Field("contact.email")
RANDOM = re.compile(r"sub_[a-z2-7]{26}|urn:uuid:[0-9a-f-]{36}")


def of(client, subject, field=EMAIL, **params):
    return client.get(f"/crm/customers/{subject}/fields/{field}/history", params=params)


def refused(answer):
    return answer.status_code, answer.json()["code"]


def test_a_granted_value_tells_its_source_its_corrections_and_its_ground(stage):
    subject = stage.customer(contact__email="wei@example.com")
    consent = stage.grant(subject, EMAIL)
    stage.put(subject, contact__email="li@example.com")
    answer = of(stage.client("marketing"), subject, purpose=MARKETING)
    found = answer.json()
    assert [(step["kind"], step["source"]) for step in found["steps"]] == [
        ("value.collected", "test"),
        ("value.corrected", "test"),
    ]
    assert found["grounds"] == [{"ground": consent}]
    assert "@example.com" not in answer.text
    release = stage.events("release")[-1]
    assert release.event_id == found["release"]
    assert release.header["query"] == {"history": EMAIL}


@pytest.mark.parametrize("ended", [True, False])
def test_a_withheld_value_answers_as_an_absent_one_does(stage, ended):
    client = stage.client("marketing")
    answers = []
    for collected in (True, False):
        subject = stage.customer(**({"contact__email": "wei@example.com"} if collected else {}))
        if ended:
            stage.withdraw(subject, stage.grant(subject, EMAIL))
        answers.append(of(client, subject, purpose=MARKETING))
    granted_and_empty = stage.customer()
    stage.grant(granted_and_empty, EMAIL)
    answers.append(of(client, granted_and_empty, purpose=MARKETING))
    assert len({RANDOM.sub("", answer.text) for answer in answers}) == 1
    assert answers[0].json()["steps"] == []


def test_an_overseer_sees_the_history_of_any_field_without_a_purpose(stage):
    subject = stage.customer(contact__email="wei@example.com")
    for role in ("dpo", "auditor"):
        found = of(stage.client(role), subject).json()
        assert [step["kind"] for step in found["steps"]] == ["value.collected"]
    assert refused(of(stage.client("service"), subject)) == (403, "role")
    assert refused(of(stage.client("dpo", "dpo-2"), "sub_" + "a" * 26)) == (404, "unknown_subject")
    assert refused(of(stage.client("dpo", "dpo-3"), subject, "contact.moon")) == (404, "unknown_field")
    assert refused(of(stage.client("sales"), subject, purpose=MARKETING)) == (403, "role")


def test_what_the_log_has_is_told_in_the_order_of_time(stage):
    subject = stage.customer(contact__email="wei@example.com")

    def told(_session, _subject, _field, type_):
        data = {
            "release": {"grounds": {"urn:g": [EMAIL], "urn:h": ["address.city"]}},
            "value.sealed": {"period": "P3Y"},
        }
        if type_ not in data:
            return []
        times = ["2026-11-23T00:00:00.000Z", "2026-11-22T09:00:00.000Z"]
        return [{"time": at, "event": "urn:e", "header": {}, "data": data[type_]} for at in times]

    with stage.platform.database.read() as session:
        found = history.of_any(session, subject, EMAIL, told)
    assert [step["kind"] for step in found.steps] == ["value.collected", "value.sealed", "value.sealed"]
    assert found.steps[1] == {
        "at": "2026-11-22T09:00:00.000Z", "kind": "value.sealed", "event": "urn:e", "period": "P3Y"
    }  # fmt: skip
    (ground,) = found.grounds
    assert ground == {"ground": "urn:g", "since": "2026-11-22T09:00:00.000Z", "until": "2026-11-23T00:00:00.000Z"}
