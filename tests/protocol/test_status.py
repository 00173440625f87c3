"""Status lists: every bit, nothing unpacked that should not be."""

import base64
import gzip
import resource
import time
import tracemalloc
import zlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import status
from protocol.errors import EvidenceError
from protocol.proof import sign
from protocol.status import SIZE, Bitstring
from protocol.vocabulary import StatusRef
from tests.protocol import pieces

URL = "http://localhost:8700/issuer/status/7"


def encoded(data: bytes) -> str:
    return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")


def listed(bits: Bitstring, **more: Any) -> Any:
    document = status.build_list(URL, pieces.CONTROLLER.did, bits, pieces.AT, **more)
    return pieces.verified(sign(document, pieces.CONTROLLER, created=pieces.AT), type_=status.LIST_TYPE)


@settings(max_examples=25)
@given(st.sets(st.integers(0, SIZE - 1), max_size=20))
def test_a_list_reads_back_bit_for_bit(indices: set[int]) -> None:
    bits = Bitstring()
    for index in indices:
        bits.set(index)
    read = Bitstring.decode(bits.encode())
    assert len(read) == SIZE
    assert all(read.get(index) == (index in indices) for index in [*indices, 0, 1, 7, 8, SIZE - 1])
    assert read.encode() == bits.encode()


def test_the_first_bit_is_the_leftmost() -> None:
    bits = Bitstring()
    bits.set(0)
    raw = bits.encode()[1:]
    assert gzip.decompress(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))[0] == 0x80
    bits.set(0, False)
    assert not bits.get(0)


def test_a_bit_beyond_the_end_is_refused() -> None:
    for index in (-1, SIZE):
        with pytest.raises(EvidenceError) as caught:
            Bitstring().get(index)
        assert caught.value.code == "status_out_of_range"


def test_lists_have_at_least_131072_entries() -> None:
    for size in (SIZE - 8, SIZE + 1, status.MAX_SIZE + 8):
        with pytest.raises(ValueError, match="entries"):
            Bitstring(size)
    with pytest.raises(EvidenceError) as caught:
        Bitstring.decode(encoded(gzip.compress(bytes(SIZE // 8 - 1))))
    assert caught.value.code == "status_list_length"


def test_a_gzip_bomb_is_refused_in_little_time_and_memory() -> None:
    packer = zlib.compressobj(9, wbits=31)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(1024)) + packer.flush()
    text = encoded(bomb)
    assert len(bomb) < 1_100_000
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(EvidenceError) as caught:
        Bitstring.decode(text)
    spent, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.code == "too_large"
    assert spent < 0.5
    assert peak < 12 << 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 << 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "z123",
        "u!!!!",
        "uAAAA",
        "u" + "A",
        encoded(gzip.compress(bytes(SIZE // 8), mtime=0)[:-9]),
        encoded(gzip.compress(bytes(SIZE // 8), mtime=0) + b"more"),
        encoded(zlib.compress(bytes(SIZE // 8))),
    ],
)
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        Bitstring.decode(text)
    assert caught.value.code == "bad_status_list"


def test_a_list_says_who_is_revoked() -> None:
    bits = Bitstring()
    bits.set(94567)
    credential = listed(bits, valid_for=timedelta(days=1))
    assert status.check(credential, StatusRef(URL, 94567))
    assert not status.check(credential, StatusRef(URL, 94568))
    document = pieces.every_document()["ConsentCredential"][0]
    assert status.check(credential, document)


def test_another_list_or_purpose_is_refused() -> None:
    with pytest.raises(EvidenceError) as caught:
        status.check(listed(Bitstring()), StatusRef(URL + "1", 1))
    assert caught.value.code == "status_mismatch"
    with pytest.raises(EvidenceError) as caught:
        status.check(listed(Bitstring(), purpose="suspension"), StatusRef(URL, 1))
    assert caught.value.code == "status_mismatch"
    with pytest.raises(EvidenceError) as caught:
        status.check(
            pieces.verified(
                sign(pieces.ask_document(), pieces.CONTROLLER, created=pieces.AT), type_="ConsentRequestCredential"
            ),
            StatusRef(URL, 1),
        )
    assert caught.value.code == "wrong_type"


def test_a_list_signs_under_both_suites() -> None:
    document = status.build_list(URL, pieces.CONTROLLER.did, Bitstring(), pieces.AT)
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022"):
        signed = sign(document, pieces.CONTROLLER, created=pieces.AT, suite=suite)
        assert not status.check(pieces.verified(signed, type_=status.LIST_TYPE), StatusRef(URL, 5))
