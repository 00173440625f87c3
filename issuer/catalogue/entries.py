"""The catalogue as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from protocol import canonical
from protocol.errors import EvidenceError

Disposition = Literal["keep", "seal", "shred"]
Necessity = Literal["required", "optional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEntry:
    """One field of personal data.

    `bit` (0..127) is its place in every mask and is never reused. A sealed field names the legal ground that
    allows the archive, the archive period (whose key is destroyed as a whole) and how long after the lapse it is
    destroyed (ISO 8601).
    """

    id: str
    bit: int
    category: str
    sensitive: bool
    labels: Mapping[str, str]
    type: str
    disposition: Disposition
    legal_ground: str | None = None
    period: str | None = None
    destroy_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeEntry:
    """One purpose: `iri` is what credentials say, `key` what staff type.

    `necessity` lists the fields it may be asked for. `recipients` and `jurisdictions` are those allowed beside the
    controller and home; `*` allows any that an ask names. `duration` is the data life, `consent_life` the longest
    life of a consent (ISO 8601).
    """

    key: str
    iri: str
    labels: Mapping[str, str]
    necessity: Mapping[str, Necessity]
    separate_consent: bool
    roles: frozenset[str]
    consent_only: bool
    recipients: frozenset[str]
    jurisdictions: frozenset[str]
    duration: str
    consent_life: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a person reads before deciding, in one language. `digest` is the digestMultibase of the UTF-8 text.

    A notice for several purposes is those of each, one after the other; `purpose` and `version` are then joined by `+`.
    """

    purpose: str
    version: str
    language: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A version of the catalogue; `digest` is the digestMultibase of its JCS form, notices included."""

    version: str
    digest: str
    fields: Mapping[str, FieldEntry]
    purposes: Mapping[str, PurposeEntry]
    notices: tuple[Notice, ...]

    def field(self, field: str) -> FieldEntry:
        """The entry; EvidenceError `unknown_field`."""
        entry = self.fields.get(field)
        if entry is None:
            # the name comes from the caller: it may be anything, so it is not repeated
            raise EvidenceError("unknown_field", "no such field in the catalogue", field="hasPersonalData")
        return entry

    def purpose(self, key_or_iri: str) -> PurposeEntry:
        """The entry; EvidenceError `unknown_purpose`."""
        entry = self.purposes.get(key_or_iri)
        if entry is None:
            entry = next((one for one in self.purposes.values() if one.iri == key_or_iri), None)
        if entry is None:
            raise EvidenceError("unknown_purpose", "no such purpose in the catalogue", field="hasPurpose")
        return entry

    def may(self, role: str, purpose: str) -> bool:
        """Whether the role may act for the purpose; EvidenceError `unknown_purpose`."""
        return role in self.purpose(purpose).roles

    def notice(self, purpose: str, language: str, version: str | None = None) -> Notice:
        """One purpose's latest notice, or that version of it; EvidenceError `unknown_notice`."""
        found = [
            notice
            for notice in self.notices
            if notice.purpose == purpose and notice.language == language and version in (None, notice.version)
        ]
        if not found:
            raise EvidenceError("unknown_notice", "no such notice in this language and version", field="hasNotice")
        return max(found, key=lambda notice: int(notice.version))

    def joint_notice(self, purposes: Iterable[str], language: str, versions: Iterable[str] | None = None) -> Notice:
        """The notice for several purposes (keys), in the order given; EvidenceError `unknown_notice`."""
        keys = tuple(purposes)
        wanted = tuple(versions) if versions is not None else (None,) * len(keys)
        if len(wanted) != len(keys) or len(set(keys)) != len(keys):
            raise EvidenceError("unknown_notice", "one version for each purpose is needed", field="hasNotice")
        parts = [self.notice(key, language, version) for key, version in zip(keys, wanted, strict=True)]
        text = "\n".join(part.text for part in parts)
        return Notice(
            purpose="+".join(keys),
            version="+".join(part.version for part in parts),
            language=language,
            text=text,
            digest=canonical.digest(text.encode()),
        )
