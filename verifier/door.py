"""The gate held open for several reads that came at the same time: one place inside, and a passage for each."""

from collections.abc import Callable
from datetime import datetime

from issuer.catalogue import Catalogue, PurposeEntry
from verifier.passage import Bench, Passage, Reader, Visit
from verifier.sharing import Common

Admitted = tuple[Visit, Bench]
Admit = Callable[[Catalogue, datetime, Reader, PurposeEntry], Admitted | None]


class Door:
    """`Gate.door` makes it, under the version of the catalogue (`edition`) in effect at this instant (`at`)."""

    def __init__(self, admit: Admit, common: Common, edition: Catalogue, at: datetime) -> None:
        self.edition, self.at = edition, at
        self._admit, self._common = admit, common
        self._admitted: dict[tuple[Reader, str], Admitted | None] = {}

    def passage(self, reader: Reader, purpose: str) -> Passage | None:
        """A passage for a purpose at home, by its key; None where something bars it: `Gate.visit` then says what."""
        key = (reader, purpose)
        if key not in self._admitted:
            entry = self.edition.purposes.get(purpose)
            self._admitted[key] = None if entry is None else self._admit(self.edition, self.at, reader, entry)
        admitted = self._admitted[key]
        return None if admitted is None else Passage(*admitted, self._common.share(), self.at, ())
