"""The catalogue: which fields exist, for which purposes they may be asked, and the notices people read before they decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Disposition = Literal["keep", "seal", "shred"]
Necessity = Literal["required", "optional"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEntry:
    """One field of personal data. `bit` (0..127) is its place in every mask and is never reused."""

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
    """One purpose: `iri` is what credentials say, `key` what staff type."""

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
    """What a person reads before deciding, in one language."""

    purpose: str
    version: int
    language: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A version of the catalogue; `digest` is over its canonical content."""

    version: str
    digest: str
    fields: Mapping[str, FieldEntry]
    purposes: Mapping[str, PurposeEntry]
    notices: tuple[Notice, ...]

    def field(self, field: str) -> FieldEntry:
        """The entry; EvidenceError `unknown_field`."""
        raise NotImplementedError

    def purpose(self, key_or_iri: str) -> PurposeEntry:
        """The entry; EvidenceError `unknown_purpose`."""
        raise NotImplementedError

    def may(self, role: str, purpose: str) -> bool:
        """Whether the role may act for the purpose."""
        raise NotImplementedError

    def notice(self, purpose: str, language: str, version: int | None = None) -> Notice:
        """The latest (or that) version; EvidenceError `unknown_notice`."""
        raise NotImplementedError


def load(path: Path | None = None) -> Catalogue:
    """Read and check a catalogue (the packaged default without a path); CatalogueError says where it is wrong."""
    raise NotImplementedError
