"""The disposition certificate: the controller's signed word of what became of each field left bare."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, times, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.vocabulary import Field, Reference

CERTIFICATE_TYPE = "DispositionCertificate"
KEEP, SEAL, SHRED, DESTROY = "keep", "seal", "shred", "destroy"
DISPOSITIONS = frozenset({KEEP, SEAL, SHRED, DESTROY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Disposition:
    """What became of one field.

    A sealed one names the archive's ground and period, the box's digest and when it will be destroyed; a kept one the
    ground (credential id) that covers storing it. ``generation`` is that of the data key under which the value was
    sealed, ``bucket`` and ``epoch`` the bucket key that was destroyed with it. Of a box in the archive that was
    destroyed (``destroy``), ``archive_key`` is the archive key that ended, and every copy of the box with it.
    """

    field: Field
    disposition: str
    generation: int | None = None
    bucket: int | None = None
    epoch: int | None = None
    archive_digest: str | None = None
    archive_ground: str | None = None
    archive_period: str | None = None
    destroy_by: datetime | None = None
    kept_ground: str | None = None
    archive_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A recipient who was told to redact: the notice, the fields, until when; ``acknowledged`` once they signed so."""

    recipient: Did
    notice: Reference
    fields: frozenset[Field]
    deadline: datetime
    acknowledged: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A subject's dispositions out of one lapse; ``cause`` names what ended the grounds, e.g. the withdrawal's id.

    ``events`` are the ids of the events that tell of it in the log, ``told`` the recipients elsewhere: whoever has not
    acknowledged is still open, and a later certificate that ``supplements`` this one closes it.
    """

    id: str
    controller: Did
    subject_did: Did
    items: tuple[Disposition, ...]
    cause: str
    at: datetime
    digest: str
    events: frozenset[str] = frozenset()
    told: tuple[Told, ...] = ()
    supplements: Reference | None = None

    @property
    def open(self) -> tuple[Told, ...]:
        """The recipients who had not acknowledged when this was signed."""
        return tuple(one for one in self.told if one.acknowledged is None)


def build_certificate(
    *,
    id: str,
    controller: Did,
    subject_did: Did,
    items: Sequence[Disposition],
    cause: str,
    at: datetime,
    events: Iterable[str] = (),
    told: Sequence[Told] = (),
    supplements: Reference | None = None,
) -> dict[str, Any]:
    """An unsigned certificate, to be signed by the controller."""
    record: dict[str, Any] = {
        "type": "DispositionRecord",
        "hasDataController": controller,
        "dispositionCause": cause,
        "disposedAt": times.iso(at),
        "hasDisposition": [_write(item) for item in items],
    }
    if named := sorted(events):
        record["evidenceEvent"] = named
    if told:
        record["toldRecipient"] = [_write_told(one) for one in told]
    if supplements is not None:
        record["supplementsCertificate"] = vocabulary.write_reference(supplements)
    subject = {"id": subject_did, "hasDispositionRecord": record}
    return vocabulary.skeleton(CERTIFICATE_TYPE, id=id, issuer=controller, at=at, subject=subject)


def parse_certificate(credential: VerifiedCredential) -> Certificate:
    """Read a verified certificate; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    subject_did, node = vocabulary.claim(credential, CERTIFICATE_TYPE, "hasDispositionRecord")
    path = "credentialSubject.hasDispositionRecord"
    required = ("type", "hasDataController", "dispositionCause", "disposedAt", "hasDisposition")
    record = shape.exact(node, path, required, ("evidenceEvent", "toldRecipient", "supplementsCertificate"))
    vocabulary.kind(record, path, "DispositionRecord")
    listed = shape.objects(record, "hasDisposition", path)
    return Certificate(
        id=credential.id,
        controller=vocabulary.controller(record, path, credential.issuer),
        subject_did=subject_did,
        items=tuple(_read(item, f"{path}.hasDisposition[{i}]") for i, item in enumerate(listed)),
        cause=shape.text(record, "dispositionCause", path),
        at=shape.moment(record, "disposedAt", path),
        digest=credential.digest,
        events=shape.texts(record, "evidenceEvent", path) if "evidenceEvent" in record else frozenset(),
        told=_read_told(record, path) if "toldRecipient" in record else (),
        supplements=(
            vocabulary.read_reference(record, "supplementsCertificate", path)
            if "supplementsCertificate" in record
            else None
        ),
    )


def _write_told(one: Told) -> dict[str, Any]:
    node: dict[str, Any] = {
        "type": "ToldRecipient",
        "hasRecipient": one.recipient,
        "redactionNotice": vocabulary.write_reference(one.notice),
        "hasPersonalData": sorted(one.fields),
        "noticeDeadline": times.iso(one.deadline),
    }
    return node if one.acknowledged is None else node | {"acknowledgedAt": times.iso(one.acknowledged)}


def _read_told(record: Mapping[str, Any], path: str) -> tuple[Told, ...]:
    read = []
    for number, node in enumerate(shape.objects(record, "toldRecipient", path)):
        place = f"{path}.toldRecipient[{number}]"
        members = ("type", "hasRecipient", "redactionNotice", "hasPersonalData", "noticeDeadline")
        one = shape.exact(node, place, members, ("acknowledgedAt",))
        vocabulary.kind(one, place, "ToldRecipient")
        read.append(
            Told(
                recipient=shape.did(one, "hasRecipient", place),
                notice=vocabulary.read_reference(one, "redactionNotice", place),
                fields=frozenset(map(Field, shape.texts(one, "hasPersonalData", place))),
                deadline=shape.moment(one, "noticeDeadline", place),
                acknowledged=shape.moment(one, "acknowledgedAt", place) if "acknowledgedAt" in one else None,
            )
        )
    return tuple(read)


def _write(item: Disposition) -> dict[str, Any]:
    node = {
        "type": "Disposition",
        "field": item.field,
        "disposition": item.disposition,
        "generation": item.generation,
        "bucket": item.bucket,
        "epochEnded": item.epoch,
        "archiveDigest": item.archive_digest,
        "archiveGround": item.archive_ground,
        "archivePeriod": item.archive_period,
        "destroyBy": None if item.destroy_by is None else times.iso(item.destroy_by),
        "keptGround": item.kept_ground,
        "archiveKeyEnded": item.archive_key,
    }
    return {name: value for name, value in node.items() if value is not None}


def _read(node: Any, path: str) -> Disposition:
    optional = (
        "generation bucket epochEnded archiveDigest archiveGround archivePeriod destroyBy keptGround archiveKeyEnded"
    )
    item = shape.exact(node, path, ("type", "field", "disposition"), optional.split())
    vocabulary.kind(item, path, "Disposition")

    def number(name: str) -> int | None:
        return shape.number(item, name, path) if name in item else None

    return Disposition(
        field=Field(shape.text(item, "field", path)),
        disposition=shape.one_of(item, "disposition", path, DISPOSITIONS),
        generation=number("generation"),
        bucket=number("bucket"),
        epoch=number("epochEnded"),
        archive_digest=shape.optional_text(item, "archiveDigest", path),
        archive_ground=shape.optional_text(item, "archiveGround", path),
        archive_period=shape.optional_text(item, "archivePeriod", path),
        destroy_by=shape.moment(item, "destroyBy", path) if "destroyBy" in item else None,
        kept_ground=shape.iri(item, "keptGround", path) if "keptGround" in item else None,
        archive_key=shape.optional_text(item, "archiveKeyEnded", path),
    )
