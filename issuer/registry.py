"""The registry: consents, narrowings, refusals, withdrawals and revocations, each one change in one transaction.

Credential, status bit, standing version, allowance and event commit together. What takes something away is in the
journal before it commits, and is acknowledged only after the reads in flight have ended. The same bytes sent
again, after a crash at any point, complete what is missing and get the same receipt.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Any

from sqlmodel import Session

from issuer import answers, asks, attempts, expiring, proved, settling, signed
from issuer.credentials import Credential, enrolled_subject, open_standing, subjects
from issuer.desk import Desk, narrowing
from issuer.evidence import Evidence, evidence
from issuer.settling import settle
from protocol import answers as wire
from protocol import canonical, consent, credential, event, receipt, signature
from protocol import did as dids
from protocol.consent import Reference, SubjectId
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import crash, outbox
from runtime.problem import Problem
from runtime.staff import Staff

__all__ = ["Evidence", "Registry", "enrolled_subject", "evidence", "open_standing", "subjects"]

EXPIRY_BATCH = 25  # whoever is in one cannot be read from its line in the journal until it has committed
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Registry(Desk):
    """The verbs of the registry. `compile` and `drain` are handed in (see Desk)."""

    __slots__ = ()

    def consent(self, body: bytes, did: Did) -> dict[str, Any]:
        """Take a consent by this wallet; its receipt.

        Raises EvidenceError (those of `protocol.credential.verify`; unknown_field, unknown_purpose, foreign_ask,
        stale_ask, challenge_used, wrong_challenge, wrong_domain, consent_wider_than_ask, status_mismatch), Problem
        `id_used`.
        """
        with self._recorded("consent", did):
            verified = self._verify(body, consent.CONSENT_TYPE, did)
            with self.platform.database.write() as session:
                return answers.take_consent(session, self, verified, did)

    def refuse(self, body: bytes, did: Did) -> dict[str, Any]:
        """Take a refusal by this wallet; its receipt. Errors as for `consent`."""
        with self._recorded("refusal", did):
            verified = self._verify(body, wire.REFUSAL_TYPE, did)
            with self.platform.database.write() as session:
                return answers.take_refusal(session, self, verified, did)

    def withdraw(self, body: bytes, did: Did) -> dict[str, Any]:
        """End a consent; its receipt, given when no read in flight can return the fields any more.

        Raises EvidenceError (`digest_mismatch` and those of verify), Problem `unknown_consent`, `not_your_consent`,
        `consent_ended`.
        """
        with self._recorded("withdrawal", did):
            verified = self._verify(body, wire.WITHDRAWAL_TYPE, did)
            crash.point("withdrawal.before")
            with self.platform.database.write() as session:
                id_ = answers.take_withdrawal(session, self, verified, did)
                crash.point("withdrawal.within")
            crash.point("withdrawal.after")
        return _given(settle(self, id_))

    def narrow(self, withdrawal: bytes, consent_: bytes, did: Did) -> dict[str, Any]:
        """Replace a consent by a narrower one in one change; its receipt. Errors as above, and `not_narrower`."""
        with self._recorded("narrowing", did):
            leaving = self._verify(withdrawal, wire.WITHDRAWAL_TYPE, did)
            coming = self._verify(consent_, consent.CONSENT_TYPE, did)
            with self.platform.database.write() as session:
                id_ = answers.take_narrowing(session, self, leaving, coming, did)
        return _given(settle(self, id_))

    def offer_narrowing(self, consent_id: str, did: Did) -> dict[str, Any]:
        """The ask (signed document) under which a living consent may be narrowed: fresh challenge, fresh index.

        Raises Problem `unknown_consent`, `not_your_consent`, `consent_ended`.
        """
        with self._recorded("narrowing-offer", did), self.platform.database.write() as session:
            row = answers.living_consent(session, self, consent_id, did)
            held = settling.consent_of(row, self.platform)
            return signed.document(asks.renew_for(session, self.platform, self.catalogue, row, held))

    def revoke(self, consent_id: str, staff: Staff) -> dict[str, Any]:
        """End a consent without its wallet; the receipt. Only the data protection officer (Problem 403 `role`)."""
        if staff.role != "dpo":
            raise Problem(403, "role", "Only the data protection officer may revoke a consent.")
        with self.platform.database.write() as session:
            row = answers.consent_row(session, consent_id)
            if row.ended_kind == "revoked" and row.ended_by is not None:
                id_ = row.ended_by
            else:
                id_, journal = self.revoke_within(session, answers.living_consent(session, self, consent_id), staff)
                journal()
        return _given(settle(self, id_))

    def revoke_within(
        self, session: Session, row: Credential, staff: Staff | None, *, request: str | None = None
    ) -> tuple[str, Callable[[], None]]:
        """Revoke inside the caller's transaction; the id to settle, and the journal entry to make before the commit.

        Without `staff` the subject's own `request` ends it, and the controller alone signs. EvidenceError where the row
        does not prove whose it is (`issuer.proved`).
        """
        at = self.platform.clock.now()
        held = proved.consent(session, self.platform, row)
        unsigned = receipt.build_receipt(
            id=consent.fresh_id(),
            controller=self.platform.controller,
            subject_did=held.subject_did,
            event="revoked",
            standing="revoked",
            at=at,
            processes=held.processes,
            notice=held.notice,
            consent=Reference(held.id, held.digest),
        )
        # the controller says it, and the officer who decided it signs beside it
        officer = () if staff is None else (self.platform.keyring.signer(f"staff/{staff.account}"),)
        signers = (self.platform.signer, *officer)
        revocation = signed.issue(
            session, unsigned, "revocation", signers=signers,
            subject=row.subject, did=Did(row.did), at=at, about=row.id,
        )  # fmt: skip
        closed = answers.end_consent(session, self.platform, row, "revoked", by=revocation.id, at=at)
        subject = SubjectId(row.subject)
        version = self.raised(session, subject)
        data = {
            "credential": row.id, "revocation": revocation.id, "digest": revocation.digest, "version": version,
            **asks.told(held.processes), **({} if request is None else {"request": request}),
        }  # fmt: skip
        outbox.emit(
            session,
            event.CONSENT_REVOKED,
            at=at,
            header={} if staff is None else asks.by(staff),
            records=[(subject, data)],
            key=f"revoked:{row.id}",
        )
        settling.begin(session, "revoked", subject=subject, ended=row.id, by=revocation.id, version=version, at=at)
        evidence = {"revocation": signed.document(revocation), "given": signed.document(row)}
        return revocation.id, partial(self.journal, session, subject, version, [row.id], evidence, at=at, closed=closed)

    def expire(self, session: Session, at: datetime) -> tuple[str, ...]:
        """Mark consents (at most EXPIRY_BATCH) that ran out by `at`; the ids to settle after the commit. Idempotent.

        What was spoiled is put aside. Call it last: only the commit may follow.
        """
        read = partial(proved.consent, session, self.platform)
        settled: list[str] = []
        entries: list[dict[str, Any]] = []
        for row, held in expiring.ran_out(session, "consent", at, read, limit=EXPIRY_BATCH):
            subject = SubjectId(row.subject)
            entries += answers.end_consent(session, self.platform, row, "expired", by="time", at=at)
            version = self.raised(session, subject)
            data = {"credential": row.id, "digest": row.digest, "version": version, **asks.told(held.processes)}
            outbox.emit(session, event.CONSENT_EXPIRED, at=at, records=[(subject, data)], key=f"expired:{row.id}")
            done = settling.begin(session, "expired", subject=subject, ended=row.id, by="time", version=version, at=at)
            settled.append(done.id)
            entries.append(narrowing(subject, version, [row.id], {"consent": signed.document(row)}, at=at))
        if entries:
            self.journal_all(session, entries)
        return tuple(settled)

    def _verify(self, body: bytes, type_: str, did: Did) -> VerifiedCredential:
        """Outside the transaction: a slow proof must not hold the write lock.

        A wallet is a did:key and nothing else.
        """
        issuer = canonical.parse(body).get("issuer")
        issuer = issuer.get("id") if isinstance(issuer, dict) else issuer
        if isinstance(issuer, str):
            dids.public_of(issuer)
        # a wallet's clock may be as far ahead here as in its requests; until validFrom a consent opens nothing
        verified = credential.verify(
            body, self.platform.keys, at=self.platform.clock.now(), expected_type=type_, expected_issuer=did,
            ahead=signature.CLOCK_SKEW,
        )  # fmt: skip
        refuse_unfit(verified)
        return verified

    @contextmanager
    def _recorded(self, action: str, did: Did) -> Iterator[None]:
        with self.platform.database.read() as session:
            subject = enrolled_subject(session, did)
        with attempts.recorded(self.platform, action, did=did, subject=subject):
            yield


def refuse_unfit(credential_: VerifiedCredential) -> None:
    """What we keep for ever, under an id that the wallet chose, must be fit for that.

    Ids go into events and are keys beside ours: any other text could hold a personal value, or name what is not the
    wallet's. And a consent ends by `validUntil` alone, not earlier for those who look at a proof's own end.
    """
    if _UUID.fullmatch(credential_.id) is None:
        raise EvidenceError("bad_credential", "must be urn:uuid: and a random UUID in lower case", field="id")
    proofs = credential_.document["proof"]
    if any("expires" in one for one in (proofs if isinstance(proofs, list) else [proofs])):
        raise EvidenceError("bad_proof", "a proof that is evidence has no end of its own", field="proof.expires")


def _given(receipt_: dict[str, Any] | None) -> dict[str, Any]:
    if receipt_ is None:
        raise Problem(500, "internal", "No receipt was made.")
    return receipt_
