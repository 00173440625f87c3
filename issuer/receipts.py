"""Receipts: the controller's signed answer to what was decided, kept and listed for the wallet."""

from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from issuer import signed
from issuer.credentials import Credential
from protocol import consent, receipt
from protocol.consent import Consent, Reference
from protocol.did import Did
from runtime.platform import Platform


def of(session: Session, about: str) -> dict[str, Any] | None:
    """The receipt that answers a credential (its id); None when it is still to come."""
    statement = select(Credential).where(Credential.kind == "receipt", col(Credential.about) == about)
    row = session.exec(statement).first()
    return None if row is None else signed.document(row)


def issue(
    session: Session,
    platform: Platform,
    answered: Credential,
    event: str,
    *,
    standing: str,
    decided: datetime,
    about: Consent | None = None,
    ask: Reference | None = None,
    supersedes: Reference | None = None,
    shut_at: datetime | None = None,
) -> dict[str, Any]:
    """Sign and store the receipt for `answered`; `about` is the consent that it speaks of (none for a refusal)."""
    at = shut_at or decided
    unsigned = receipt.build_receipt(
        id=consent.fresh_id(),
        controller=platform.controller,
        subject_did=Did(answered.did),
        event=event,
        standing=standing,
        at=decided,
        processes=about.processes if about else (),
        notice=about.notice if about else None,
        consent=Reference(about.id, about.digest) if about else None,
        ask=ask,
        supersedes=supersedes,
        status=about.status if about and standing == "living" else None,
        shut_at=shut_at,
        issued=at,
    )
    row = signed.issue(
        session, unsigned, "receipt", signers=(platform.signer,),
        subject=answered.subject, did=Did(answered.did), at=at, about=answered.id,
    )  # fmt: skip
    return signed.document(row)
