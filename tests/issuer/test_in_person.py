"""At the desk it takes two members of staff: one has the link, the other the code, and neither both."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from httpx import Response
from sqlalchemy import text

from protocol.consent import SubjectId
from protocol.keys import Ed25519Signer
from tests.issuer.world import World


def _begun(world: World, subject: SubjectId) -> str:
    answer = world.post("service", "/issuer/invitations/in-person", {"subject": subject})
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"id", "expires_at"}
    return str(answer.json()["id"])


def _confirmed(world: World, id_: str, *, account: str = "second") -> Response:
    return world.post("service", f"/issuer/invitations/{id_}/confirmation", account=account)


def _token(answer: Response) -> str:
    assert answer.status_code == 200, answer.text
    return parse_qs(urlsplit(answer.json()["link"]).query)["token"][0]


def _opened(world: World, token: str) -> str:
    answer = world.http.post("/issuer/enrolments/challenge", json={"token": token})
    assert answer.status_code == 200, answer.text
    assert "desk" in answer.json()["code_channel"]
    return str(answer.json()["challenge"])


def _enrol(world: World, token: str, code: str, challenge: str, signer: Ed25519Signer) -> Response:
    body = {"token": token, "code": code, "presentation": world.present(signer, challenge)}
    return world.http.post("/issuer/enrolments", json=body)


def _code(answer: Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_customer_at_the_desk_enrols_with_a_link_from_one_and_a_code_from_the_other(world: World) -> None:
    subject, signer = world.customer(), Ed25519Signer.generate()
    id_ = _begun(world, subject)
    token = _token(_confirmed(world, id_))
    challenge = _opened(world, token)
    read_out = world.post("service", f"/issuer/invitations/{id_}/code")
    assert read_out.status_code == 200, read_out.text
    assert _enrol(world, token, read_out.json()["code"], challenge, signer).status_code == 201
    assert world.mails("invitation") == world.mails("code") == []
    told = [data for event in world.events("invitation.sent") for _, data in event.records]
    assert told == [{"invitation": id_, "in_person": True}, {"invitation": id_, "confirmed": True}]


def test_who_began_can_neither_confirm_nor_open(world: World) -> None:
    id_ = _begun(world, world.customer())
    assert _code(_confirmed(world, id_, account="service")) == (403, "own_invitation")
    assert _code(world.post("service", f"/issuer/invitations/{id_}/code")) == (409, "not_opened")
    assert _code(world.http.post("/issuer/enrolments/challenge", json={"token": id_})) == (404, "unknown_invitation")


def test_who_confirmed_has_the_link_but_not_the_code(world: World) -> None:
    id_ = _begun(world, world.customer())
    token = _token(_confirmed(world, id_))
    challenge = _opened(world, token)
    asked = world.post("service", f"/issuer/invitations/{id_}/code", account="second")
    assert _code(asked) == (403, "not_your_invitation")
    assert _code(_enrol(world, token, "00000000", challenge, Ed25519Signer.generate())) == (403, "wrong_code")


def test_the_link_is_shown_once_and_ends_after_a_quarter_of_an_hour(world: World) -> None:
    id_ = _begun(world, world.customer())
    token = _token(_confirmed(world, id_))
    assert _code(_confirmed(world, id_, account="third")) == (409, "already_confirmed")
    world.clock.advance(timedelta(minutes=15))
    opened = world.http.post("/issuer/enrolments/challenge", json={"token": token})
    assert _code(opened) == (410, "invitation_expired")
    assert _code(world.post("service", f"/issuer/invitations/{id_}/code")) == (410, "invitation_expired")


def test_the_ways_of_the_desk_are_closed_to_an_invitation_by_mail(world: World) -> None:
    sent = world.post("service", "/issuer/invitations", {"subject": world.customer()}).json()["id"]
    assert _code(_confirmed(world, sent)) == (404, "unknown_invitation")
    assert _code(world.post("service", f"/issuer/invitations/{sent}/code")) == (404, "unknown_invitation")


def _rewritten(world: World, statement: str) -> None:
    with world.platform.database.write("owner") as session:
        session.execute(text(statement))


def test_whoever_also_writes_to_the_database_cannot_be_both(world: World) -> None:
    id_ = _begun(world, world.customer())
    _rewritten(world, "UPDATE invitation SET created_by = 'somebody'")
    assert _confirmed(world, id_, account="service").status_code == 409
    _rewritten(world, "UPDATE invitation SET created_by = 'service'")
    _opened(world, _token(_confirmed(world, id_)))
    _rewritten(world, "UPDATE invitation SET created_by = 'second'")
    taken = world.post("service", f"/issuer/invitations/{id_}/code", account="second")
    assert _code(taken) == (403, "not_your_invitation")
