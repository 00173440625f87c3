"""What an auditor does at a desk: follow one value, see that the log only grew, have a bundle checked."""

import base64
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from sqlmodel import col, delete, update

from audit import app, container, event_file, events
from audit.event_file import EventFile
from audit.graph import graph
from protocol import canonical, note
from protocol import log as rfc6962
from runtime.outbox import Outbox
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


def test_one_record_is_shown_with_its_proof_and_the_credentials_that_it_names(world: World, client: TestClient) -> None:
    given = story(world)
    headers = token(world, "auditor")
    query = {"subject": SUBJECT, "type": "release"}
    (item,) = client.get("/audit/events", params=query, headers=headers).json()["items"]
    told = client.get(f"/audit/records/{item['leaf']}/{item['place']}", headers=headers).json()
    assert (told["record"], told["records"]) == (item, 1)
    assert [(one["kind"], one["id"]) for one in told["credentials"]] == [("consent", given)]
    assert told["credentials"][0]["document"]["type"] == ["VerifiableCredential", "ConsentCredential"]
    head = note.parse_checkpoint(note.open_note(told["checkpoint"].encode(), world.log.vkey))
    made = EventFile.read(canonical.jcs(told["file"])).verify(event_file.Head(head.size, head.root))
    assert (made.id, made.index, made.data) == (item["event"], item["leaf"], item["data"])
    assert told["controller"]["id"] == world.platform.controller


def test_a_page_that_was_read_is_one_leaf_with_a_record_for_each_subject(world: World, client: TestClient) -> None:
    world.page("release", [(SUBJECT, {"released": [EMAIL]}), (OTHER, {"released": [CITY]})], reader=READER)
    world.drain()
    headers = token(world, "auditor")
    leaf = world.log.head().size - 1
    for place, subject in enumerate((SUBJECT, OTHER)):
        told = client.get(f"/audit/records/{leaf}/{place}", headers=headers).json()
        assert (told["record"]["subject"], told["records"]) == (subject, 2)
        other = OTHER if subject == SUBJECT else SUBJECT
        assert other not in str(told)


def test_a_record_that_is_gone_or_was_changed_says_so(world: World, client: TestClient) -> None:
    world.collect(EMAIL)
    world.collect(CITY)
    world.drain()
    headers = token(world, "auditor")
    leaf = world.log.head().size - 2
    with world.platform.database.write("owner") as session:
        session.execute(update(Outbox).where(col(Outbox.id) == leaf + 1).values(records="[]"))
        session.execute(update(Outbox).where(col(Outbox.id) == leaf).values(header='{"by":"x"}'))
    with world.platform.database.write("owner") as session:
        session.execute(delete(Outbox).where(col(Outbox.id) == leaf + 2))
    for path, status, code in (
        (f"{leaf - 1}/0", 409, "body_changed"),
        (f"{leaf}/0", 410, "body_gone"), (f"{leaf + 1}/0", 410, "body_gone"), (f"{leaf + 9}/0", 404, "not_in_log"),
        (f"{leaf}/7", 404, "not_in_log"),
    ):  # fmt: skip
        answer = client.get(f"/audit/records/{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_person_is_found_by_the_did_of_their_wallet(world: World, client: TestClient) -> None:
    world.emit("enrolment.completed", {"enrolment": "e", "digest": "d", "did": world.wallet.did})
    world.emit("release", {"released": [EMAIL]}, subject=OTHER)
    world.collect(EMAIL)
    world.drain()
    assert found(world, subject=world.wallet.did) == ["value.collected", "enrolment.completed"]
    assert found(world, subject=world.wallet.did[:-1]) == []


def test_the_staff_in_the_records_have_names(world: World, client: TestClient) -> None:
    told = client.get("/audit/actors", headers=token(world, "auditor")).json()["items"]
    assert [(one["account"], one["role"], one["ended"]) for one in told] == [("auditor-1", "auditor", False)]
    assert set(told[0]) == {"did", "account", "name", "role", "ended"}


def test_a_story_with_many_reads_still_begins_at_its_beginning(
    world: World, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audit.story.MOST", 2)
    monkeypatch.setattr("audit.events.MAX_PAGE", 2)
    world.collect(EMAIL)
    for _ in range(5):
        world.release({EMAIL: ["urn:uuid:1"]})
    world.drain()
    query = {"subject": SUBJECT, "field": EMAIL}
    told = client.get("/audit/provenance", params=query, headers=token(world, "auditor")).json()
    assert [one["type"] for one in told["events"]] == ["value.collected", "release", "release"]
    assert told["whole"] is False
    assert told["events"][-1]["purpose"] == MARKETING


def test_of_a_page_that_was_read_one_line_is_listed_and_how_many_match(world: World, client: TestClient) -> None:
    world.page("release", [(SUBJECT, {"released": [EMAIL]}), (OTHER, {"released": [CITY]})], reader=READER)
    world.collect(CITY)
    world.drain()
    headers = token(world, "auditor")

    def listed(**query: object) -> list[tuple[str, object, int]]:
        told = client.get("/audit/events", params={"folded": True, **query}, headers=headers).json()["items"]
        return [(one["type"], one["subject"], one["records"]) for one in told][:2]

    assert listed() == [("value.collected", SUBJECT, 1), ("release", SUBJECT, 2)]
    assert listed(subject=OTHER) == [("release", OTHER, 1)]
    assert listed(field=CITY) == [("value.collected", SUBJECT, 1), ("release", OTHER, 1)]
