"""Requests of data subjects as tests make them: signed by wallets, recorded at the desk, grounds that cover them."""

import base64
from datetime import timedelta
from typing import Any

from httpx import Response

from issuer import sealing
from protocol import canonical, proof, request, sealed
from protocol.consent import fresh_id
from protocol.times import iso
from tests.issuer.world import Wallet, World

SERVICE, MARKETING = "https://w3id.org/dpv#ServiceProvision", "https://w3id.org/dpv#DirectMarketing"


def signed(wallet: Wallet, kind: str, **more: Any) -> dict[str, Any]:
    """A request that this wallet signs; `signer`, `id` and `at` bend it."""
    signer, at = more.pop("signer", wallet.signer), more.pop("at", wallet.world.now)
    unsigned = request.build_request(
        kind, id=more.pop("id", fresh_id()), controller=more.pop("controller", wallet.world.platform.controller),
        issuer=more.pop("issuer", signer.did), at=at, **more,
    )  # fmt: skip
    return proof.sign(unsigned, signer, created=at)


def send(wallet: Wallet, document: dict[str, Any], box: bytes | None = None, **how: Any) -> Response:
    body: dict[str, Any] = {"request": document}
    if box is not None:
        body["sealed"] = base64.b64encode(box).decode()
    return wallet.call("POST", "/issuer/wallet/requests", body, **how)


def ask(wallet: Wallet, kind: str, **more: Any) -> dict[str, Any]:
    """Have it taken; the state that comes back."""
    wallet.world.clock.advance(timedelta(seconds=1))
    answer = send(wallet, signed(wallet, kind, **more))
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


def correction(wallet: Wallet, values: dict[str, Any], *, sender: str | None = None) -> tuple[dict[str, Any], bytes]:
    """A rectification and its box."""
    platform = wallet.world.platform
    public = platform.keyring.archive.public(sealing.period_of(wallet.world.now))
    box = sealed.seal(public, sealing.inside(platform.controller, sender or wallet.did, values))  # type: ignore[arg-type]
    return signed(wallet, "rectification", fields=list(values), correction=canonical.digest(box)), box


def ground(world: World, key: str, basis: str, purpose: str, fields: tuple[str, ...], **more: Any) -> str:
    """A statutory ground that two people signed; its id."""
    body = {
        "key": key, "basis": basis, "citation": f"{key}, § 1", "evidence": f"file {key}",
        "processes": [{"purpose": purpose, "fields": list(fields)}],
        "valid_until": iso(world.now + timedelta(days=400)), **more,
    }  # fmt: skip
    made = world.post("dpo", "/issuer/grounds", body)
    assert made.status_code == 201, made.text
    id_ = str(made.json()["id"])
    assert world.post("admin", f"/issuer/grounds/{id_}/approval").status_code == 200
    return id_


def record(world: World, subject: str, kind: str, **more: Any) -> Response:
    """What the officer records for a customer without a wallet."""
    body = {"subject": subject, "kind": kind, "method": "id_document", "evidence": "file 7", **more}
    return world.post("dpo", "/issuer/requests", body)


def codes(answer: Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json().get("code"))
