"""Wallets that do two things at once, to have both: one wins, whole, and the other is told."""

from functools import partial

import pytest

from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL, at_once, codes
from tests.attacks.place import Place
from tests.engine import hand

CONSENTS, WITHDRAWALS, NARROWINGS = (f"/issuer/wallet/{name}" for name in ("consents", "withdrawals", "narrowings"))


def _living(place: Place, held: Held) -> int:
    with place.platform.database.read() as session:
        count = "SELECT count(*) FROM credential WHERE kind = 'consent' AND subject = ? AND ended_at IS NULL"
        return int(hand.execute(session, count, held.subject).scalar_one())


def test_of_eight_answers_to_one_ask_at_once_one_counts(place: Place, mina: Held) -> None:
    ask, before = place.asked(mina), _living(place, mina)
    acts = [partial(mina.call, "POST", CONSENTS, {"consent": mina.consent(ask, (EMAIL,))}) for _ in range(8)]
    assert codes(at_once(acts)) == ["challenge_used"] * 7 + ["ok"]
    assert _living(place, mina) == before + 1


def test_the_same_consent_eight_times_at_once_is_one_with_one_receipt(place: Place, mina: Held) -> None:
    ask, before = place.asked(mina), _living(place, mina)
    body = {"consent": mina.consent(ask)}
    answers = at_once([partial(mina.call, "POST", CONSENTS, body) for _ in range(8)])
    assert codes(answers) == ["ok"] * 8
    assert len({one.text for one in answers}) == 1
    assert _living(place, mina) == before + 1


def test_the_same_signed_request_twelve_times_at_once_is_heard_once(place: Place, mina: Held) -> None:
    call = partial(mina.call, "GET", "/issuer/wallet/asks", nonce="twelve times at once")
    assert codes(at_once([call] * 12)) == ["nonce_used"] * 11 + ["ok"]


@pytest.mark.parametrize("turn", range(3))
def test_a_withdrawal_during_a_narrowing_leaves_nothing_that_was_withdrawn(place: Place, turn: int) -> None:
    held = place.enrolled()
    given = held.give(place.asked(held, (EMAIL, CITY)))
    smaller = held.consent(held.offer(given), (CITY,))
    acts = [
        partial(held.call, "POST", NARROWINGS, {"withdrawal": held.withdrawal(given), "consent": smaller}),
        partial(held.call, "POST", WITHDRAWALS, {"withdrawal": held.withdrawal(given)}),
    ]
    narrowed, withdrawn = (
        codes([one])[0] for one in at_once(acts if turn % 2 else acts[::-1])[:: 1 if turn % 2 else -1]
    )
    shown = place.shown(held.subject)["fields"]
    assert (narrowed, withdrawn) in (("ok", "consent_ended"), ("stale_ask", "ok"), ("consent_ended", "ok"))
    assert set(shown) == ({CITY} if narrowed == "ok" else set())
    assert place.platform.journal.ended(given["id"])


def test_of_six_withdrawals_at_once_one_ends_the_consent(place: Place, mina: Held) -> None:
    given = mina.give(place.asked(mina, (CITY,)))
    acts = [partial(mina.call, "POST", WITHDRAWALS, {"withdrawal": mina.withdrawal(given)}) for _ in range(6)]
    assert codes(at_once(acts)) == ["consent_ended"] * 5 + ["ok"]
