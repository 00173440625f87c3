"""The search for values in clear finds what it should, wherever it lies; its own control would fail otherwise."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fieldgrant.demo import residue
from fieldgrant.demo.residue import CONTROL, SHORTEST

# Ten bytes and more: then what no neighbouring byte can change is long enough at each alignment of base64.
VALUES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=10, max_size=40)
FRESH = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def found(directory: Path, content: bytes, value: str) -> set[str]:
    """In which encodings the value is found when a file holds this content."""
    (directory / "file").write_bytes(content)
    return {hit.encoding for hit in residue.search(directory, [value])}


@FRESH
@given(value=VALUES, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_a_value_anywhere_in_base64_text_is_found_at_any_alignment(
    value: str, before: bytes, after: bytes, tmp_path: Path
) -> None:
    text = base64.b64encode(before + value.encode() + after)
    assert f"base64+{len(before) % 3}" in found(tmp_path, b"{'log': '" + text + b"'}", value)


@FRESH
@given(value=VALUES, before=st.binary(max_size=20), after=st.binary(max_size=20))
def test_a_value_among_other_bytes_is_found_in_each_text_encoding(
    value: str, before: bytes, after: bytes, tmp_path: Path
) -> None:
    encodings = {"utf-8": "utf-8", "utf-16-le": "utf-16-le", "utf-16-be": "utf-16-be", "gb18030": "gb18030"}
    for name, encoding in encodings.items():
        assert name in found(tmp_path, before + value.encode(encoding) + after, value)


@FRESH
@given(value=VALUES)
def test_a_value_in_json_is_found_escaped_or_not(value: str, tmp_path: Path) -> None:
    for ascii_only in (True, False):
        content = json.dumps({"note": f"spoke with {value} today"}, ensure_ascii=ascii_only).encode()
        assert found(tmp_path, content, value) & {"json", "json-utf-8"}


@FRESH
@given(value=VALUES, content=st.binary(max_size=200))
def test_bytes_without_the_value_are_no_hit(value: str, content: bytes, tmp_path: Path) -> None:
    betrayed = any(form in content for form in residue.forms(value).values())
    assert bool(found(tmp_path, content, value)) == betrayed


def test_forms_that_chance_could_make_are_left_out() -> None:
    assert all(len(form) >= SHORTEST for form in residue.forms("Li").values())
    assert "utf-8" not in residue.forms("Li")
    assert residue.forms("") == {}


def test_every_file_below_the_directory_is_searched(tmp_path: Path) -> None:
    for name in ("a.db-wal", ".hidden/deep/er", "log/tile/0/000.p/7"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"\0\1" + "孙秀兰 sun@example.com".encode() + b"\2")
    hits = residue.search(tmp_path, ["nobody@example.org", "sun@example.com"])
    assert {(hit.path.name, hit.value, hit.encoding) for hit in hits} >= {
        ("a.db-wal", 1, "utf-8"),
        ("er", 1, "utf-8"),
        ("7", 1, "utf-8"),
    }
    assert {hit.value for hit in hits} == {1}


def test_a_link_out_of_the_directory_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside").write_text("sun@example.com")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    assert residue.search(tmp_path / "data", ["sun@example.com"]) == []


def test_a_file_that_goes_away_meanwhile_does_not_stop_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a-draft").write_text("soon renamed")
    (tmp_path / "b-kept").write_text("sun@example.com")
    read = Path.read_bytes

    def renamed_meanwhile(path: Path) -> bytes:
        if path.name == "a-draft":
            path.unlink()
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", renamed_meanwhile)
    assert [hit.path.name for hit in residue.search(tmp_path, ["sun@example.com"])] != []
    assert not (tmp_path / "a-draft").exists()


def test_the_control_is_found_in_every_encoding_and_taken_away(tmp_path: Path) -> None:
    planted = len(residue.forms(CONTROL))
    assert residue.control(tmp_path) == (planted, planted)
    assert planted >= 8
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_is_blind_in_one_encoding_is_betrayed_by_its_control(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forms, search = residue.forms, residue.search
    monkeypatch.setattr(residue, "search", lambda *args: [hit for hit in search(*args) if hit.encoding != "gb18030"])
    seen, planted = residue.control(tmp_path)
    assert (seen, planted) == (len(forms(CONTROL)) - 1, len(forms(CONTROL)))
