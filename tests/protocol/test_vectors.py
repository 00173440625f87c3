"""The W3C's own vectors for eddsa-jcs-2022, eddsa-rdfc-2022, proof sets and proof chains, every file of them."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import base58
import pytest

from protocol import canonical, did, multibase, proof, rdf
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer, check_signature

HERE = Path(__file__).resolve().parent.parent / "vectors" / "vc-di-eddsa"
KEYS = did.Keys()
SUITES = {
    "eddsa-jcs-2022": ("JCS", canonical.jcs),
    "eddsa-rdfc-2022": ("DataInt", rdf.canonical),
}


def read(name: str) -> Any:
    return json.loads((HERE / name).read_text())


def text(name: str) -> str:
    return (HERE / name).read_text()


def seed(pair: dict[str, str]) -> bytes:
    secret = base58.b58decode(pair["privateKeyMultibase"][1:])
    assert secret[:2] == b"\x80\x26"  # multicodec ed25519-priv
    return secret[2:]


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_key_pair_is_read_and_written(suite: str) -> None:
    pair = read("keyPair.json")
    signer = Ed25519Signer(seed(pair))
    assert did.multikey(signer.public) == pair["publicKeyMultibase"]
    assert did.public_of(f"did:key:{pair['publicKeyMultibase']}") == signer.public


def test_canonical_forms_and_hashes_are_those_of_the_vectors(suite: str) -> None:
    name, canonicalise = SUITES[suite]
    document, options = read("unsigned.json"), read(f"{suite}/proofConfig{name}.json")
    assert canonicalise(document).decode() == text(f"{suite}/canonDoc{name}.txt")
    assert canonicalise({**options, "@context": document["@context"]}).decode() == text(f"{suite}/proofCanon{name}.txt")
    document_hash = hashlib.sha256(canonicalise(document)).hexdigest()
    options_hash = hashlib.sha256(canonicalise({**options, "@context": document["@context"]})).hexdigest()
    assert document_hash == text(f"{suite}/docHash{name}.txt")
    assert options_hash == text(f"{suite}/proofHash{name}.txt")
    assert options_hash + document_hash == text(f"{suite}/combinedHash{name}.txt")


def test_we_sign_what_the_vector_signed_with_the_same_result(suite: str) -> None:
    name, _ = SUITES[suite]
    signer = Ed25519Signer(seed(read("keyPair.json")))
    signed = proof.sign(
        read("unsigned.json"), signer, created=datetime(2023, 2, 24, 23, 36, 38, tzinfo=UTC), suite=suite
    )
    assert signed == read(f"{suite}/signed{name}.json")
    value = signed["proof"]["proofValue"]
    assert value == text(f"{suite}/sigBTC58{name}.txt")
    assert multibase.decode(value, length=64).hex() == text(f"{suite}/sigHex{name}.txt")


def test_the_signed_vector_verifies_and_a_changed_one_does_not(suite: str) -> None:
    name, _ = SUITES[suite]
    signed = read(f"{suite}/signed{name}.json")
    (told,) = proof.verify(signed, KEYS)
    assert told.suite == suite
    assert told.did == f"did:key:{read('keyPair.json')['publicKeyMultibase']}"
    with pytest.raises(EvidenceError) as caught:
        proof.verify({**signed, "name": "Alumni credential"}, KEYS)
    assert caught.value.code == "bad_signature"


def test_the_employment_vectors_agree_with_each_other_and_their_foreign_context_is_refused() -> None:
    folder = "eddsa-rdfc-2022/employ"
    document_hash = hashlib.sha256(text(f"{folder}/canonDocDataInt.txt").encode()).hexdigest()
    options_hash = hashlib.sha256(text(f"{folder}/proofCanonDataInt.txt").encode()).hexdigest()
    assert document_hash == text(f"{folder}/docHashDataInt.txt")
    assert options_hash == text(f"{folder}/proofHashDataInt.txt")
    combined = text(f"{folder}/combinedHashDataInt.txt")
    assert options_hash + document_hash == combined
    signed, config = read(f"{folder}/signedDataInt.json"), read(f"{folder}/proofConfigDataInt.json")
    signature = multibase.decode(text(f"{folder}/sigBTC58DataInt.txt"), length=64)
    assert signature.hex() == text(f"{folder}/sigHexDataInt.txt")
    assert signed["proof"]["proofValue"] == text(f"{folder}/sigBTC58DataInt.txt")
    assert {name: member for name, member in signed.items() if name != "proof"} == read("employmentAuth.json")
    check_signature(did.public_of(config["verificationMethod"]), bytes.fromhex(combined), signature)
    # the options are in the credentials context alone, so we canonicalise them ourselves
    ours = rdf.canonical({**config, "@context": ["https://www.w3.org/ns/credentials/v2"]})
    assert ours.decode() == text(f"{folder}/proofCanonDataInt.txt")
    with pytest.raises(EvidenceError) as caught:
        proof.verify(signed, KEYS)
    assert caught.value.code == "context_unknown"


def test_a_proof_set_is_made_one_by_one_and_each_proof_of_it_verifies() -> None:
    folder = "proof-set-chain"
    pairs = read(f"{folder}/multiKeyPairs.json")
    document = read(f"{folder}/unsigned.json")
    for count in (1, 2):
        config = read(f"{folder}/proofSetConfig{count}.json")
        signed = read(f"{folder}/proofSetConfigSigned{count}.json")
        assert {name: member for name, member in signed.items() if name != "proofValue"} == config
        assert config["verificationMethod"].endswith(pairs[f"keyPair{count}"]["publicKeyMultibase"])
        present = read(f"{folder}/signedProofSet{count}.json")
        proofs = present["proof"] if count == 2 else [present["proof"]]
        assert proofs[-1] == signed
        assert {name: member for name, member in present.items() if name != "proof"} == document
        assert len(proof.verify(present, KEYS)) == count
        own = Ed25519Signer(seed(pairs[f"keyPair{count}"])).sign(
            hashlib.sha256(rdf.canonical({**config, "@context": document["@context"]})).digest()
            + hashlib.sha256(rdf.canonical(document)).digest()
        )
        assert multibase.encode(own) == signed["proofValue"]


def test_a_proof_chain_signs_the_proofs_before_it() -> None:
    folder = "proof-set-chain"
    pairs = read(f"{folder}/multiKeyPairs.json")
    for link in (1, 2):
        config = read(f"{folder}/proofChainConfig{link}.json")
        signed = read(f"{folder}/proofChainConfigSigned{link}.json")
        whole = read(f"{folder}/signedProofChain{link}.json")
        before = read(f"{folder}/proofChainTempDoc{link}.json")
        assert whole["proof"][-1] == signed
        assert len(proof.verify(whole, KEYS)) == link + 2
        own = Ed25519Signer(seed(pairs[f"keyPair{link + 2}"])).sign(
            hashlib.sha256(rdf.canonical({**config, "@context": before["@context"]})).digest()
            + hashlib.sha256(rdf.canonical(before)).digest()
        )
        assert multibase.encode(own) == signed["proofValue"]


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_chain_without_one_of_its_links_is_refused(missing: int) -> None:
    whole = read("proof-set-chain/signedProofChain2.json")
    del whole["proof"][missing]
    with pytest.raises(EvidenceError) as caught:
        proof.verify(whole, KEYS)
    assert caught.value.code == "bad_proof"


def test_every_vector_file_is_used() -> None:
    source = Path(__file__).read_text()

    for path in HERE.rglob("*.json"):
        stem = path.stem.rstrip("12")
        assert stem in source or stem.removesuffix("JCS").removesuffix("DataInt") in source, path
