"""One upload as it comes: its shape, and the first of the two checks, that of the purpose that it declares.

What was sent is never repeated in an answer: a field that the catalogue does not know is named by its place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from crm_core import normal
from crm_core.gateway.uploader import Uploader
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from issuer.catalogue.entries import FieldEntry, PurposeEntry
from protocol import canonical, times
from protocol.consent import COLLECT, Field, Purpose, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.signature import CLOCK_SKEW

MAX_VALUES: Final = 128
OLDEST: Final = timedelta(days=90)  # a vehicle may have stood in a garage for long

_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SUBJECT = re.compile(r"sub_[a-z2-7]{26}")
_REQUIRED = frozenset({"id", "purpose", "values", "collected_at"})
_MEMBERS = _REQUIRED | {"subject", "ground"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a touchpoint says it collected about one customer.

    `subject` is a reference, a wallet's DID, or None for somebody new; `ground` the id of a consent or of a statutory
    ground; `consent` the consent itself, as canonical bytes; `body` the canonical bytes of the upload.
    """

    id: str
    subject: SubjectId | Did | None
    purpose: str
    ground: str | None
    consent: bytes | None
    values: Mapping[str, Any]
    collected_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class Declared:
    """An upload's purpose and values after the first check: those in their normal form, or codes of what is wrong."""

    purpose: Purpose
    values: Mapping[Field, Value]
    refused: Mapping[str, str]


def identify(node: object) -> str:
    """The id of an upload: `urn:uuid:…`, so that it can hold nothing personal. EvidenceError `bad_upload`."""
    id_ = node.get("id") if isinstance(node, dict) else None
    if not isinstance(id_, str) or _UUID.fullmatch(id_) is None:
        raise _bad("id", "must be urn:uuid: and a UUID in lower case")
    return id_


def read(node: dict[str, Any], at: datetime) -> Upload:
    """An upload from JSON; `at` is now. EvidenceError `bad_upload`, `bad_datetime`, `collected_when`, those of JCS."""
    id_ = identify(node)
    if not node.keys() >= _REQUIRED or not node.keys() <= _MEMBERS:
        raise _bad("uploads", "a member is missing, or one is not known")
    values, ground, purpose = node["values"], node.get("ground"), node["purpose"]
    if not isinstance(values, dict) or not 0 < len(values) <= MAX_VALUES:
        raise _bad("values", f"must be an object with 1 to {MAX_VALUES} fields")
    if not isinstance(purpose, str) or not purpose:
        raise _bad("purpose", "must be a text")
    if (
        ground is not None
        and not isinstance(ground, dict)
        and not (isinstance(ground, str) and _UUID.fullmatch(ground))
    ):
        raise _bad("ground", "must be the id of a ground, or the consent itself")
    collected = times.parse(node["collected_at"], field="collected_at")
    if not at - OLDEST <= collected <= at + CLOCK_SKEW:
        raise EvidenceError("collected_when", "collected too long ago, or in the future", field="collected_at")
    return Upload(
        id=id_,
        subject=_subject(node.get("subject")),
        purpose=purpose,
        ground=ground if isinstance(ground, str) else None,
        consent=canonical.jcs(ground) if isinstance(ground, dict) else None,
        values=values,
        collected_at=collected,
        body=canonical.jcs(node),
    )


def declared(catalogue: Catalogue, uploader: Uploader, upload: Upload) -> Declared:
    """The first check: the purpose exists, whoever uploads may bring each field for it, and it is needed for it.

    EvidenceError `unknown_purpose`.
    """
    entry = catalogue.purpose(upload.purpose)
    purpose = Purpose(entry.iri)
    allowed = uploader.may_bring(purpose)
    values: dict[Field, Value] = {}
    refused: dict[str, str] = {}
    for place, (name, sent) in enumerate(upload.values.items()):
        known = catalogue.fields.get(name)
        if known is None:
            refused[f"values[{place}]"] = "unknown_field"
            continue
        field = Field(name)
        why = _undeclared(known, field, entry, allowed)
        try:
            value = None if why else _normal(known, sent)
        except EvidenceError as error:
            why, value = error.code, None
        if value is None:
            refused[field] = why or "blank"
        else:
            values[field] = value
    return Declared(purpose, values, refused)


def _undeclared(known: FieldEntry, field: Field, entry: PurposeEntry, allowed: frozenset[Field]) -> str | None:
    if not allowed:
        return "purpose_not_registered"
    if field not in allowed:
        return "field_not_registered"
    if field not in entry.necessity:
        return "field_not_needed"
    if COLLECT not in entry.processing:  # any more: consents that say so live on
        return "not_for_collection"
    return None


def _normal(entry: FieldEntry, sent: object) -> Value | None:
    """A JSON value in the normal form of its field. EvidenceError: a code of `normal`, `bad_value`."""
    if entry.many:
        listed = sent if isinstance(sent, list) else [sent]
        texts = [one for one in listed if isinstance(one, str)]
        if len(texts) < len(listed):
            raise EvidenceError("bad_value", "a list of texts is expected")
        return list(normal.many(entry.type, texts)) or None
    if isinstance(sent, bool):
        if entry.type != "boolean":
            raise EvidenceError("bad_value", "neither true nor false is expected")
        return sent
    if isinstance(sent, (int, float)) and entry.type == "number":
        return int(sent) if float(sent).is_integer() else sent
    if not isinstance(sent, str):
        raise EvidenceError("bad_value", "a text is expected")
    return normal.normal(entry.type, sent)


def _subject(node: object) -> SubjectId | Did | None:
    if node is None:
        return None
    if isinstance(node, str) and _SUBJECT.fullmatch(node):
        return SubjectId(node)
    if isinstance(node, str) and node.startswith("did:key:") and len(node) < 200:
        return Did(node)
    raise _bad("subject", "must be a customer's reference, a wallet's DID, or null")


def _bad(field: str, detail: str) -> EvidenceError:
    return EvidenceError("bad_upload", detail, field=field)
