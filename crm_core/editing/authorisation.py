"""Whether a write is covered: which fields of a customer a visit may see, and which it may take in.

A value that staff enter is a use of what the customer allowed: the field must be released to the visit (so nothing can
be probed or overwritten that its writer may not see), and a value that was not there before needs a ground that
covers collecting it (`dpv:Collect`) for the same purpose. Both come from grounds that are verified anew inside the
write transaction: a withdrawal that was committed before it is seen, and one that comes later finds the value stored
and has it disposed of.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import replace as changed

from sqlmodel import Session

from issuer.catalogue import Catalogue
from protocol.consent import COLLECT, USE, Field, GroundId, Processing, Purpose, SubjectId
from runtime.platform import Platform
from runtime.problem import Problem
from verifier import grounds, quarantine, rule
from verifier.gate import Visit
from verifier.grant import ReadRequest


@dataclass(frozen=True, slots=True)
class Authority:
    """What the grounds of one customer allow one visit: `seen` to use, `taken` to collect, each with its ground."""

    seen: Mapping[Field, GroundId]
    taken: Mapping[Field, GroundId]

    def require_seen(self, fields: Iterable[Field]) -> None:
        """Refuse fields that are withheld from the visit. Problem 403 `not_granted`, the first one named."""
        for field in sorted(fields):
            if field not in self.seen:
                raise Problem(403, "not_granted", f"{field} is not granted for this purpose.", field=field)

    def require_taken(self, fields: Iterable[Field]) -> None:
        """Refuse new values without a ground that covers collecting them. Problem 403 `no_ground_to_collect`."""
        self.require_seen(fields := sorted(fields))
        for field in fields:
            if field not in self.taken:
                text = f"No ground covers collecting {field} for this purpose."
                raise Problem(403, "no_ground_to_collect", text, field=field)


_NOTHING = Authority({}, {})


def of(session: Session, platform: Platform, catalogue: Catalogue, visit: Visit, subject: SubjectId) -> Authority:
    """What the visit may do with this customer's fields, by grounds alone: never by what is stored.

    A quarantined customer, an unknown one and one whose standing is below the journal's floor allow nothing. Raises
    JournalError, ClockError.
    """
    platform.journal.refresh()
    at = platform.clock.now()  # not the visit's: it may have waited for its turn to write
    if quarantine.among(session, [subject]):
        return _NOTHING
    evidence = next(iter(grounds.collect(session, [subject])), None)
    if evidence is None or evidence.version < platform.journal.floor(subject):
        return _NOTHING
    found = grounds.examine(platform, catalogue, evidence, at).grants
    every = frozenset(Field(field) for field in catalogue.fields)

    def covered(processing: Processing, fields: Collection[Field]) -> Mapping[Field, GroundId]:
        return rule.decide(
            _request(catalogue, changed(visit, at=at), subject, processing, frozenset(fields)), found
        ).grounds

    seen = covered(USE, every)
    collects = COLLECT in catalogue.purpose(visit.purpose).processing  # consents from before may say more
    return Authority(seen=seen, taken=covered(COLLECT, seen.keys()) if collects else {})


def _request(
    catalogue: Catalogue, visit: Visit, subject: SubjectId, processing: Processing, fields: frozenset[Field]
) -> ReadRequest:
    """The question that an allowance answers too: a ground must hold for every role that may act for the purpose."""
    return ReadRequest(
        reader=visit.reader.did,
        recipient=visit.recipient,
        subject=subject,
        fields=fields,
        purpose=Purpose(visit.purpose),
        processing=processing,
        jurisdiction=visit.jurisdiction,
        roles=catalogue.purpose(visit.purpose).roles,
        at=visit.at,
    )
