"""Two officers and the archive: one asks, another approves; one alone gets nothing, and neither does the database."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlmodel import select

from protocol import times
from redaction import app as edge
from redaction import officers, terms
from redaction.archive import Archived
from redaction.officers import ArchiveRequest
from runtime import staff
from runtime.clock import FixedClock
from runtime.keyring import KeyGone
from tests.redaction.test_app import PASSWORD, ask, problem
from tests.redaction.test_ending import DUE, KEY, archived, certified, change, states
from tests.redaction.world import EMAIL, GIVEN, VALUES, Customer, World

Post = Callable[..., Response]
PAPER = {"reason": "legal_claim", "legal_ground": "GDPR art. 17(3)(e)", "evidence": "Court file 7 O 12/26"}


@pytest.fixture
def client(world: World) -> TestClient:
    return TestClient(edge.create(world.platform), base_url="http://localhost:8700")


@pytest.fixture
def gone(world: World) -> Customer:
    return archived(world)


@pytest.fixture
def desk(world: World, client: TestClient) -> Post:
    """`desk("dora", path, body)`: what the officer's post answers; a path alone is got."""
    tokens: dict[str, str] = {}
    for account, role in (("dora", "dpo"), ("otto", "dpo"), ("ada", "admin"), ("mei", "marketing")):
        with world.platform.database.write("owner") as session:
            staff.create_account(
                session, world.platform.keyring, account=account, name=account, role=role, password=PASSWORD,
                at=world.now(),
            )  # fmt: skip

    def call(account: str, path: str, body: dict[str, Any] | None = None) -> Response:
        at = world.now()
        if account not in tokens:
            tokens[account] = staff.sign_in(world.platform, account, PASSWORD, at).token
        headers = {"Authorization": f"Bearer {tokens[account]}"}
        url = f"/redaction/{path}"
        return client.get(url, headers=headers) if body is None else client.post(url, headers=headers, json=body)

    return call


def asked(desk: Post, who: Customer, account: str = "dora", **more: Any) -> str:
    body = {"kind": "open", "subject": who.subject, "field": EMAIL, **PAPER, **more}
    answer = desk(account, "archive/requests", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def rewrite(world: World, id_: str, **columns: object) -> None:
    with world.platform.database.write("owner") as session:
        row = session.get_one(ArchiveRequest, id_)
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)


def test_one_asks_another_approves_and_the_value_is_shown_once(world: World, desk: Post, gone: Customer) -> None:
    id_ = asked(desk, gone)
    assert desk("otto", f"archive/requests/{id_}/approval", {}).json()["state"] == "approved"
    answer = desk("dora", f"archive/requests/{id_}/opening", {})
    assert (answer.status_code, answer.json()["value"]) == (200, VALUES[EMAIL])
    assert answer.headers["cache-control"] == "no-store"
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (409, "already_used")
    assert len(world.rows(Archived)) == 2  # it stays where it was


def test_the_opening_is_on_record_and_the_customer_sees_it(
    world: World, client: TestClient, desk: Post, gone: Customer
) -> None:
    id_ = asked(desk, gone)
    desk("ada", f"archive/requests/{id_}/approval", {})
    desk("dora", f"archive/requests/{id_}/opening", {})
    (told,) = world.events("archive.opened")
    ((subject, data),) = told.records
    assert subject == gone.subject
    assert (data["field"], data["reason"], data["approved_by"]) == (EMAIL, "legal_claim", "ada")
    assert data["legal_ground"] == PAPER["legal_ground"]
    (seen,) = ask(world, client, "/redaction/state", gone.wallet).json()["openings"]
    assert (seen["field"], seen["reason"], seen["approved_by"]) == (EMAIL, "legal_claim", "ada")
    assert not any(value in str(world.events("archive.opened", "archive.requested")) for value in VALUES.values())


def test_one_person_alone_opens_nothing(desk: Post, gone: Customer) -> None:
    id_ = asked(desk, gone)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (403, "not_approved")
    assert problem(desk("dora", f"archive/requests/{id_}/approval", {})) == (403, "own_request")
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (403, "not_approved")


def test_who_approved_does_not_get_the_value(desk: Post, gone: Customer) -> None:
    id_ = asked(desk, gone)
    desk("otto", f"archive/requests/{id_}/approval", {})
    assert problem(desk("otto", f"archive/requests/{id_}/opening", {})) == (403, "not_your_request")
    assert problem(desk("ada", f"archive/requests/{id_}/approval", {})) == (409, "already_approved")
    assert desk("otto", f"archive/requests/{id_}/approval", {}).status_code == 200


def test_other_roles_reach_none_of_it(desk: Post, gone: Customer) -> None:
    assert problem(desk("mei", "archive")) == (403, "role")
    assert problem(desk("mei", "archive/requests", {"kind": "open"})) == (403, "role")
    assert problem(desk("ada", "archive/requests", {"kind": "open"})) == (403, "role")
    id_ = asked(desk, gone)
    assert problem(desk("mei", f"archive/requests/{id_}/approval", {})) == (403, "role")


@pytest.mark.parametrize("approval_mac", [None, "0" * 64])
def test_an_approval_that_is_planted_in_the_database_permits_nothing(
    world: World, desk: Post, gone: Customer, approval_mac: str | None
) -> None:
    id_ = asked(desk, gone)
    rewrite(world, id_, approved_by="otto", approved_at=times.iso_ms(world.now()), approval_mac=approval_mac)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (403, "not_approved")
    assert desk("dora", "archive/requests").json()["requests"][0]["state"] == "disputed"


def test_an_approved_request_cannot_be_pointed_at_another_customer(world: World, desk: Post, gone: Customer) -> None:
    other = archived(world)
    id_ = asked(desk, gone)
    desk("otto", f"archive/requests/{id_}/approval", {})
    with world.platform.database.read() as session:
        box = session.exec(select(Archived).where(Archived.subject == other.subject, Archived.field == EMAIL)).one()
    rewrite(world, id_, subject=other.subject, digest=box.digest)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (404, "unknown_request")


def test_an_approval_of_one_request_does_not_carry_another(world: World, desk: Post, gone: Customer) -> None:
    good, bad = asked(desk, gone), asked(desk, gone, field=GIVEN)
    desk("otto", f"archive/requests/{good}/approval", {})
    with world.platform.database.read() as session:
        row = session.get_one(ArchiveRequest, good)
    rewrite(world, bad, approved_by=row.approved_by, approved_at=row.approved_at, approval_mac=row.approval_mac)
    assert problem(desk("dora", f"archive/requests/{bad}/opening", {})) == (403, "not_approved")


def test_a_request_whose_use_somebody_undoes_in_the_database_is_used_all_the_same(
    world: World, desk: Post, gone: Customer
) -> None:
    id_ = asked(desk, gone)
    desk("otto", f"archive/requests/{id_}/approval", {})
    desk("dora", f"archive/requests/{id_}/opening", {})
    rewrite(world, id_, used_at=None)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (409, "already_used")


def test_a_box_that_was_moved_to_another_row_is_not_opened(world: World, desk: Post, gone: Customer) -> None:
    other = archived(world)
    id_ = asked(desk, gone)
    desk("otto", f"archive/requests/{id_}/approval", {})
    with world.platform.database.write("owner") as session:
        rows = session.exec(select(Archived).where(Archived.field == EMAIL)).all()
        mine, theirs = (next(row for row in rows if row.subject == one.subject) for one in (gone, other))
        mine.box = theirs.box
        session.add(mine)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (404, "not_archived")


def test_a_request_that_nobody_used_within_a_day_is_over(world: World, clock: FixedClock, gone: Customer) -> None:
    dora = staff.Staff(account="dora", name="dora", role="dpo", did=world.platform.controller)
    otto = staff.Staff(account="otto", name="otto", role="dpo", did=world.platform.controller)
    wish = officers.Wish(kind="open", subject=gone.subject, field=EMAIL, **PAPER)  # type: ignore[arg-type]
    row = officers.ask(world.platform, dora, wish)
    officers.approve(world.platform, otto, row.id)
    clock.advance(officers.LIFE)
    rewrite(world, row.id, approved_at="2099-01-01T00:00:00.000Z")
    with pytest.raises(Exception, match="not used in time"):
        officers.open_box(world.platform, dora, row.id)
    assert world.events("archive.opened") == []


def test_what_is_not_in_the_archive_cannot_be_asked_for(desk: Post, gone: Customer) -> None:
    body = {"kind": "open", "subject": gone.subject, "field": "contact.phone", **PAPER}
    assert problem(desk("dora", "archive/requests", body)) == (404, "not_archived")
    assert problem(desk("dora", "archive/requests", body | {"period": "x"})) == (422, "bad_request")
    assert problem(desk("dora", "archive/requests", {"kind": "destroy", **PAPER})) == (422, "bad_request")
    unknown = {"kind": "destroy", "period": "P9Y", **PAPER}
    assert problem(desk("dora", "archive/requests", unknown)) == (404, "unknown_period")
    assert problem(desk("dora", "archive/requests/urn:uuid:0/opening", {})) == (404, "unknown_request")


def test_a_key_that_lies_elsewhere_opens_nothing_and_the_permission_stays(
    world: World, desk: Post, gone: Customer
) -> None:
    id_ = asked(desk, gone)
    desk("otto", f"archive/requests/{id_}/approval", {})
    keys = world.platform.keyring.archive
    given = keys.take_out(KEY)
    keys.removed(KEY)
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (409, "key_gone")
    assert desk("dora", "archive").json()["keys"][0]["private"] == "officer"
    keys.put_back(KEY, given)
    assert desk("dora", f"archive/requests/{id_}/opening", {}).json()["value"] == VALUES[EMAIL]


def test_two_end_a_period_before_its_day_and_the_customers_are_told(world: World, desk: Post, gone: Customer) -> None:
    answer = desk("dora", "archive/requests", {"kind": "destroy", "period": "P3Y-claims", **PAPER})
    id_ = answer.json()["id"]
    assert problem(desk("dora", f"archive/requests/{id_}/destruction", {})) == (403, "not_approved")
    desk("ada", f"archive/requests/{id_}/approval", {})
    assert problem(desk("dora", f"archive/requests/{id_}/opening", {})) == (404, "unknown_request")
    assert desk("dora", f"archive/requests/{id_}/destruction", {}).json() == {"id": id_, "keys": [KEY], "boxes": 2}
    with pytest.raises(KeyGone):
        world.platform.keyring.archive.private(KEY)
    assert states(world, gone)[EMAIL] == "destroyed"
    ended_fields = {item.field for one in certified(world, gone) for item in one.items if item.archive_key == KEY}
    assert ended_fields == {EMAIL, GIVEN}
    (ended,) = world.events("archive.ended")
    assert (ended.records[0][1]["cause"], ended.header["approver"]) == (id_, "ada")
    assert problem(desk("dora", f"archive/requests/{id_}/destruction", {})) == (409, "already_used")


def test_a_box_that_somebody_changed_is_not_there_to_be_asked_for(world: World, desk: Post, gone: Customer) -> None:
    change(world, EMAIL, destroy_by="2099-01-01T00:00:00.000Z")
    body = {"kind": "open", "subject": gone.subject, "field": EMAIL, **PAPER}
    assert problem(desk("dora", "archive/requests", body)) == (404, "not_archived")


@pytest.mark.parametrize("late", ["asked", "approved"])
def test_a_key_that_was_made_since_it_was_asked_ends_with_no_period(
    world: World, desk: Post, gone: Customer, late: str
) -> None:
    """Two officers agreed to end the keys that there were: not those of a quarter that began since."""
    id_ = str(desk("dora", "archive/requests", {"kind": "destroy", "period": "P3Y-claims", **PAPER}).json()["id"])
    if late == "approved":
        assert desk("otto", f"archive/requests/{id_}/approval", {}).status_code == 200
    other = terms.key_name("P3Y-claims", DUE + timedelta(days=90))
    world.platform.keyring.archive.public(other)
    account, verb = ("otto", "approval") if late == "asked" else ("dora", "destruction")
    assert problem(desk(account, f"archive/requests/{id_}/{verb}", {})) == (409, "period_changed")
    assert set(world.platform.keyring.archive.names()) >= {KEY, other}
    again = str(desk("dora", "archive/requests", {"kind": "destroy", "period": "P3Y-claims", **PAPER}).json()["id"])
    assert desk("otto", f"archive/requests/{again}/approval", {}).status_code == 200
    assert desk("dora", f"archive/requests/{again}/destruction", {}).status_code == 200
    assert states(world, gone)[EMAIL] == "destroyed"
