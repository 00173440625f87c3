"""What happened: the types of events, their rendering as CloudEvents 1.0 and one JSON Schema per type."""

from collections.abc import Mapping
from typing import Any

from protocol.did import Did
from protocol.errors import EvidenceError

CONTROLLER_PUBLISHED = "controller.published"
CATALOGUE_PUBLISHED = "catalogue.published"
IMPORT_COMPLETED = "import.completed"
VALUE_COLLECTED = "value.collected"
VALUE_CORRECTED = "value.corrected"
INVITATION_SENT = "invitation.sent"
ENROLMENT_COMPLETED = "enrolment.completed"
ENROLMENT_REFUSED = "enrolment.refused"
ENROLMENT_ENDED = "enrolment.ended"
ASK_MADE = "ask.made"
CONSENT_GIVEN = "consent.given"
CONSENT_NARROWED = "consent.narrowed"
CONSENT_REFUSED = "consent.refused"
CONSENT_WITHDRAWN = "consent.withdrawn"
CONSENT_REVOKED = "consent.revoked"
CONSENT_EXPIRED = "consent.expired"
CONSENT_SHUT = "consent.shut"
GROUND_DECLARED = "ground.declared"
GROUND_APPROVED = "ground.approved"
GROUND_ENDED = "ground.ended"
RELEASE = "release"
REFUSAL = "refusal"
ATTEMPT_REFUSED = "attempt.refused"
SUBJECT_QUARANTINED = "subject.quarantined"
VALUE_SEALED = "value.sealed"
VALUE_SHREDDED = "value.shredded"
VALUE_KEPT = "value.kept"
VALUE_RESTORED = "value.restored"
CERTIFICATE_ISSUED = "certificate.issued"
BUNDLE_EXPORTED = "bundle.exported"

TYPES = frozenset({
    CONTROLLER_PUBLISHED, CATALOGUE_PUBLISHED, IMPORT_COMPLETED, VALUE_COLLECTED, VALUE_CORRECTED, INVITATION_SENT,
    ENROLMENT_COMPLETED, ENROLMENT_REFUSED, ENROLMENT_ENDED, ASK_MADE, CONSENT_GIVEN, CONSENT_NARROWED, CONSENT_REFUSED,
    CONSENT_WITHDRAWN, CONSENT_REVOKED, CONSENT_EXPIRED, CONSENT_SHUT, GROUND_DECLARED, GROUND_APPROVED, GROUND_ENDED,
    RELEASE, REFUSAL, ATTEMPT_REFUSED, SUBJECT_QUARANTINED, VALUE_SEALED, VALUE_SHREDDED, VALUE_KEPT, VALUE_RESTORED,
    CERTIFICATE_ISSUED, BUNDLE_EXPORTED,
})  # fmt: skip

NAMESPACE = "https://ns.fieldgrant.example/events"
