"""Statutory grounds: two people, an end, never where only consent may open, and visible to whom they cover."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response

from issuer import grounds, worker
from protocol import credential, ground
from protocol.consent import SubjectId
from protocol.times import iso
from tests.engine import hand
from tests.issuer.world import EMAIL, GIVEN, Crash, Wallet, World


def _body(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "key": "contract",
        "citation": "PIPL art. 13(2), GDPR art. 6(1)(b)",
        "evidence": "Customer contract, general terms 2026, clause 4",
        "processes": [{"purpose": "administration", "fields": [GIVEN]}],
        "valid_until": iso(world.now + timedelta(days=365)),
        **changes,
    }


def _declare(world: World, **changes: Any) -> str:
    answer = world.post("dpo", "/issuer/grounds", _body(world, **changes))
    assert answer.status_code == 201, answer.text
    assert answer.json()["standing"] == "draft"
    return str(answer.json()["id"])


def _approve(world: World, id_: str, role: str = "dpo", account: str = "dpo2") -> Response:
    return world.post(role, f"/issuer/grounds/{id_}/approval", account=account)


def test_a_ground_lives_once_a_second_person_signed_the_same_document(world: World, wallet: Wallet) -> None:
    other = world.customer()
    id_ = _declare(world)
    assert wallet.call("GET", "/issuer/wallet/grounds").json()["items"] == []
    with world.platform.database.read() as session:
        assert _evidence(world, wallet) == 0
        assert grounds.unfinished(session) == []
    before = {one: world.version(one) for one in (wallet.subject, other)}
    world.compiled.clear()
    answer = _approve(world, id_)
    assert answer.status_code == 200, answer.text
    (row,) = world.rows("ground")
    read = ground.parse_ground(
        credential.verify(row.body, world.platform.keys, at=world.now, expected_type=ground.GROUND_TYPE)
    )
    assert read.signers == {world.staff("dpo").did, world.staff("dpo", "dpo2").did, world.platform.controller}
    assert sorted(world.compiled) == sorted([wallet.subject, other])
    assert {one: world.version(one) for one in before} == {one: version + 1 for one, version in before.items()}
    assert [one["id"] for one in wallet.call("GET", "/issuer/wallet/grounds").json()["items"]] == [id_]
    assert _evidence(world, wallet) == 1
    assert [one.type for one in world.events()][-2:] == ["ground.declared", "ground.approved"]
    assert _approve(world, id_).status_code == 200
    assert len(world.events("ground.approved")) == 1


def _evidence(world: World, wallet: Wallet) -> int:
    from issuer.evidence import evidence

    with world.platform.database.read() as session:
        return len(evidence(session, wallet.subject).grounds)


def test_nobody_approves_their_own_ground(world: World) -> None:
    id_ = _declare(world)
    before = world.state()
    answer = _approve(world, id_, account="dpo")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_approver")
    assert _approve(world, id_, "marketing", "marketing").json()["code"] == "role"
    assert world.state() == before
    assert world.attempts() == [("ground-approval", "second_approver"), ("/grounds/{id}/approval", "role")]
    assert _approve(world, id_, "admin", "admin").status_code == 200


def _write(world: World, statement: str, *values: str) -> None:
    """What whoever administers the database does."""
    with world.platform.database.write("owner") as session:
        hand.execute(session, statement, *values)


def test_who_approves_one_ground_does_not_sign_another_that_lies_in_its_place(world: World) -> None:
    narrow = _declare(world)
    wide = _declare(
        world, key="all", processes=[{"purpose": "administration", "fields": [GIVEN, "contact.family_name"]}]
    )
    copied = "UPDATE credential SET body = (SELECT body FROM credential WHERE id = ?) WHERE id = ?"
    _write(world, copied, wide, narrow)
    assert _approve(world, narrow).json()["code"] == "foreign_ground"
    assert world.rows("ground") == []
    assert _approve(world, wide).status_code == 200  # the control


def test_an_officer_who_writes_to_the_database_is_not_their_own_second_person(world: World) -> None:
    id_ = _declare(world)
    _write(world, "UPDATE credential SET did = 'did:key:zOther' WHERE id = ?", id_)
    assert _approve(world, id_, account="dpo").json()["code"] == "second_approver"
    assert world.rows("ground") == []


def test_a_ground_for_named_customers_touches_only_them(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    world.compiled.clear()
    _approve(world, _declare(world, subjects=[wallet.subject]))
    assert world.compiled == [wallet.subject]
    assert other.call("GET", "/issuer/wallet/grounds").json()["items"] == []
    assert world.events("ground.approved")[0].records[0][0] == wallet.subject


def test_ending_a_ground_is_a_narrowing(world: World, wallet: Wallet) -> None:
    id_ = _declare(world)
    _approve(world, id_)
    drains, version = world.drains, world.version(wallet.subject)
    answer = world.post("dpo", f"/issuer/grounds/{id_}/end")
    assert answer.status_code == 200, answer.text
    assert answer.json()["standing"] == "revoked"
    assert world.platform.journal.ended(id_)
    assert world.drains == drains + 1
    assert world.version(wallet.subject) == version + 1
    assert len(world.events("ground.ended")) == 1
    assert len(world.events("consent.shut")) == 1
    assert world.post("dpo", f"/issuer/grounds/{id_}/end").status_code == 200
    assert len(world.events("ground.ended")) == 1
    assert _approve(world, id_).json()["code"] == "ground_ended"
    assert world.post("admin", f"/issuer/grounds/{id_}/end").json()["code"] == "role"


def test_a_draft_can_be_ended_too(world: World) -> None:
    id_ = _declare(world)
    world.post("dpo", f"/issuer/grounds/{id_}/end")
    assert _approve(world, id_).json()["code"] == "ground_ended"
    listed = world.get("auditor", "/issuer/grounds").json()["items"]
    assert [one["standing"] for one in listed] == ["draft"]


def test_a_ground_that_ran_out_is_marked_by_the_worker(world: World, wallet: Wallet) -> None:
    id_ = _declare(world, valid_until=iso(world.now + timedelta(days=2)))
    _approve(world, id_)
    version = world.version(wallet.subject)
    world.clock.advance(timedelta(days=2))
    worker.run_once(world.registry)
    worker.run_once(world.registry)
    assert world.version(wallet.subject) == version + 1
    assert world.platform.journal.ended(id_)
    assert len(world.events("ground.ended")) == 1


@pytest.mark.parametrize(
    "written",
    [
        "UPDATE settling SET settled_at = '2026-01-01' WHERE kind = 'ground'",
        "DELETE FROM settling",
        "UPDATE credential SET ended_at = NULL WHERE kind = 'ground'",
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_whatever_somebody_writes_after_its_commit_the_end_of_a_ground_waits_for_reads(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, written: str, inside: bool
) -> None:
    id_ = _declare(world)
    _approve(world, id_)
    finish = grounds.finish

    def meddled(*args: Any) -> bool:
        _write(world, written)
        return finish(*args)

    monkeypatch.setattr(grounds, "finish", meddled)
    world.crash_in = {"reads"} if inside else set()
    answer = world.post("dpo", f"/issuer/grounds/{id_}/end")
    assert answer.status_code == (503 if inside else 200), answer.text


def _ended_between(world: World, monkeypatch: pytest.MonkeyPatch, gap: int) -> tuple[int, dict[SubjectId, int]]:
    """A ground's approval stands still before its `gap`th look at the database; there another process commits its end.

    The approval goes on first, then the end. How often the approval looked, and by how much each standing rose since.
    """
    people, id_ = [world.customer() for _ in range(3)], _declare(world)
    first, second = world.staff("dpo"), world.staff("dpo", "dpo2")
    before: dict[SubjectId, int] = {}
    looks, database, finish = 0, type(world.platform.database), grounds.finish
    monkeypatch.setattr(grounds, "BATCH", 1)

    def looking(act: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def wrapped(*args: Any, **more: Any) -> Iterator[Any]:
            nonlocal looks
            looks += 1
            if looks == gap:
                with monkeypatch.context() as there:
                    there.setattr(grounds, "finish", lambda *_: True)  # its own comes later
                    grounds.end(world.registry, first, id_)
                before.update({one: world.version(one) for one in people})
                looks += 100
            with act(*args, **more) as session:
                yield session

        return wrapped

    with monkeypatch.context() as here:
        for name in ("read", "write"):
            here.setattr(database, name, looking(getattr(database, name)))
        grounds.approve(world.registry, second, id_)
    if before:
        finish(world.registry, id_)
    return looks, {one: world.version(one) - version for one, version in before.items()}


@pytest.mark.parametrize("gap", range(2, 8))
def test_an_end_while_its_approval_is_still_compiling_reaches_every_standing(
    world: World, monkeypatch: pytest.MonkeyPatch, gap: int
) -> None:
    """Else nobody would look at what lapsed: the approval settled the row that the end had opened anew."""
    looks, risen = _ended_between(world, monkeypatch, gap)
    if looks < 100:
        assert looks < gap  # it was over by then
        return
    assert len(risen) == 3
    assert min(risen.values()) >= 1
    assert len(world.events("consent.shut")) == 1
    with world.platform.database.read() as session:
        assert grounds.unfinished(session) == []


def test_the_control_an_approval_that_goes_on_where_it_stood_misses_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, reached = grounds._batch, ""

    def going_on(session: Any, desk: Any, ground_id: str, after: str) -> str | None:
        nonlocal reached
        last = batch(session, desk, ground_id, max(after, reached))
        reached = last or reached
        return last

    monkeypatch.setattr(grounds, "_batch", going_on)
    _, risen = _ended_between(world, monkeypatch, 5)
    assert list(risen.values()) == [0, 0, 0]


def test_a_column_that_says_a_ground_has_ended_ends_nothing_for_good(world: World, wallet: Wallet) -> None:
    """Whoever wrote it could take it back; what the officer ends is in the journal before it is acknowledged."""
    id_ = _declare(world)
    _approve(world, id_)
    _write(world, "UPDATE credential SET ended_at = '2026-01-01T00:00:00.000Z' WHERE id = ?", id_)
    assert world.post("dpo", f"/issuer/grounds/{id_}/end").status_code == 200
    assert world.platform.journal.ended(id_)
    assert len(world.events("ground.ended")) == len(world.events("consent.shut")) == 1


@pytest.mark.parametrize("written", ["UPDATE settling SET settled_at = '2026-01-01'", "DELETE FROM settling"])
def test_an_end_that_somebody_marks_as_settled_is_compiled_and_told_of_all_the_same(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    id_ = _declare(world)
    _approve(world, id_)
    with monkeypatch.context() as there:
        there.setattr(grounds, "finish", lambda *_: True)  # its process dies here
        grounds.end(world.registry, world.staff("dpo"), id_)
    _write(world, written)
    before = world.version(wallet.subject)
    assert world.post("dpo", f"/issuer/grounds/{id_}/end").status_code == 200
    assert world.version(wallet.subject) == before + 1
    assert len(world.events("consent.shut")) == 1


@pytest.mark.parametrize("place", ["compile", "drain"])
def test_what_a_crash_left_undone_the_worker_finishes(world: World, wallet: Wallet, place: str) -> None:
    id_ = _declare(world)
    _approve(world, id_)
    world.crash_in.add(place)
    with pytest.raises(Crash):
        grounds.end(world.registry, world.staff("dpo"), id_)
    world.crash_in.clear()
    assert world.platform.journal.ended(id_)
    worker.run_once(world.registry)
    assert world.compiled[-1] == wallet.subject
    assert len(world.events("consent.shut")) == 1
    worker.run_once(world.registry)
    assert len(world.events("consent.shut")) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"processes": [{"purpose": "marketing", "fields": [EMAIL]}]}, "consent_only"),
        ({"processes": [{"purpose": "administration", "fields": [EMAIL]}]}, "field_not_needed"),
        ({"processes": [{"purpose": "nothing", "fields": [EMAIL]}]}, "unknown_purpose"),
        ({"processes": []}, "bad_request"),
        ({"basis": "dpv:Consent"}, "bad_basis"),
        ({"evidence": ""}, "bad_request"),
        ({"citation": ""}, "bad_request"),
        ({"evidence": " \n  "}, "bad_evidence"),
        ({"citation": "    "}, "bad_evidence"),
        ({"evidence": "x" * 4001}, "bad_request"),
        ({"valid_until": "2026-11-21T00:00:00Z"}, "bad_valid_until"),
        ({"valid_until": "2046-11-21T00:00:00Z"}, "bad_valid_until"),
        ({"roles": ["mailer"]}, "role_not_allowed"),
        ({"subjects": ["sub_nobody"]}, "unknown_subject"),
        ({"subjects": []}, "bad_request"),
        ({"subjects": "everybody"}, "bad_request"),
    ],
)
def test_a_ground_that_must_not_be_is_refused(world: World, changes: dict[str, Any], code: str) -> None:
    before = world.state()
    answer = world.post("dpo", "/issuer/grounds", _body(world, **changes))
    assert answer.json()["code"] == code
    assert world.state() == before


def test_a_ground_needs_an_end_and_an_officer(world: World) -> None:
    body = _body(world)
    del body["valid_until"]
    assert world.post("dpo", "/issuer/grounds", body).json()["field"] == "valid_until"
    assert world.post("admin", "/issuer/grounds", _body(world)).json()["code"] == "role"
    assert _approve(world, "urn:uuid:none").json()["code"] == "unknown_ground"


def test_the_mailers_ground_names_its_only_reader(world: World) -> None:
    id_ = _declare(
        world, key="invitation", roles=["mailer"], until_enrolled=True,
        processes=[{"purpose": "invitation", "fields": [EMAIL, "contact.phone"]}],
    )  # fmt: skip
    _approve(world, id_)
    (row,) = world.rows("ground")
    read = ground.parse_ground(
        credential.verify(row.body, world.platform.keys, at=world.now, expected_type=ground.GROUND_TYPE)
    )
    assert (read.roles, read.until_enrolled, read.subjects) == (frozenset({"mailer"}), True, None)


def test_the_verbs_check_the_role_by_themselves(world: World) -> None:
    from runtime.problem import Problem

    staff = world.staff("marketing")
    id_ = _declare(world)
    for act in (
        lambda: grounds.approve(world.registry, staff, id_),
        lambda: grounds.end(world.registry, staff, id_),
        lambda: world.registry.revoke("urn:uuid:none", staff),
    ):
        with pytest.raises(Problem) as caught:
            act()
        assert caught.value.code == "role"
