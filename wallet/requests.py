"""The owner's rights: what was asked of an organisation, where it stands, the answers that only this wallet opens."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from protocol import canonical, consent, credential, proof, request, sealed
from protocol.errors import EvidenceError
from protocol.request import DataSubjectRequest, RequestReceipt
from wallet import answer
from wallet.client import SKEW, Client
from wallet.errors import WalletError
from wallet.holding import Holding

PATH, KEY, ANSWERS = "/issuer/wallet/requests", "/issuer/wallet/requests/key", "/crm/rights/answers"
COPIES = frozenset({"access", "portability"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of the owner's, with the organisation's signed receipts for its steps, oldest first."""

    id: str
    kind: str
    fields: frozenset[str]
    event: str | None
    state: str
    due: datetime
    receipts: tuple[RequestReceipt, ...]

    @property
    def last(self) -> RequestReceipt:
        """The newest receipt."""
        return self.receipts[-1]


@dataclass(frozen=True, slots=True)
class Copy:
    """An answer: what it says, and the receipt that binds it to the request."""

    document: Mapping[str, Any]
    receipt: RequestReceipt | None


def ask(
    client: Client,
    holding: Holding,
    kind: str,
    *,
    at: datetime,
    purpose: str | None = None,
    ground: str | None = None,
    event: str | None = None,
    values: Mapping[str, Any] | None = None,
) -> Asked:
    """Sign and send a request; corrections (`values`) are sealed to the organisation's own key first.

    An explanation names the `event` of the history that it asks about.

    Raises:
        WalletError: what the organisation or the network says.
        EvidenceError: ``receipt_mismatch`` and those of verification: the answer does not hold.
    """
    box = None if values is None else _box(client, holding, values, at=at)
    unsigned = request.build_request(
        kind, id=consent.fresh_id(), controller=holding.controller, issuer=holding.did, at=at - SKEW, purpose=purpose,
        ground=ground, event=event, fields=values or (), correction=None if box is None else canonical.digest(box),
    )  # fmt: skip
    document = proof.sign(unsigned, holding.signer, created=at)
    body: dict[str, Any] = {"request": document}
    if box is not None:
        body["sealed"] = base64.b64encode(box).decode()
    reply = client.call("POST", holding.at("FieldgrantIssuer", PATH), holding.signer, body=body)
    if _digest(reply.get("request")) != _digest(document):
        raise EvidenceError("receipt_mismatch", "the organisation speaks of another request")
    return read(reply, holding, at=at)


def listing(client: Client, holding: Holding, *, at: datetime) -> tuple[Asked, ...]:
    """Every request of the owner's, those that are due first in front; errors as of `ask`."""
    reply = client.call("GET", holding.at("FieldgrantIssuer", PATH), holding.signer)
    items = reply.get("items")
    if not isinstance(items, list):
        raise WalletError("bad_answer", "the organisation's answer holds no requests")
    found = [read(item, holding, at=at) for item in items if isinstance(item, Mapping)]
    return tuple(sorted(found, key=lambda one: one.due))


def fetch(client: Client, holding: Holding, asked: Asked, *, at: datetime) -> Copy:
    """The answer to a request for a copy, opened with this wallet's key. Errors as of `ask`, and ``bad_box``."""
    body = {"request": asked.id}
    reply = client.call("POST", holding.at("FieldgrantCrm", ANSWERS), holding.signer, body=body)
    receipt = _receipt(reply.get("receipt"), holding, at=at)
    try:
        box = base64.b64decode(reply.get("sealed", ""), validate=True)
    except (TypeError, ValueError):
        raise WalletError("bad_answer", "the organisation's answer holds nothing sealed") from None
    if receipt.request.id != asked.id or receipt.answer_digest != canonical.digest(box):
        raise EvidenceError("receipt_mismatch", "this is not the answer that the organisation signed for")
    document = _json(sealed.open_with_seed(holding.seed, box))
    if (document.get("request"), document.get("for")) != (asked.id, holding.did):
        raise EvidenceError("receipt_mismatch", "the answer is for another request or wallet")
    return Copy(document, receipt)


def open_file(file: Path, passphrase: str) -> Copy:
    """The answer in a file that was handed over or sent by post; EvidenceError, WalletError ``no_answer_file``."""
    try:
        data = file.read_bytes()
    except OSError:
        raise WalletError("no_answer_file", "there is no such file") from None
    return Copy(_json(sealed.open_file(passphrase, data)), None)


def save(copy: Copy, directory: Path) -> list[Path]:
    """Write an answer as files that the owner alone may read (mode 0600); WalletError ``file_exists``."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    kind = str(copy.document.get("kind", "answer"))
    which = "".join(mark for mark in str(copy.document.get("request", ""))[9:17] if mark.isalnum() and mark.isascii())
    stem = f"{kind if kind in COPIES else 'answer'}-{which}"
    parts = {f"{stem}.json": orjson.dumps(dict(copy.document), option=orjson.OPT_INDENT_2)}
    if isinstance(card := copy.document.get("vcard"), str):
        parts[f"{stem}.vcf"] = card.encode()
    return [_write(directory / name, data) for name, data in parts.items()]


def read(item: Mapping[str, Any], holding: Holding, *, at: datetime) -> Asked:
    """One request as the organisation tells of it; only what is signed counts. EvidenceError ``receipt_mismatch``."""
    own = _own(item.get("request"), holding, at=at)
    documents = item.get("receipts")
    if not isinstance(documents, list) or not documents:
        raise WalletError("bad_answer", "the organisation gave no receipt for a request")
    receipts = tuple(_receipt(one, holding, at=at) for one in documents)
    if any((one.request.id, one.request.digest, one.kind) != (own.id, own.digest, own.kind) for one in receipts):
        raise EvidenceError("receipt_mismatch", "a receipt speaks of another request")
    last = receipts[-1]
    return Asked(
        id=own.id, kind=own.kind, fields=frozenset(own.fields), event=own.event, state=last.state, due=last.due,
        receipts=receipts,
    )  # fmt: skip


def find(listed: Sequence[Asked], reference: str) -> Asked:
    """The request with this id, or whose id holds this part; WalletError ``unknown_request``, ``ambiguous``."""
    fitting = [one for one in listed if reference == one.id or (len(reference) >= 4 and reference in one.id)]
    if not fitting:
        raise WalletError("unknown_request", "there is no such request; `fieldgrant wallet requests` lists them")
    if len(fitting) > 1:
        raise WalletError("ambiguous", "more than one request fits; write more of its id")
    return fitting[0]


def _own(document: Any, holding: Holding, *, at: datetime) -> DataSubjectRequest:
    if not isinstance(document, Mapping):
        raise WalletError("bad_answer", "the organisation's answer holds no request")
    verified = credential.verify(
        canonical.jcs(document), holding.keys, at=at, expected_type=request.REQUEST_TYPE, check_dates=False
    )
    own = request.parse_request(verified)
    # one that the desk recorded before there was a wallet bears the signatures of staff
    if own.controller != holding.controller or (own.subject is None and own.issuer != holding.did):
        raise EvidenceError("foreign_request", "this request is somebody else's")
    return own


def _receipt(document: Any, holding: Holding, *, at: datetime) -> RequestReceipt:
    if not isinstance(document, Mapping):
        raise WalletError("bad_answer", "the organisation's answer holds no receipt")
    verified = credential.verify(
        canonical.jcs(document), holding.keys, at=at, expected_type=request.RECEIPT_TYPE, check_dates=False
    )
    found = request.parse_receipt(verified)
    if found.controller != holding.controller:
        raise EvidenceError("foreign_receipt", "the receipt is another organisation's")
    return found


def _box(client: Client, holding: Holding, values: Mapping[str, Any], *, at: datetime) -> bytes:
    """Values sealed to the key that the organisation's pinned key signs for; EvidenceError ``foreign_key``."""
    reply = client.call("GET", holding.at("FieldgrantIssuer", KEY), holding.signer)
    document = answer.document(reply, "credential")
    verified = credential.verify(
        canonical.jcs(document), holding.keys, at=at + SKEW, expected_type=sealed.KEY_TYPE,
        expected_issuer=holding.controller,
    )  # fmt: skip
    key = sealed.parse_key(verified)
    if key.controller != holding.controller:
        raise EvidenceError("foreign_key", "this key is another organisation's")
    inside = {"controller": holding.controller, "sender": holding.did, "values": dict(values)}
    return sealed.seal(key.public, canonical.jcs(inside))


def _digest(document: Any) -> str:
    return canonical.digest(canonical.jcs(document)) if isinstance(document, Mapping) else ""


def _json(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise EvidenceError("bad_answer_file", "this is no answer of Fieldgrant, or it is damaged")
    return document


def _write(path: Path, data: bytes) -> Path:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise WalletError("file_exists", "a file of this name exists already; choose another place") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return path
