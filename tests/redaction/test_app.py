"""The HTTP edge: what a wallet and the data protection officer see, and what others are refused."""

from typing import Any
from uuid import uuid4

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from protocol import canonical, certificate, credential, signature
from protocol.keys import Ed25519Signer
from redaction import app as edge
from redaction import plan
from runtime import staff
from runtime.keyring import bucket_of
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, SERVICE, VALUES, Customer, World, settle

BASE = "http://localhost:8700"
PASSWORD = "correct horse battery staple"


@pytest.fixture
def client(world: World) -> TestClient:
    return TestClient(edge.create(world.platform), base_url=BASE)


@pytest.fixture
def gone(world: World) -> Customer:
    """A customer who withdrew: one field sealed, two shredded, one kept under another consent."""
    who = world.customer()
    given = world.consent(who, (PHONE, EMAIL, CITY, GIVEN))
    world.consent(who, [GIVEN], purpose=SERVICE)
    world.withdraw(who, given)
    settle(world)
    return who


def ask(world: World, client: TestClient, path: str, wallet: Ed25519Signer, **extra: str) -> Response:
    headers = signature.sign_request("GET", BASE + path, {}, b"", wallet, created=world.now(), nonce=uuid4().hex)
    return client.get(path, headers=headers | extra)


def token(world: World, role: str) -> dict[str, str]:
    with world.platform.database.write("owner") as session:
        account = staff.create_account(
            session,
            world.platform.keyring,
            account=role,
            name=role,
            role=role,
            password=PASSWORD,
            at=world.now(),
        )
    signed_in = staff.sign_in(world.platform, account.account, PASSWORD, world.now())
    return {"Authorization": f"Bearer {signed_in.token}"}


def problem(response: Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_wallet_gets_its_certificates_in_the_bytes_that_were_signed(
    world: World, client: TestClient, gone: Customer
) -> None:
    answer = ask(world, client, "/redaction/certificates", gone.wallet)
    (document,) = answer.json()["certificates"]
    assert canonical.jcs(document) in answer.content
    checked = credential.verify(
        canonical.jcs(document),
        world.platform.keys,
        at=world.now(),
        expected_type=certificate.CERTIFICATE_TYPE,
        expected_issuer=world.platform.controller,
    )
    assert {item.field for item in certificate.parse_certificate(checked).items} == {PHONE, EMAIL, CITY, GIVEN}
    assert answer.headers["cache-control"] == "no-store"


def test_a_wallet_sees_the_state_of_each_of_its_fields(world: World, client: TestClient, gone: Customer) -> None:
    fields = {one["field"]: one for one in ask(world, client, "/redaction/state", gone.wallet).json()["fields"]}
    assert {name: one["state"] for name, one in fields.items()} == {
        PHONE: "shredded",
        CITY: "shredded",
        EMAIL: "sealed",
        GIVEN: "kept",
    }
    assert fields[EMAIL]["destroy_by"] == "2030-01-01T00:00:00.000Z"
    assert fields[GIVEN]["ground"].startswith("urn:uuid:")
    assert "ground" not in fields[PHONE]


def test_a_job_under_way_shows_as_pending_without_a_certificate(world: World, client: TestClient) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [PHONE]))
    plan.plan_due(world.platform, world.catalogue)
    (one,) = ask(world, client, "/redaction/state", who.wallet).json()["fields"]
    assert (one["state"], one["disposition"]) == ("pending", "shred")
    assert "certificate" not in one


def test_one_customer_sees_nothing_of_another(world: World, client: TestClient, gone: Customer) -> None:
    other = world.customer()
    assert ask(world, client, "/redaction/certificates", other.wallet).json() == {"certificates": []}
    assert ask(world, client, "/redaction/state", other.wallet).json() == {
        "fields": [],
        "openings": [],
        "elsewhere": [],
    }


def test_who_does_not_sign_or_is_not_enrolled_is_refused(world: World, client: TestClient, gone: Customer) -> None:
    for path in ("/redaction/certificates", "/redaction/state"):
        assert problem(client.get(path)) == (401, "no_signature")
        assert problem(ask(world, client, path, Ed25519Signer.generate())) == (403, "not_enrolled")


def test_a_replayed_request_is_refused(world: World, client: TestClient, gone: Customer) -> None:
    url = f"{BASE}/redaction/state"
    headers = signature.sign_request("GET", url, {}, b"", gone.wallet, created=world.now(), nonce="once")
    assert client.get(url, headers=headers).status_code == 200
    assert problem(client.get(url, headers=headers)) == (401, "nonce_used")


def test_the_officer_sees_jobs_and_figures_and_no_value(world: World, client: TestClient, gone: Customer) -> None:
    answer = client.get("/redaction/jobs", headers=token(world, "dpo"))
    body: dict[str, Any] = answer.json()
    (job,) = body["jobs"]
    assert (job["subject"], job["step"], job["cause"]) == (gone.subject, "done", "withdrawn")
    assert body["figures"]["dispositions"] == {"keep": 1, "seal": 1, "shred": 2}
    assert body["figures"]["archived"] == 1
    assert body["figures"]["shred"]["count"] == 1
    assert not any(value in answer.text for value in VALUES.values())


def test_only_open_jobs_on_request(world: World, client: TestClient, gone: Customer) -> None:
    officer = token(world, "dpo")
    assert client.get("/redaction/jobs?open=true", headers=officer).json()["jobs"] == []
    assert problem(client.get("/redaction/jobs?open=perhaps", headers=officer)) == (422, "bad_request")


def test_the_officer_sees_epochs_and_ages_of_the_keys(world: World, client: TestClient, gone: Customer) -> None:
    body = client.get("/redaction/keys", headers=token(world, "dpo")).json()
    (mine,) = [one for one in body["buckets"] if one["bucket"] == bucket_of(gone.subject)]
    assert (mine["epochs"], mine["data_keys"], mine["age"]) == ([2], 1, 0.0)
    assert body["shred"]["longest"] == 0.0


@pytest.mark.parametrize("role", ["sales", "service", "marketing", "auditor", "admin"])
@pytest.mark.parametrize("path", ["/redaction/jobs", "/redaction/keys"])
def test_no_other_role_sees_them(world: World, client: TestClient, role: str, path: str) -> None:
    assert problem(client.get(path, headers=token(world, role))) == (403, "role")
    assert problem(client.get(path)) == (401, "not_signed_in")


def test_every_route_is_described_with_an_example(world: World, client: TestClient) -> None:
    routes = client.get("/openapi.json").json()["paths"]
    mine = [verb for path, verbs in routes.items() if path.startswith("/redaction") for verb in verbs.values()]
    assert len(mine) >= 12
    for verb in mine:
        assert len(verb["description"]) > 40
        done = next(answer for status, answer in verb["responses"].items() if status.startswith("2"))
        assert done["content"]["application/json"]["example"]
        assert any("application/problem+json" in one["content"] for one in verb["responses"].values())
