"""What still waits when a customer's rights took effect: uploads in the hold, corrections of a wallet that was lost."""

import base64
from functools import partial
from typing import Any

from issuer import sealing
from protocol import canonical, proof, request, sealed
from protocol.consent import fresh_id
from tests.attacks.holder import Held
from tests.attacks.pieces import EMAIL, PHONE
from tests.attacks.place import Place


def _correction(held: Held, values: dict[str, str]) -> str:
    """A rectification on its way; its id."""
    place = held.place
    public = place.platform.keyring.archive.public(sealing.period_of(place.now))
    box = sealed.seal(public, sealing.inside(place.platform.controller, held.did, values))
    unsigned = request.build_request(
        "rectification", id=fresh_id(), controller=place.platform.controller, issuer=held.signer.did, at=place.now,
        fields=list(values), correction=canonical.digest(box),
    )  # fmt: skip
    document = proof.sign(unsigned, held.signer, created=place.now)
    body: dict[str, Any] = {"request": document, "sealed": base64.b64encode(box).decode()}
    answer = held.call("POST", "/issuer/wallet/requests", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_thief_s_correction_dies_with_the_stolen_wallet(place: Place) -> None:
    """Else the thief gets mailbox and phone on file, and with them the invitation to a new wallet."""
    held = place.enrolled()
    id_ = _correction(held, {EMAIL: "thief@example.net", PHONE: "+86 139 0000 0000"})
    body = {"subject": held.subject, "method": "id_document", "evidence": "file 9"}
    loss = place.post("service", "/issuer/losses", body).json()["id"]
    assert place.post("dpo", f"/issuer/losses/{loss}/confirmation").status_code == 200
    place.refused("wallet_ended", partial(place.post, "service", f"/crm/rights/requests/{id_}/correction"))
    assert not place.events("value.corrected")
