import base58
import nacl.bindings
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import multibase
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer, check_signature

ORDER = 2**252 + 27742317777372353535851937790883648493
SIGNER = Ed25519Signer(bytes(32))


@given(st.binary(max_size=100))
def test_what_is_signed_verifies(data: bytes) -> None:
    check_signature(SIGNER.public, data, SIGNER.sign(data))


def refused(public: bytes, data: bytes, signature: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        check_signature(public, data, signature)
    assert caught.value.code == "bad_signature"


def test_a_signature_of_another_length_is_refused() -> None:
    signature = SIGNER.sign(b"data")
    refused(SIGNER.public, b"data", signature[:-1])
    refused(SIGNER.public, b"data", signature + b"\0")
    # what would verify if a signature and what it signs were only strung together
    refused(SIGNER.public, b"ata", signature + b"d")
    refused(SIGNER.public, b"data", b"")


def test_every_changed_bit_is_refused() -> None:
    signature = SIGNER.sign(b"data")
    for place in range(0, 512, 7):
        changed = bytearray(signature)
        changed[place // 8] ^= 1 << place % 8
        refused(SIGNER.public, b"data", bytes(changed))


def test_the_second_form_of_a_signature_is_refused() -> None:
    signature = SIGNER.sign(b"data")
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    refused(SIGNER.public, b"data", signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", bytes(31)])
def test_keys_of_small_order_and_broken_keys_verify_nothing(public: bytes) -> None:
    refused(public, b"data", b"\x01" + bytes(63))
    refused(public, b"data", SIGNER.sign(b"data"))


def test_the_signature_is_that_of_rfc_8032() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = Ed25519Signer(seed)
    assert signer.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert signer.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")
    assert nacl.bindings.crypto_sign_BYTES == 64


@given(st.binary(max_size=80))
def test_multibase_reads_what_it_wrote(data: bytes) -> None:
    assert multibase.decode(multibase.encode(data), length=len(data)) == data


@pytest.mark.parametrize(
    "text", ["", "1", "z0", "zO", "zl", "zI", "z1 ", " z1", "z1\n", "Z1", "z" + "1" * 200, None, 5]
)
def test_what_is_no_base58_is_refused(text: object) -> None:
    with pytest.raises(EvidenceError) as caught:
        multibase.decode(text, length=1, field="proofValue")
    assert (caught.value.code, caught.value.field) == ("bad_multibase", "proofValue")


def test_another_length_than_expected_is_refused() -> None:
    with pytest.raises(EvidenceError):
        multibase.decode(multibase.encode(b"ab"), length=3)


@given(st.binary(max_size=90))
def test_multibase_is_that_of_the_library(data: bytes) -> None:
    text = "z" + base58.b58encode(data).decode()
    assert multibase.encode(data) == text
    assert multibase.decode(text, length=len(data)) == data
