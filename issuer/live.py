"""The live catalogue: one object that everybody holds, and that answers from the version that is in effect now.

Which one that is the journal says; looking costs one `stat` while nothing was published. What the journal names and
the database does not hold as it was signed is waited for a moment (it is being committed) and then refused: a
catalogue that was rolled back opens nothing.
"""

import threading
import time
from collections.abc import Mapping
from typing import NamedTuple

from issuer import editions
from issuer.catalogue import content
from issuer.catalogue.content import Version
from issuer.catalogue.entries import Catalogue, Ending, FieldEntry, Notice, PurposeEntry, RecipientEntry, Retired
from runtime.journal import JournalError
from runtime.platform import Platform
from runtime.problem import Problem

PATIENCE = 2.0  # seconds that a version may take from the journal to the commit
_PAUSE = 0.02


class _Held(NamedTuple):
    mark: tuple[int, str] | None
    version: Version


class LiveCatalogue(Catalogue):
    """The catalogue of a platform. Every member raises Problem 503 `catalogue_missing` or the journal's code.

    Take `current()` where several answers have to be of one version.
    """

    __slots__ = ("_held", "_lock", "_platform")
    _held: _Held
    _lock: threading.Lock
    _platform: Platform

    def __init__(self, platform: Platform) -> None:
        object.__setattr__(self, "_platform", platform)
        object.__setattr__(self, "_lock", threading.Lock())
        object.__setattr__(self, "_held", _Held(None, content.packaged()))

    def current(self) -> Catalogue:
        """The version in effect now, which stays as it is."""
        return self.standing().catalogue

    def refresh(self) -> None:
        """Take in what was published since."""
        self.standing()

    def standing(self) -> Version:
        """The version in effect now, with what was written of it."""
        journal = self._platform.journal
        try:
            journal.refresh()
        except JournalError as error:
            raise Problem(503, error.code, "What this rests on cannot be believed now, so nothing is shown.") from error
        held = self._held
        if held.mark == journal.catalogue:
            return held.version
        with self._lock:
            return self._take_in()

    def _take_in(self) -> Version:
        until = time.monotonic() + PATIENCE
        while True:
            mark = self._platform.journal.catalogue
            if mark is None or self._held.mark == mark:
                return self._held.version
            with self._platform.database.read() as session:
                proved = editions.newest(session, self._platform, mark)
            if proved is not None:
                object.__setattr__(self, "_held", _Held(mark, proved.version))
                return proved.version
            if time.monotonic() >= until:
                raise Problem(
                    503, "catalogue_missing",
                    "The catalogue in effect is not in the database as it was signed: run `fieldgrant reconcile`.",
                    headers={"Retry-After": "2"},
                )  # fmt: skip
            time.sleep(_PAUSE)

    # What a version holds as members is asked of the one in effect.

    @property
    def version(self) -> str:
        """Its name."""
        return self.current().version

    @property
    def digest(self) -> str:
        """Its content's digestMultibase."""
        return self.current().digest

    @property
    def number(self) -> int:
        """How many were published."""
        return self.current().number

    @property
    def fields(self) -> Mapping[str, FieldEntry]:
        """By id."""
        return self.current().fields

    @property
    def purposes(self) -> Mapping[str, PurposeEntry]:
        """By key."""
        return self.current().purposes

    @property
    def recipients(self) -> Mapping[str, RecipientEntry]:
        """By key."""
        return self.current().recipients

    @property
    def notices(self) -> tuple[Notice, ...]:
        """All, older ones too."""
        return self.current().notices

    @property
    def endings(self) -> tuple[Ending, ...]:
        """What was ended for ever."""
        return self.current().endings

    @property
    def retired(self) -> Retired:
        """What is no more."""
        return self.current().retired
