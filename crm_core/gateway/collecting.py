"""The second check: does a living, verified ground of this customer let these fields be collected, for this, now?"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlmodel import Session

from crm_core.gateway.upload import Declared, Upload
from crm_core.gateway.uploader import Uploader
from issuer import credentials
from issuer import evidence as proofs
from issuer.catalogue import Catalogue
from issuer.evidence import Evidence
from protocol.consent import COLLECT, Field, GroundId, Purpose, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime.platform import Platform
from verifier import grounds, quarantine, rule
from verifier.excluded import ERASED
from verifier.grant import Grant, ReadRequest
from verifier.rule import Reason
from verifier.verdicts import Verdicts

_NOBODY: Final = SubjectId("sub_" + "a" * 26)  # whoever is new has no more than what holds for everyone
_MAY_COME: Final = frozenset({Reason.NO_GROUND, Reason.PURPOSE, Reason.EXPIRED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """The ground of each field, or the code for which it is refused.

    `may_be_held`: nobody said no, and the touchpoint is one whose uploads may wait for a ground.
    """

    grounds: Mapping[Field, GroundId]
    refused: Mapping[Field, str]
    may_be_held: bool = False


class Collecting:
    """What the customers of one chunk of uploads permit, read once inside its write transaction."""

    def __init__(
        self, session: Session, platform: Platform, catalogue: Catalogue, uploader: Uploader, at: datetime
    ) -> None:
        self.platform, self.catalogue, self.at = platform, catalogue, at
        self._session, self._uploader = session, uploader
        self._grants: dict[SubjectId | None, tuple[Grant, ...] | None] = {}
        self._wallets: dict[Did, SubjectId | None] = {}

    def prepare(self, subjects: Sequence[SubjectId | Did | None]) -> None:
        """Verify the evidence on these subjects at once."""
        self.platform.journal.refresh()
        for wallet in {Did(one) for one in subjects if one is not None and one.startswith("did:")}:
            self._wallets[wallet] = credentials.enrolled_subject(self._session, wallet)
        known = {SubjectId(one) for one in subjects if one is not None and one.startswith("sub_")}
        known |= {one for one in self._wallets.values() if one is not None}
        shut = quarantine.among(self._session, sorted(known))
        for found in grounds.collect(self._session, sorted(known)):
            self._grants[found.subject] = None if found.subject in shut or self._below(found) else self._proved(found)
            for wallet in [did for did, subject in self._wallets.items() if subject == found.subject]:
                if not self._speaks(found, wallet):
                    self._wallets[wallet] = None
        if None in subjects:
            self._grants[None] = self._proved(proofs.evidence(self._session, _NOBODY))

    def rule(self, upload: Upload, declared: Declared) -> Ruling:
        """Judge one upload. EvidenceError `unknown_subject`, `standing_moving`."""
        subject = self.subject(upload)
        if subject not in self._grants:
            raise EvidenceError("unknown_subject", "there is no such customer", field="subject")
        granted = self._grants[subject]
        if granted is None:
            raise EvidenceError("standing_moving", "this customer's consent is being changed", field="subject")
        named = [one for one in granted if one.ground == upload.ground]
        hold = self._uploader.registration.ungrounded == "hold" and self._uploader.delegation is None
        request = self.request(subject, declared.purpose, declared.values)
        return judge(request, named, granted, hold=hold and subject is not None)

    def subject(self, upload: Upload) -> SubjectId | None:
        """Whom an upload is about; None: a new customer. EvidenceError `unknown_subject`."""
        if upload.subject is None or upload.subject.startswith("sub_"):
            return None if upload.subject is None else SubjectId(upload.subject)
        subject = self._wallets.get(Did(upload.subject))
        if subject is None:
            raise EvidenceError("unknown_subject", "no customer has this wallet", field="subject")
        return subject

    def known(self, subject: SubjectId) -> bool:
        """Is there such a customer? What somebody typed must not reach the record."""
        return subject in self._grants

    def granted(self, subject: SubjectId) -> tuple[Grant, ...] | None:
        """What one customer's evidence proves; None while it cannot be told (it is being changed, or was tampered)."""
        self.prepare([subject])
        return self._grants.get(subject)

    def request(self, subject: SubjectId | None, purpose: Purpose, fields: Collection[Field]) -> ReadRequest:
        """The question that is put to the grounds. A touchpoint has no role: a ground for certain readers is none."""
        return ReadRequest(
            reader=self._uploader.registration.touchpoint,
            recipient=self.platform.controller,
            subject=subject or _NOBODY,
            fields=frozenset(fields),
            purpose=purpose,
            processing=COLLECT,
            jurisdiction=self._uploader.registration.jurisdiction,
            roles=frozenset(),
            at=self.at,
        )

    def _below(self, found: Evidence) -> bool:
        return found.version < self.platform.journal.floor(found.subject)

    def _proved(self, found: Evidence) -> tuple[Grant, ...]:
        return grounds.examine(self.platform, self.catalogue, found, self.at).grants

    def _speaks(self, found: Evidence, wallet: Did) -> bool:
        """Is this wallet the customer's by an enrolment that verifies? The column alone says nothing."""
        verdicts = Verdicts(self.platform, self.at)
        for row in found.enrolments:
            try:
                enrolled = verdicts.enrolment(row.body)
            except EvidenceError:
                continue
            living = row.ended_at is None and not self.platform.journal.ended(enrolled.id)
            if living and (enrolled.wallet_did, enrolled.subject) == (wallet, found.subject):
                return True
        return False


def judge(request: ReadRequest, named: Collection[Grant], granted: Collection[Grant], *, hold: bool) -> Ruling:
    """The ruling on one request: `named` are the grants of the ground that the upload names. Pure.

    What the customer took back for this purpose, even if only its use, is a no: it does not wait for a yes. Whoever
    asked to be erased said no to everything.
    """
    decided = rule.decide(request, named).grounds
    refused: dict[Field, str] = {}
    said_no = any(one.purpose == ERASED for one in granted)
    for field in sorted(request.fields - decided.keys()):
        why = rule.reason(request, field, named) or Reason.NO_GROUND
        whole = rule.reason(request, field, granted)
        taken_back = whole == Reason.WITHDRAWN or _taken_back(request, field, granted)
        said_no |= taken_back or (whole is not None and whole not in _MAY_COME)
        if taken_back:
            refused[field] = Reason.WITHDRAWN.value
        elif why == Reason.PURPOSE and _only_used(request, field, named):
            refused[field] = "not_for_collection"
        else:
            refused[field] = why.value
    return Ruling(grounds=decided, refused=refused, may_be_held=hold and not said_no)


def _only_used(request: ReadRequest, field: Field, named: Collection[Grant]) -> bool:
    """Is the field granted for this purpose, but not to be collected?"""
    return any(one.in_force(request.at) for one in _about(request, field, named))


def _taken_back(request: ReadRequest, field: Field, granted: Collection[Grant]) -> bool:
    about = _about(request, field, granted)
    ended = any(one.kind == "consent" and one.ended not in (None, "expired") for one in about)
    return ended and not any(one.in_force(request.at) for one in about)


def _about(request: ReadRequest, field: Field, granted: Collection[Grant]) -> list[Grant]:
    return [one for one in granted if field in one.fields and one.purpose == request.purpose]
