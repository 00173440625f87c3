"""What a subject was taken out of, as the log tells it: since which version of the standing, and until which."""

from dataclasses import dataclass

from protocol.exclusion import PAUSE, Exclusion
from protocol.ground import StatutoryGround


@dataclass(slots=True)
class Out:
    """One exclusion's life. `until` is the version with which a pause was lifted."""

    paper: Exclusion
    since: int
    until: int | None = None

    def bars(self, ground: StatutoryGround, purpose: str, version: int) -> bool:
        """May this ground release nothing for the purpose, under this version of the standing?"""
        in_force = self.since <= version and (self.until is None or version < self.until)
        return in_force and self.paper.covers(ground, purpose)

    @property
    def ends(self) -> bool:
        """Whether it ends what it covers, rather than holding it back."""
        return self.paper.kind != PAUSE
