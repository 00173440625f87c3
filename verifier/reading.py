"""How a catalogue reads the masks, reason bytes and ground lists of allowances; what was read once is kept."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import orjson

from issuer.catalogue import Catalogue
from protocol.consent import Field, GroundId, Purpose
from verifier.rule import Reason

_REASONS = tuple(Reason)
_KEPT = 4096


class Reading:
    """Reads the columns of rows whose MAC was found good, for one version of the catalogue.

    `version` is its digest, `parts` the digest of what it says of each purpose. Rows that an earlier version compiled
    may be shorter: a field that came since has no ground yet.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.version = catalogue.digest
        self.parts = {Purpose(one.iri): catalogue.part(one) for one in catalogue.purposes.values()}
        self._bits = tuple((Field(entry.id), entry.bit) for entry in catalogue.fields.values())
        self.fields = frozenset(field for field, _ in self._bits)
        self.mask = lru_cache(_KEPT)(self._mask)
        self.grounds = lru_cache(_KEPT)(self._grounds)
        self._of = lru_cache(_KEPT)(self._fields_of)

    def _mask(self, mask: bytes, reasons: bytes) -> tuple[frozenset[Field], Mapping[Field, Reason]]:
        """The released fields, and why not the others."""
        bits = int.from_bytes(mask, "little")
        released = self._of(bits)
        why = {
            field: _REASONS[reasons[bit] - 1] if bit < len(reasons) and reasons[bit] else Reason.NO_GROUND
            for field, bit in self._bits
            if field not in released
        }
        return released, MappingProxyType(why)

    def _grounds(self, grounds: str) -> Mapping[GroundId, frozenset[Field]]:
        """Which ground releases which fields."""
        return MappingProxyType(
            {GroundId(ground): self._of(int(mask, 16)) for ground, mask in orjson.loads(grounds).items()}
        )

    def _fields_of(self, bits: int) -> frozenset[Field]:
        return frozenset(field for field, bit in self._bits if bits >> bit & 1)
