import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import did, signature
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SIGNER = Ed25519Signer(bytes(32))
KEYS = Keys()
URL = "http://localhost:8700/issuer/wallet/consents?page=1"
BODY = b'{"consent":{}}'


def signed(method: str = "POST", url: str = URL, body: bytes = BODY, **named: Any) -> dict[str, str]:
    options = {"signer": SIGNER, "created": AT, "nonce": "n-1", "headers": {"Host": "localhost:8700"}, **named}
    return signature.sign_request(method, url, body=body, **options)


def verify(headers: dict[str, str], **named: Any) -> signature.VerifiedRequest:
    request = {"method": "POST", "url": URL, "body": BODY, "keys": KEYS, "at": AT, **named}
    return signature.verify_request(headers=headers, **request)


def refused(headers: dict[str, str], **named: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        verify(headers, **named)
    return caught.value.code


def test_a_signed_request_tells_who_when_and_its_nonce() -> None:
    told = verify(signed())
    assert told == signature.VerifiedRequest(
        did=SIGNER.did, verification_method=SIGNER.verification_method, nonce="n-1", created=AT
    )


def test_the_headers_are_those_of_the_standards() -> None:
    """The signature base by hand, from RFC 9421 §2.5, verified without the library."""
    headers = signed()
    assert set(headers) == {"Content-Digest", "Signature-Input", "Signature"}
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    parameters = headers["Signature-Input"].removeprefix("fieldgrant=")
    base = "\n".join(
        [
            '"@method": POST',
            f'"@target-uri": {URL}',
            f'"content-digest": {headers["Content-Digest"]}',
            f'"@signature-params": {parameters}',
        ]
    )
    value = base64.b64decode(headers["Signature"].removeprefix("fieldgrant=:").removesuffix(":"))
    assert value == SIGNER.sign(base.encode())


@given(st.binary(max_size=300), st.sampled_from(["GET", "POST", "PUT", "DELETE", "post"]))
def test_any_body_and_method_can_be_signed(body: bytes, method: str) -> None:
    assert verify(signed(method, body=body), method=method, body=body).did == SIGNER.did


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"method": "PUT"}, "bad_signature"),
        ({"url": URL + "2"}, "bad_signature"),
        ({"url": URL.replace("localhost", "evil.example")}, "bad_signature"),
        ({"url": "/issuer/wallet/consents"}, "bad_signature"),
        ({"body": b'{"consent":[]}'}, "bad_digest"),
        ({"at": AT + timedelta(seconds=121)}, "stale_signature"),
        ({"at": AT - timedelta(seconds=31)}, "stale_signature"),
        ({"at": AT + timedelta(seconds=6), "max_age": timedelta(seconds=5)}, "stale_signature"),
    ],
)
def test_a_request_that_is_not_what_was_signed_is_refused(change: dict[str, Any], code: str) -> None:
    assert refused(signed(), **change) == code


def test_the_edges_of_time_still_hold() -> None:
    assert verify(signed(), at=AT + timedelta(seconds=120))
    assert verify(signed(), at=AT - timedelta(seconds=30))


@pytest.mark.parametrize("name", ["Signature", "Signature-Input"])
def test_an_unsigned_request_is_refused(name: str) -> None:
    assert refused({}) == "no_signature"
    assert refused({key: value for key, value in signed().items() if key != name}) == "no_signature"


def test_header_names_are_read_in_any_case() -> None:
    assert verify({name.upper(): value for name, value in signed().items()})


def test_without_a_digest_of_the_body_nothing_holds() -> None:
    headers = signed()
    del headers["Content-Digest"]
    assert refused(headers) == "bad_digest"
    for value in ("", "x", "md5=:AAAA:", "sha-256=:AAAA:", "sha-256=5", "é"):
        assert refused({**signed(), "Content-Digest": value}) == "bad_digest"


def swap(old: str, new: str) -> dict[str, str]:
    headers = signed()
    assert old in headers["Signature-Input"]
    return {**headers, "Signature-Input": headers["Signature-Input"].replace(old, new)}


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        (' "@target-uri"', "", "bad_signature"),
        (' "content-digest"', "", "bad_signature"),
        ('"@method"', '"@method" "@method"', "bad_signature"),
        ('nonce="n-1"', 'nonce="n-2"', "bad_signature"),
        (";created=1795334400", "", "bad_signature"),
        ("created=1795334400", "created=1795334401", "bad_signature"),
        ("created=1795334400", 'created="now"', "bad_signature"),
        ("created=1795334400", "created=1795334400;expires=1795334400", "stale_signature"),
        ("created=1795334400", "created=1795334400;expires=1795335400", "bad_signature"),
        ("created=1795334400", "created=999999999999999", "stale_signature"),
        ('alg="ed25519"', 'alg="hmac-sha256"', "bad_signature"),
        ('tag="fieldgrant"', 'tag="other"', "bad_signature"),
        ("did:key:z", "did:ion:z", "unsupported_did"),
        ("#z", "#y", "bad_did"),
        ("did:key:", "did:web:", "unknown_key"),
        ("fieldgrant=", "other=", "bad_signature"),
        ("(", "", "bad_signature"),
    ],
)
def test_changed_parameters_are_refused(old: str, new: str, code: str) -> None:
    assert refused(swap(old, new)) == code


def relabelled(label: str) -> dict[str, str]:
    headers = signed()
    return {
        name: headers[name] + ", " + headers[name].replace("fieldgrant=", f"{label}=", 1)
        for name in ("Signature-Input", "Signature")
    } | {"Content-Digest": headers["Content-Digest"]}


def test_two_signatures_of_ours_are_one_too_many() -> None:
    assert refused(relabelled("second")) == "bad_signature"


@pytest.mark.parametrize(
    "value", ["", "x", "fieldgrant=:AAAA:", "fieldgrant=5", "fieldgrant=:" + "A" * 86 + "==:", "é"]
)
def test_what_is_no_signature_is_refused(value: str) -> None:
    assert refused({**signed(), "Signature": value}) == "bad_signature"


def test_a_nonce_must_be_there_and_short() -> None:
    assert refused(signed(nonce="")) == "bad_signature"
    assert refused(signed(nonce="x" * 129)) == "bad_signature"
    assert verify(signed(nonce="x" * 128)).nonce == "x" * 128


def test_a_key_that_may_not_authenticate_signs_no_requests() -> None:
    web = did.web_did("https://crm.example.com")
    signer = Ed25519Signer(bytes(32), did=web, verification_method=f"{web}#key-1")
    document = did.controller_document(web, assertion_keys={"key-1": signer.public}, services={})
    assert verify(signed(signer=signer), keys=Keys([document])).did == web
    assert refused(signed(signer=signer), keys=Keys([{**document, "authentication": []}])) == "key_not_for_purpose"


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_header_makes_verification_fail_in_another_way(first: str, second: str) -> None:
    for headers in ({**signed(), "Signature-Input": first}, {**signed(), "Signature": second}, swap("n-1", first)):
        with pytest.raises(EvidenceError):
            verify(headers, url=URL + "x")
