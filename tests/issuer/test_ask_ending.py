"""An ended ask can be neither given nor refused; its link leads to the wallet's origin and gives nothing away."""

from datetime import timedelta
from urllib.parse import unquote

from issuer.credentials import Credential
from issuer.registry import Registry
from protocol.consent import Ask
from tests.issuer.world import EMAIL, GIVEN, Wallet, World

PAGE = "https://wallet.example.com"


def _end(world: World, ask: Ask, role: str = "marketing") -> dict[str, object]:
    answer = world.post(role, f"/issuer/asks/{ask.id}/end")
    told: dict[str, object] = answer.json()
    return told


def test_an_ended_ask_can_be_neither_given_nor_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    assert _end(world, ask)["standing"] == "revoked"
    assert wallet.call("GET", "/issuer/wallet/asks").json()["items"] == []
    for body in ({"consent": wallet.consent(ask)}, {"refusal": wallet.refusal(ask)}):
        path = f"/issuer/wallet/{'consents' if 'consent' in body else 'refusals'}"
        answer = wallet.call("POST", path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "ask_ended")
    assert world.rows("consent") == []


def test_control_the_same_consent_is_taken_while_the_ask_is_open(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    assert wallet.call("POST", "/issuer/wallet/consents", {"consent": wallet.consent(ask)}).status_code == 201


def test_the_end_is_on_record_once_with_its_fields_and_who_ended_it(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    first, again = _end(world, ask), _end(world, ask)
    assert first == again
    (told,) = world.events("ask.ended")
    ((subject, data),) = told.records
    assert (subject, data["credential"]) == (wallet.subject, ask.id)
    assert {EMAIL, GIVEN} <= set(data["fields"])
    assert told.header == {"reader": world.staff("marketing").did, "role": "marketing"}
    listed = world.http.get(f"/issuer/status/{ask.status.list_url[-1]}")
    assert listed.is_success  # its index is spent, as that of an answered ask


def test_a_database_that_was_brought_back_does_not_open_it_again(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    with world.platform.database.read() as session:
        row = session.get_one(Credential, ask.id)
        before = {name: getattr(row, name) for name in ("ended_at", "ended_by", "ended_kind")}
    _end(world, ask)
    with world.platform.database.write("owner") as session:
        row = session.get_one(Credential, ask.id)
        for name, value in before.items():
            setattr(row, name, value)
        session.add(row)
        session.connection().exec_driver_sql("UPDATE challenge SET used_at = NULL")
    answer = wallet.call("POST", "/issuer/wallet/consents", {"consent": wallet.consent(ask)})
    assert answer.json()["code"] == "ask_ended"
    assert wallet.call("GET", "/issuer/wallet/asks").json()["items"] == []
    assert world.get("marketing", f"/issuer/asks/{ask.id}").json()["standing"] == "revoked"


def test_only_who_may_act_for_its_purposes_or_the_officer_ends_an_ask(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    for role in ("sales", "service", "admin", "auditor", "steward"):
        assert _end(world, ask, role)["code"] == "role"
    assert ("ask-end", "role") in world.attempts()
    assert world.events("ask.ended") == []
    assert _end(world, ask, "dpo")["standing"] == "revoked"


def test_what_was_answered_or_ran_out_is_not_ended(world: World, wallet: Wallet) -> None:
    answered = world.asked(wallet)
    wallet.give(answered)
    assert _end(world, answered)["code"] == "ask_closed"
    late = world.asked(wallet, fields=(EMAIL,))
    world.clock.advance(timedelta(days=8))
    assert _end(world, late)["code"] == "ask_closed"


def test_a_wallets_own_offer_to_narrow_is_not_the_staffs_to_end(world: World, wallet: Wallet) -> None:
    given = wallet.give(world.asked(wallet))
    offer = wallet.call("POST", "/issuer/wallet/narrowings/offers", {"consent": given["id"]}).json()["ask"]
    assert world.post("marketing", f"/issuer/asks/{offer['id']}/end").json()["code"] == "unknown_ask"


def _with_page(world: World) -> None:
    """The organisation, once its settings name the wallet's page."""
    assert isinstance(world.registry, Registry)
    object.__setattr__(
        world.platform, "settings", world.platform.settings.model_copy(update={"wallet_url": f"{PAGE}/"})
    )


def test_a_link_carries_who_asks_and_the_asks_id_and_nothing_else(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    assert world.get("marketing", f"/issuer/asks/{ask.id}/link").json()["code"] == "no_wallet_page"
    _with_page(world)
    link = world.get("marketing", f"/issuer/asks/{ask.id}/link").json()["link"]
    origin, fragment = link.split("/#/")
    assert origin == PAGE
    kind, organisation, id_ = (unquote(part) for part in fragment.split("/"))
    assert (kind, organisation, id_) == ("ask", world.platform.controller, ask.id)
    for secret in (ask.challenge, wallet.subject, wallet.signer.did, EMAIL):
        assert secret not in unquote(unquote(link))
    assert world.get("sales", f"/issuer/asks/{ask.id}/link").json()["code"] == "role"
    _end(world, ask)
    assert world.get("marketing", f"/issuer/asks/{ask.id}/link").json()["code"] == "ask_closed"


def test_whoever_finds_a_link_learns_nothing_with_another_wallet(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    stranger = world.enrolled()
    mine = wallet.call("GET", f"/issuer/wallet/asks/{ask.id}")
    assert (mine.status_code, mine.json()["standing"]) == (200, "living")
    theirs = stranger.call("GET", f"/issuer/wallet/asks/{ask.id}")
    never = stranger.call("GET", "/issuer/wallet/asks/urn:uuid:00000000-0000-4000-8000-000000000000")
    assert (theirs.status_code, theirs.json()) == (never.status_code, never.json())
    assert theirs.json()["code"] == "unknown_ask"
    stolen = stranger.call("POST", "/issuer/wallet/consents", {"consent": stranger.consent(ask)})
    assert stolen.json()["code"] == "wrong_issuer"
    _end(world, ask)
    assert wallet.call("GET", f"/issuer/wallet/asks/{ask.id}").json()["standing"] == "revoked"
