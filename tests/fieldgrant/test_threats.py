"""docs/threats.md names tests; each of them exists, and each promise is among what an attacker wants to break."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
THREATS = (TESTS.parent / "docs" / "threats.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)::(test_\w+|\*)`", THREATS)))


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_the_threats_name_exists(file: str, test: str) -> None:
    source = (TESTS / file).read_text(encoding="utf-8")
    assert test == "*" or re.search(rf"^(?:async )?def {test}\(", source, re.MULTILINE)


def test_every_row_names_its_test_and_every_promise_has_a_row() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in THREATS.splitlines()
        if line.startswith("| ") and not line.startswith(("| wants to |", "| what |"))
    ]
    assert len(rows) > 25
    assert [row[0] for row in rows if "::" not in row[3]] == ["enrol a sock-puppet and consent for it"]
    promises = {int(number) for row in rows for number in re.findall(r"\d+", row[1])}
    assert promises == set(range(1, 13))
