"""Rows that somebody turned to another wallet or customer, and honest acts upon them: nobody ends what is another's.

The attacker writes any column of the database and has wallets of their own; keys and journal they have not.
"""

from datetime import timedelta
from typing import Any

import pytest
from httpx import Response
from sqlalchemy import text

from issuer import enrolment, loss, proved, worker
from issuer.credentials import EVERYONE, Credential, GroundSubject
from protocol import canonical, consent, proof, request
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.problem import Problem
from tests.issuer.test_expiring import DAY, altered
from tests.issuer.test_grounds import _approve, _declare
from tests.issuer.world import Wallet, World

PLANTED = "urn:uuid:00000000-0000-4000-8000-000000000000"


@pytest.fixture
def thief(world: World) -> Wallet:
    return world.enrolled()


def planted(world: World, kind: str, subject: str, **columns: Any) -> None:
    row = {"did": "did:key:zX", "body": b"{}", "digest": "zQmPlanted", "at": "2027-01-01T00:00:00.000Z", **columns}
    with world.platform.database.write("owner") as session:
        session.add(Credential(id=PLANTED, kind=kind, subject=subject, **row))


def erase(world: World, wallet: Wallet) -> Response:
    """What comes of a wallet's request that all be erased."""
    unsigned = request.build_request(
        "erasure", id=consent.fresh_id(), controller=world.platform.controller, issuer=wallet.did, at=world.now
    )
    body = {"request": proof.sign(unsigned, wallet.signer, created=world.now)}
    return wallet.call("POST", "/issuer/wallet/requests", body)


def turned(world: World, wallet: Wallet, to: str) -> None:
    """The enrolment of a wallet says another wallet."""
    [row] = [one for one in world.rows("enrolment") if one.did == wallet.did]
    altered(world, row.id, did=to)


def test_a_consent_turned_to_another_wallet_is_not_ended_by_it(world: World, wallet: Wallet, thief: Wallet) -> None:
    given = wallet.give(world.asked(wallet))
    altered(world, given["id"], did=thief.did)
    before = world.state()
    with pytest.raises(EvidenceError) as refused:
        world.registry.withdraw(canonical.jcs(thief.withdrawal(given)), thief.did)
    assert (refused.value.code, world.state()) == ("digest_mismatch", before)
    altered(world, given["id"], did=wallet.did)
    assert not world.platform.journal.ended(given["id"])
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.did)
    assert world.platform.journal.ended(given["id"])


def test_a_consent_put_under_another_customer_is_ended_by_nobody(world: World, wallet: Wallet, thief: Wallet) -> None:
    """Else an erasure that one customer asks for ends another's consent."""
    given = wallet.give(world.asked(wallet))
    altered(world, given["id"], subject=thief.subject)
    with pytest.raises(EvidenceError) as refused:
        world.registry.revoke(given["id"], world.staff("dpo"))
    assert refused.value.code == "unknown_subject"
    assert not world.platform.journal.ended(given["id"])
    altered(world, given["id"], subject=wallet.subject)
    world.registry.revoke(given["id"], world.staff("dpo"))
    assert world.platform.journal.ended(given["id"])


def test_a_wallet_that_was_written_into_an_enrolment_speaks_for_nobody(
    world: World, wallet: Wallet, thief: Wallet
) -> None:
    """Else whoever has any wallet has anybody's data erased."""
    given = wallet.give(world.asked(wallet))
    turned(world, thief, "did:key:zNobody")
    turned(world, wallet, thief.did)
    answer = erase(world, thief)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_enrolled")
    assert not world.platform.journal.ended(given["id"])


def test_control_the_same_request_of_its_own_wallet_ends_the_consent(world: World, wallet: Wallet) -> None:
    given = wallet.give(world.asked(wallet))
    answer = erase(world, wallet)
    assert answer.is_success, answer.text
    assert world.platform.journal.ended(given["id"])


@pytest.mark.parametrize("body", [b"{}", b"[]", b"\x00"])
def test_a_ground_that_was_written_in_keeps_nobody_from_an_erasure(world: World, wallet: Wallet, body: bytes) -> None:
    given = wallet.give(world.asked(wallet))
    planted(world, "ground", EVERYONE, body=body)
    with world.platform.database.write("owner") as session:
        session.add(GroundSubject(ground_id=PLANTED, subject=EVERYONE))
    answer = erase(world, wallet)
    assert answer.is_success, answer.text
    assert world.platform.journal.ended(given["id"])


def test_a_ground_that_officers_approved_and_somebody_spoiled_is_not_passed_over(world: World, wallet: Wallet) -> None:
    """Put back as it was afterwards, it would cover a customer who was told that nothing does."""
    id_ = _declare(world)
    assert _approve(world, id_).is_success
    altered(world, id_, body=b"{}")
    assert not erase(world, wallet).is_success


def test_an_ended_enrolment_whose_row_says_that_it_lives_speaks_for_nobody(world: World, wallet: Wallet) -> None:
    enrolment.end(world.registry, wallet.subject, world.staff("dpo"))
    [row] = world.rows("enrolment")
    altered(world, row.id, ended_at=None, ended_by=None, ended_kind=None)
    with world.platform.database.read() as session:
        assert proved.customer(session, world.platform, wallet.signer.did) is None


def test_an_ask_put_under_another_customer_is_answered_for_nobody(world: World, wallet: Wallet, thief: Wallet) -> None:
    ask = world.asked(thief)
    altered(world, ask.id, subject=wallet.subject)
    before = world.state()
    with pytest.raises(EvidenceError) as refused:
        world.registry.consent(canonical.jcs(thief.consent(ask)), thief.did)
    assert (refused.value.code, world.state()) == ("foreign_ask", before)


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"id":1}', b"\x00", b'{"id":"%s"}' % PLANTED.encode()])
def test_no_enrolment_that_was_written_in_keeps_a_lost_wallet_alive(world: World, wallet: Wallet, body: bytes) -> None:
    given = wallet.give(world.asked(wallet))
    [real] = world.rows("enrolment")
    planted(world, "enrolment", wallet.subject, body=body)
    reported = loss.report(
        world.registry, world.staff("service"), wallet.subject, method="id_document", evidence="file 7"
    )
    assert reported.enrolment == real.id
    ended = enrolment.end_lost(world.registry, wallet.subject, world.staff("dpo"), reported.enrolment)
    assert ended == {"enrolment": real.id, "revoked": [given["id"]]}
    assert all(map(world.platform.journal.ended, (real.id, given["id"])))


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"id":1}', b"\x00"])
def test_a_spoiled_enrolment_leaves_the_journal_whole(world: World, wallet: Wallet, body: bytes) -> None:
    """An officer ends it in good faith; a line that nobody can read again would be there for ever."""
    [row] = world.rows("enrolment")
    altered(world, row.id, body=body)
    before = world.platform.journal.head()
    with pytest.raises(Problem) as refused:
        enrolment.end(world.registry, wallet.subject, world.staff("dpo"))
    assert refused.value.code == "not_enrolled"
    assert world.platform.journal.head() == before
    Platform.open(world.settings, world.clock).close()


def test_asks_go_to_the_wallet_that_we_enrolled_not_to_one_that_was_written_in(world: World, wallet: Wallet) -> None:
    planted(world, "enrolment", wallet.subject)
    assert world.asked(wallet).subject_did == wallet.did


@pytest.mark.parametrize("number", ["9e999", "-1", "'x'", "2147483647"])
def test_a_standing_that_is_no_version_keeps_nothing_from_its_end(
    world: World, wallet: Wallet, thief: Wallet, number: str
) -> None:
    ours = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    others = thief.give(world.asked(thief), until=world.now + 2 * DAY)["id"]
    later = wallet.give(world.asked(wallet, "service"), until=world.now + 9 * DAY)
    with world.platform.database.write("owner") as session:
        bent = f"UPDATE standing SET version = {number} WHERE subject = :it"  # noqa: S608 - ours
        session.execute(text(bent), {"it": wallet.subject})
    world.clock.advance(timedelta(days=3))
    worker.run_once(world.registry)
    assert all(map(world.platform.journal.ended, (ours, others)))
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(later)), wallet.did)
    assert world.platform.journal.floor(wallet.subject) == world.version(wallet.subject)


@pytest.mark.parametrize("number", ["'x'", "2147483647", "9e999"])
def test_a_status_list_that_bears_no_number_keeps_nobody_from_withdrawing(
    world: World, wallet: Wallet, number: str
) -> None:
    given = wallet.give(world.asked(wallet))
    with world.platform.database.write("owner") as session:
        session.execute(text(f"UPDATE status_list SET version = {number}"))  # noqa: S608 - ours
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.did)
    assert world.platform.journal.ended(given["id"])
    assert world.http.get("/issuer/status/1").is_success


@pytest.mark.sqlite("a text that is no UTF-8")
def test_an_ask_that_names_no_customer_keeps_no_consent_from_its_end(
    world: World, wallet: Wallet, thief: Wallet
) -> None:
    ours = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    others = thief.give(world.asked(thief), until=world.now + 2 * DAY)["id"]
    with world.platform.database.write("owner") as session:
        bent = "UPDATE credential SET ended_at = NULL, ended_kind = NULL, about = :it, subject = x'ff'"
        session.execute(text(f"{bent} WHERE kind = 'ask' AND did = :did"), {"it": ours, "did": wallet.did})
    world.clock.advance(timedelta(days=3))
    worker.run_once(world.registry)
    assert all(map(world.platform.journal.ended, (ours, others)))
    enrolment.end(world.registry, wallet.subject, world.staff("dpo"))
