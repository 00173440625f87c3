"""What anybody may read, and what the API says of itself."""

import threading
from datetime import timedelta

import pytest

from issuer import wallet_auth, worker
from issuer.wallet_auth import Nonce
from protocol import canonical, context
from protocol.credential import CONSENT_V1
from tests.issuer.world import Wallet, World


def test_the_controllers_document_catalogue_and_context_are_public(world: World) -> None:
    document = world.http.get("/.well-known/did.json")
    assert document.json()["id"] == world.platform.controller
    shown = world.http.get("/issuer/catalogue").json()
    assert shown["digest"] == world.catalogue.digest
    assert shown["purposes"]["marketing"]["notice"] == "1"
    assert shown["fields"]["contact.email"]["labels"]["zh-CN"] == "电子邮箱"
    served = world.http.get("/issuer/contexts/consent/v1")
    assert canonical.parse(served.content) == context.load(CONSENT_V1)


@pytest.mark.parametrize(
    "path", ["/issuer/notices/marketing/9", "/issuer/notices/marketing/1?lang=fr", "/issuer/notices/marketing/1+1"]
)
def test_an_unknown_notice_is_told(world: World, path: str) -> None:
    answer = world.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_notice")
    assert world.http.get("/issuer/notices/nothing/1").status_code == 404


def test_every_route_says_what_it_does_and_bodies_have_examples(world: World) -> None:
    told = world.http.get("/openapi.json").json()
    for path, verbs in told["paths"].items():
        for verb, route in verbs.items():
            assert route.get("summary"), (verb, path)
            assert len(route.get("description", "")) > 20, (verb, path)
            body = route.get("requestBody", {}).get("content", {}).get("application/json")
            if body is not None:
                assert "example" in body or "$ref" in body["schema"], (verb, path)


def test_staff_routes_need_a_token(world: World) -> None:
    for path in ("/issuer/invitations", "/issuer/asks", "/issuer/grounds"):
        assert world.http.post(path, json={}).json()["code"] == "not_signed_in"


def test_a_wallet_that_calls_too_often_waits(world: World, wallet: Wallet) -> None:
    from fastapi import Depends, FastAPI

    from runtime import problem

    app = FastAPI()
    problem.install(app)
    caller = wallet_auth.wallet_caller(world.platform, service="audit", per_wallet="2/minute")

    @app.get("/audit/history")
    def history(who: wallet_auth.WalletCaller = Depends(caller)) -> dict[str, str]:
        return {"subject": who.subject}

    from starlette.testclient import TestClient

    world.http = TestClient(app, base_url=world.settings.base_url)
    answers = [wallet.call("GET", "/audit/history?limit=5") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[0].json() == {"subject": wallet.subject}


def test_nonces_are_forgotten_once_their_requests_are_stale(world: World, wallet: Wallet) -> None:
    wallet.call("GET", "/issuer/wallet/asks")
    world.clock.advance(timedelta(hours=1))
    worker.run_once(world.registry)
    with world.platform.database.read() as session:
        assert session.get(Nonce, (wallet.did, "x")) is None
        assert session.connection().exec_driver_sql("SELECT count(*) FROM nonce").scalar() == 0


def test_the_worker_survives_a_round_that_fails(world: World, wallet: Wallet) -> None:
    wallet.give(world.asked(wallet), until=world.now + timedelta(hours=1))
    world.clock.advance(timedelta(hours=2))
    world.crash_in.add("drain")
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(world.registry, stop), kwargs={"every": 0.01})
    thread.start()
    waited = threading.Event()
    for _ in range(500):
        waited.wait(0.01)
        if world.events("consent.expired"):
            world.crash_in.clear()
        if world.events("consent.shut"):
            break
    stop.set()
    thread.join(10)
    assert len(world.events("consent.expired")) == 1
    assert len(world.events("consent.shut")) == 1


def test_receipts_of_all_answers_are_listed_for_the_wallet(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    withdrawal = wallet.withdrawal(document)
    answer = wallet.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": withdrawal})
    listed = wallet.call("GET", "/issuer/wallet/receipts").json()["items"]
    assert len(listed) == 2
    assert answer.json()["receipt"] in [one["credential"] for one in listed]
