"""Small groups are not shown, nor what would give them away. Pure.

Cells are groups by one or two keys, each with the number of customers behind it. A cell below `k` is hidden. On every
line that somebody can add up (all cells; with two keys also each row and each column) the hidden ones together must be
at least two and hold at least `k` customers, or the total of the line less what is shown would tell: so the smallest
shown one is hidden, too, until they do or nothing of the line is left.
"""

from collections.abc import Collection, Hashable, Iterator, Mapping

Cell = tuple[Hashable, ...]


def hidden(counts: Mapping[Cell, int], k: int, also: Collection[Cell] = ()) -> frozenset[Cell]:
    """The cells that must not be shown; `also`: those that are hidden for another reason. All cells have one length."""
    gone = {cell for cell, count in counts.items() if count < k or cell in also}
    while more := {cell for line in _lines(counts) if (cell := _needed(line, counts, gone, k)) is not None}:
        gone |= more
    return frozenset(gone)


def _lines(counts: Mapping[Cell, int]) -> Iterator[list[Cell]]:
    yield list(counts)
    if any(len(cell) > 1 for cell in counts):
        for axis in (0, 1):
            lines: dict[Hashable, list[Cell]] = {}
            for cell in counts:
                lines.setdefault(cell[axis], []).append(cell)
            yield from lines.values()


def _needed(line: list[Cell], counts: Mapping[Cell, int], gone: Collection[Cell], k: int) -> Cell | None:
    """The cell of a line to hide next, if one must be."""
    secret = [counts[cell] for cell in line if cell in gone and counts[cell]]
    if not secret or (len(secret) > 1 and sum(secret) >= k):
        return None
    shown = [cell for cell in line if cell not in gone]
    return min(shown, key=lambda cell: (counts[cell], repr(cell)), default=None)
