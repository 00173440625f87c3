import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.consent import SubjectId
from runtime.journal import FILE, Journal, JournalError

ANN, BEN = SubjectId("sub_ann"), SubjectId("sub_ben")
APPENDER = """
import sys
from pathlib import Path
from runtime.journal import Journal
journal = Journal(Path(sys.argv[1]))
for version in range(50):
    journal.append({"kind": "narrowing", "subject": sys.argv[2], "version": version + 1, "ended": []})
"""


def narrowing(subject: SubjectId, version: int, *ended: str) -> dict[str, object]:
    return {"kind": "narrowing", "subject": subject, "version": version, "ended": list(ended), "at": "…"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, create=True)


def code(call: object, *arguments: object) -> str:
    with pytest.raises(JournalError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_an_appended_narrowing_is_known_here_and_after_reopening(journal: Journal, tmp_path: Path) -> None:
    assert journal.append(narrowing(ANN, 3, "urn:consent:1")) == 1
    assert journal.append({"kind": "survivors", "subject": ANN, "generation": 2}) == 2
    for mine in (journal, Journal(tmp_path)):
        assert mine.floor(ANN) == 3
        assert mine.floor(BEN) == 0
        assert mine.ended("urn:consent:1")
        assert not mine.ended("urn:consent:2")
        assert [entry.seq for entry in mine.entries()] == [1, 2]
        assert [entry.body["kind"] for entry in mine.entries(since=1)] == ["survivors"]
        assert mine.head() == journal.head()


def test_a_floor_never_falls(journal: Journal) -> None:
    journal.append(narrowing(ANN, 5))
    journal.append(narrowing(ANN, 4))
    assert journal.floor(ANN) == 5


def test_what_another_opener_appended_is_known_after_a_refresh(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path)
    other.append(narrowing(ANN, 3))
    assert journal.floor(ANN) == 0
    journal.refresh()
    assert journal.floor(ANN) == 3
    assert journal.append(narrowing(BEN, 1)) == 2


def test_processes_that_append_at_once_make_one_unbroken_chain(journal: Journal, tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), f"sub_{n}"]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert [entry.seq for entry in Journal(tmp_path).entries()] == list(range(1, 151))
    journal.refresh()
    assert [journal.floor(SubjectId(f"sub_{n}")) for n in range(3)] == [50, 50, 50]


def test_a_line_torn_by_a_crash_is_not_there_and_is_cut_by_the_next_append(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"entry":{"kind":"narrowing","subj')
    again = Journal(tmp_path)
    assert again.head()[0] == 1
    assert again.append(narrowing(BEN, 2)) == 2
    assert [entry.body["subject"] for entry in Journal(tmp_path).entries()] == [ANN, BEN]


@given(cut=st.integers(min_value=0, max_value=400))
def test_wherever_a_crash_cuts_the_file_what_was_whole_before_stays(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = Journal(directory, create=True)
    for version in range(1, 4):
        journal.append(narrowing(ANN, version))
    whole = (directory / FILE).read_bytes()[:cut]
    (directory / FILE).write_bytes(whole)
    again = Journal(directory)
    assert again.floor(ANN) == whole.count(b"\n")
    assert again.append(narrowing(BEN, 1)) == whole.count(b"\n") + 1
    assert Journal(directory).floor(BEN) == 1


@pytest.mark.parametrize(
    ("old", "new"), [(b'"version":1', b'"version":9'), (b'"seq":2', b'"seq":7'), (b'"entry":{', b'"entry":[')]
)
def test_a_changed_line_breaks_the_chain(journal: Journal, tmp_path: Path, old: bytes, new: bytes) -> None:
    for version in (1, 2, 3):
        journal.append(narrowing(ANN, version))
    path = tmp_path / FILE
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    assert code(Journal, tmp_path) == "journal_broken"


def test_a_lost_line_breaks_the_chain(journal: Journal, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        journal.append(narrowing(ANN, version))
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[0] + lines[2])
    assert code(Journal, tmp_path) == "journal_broken"


def test_a_journal_that_got_shorter_while_open_denies(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    os.truncate(tmp_path / FILE, 0)
    assert code(journal.refresh) == "journal_shrunk"
    assert code(journal.append, narrowing(ANN, 2)) == "journal_shrunk"


def test_a_journal_that_was_replaced_while_open_denies(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / "new").write_bytes(data)
    (tmp_path / "new").rename(tmp_path / FILE)
    assert code(journal.refresh) == "journal_shrunk"


def test_without_a_journal_nothing_opens(journal: Journal, tmp_path: Path) -> None:
    assert code(Journal, tmp_path / "nowhere") == "journal_missing"
    (tmp_path / FILE).unlink()
    assert code(journal.refresh) == "journal_missing"
    assert code(journal.append, narrowing(ANN, 1)) == "journal_missing"


def test_making_it_again_keeps_what_is_there(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    assert Journal(tmp_path, create=True).floor(ANN) == 1


def test_an_append_that_is_not_durable_is_taken_back_and_says_so(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(narrowing(ANN, 1))

    def broken(_: int) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.journal.os.fsync", broken)
        assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    again = Journal(tmp_path)
    assert again.floor(ANN) == 1
    assert again.append(narrowing(ANN, 2)) == 2


def test_an_append_is_synced_before_it_returns(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr("runtime.journal.os.fsync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
    journal.append(narrowing(ANN, 1))
    assert synced == [journal._path.stat().st_size]
