"""Rows gathered by customer: the sieves spare looks into the file and change nothing of what is found."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_core.imports import scratch
from protocol.consent import SubjectId

RULES = ("email", "phone+name", "customer-number")
Keys = list[tuple[str, str]]
Found = list[tuple[SubjectId | None, list[tuple[int, str | None]]]]


def looked_up(rows: dict[int, Keys], there: dict[SubjectId, Keys], earlier: dict[int, SubjectId]) -> Found:
    """What comes out when each row is looked up among all that was known before it."""
    known: dict[str, tuple[int, SubjectId | int]] = {}
    for subject, keys in there.items():
        for number, (_, key) in enumerate(keys):
            if key not in known or number < known[key][0]:
                known[key] = (number, subject)
    groups: dict[SubjectId | int, list[tuple[int, str | None]]] = {}
    for number, keys in rows.items():
        by = next((rule for rule, key in keys if key in known), None)
        whose: SubjectId | int = number
        if by is not None:
            whose = next(known[key][1] for _, key in keys if key in known)
        elif earlier.get(number) in there:
            whose, by = earlier[number], "row"
        for _, key in keys:
            known.setdefault(key, (9, whose))
        groups.setdefault(whose, []).append((number, by))
    old = [(subject, groups[subject]) for subject in reversed(there) if subject in groups]
    return [*old, *((None, found) for whose, found in groups.items() if isinstance(whose, int))]


def gathered(
    directory: Path, rows: dict[int, Keys], there: dict[SubjectId, Keys], earlier: dict[int, SubjectId]
) -> Iterator[scratch.Group]:
    place = scratch.Scratch(directory)
    for number, keys in rows.items():
        place.add(number, keys, {})
    for number, subject in earlier.items():
        place.hold_row(number, subject)
    for subject, keys in there.items():
        place.hold(subject, [(key, rank) for rank, (_, key) in enumerate(keys)])
    count = place.count()
    groups = list(place.customers())
    assert count == len(groups)
    place.close()
    return iter(groups)


def made(chance: random.Random, rows: int) -> tuple[dict[int, Keys], dict[SubjectId, Keys], dict[int, SubjectId]]:
    """Rows and customers of whom some share what they are found by."""

    def keys() -> Keys:
        return [(rule, f"{rule}:{chance.randrange(rows)}") for rule in RULES if chance.random() < 0.5]

    there = {SubjectId(f"sub_{number}"): keys() for number in range(rows // 3)}
    earlier = {number: SubjectId(f"sub_{chance.randrange(rows)}") for number in range(1, rows, 5)}
    return {number: keys() for number in range(1, rows + 1)}, there, earlier if chance.random() < 0.5 else {}


@pytest.mark.parametrize("places", [scratch._PLACES, 2**6 - 1, 2**3 - 1], ids=["wide", "narrow", "full"])
def test_rows_are_found_as_if_each_were_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    """However full the sieves are: "perhaps" costs a look, "no" is certain."""
    monkeypatch.setattr(scratch, "_PLACES", places)
    chance = random.Random(7)  # noqa: S311 - the same rows each time
    for rows in (1, 4, 60, 700):
        for _ in range(4):
            given = made(chance, rows)
            found = [
                (group.subject, [(row.number, row.rule) for row in group.rows]) for group in gathered(tmp_path, *given)
            ]
            assert found == looked_up(*given)
