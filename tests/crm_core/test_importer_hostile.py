"""Files made to keep the reader busy: a customer's own cell in an export must not stop the house."""

import io
import json
import time

import pytest

from crm_core import normal
from crm_core.imports import cards, jsonlines

SOON = 1.0  # seconds; each took 2 to 30 before, and hours where the file was as large as it may be


def card(line: str) -> str:
    return f"BEGIN:VCARD\nVERSION:3.0\nN:Wei;Lin;;;\n{line}\nEND:VCARD\n"


@pytest.mark.parametrize(
    "line", ['EMAIL;X="' + '","' * 23 + ":x", "TEL;TYPE=" + "a," * 24 + '"', "TEL;TYPE" + ",a" * 24]
)
def test_a_card_whose_line_never_ends_is_refused_at_once(line: str) -> None:
    begun = time.perf_counter()
    assert list(cards.rows(io.StringIO(card(line)))) == ["bad_card"]
    assert time.perf_counter() - begun < SOON


@pytest.mark.parametrize(
    "line",
    ["TEL;TYPE=home,voice:+86 138", 'TEL;TYPE="a,b";PREF=1:+86 138', "TEL;HOME;VOICE:+86 138", "x.TEL;TYPE=:+86 138"],
)
def test_what_a_line_of_a_card_may_look_like_it_still_may(line: str) -> None:
    [read] = cards.rows(io.StringIO(card(line)))
    assert isinstance(read, dict)
    assert read["TEL"] == ["+86 138"]


def test_a_cell_of_blanks_is_parted_at_once() -> None:
    begun = time.perf_counter()
    assert normal.parted("email", "a@b.example" + " " * 12_000 + "c") == ["a@b.example" + " " * 12_000 + "c"]
    assert normal.parted("email", "a@b.example  c@d.example") == ["a@b.example", "c@d.example"]
    assert time.perf_counter() - begun < SOON


def test_a_long_list_in_one_line_is_read_in_proportion_to_its_length() -> None:
    begun = time.perf_counter()
    [row] = jsonlines.rows(io.StringIO(json.dumps({"email": ["x"] * 60_000}) + "\n"))
    assert isinstance(row, dict)
    assert len(row["email"]) == 60_000
    [flat] = cards.rows(io.StringIO(card("CATEGORIES:" + ",".join(["a"] * 40_000))))
    assert isinstance(flat, dict)
    assert len(flat["CATEGORIES"]) == 40_000
    assert time.perf_counter() - begun < SOON
