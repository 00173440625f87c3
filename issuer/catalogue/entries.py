"""The catalogue as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from protocol import canonical, times
from protocol.errors import EvidenceError

Disposition = Literal["keep", "seal", "shred"]
Necessity = Literal["required", "optional"]
Item = Literal["interaction", "deal", "ticket"]
Mechanism = Literal["adequacy", "contract_clauses", "security_assessment", "certification", "none_needed"]
CONTROLLER = "controller"  # in place of a recipient's DID: we ourselves, in another country
ANY = "*"  # in a purpose's recipients: each of the section `recipients`; in its jurisdictions: theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldEntry:
    """One field of personal data.

    `bit` (0..127) is its place in every mask and is never reused. A sealed field names the legal ground that
    allows the archive, the archive period (whose key is destroyed as a whole) and how long after the lapse it is
    destroyed (ISO 8601). `many`: the value is a list of texts, each normalised. `item`: the field lives in the
    customer's items of that kind, of which there may be several.
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
    many: bool = False
    item: Item | None = None

    @property
    def form(self) -> str:
        """In which form its values are stored, in a word: `text`, `text[]`, `text of ticket`."""
        return f"{self.type}{'[]' if self.many else ''}{f' of {self.item}' if self.item else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientEntry:
    """Somebody to whom data may be disclosed, or a place where we ourselves use it (`did` is then `controller`).

    `mechanism` is what makes the transfer to `jurisdiction` lawful (PIPL 38, GDPR chapter V); from `mechanism_until`
    on nothing goes there any more. `notice_endpoint` is where withdrawals are told.
    """

    key: str
    did: str
    labels: Mapping[str, str]
    jurisdiction: str
    mechanism: Mechanism
    mechanism_until: datetime | None = None
    notice_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PurposeEntry:
    """One purpose: `iri` is what credentials say, `key` what staff type.

    `necessity` lists the fields it may be asked for. `recipients` (keys of the section `recipients`, or `*` for each
    of them) and `jurisdictions` are those allowed beside the controller and home. `duration` is the data life,
    `consent_life` the longest life of a consent, `ask_again_after` how long a customer whom we asked is left in peace
    (ISO 8601). `processing` is what a consent for it permits.
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
    processing: frozenset[str] = frozenset({"dpv:Use"})
    ask_again_after: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ending:
    """What a version ended: a ground whose ask was made (a statutory one: that was declared) before `at` does not

    cover this field for this purpose any more, for ever. `purpose` is the IRI.
    """

    purpose: str
    field: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What earlier versions had and this one does not: ids, bits, keys and IRIs are never given to another.

    `forms` says of each such field in which form its values are stored (`FieldEntry.form`).
    """

    fields: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    forms: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    purposes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


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
    """A version of the catalogue; `digest` is the digestMultibase of its JCS form, notices included.

    `number` counts the published versions (0: the one that came with the software). What it ends it ends for ever.
    """

    version: str
    digest: str
    fields: Mapping[str, FieldEntry]
    purposes: Mapping[str, PurposeEntry]
    notices: tuple[Notice, ...]
    recipients: Mapping[str, RecipientEntry] = field(default_factory=lambda: MappingProxyType({}))
    number: int = 0
    endings: tuple[Ending, ...] = ()
    retired: Retired = field(default_factory=Retired)

    def current(self) -> "Catalogue":
        """This version, as a value that stays as it is; of the live catalogue, the one in effect now."""
        return self

    def refresh(self) -> None:
        """Take in what was published since; a version by itself never changes."""

    def part(self, purpose: PurposeEntry) -> str:
        """The digest of all that decides what is granted for one purpose.

        An allowance that was compiled under another version still holds where this is the same.
        """
        ends = sorted([one.field, times.iso(one.at)] for one in self.endings if one.purpose == purpose.iri)
        decides = {
            "iri": purpose.iri,
            "roles": sorted(purpose.roles),
            "processing": sorted(purpose.processing),
            "consent_only": purpose.consent_only,
            "ends": ends,
        }
        return canonical.digest(canonical.jcs(decides))

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
