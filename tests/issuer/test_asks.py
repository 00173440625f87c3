"""Asks stay within the catalogue, go only to wallets, and are never doubled."""

from datetime import timedelta
from typing import Any

import pytest

from protocol.times import iso
from tests.issuer.world import CITY, EMAIL, GIVEN, Wallet, World


def _ask(world: World, role: str, subject: str, *processes: dict[str, Any], **more: Any) -> tuple[int, Any]:
    answer = world.post(role, "/issuer/asks", {"subject": subject, "processes": list(processes), **more})
    return answer.status_code, answer.json()


def _process(purpose: str = "marketing", *fields: str, **more: Any) -> dict[str, Any]:
    return {"purpose": purpose, "fields": list(fields or (EMAIL,)), **more}


def test_an_ask_has_the_controllers_defaults_a_challenge_and_a_status_index(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    (process,) = ask.processes
    assert process.recipients == {world.platform.controller}
    assert process.jurisdictions == {"CN"}
    assert process.purpose == "https://w3id.org/dpv#DirectMarketing"
    assert ask.status.list_url == f"{world.settings.base_url}/issuer/status/1"
    assert ask.latest_until - ask.issued == timedelta(days=180)
    assert ask.expires - ask.issued == timedelta(days=7)
    assert len(ask.challenge) >= 43
    (made,) = world.events("ask.made")
    assert made.records[0][1]["fields"] == sorted((EMAIL, CITY, GIVEN))


def test_the_notice_shown_is_the_one_that_the_ask_names(world: World, wallet: Wallet) -> None:
    from protocol import canonical

    ask = world.asked(wallet, language="zh-CN")
    path = ask.notice.id.removeprefix(world.settings.base_url)
    plain = world.http.get(path, params={"lang": "zh-CN"}, headers={"accept": "text/plain"})
    assert canonical.digest(plain.content) == ask.notice.digest
    told = world.http.get(path, params={"lang": "zh-CN"}).json()
    assert told["digestMultibase"] == ask.notice.digest
    assert "撤回" in told["text"]


def test_an_ask_for_two_purposes_joins_their_notices(world: World, wallet: Wallet) -> None:
    from issuer import asks
    from issuer.asks import Wish
    from runtime.staff import Staff

    both = Staff(account="x", name="x", role="service", did=world.staff("service").did)
    wide = world.catalogue.purposes["administration"]
    assert "service" in wide.roles
    with world.platform.database.write("owner") as session:
        row, new = asks.make(
            session, world.platform, world.catalogue, both, subject=wallet.subject,
            wishes=[
                Wish(purpose="service", fields=frozenset({EMAIL})),
                Wish(purpose="administration", fields=frozenset({GIVEN})),
            ],
        )  # fmt: skip
        ask = asks.parse(row, world.platform)
    assert new
    assert ask.notice.id.endswith("/issuer/notices/service+administration/1+1")
    answer = world.http.get(ask.notice.id.removeprefix(world.settings.base_url), headers={"accept": "text/plain"})
    assert answer.status_code == 200
    document = wallet.give(ask)
    assert len(wallet.read_consent(document).processes) == 2


def test_an_identical_open_ask_is_given_again(world: World, wallet: Wallet) -> None:
    first = _ask(world, "marketing", wallet.subject, _process())
    second = _ask(world, "marketing", wallet.subject, _process())
    assert (first[0], second[0]) == (201, 200)
    assert first[1]["id"] == second[1]["id"]
    until = iso(world.now + timedelta(days=3))
    third = _ask(world, "marketing", wallet.subject, _process(), latest_until=until)
    fourth = _ask(world, "marketing", wallet.subject, _process(), latest_until=until)
    assert (third[0], fourth[0]) == (201, 200)
    assert _ask(world, "marketing", wallet.subject, _process(), language="zh-CN")[0] == 201
    assert len(world.events("ask.made")) == 3
    listed = world.get("marketing", "/issuer/asks", subject=wallet.subject).json()["items"]
    assert [one["standing"] for one in listed] == ["living"] * 3
    one = world.get("service", f"/issuer/asks/{first[1]['id']}").json()
    assert one["id"] == first[1]["id"]


@pytest.mark.parametrize(
    ("role", "process", "code"),
    [
        ("sales", _process(), "role"),
        ("auditor", _process(), "role"),
        ("marketing", _process("surveillance"), "unknown_purpose"),
        ("marketing", _process("marketing", "contact.iris_scan"), "unknown_field"),
        ("marketing", _process("marketing", "interaction.note"), "field_not_needed"),
        ("marketing", _process(recipients=["did:web:other.example"]), "recipient_not_allowed"),
        ("marketing", _process(jurisdictions=["US"]), "jurisdiction_not_allowed"),
        ("marketing", {"purpose": "marketing", "fields": []}, "bad_request"),
        ("marketing", {**_process(), "address": "x"}, "bad_request"),
    ],
)
def test_an_ask_beyond_the_catalogue_is_refused(
    world: World, wallet: Wallet, role: str, process: dict[str, Any], code: str
) -> None:
    before = world.state()
    _, body = _ask(world, role, wallet.subject, process)
    assert body["code"] == code
    assert world.state() == before


def test_a_purpose_that_needs_separate_consent_stands_alone(world: World, wallet: Wallet) -> None:
    sharing = _process("third-party-sharing", EMAIL, recipients=["did:web:partner.example"], jurisdictions=["SG"])
    assert _ask(world, "marketing", wallet.subject, sharing, _process())[1]["code"] == "separate_consent"
    assert _ask(world, "marketing", wallet.subject, sharing)[0] == 201
    assert _ask(world, "marketing", wallet.subject, _process(), _process())[1]["code"] == "purpose_twice"


def test_asks_go_only_to_enrolled_customers(world: World) -> None:
    assert _ask(world, "marketing", world.customer(), _process())[1]["code"] == "not_enrolled"
    assert _ask(world, "marketing", "sub_nobody", _process())[1]["code"] == "unknown_subject"
    assert [code for _, code in world.attempts()] == ["not_enrolled", "unknown_subject"]


@pytest.mark.parametrize("days", [-1, 0, 181])
def test_the_latest_end_lies_within_the_catalogues_limit(world: World, wallet: Wallet, days: int) -> None:
    until = iso(world.now + timedelta(days=days))
    assert _ask(world, "marketing", wallet.subject, _process(), latest_until=until)[1]["code"] == "bad_latest_until"


def test_an_unknown_language_or_ask_is_told(world: World, wallet: Wallet) -> None:
    assert _ask(world, "marketing", wallet.subject, _process(), language="fr")[1]["code"] == "unknown_notice"
    assert world.get("marketing", "/issuer/asks/urn:uuid:none").json()["code"] == "unknown_ask"


def test_sensitive_fields_need_a_purpose_of_their_own(world: World, wallet: Wallet) -> None:
    from dataclasses import replace

    from issuer import asks
    from issuer.asks import Wish
    from runtime.problem import Problem

    secret = replace(world.catalogue.fields[EMAIL], sensitive=True)
    shelf = replace(world.catalogue, fields={**world.catalogue.fields, EMAIL: secret})
    with pytest.raises(Problem) as caught, world.platform.database.write("owner") as session:
        asks.make(
            session, world.platform, shelf, world.staff("marketing"), subject=wallet.subject,
            wishes=[Wish(purpose="marketing", fields=frozenset({EMAIL}))],
        )  # fmt: skip
    assert caught.value.code == "separate_consent"
