"""The audit over HTTP."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from audit import app, verify
from protocol.consent import SubjectId
from runtime import staff
from runtime.problem import Problem
from tests.audit import rfc6962
from tests.audit.world import OTHER, SUBJECT, World

PASSWORD = "a long enough password 1"


@dataclass(frozen=True)
class Caller:
    subject: SubjectId


def wallet_caller(request: Request) -> Caller:
    """Stands for the issuer's dependency: here the header says whose signature it was."""
    if "wallet" not in request.headers:
        raise Problem(401, "no_signature", "This request is not signed.")
    return Caller(SubjectId(request.headers["wallet"]))


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    made = app.build_app(world.platform, wallet_caller=wallet_caller, credentials=world.credentials)
    with TestClient(made, raise_server_exceptions=False) as found:
        yield found


def token(world: World, role: str) -> dict[str, str]:
    with world.platform.database.write("owner") as session:
        staff.create_account(
            session,
            world.platform.keyring,
            account=f"{role}-1",
            name=role,
            role=role,
            password=PASSWORD,
            at=world.clock.now(),
        )
    signed_in = staff.sign_in(world.platform, f"{role}-1", PASSWORD, world.clock.now())
    return {"Authorization": f"Bearer {signed_in.token}"}


def test_anybody_can_fetch_the_log_and_check_it(world: World, client: TestClient) -> None:
    for number in range(300):
        world.emit("release", {"n": number})
    world.drain()
    origin, size, root = rfc6962.read_checkpoint(client.get("/audit/checkpoint").content)
    assert (origin, size) == ("localhost:8700/audit", 301)
    whole = client.get("/audit/tile/entries/000")
    part = client.get("/audit/tile/entries/001.p/45")
    assert "immutable" in whole.headers["cache-control"]
    leaves: list[bytes] = []
    for data in (whole.content, part.content):
        at = 0
        while at < len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            leaves.append(data[at + 2 : end])
            at = end
    assert rfc6962.mth(leaves) == root
    assert client.get("/audit/tile/1/000.p/1").content == rfc6962.mth(leaves[:256])
    assert client.get("/audit/tile/0/000.p/7").content == b"".join(rfc6962.sha(b"\0" + leaf) for leaf in leaves[:7])
    assert client.get("/audit/log.vkey").text.strip() == world.log.vkey


@pytest.mark.parametrize(
    "path",
    [
        "0/001",
        "0/0",
        "64/000",
        "entries/..",
        "0/../../../db/fieldgrant.db",
        "0/000.p/0",
        "0/000.p/256x",
        "0/x1/000",
        "%2e%2e/x",
    ],
)
def test_a_path_that_is_no_tile_is_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/audit/tile/{path}")
    assert answer.status_code == 404


def test_an_empty_log_has_no_checkpoint(world: World) -> None:
    from fastapi import FastAPI

    from runtime import problem

    bare = FastAPI()
    problem.install(bare)
    bare.include_router(
        app.build_router(world.platform, world.log, wallet_caller=wallet_caller, credentials=world.credentials)
    )
    answer = TestClient(bare).get("/audit/checkpoint")
    assert (answer.status_code, answer.json()["code"]) == (404, "log_empty")


def test_a_wallet_sees_its_own_history_page_by_page(world: World, client: TestClient) -> None:
    world.journey()
    world.emit("release", {"released": ["contact.email"]}, subject=OTHER)
    first = client.get("/audit/history", params={"limit": 5}, headers={"wallet": SUBJECT}).json()
    assert len(first["items"]) == 5
    assert first["items"][0]["kind"] == "release"
    rest = client.get("/audit/history", params={"limit": 200, "before": first["next"]}, headers={"wallet": SUBJECT})
    assert rest.json()["next"] is None
    assert len({item["event"] for item in first["items"] + rest.json()["items"]}) == 15


def test_without_a_signature_there_is_no_history(client: TestClient) -> None:
    assert client.get("/audit/history").status_code == 401


def test_a_bad_cursor_has_its_code(client: TestClient) -> None:
    answer = client.get("/audit/history", params={"before": "x"}, headers={"wallet": SUBJECT})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize("path", ["/audit/events", f"/audit/bundles?subject={SUBJECT}"])
def test_only_auditors_and_the_data_protection_officer_see_the_records(
    world: World, client: TestClient, path: str
) -> None:
    world.journey()
    assert client.get(path).status_code == 401
    assert client.get(path, headers={"wallet": SUBJECT}).status_code == 401
    for role, status in (("auditor", 200), ("dpo", 200), ("marketing", 403), ("admin", 403)):
        assert client.get(path, headers=token(world, role)).status_code == status, role


def test_records_are_found_by_subject_field_type_and_time(world: World, client: TestClient) -> None:
    world.journey()
    world.emit("release", {"released": ["contact.email"]}, subject=OTHER)
    world.drain()
    auditor = token(world, "auditor")

    def found(**wanted: str | int) -> list[dict[str, object]]:
        answer = client.get("/audit/events", params=wanted, headers=auditor)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    everything = found(limit=200)
    assert [one["leaf"] for one in everything] == sorted((one["leaf"] for one in everything), reverse=True)
    assert {one["subject"] for one in everything} == {SUBJECT, OTHER, None}
    assert {one["subject"] for one in found(subject=OTHER)} == {OTHER}
    assert {one["type"] for one in found(type="release")} == {"release"}
    assert len(found(type="release", field="address.city")) == 2
    assert found(field="contact.emai_") == []
    assert found(field="contact") == []
    middle = everything[5]["time"]
    assert isinstance(middle, str)
    assert len(found(**{"from": middle, "limit": 200})) == 6
    assert len(found(**{"to": middle, "limit": 200})) == len(everything) - 6
    paged, before = [], None
    while True:
        params = {"limit": 4} | ({} if before is None else {"before": before})
        page = client.get("/audit/events", params=params, headers=auditor).json()
        paged += page["items"]
        before = page["next"]
        if before is None:
            break
    assert paged == everything
    answer = client.get("/audit/events", params={"from": "yesterday"}, headers=auditor)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_datetime")


def test_a_record_whose_event_was_destroyed_is_still_listed(world: World, client: TestClient) -> None:
    world.collect("contact.email")
    world.drain()
    with world.platform.database.write("owner") as session:
        from runtime.outbox import Outbox

        session.delete(session.get_one(Outbox, 2))
    (item,) = client.get("/audit/events", params={"subject": SUBJECT}, headers=token(world, "auditor")).json()["items"]
    assert set(item) == {"leaf", "place", "sequence", "type", "time", "subject"}
    assert client.get("/audit/history", headers={"wallet": SUBJECT}).json()["items"] == []
    answer = client.get("/audit/bundles", params={"subject": SUBJECT}, headers=token(world, "dpo"))
    assert (answer.status_code, answer.json()["code"]) == (503, "body_changed")


def test_a_bundle_over_http_verifies_and_the_customer_sees_the_export(world: World, client: TestClient) -> None:
    world.journey()
    params = {"subject": SUBJECT, "field": "contact.email"}
    answer = client.get("/audit/bundles", params=params, headers=token(world, "auditor"))
    assert answer.headers["content-type"] == "application/zip"
    assert verify.verify(answer.content, world.log.vkey).status == 0
    (newest, *_) = client.get("/audit/history", headers={"wallet": SUBJECT}).json()["items"]
    assert (newest["kind"], newest["role"], newest["fields"]) == ("bundle.exported", "auditor", ["contact.email"])
    assert newest["reader"].startswith("did:")


def test_a_bundle_about_nobody_is_not_found(world: World, client: TestClient) -> None:
    answer = client.get("/audit/bundles", params={"subject": OTHER}, headers=token(world, "auditor"))
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_subject")


def test_every_route_is_described(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    told = [said for path, verbs in paths.items() if path.startswith("/audit") for said in verbs.values()]
    assert all(said.get("summary") for said in told)
