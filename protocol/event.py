"""What happened: the types of events, their rendering as CloudEvents 1.0 and one JSON Schema per type."""

from collections.abc import Mapping
from typing import Any

from protocol.did import Did
from protocol.errors import EvidenceError

CONTROLLER_PUBLISHED = "controller.published"
CATALOGUE_DECLARED = "catalogue.declared"
CATALOGUE_PUBLISHED = "catalogue.published"
CATALOGUE_DRAFT_WITHDRAWN = "catalogue.draft_withdrawn"
CATALOGUE_SETTLED = "catalogue.settled"
IMPORT_COMPLETED = "import.completed"
IMPORT_UNDONE = "import.undone"
VALUE_COLLECTED = "value.collected"
VALUE_CORRECTED = "value.corrected"
VALUE_DELETED = "value.deleted"
ORGANISATION_CHANGED = "organisation.changed"
INVITATION_SENT = "invitation.sent"
ENROLMENT_COMPLETED = "enrolment.completed"
ENROLMENT_REFUSED = "enrolment.refused"
ENROLMENT_ENDED = "enrolment.ended"
ASK_MADE = "ask.made"
ASK_ENDED = "ask.ended"
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
GROUND_EXCLUDED = "ground.excluded"
GROUND_RESUMED = "ground.resumed"
REQUEST_RECEIVED = "request.received"
REQUEST_MOVED = "request.moved"
REQUEST_ANSWERED = "request.answered"
REQUEST_REFUSED = "request.refused"
REQUEST_DELIVERED = "request.delivered"
LOSS_REPORTED = "loss.reported"
LOSS_CONFIRMED = "loss.confirmed"
CHANNELS_TOLD = "channels.told"
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
LOG_RECOVERED = "log.recovered"
VALUE_DESTROYED = "value.destroyed"
ARCHIVE_REQUESTED = "archive.requested"
ARCHIVE_APPROVED = "archive.approved"
ARCHIVE_OPENED = "archive.opened"
ARCHIVE_ENDED = "archive.ended"
ARCHIVE_MOVED = "archive.moved"
NOTICE_ISSUED = "notice.issued"
NOTICE_ACKNOWLEDGED = "notice.acknowledged"
CLOCK_CONFIRMED = "clock.confirmed"
TOUCHPOINT_REGISTERED = "touchpoint.registered"
TOUCHPOINT_APPROVED = "touchpoint.approved"
TOUCHPOINT_ENDED = "touchpoint.ended"
VALUE_HELD = "value.held"
HELD_ENDED = "held.ended"

TYPES = frozenset({
    CATALOGUE_DECLARED, CATALOGUE_SETTLED, CONTROLLER_PUBLISHED, CATALOGUE_PUBLISHED, IMPORT_COMPLETED,
    VALUE_COLLECTED, VALUE_CORRECTED, VALUE_DELETED, ORGANISATION_CHANGED, INVITATION_SENT, ENROLMENT_COMPLETED,
    ENROLMENT_REFUSED, ENROLMENT_ENDED,
    ASK_MADE, CONSENT_GIVEN, CONSENT_NARROWED, CONSENT_REFUSED, CONSENT_WITHDRAWN, CONSENT_REVOKED, CONSENT_EXPIRED,
    CONSENT_SHUT, GROUND_DECLARED, GROUND_APPROVED, GROUND_ENDED, RELEASE, REFUSAL, ATTEMPT_REFUSED,
    SUBJECT_QUARANTINED, VALUE_SEALED, VALUE_SHREDDED, VALUE_KEPT, VALUE_RESTORED, CERTIFICATE_ISSUED,
    BUNDLE_EXPORTED, VALUE_DESTROYED, ARCHIVE_REQUESTED, ARCHIVE_APPROVED, ARCHIVE_OPENED, ARCHIVE_ENDED,
    ARCHIVE_MOVED, NOTICE_ISSUED, NOTICE_ACKNOWLEDGED, CLOCK_CONFIRMED, TOUCHPOINT_REGISTERED, TOUCHPOINT_APPROVED,
    TOUCHPOINT_ENDED, VALUE_HELD, HELD_ENDED, IMPORT_UNDONE, LOG_RECOVERED, GROUND_EXCLUDED, GROUND_RESUMED,
    REQUEST_RECEIVED, REQUEST_MOVED, REQUEST_ANSWERED, REQUEST_REFUSED, REQUEST_DELIVERED, LOSS_REPORTED,
    LOSS_CONFIRMED, CHANNELS_TOLD, ASK_ENDED, CATALOGUE_DRAFT_WITHDRAWN,
})  # fmt: skip

NAMESPACE = "https://ns.fieldgrant.example/events"

_TOLD: Mapping[str, tuple[str, ...]] = {
    ENROLMENT_COMPLETED: ("enrolment", "digest", "did"),
    ENROLMENT_REFUSED: ("code",),
    ENROLMENT_ENDED: ("enrolment",),
    INVITATION_SENT: ("invitation", "channel"),
    ASK_MADE: ("ask", "digest", "processes"),
    ASK_ENDED: ("credential", "processes"),
    CONSENT_GIVEN: ("consent", "digest"),
    CONSENT_NARROWED: ("consent", "digest", "replaces"),
    CONSENT_REFUSED: ("refusal", "digest", "ask"),
    CONSENT_WITHDRAWN: ("consent", "withdrawal", "digest"),
    CONSENT_REVOKED: ("consent",),
    CONSENT_EXPIRED: ("consent",),
    CONSENT_SHUT: ("version",),
    IMPORT_UNDONE: ("run",),
    GROUND_DECLARED: ("ground", "digest"),
    GROUND_APPROVED: ("ground", "digest"),
    GROUND_ENDED: ("ground",),
    GROUND_EXCLUDED: ("exclusion", "digest", "version", "excepts"),
    GROUND_RESUMED: ("exclusion", "lift", "version"),
    REQUEST_RECEIVED: ("request", "digest", "kind"),
    REQUEST_MOVED: ("request", "kind", "state"),
    REQUEST_ANSWERED: ("request", "kind"),
    REQUEST_REFUSED: ("request", "kind"),
    REQUEST_DELIVERED: ("request", "kind", "fields", "digest"),
    LOSS_REPORTED: ("loss", "method"),
    LOSS_CONFIRMED: ("loss",),
    CHANNELS_TOLD: ("loss", "channels"),
    CATALOGUE_DECLARED: ("catalogue", "digest", "number"),
    CATALOGUE_PUBLISHED: ("catalogue", "digest", "number"),
    CATALOGUE_SETTLED: ("catalogue", "number"),
    CATALOGUE_DRAFT_WITHDRAWN: ("catalogue", "number"),
    ATTEMPT_REFUSED: ("code",),
    SUBJECT_QUARANTINED: ("state",),
    CERTIFICATE_ISSUED: ("certificate", "digest", "fields"),
    VALUE_DELETED: ("fields", "gone"),
    ORGANISATION_CHANGED: ("organisation", "change"),
    LOG_RECOVERED: ("size", "lost", "unknown"),
    VALUE_DESTROYED: ("field", "digest", "archive_key"),
    ARCHIVE_REQUESTED: ("request", "kind", "reason"),
    ARCHIVE_APPROVED: ("request", "kind"),
    ARCHIVE_OPENED: ("request", "field", "reason", "legal_ground", "approved_by"),
    ARCHIVE_ENDED: ("archive_key", "cause"),
    ARCHIVE_MOVED: ("period", "to"),
    NOTICE_ISSUED: ("notice", "digest", "fields", "recipient"),
    NOTICE_ACKNOWLEDGED: ("notice", "acknowledgement", "digest", "action"),
    CLOCK_CONFIRMED: ("by", "reason"),
    TOUCHPOINT_REGISTERED: ("touchpoint", "digest", "did"),
    TOUCHPOINT_APPROVED: ("touchpoint", "digest", "did"),
    TOUCHPOINT_ENDED: ("touchpoint", "did"),
    VALUE_HELD: ("upload", "fields", "destroy_by"),
    HELD_ENDED: ("upload", "fields", "how"),
}
"""What the data of an event's records must at least say, where the type alone does not say it."""

_RECORD = ("id", "type", "time", "subject", "header", "data")


def schema(type: str) -> dict[str, Any]:
    """JSON Schema (2020-12) of one record's body of this type; EvidenceError ``unknown_event``.

    Bodies name fields, never values; members beyond those required may be added by later versions.
    """
    _known(type)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{NAMESPACE}/{type}/v1",
        "title": type,
        "type": "object",
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "type": {"const": type},
            "time": {"type": "string", "format": "date-time"},
            "subject": {"type": ["string", "null"], "pattern": "^sub_[a-z2-7]{26}$"},
            "header": {"type": "object"},
            "data": {"type": "object", "required": list(_TOLD.get(type, ()))},
        },
        "required": list(_RECORD),
        "additionalProperties": False,
    }


def check(body: Mapping[str, Any]) -> None:
    """Refuse a record's body that its type's schema does not allow; EvidenceError ``unknown_event``, ``bad_event``."""
    type_ = body.get("type")
    _known(type_)
    if set(body) != set(_RECORD):
        raise EvidenceError("bad_event", "a record has exactly six members")
    for name in ("header", "data"):
        if not isinstance(body[name], Mapping):
            raise EvidenceError("bad_event", "must be an object", field=name)
    for name in ("id", "time"):
        if not isinstance(body[name], str) or not body[name]:
            raise EvidenceError("bad_event", "must be a text", field=name)
    if body["subject"] is not None and not isinstance(body["subject"], str):
        raise EvidenceError("bad_event", "must be a reference or nothing", field="subject")
    for name in _TOLD.get(str(type_), ()):
        if name not in body["data"]:
            raise EvidenceError("bad_event", "is missing", field=f"data.{name}")


def cloud_event(body: Mapping[str, Any], *, source: Did, number: int = 0) -> dict[str, Any]:
    """One record as a CloudEvent 1.0, structured mode; ``number`` is the record's place in its event.

    Raises:
        EvidenceError: ``unknown_event``, ``bad_event``.
    """
    check(body)
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{body['id']}#{number}",
        "source": source,
        "type": f"example.fieldgrant.{body['type']}.v1",
        "time": body["time"],
        "datacontenttype": "application/json",
        "dataschema": f"{NAMESPACE}/{body['type']}/v1",
        "data": {"header": dict(body["header"]), "data": dict(body["data"])},
    }
    if body["subject"] is not None:
        event["subject"] = body["subject"]
    return event


def _known(type: object) -> None:
    if type not in TYPES:
        raise EvidenceError("unknown_event", "no event is of this type", field="type")
