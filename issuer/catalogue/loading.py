"""Read a catalogue from YAML, strictly: what is not understood is refused, and the message says where."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from issuer.catalogue.entries import (
    ANY,
    CONTROLLER,
    Catalogue,
    Disposition,
    FieldEntry,
    Item,
    Mechanism,
    Necessity,
    Notice,
    PurposeEntry,
    RecipientEntry,
)
from protocol import canonical, times
from protocol import did as dids
from protocol.errors import EvidenceError

DEFAULT = Path(__file__).with_name("default.yaml")
LANGUAGES = ("en", "zh-CN")
ROLES = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin", "mailer", "steward"})
TYPES = frozenset({"text", "email", "phone", "boolean", "number", "date", "datetime", "url", "tags"})
PROCESSING = frozenset({"dpv:Use", "dpv:Collect"})
_FIELD_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_KEY = re.compile(r"[a-z][a-z0-9-]*")
_FIELD_KEYS = frozenset(
    {
        "bit", "category", "sensitive", "labels", "type", "disposition", "legal_ground", "period", "destroy_after",
        "many", "item",
    }
)  # fmt: skip
_PURPOSE_KEYS = frozenset(
    {
        "iri", "labels", "necessity", "separate_consent", "roles", "consent_only", "recipients", "jurisdictions",
        "duration", "consent_life", "processing", "ask_again_after",
    }
)  # fmt: skip
_PURPOSE_MAY = frozenset({"separate_consent", "recipients", "jurisdictions", "processing", "ask_again_after"})
_RECIPIENT_NEEDS = frozenset({"did", "labels", "jurisdiction", "mechanism"})
_PLACE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?")  # ISO 3166-1 and -2


class CatalogueError(Exception):
    """The catalogue cannot be used. `code` is `bad_catalogue`, `place` the path to the fault, e.g.

    `fields.contact.email.bit`.
    """

    code = "bad_catalogue"

    def __init__(self, place: str, detail: str) -> None:
        super().__init__(f"{place}: {detail}")
        self.place = place
        self.detail = detail


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice (PyYAML would silently take the last), and aliases, which can grow."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As the base class does it."""
        if self.check_event(yaml.AliasEvent):
            raise CatalogueError(f"line {self.line + 1}", "aliases are not known here: write it out")
        return super().compose_node(parent, index)


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise CatalogueError(f"line {key_node.start_mark.line + 1}", f"{key!r} is given twice")
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def load(path: Path | None = None) -> Catalogue:
    """Read and check a catalogue (the packaged default without a path); CatalogueError says where it is wrong."""
    return build(parse((path or DEFAULT).read_text(encoding="utf-8")))


def parse(text: str) -> Any:
    """YAML (JSON is YAML) as plain data, keys given twice refused. CatalogueError."""
    try:
        # _StrictLoader is a SafeLoader, which the linter cannot see
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except RecursionError:
        raise CatalogueError("file", "nested too deep") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise CatalogueError(f"line {mark.line + 1}" if mark else "file", "this is not YAML") from None


def build(content: Any, *, kept: Iterable[str] = ()) -> Catalogue:
    """A catalogue out of plain data, checked. `kept` are removed purposes whose notices stay. CatalogueError."""
    top = _members(content, "catalogue", {"version", "fields", "purposes", "notices"}, allowed={"recipients"})
    fields = {key: _field(key, node) for key, node in _named(top["fields"], "fields").items()}
    _distinct("fields", "bit", ((key, entry.bit) for key, entry in fields.items()))
    listed = _named(top["recipients"], "recipients") if "recipients" in top else {}
    recipients = {key: _recipient(key, node) for key, node in listed.items()}
    _distinct("recipients", "did", ((key, (one.did, one.jurisdiction)) for key, one in recipients.items()))
    purposes = {
        key: _purpose(key, node, fields, recipients) for key, node in _named(top["purposes"], "purposes").items()
    }
    _distinct("purposes", "iri", ((key, entry.iri) for key, entry in purposes.items()))
    return Catalogue(
        version=_text(top["version"], "version"),
        digest=canonical.digest(canonical.jcs(content)),
        fields=fields,
        purposes=purposes,
        recipients=recipients,
        notices=_notices(top["notices"], purposes, frozenset(kept)),
    )


def _field(key: str, node: Any) -> FieldEntry:
    place = f"fields.{key}"
    if not _FIELD_ID.fullmatch(key):
        raise CatalogueError(place, "a field's id is lower case ASCII with dots, such as contact.email")
    entry = _members(node, place, {"bit", "category", "labels", "type", "disposition"}, allowed=_FIELD_KEYS)
    bit = entry["bit"]
    if not isinstance(bit, int) or isinstance(bit, bool) or not 0 <= bit <= 127:
        raise CatalogueError(f"{place}.bit", "must be a whole number from 0 to 127")
    disposition = _one_of(entry["disposition"], get_args(Disposition), f"{place}.disposition")
    archive = {name: entry.get(name) for name in ("legal_ground", "period", "destroy_after")}
    for name, value in archive.items():
        if (value is not None) != (disposition == "seal"):
            raise CatalogueError(f"{place}.{name}", "is needed by, and only by, a field that is sealed")
    return FieldEntry(
        id=key,
        bit=bit,
        category=_text(entry["category"], f"{place}.category"),
        sensitive=_flag(entry.get("sensitive", False), f"{place}.sensitive"),
        labels=_labels(entry["labels"], f"{place}.labels"),
        type=_one_of(entry["type"], TYPES, f"{place}.type"),
        disposition=cast(Disposition, disposition),
        legal_ground=None if disposition != "seal" else _text(archive["legal_ground"], f"{place}.legal_ground"),
        period=None if disposition != "seal" else _text(archive["period"], f"{place}.period"),
        destroy_after=None if disposition != "seal" else _duration(archive["destroy_after"], f"{place}.destroy_after"),
        many=_flag(entry.get("many", False), f"{place}.many"),
        item=cast(Item, _one_of(entry["item"], get_args(Item), f"{place}.item")) if "item" in entry else None,
    )


def _recipient(key: str, node: Any) -> RecipientEntry:
    place = f"recipients.{key}"
    if not _KEY.fullmatch(key):
        raise CatalogueError(place, "a recipient's key is lower case ASCII with hyphens")
    entry = _members(node, place, _RECIPIENT_NEEDS, allowed={"mechanism_until", "notice_endpoint"})
    mechanism = cast(Mechanism, _one_of(entry["mechanism"], get_args(Mechanism), f"{place}.mechanism"))
    if ("mechanism_until" in entry) == (mechanism == "none_needed"):
        raise CatalogueError(f"{place}.mechanism_until", "is needed by every mechanism but none_needed")
    jurisdiction = _text(entry["jurisdiction"], f"{place}.jurisdiction")
    if not _PLACE.fullmatch(jurisdiction):
        raise CatalogueError(f"{place}.jurisdiction", "must be a code of ISO 3166 such as CN or US-CA")
    endpoint = entry.get("notice_endpoint")
    if endpoint is not None and not _text(endpoint, f"{place}.notice_endpoint").startswith("https://"):
        raise CatalogueError(f"{place}.notice_endpoint", "must be an https URL")
    return RecipientEntry(
        key=key,
        did=_did(entry["did"], f"{place}.did"),
        labels=_labels(entry["labels"], f"{place}.labels"),
        jurisdiction=jurisdiction,
        mechanism=mechanism,
        mechanism_until=_instant(entry["mechanism_until"], f"{place}.mechanism_until")
        if "mechanism_until" in entry
        else None,
        notice_endpoint=endpoint,
    )


def _purpose(
    key: str, node: Any, fields: Mapping[str, FieldEntry], recipients: Mapping[str, RecipientEntry]
) -> PurposeEntry:
    place = f"purposes.{key}"
    if not _KEY.fullmatch(key):
        raise CatalogueError(place, "a purpose's key is lower case ASCII with hyphens")
    entry = _members(node, place, _PURPOSE_KEYS - _PURPOSE_MAY, allowed=_PURPOSE_KEYS)
    iri = _text(entry["iri"], f"{place}.iri")
    if not iri.startswith("https://"):
        raise CatalogueError(f"{place}.iri", "must be an https IRI")
    necessity = _named(entry["necessity"], f"{place}.necessity")
    for field in necessity:
        if field not in fields:
            raise CatalogueError(f"{place}.necessity.{field}", "no such field")
    separate = _flag(entry.get("separate_consent", False), f"{place}.separate_consent")
    for field in necessity:
        if fields[field].sensitive and not separate:
            raise CatalogueError(f"{place}.necessity.{field}", "sensitive fields need separate_consent (PIPL 29)")
    abroad = _abroad(entry, place, recipients, separate=separate)
    return PurposeEntry(
        key=key,
        iri=iri,
        labels=_labels(entry["labels"], f"{place}.labels"),
        necessity={
            field: cast(Necessity, _one_of(need, get_args(Necessity), f"{place}.necessity.{field}"))
            for field, need in necessity.items()
        },
        separate_consent=separate,
        roles=frozenset(_one_of(role, ROLES, f"{place}.roles") for role in _texts(entry["roles"], f"{place}.roles")),
        consent_only=_flag(entry["consent_only"], f"{place}.consent_only"),
        recipients=abroad["recipients"],
        jurisdictions=abroad["jurisdictions"],
        duration=_duration(entry["duration"], f"{place}.duration"),
        consent_life=_duration(entry["consent_life"], f"{place}.consent_life"),
        processing=_processing(entry.get("processing", ["dpv:Use"]), f"{place}.processing"),
        ask_again_after=(
            _duration(entry["ask_again_after"], f"{place}.ask_again_after") if "ask_again_after" in entry else None
        ),
    )


def _abroad(
    entry: Mapping[str, Any], place: str, recipients: Mapping[str, RecipientEntry], *, separate: bool
) -> dict[str, frozenset[str]]:
    """A purpose's recipients and jurisdictions beside ourselves and home."""
    abroad = {name: _texts(entry.get(name, []), f"{place}.{name}") for name in ("recipients", "jurisdictions")}
    for name, values in abroad.items():
        if values and not separate:
            raise CatalogueError(
                f"{place}.{name}", "third parties and other countries need separate_consent (PIPL 23, 39)"
            )
    for key in sorted(abroad["recipients"] - {ANY}):
        if key not in recipients:
            raise CatalogueError(f"{place}.recipients", f"{key} is not in the section recipients")
    return abroad


def _processing(node: Any, place: str) -> frozenset[str]:
    found = frozenset(_one_of(one, PROCESSING, place) for one in _texts(node, place))
    if "dpv:Use" not in found:
        raise CatalogueError(place, "dpv:Use is part of it: what may not be used must not be collected")
    return found


def _notices(node: Any, purposes: Mapping[str, PurposeEntry], kept: frozenset[str]) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    for key, versions in _named(node, "notices").items():
        if key not in purposes and key not in kept:
            raise CatalogueError(f"notices.{key}", "no such purpose")
        for version, texts in _named(versions, f"notices.{key}").items():
            place = f"notices.{key}.{version}"
            if not version.isdecimal():
                raise CatalogueError(place, "a notice's version is a whole number")
            for language, text in _labels(texts, place).items():
                digest = canonical.digest(text.encode())
                notices.append(Notice(purpose=key, version=version, language=language, text=text, digest=digest))
    for key in purposes:
        if not any(notice.purpose == key for notice in notices):
            raise CatalogueError(f"notices.{key}", "every purpose needs a notice")
    return tuple(notices)


def _members(node: Any, place: str, needed: Iterable[str], *, allowed: Iterable[str] = ()) -> dict[str, Any]:
    members = _named(node, place)
    if missing := sorted(set(needed) - set(members)):
        raise CatalogueError(f"{place}.{missing[0]}", "is missing")
    if unknown := sorted(set(members) - set(needed) - set(allowed)):
        raise CatalogueError(f"{place}.{unknown[0]}", "is not known")
    return members


def _named(node: Any, place: str) -> dict[str, Any]:
    if not isinstance(node, dict) or not node or not all(isinstance(key, str) for key in node):
        raise CatalogueError(place, "must be a mapping with texts as keys, and not empty")
    return node


def _labels(node: Any, place: str) -> dict[str, str]:
    return {language: _text(text, f"{place}.{language}") for language, text in _members(node, place, LANGUAGES).items()}


def _text(node: Any, place: str) -> str:
    if not isinstance(node, str) or not node.strip():
        raise CatalogueError(place, "must be a text")
    return node


def _texts(node: Any, place: str) -> frozenset[str]:
    if not isinstance(node, list):
        raise CatalogueError(place, "must be a list")
    return frozenset(_text(item, place) for item in node)


def _flag(node: Any, place: str) -> bool:
    if not isinstance(node, bool):
        raise CatalogueError(place, "must be true or false")
    return node


def _one_of(node: Any, choices: Iterable[str], place: str) -> str:
    if not isinstance(node, str) or node not in set(choices):
        raise CatalogueError(place, f"must be one of {', '.join(sorted(choices))}")
    return node


def _duration(node: Any, place: str) -> str:
    text = _text(node, place)
    try:
        times.duration(text)
    except EvidenceError:
        raise CatalogueError(place, "must be an ISO 8601 duration such as P180D") from None
    return text


def _instant(node: Any, place: str) -> datetime:
    try:
        return times.parse(_text(node, place), field=place)
    except EvidenceError:
        raise CatalogueError(place, 'must be an instant in quotes such as "2027-12-31T00:00:00Z"') from None


def _did(node: Any, place: str) -> str:
    text = _text(node, place)
    if text != CONTROLLER:
        try:
            dids.check(text, field=place)
        except EvidenceError:
            raise CatalogueError(place, "must be a did:key, a did:web or the word controller") from None
    return text


def _distinct(place: str, name: str, values: Iterable[tuple[str, Any]]) -> None:
    seen: dict[Any, str] = {}
    for key, value in values:
        if value in seen:
            raise CatalogueError(f"{place}.{key}.{name}", f"{value} is that of {seen[value]}")
        seen[value] = key
