"""One row of the report: ours, the reference beside it, their ratio, the goal."""

import resource
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.timing import Compared

Sense = Literal["at most", "at least"]
_SIGNS = {"at most": "≤", "at least": "≥"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`ours` and `reference` are in `unit`; `ratio` is ours by reference, or None when the peer is not installed."""

    name: str
    unit: str
    ours: float | None
    reference: float | None
    ratio: float | None
    goal: str
    ok: bool
    control: float | None = None  # ours against ours in the same run
    note: str = ""
    peak_mib: int = 0  # of this process so far

    def told(self) -> Mapping[str, Any]:
        """As JSON."""
        return asdict(self)


def of(  # noqa: PLR0917 - as a row is read
    name: str, ours: float, reference: float, goal: float, sense: Sense, unit: str, **more: Any
) -> Result:
    """A row whose two sides are in the same unit."""
    ratio = ours / reference
    ok = ratio <= goal if sense == "at most" else ratio >= goal
    said = f"{_SIGNS[sense]} {goal:g}"
    return Result(
        name=name, unit=unit, ours=_short(ours), reference=_short(reference), ratio=_short(ratio), goal=said, ok=ok,
        peak_mib=peak(), **more,
    )  # fmt: skip


def costs(name: str, found: Compared, goal: float, **more: Any) -> Result:
    """A row about what something costs, in microseconds: at most `goal` times the reference."""
    ours, reference, control = found.ours * 1e6, found.reference * 1e6, round(found.control, 3)
    return of(name, ours, reference, goal, "at most", "µs", control=control, **more)


def missing(name: str, goal: str, peer: str) -> Result:
    """A row whose reference is not installed."""
    note = f"{peer} is not installed: pip install 'fieldgrant[bench]'"
    return Result(name=name, unit="", ours=None, reference=None, ratio=None, goal=goal, ok=False, note=note)


def peak() -> int:
    """The most memory that this process ever held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _short(number: float) -> float:
    return float(f"{number:.4g}")
