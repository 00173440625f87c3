"""The browser's core against Python's: vitest over its own tests, and 5,000 random documents in both directions."""

import base64
import json
import random
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.public import PrivateKey

from protocol import answers, canonical, consent, credential, proof, sealed, signature
from protocol.consent import Field, Jurisdiction, NoticeRef, Process, Purpose, StatusRef
from protocol.did import Did, Keys, controller_document
from protocol.keys import Ed25519Signer
from tools import web

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
CONTROLLER = Did("did:web:crm.example.com")
DOCUMENTS = 5_000
PROOFS = 500  # of them signed by Python as well


def anything(chance: random.Random, depth: int) -> object:
    """A random JSON value: all kinds of characters, numbers at the edges, lists and objects within one another."""
    kind = chance.randrange(5 if depth <= 0 else 7)
    match kind:
        case 0:
            return chance.choice([None, True, False])
        case 1:
            return chance.choice([0, -1, 2**53 - 1, 1 - 2**53, chance.randrange(-(10**6), 10**6)])
        case 2:
            return chance.choice([0.1, 1e21, 1e-7, 5e-324, 1.7976931348623157e308, chance.uniform(-1e9, 1e9)])
        case 3 | 4:
            return any_text(chance)
        case 5:
            return [anything(chance, depth - 1) for _ in range(chance.randrange(4))]
        case _:
            return {any_text(chance): anything(chance, depth - 1) for _ in range(chance.randrange(4))}


def any_text(chance: random.Random) -> str:
    """Up to nine characters of any plane but halves of one; never a lone backslash.

    After an object with that name, V8 13.6 reads the name "\\u0019" as a backslash, too: it compares before unescaping.
    """
    planes = [(0, 0x7F), (0, 0x1F), (0x80, 0x7FF), (0x4E00, 0x9FFF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    text = "".join(chr(chance.randint(*chance.choice(planes))) for _ in range(chance.randrange(10)))
    return "" if text == "\\" else text


def documents() -> list[dict[str, object]]:
    chance = random.Random(2026)  # noqa: S311
    return [{any_text(chance): anything(chance, 4) for _ in range(chance.randrange(7))} for _ in range(DOCUMENTS)]


SECRET = bytes(range(32))  # of a browser's wallet
PLAIN = [b"", b"a", b"a" * 31, b"a" * 32, b"a" * 33, bytes(range(256)) * 41, "电子邮件".encode()]
READER = PrivateKey(bytes(range(1, 33)))


def sealed_things() -> dict[str, object]:
    """Boxes for the browser's wallet, whose pairwise key is derived here a second time, and a key to seal to."""
    hkdf = HKDF(hashes.SHA256(), 32, salt=b"fieldgrant wallet v1", info=f"did\n{CONTROLLER}".encode())
    own = Ed25519Signer(hkdf.derive(SECRET))
    boxes = [base64.b64encode(sealed.seal_to_wallet(own.did, one)).decode() for one in PLAIN]
    return {
        "secret": base64.b64encode(SECRET).decode(),
        "did": own.did,
        "boxes": boxes,
        "plain": [base64.b64encode(one).decode() for one in PLAIN],
        "reader": base64.b64encode(bytes(READER.public_key)).decode(),
    }


def an_ask(controller: Ed25519Signer, wallet: Ed25519Signer) -> dict[str, object]:
    process = Process(
        purpose=Purpose("https://w3id.org/dpv#DirectMarketing"),
        fields=frozenset({Field("contact.email"), Field("address.city")}),
        recipients=frozenset({CONTROLLER}),
        jurisdictions=frozenset({Jurisdiction("CN")}),
        duration="P180D",
        locations=frozenset({Jurisdiction("CN")}),
    )
    unsigned = consent.build_ask(
        id=consent.fresh_id(),
        controller=CONTROLLER,
        subject_did=wallet.did,
        processes=[process],
        notice=NoticeRef("https://crm.example.com/issuer/notices/marketing/1", canonical.digest(b"notice"), "zh-CN"),
        latest_until=AT + timedelta(days=180),
        issued=AT,
        expires=AT + timedelta(days=7),
        challenge=secrets.token_hex(16),
        domain="https://crm.example.com",
        status=StatusRef("https://crm.example.com/issuer/status/1", 94567),
    )
    return proof.sign(unsigned, controller, created=AT)


@pytest.fixture(scope="module")
def crossed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, object]], Ed25519Signer, Keys]:
    """Vitest has run over everything that Python gave it, and has left its answers in the folder."""
    folder = tmp_path_factory.mktemp("cross")
    seed = secrets.token_bytes(32)
    wallet = Ed25519Signer(seed)
    controller = Ed25519Signer(secrets.token_bytes(32), did=CONTROLLER, verification_method=f"{CONTROLLER}#key-1")
    document = controller_document(CONTROLLER, assertion_keys={"key-1": controller.public}, services={})
    made = documents()
    told = {
        "documents": [
            {
                "json": json.dumps(one),
                "jcs": canonical.jcs(one).decode(),
                "digest": canonical.digest(canonical.jcs(one)),
                "signed": json.dumps(proof.sign(one, wallet, created=AT)) if number < PROOFS else "",
            }
            for number, one in enumerate(made)
        ],
        "seed": base64.urlsafe_b64encode(seed).decode().rstrip("="),
        "public": base64.urlsafe_b64encode(wallet.public).decode().rstrip("="),
        "controller": document,
        "ask": an_ask(controller, wallet),
        **sealed_things(),
        "at": AT.isoformat().replace("+00:00", "Z"),
    }
    (folder / "given.json").write_text(json.dumps(told), encoding="utf-8")
    assert web.run("test", FIELDGRANT_CROSS=str(folder)) == 0
    return folder, made, wallet, Keys([document])


def test_python_reads_every_proof_that_the_browser_made(crossed):
    folder, made, wallet, keys = crossed
    signed = json.loads((folder / "signed.json").read_text(encoding="utf-8"))
    assert len(signed) == len(made) >= DOCUMENTS
    for text, document in zip(signed[:PROOFS], made[:PROOFS], strict=True):
        found = json.loads(text)
        assert proof.verify(found, keys, at=AT)[0].did == wallet.did
        assert canonical.jcs({name: value for name, value in found.items() if name != "proof"}) == canonical.jcs(
            document
        )


def test_python_takes_the_browsers_answers_to_an_ask(crossed):
    folder, _, wallet, keys = crossed
    told = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    asked = json.loads((folder / "given.json").read_text(encoding="utf-8"))["ask"]
    ask = consent.parse_ask(credential.verify(canonical.jcs(asked), keys, at=AT, expected_type=consent.ASK_TYPE))

    def read(name: str, type_: str, challenge: str | None = ask.challenge) -> credential.VerifiedCredential:
        data = canonical.jcs(told[name])
        return credential.verify(
            data, keys, at=AT, expected_type=type_, expected_issuer=wallet.did, expected_challenge=challenge
        )

    given_ = consent.parse_consent(read("consent", consent.CONSENT_TYPE))
    consent.within(given_, ask, at=AT)
    assert [sorted(process.fields) for process in given_.processes] == [["address.city"]]
    withdrawal = answers.parse_withdrawal(read("withdrawal", answers.WITHDRAWAL_TYPE, challenge=None))
    assert (withdrawal.consent_id, withdrawal.consent_digest) == (given_.id, given_.digest)
    refusal = answers.parse_refusal(read("refusal", answers.REFUSAL_TYPE))
    assert (refusal.ask_id, refusal.ask_digest) == (ask.id, ask.digest)
    body = base64.urlsafe_b64decode(told["body"] + "==")
    request = signature.verify_request("POST", told["url"], told["headers"], body, keys, at=AT)
    assert (request.did, request.nonce) == (wallet.did, "a-nonce")


def test_python_opens_what_the_browser_sealed(crossed):
    folder, *_ = crossed
    boxes = json.loads((folder / "boxes.json").read_text(encoding="utf-8"))
    assert [sealed.open_with(READER, base64.b64decode(one)) for one in boxes] == PLAIN
