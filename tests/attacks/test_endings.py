"""Attacks on the ends of consents: somebody else's, wider ones, and ids that are not random."""

from datetime import timedelta

import pytest

from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL, PHONE, digest_of
from tests.attacks.place import Place

CONSENTS, WITHDRAWALS, NARROWINGS = (f"/issuer/wallet/{name}" for name in ("consents", "withdrawals", "narrowings"))


def test_somebody_elses_consent_cannot_be_withdrawn_or_narrowed(place: Place, mina: Held, thief: Held) -> None:
    theirs = mina.give(place.asked(mina, (EMAIL, CITY)))
    mine = thief.give(place.asked(thief, (EMAIL, CITY)))
    stolen, own = thief.withdrawal(theirs), mina.withdrawal(theirs)
    place.refused("not_your_consent", lambda: thief.call("POST", WITHDRAWALS, {"withdrawal": stolen}), status=403)
    place.refused("wrong_issuer", lambda: thief.call("POST", WITHDRAWALS, {"withdrawal": own}))
    place.refused("not_your_consent", lambda: thief.call("POST", f"{NARROWINGS}/offers", {"consent": theirs["id"]}))
    smaller = thief.consent(thief.offer(mine), (CITY,))
    body = {"withdrawal": stolen, "consent": smaller}
    place.refused("not_your_consent", lambda: thief.call("POST", NARROWINGS, body))
    foreign = {"withdrawal": thief.withdrawal(mine), "consent": mina.consent(mina.offer(theirs), (CITY,))}
    place.refused("wrong_issuer", lambda: thief.call("POST", NARROWINGS, foreign))
    mismatch = {"withdrawal": mina.withdrawal(theirs, digest=digest_of(mine))}
    place.refused("digest_mismatch", lambda: mina.call("POST", WITHDRAWALS, mismatch))
    assert EMAIL in place.shown(mina.subject)["fields"]


def test_a_narrowing_never_widens(place: Place) -> None:
    held = place.enrolled()
    given = held.give(place.asked(held, (EMAIL, CITY, PHONE)), (EMAIL, CITY), until=place.now + timedelta(days=9))
    ask = held.offer(given)
    for code, bending in (
        ("consent_wider_than_ask", {"fields": (EMAIL, CITY, PHONE)}),
        ("consent_wider_than_ask", {"fields": (CITY,), "until": ask.latest_until + timedelta(seconds=1)}),
        ("not_narrower", {"fields": (EMAIL, CITY)}),
    ):
        body = {"withdrawal": held.withdrawal(given), "consent": held.consent(ask, **bending)}  # type: ignore[arg-type]
        place.refused(code, lambda body=body: held.call("POST", NARROWINGS, body))  # type: ignore[misc]
    place.refused("foreign_ask", lambda: held.call("POST", CONSENTS, {"consent": held.consent(ask, (CITY,))}))


@pytest.mark.parametrize("name", ["expired:{}", "unenrolled:{}", "ground:{}", "urn:x:lin.wei@example.cn", "{}"])
def test_a_wallet_names_its_credentials_by_random_ids_alone(place: Place, mina: Held, name: str) -> None:
    given, other = (mina.give(place.asked(mina, fields)) for fields in ((EMAIL,), (CITY,)))
    body = {"withdrawal": mina.withdrawal(given, id=name.format(other["id"]))}
    place.refused("id_used" if name == "{}" else "bad_credential", lambda: mina.call("POST", WITHDRAWALS, body))
