"""What the customer sees in the wallet of what became of their fields, each certificate checked against the log."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import audit.app
from audit import drain
from audit.log import Log
from issuer import wallet_auth
from protocol.certificate import Certificate
from protocol.keys import Ed25519Signer
from redaction import app as edge
from runtime import problem
from runtime.clock import FixedClock
from tests.redaction.test_downstream import released
from tests.redaction.test_ending import KEY, certified
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, SERVICE, Customer, World, settle
from wallet import disposed, disposed_cli, fate_words
from wallet.client import Client
from wallet.disposed import Checked, Disposed
from wallet.holding import Holding
from wallet.names import Names

SEED = bytes([9]) * 32
BASE = "http://localhost:8700"
Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def who(world: World, clock: FixedClock) -> Customer:
    """A customer who withdrew: phone shredded, e-mail archived, city kept; a partner had the phone."""
    made = enrolled(world, clock, SEED)
    given = world.consent(made, (PHONE, EMAIL, CITY))
    world.consent(made, [CITY], purpose=SERVICE)
    released(world, made, PHONE)
    world.withdraw(made, given)
    settle(world)
    return made


def enrolled(world: World, clock: FixedClock, seed: bytes) -> Customer:
    """A customer with a wallet of this seed: the one enrolled last speaks for them."""
    made = Customer(world.customer().subject, Ed25519Signer(seed))
    clock.advance(timedelta(seconds=1))
    world.enrol(made)
    return made


@pytest.fixture
def holding(world: World) -> Holding:
    return Holding(controller=world.platform.controller, issuer=BASE, document=world.platform.document, seed=SEED)


def client(world: World, change: Change | None = None, *, log: bool = True) -> Client:
    """A wallet's client at the organisation's routes; `change` is what a lying organisation does to a proof."""
    routes = FastAPI()
    problem.install(routes)
    routes.include_router(edge.router(world.platform))
    if log:
        book = Log(world.platform)
        drain.drain_all(book)
        caller = wallet_auth.wallet_caller(world.platform, service="audit")
        routes.include_router(
            audit.app.build_router(world.platform, book, wallet_caller=caller, credentials=lambda session, subject: ())
        )
    served = TestClient(routes, base_url=BASE)

    def handle(request: httpx.Request) -> httpx.Response:
        url = str(request.url).removeprefix(BASE)
        answer = served.request(request.method, url, headers=dict(request.headers), content=request.content)
        if change is not None and "/audit/proofs" in url and answer.status_code == 200:
            content = answer.json()
            change(content)
            return httpx.Response(200, json=content)
        return httpx.Response(answer.status_code, content=answer.content)

    return Client(world.now, transport=httpx.MockTransport(handle))


def checked(world: World, who: Customer, holding: Holding, at: Client) -> Checked:
    (one,) = certified(world, who)
    return disposed.check(at, holding, one, at=world.now())


def test_every_event_of_a_certificate_is_proved_to_the_head_of_the_log(
    world: World, who: Customer, holding: Holding
) -> None:
    found = checked(world, who, holding, client(world))
    assert (found.proved, found.missing) == (3, None)
    assert len(set(found.leaves)) == 3


def of_another(content: dict[str, Any]) -> None:
    content["file"]["record"]["data"]["field"] = "contact.gender"


def without_leaf(content: dict[str, Any]) -> None:
    del content["file"]["log"]["leaf"]


def other_place(content: dict[str, Any]) -> None:
    content["file"]["log"]["index"] += 1


def other_words(content: dict[str, Any]) -> None:
    content["file"]["record"]["data"]["job"] = "another"


def other_head(content: dict[str, Any]) -> None:
    content["checkpoint"] = content["checkpoint"].replace("\n", "\n1", 1)


@pytest.mark.parametrize("change", [of_another, without_leaf, other_place, other_words, other_head])
def test_a_proof_that_was_changed_proves_nothing(world: World, who: Customer, holding: Holding, change: Change) -> None:
    found = checked(world, who, holding, client(world, change))
    assert found.proved == 0
    assert found.missing is not None


def test_without_the_log_the_wallet_says_that_nothing_was_proved(world: World, who: Customer, holding: Holding) -> None:
    found = checked(world, who, holding, client(world, log=False))
    assert (found.proved, found.missing) == (0, "not_found")


def test_nobody_gets_a_proof_about_another(world: World, clock: FixedClock, who: Customer, holding: Holding) -> None:
    enrolled(world, clock, bytes([8]) * 32)
    found = checked(world, who, replace(holding, seed=bytes([8]) * 32), client(world))
    assert (found.proved, found.missing) == (0, "not_in_log")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_wallet_tells_it_in_both_languages(
    world: World, who: Customer, holding: Holding, language: str, capsys: pytest.CaptureFixture[str]
) -> None:
    at = client(world)
    found = Disposed(disposed.state(at, holding), (checked(world, who, holding, at),))
    text = rendered(found, language)
    words = fate_words.EN if language == "en" else fate_words.ZH
    assert words["signed"] in text
    assert words["state_shredded"] in text
    assert "2030-01-01" in text
    assert "PIPL art. 47(2)" in text  # why the e-mail address lies in the archive
    assert words["your_consent"].partition("{")[0] in text  # why the city is kept
    assert words["told_open"].partition("{")[0] in text
    assert words["still_open"].partition("{")[0] in text


def rendered(found: Disposed, language: str) -> str:
    from rich.console import Console

    console = Console(width=300)
    with console.capture() as capture:
        console.print(disposed_cli.shown(found, {}, Names(language)))
    return capture.get()


def test_a_restore_that_waits_for_the_officer_says_so_on_both_sides(
    world: World, who: Customer, holding: Holding
) -> None:
    keys = world.platform.keyring.archive
    keys.take_out(KEY)
    keys.removed(KEY)
    world.consent(who, [EMAIL])
    settle(world)
    found = Disposed(disposed.state(client(world), holding), ())
    assert "waiting for the officer" in rendered(found, "en")
    assert "等待负责人" in rendered(found, "zh")


def test_both_languages_have_the_same_words() -> None:
    assert fate_words.EN.keys() == fate_words.ZH.keys()
    assert fate_words.say("en", "state_unheard") == "unheard"


def test_a_certificate_without_events_says_that_nothing_is_proved(
    world: World, who: Customer, holding: Holding
) -> None:
    (one,) = certified(world, who)
    bare: Certificate = replace(one, events=frozenset())
    assert disposed.check(client(world), holding, bare, at=world.now()).missing == "no_events"
    assert GIVEN not in {item.field for item in one.items}
