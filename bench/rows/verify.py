"""A consent, from its bytes to the verdict, against the one signature check that it cannot do without."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from nacl.bindings import crypto_sign_open

from bench import result
from bench.peers import Peer
from bench.result import Result
from bench.size import Size
from bench.timing import compare, compare_told
from protocol import canonical, consent, credential, proof
from protocol.consent import Field, Jurisdiction, NoticeRef, Process, Purpose, StatusRef
from protocol.did import Did, Keys
from protocol.keys import Ed25519Signer
from tools.web import WebError

_AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
_CONTROLLER = Did("did:web:crm.example.com")


def measure(size: Size) -> Iterator[Result]:
    """Against one bare pynacl verification of the same length; against @digitalbazaar/vc."""
    wallet, data = _consent()
    keys = Keys()
    message = bytes(64)
    signed = wallet.sign(message) + message

    def ours() -> None:
        consent.parse_consent(credential.verify(data, keys, at=_AT, expected_type=consent.CONSENT_TYPE))

    def bare() -> None:
        crypto_sign_open(signed, wallet.public)

    found = compare(ours, bare, calls=100, rounds=2 * size.rounds)
    yield result.costs(
        "verify one consent (eddsa-jcs-2022), parse to verdict, against one bare pynacl check", found, 1.8
    )
    name = "the same against @digitalbazaar/vc on Node"
    try:
        with Peer("verify.mjs", {"credential": data.decode(), "at": _AT.isoformat()}) as peer:
            yield result.costs(name, compare_told(ours, peer.took, calls=100, rounds=size.rounds), 0.5)
    except WebError as error:
        yield result.missing(name, "≤ 0.5", f"@digitalbazaar/vc ({error})")


def _consent() -> tuple[Ed25519Signer, bytes]:
    wallet, ours = Ed25519Signer.generate(), Ed25519Signer.generate()
    home = frozenset({Jurisdiction("CN")})
    process = Process(
        purpose=Purpose("https://w3id.org/dpv#DirectMarketing"),
        fields=frozenset(map(Field, ("contact.email", "contact.given_name", "contact.phone"))),
        recipients=frozenset({_CONTROLLER}), jurisdictions=home, duration="P180D", locations=home,
    )  # fmt: skip
    ask = consent.build_ask(
        id=consent.fresh_id(), controller=ours.did, subject_did=wallet.did, processes=[process],
        notice=NoticeRef("https://crm.example.com/n/1", canonical.digest(b"notice"), "en"),
        latest_until=_AT + timedelta(days=90), issued=_AT, expires=_AT + timedelta(days=7), challenge="c" * 32,
        domain="https://crm.example.com", status=StatusRef("https://crm.example.com/issuer/status/7", 94567),
    )  # fmt: skip
    body = canonical.jcs(proof.sign(ask, ours, created=_AT))
    offered = consent.parse_ask(credential.verify(body, Keys(), at=_AT, expected_type=consent.ASK_TYPE))
    unsigned: dict[str, Any] = consent.build_consent(
        offered,
        processes=offered.processes,
        valid_from=_AT,
        valid_until=_AT + timedelta(days=60),
        id=consent.fresh_id(),
    )
    answer = proof.sign(unsigned, wallet, created=_AT, challenge=offered.challenge, domain=offered.domain)
    return wallet, canonical.jcs(answer)
