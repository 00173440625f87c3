"""The one zip that a bundle may be."""

import io
import stat
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit import container
from protocol.errors import EvidenceError

FILES = {"manifest.json": b"{}", "events/00000.json": b"abc", "README.txt": b"", "checkpoint": b"\xff\x00"}


def code(data: bytes) -> str:
    with pytest.raises(EvidenceError) as caught:
        container.unpack(data)
    return caught.value.code


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_other_software_reads_the_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(container.pack(FILES))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(FILES)
        assert {name: archive.read(name) for name in FILES} == FILES
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {stat.S_IFMT(info.external_attr >> 16) for info in archive.infolist()} == {stat.S_IFREG}


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,5}/[a-z0-9]{1,5}\.json", fullmatch=True), st.binary(max_size=40), min_size=1
    )
)
def test_what_was_packed_is_unpacked(files: dict[str, bytes]) -> None:
    assert container.unpack(container.pack(files)) == files
    assert container.pack(dict(reversed(files.items()))) == container.pack(files)


def test_every_flip_of_any_bit_is_refused() -> None:
    whole = container.pack(FILES)
    for place in range(len(whole)):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            with pytest.raises(EvidenceError):
                container.unpack(bytes(changed))


@pytest.mark.parametrize("cut", [0, 1, 3, 10, 29, 30, 40, 100])
def test_a_cut_or_lengthened_zip_is_refused(cut: int) -> None:
    whole = container.pack(FILES)
    assert code(whole[:cut]) in ("not_canonical", "bad_name")
    assert code(whole[:-1]) == code(whole + b"x") == code(b"x" + whole) == "not_canonical"


def test_a_zip_bomb_is_refused_before_it_opens() -> None:
    assert code(zipped(("manifest.json", bytes(50_000_000)), method=zipfile.ZIP_DEFLATED)) == "compressed"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\\b", "a/b/c", "C:x", "événements", "", "a" * 200, "..", "a\nb"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    raw = name.encode()
    head = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 0, 0, 0x21, zlib.crc32(b"x"), 1, 1, len(raw), 0)
    assert code(head + raw + b"x") == "bad_name"
    with pytest.raises(EvidenceError, match="bad_name"):
        container.pack({name: b""})


def test_a_symbolic_link_is_refused() -> None:
    link = zipfile.ZipInfo("manifest.json", (1980, 1, 1, 0, 0, 0))
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    assert code(zipped((link, b"/etc/passwd"))) == "not_canonical"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name_are_refused() -> None:
    assert code(zipped(("manifest.json", b"a"), ("manifest.json", b"b"))) == "duplicate_name"


def test_a_file_that_claims_to_be_huge_is_refused() -> None:
    head = struct.pack("<4sHHHHHLLLHH", b"PK\3\4", 20, 0, 0, 0, 0x21, 0, 2**32 - 1, 2**32 - 1, 8, 0)
    assert code(head + b"manifest") == "too_large"


@pytest.mark.parametrize("count", [65_534, 65_535, 65_536, 70_000])
def test_a_bundle_of_more_files_than_an_old_zip_can_count_is_a_zip_all_the_same(count: int) -> None:
    files = {f"events/{n}": str(n).encode() for n in range(count)}
    whole = container.pack(files)
    assert container.unpack(whole) == files
    with zipfile.ZipFile(io.BytesIO(whole)) as read:
        assert len(read.namelist()) == count
        assert read.read("events/65000") == b"65000"
    for place in (len(whole) - 1, len(whole) - 25, len(whole) - 60):
        harmed = bytearray(whole)
        harmed[place] ^= 1
        with pytest.raises(EvidenceError, match="not_canonical"):
            container.unpack(bytes(harmed))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = container.pack({f"events/{i:05d}.json": b"" for i in range(20)})
    monkeypatch.setattr(container, "MAX_FILES", 19)
    assert code(whole) == "too_many_files"
    with pytest.raises(EvidenceError, match="too_many_files"):
        container.pack({f"events/{i:05d}.json": b"" for i in range(20)})


def test_too_large_a_bundle_is_neither_read_nor_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MAX_BUNDLE", 1000)
    assert code(bytes(2000)) == "too_large"
    with pytest.raises(EvidenceError, match="too_large"):
        container.pack({"README.txt": bytes(1001)})
