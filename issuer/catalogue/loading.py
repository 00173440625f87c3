"""Read a catalogue from YAML, strictly: what is not understood is refused, and the message says where."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast, get_args

import yaml

from issuer.catalogue.entries import Catalogue, Disposition, FieldEntry, Necessity, Notice, PurposeEntry
from protocol import canonical, times
from protocol.errors import EvidenceError

DEFAULT = Path(__file__).with_name("default.yaml")
LANGUAGES = ("en", "zh-CN")
ROLES = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin", "mailer", "steward"})
TYPES = frozenset({"text", "email", "phone", "boolean", "date", "datetime", "url", "tags"})
_FIELD_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_KEY = re.compile(r"[a-z][a-z0-9-]*")
_FIELD_KEYS = frozenset(
    {"bit", "category", "sensitive", "labels", "type", "disposition", "legal_ground", "period", "destroy_after"}
)
_PURPOSE_KEYS = frozenset(
    {
        "iri", "labels", "necessity", "separate_consent", "roles", "consent_only", "recipients", "jurisdictions",
        "duration", "consent_life",
    }
)  # fmt: skip


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
    """SafeLoader that refuses a key given twice; PyYAML would silently take the last."""


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
    text = (path or DEFAULT).read_text(encoding="utf-8")
    try:
        # _StrictLoader is a SafeLoader, which the linter cannot see
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise CatalogueError(f"line {mark.line + 1}" if mark else "file", "this is not YAML") from None
    top = _members(content, "catalogue", {"version", "fields", "purposes", "notices"})
    fields = {key: _field(key, node) for key, node in _named(top["fields"], "fields").items()}
    _distinct("fields", "bit", ((key, entry.bit) for key, entry in fields.items()))
    purposes = {key: _purpose(key, node, fields) for key, node in _named(top["purposes"], "purposes").items()}
    _distinct("purposes", "iri", ((key, entry.iri) for key, entry in purposes.items()))
    return Catalogue(
        version=_text(top["version"], "version"),
        digest=canonical.digest(canonical.jcs(content)),
        fields=fields,
        purposes=purposes,
        notices=_notices(top["notices"], purposes),
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
    )


def _purpose(key: str, node: Any, fields: Mapping[str, FieldEntry]) -> PurposeEntry:
    place = f"purposes.{key}"
    if not _KEY.fullmatch(key):
        raise CatalogueError(place, "a purpose's key is lower case ASCII with hyphens")
    entry = _members(
        node, place, _PURPOSE_KEYS - {"separate_consent", "recipients", "jurisdictions"}, allowed=_PURPOSE_KEYS
    )
    iri = _text(entry["iri"], f"{place}.iri")
    if not iri.startswith("https://"):
        raise CatalogueError(f"{place}.iri", "must be an https IRI")
    necessity = _named(entry["necessity"], f"{place}.necessity")
    for field in necessity:
        if field not in fields:
            raise CatalogueError(f"{place}.necessity.{field}", "no such field")
    separate = _flag(entry.get("separate_consent", False), f"{place}.separate_consent")
    abroad = {name: _texts(entry.get(name, []), f"{place}.{name}") for name in ("recipients", "jurisdictions")}
    for name, values in abroad.items():
        if values and not separate:
            raise CatalogueError(
                f"{place}.{name}", "third parties and other countries need separate_consent (PIPL 23, 39)"
            )
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
    )


def _notices(node: Any, purposes: Mapping[str, PurposeEntry]) -> tuple[Notice, ...]:
    notices: list[Notice] = []
    for key, versions in _named(node, "notices").items():
        if key not in purposes:
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


def _distinct(place: str, name: str, values: Iterable[tuple[str, Any]]) -> None:
    seen: dict[Any, str] = {}
    for key, value in values:
        if value in seen:
            raise CatalogueError(f"{place}.{key}.{name}", f"{value} is that of {seen[value]}")
        seen[value] = key
