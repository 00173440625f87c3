"""What a subject was taken out of on their request: statutory grounds that ended for them alone, or are paused.

Pure. Exclusions and lifts come from `verifier.verdicts`: the controller's key signed them. An exclusion that is
missing is found by the journal, which names it; a lift that is missing leaves the pause in force.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from issuer.excluding import DIRECT_MARKETING
from protocol.consent import USE, Consent, Field, GroundId, Jurisdiction, Purpose
from protocol.did import Did
from protocol.exclusion import ANY, ERASURE, OBJECTION, PAUSE, Exclusion, Lift
from protocol.ground import StatutoryGround
from verifier.grant import Grant

ERASED = Purpose("urn:fieldgrant:erased")
"""The purpose of what an erasure ended: none of a catalogue, so that it fits no read request."""


@dataclass(frozen=True, slots=True)
class Excluded:
    """The exclusions of one subject that are in force."""

    exclusions: tuple[Exclusion, ...]

    @classmethod
    def of(cls, exclusions: Iterable[Exclusion], lifts: Iterable[Lift]) -> "Excluded":
        """All but the pauses that were lifted."""
        lifted = {(lift.exclusion.id, lift.exclusion.digest) for lift in lifts}
        return cls(tuple(one for one in exclusions if one.kind != PAUSE or (one.id, one.digest) not in lifted))

    def applied(self, grant: Grant, ground: StatutoryGround) -> Grant:
        """The grant as it is for this subject: ended, paused, or as it was."""
        fitting = [one for one in self.exclusions if one.covers(ground, grant.purpose)]
        if any(one.kind != PAUSE for one in fitting):
            return replace(grant, ended=grant.ended or "withdrawn")
        return replace(grant, paused=True) if fitting else grant

    def ends(self, consent: Consent, asked: datetime) -> bool:
        """Whether a consent to an ask of that instant ended with an erasure or with an objection to advertising.

        Whatever its row says: it may have been spoiled, or out of the database, while everything else was ended. Of one
        request's rounds the first counts; whoever is asked anew since may consent anew.
        """
        since: dict[str, datetime] = {}
        for one in self.exclusions:
            if one.kind == ERASURE or (one.kind == OBJECTION and _advertising(one, consent)):
                since[one.request.id] = min(one.at, since.get(one.request.id, one.at))
        return any(asked < at for at in since.values())

    def erased(self, fields: frozenset[Field], controller: Did, home: Jurisdiction) -> list[Grant]:
        """An ended grant over every field for each erasure: whatever no other ground holds has lapsed with it.

        Values that come in later without a ground lapse too: an old export does not bring an erased customer back.
        """
        return [
            Grant(
                ground=GroundId(one.id),
                kind="statutory",
                subject=one.subject,
                fields=fields,
                purpose=ERASED,
                recipients=frozenset({controller}),
                processing=frozenset({USE}),
                jurisdictions=frozenset({home}),
                not_before=one.at,
                ended="withdrawn",
            )
            for one in self.exclusions
            if one.kind == ERASURE
        ]


def _advertising(one: Exclusion, consent: Consent) -> bool:
    """Whether an objection is one to advertising for which the consent was given."""
    purposes = {process.purpose for process in consent.processes} & DIRECT_MARKETING
    return any(each.ground == ANY and each.purpose in purposes for each in one.excepted)
