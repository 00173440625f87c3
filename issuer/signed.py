"""What we sign and store: a controller's (or a member of staff's) credential from its unsigned form to its row."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel import Session

from issuer import credentials
from issuer.credentials import Credential
from protocol import canonical, credential, proof, times
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.keys import Signer
from runtime.platform import Platform


def row(document: Mapping[str, Any], kind: str, *, subject: str, did: Did, at: datetime, **columns: Any) -> Credential:
    """The row of a signed document: its JCS bytes and their digest."""
    until = document.get("validUntil")
    body = canonical.jcs(dict(document))
    return Credential(
        id=document["id"],
        kind=kind,
        subject=subject,
        did=did,
        body=body,
        digest=canonical.digest(body),
        at=times.iso_ms(at),
        # a wallet may write any time zone; columns compare as text
        valid_until=None if until is None else times.iso(times.parse(until, field="validUntil")),
        **columns,
    )


def issue(
    session: Session,
    unsigned: Mapping[str, Any],
    kind: str,
    *,
    signers: tuple[Signer, ...],
    subject: str,
    did: Did,
    at: datetime,
    **columns: Any,
) -> Credential:
    """Sign with each of the signers (a proof set) and store."""
    document: Mapping[str, Any] = unsigned
    for signer in signers:
        document = proof.sign(document, signer, created=at)
    return credentials.store(session, row(document, kind, subject=subject, did=did, at=at, **columns))


def document(stored: Credential) -> dict[str, Any]:
    """The signed document of a row."""
    parsed: dict[str, Any] = json.loads(stored.body)
    return parsed


def reverify(stored: Credential, platform: Platform, type_: str, *, issuer: Did | None = None) -> VerifiedCredential:
    """Verify what rests with us before we build on it: the database alone is not believed. EvidenceError."""
    return credential.verify(
        stored.body, platform.keys, at=platform.clock.now(), expected_type=type_, expected_issuer=issuer,
        check_dates=False,
    )  # fmt: skip
