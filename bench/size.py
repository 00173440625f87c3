"""How much a run measures, and where what it needs lies."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`many` customers are the issue's 100,000, `most` its 1,000,000, `few` its 1,000, where a run is not quick."""

    home: Path
    few: int
    many: int
    most: int
    rounds: int
    requests: int  # per burst

    @classmethod
    def quick(cls, home: Path) -> "Size":
        """For a first look: a tenth of it and less."""
        return cls(home=home, few=1_000, many=10_000, most=50_000, rounds=3, requests=96)

    @classmethod
    def full(cls, home: Path) -> "Size":
        """What the goals speak of."""
        return cls(home=home, few=1_000, many=100_000, most=1_000_000, rounds=9, requests=600)

    def place(self, customers: int, kind: str = "") -> Path:
        """Where an organisation with so many customers lies for this run."""
        return self.home / f"{kind}{customers}"
