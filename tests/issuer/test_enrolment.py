"""Enrolment is the root of trust: two channels, single use, and nothing for staff to see."""

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from httpx import Response

from protocol import canonical, credential, enrolment, presentation
from protocol.keys import Ed25519Signer
from tests.issuer.world import Wallet, World


def _enrol(world: World, token: str, code: str, document: object) -> Response:
    return world.http.post("/issuer/enrolments", json={"token": token, "code": code, "presentation": document})


def _code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_customer_enrols_over_two_channels(world: World) -> None:
    subject, signer = world.customer(), Ed25519Signer.generate()
    version = world.version(subject)
    token = world.invited(subject)
    challenge, code = world.challenged(token)
    shown = world.present(signer, challenge)
    answer = _enrol(world, token, code, shown)
    assert answer.status_code == 201, answer.text
    document = answer.json()["enrolment"]
    verified = credential.verify(
        canonical.jcs(document), world.platform.keys, at=world.now, expected_type=enrolment.ENROLMENT_TYPE,
        expected_issuer=world.platform.controller,
    )  # fmt: skip
    read = enrolment.parse_enrolment(verified)
    assert (read.subject, read.wallet_did, read.presentation) == (subject, signer.did, canonical.jcs(shown))
    (completed,) = world.events("enrolment.completed")
    assert completed.records[0][1]["digest"] == verified.digest
    assert world.version(subject) == version + 1
    assert subject in world.compiled
    assert world.platform.journal.floor(subject) == version + 1
    own = Wallet(world, subject, signer).call("GET", "/issuer/wallet/enrolments").json()["items"]
    assert own[0]["credential"] == document


def test_the_link_pins_the_controller(world: World) -> None:
    world.invited(world.customer())
    link = re.search(r"fieldgrant://enrol\?\S+", world.mails("invitation")[0])
    assert link is not None
    values = {name: found[0] for name, found in parse_qs(urlsplit(link[0]).query).items()}
    document = world.http.get("/.well-known/did.json").content
    assert values["did"] == world.platform.controller
    assert values["issuer"] == world.settings.base_url
    assert values["document"] == canonical.digest(canonical.jcs(canonical.parse(document)))


def test_staff_who_invite_never_learn_link_code_or_address(world: World) -> None:
    subject = world.customer(email="lin.wei@example.cn", phone="+86 138 0000 4271")
    answer = world.post("marketing", "/issuer/invitations", {"subject": subject})
    assert set(answer.json()) == {"id", "expires_at"}
    token = world.token_sent()
    challenged = world.http.post("/issuer/enrolments/challenge", json={"token": token})
    code = world.code_sent()
    assert challenged.json()["code_channel"] == "•••• 71"
    told = answer.text + challenged.text + world.get("marketing", "/issuer/enrolments", subject=subject).text
    told += "".join(str(one) for one in world.events())
    for secret in (token, code, "lin.wei", "138 0000", "13800004271"):
        assert secret not in told


def test_link_and_code_go_to_different_channels(world: World) -> None:
    subject = world.customer(email="lin.wei@example.cn", phone="+86 138 0000 4271")
    world.challenged(world.invited(subject))
    (link,) = world.settings.mail_dir.glob("*-invitation-*.eml")
    (code,) = world.settings.mail_dir.glob("*-code-*.eml")
    assert b"lin.wei@example.cn" in link.read_bytes()
    assert b"138 0000 4271" in code.read_bytes()
    assert b"lin.wei@example.cn" not in code.read_bytes()


def test_neither_token_nor_code_is_in_the_database(world: World) -> None:
    token = world.invited(world.customer())
    _, code = world.challenged(token)
    files = [path.read_bytes() for path in Path(world.settings.data_dir).rglob("*") if path.is_file()]
    assert not any(token.encode() in data for data in files)
    assert world.rows("enrolment") == []
    with world.platform.database.read() as session:
        rows = [str(row) for row in session.connection().exec_driver_sql("SELECT * FROM invitation")]
    assert code not in "".join(rows)


def test_staff_cannot_give_an_address(world: World) -> None:
    body = {"subject": world.customer(), "email": "me@staff.example"}
    assert _code(world.post("marketing", "/issuer/invitations", body)) == (422, "bad_request")
    assert world.mails("invitation") == []


def test_a_member_of_staff_cannot_enrol_as_a_customer(world: World) -> None:
    """They sent the invitation, they are signed in, they guess, they use their own key: each is refused."""
    subject = world.customer()
    staff = world.staff("marketing")
    world.post("marketing", "/issuer/invitations", {"subject": subject})
    invitation_id = world.events("invitation.sent")[0].records[0][1]["invitation"]
    by_desk = world.post("marketing", "/issuer/enrolments/challenge", {"token": invitation_id})
    assert _code(by_desk) == (403, "staff_not_wallet")
    guessed = world.http.post("/issuer/enrolments/challenge", json={"token": invitation_id})
    assert _code(guessed) == (404, "unknown_invitation")
    token = world.token_sent()
    challenge, code = world.challenged(token)
    before = world.version(subject)
    own = world.present(world.platform.keyring.signer(f"staff/{staff.account}"), challenge)
    assert _code(_enrol(world, token, code, own)) == (403, "staff_not_wallet")
    assert (world.version(subject), world.rows("enrolment")) == (before, [])
    codes = [code for _, code in world.attempts()]
    assert codes == ["staff_not_wallet", "unknown_invitation", "staff_not_wallet"]


@pytest.mark.parametrize(
    ("email", "phone", "code"), [(None, "+86 1", "no_channel"), ("a@example.cn", None, "no_second_channel")]
)
def test_an_invitation_needs_both_channels_on_file(
    world: World, email: str | None, phone: str | None, code: str
) -> None:
    subject = world.customer(email=email, phone=phone)
    assert _code(world.post("marketing", "/issuer/invitations", {"subject": subject})) == (409, code)


def test_a_second_channel_that_went_away_stops_the_code(world: World) -> None:
    subject = world.customer()
    token = world.invited(subject)
    world.shelf.clear()
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": token})) == (409, "no_second_channel")


def test_an_unknown_customer_cannot_be_invited(world: World) -> None:
    answer = world.post("marketing", "/issuer/invitations", {"subject": "lin.wei@example.cn"})
    assert _code(answer) == (404, "unknown_subject")
    (attempt,) = world.events("attempt.refused")
    assert "lin.wei" not in str(attempt) + answer.text, "what was typed is not put on record"


@pytest.mark.parametrize("role", ["dpo", "auditor"])
def test_other_roles_do_not_invite(world: World, role: str) -> None:
    assert _code(world.post(role, "/issuer/invitations", {"subject": world.customer()})) == (403, "role")


def test_invitations_of_one_customer_are_limited(world: World) -> None:
    subject = world.customer()
    for _ in range(10):
        world.invited(subject)
    refused = world.post("marketing", "/issuer/invitations", {"subject": subject})
    assert _code(refused) == (429, "too_many_requests")
    assert int(refused.headers["retry-after"]) > 0


def test_an_invitation_is_used_once(world: World) -> None:
    subject = world.customer()
    token = world.invited(subject)
    challenge, code = world.challenged(token)
    shown = world.present(Ed25519Signer.generate(), challenge)
    assert _enrol(world, token, code, shown).status_code == 201
    before = world.state()
    assert _code(_enrol(world, token, code, shown)) == (409, "challenge_used")
    fresh = world.present(Ed25519Signer.generate(), "another challenge of ours")
    assert _code(_enrol(world, token, code, fresh)) == (410, "invitation_used")
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": token})) == (410, "invitation_used")
    assert world.state() == before


def test_a_presentation_is_not_good_for_another_invitation(world: World) -> None:
    first, second = world.invited(world.customer()), world.invited(world.customer())
    challenge, code = world.challenged(first)
    shown = world.present(Ed25519Signer.generate(), challenge)
    assert _enrol(world, first, code, shown).status_code == 201
    _, other_code = world.challenged(second)
    assert _code(_enrol(world, second, other_code, shown)) == (409, "challenge_used")
    assert ("enrolment", "challenge_used") in world.attempts()


def test_a_presentation_over_another_challenge_or_domain_is_refused(world: World) -> None:
    token = world.invited(world.customer())
    challenge, code = world.challenged(token)
    signer = Ed25519Signer.generate()
    assert _code(_enrol(world, token, code, world.present(signer, "x" * 43))) == (400, "wrong_challenge")
    elsewhere = world.present(signer, challenge, "https://elsewhere.example")
    assert _code(_enrol(world, token, code, elsewhere)) == (400, "wrong_domain")
    tampered = world.present(signer, challenge)
    tampered["holder"] = Ed25519Signer.generate().did
    assert _enrol(world, token, code, tampered).status_code == 400
    unsupported = world.present(signer, challenge)
    unsupported["holder"] = "did:ion:EiClkZMDxPKqC9c"
    unsupported["proof"]["verificationMethod"] = "did:ion:EiClkZMDxPKqC9c#key-1"
    assert _code(_enrol(world, token, code, unsupported)) == (400, "unsupported_did")
    two = world.present(signer, challenge)
    two["proof"] = [two["proof"]]
    assert _code(_enrol(world, token, code, two)) == (400, "bad_proof")
    assert world.rows("enrolment") == []
    assert len(world.attempts()) == 5


def test_an_invitation_ends_after_24_hours_and_a_challenge_after_ten_minutes(world: World) -> None:
    token = world.invited(world.customer())
    challenge, code = world.challenged(token)
    world.clock.advance(timedelta(minutes=10))
    late = _enrol(world, token, code, world.present(Ed25519Signer.generate(), challenge))
    assert _code(late) == (410, "challenge_expired")
    world.clock.advance(timedelta(hours=24))
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": token})) == (410, "invitation_expired")


def test_without_a_challenge_there_is_nothing_to_answer(world: World) -> None:
    token = world.invited(world.customer())
    answer = _enrol(world, token, "00000000", world.present(Ed25519Signer.generate(), "x" * 43))
    assert _code(answer) == (409, "no_challenge")


def test_five_wrong_codes_end_the_invitation(world: World) -> None:
    token = world.invited(world.customer())
    challenge, code = world.challenged(token)
    shown = world.present(Ed25519Signer.generate(), challenge)
    wrong = f"{(int(code) + 1) % 10**8:08d}"
    for _ in range(5):
        assert _code(_enrol(world, token, wrong, shown)) == (403, "wrong_code")
    assert _code(_enrol(world, token, code, shown)) == (410, "invitation_ended")
    assert len(world.events("enrolment.refused")) == 1
    assert world.attempts() == [("enrolment", "wrong_code")] * 5 + [("enrolment", "invitation_ended")]
    assert world.rows("enrolment") == []


def test_a_new_code_replaces_the_old_one_and_does_not_renew_the_tries(world: World) -> None:
    token = world.invited(world.customer())
    challenge, first = world.challenged(token)
    signer = Ed25519Signer.generate()
    for _ in range(4):
        _enrol(world, token, "not it", world.present(signer, challenge))
    challenge, second = world.challenged(token)
    if first != second:
        assert _code(_enrol(world, token, first, world.present(signer, challenge))) == (403, "wrong_code")
    assert _code(_enrol(world, token, second, world.present(signer, challenge))) == (410, "invitation_ended")


def test_codes_are_sent_five_times_at_most(world: World) -> None:
    token = world.invited(world.customer())
    for _ in range(5):
        world.challenged(token)
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": token})) == (429, "too_many_codes")


def test_a_newer_invitation_ends_the_older_one(world: World) -> None:
    subject = world.customer()
    older = world.invited(subject)
    world.invited(subject)
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": older})) == (410, "invitation_ended")


def test_an_enrolled_customer_is_not_invited_again_until_the_officer_ends_the_wallet(world: World) -> None:
    old = world.enrolled()
    document = old.give(world.asked(old))
    again = world.post("marketing", "/issuer/invitations", {"subject": old.subject})
    assert _code(again) == (409, "already_enrolled")
    path = f"/issuer/subjects/{old.subject}/enrolment/end"
    assert _code(world.post("marketing", path)) == (403, "role")
    ended = world.post("dpo", path)
    assert ended.status_code == 200, ended.text
    assert ended.json()["revoked"] == [document["id"]]
    assert world.platform.journal.ended(document["id"])
    assert world.platform.journal.ended(ended.json()["enrolment"])
    assert len(world.events("consent.shut")) == 1
    assert len(world.events("enrolment.ended")) == 1
    assert _code(old.call("GET", "/issuer/wallet/asks")) == (403, "not_enrolled")
    assert _code(world.post("dpo", path)) == (409, "not_enrolled")
    new = world.enrolled(old.subject)
    assert new.call("GET", "/issuer/wallet/consents").json()["items"] == []


def test_an_invitation_that_crossed_with_an_enrolment_enrols_nobody(world: World) -> None:
    """Two links cannot live, but the check at the end does not lean on that."""
    from issuer.invitation import Invitation

    subject = world.customer()
    first = world.invited(subject)
    second = world.invited(subject)
    with world.platform.database.write("owner") as session:
        for row in session.exec(__import__("sqlmodel").select(Invitation)).all():
            row.ended_at = row.ended_kind = None
            session.add(row)
    one, two = world.challenged(first), world.challenged(second)
    assert _enrol(world, first, one[1], world.present(Ed25519Signer.generate(), one[0])).status_code == 201
    late = _enrol(world, second, two[1], world.present(Ed25519Signer.generate(), two[0]))
    assert _code(late) == (409, "already_enrolled")


def test_a_did_of_another_customer_is_refused(world: World) -> None:
    wallet = world.enrolled()
    token = world.invited(world.customer())
    challenge, code = world.challenged(token)
    answer = _enrol(world, token, code, world.present(wallet.signer, challenge))
    assert _code(answer) == (409, "did_enrolled")
    assert len(world.rows("enrolment")) == 1


def test_a_message_that_cannot_be_sent_ends_the_invitation(world: World) -> None:
    subject = world.customer(email="a@example.cn\r\nBcc: thief@example.cn")
    assert _code(world.post("marketing", "/issuer/invitations", {"subject": subject})) == (502, "mail_failed")
    other = world.customer(phone="+86 1\nX: y")
    token = world.invited(other)
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": token})) == (502, "mail_failed")


def test_a_presentation_holds_the_wallets_own_signature(world: World) -> None:
    wallet = world.enrolled()
    (row,) = world.rows("enrolment")
    read = enrolment.parse_enrolment(
        credential.verify(row.body, world.platform.keys, at=world.now, expected_type=enrolment.ENROLMENT_TYPE)
    )
    carried = canonical.parse(read.presentation)
    shown = presentation.verify(
        carried, world.platform.keys, expected_challenge=carried["proof"]["challenge"],
        expected_domain=world.settings.base_url, at=world.now,
    )  # fmt: skip
    assert shown.holder == wallet.did
