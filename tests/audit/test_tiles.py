"""Tiles on disk, read back by the brute-force reader."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit import files
from audit.tiles import AHEAD, WIDTH, Tiles
from audit.tree import Merkle
from protocol.errors import EvidenceError
from tests.audit import rfc6962


def leaves(count: int, start: int = 0) -> list[bytes]:
    return [b"leaf %d" % i for i in range(start, start + count)]


def root(tiles: Tiles, size: int) -> bytes:
    return Merkle(size, lambda level, index: tiles.node(size, level, index)).root()


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_however_the_leaves_arrive_the_tiles_are_those_of_the_standard(steps: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        tiles, size = Tiles(Path(home)), 0
        for step in steps:
            tiles.extend(size, leaves(step, size))
            size += step
            assert root(tiles, size) == rfc6962.mth(leaves(size))
        assert rfc6962.leaves_on_disk(Path(home), size) == leaves(size)
        rfc6962.check_hash_tiles(Path(home), leaves(size))
        Tiles(Path(home)).compare(leaves(size))


def test_a_log_of_more_than_65536_leaves_has_a_third_level(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    tiles.extend(0, leaves(65_536 + 300))
    assert (tmp_path / "tile/2/000.p/1").is_file()
    assert root(tiles, 65_836) == rfc6962.mth(leaves(65_836))
    proof = Merkle(65_836, lambda level, index: tiles.node(65_836, level, index)).inclusion(70)
    assert proof == rfc6962.path(70, leaves(65_836))


def test_writing_the_same_tiles_again_changes_nothing(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    tiles.extend(0, leaves(10))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    Tiles(tmp_path).extend(0, leaves(10))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_other_leaves_in_the_place_of_written_ones_are_a_fork(tmp_path: Path) -> None:
    Tiles(tmp_path).extend(0, leaves(10))
    with pytest.raises(EvidenceError, match="log_forked"):
        Tiles(tmp_path).extend(0, [*leaves(9), b"another"])


def test_a_full_tile_replaces_its_partial_ones_and_still_answers_for_them(tmp_path: Path) -> None:
    tiles = Tiles(tmp_path)
    tiles.extend(0, leaves(10))
    tiles.extend(10, leaves(246, 10))
    assert not (tmp_path / "tile/0/000.p").exists()
    part = tiles.find("tile/0/000.p/10")
    assert part == b"".join(rfc6962.sha(b"\0" + leaf) for leaf in leaves(10))
    entries = tiles.find("tile/entries/000.p/10")
    assert entries is not None
    assert entries.count(b"leaf") == 10
    assert tiles.find("tile/0/001") is None
    assert tiles.find("tile/0/001.p/3") is None
    assert tiles.find("tile/0/000") is not None


@pytest.mark.parametrize("name", ["tile/0/000.p/10", "tile/entries/000.p/10"])
@pytest.mark.parametrize("damage", ["gone", "flipped", "short"])
def test_a_damaged_tile_is_noticed(tmp_path: Path, name: str, damage: str) -> None:
    Tiles(tmp_path).extend(0, leaves(10))
    path = tmp_path / name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-1] if damage == "short" else bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(EvidenceError, match="log_forked"):
        Tiles(tmp_path).compare(leaves(10))


def test_the_cache_of_tiles_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit.tiles._CACHED", 2)
    tiles = Tiles(tmp_path)
    tiles.extend(0, leaves(1000))
    tiles.compare(leaves(1000))
    assert len(tiles._read) <= 2


def test_folders_of_tiles_that_a_kill_left_without_a_sync_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    with monkeypatch.context() as killed:
        killed.setattr(files, "sync", lambda _folder: None)
        Tiles(tmp_path).extend(0, leaves(300))
    monkeypatch.setattr(files, "sync", lambda folder: synced.append(str(folder)))
    Tiles(tmp_path).extend(0, leaves(300))
    assert {str(path.parent) for path in tmp_path.rglob("*") if path.is_file()} == set(synced)


def test_partial_tiles_stay_until_the_full_one_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Tiles(tmp_path).extend(0, leaves(10))

    def broken(folder: Path | str) -> None:
        if str(folder).endswith("entries"):
            raise OSError("no disk")

    with monkeypatch.context() as failing:
        failing.setattr(files, "sync", broken)
        with pytest.raises(OSError, match="no disk"):
            Tiles(tmp_path).extend(10, leaves(246, 10))
    assert (tmp_path / "tile/0/000.p/10").is_file()
    assert (tmp_path / "tile/entries/000.p/10").is_file()
    Tiles(tmp_path).extend(10, leaves(246, 10))
    assert not (tmp_path / "tile/0/000.p").exists()


def test_all_that_a_drain_may_leave_without_a_head_is_forgotten(tmp_path: Path) -> None:
    tiles, signed = Tiles(tmp_path), 300
    tiles.extend(0, leaves(signed))
    kept = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    tiles.extend(signed, leaves(AHEAD * WIDTH, signed))
    (tmp_path / "tile/0/001.p").mkdir(exist_ok=True)
    (tmp_path / "tile/0/001.p/.60.new").touch()  # written half-way
    tiles.forget(signed)
    left = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert left <= kept
    tiles.compare(leaves(signed))  # what the head covers is all there, though full tiles had taken its place
    tiles.extend(signed, [b"another"] * AHEAD * WIDTH)  # nothing stands in the way of others
