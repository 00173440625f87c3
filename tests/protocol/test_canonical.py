import hashlib
import json
import math
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import base58
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from protocol import canonical
from protocol.errors import EvidenceError

LIMIT = 2**53 - 1
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-LIMIT, LIMIT)
    | st.floats(-LIMIT, LIMIT)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner, max_size=5)
    ),
    max_leaves=25,
)
objects = st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), max_size=6), values, max_size=6)


def code(data: bytes, **limits: int) -> str:
    with pytest.raises(EvidenceError) as caught:
        canonical.parse(data, **limits)
    return caught.value.code


@given(values | st.floats(allow_nan=False, allow_infinity=False))
def test_the_fast_form_is_the_form_of_rfc_8785(value: Any) -> None:
    assert canonical.jcs(value) == rfc8785.dumps(value)
    long = [value, "a text " * 50]  # of which only what stands outside of texts is searched
    assert canonical.jcs(long) == rfc8785.dumps(long)


@given(objects)
def test_what_is_written_is_read_back(value: dict[str, Any]) -> None:
    data = canonical.jcs(value)
    assert canonical.jcs(canonical.parse(data)) == data


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\u0d8aN1e-+. ', max_size=60).map(str.encode))
def test_no_bytes_make_the_parser_fail_in_another_way(data: bytes) -> None:
    with suppress(EvidenceError):
        canonical.jcs(canonical.parse(data))


@given(
    objects.map(canonical.jcs)
    | objects.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
    | st.text(alphabet='{}[]",:\\u0d8aN1e-+. ', max_size=60).map(lambda text: f'{{"a":{text}}}'.encode())
)
def test_canonical_bytes_are_read_as_the_strict_reader_reads_them(data: bytes) -> None:
    def read(data: bytes) -> object:
        try:
            return canonical.parse(data)
        except EvidenceError as error:
            return error.code

    quick = read(data)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(canonical, "_canonical", lambda _: None)
        strict = read(data)
    assert json.dumps(quick) == json.dumps(strict), "the same down to 1 and 1.0"


@given(objects)
def test_each_part_of_what_is_plain_has_its_fast_form(value: dict[str, Any]) -> None:
    document, own, plain = canonical.read(canonical.jcs(value))
    assert own == rfc8785.dumps(document)
    if plain:
        for part in (document, {name: document[name] for name in list(document)[1:]}, *document.values()):
            assert canonical.plain(part) == rfc8785.dumps(part)


@pytest.mark.parametrize(
    "data", [b'{"a":1.5}', b'{"a":[1e5]}', '{"\U0001f600":1}'.encode(), b'{"b":1,"a":1}', b'{ "a":1}']
)
def test_what_the_fast_writer_may_write_otherwise_is_not_plain(data: bytes) -> None:
    document, own, plain = canonical.read(data)
    assert not plain
    assert own == rfc8785.dumps(document)
    assert canonical.read(b'{"a":{"b":[1,"1.5","2e3"]}}')[2]


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        -0.0,
        [1e30, 1e-7, 0.1],
        {"\U0001f600": 1, "\ufb33": 2},
        {"a": None},
        {"a": [1.5], "b": -2.5e10},
        "urn:uuid:8e3",
        {"u": "urn:uuid:12e5"},
        [True, False],
        {"é": "\u007f\u0000\n"},
    ],
)
def test_where_the_fast_writer_differs_the_slow_one_writes(value: Any) -> None:
    assert canonical.jcs(value) == rfc8785.dumps(value)
    for text in ("a text " * 50, "1.5e3, " * 50, "\\ " * 200, '"1.5' * 100):
        assert canonical.jcs({"it": value, "beside": text}) == rfc8785.dumps({"it": value, "beside": text})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (math.nan, "bad_number"),
        ([math.inf], "bad_number"),
        (2**53, "bad_number"),
        ({"a": -(2**70)}, "bad_number"),
        ("\ud800", "bad_text"),
        ({"\udfff": 1}, "bad_text"),
        ({1: 2}, "bad_json"),
        ({"a": datetime(2026, 1, 1, tzinfo=UTC)}, "bad_json"),
        ({"a": MappingProxyType({})}, "bad_json"),
        (object(), "bad_json"),
    ],
)
def test_what_json_cannot_hold_is_refused(value: Any, expected: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        canonical.jcs(value)
    assert caught.value.code == expected


def test_a_bottomless_value_is_refused() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(EvidenceError) as caught:
        canonical.jcs(value)
    assert caught.value.code == "too_deep"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
        (b'{"x":[{"b":1,"b":1}]}', "duplicate_key"),
        (b'{"a":NaN}', "bad_number"),
        (b'{"a":-Infinity}', "bad_number"),
        (b'{"a":1e999}', "bad_number"),
        (b'{"a":9007199254740992}', "bad_number"),
        (b'{"a":' + b"9" * 5000 + b"}", "bad_number"),
        (b'{"a":"\\ud800"}', "bad_text"),
        (b'{"\\uDC00":1}', "bad_text"),
        (b'{"a":"\xff"}', "bad_text"),
        (b'{"a":"\xed\xa0\x80"}', "bad_text"),
        (b"\xef\xbb\xbf{}", "bad_json"),
        (b"{}x", "bad_json"),
        (b"{'a':1}", "bad_json"),
        (b'{"a":01}', "bad_json"),
        (b'{"a":"\n"}', "bad_json"),
        (b"", "bad_json"),
        (b"[]", "not_an_object"),
        (b'"x"', "not_an_object"),
        (b"null", "not_an_object"),
    ],
)
def test_what_is_not_strict_json_is_refused(data: bytes, expected: str) -> None:
    assert code(data) == expected


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert canonical.parse(b'{"a":"\\ud83d\\ude00"}') == {"a": "\U0001f600"}


def test_size_is_limited() -> None:
    assert code(b'{"a":"' + b"x" * canonical.MAX_BYTES + b'"}') == "too_large"
    assert code(b'{"a":1}', limit=6) == "too_large"
    assert canonical.parse(b'{"a":1}', limit=7) == {"a": 1}


def test_depth_is_limited_before_anything_recurses() -> None:
    def nested(levels: int) -> bytes:
        return b'{"a":' + b"[" * (levels - 1) + b"]" * (levels - 1) + b"}"

    assert canonical.parse(nested(32))
    assert code(nested(33)) == "too_deep"
    assert code(b"[" * 65000) == "too_deep"
    assert code(b'{"a":' * 10000) == "too_deep"


def test_brackets_in_texts_do_not_count_and_flat_documents_may_be_wide() -> None:
    assert canonical.parse(json.dumps({"a": "[{" * 100 + '"\\' + "[" * 40, "b": [[] for _ in range(100)]}).encode())


@pytest.mark.parametrize("tail", [b"", b"\\", b'"', b'\\"[['])
def test_an_unfinished_text_takes_linear_time(tail: bytes) -> None:
    begin = time.perf_counter()
    code(b"{" * 20 + b"[" * 20 + b'"' + b'\\"' * 32000 + tail)
    assert time.perf_counter() - begin < 0.5


def test_the_digest_is_a_multihash_of_sha_256() -> None:
    digest = canonical.digest(b"abc")
    assert digest.startswith("zQm")
    assert base58.b58decode(digest[1:]) == b"\x12\x20" + hashlib.sha256(b"abc").digest()


def test_an_error_shows_code_detail_and_field() -> None:
    assert str(EvidenceError("bad_json", "not JSON", field="a.b")) == "bad_json: not JSON (a.b)"
    assert str(EvidenceError("bad_json", "not JSON")) == "bad_json: not JSON"
