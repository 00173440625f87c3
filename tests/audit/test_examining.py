"""What an auditor does at a desk: follow one value, see that the log only grew, have a bundle checked."""

import base64
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from audit import app, container, events
from audit.graph import graph
from protocol import log as rfc6962
from tests.audit.test_app import token, wallet_caller
from tests.audit.world import CITY, EMAIL, MARKETING, OTHER, READER, SUBJECT, World

IMPORTER = "did:key:z6MkgQq5e9Xo1wVfK3J5xk2nZkRUQ1nN3p9g7b7Y8m2sVt3r"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    made = app.build_app(world.platform, wallet_caller=wallet_caller, credentials=world.credentials)
    with TestClient(made, raise_server_exceptions=False) as found:
        yield found


def story(world: World) -> str:
    """A value that came, was read, and was shredded after a withdrawal; the consent's id."""
    header = {"source": "shop.csv", "importer": IMPORTER}
    world.emit("value.collected", {"fields": [EMAIL, CITY], "rows": [1]}, header=header)
    given = world.consent([EMAIL, CITY])
    world.release({EMAIL: [given.id]})
    world.emit("value.collected", {"fields": [EMAIL]}, header=header, subject=OTHER)
    world.withdraw(given)
    world.emit("refusal", {"released": [], "withheld": {EMAIL: "withdrawn"}}, header=world.header())
    world.emit("value.shredded", {"field": EMAIL, "job": "x"})
    world.drain()
    return given.id


def found(world: World, **wanted: str) -> list[str]:
    with world.platform.database.read() as session:
        return [item["type"] for item in events.find(session, events.Filter(**wanted)).items]  # type: ignore[arg-type]


def test_records_are_found_by_actor_and_purpose(world: World) -> None:
    story(world)
    assert found(world, actor=READER) == ["refusal", "release"]
    assert found(world, actor=IMPORTER) == ["value.collected", "value.collected"]
    assert found(world, actor=IMPORTER, subject=OTHER) == ["value.collected"]
    assert set(found(world, purpose=MARKETING)) >= {"release", "refusal"}
    for nobody in (READER[:-1], READER.lower() + "x", "%", "_", f'{READER}","role":"marketing', '"'):
        assert found(world, actor=nobody) == []
    assert found(world, purpose="https://w3id.org/dpv#Nothing") == []


def test_a_value_of_a_header_cannot_look_like_a_member(world: World) -> None:
    world.emit("release", {"released": []}, header={"source": f'","reader":"{READER}'})
    world.drain()
    assert found(world, actor=READER) == []


def test_the_provenance_of_a_value_goes_from_its_coming_to_its_end(world: World, client: TestClient) -> None:
    given = story(world)
    query = {"subject": SUBJECT, "field": EMAIL}
    told = client.get("/audit/provenance", params=query, headers=token(world, "auditor")).json()
    kinds = [one["type"] for one in told["events"]]
    assert kinds == [
        "value.collected", "ask.made", "consent.given", "release", "consent.withdrawn", "consent.shut", "refusal",
        "value.shredded",
    ]  # fmt: skip
    by_type = {one["type"]: one["id"] for one in told["events"]}
    edges = {(one["kind"], one["from"], one["to"]) for one in told["edges"]}
    assert edges >= {
        ("wasGeneratedBy", "value:1", by_type["value.collected"]),
        ("used", by_type["release"], "value:1"),
        ("wasInvalidatedBy", "value:1", by_type["value.shredded"]),
        ("wasAssociatedWith", by_type["release"], READER),
        ("wasAssociatedWith", by_type["value.collected"], IMPORTER),
        ("wasInfluencedBy", by_type["release"], given),
    }
    assert not [edge for edge in edges if edge[0] == "used" and edge[1] == by_type["refusal"]]
    nodes = {one["id"]: one for one in told["nodes"]}
    assert nodes[by_type["refusal"]]["reason"] == "withdrawn"
    assert {end for edge in edges for end in edge[1:]} <= set(nodes)
    assert told["whole"] is True
    unknown = client.get("/audit/provenance", params={**query, "subject": "sub_x"}, headers=token(world, "dpo"))
    assert unknown.json()["code"] == "unknown_subject"


def test_a_value_that_came_back_is_another_state_of_it() -> None:
    def record(leaf: int, type_: str, **data: object) -> dict[str, object]:
        return {"leaf": leaf, "event": f"e{leaf}", "type": type_, "time": "t", "header": {}, "data": data}

    told = graph(
        SUBJECT,
        EMAIL,
        [
            record(1, "value.collected", fields=[EMAIL]),
            record(2, "value.sealed", field=EMAIL),
            record(3, "value.restored", field=EMAIL),
            record(4, "release", released=[EMAIL]),
            record(5, "release", released=[CITY]),
            {"leaf": 6, "type": "release", "time": "t"},  # its body was destroyed
        ],
    )
    edges = [(one["kind"], one["from"], one["to"]) for one in told["edges"]]
    assert edges == [
        ("wasGeneratedBy", "value:1", "e1"), ("wasInvalidatedBy", "value:1", "e2"),
        ("wasDerivedFrom", "value:2", "value:1"), ("wasGeneratedBy", "value:2", "e3"), ("used", "e4", "value:2"),
    ]  # fmt: skip
    assert [one["id"] for one in told["events"]] == ["e1", "e2", "e3", "e4"]


def test_the_log_proves_that_it_only_grew(world: World, client: TestClient) -> None:
    headers = token(world, "auditor")
    for _ in range(5):
        world.emit("release", {"released": []})
    world.drain()
    before = client.get("/audit/log", headers=headers).json()
    for _ in range(8):
        world.emit("release", {"released": []})
    world.drain()
    after = client.get("/audit/log", params={"since": before["size"]}, headers=headers).json()
    assert after["size"] >= before["size"] + 8
    proof = [base64.b64decode(one) for one in after["consistency"]]
    roots = [base64.b64decode(one["root"]) for one in (before, after)]
    rfc6962.verify_consistency(before["size"], roots[0], after["size"], roots[1], proof)
    shorter = client.get("/audit/log", params={"since": after["size"] + 100}, headers=headers)
    assert (shorter.status_code, shorter.json()["code"]) == (409, "log_shorter")


def test_a_bundle_is_checked_and_a_changed_one_is_not_valid(world: World, client: TestClient) -> None:
    story(world)
    data, headers = world.export(EMAIL), {**token(world, "auditor"), "content-type": "application/zip"}
    told = client.post("/audit/verifications", content=data, headers=headers).json()
    assert told["key"] == "ours"
    assert [one["name"] for one in told["checks"]][:2] == ["container", "manifest"]
    first = {one["name"]: one["outcome"] for one in told["checks"]}
    assert first["container"] == first["manifest"] == "ok"
    own = client.post("/audit/verifications", params={"key": world.log.vkey}, content=data, headers=headers).json()
    assert (own["key"], own["checks"]) == ("yours", told["checks"])
    files = container.unpack(data)
    changed = container.pack({**files, "README.txt": b"x"})
    for bad in (changed, data[:-30], b"", b"PK", b'{"a": 1}'):
        answer = client.post("/audit/verifications", content=bad, headers=headers)
        assert answer.json()["verdict"] == "invalid"
    strange = client.post("/audit/verifications", params={"key": "nonsense"}, content=data, headers=headers)
    assert strange.json()["verdict"] == "invalid"


def test_what_an_auditor_does_is_an_auditors(world: World, client: TestClient) -> None:
    headers = token(world, "sales")
    for method, path in (("GET", "/audit/provenance?subject=x&field=y"), ("GET", "/audit/log")):
        assert client.request(method, path, headers=headers).json()["code"] == "role"
        assert client.request(method, path).json()["code"] == "not_signed_in"
    assert client.post("/audit/verifications", content=b"x" * 100, headers=headers).json()["code"] == "role"
    assert client.post("/audit/verifications", content=b"x" * 100).json()["code"] == "not_signed_in"
