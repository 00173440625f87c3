"""Recipients who had a field are told when nothing covers it any more; only their own signature says it is gone."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlmodel import delete

from crm_core.reading.exports import ExportRow
from issuer.catalogue import Catalogue
from issuer.catalogue.entries import RecipientEntry
from protocol import canonical, credential, event, proof, redaction, times
from protocol.consent import Field
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from protocol.redaction import RedactionNotice
from redaction import app as edge
from redaction import copies, delivery, downstream, plan, worker
from redaction.downstream import NoticeRow
from runtime.clock import FixedClock
from runtime.staff import Staff
from tests.redaction.test_app import ask, problem, token
from tests.redaction.test_ending import certified
from tests.redaction.world import CITY, EMAIL, GIVEN, MARKETING, PHONE, SERVICE, Customer, World, settle
from verifier import disclosure
from verifier.disclosure import DisclosureRow
from verifier.recorder import Recorder

PARTNER = Ed25519Signer(bytes([7]) * 32)
HOME = "https://partner.example/withdrawals"
Answer = Callable[[httpx.Request], httpx.Response]


def released(
    world: World, who: Customer, *fields: Field, recipient: Did = PARTNER.did, export: str | None = None
) -> str:
    """A release, recorded as the gate records it."""
    query = {"filter": []} | ({} if export is None else {"export": export})
    header = {"recipient": recipient, "purpose": MARKETING, "query": query}
    data = {"released": sorted(fields), "withheld": {}, "version": 1, "grounds": {}}
    return Recorder(world.platform).record(event.RELEASE, header=header, records=[(who.subject, data)])


def catalogue(world: World, url: str | None = HOME) -> Catalogue:
    entry = RecipientEntry(
        key="partner", did=PARTNER.did, labels={"en": "P", "zh-CN": "P"}, jurisdiction="CN", mechanism="none_needed",
        notice_endpoint=url,
    )  # fmt: skip
    return replace(world.catalogue, recipients={"partner": entry})


def notice(world: World) -> RedactionNotice:
    (row,) = world.rows(NoticeRow)
    return downstream.read(world.platform, row)


def answered(
    world: World, about: RedactionNotice, action: str = "deleted", signer: Ed25519Signer = PARTNER, **more: Any
) -> bytes:
    document = redaction.build_acknowledgement(
        more.get("reference", about.reference), id=f"urn:uuid:{uuid4()}", recipient=signer.did,
        controller=world.platform.controller, action=action, citation=more.get("citation"), at=world.now(),
    )  # fmt: skip
    return canonical.jcs(proof.sign(document, signer, created=world.now()))


def server(answer: Answer) -> tuple[httpx.MockTransport, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(request)

    return httpx.MockTransport(handle), seen


def standing(world: World) -> downstream.Standing:
    (row,) = world.rows(NoticeRow)
    found = downstream.standing(world.platform, row, world.now())
    assert found is not None
    return found


@pytest.fixture
def told(world: World) -> Customer:
    """A partner read phone and e-mail of a customer who then withdrew."""
    who = world.customer()
    given = world.consent(who, (PHONE, EMAIL))
    released(world, who, PHONE, EMAIL)
    world.withdraw(who, given)
    settle(world)
    return who


def test_a_read_in_the_house_leaves_no_disclosure(world: World) -> None:
    who = world.customer()
    released(world, who, PHONE, recipient=world.platform.controller)
    assert world.rows(DisclosureRow) == []
    released(world, who, PHONE, recipient=world.platform.controller, export="exp_1")
    assert [row.export_id for row in world.rows(DisclosureRow)] == ["exp_1"]


def test_the_recipient_is_told_by_a_signed_notice_what_to_delete_until_when(world: World, told: Customer) -> None:
    transport, seen = server(lambda request: httpx.Response(202))
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (1, 0)
    (request,) = seen
    verified = credential.verify(
        request.content, world.platform.keys, at=world.now(), expected_type=redaction.NOTICE_TYPE,
        expected_issuer=world.platform.controller,
    )  # fmt: skip
    got = redaction.parse_notice(verified)
    assert (str(request.url), got.recipient, got.subject) == (HOME, PARTNER.did, told.subject)
    assert got.fields == {PHONE, EMAIL}
    assert got.deadline == world.now() + downstream.DEADLINE
    assert standing(world).state == "delivered"


def test_while_another_ground_covers_the_recipient_nobody_is_told(world: World) -> None:
    who = world.customer()
    process = replace(
        world._process([PHONE], MARKETING), recipients=frozenset({PARTNER.did, world.platform.controller})
    )
    world._process = lambda fields, purpose: process  # type: ignore[method-assign]
    first, second = world.consent(who, [PHONE]), world.consent(who, [PHONE])
    released(world, who, PHONE)
    world.withdraw(who, first)
    settle(world)
    assert world.rows(NoticeRow) == []
    world.withdraw(who, second)
    settle(world)
    assert notice(world).fields == {PHONE}


def test_the_recipient_of_one_purpose_is_told_though_we_keep_the_field_for_another(world: World) -> None:
    who = world.customer()
    given = world.consent(who, [GIVEN])
    world.consent(who, [GIVEN], purpose=SERVICE)
    released(world, who, GIVEN)
    world.withdraw(who, given)
    settle(world)
    assert notice(world).fields == {GIVEN}


def test_an_answer_signed_by_the_recipient_closes_it_and_the_customer_sees_it(world: World, told: Customer) -> None:
    transport, _ = server(lambda request: httpx.Response(200, content=answered(world, notice(world))))
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (1, 0)
    assert standing(world).state == "acknowledged"
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    (seen,) = ask(world, client, "/redaction/state", told.wallet).json()["elsewhere"]
    assert (seen["recipient"], seen["state"], seen["fields"]) == (PARTNER.did, "acknowledged", [EMAIL, PHONE])
    assert len(world.events("notice.acknowledged")) == 1
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (0, 0)


def test_the_certificate_names_what_is_open_elsewhere_and_a_later_one_closes_it(
    world: World, clock: FixedClock, told: Customer
) -> None:
    (first,) = certified(world, told)
    assert [(one.recipient, one.notice.id) for one in first.open] == [(PARTNER.did, notice(world).id)]
    clock.advance(timedelta(minutes=1))
    delivery.accept(world.platform, answered(world, notice(world)))
    _, second = certified(world, told)
    assert (second.open, second.supplements) == ((), first_reference(first))
    assert second.items == first.items
    assert [one.acknowledged for one in second.told] == [world.now()]
    delivery.accept(world.platform, answered(world, notice(world)))
    assert len(certified(world, told)) == 2


def first_reference(first: Any) -> Any:
    return redaction.Reference(first.id, first.digest)


def test_a_job_whose_recipient_has_not_answered_is_not_reported_as_done(
    world: World, clock: FixedClock, told: Customer
) -> None:
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    officer = token(world, "dpo")
    (job,) = client.get("/redaction/jobs", headers=officer).json()["jobs"]
    assert job["parts"] == {"stored": "done", "archive": "done", "downstream": "open", "copies": "none"}
    delivery.accept(world.platform, answered(world, notice(world), "not_found"))
    (job,) = client.get("/redaction/jobs", headers=officer).json()["jobs"]
    assert job["parts"]["downstream"] == "done"
    assert client.get("/redaction/downstream?open=true", headers=officer).json() == {"notices": []}


def test_whoever_keeps_it_names_the_law_and_that_is_what_is_shown(world: World, told: Customer) -> None:
    with pytest.raises(EvidenceError, match="names the law"):
        delivery.accept(world.platform, answered(world, notice(world), "kept"))
    delivery.accept(world.platform, answered(world, notice(world), "kept", citation="AO § 147"))
    assert (standing(world).state, standing(world).citation) == ("kept", "AO § 147")


def test_after_the_deadline_it_is_overdue(world: World, clock: FixedClock, told: Customer) -> None:
    assert standing(world).state == "open"
    clock.advance(downstream.DEADLINE)
    assert standing(world).state == "overdue"
    delivery.accept(world.platform, answered(world, notice(world)))
    assert standing(world).state == "acknowledged"


def test_what_fails_is_tried_again_with_growing_pauses(world: World, clock: FixedClock, told: Customer) -> None:
    transport, seen = server(lambda request: httpx.Response(500))
    pauses = []
    for _ in range(4):
        delivery.deliver_due(world.platform, catalogue(world), transport=transport)
        (row,) = world.rows(NoticeRow)
        pauses.append(times.parse(row.next_try_at, field="at") - world.now())
        assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (0, 0)
        clock.advance(pauses[-1])
    assert pauses == [timedelta(seconds=30 * 2**number) for number in range(4)]
    assert (standing(world).state, standing(world).error) == ("open", "refused")
    assert len(seen) == 4


@pytest.mark.parametrize("forged", ["stranger", "subject", "other_notice", "other_digest", "early"])
def test_a_forged_answer_closes_nothing(world: World, clock: FixedClock, told: Customer, forged: str) -> None:
    about = notice(world)
    other = redaction.Reference(about.id, canonical.digest(b"other"))
    body = {
        "stranger": lambda: answered(world, about, signer=Ed25519Signer.generate()),
        "subject": lambda: answered(world, about, signer=told.wallet),
        "other_notice": lambda: answered(world, about, reference=redaction.Reference(f"urn:uuid:{uuid4()}", "uEi")),
        "other_digest": lambda: answered(world, about, reference=other),
        "early": lambda: (clock.set(world.now() - timedelta(hours=1)), answered(world, about))[1],
    }[forged]()
    with pytest.raises(EvidenceError):
        delivery.accept(world.platform, body)
    assert not standing(world).settled
    changed = json.loads(answered(world, about))
    changed["credentialSubject"]["acknowledgesRedaction"]["actionTaken"] = "kept"
    with pytest.raises(EvidenceError):
        delivery.accept(world.platform, canonical.jcs(changed))


def test_an_answer_that_somebody_writes_into_the_database_is_none(world: World, told: Customer) -> None:
    with world.platform.database.write("owner") as session:
        row = session.get_one(NoticeRow, notice(world).id)
        row.answer, row.closed_at = answered(world, notice(world), signer=Ed25519Signer.generate()), "2026"
        session.add(row)
    assert standing(world).state == "disputed"
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    (job,) = client.get("/redaction/jobs", headers=token(world, "dpo")).json()["jobs"]
    assert job["parts"]["downstream"] == "open"
    delivery.accept(world.platform, answered(world, notice(world)))
    assert standing(world).state == "acknowledged"


def test_a_row_pointed_at_another_recipient_sends_nothing_anywhere(world: World, told: Customer) -> None:
    with world.platform.database.write("owner") as session:
        row = session.get_one(NoticeRow, notice(world).id)
        row.recipient = Ed25519Signer.generate().did
        session.add(row)
    transport, seen = server(lambda request: httpx.Response(202))
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (0, 1)
    assert seen == []


@pytest.mark.parametrize(
    "url",
    [None, "http://partner.example/", "ftp://partner.example/", "http://169.254.169.254/", "https://a:b@partner.example/",
     "https://partner.example/#x", "https://", "http://localhost.evil.example/", "https://partner.example:no/"],
)  # fmt: skip
def test_only_https_endpoints_of_the_catalogue_are_called(world: World, told: Customer, url: str | None) -> None:
    transport, seen = server(lambda request: httpx.Response(202))
    assert delivery.deliver_due(world.platform, catalogue(world, url), transport=transport) == (0, 1)
    assert seen == []
    assert standing(world).error == ("no_endpoint" if url is None else "bad_endpoint")


def test_http_on_this_machine_may_be_called(world: World, told: Customer) -> None:
    transport, _ = server(lambda request: httpx.Response(202))
    local = catalogue(world, "http://localhost:9000/withdrawals")
    assert delivery.deliver_due(world.platform, local, transport=transport) == (1, 0)


def test_an_endpoint_that_redirects_is_not_followed(world: World, told: Customer) -> None:
    transport, seen = server(lambda request: httpx.Response(307, headers={"Location": "http://169.254.169.254/"}))
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (0, 1)
    assert (len(seen), standing(world).error) == (1, "redirected")


def test_an_answer_without_end_is_cut(world: World, told: Customer) -> None:
    transport, _ = server(lambda request: httpx.Response(200, content=b"x" * (delivery.MAX_ANSWER + 1)))
    assert delivery.deliver_due(world.platform, catalogue(world), transport=transport) == (0, 1)
    assert standing(world).error == "answer_too_large"


def test_a_recipient_by_did_web_is_believed_by_its_own_document(world: World) -> None:
    did = Did("did:web:partner.example")
    document = {
        "@context": ["https://www.w3.org/ns/did/v1"], "id": did, "assertionMethod": [f"{did}#1"],
        "verificationMethod": [{
            "id": f"{did}#1", "type": "Multikey", "controller": did, "publicKeyMultibase": PARTNER.did[8:],
        }],
    }  # fmt: skip
    transport, seen = server(lambda request: httpx.Response(200, json=document))
    keys = delivery.keys_of(did, transport=transport)
    assert keys.public(f"{did}#1") == PARTNER.public
    assert str(seen[0].url) == "https://partner.example/.well-known/did.json"
    other, _ = server(lambda request: httpx.Response(200, json=document | {"id": "did:web:other.example"}))
    with pytest.raises(EvidenceError):
        delivery.keys_of(did, transport=other)


def test_recipients_answer_over_http_without_signing_in(world: World, told: Customer) -> None:
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    path = "/redaction/downstream/acknowledgements"
    good = json.loads(answered(world, notice(world)))
    bad = json.loads(answered(world, notice(world), signer=Ed25519Signer.generate()))
    assert client.post(path, json=bad).status_code == 400
    assert problem(client.post(path, json={"id": "x"})) == (400, "bad_credential")
    unknown = answered(world, notice(world), reference=redaction.Reference(f"urn:uuid:{uuid4()}", "uEi"))
    assert problem(client.post(path, json=json.loads(unknown))) == (404, "unknown_notice")
    assert client.post(path, json=good).json()["state"] == "acknowledged"
    assert client.post(path, json=good).status_code == 200


def test_a_copy_in_the_house_is_confirmed_by_an_officer_and_by_nobody_else(world: World) -> None:
    who = world.customer()
    given = world.consent(who, [CITY])
    released(world, who, CITY, recipient=world.platform.controller, export="exp_1")
    row = ExportRow(
        id="exp_1", at=times.iso_ms(world.now()), account="mei", role="marketing", purpose=MARKETING,
        recipient=world.platform.controller, jurisdiction="CN", format="csv", fields='["address.city"]', rows=1,
        state="complete",
    )  # fmt: skip
    with world.platform.database.write("owner") as session:
        session.add(row)
    assert listed(world) == "living"
    world.withdraw(who, given)
    settle(world)
    assert listed(world) == "open"
    assert delivery.deliver_due(world.platform, catalogue(world)) == (0, 0)
    with pytest.raises(EvidenceError):
        delivery.accept(world.platform, answered(world, notice(world)))
    client = TestClient(edge.create(world.platform), base_url="http://localhost:8700")
    officer = token(world, "dpo")
    path = f"/redaction/downstream/{notice(world).id}/confirmation"
    assert problem(client.post(path, headers=officer, json={"action": "kept"})) == (422, "bad_request")
    assert client.post(path, headers=officer, json={"action": "deleted"}).json()["state"] == "acknowledged"
    assert listed(world) == "acknowledged"
    kinds = [one["kind"] for one in client.get("/redaction/copies", headers=officer).json()["copies"]]
    assert kinds == ["cache", "search_index", "backup", "export"]


def listed(world: World) -> str:
    with world.platform.database.read() as session:
        (one,) = copies.exports(session, world.platform, world.now())
    return one.disposition


def test_nobody_confirms_for_a_recipient(world: World, told: Customer) -> None:
    officer = Staff(account="dora", name="dora", role="dpo", did=world.platform.controller)
    with pytest.raises(Exception, match="Only the recipient"):
        delivery.confirm(world.platform, officer, notice(world).id, "deleted", None)
    with pytest.raises(Exception, match="no such notice"):
        delivery.confirm(world.platform, officer, "urn:uuid:0", "deleted", None)


def test_disclosed_again_under_a_new_consent_and_withdrawn_again_is_told_again(
    world: World, clock: FixedClock, told: Customer
) -> None:
    clock.advance(timedelta(minutes=1))
    given = world.consent(told, [PHONE])
    released(world, told, PHONE)
    world.withdraw(told, given)
    settle(world)
    assert len(world.rows(NoticeRow)) == 2


def test_disclosures_that_somebody_removed_are_found_again_in_the_releases_on_record(world: World) -> None:
    who = world.customer()
    given = world.consent(who, (PHONE, EMAIL))
    released(world, who, PHONE, EMAIL)
    with world.platform.database.write("owner") as session:
        session.exec(delete(DisclosureRow).where(DisclosureRow.field == PHONE))  # type: ignore[arg-type]
    with world.platform.database.write("owner") as session:
        after, missing = disclosure.again(session, world.platform.controller, 0)
        assert (missing, disclosure.again(session, world.platform.controller, after)) == (1, (after, 0))
    world.withdraw(who, given)
    plan.plan_due(world.platform, world.catalogue)
    assert notice(world).fields == {PHONE, EMAIL}
    assert worker.run_once(world.platform, world.catalogue).failed == 0
