"""Mutated bodies, and whom they are given to: every parser that a stranger's bytes reach before they are believed.

Each input follows from its number alone, so that a failure names itself. Bytes are flipped, cut, doubled and spliced;
trees get members that are wrong in type, size, depth or name, and credentials so bent are signed anew, so that what
lies behind the signature is reached as well.
"""

import copy
import hashlib
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crm_core import normal
from crm_core.gateway import upload
from crm_core.imports import source
from protocol import (
    answers,
    canonical,
    consent,
    credential,
    did,
    multibase,
    presentation,
    proof,
    signature,
    status,
    times,
)
from protocol.consent import Field, Jurisdiction, NoticeRef, Process, Purpose, StatusRef
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
UNTIL = datetime(2027, 5, 21, 8, tzinfo=UTC)
KEYS = Keys()
WALLET, CONTROLLER = Ed25519Signer(bytes(32)), Ed25519Signer(bytes([1]) * 32)
ID = "urn:uuid:8e1f7f6e-9f5c-4a6f-8f0f-1c6a52cf0a0{}"
URL = "https://localhost/issuer/wallet/consents"

ATOMS: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53, -(2**53), 2**63, 10**30, 0.0, -0.0, 1.5, 1e308, 5e-324, "", " ", "\x00",
    "\ud800", "\u202e", "\ufeff", "a" * 5000, "null", "true", "0", "-1", "1e400", "../../etc/passwd", "%00", "${7*7}",
    "' OR 1=1 --", "<script>", "=cmd|' /C calc'!A0", "did:key:z6Mk", "did:web:", "did:web:localhost%3A8700", "did:key:",
    "urn:uuid:", "https://[::1", "http://169.254.169.254/", "file:///etc/passwd", "2026-02-30T00:00:00Z",
    "0000-00-00T00:00:00Z", "9999-12-31T23:59:60Z", "P9999999999D", "-P1D", "zQm", "z" + "1" * 400, "u" + "A" * 40,
    [], [[]], [None], [0] * 50, [{}], {}, {"": ""}, {"id": 1}, {"@id": "x"}, {"@context": []}, {"type": []},
    {"__proto__": {}}, {"a": {"a": {"a": {"a": {}}}}}, ["a", "a"], [["a"], {"b": []}], {"toString": "x"},
)  # fmt: skip
TOKENS = tuple(
    token.encode("utf-8", "surrogatepass")
    for token in (
        "{", "}", "[", "]", '"', ",", ":", "null", "\\u0000", "\\ud800", "1e999", "-", "0x", "\ufeff", "\r\n", ";",
        "\t", "BEGIN:VCARD", "END:VCARD", "ENCODING=QUOTED-PRINTABLE", "=\n", "\\n", "TEL;TYPE=x:", '""', "'", "\x00",
        "keyid=", "sig1=", ":", "=?utf-8?", "sha-256=:", "created=", "\u4f60", "\xff",
    )
)  # fmt: skip


def _documents() -> dict[str, dict[str, Any]]:
    """Statements as a wallet makes them, unsigned."""
    process = Process(
        purpose=Purpose("https://w3id.org/dpv#DirectMarketing"),
        fields=frozenset(map(Field, ("contact.email", "contact.given_name"))),
        recipients=frozenset({CONTROLLER.did}),
        jurisdictions=frozenset({Jurisdiction("CN")}),
        duration="P180D",
        locations=frozenset({Jurisdiction("CN")}),
    )
    ask = consent.build_ask(
        id=ID.format(1), controller=CONTROLLER.did, subject_did=WALLET.did, processes=[process],
        notice=NoticeRef("https://localhost/notices/marketing/1", canonical.digest(b"notice"), "en"),
        latest_until=UNTIL, issued=AT, expires=UNTIL, challenge="c" * 32, domain="localhost",
        status=StatusRef("https://localhost/issuer/status/7", 94567),
    )  # fmt: skip
    asked = consent.parse_ask(_verified(ask, CONTROLLER, consent.ASK_TYPE))
    given = consent.build_consent(asked, processes=asked.processes, valid_from=AT, valid_until=UNTIL, id=ID.format(2))
    digest = canonical.digest(b"given")
    return {
        "consent": given,
        "withdrawal": answers.build_withdrawal(given["id"], digest, WALLET.did, CONTROLLER.did, id=ID.format(3), at=AT),
        "refusal": answers.build_refusal(asked, id=ID.format(4), at=AT),
        "presentation": presentation.present([], WALLET, challenge="c", domain="d", created=AT),
    }


def _verified(document: Mapping[str, Any], signer: Ed25519Signer, type_: str) -> credential.VerifiedCredential:
    signed = proof.sign(document, signer, created=AT)
    return credential.verify(canonical.jcs(signed), KEYS, at=AT, expected_type=type_, check_dates=False)


DOCUMENTS = _documents()
READ: Mapping[str, tuple[str, Callable[[credential.VerifiedCredential], object]]] = {
    "consent": (consent.CONSENT_TYPE, consent.parse_consent),
    "withdrawal": (answers.WITHDRAWAL_TYPE, answers.parse_withdrawal),
    "refusal": (answers.REFUSAL_TYPE, answers.parse_refusal),
}
UPLOAD = {
    "id": ID.format(5), "purpose": "service", "subject": WALLET.did, "ground": ID.format(6),
    "collected_at": "2026-11-22T07:59:00Z", "values": {"vehicle.mileage": 12, "vehicle.fault_codes": ["P0301"]},
}  # fmt: skip
CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lin;Wei;;;\r\nFN:Wei Lin\r\nEMAIL;TYPE=work:wei@example.cn\r\n"
    "TEL;TYPE=cell:+86 138 0000 1000\r\nADR:;;1 Main St;Xiamen;Fujian;361000;CN\r\nBDAY:1985-04-03\r\n"
    "NOTE;ENCODING=QUOTED-PRINTABLE:=E4=BD=A0\r\nEND:VCARD\r\n"
)
FILES = {
    "csv": "First Name,Last Name,Email,Phone,City\r\nWei,Lin,wei@example.cn,+8613800001000,Xiamen\r\n"
    '"A ""B""",C,"x@y.z;u@v.w",,\r\n',
    "vcard": CARD,
    "jsonl": '{"First Name":"Wei","Email":["a@b.c","d@e.f"],"Address":{"City":"Xiamen"}}\n{"Email":null}\n',
}
CELLS = (
    "wei@example.cn", "+86 138 0000 1000", "3.4.1985", "1.234,56", "1,234.56", "ja", "2026-11-22T08:00:00+08:00",
    "https://example.org/a?b=c", "a; b | c", "１２３", "Š" * 50,
)  # fmt: skip
TYPES = ("text", "email", "phone", "number", "date", "datetime", "boolean", "url", "tags", "nothing")


def bent(dice: random.Random, data: bytes) -> bytes:
    """Bytes with one to six wounds."""
    for _ in range(dice.choice((1, 1, 1, 2, 3, 6))):
        place = dice.randrange(len(data) + 1)
        end = min(len(data), place + dice.choice((1, 1, 2, 8, 64)))
        how = dice.randrange(7)
        if how == 0 and data:
            place = min(place, len(data) - 1)
            data = data[:place] + bytes([data[place] ^ (1 << dice.randrange(8))]) + data[place + 1 :]
        elif how == 1:
            data = data[:place] + data[end:]
        elif how == 2:
            data = data[:end] + data[place:end] * dice.choice((1, 2, 40)) + data[end:]
        elif how == 3:
            data = data[:place]
        elif how == 4:
            data = data[:place] + dice.choice(TOKENS) * dice.choice((1, 1, 30)) + data[end:]
        elif how == 5:
            data = data[:place] + dice.randbytes(dice.choice((1, 4, 32))) + data[end:]
        else:
            other = dice.randrange(len(data) + 1)
            data = data[:place] + data[other : other + 64] + data[end:]
    return data


def twisted(dice: random.Random, tree: Any) -> Any:
    """A copy of a tree with one or two members that are wrong."""
    tree = copy.deepcopy(tree)
    for _ in range(dice.choice((1, 1, 2))):
        holders: list[tuple[Any, Any]] = []
        _walk(tree, holders)
        holder, key = dice.choice(holders)
        how = dice.randrange(6)
        if how == 0:
            del holder[key]
        elif how == 1 and isinstance(holder, dict):
            holder[dice.choice(("", "id", "type", "@context", "x" * 300, "\u0000", f"{key}s"))] = holder.pop(key)
        elif how == 2:
            holder[key] = [holder[key]]
        elif how == 3:
            deep: Any = holder[key]
            for _ in range(dice.choice((3, 40))):
                deep = {"a": deep} if dice.random() < 0.5 else [deep]
            holder[key] = deep
        else:
            holder[key] = copy.deepcopy(dice.choice(ATOMS))
        if not isinstance(tree, dict) or not tree:
            return {}
    return tree


def _walk(node: Any, holders: list[tuple[Any, Any]]) -> None:
    parts = node.items() if isinstance(node, dict) else enumerate(node)
    for key, inner in parts:
        holders.append((node, key))
        if isinstance(inner, dict | list):
            _walk(inner, holders)


# -- whom it is given to: each returns, or raises EvidenceError


def _json(dice: random.Random) -> None:
    data = bent(dice, canonical.jcs(dice.choice(list(DOCUMENTS.values()))))
    tree = canonical.parse(data)
    again = canonical.jcs(tree)
    assert canonical.jcs(canonical.parse(again)) == again, "the canonical form of a canonical form is another"


def _signed(dice: random.Random) -> None:
    """A statement whose content is wrong, under a signature that is right."""
    name = dice.choice(tuple(READ))
    type_, parse = READ[name]
    document = twisted(dice, DOCUMENTS[name])
    try:
        data = canonical.jcs(proof.sign(document, WALLET, created=AT))
    except (EvidenceError, ValueError, TypeError, RecursionError):
        return  # nobody can sign that: our own tool, not what is under test
    parse(credential.verify(data, KEYS, at=AT, expected_type=type_, expected_issuer=WALLET.did))


WHOLE = {
    name: canonical.jcs(proof.sign(DOCUMENTS[name], WALLET, created=AT, challenge="c", domain="d")) for name in READ
}


def _credential(dice: random.Random) -> None:
    """A signed statement that was changed on its way."""
    name = dice.choice(tuple(READ))
    data = bent(dice, WHOLE[name])
    verified = credential.verify(data, KEYS, at=AT, expected_type=READ[name][0], expected_challenge="c")
    assert json.loads(data) == json.loads(WHOLE[name]), "another statement verifies under the same signature"
    READ[name][1](verified)


def _presentation(dice: random.Random) -> None:
    whole = canonical.jcs(DOCUMENTS["presentation"])
    data = bent(dice, whole)
    presentation.verify(data, KEYS, expected_challenge="c", expected_domain="d", at=AT)
    assert json.loads(data) == json.loads(whole), "another presentation verifies under the same signature"


def _upload(dice: random.Random) -> None:
    upload.read(canonical.parse(json.dumps(twisted(dice, UPLOAD)).encode()), AT)


def _file(dice: random.Random) -> None:
    name = dice.choice(tuple(FILES))
    data = bent(dice, FILES[name].encode(dice.choice(("utf-8", "utf-8", "utf-16", "gb18030", "latin-1")), "replace"))
    given = source.of_bytes(data, format=dice.choice((None, name)))
    for row in source.rows(given, source.examine(given, hashlib.blake2b), hashlib.blake2b):
        assert row.fault or row.number == 0 or len(row.headings) == len(row.cells)


def _cell(dice: random.Random) -> None:
    text = bent(dice, dice.choice(CELLS).encode()).decode("utf-8", dice.choice(("replace", "surrogateescape")))
    type_ = dice.choice(TYPES)
    value = normal.normal(type_, text)
    assert not isinstance(value, str) or normal.normal(type_, value) == value, "a normal form has another normal form"
    normal.many(type_, normal.parted(type_, text))


BODY = b'{"consent":{}}'
HEADERS = {"content-type": "application/json"} | signature.sign_request(
    "POST", URL, {"content-type": "application/json"}, BODY, WALLET, created=AT, nonce="a nonce of some length"
)


def _request(dice: random.Random) -> None:
    """A signed request, one of whose headers was changed."""
    headers = dict(HEADERS)
    name = dice.choice(("Content-Digest", "Signature-Input", "Signature"))
    headers[name] = bent(dice, headers[name].encode()).decode("latin-1")
    signature.verify_request("POST", URL, headers, BODY, KEYS, at=AT)


LIST = status.Bitstring().encode()


def _small(dice: random.Random) -> None:
    """Names, times, digests, status lists."""
    how = dice.randrange(5)
    if how == 0:
        status.Bitstring.decode(bent(dice, LIST.encode()).decode("latin-1"))
    elif how == 1:
        did.check(bent(dice, dice.choice((WALLET.did, "did:web:crm.example.com%3A8700:a")).encode()).decode("latin-1"))
    elif how == 2:
        did.public_of(bent(dice, WALLET.did.encode()).decode("latin-1"))
    elif how == 3:
        times.parse(bent(dice, b"2026-11-22T08:00:00.123+08:00").decode("latin-1"), field="at")
    else:
        multibase.decode(bent(dice, multibase.encode(bytes(34)).encode()).decode("latin-1"), length=34)


TARGETS: tuple[Callable[[random.Random], None], ...] = (
    _json, _json, _signed, _signed, _credential, _presentation, _upload, _file, _cell, _request, _small, _small,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tried:
    """One input: whom it was given to, and the code it was refused with; None: it was taken."""

    target: str
    code: str | None


def tried(seed: int, number: int) -> Tried:
    """Give the input of that number to its parser. Whatever else it raises is a finding."""
    target = TARGETS[number % len(TARGETS)]
    try:
        target(random.Random(f"{seed}:{number}"))  # noqa: S311 - inputs, not secrets
    except EvidenceError as error:
        return Tried(target.__name__, error.code)
    return Tried(target.__name__, None)
