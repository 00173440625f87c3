"""The rule: which requested fields do living grants release, and why not the others? Pure; to withhold is an answer.

The reason for a withheld field comes from grounds alone, so it says nothing of stored values. The first that holds:

1. `withdrawn`: a grant that fits the request in all but time was ended by the subject or for them (withdrawn,
   revoked, superseded by a narrower consent);
2. `expired`: such a grant ran out by itself;
3. `restricted`: such a grant is paused while an objection or a restriction is looked into;
4. `role`, `jurisdiction`, `recipient_not_granted`, `purpose_not_granted`: a living grant names the field and
   fails at this point, and none fails at a later one (purpose is asked first, role last);
5. `no_ground`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from protocol.consent import Field, GroundId
from verifier.grant import Grant, ReadRequest

__all__ = ["Decision", "Grant", "ReadRequest", "Reason", "decide", "next_change", "reason"]


class Reason(StrEnum):
    """Why a field is withheld. The order is that of the byte codes in an allowance: only ever append."""

    NO_GROUND = "no_ground"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    PURPOSE = "purpose_not_granted"
    RECIPIENT = "recipient_not_granted"
    JURISDICTION = "jurisdiction"
    ROLE = "role"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Decision:
    """Each released field with the ground that releases it; all others are withheld."""

    request: ReadRequest
    grounds: Mapping[Field, GroundId]


def decide(request: ReadRequest, grants: Iterable[Grant]) -> Decision:
    """Match the requested fields with the grants that permit this request at this instant."""
    fitting = [grant for grant in grants if grant.permits(request)]
    return Decision(request, {field: grant.ground for grant in fitting for field in request.fields & grant.fields})


def reason(request: ReadRequest, field: Field, grants: Iterable[Grant]) -> Reason | None:
    """Why is this field withheld? None: it is released."""
    naming = [grant for grant in grants if field in grant.fields and grant.subject == request.subject]
    if any(grant.permits(request) for grant in naming):
        return None
    fitting = [grant for grant in naming if grant.fits(request)]
    if any(grant.ended not in (None, "expired") for grant in fitting):
        return Reason.WITHDRAWN
    if any(grant.over(request.at) for grant in fitting):
        return Reason.EXPIRED
    if any(grant.paused for grant in fitting):
        return Reason.RESTRICTED
    living = [grant for grant in naming if grant.in_force(request.at)]
    return _furthest(request, living)


def next_change(request: ReadRequest, grants: Iterable[Grant]) -> datetime | None:
    """The next instant at which time alone changes what this request is answered; None: never."""
    edges = [
        edge
        for grant in grants
        if grant.ended is None and grant.fits(request)
        for edge in (grant.not_before, grant.not_after)
        if edge is not None and edge > request.at
    ]
    return min(edges, default=None)


def _furthest(request: ReadRequest, living: list[Grant]) -> Reason:
    for_purpose = [grant for grant in living if grant.for_purpose(request)]
    to_recipient = [grant for grant in for_purpose if request.recipient in grant.recipients]
    if any(request.jurisdiction in grant.jurisdictions for grant in to_recipient):
        return Reason.ROLE
    if to_recipient:
        return Reason.JURISDICTION
    if for_purpose:
        return Reason.RECIPIENT
    return Reason.PURPOSE if living else Reason.NO_GROUND
