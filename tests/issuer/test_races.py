"""Many at once: a challenge is answered once, a withdrawal shut once. The control shows that the protection does it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from issuer import answers, challenges
from protocol import canonical, consent
from protocol.errors import EvidenceError
from runtime.problem import Problem
from tests.issuer.world import CITY, EMAIL, GIVEN, Wallet, World


def _at_once(acts: list[Callable[[], Any]]) -> list[Any]:
    def one(act: Callable[[], Any]) -> Any:
        try:
            return act()
        except (EvidenceError, Problem) as error:
            return error.code

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(one, acts))


def _race(world: World, wallet: Wallet) -> list[Any]:
    ask = world.asked(wallet)
    bodies = [canonical.jcs(wallet.consent(ask)) for _ in range(6)]
    return _at_once([lambda b=body: world.registry.consent(b, wallet.signer.did) for body in bodies])  # type: ignore[misc]


def test_of_many_answers_to_one_ask_one_is_taken(world: World, wallet: Wallet) -> None:
    found = _race(world, wallet)
    assert sorted(one if isinstance(one, str) else "taken" for one in found) == ["challenge_used"] * 5 + ["taken"]
    assert len(world.rows("consent")) == 1


def test_without_the_used_challenge_several_answers_would_be_taken(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    monkeypatch.setattr(challenges, "refuse_used", lambda *_args: None)
    monkeypatch.setattr(answers, "_close", lambda *_args, **_more: None)
    _race(world, wallet)
    assert len(world.rows("consent")) > 1


def test_many_withdrawals_of_the_same_bytes_are_one(world: World, wallet: Wallet) -> None:
    body = canonical.jcs(wallet.withdrawal(wallet.give(world.asked(wallet))))
    found = _at_once([lambda: world.registry.withdraw(body, wallet.signer.did)] * 6)
    assert all(one == found[0] for one in found)
    assert isinstance(found[0], dict)
    assert len(world.events("consent.withdrawn")) == len(world.events("consent.shut")) == 1


def test_every_part_of_an_ask_can_be_granted_and_nothing_beyond_it(world: World, wallet: Wallet) -> None:
    """All subsets of the fields asked, and each with one field more."""
    asked = (EMAIL, CITY, GIVEN)
    for bits in range(1, 8):
        fields = tuple(field for place, field in enumerate(asked) if bits >> place & 1)
        ask = world.asked(wallet, fields=asked)
        wider = canonical.jcs(wallet.consent(ask, (*fields, "contact.gender")))
        with pytest.raises(EvidenceError) as caught:
            world.registry.consent(wider, wallet.signer.did)
        assert caught.value.code == "consent_wider_than_ask"
        given = wallet.read_consent(wallet.give(ask, fields))
        assert given.processes[0].fields == set(fields)


def test_a_refusal_of_another_digest_and_an_unknown_challenge_are_refused(world: World, wallet: Wallet) -> None:
    from dataclasses import replace

    ask = world.asked(wallet)
    body = canonical.jcs(wallet.refusal(replace(ask, digest=canonical.digest(b"another"))))
    with pytest.raises(EvidenceError) as caught:
        world.registry.refuse(body, wallet.signer.did)
    assert caught.value.code == "foreign_ask"
    with pytest.raises(EvidenceError) as caught, world.platform.database.write("owner") as session:
        challenges.use(session, "never given", at=world.now)
    assert caught.value.code == "wrong_challenge"


def test_the_consent_of_a_narrowing_that_is_not_settled_is_no_answer_of_its_own(world: World, wallet: Wallet) -> None:
    from tests.issuer.world import Crash

    old = wallet.give(world.asked(wallet))
    ask = wallet.read_ask(world.registry.offer_narrowing(old["id"], wallet.signer.did))
    coming = canonical.jcs(wallet.consent(ask, (CITY,)))
    world.crash_in.add("drain")
    with pytest.raises(Crash):
        world.registry.narrow(canonical.jcs(wallet.withdrawal(old)), coming, wallet.signer.did)
    with pytest.raises(EvidenceError) as caught:
        world.registry.consent(coming, wallet.signer.did)
    assert caught.value.code == "foreign_ask"
    world.crash_in.clear()


def test_a_consent_whose_issuer_is_an_object_is_judged_by_its_signature(world: World, wallet: Wallet) -> None:
    def nested(document: dict[str, Any]) -> None:
        document["issuer"] = {"id": wallet.did}

    body = canonical.jcs(wallet.consent(world.asked(wallet), edit=nested, id=consent.fresh_id()))
    with pytest.raises(EvidenceError):
        world.registry.consent(body, wallet.signer.did)
