"""What became of the owner's fields: as the organisation says, as it signed, and as its log proves."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, note
from protocol import log as rfc6962
from protocol.certificate import Certificate
from protocol.errors import EvidenceError
from wallet.client import Client
from wallet.errors import WalletError
from wallet.holding import Holding


@dataclass(frozen=True, slots=True)
class Checked:
    """A certificate whose signature holds and that is about the owner; how many of its events the log proves.

    ``missing`` names what stands in the way of a full proof: ``unreachable``, ``not_in_log``, or what was wrong.
    """

    certificate: Certificate
    proved: int
    leaves: tuple[int, ...]
    missing: str | None


@dataclass(frozen=True, slots=True)
class Disposed:
    """Everything about the owner's fields that lost a ground. ``state`` is the organisation's word, not evidence."""

    state: Mapping[str, Any]
    certificates: tuple[Checked, ...]


def state(client: Client, holding: Holding) -> Mapping[str, Any]:
    """Fields, openings of archived fields, and recipients elsewhere. WalletError ``bad_answer``."""
    reply = client.call("GET", holding.at("FieldgrantRedaction", "/redaction/state"), holding.signer)
    for name in ("fields", "openings", "elsewhere"):
        items = reply.get(name, [])
        if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
            raise WalletError("bad_answer", "the organisation's answer does not say what became of your fields")
    return {name: reply.get(name, []) for name in ("fields", "openings", "elsewhere")}


def check(client: Client, holding: Holding, certificate: Certificate, *, at: datetime) -> Checked:
    """Look for the certificate's events in the log, each with its proof; what cannot be reached is said, not raised."""
    leaves: list[int] = []
    missing: str | None = None if certificate.events else "no_events"
    fields = {str(item.field) for item in certificate.items}
    for event in sorted(certificate.events):
        try:
            leaves.append(_proved(client, holding, event, fields))
        except WalletError as error:
            missing = error.code
        except EvidenceError as error:
            missing = error.code
            break
    return Checked(certificate, len(leaves), tuple(sorted(leaves)), missing)


def _proved(client: Client, holding: Holding, event: str, fields: set[str]) -> int:
    """The leaf of an event about one of the fields, proved to the log's head.

    The head has to bear the signature of the key that the wallet pinned (`log_key`). Raises EvidenceError
    ``bad_inclusion_proof``, ``bad_leaf``, ``foreign_event``, ``bad_note``; WalletError.
    """
    url = holding.at("FieldgrantAudit", "/audit/proofs")
    reply = client.call("GET", url, holding.signer, params={"event": event})
    vkey = holding.log_key or log_key(client, holding)
    try:
        head = note.parse_checkpoint(note.open_note(str(reply["checkpoint"]), vkey))
        return _verified(reply["file"], event, fields, head.size, head.root)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise EvidenceError("bad_leaf", "the proof lacks a member or has a wrong one") from None


def log_key(client: Client, holding: Holding) -> str:
    """The verifier key that an organisation shows for its log; WalletError, ``bad_answer`` when it is none."""
    try:
        return client.fetch(holding.at("FieldgrantAudit", "/audit/log.vkey")).decode("utf-8").strip()
    except UnicodeDecodeError:
        raise WalletError("bad_answer", "the organisation's answer cannot be read") from None


def _verified(file: Mapping[str, Any], event: str, fields: set[str], size: int, root: bytes) -> int:
    record, chain, tree, log = file["record"], file["chain"], file["tree"], file["log"]
    if record["id"] != event or record["data"].get("field") not in fields:
        raise EvidenceError("foreign_event", "the log's record is about something else")
    commitment = rfc6962.record_commitment(_raw(file["salt"]), canonical.jcs(record))
    link = rfc6962.chain_link(int(chain["sequence"]), _raw(chain["previous"]), commitment)
    leaf = _raw(log["leaf"])
    small = _raw(canonical.parse(leaf)["root"])
    if rfc6962.leaf_bytes(record["type"], record["time"], small) != leaf:
        raise EvidenceError("bad_leaf", "the leaf and the record differ")
    rfc6962.verify_path(link, int(tree["place"]), int(tree["records"]), [_raw(one) for one in tree["path"]], small)
    index = int(log["index"])
    rfc6962.verify_inclusion(rfc6962.leaf_hash(leaf), index, size, [_raw(one) for one in log["proof"]], root)
    return index


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
