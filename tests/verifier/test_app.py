"""The HTTP edge: credentials verified as the VC API says, decisions explained without values."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from protocol import event, proof
from runtime import staff
from tests.verifier.stage import CITY, EMAIL, Customer, Stage
from verifier import app as edge

PASSWORD = "correct horse battery staple"


@pytest.fixture
def client(stage: Stage) -> Iterator[TestClient]:
    for account, role in (("mia", "marketing"), ("sam", "sales")):
        with stage.platform.database.write("owner") as session:
            staff.create_account(
                session, stage.platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                at=stage.clock.now(),
            )  # fmt: skip
    with TestClient(edge.create(stage.platform, stage.catalogue, stage.gate)) as opened:
        yield opened


def token(client: TestClient, account: str) -> dict[str, str]:
    answer = client.post("/staff/sessions", json={"account": account, "password": PASSWORD})
    return {"authorization": f"Bearer {answer.json()['token']}"}


def decide(
    client: TestClient, account: str, subject: str, *fields: str, purpose: str = "marketing"
) -> tuple[int, dict[str, Any]]:
    body = {"subject": subject, "purpose": purpose, "fields": list(fields)}
    answer = client.post("/verifier/decisions", json=body, headers=token(client, account))
    return answer.status_code, answer.json()


def test_a_decision_names_fields_reasons_and_grounds_and_is_on_record(
    stage: Stage, customer: Customer, client: TestClient
) -> None:
    given = stage.give(customer, [CITY])
    status, answer = decide(client, "mia", customer.subject, EMAIL, CITY)
    assert status == 200
    assert answer["released"] == [CITY]
    assert answer["withheld"] == {EMAIL: "no_ground"}
    assert answer["grounds"] == {given.id: [CITY]}
    assert stage.events(event.RELEASE)[-1].event_id == answer["release"]
    stage.gate.turnstile.drain(1.0)


def test_a_decision_for_anothers_purpose_an_unknown_field_or_nobody_is_refused(
    stage: Stage, customer: Customer, client: TestClient
) -> None:
    status, answer = decide(client, "sam", customer.subject, EMAIL)
    assert (status, answer["code"]) == (403, "role")
    assert decide(client, "mia", customer.subject, "contact.shoe_size")[1]["code"] == "unknown_field"
    assert decide(client, "mia", "sub_nobody", EMAIL)[1]["code"] == "unknown_subject"
    assert decide(client, "mia", customer.subject, EMAIL, purpose="nothing")[1]["code"] == "unknown_purpose"
    codes = [each.records[0][1]["code"] for each in stage.events(event.ATTEMPT_REFUSED)]
    assert codes == ["unknown_field", "unknown_subject", "unknown_purpose"]
    assert client.post("/verifier/decisions", json={}).status_code == 401
    stage.gate.turnstile.drain(1.0)


def test_a_credential_is_verified_and_a_changed_one_is_not(
    stage: Stage, customer: Customer, client: TestClient
) -> None:
    given = stage.give(customer)
    document = json.loads(stage.row(given.id).body)
    proved = client.post("/verifier/credentials/verify", json={"verifiableCredential": document})
    assert (proved.status_code, proved.json()["verified"]) == (200, True)
    assert proved.json()["issuer"] == customer.wallet.did
    document["validUntil"] = "2099-01-01T00:00:00Z"
    changed = client.post("/verifier/credentials/verify", json={"verifiableCredential": document})
    assert (changed.status_code, changed.json()["verified"]) == (400, False)
    assert changed.json()["problemDetails"][0]["title"] == "bad_signature"


def test_a_credential_over_another_challenge_is_refused_by_field(
    stage: Stage, customer: Customer, client: TestClient
) -> None:
    document = json.loads(stage.row(stage.give(customer).id).body)
    del document["proof"]
    signed = proof.sign(document, customer.wallet, created=stage.clock.now(), challenge="a", domain="b")
    body = {"verifiableCredential": signed, "options": {"challenge": "other", "domain": "b"}}
    answer = client.post("/verifier/credentials/verify", json=body)
    assert (answer.status_code, answer.json()["problemDetails"][0]["title"]) == (400, "wrong_challenge")
    missing = client.post("/verifier/credentials/verify", json={"verifiableCredential": {}})
    assert missing.json()["problemDetails"][0]["field"] == "@context"


def test_the_api_describes_itself(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/verifier/decisions", "/verifier/credentials/verify"):
        assert paths[path]["post"]["description"]
        assert paths[path]["post"]["summary"]
