"""What a customer gets who asks what is held (GDPR art. 15, PIPL art. 45), or takes it along (art. 20, art. 45(3)).

The documents are made when they are fetched, rest nowhere, and leave sealed for their one reader. What other parties
know (the archive, the log) is handed in by composition.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, or_, select

from crm_core import origin
from crm_core.gateway import held
from crm_core.reading import vcards
from crm_core.rights import opening
from issuer import grounds, requests, signed
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE, Credential
from protocol import times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.keyring import KeyGone
from runtime.platform import Platform
from verifier import disclosure

Json = dict[str, Any]
SCHEMA = "https://ns.fieldgrant.example/rights/{kind}/v1"
INFERRED = ("inferred", "derived", "scored")  # sources whose values the customer did not provide
_PAPERS = ("enrolment", "consent", "withdrawal", "refusal", "receipt", "certificate", "exclusion", "lift")


@dataclass(frozen=True, slots=True)
class Beyond:
    """What lies with other parties: the subject's archived fields without values, and every event about the subject."""

    archived: Callable[[Session, SubjectId], Sequence[Mapping[str, Any]]]
    history: Callable[[Session, SubjectId], Iterable[Mapping[str, Any]]]


def nothing(_session: Session, _subject: SubjectId) -> Sequence[Mapping[str, Any]]:
    """Where no other party is at hand."""
    return ()


NOTHING = Beyond(nothing, nothing)


def access(platform: Platform, catalogue: Catalogue, beyond: Beyond, subject: SubjectId, about: Json) -> Json:
    """Everything held about a subject, with where it came from, who got it, why and for how long.

    `about` names request, controller and instant. Problem 404 `unknown_subject`, 503 `keys_moving`.
    """
    opened = opening.everything(platform, subject)
    at = platform.clock.now()
    with platform.database.read() as session:
        came = _provenance(session, subject)
        went = [asdict(one) for one in disclosure.of_subject(session, subject)]
        return {
            **about,
            "schema": SCHEMA.format(kind="access"),
            "since": opened.created_at,
            "catalogue": catalogue.version,
            "fields": [_field(catalogue, field, value, came) for field, value in sorted(opened.values.items())],
            "items": [
                {"item": item, "fields": [_field(catalogue, field, value, {}) for field, value in values.items()]}
                for item, values in opened.items.items()
            ],
            "unreadable": list(opened.unreadable),
            "waiting": _held(session, platform, subject),
            "archived": [dict(one) for one in beyond.archived(session, subject)],
            "recipients": went,
            "purposes": _purposes(catalogue),
            "grounds": grounds.listed(session, at, subject=subject),
            "requests": [
                {name: one[name] for name in ("id", "kind", "state", "received_at", "due_at", "closed_at")}
                for one in requests.listed(session, platform, subject=subject)
            ],
            "papers": _papers(session, subject),
            "history": [dict(one) for one in beyond.history(session, subject)],
            "rights": RIGHTS,
        }


def portable(platform: Platform, catalogue: Catalogue, subject: SubjectId, about: Json) -> Json:
    """What the subject provided, for another controller: JSON (`data`) and a vCard 4.0. Errors as of `access`."""
    opened = opening.everything(platform, subject)
    with platform.database.read() as session:
        came = _provenance(session, subject)
    values = {field: value for field, value in opened.values.items() if _provided(came.get(field, []))}
    return {
        **about,
        "schema": SCHEMA.format(kind="portability"),
        "data": {
            "values": [
                {"field": field, "category": _category(catalogue, field), "value": value}
                for field, value in sorted(values.items())
            ],
            "items": [
                {"values": [{"field": field, "value": value} for field, value in sorted(item.items())]}
                for item in opened.items.values()
            ],
        },
        "vcard": vcards.write(subject, values),
    }


def names(document: Json) -> list[str]:
    """The fields that an answer holds values of, for the record."""
    whole = document if "fields" in document else document["data"]
    values, name = (whole["fields"], "fields") if "fields" in whole else (whole["values"], "values")
    return sorted({one["field"] for one in [*values, *(one for item in whole["items"] for one in item[name])]})


def about(platform: Platform, row: requests.DataRequest, at: datetime) -> Json:
    """What an answer says of itself, inside the box: whose it is, by whom, for which request."""
    return {
        "kind": row.kind,
        "controller": platform.controller,
        "subject": row.subject,
        "request": row.id,
        "for": row.did,
        "at": times.iso(at),
    }


def _field(catalogue: Catalogue, field: Field, value: Any, came: Mapping[Field, list[Json]]) -> Json:
    entry = catalogue.fields.get(field)
    told: Json = {"field": field, "value": value, "provenance": came.get(field, [])}
    if entry is None:  # of an older catalogue
        return told
    retention = {
        "after_its_last_ground": entry.disposition, "legal_ground": entry.legal_ground,
        "destroyed_after": entry.destroy_after,
    }  # fmt: skip
    return told | {
        "category": entry.category,
        "sensitive": entry.sensitive,
        "labels": dict(entry.labels),
        "retention": {name: said for name, said in retention.items() if said is not None},
    }


def _provenance(session: Session, subject: SubjectId) -> dict[Field, list[Json]]:
    found: dict[Field, list[Json]] = {}
    for one in origin.of_subject(session, subject):
        told = {
            "source": one.source, "row": one.row or None, "importer": one.importer, "at": one.at, "event": one.event_id,
            "destroy_by": one.destroy_by,
        }  # fmt: skip
        found.setdefault(one.field, []).append({name: said for name, said in told.items() if said is not None})
    return found


def _provided(came: Sequence[Json]) -> bool:
    """Was the newest value given by the subject or observed with them, and not concluded about them (WP 242)?"""
    return not came or not str(came[-1]["source"]).startswith(INFERRED)


def _category(catalogue: Catalogue, field: Field) -> str | None:
    entry = catalogue.fields.get(field)
    return None if entry is None else entry.category


def _held(session: Session, platform: Platform, subject: SubjectId) -> list[Json]:
    """Uploads that wait for a ground, with their values: they are held, too."""
    rows = session.exec(select(held.HeldUpload).where(held.HeldUpload.subject == subject)).all()
    return [_waiting(platform, row) for row in rows]


def _waiting(platform: Platform, row: held.HeldUpload) -> Json:
    told: Json = {"touchpoint": row.touchpoint, "purpose": row.purpose, "at": row.at, "destroy_by": row.destroy_by}
    try:
        return told | {"values": dict(held.open_lot(platform, row).values)}
    except (EvidenceError, KeyGone):
        return told | {"values": None}


def _purposes(catalogue: Catalogue) -> list[Json]:
    return [
        {
            "key": one.key, "purpose": one.iri, "labels": dict(one.labels), "fields": sorted(one.necessity),
            "roles": sorted(one.roles), "recipients": sorted(one.recipients),
            "jurisdictions": sorted(one.jurisdictions), "data_life": one.duration,
        }
        for one in catalogue.purposes.values()
    ]  # fmt: skip


def _papers(session: Session, subject: SubjectId) -> list[Json]:
    """Every signed statement about the subject, as signed."""
    mine = or_(Credential.subject == subject, Credential.subject == EVERYONE)
    rows = session.exec(select(Credential).where(mine).order_by(Credential.at)).all()
    return [{"kind": row.kind, "credential": signed.document(row)} for row in rows if row.kind in _PAPERS]


RIGHTS = {
    "en": (
        "You may ask for correction, erasure, restriction and a copy to take along, object, and withdraw every "
        "consent, with your wallet or at our data protection officer. You may complain to a supervisory authority."
    ),
    "zh-CN": (
        "您可以通过钱包或我们的个人信息保护负责人请求更正、删除、限制处理、转移副本，提出反对，并撤回任何同意。您有权向监管部门投诉。"
    ),
}
