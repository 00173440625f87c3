"""The invitation link, and the organisation that it pins: only the DID and digest in it are believed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from protocol import canonical, did
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from wallet.client import Client
from wallet.errors import WalletError

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}\Z")


@dataclass(frozen=True, slots=True)
class Link:
    """``fieldgrant://enrol?issuer=…&token=…&did=…&document=…``."""

    issuer: str
    token: str
    did: Did
    digest: str


def read(text: str) -> Link:
    """Read an invitation link; WalletError ``bad_link``."""
    parts = urlsplit(text.strip())
    if (parts.scheme, parts.netloc) != ("fieldgrant", "enrol"):
        raise WalletError("bad_link", "this is not an invitation; it begins with fieldgrant://enrol?")
    found = parse_qs(parts.query)
    values = {name: found.get(name, []) for name in ("issuer", "token", "did", "document")}
    if any(len(value) != 1 for value in values.values()) or not _TOKEN.match(values["token"][0]):
        raise WalletError("bad_link", "the invitation is not whole; copy all of it")
    issuer = values["issuer"][0].rstrip("/")
    return Link(issuer, values["token"][0], Did(values["did"][0]), values["document"][0])


def pin(client: Client, link: Link) -> dict[str, Any]:
    """The organisation's DID document, if it is the one that the invitation names in every respect.

    Raises:
        WalletError: ``document_mismatch``, and those of `Client.fetch`.
    """
    try:
        if did.web_did(link.issuer) != link.did:
            raise _mismatch("its address is not that of its DID")
        # a copy cut or padded on the way is caught by the digest, so what is not JSON needs no code of its own
        document = canonical.parse(client.fetch(did.web_document_url(link.did)))
        if canonical.digest(canonical.jcs(document)) != link.digest:
            raise _mismatch("its document is not the one named in the invitation")
        if document.get("id") != link.did:
            raise _mismatch("its document is about another DID")
        _usable(document)
    except EvidenceError as error:
        raise _mismatch(error.detail) from None
    return document


def _usable(document: Mapping[str, Any]) -> None:
    Keys([document])
    did.service_endpoint(document, "FieldgrantIssuer")


def _mismatch(why: str) -> WalletError:
    return WalletError("document_mismatch", f"this is not the organisation that invited you: {why}; do not go on")
