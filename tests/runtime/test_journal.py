import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.consent import SubjectId
from runtime import journal_line
from runtime.journal import ANCHOR, FILE, Journal, JournalError

KEY = bytes(32)
ANN, BEN = SubjectId("sub_ann"), SubjectId("sub_ben")
APPENDER = """
import sys
import threading
from pathlib import Path
from runtime.journal import Journal
journal = Journal(Path(sys.argv[1]), bytes(32))
for version in range(50):
    journal.append({"kind": "narrowing", "subject": sys.argv[2], "version": version + 1, "ended": []})
"""

HALVES = """
import os, sys, time
from runtime import journal_line
file = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
head = ""
for version in range(1, int(sys.argv[2]) + 1):
    entry = {"kind": "narrowing", "subject": "sub_ann", "version": version, "ended": []}
    line, head = journal_line.seal(bytes(32), version, head, entry)
    os.write(file, line[:20])
    time.sleep(0.0002)  # a reader that keeps up meets many halves
    os.write(file, line[20:])
"""


def narrowing(subject: SubjectId, version: int, *ended: str) -> dict[str, object]:
    return {"kind": "narrowing", "subject": subject, "version": version, "ended": list(ended), "at": "…"}


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path, KEY, create=True)


def code(call: object, *arguments: object) -> str:
    with pytest.raises(JournalError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.code


def test_an_appended_narrowing_is_known_here_and_after_reopening(journal: Journal, tmp_path: Path) -> None:
    assert journal.append(narrowing(ANN, 3, "urn:consent:1")) == 1
    assert journal.append({"kind": "survivors", "subject": ANN, "generation": 2}) == 2
    for mine in (journal, Journal(tmp_path, KEY)):
        assert mine.floor(ANN) == 3
        assert mine.floor(BEN) == 0
        assert mine.ended("urn:consent:1")
        assert not mine.ended("urn:consent:2")
        assert [entry.seq for entry in mine.entries()] == [1, 2]
        assert [entry.body["kind"] for entry in mine.entries(since=1)] == ["survivors"]
        assert mine.head() == journal.head()


UNREADABLE = [
    {"kind": "narrowing", "subject": ANN, "version": 1, "ended": ["urn:consent:1"], "evidence": ["no papers"]},
    {"kind": "narrowing", "version": 1, "ended": []},
    {"kind": "ground", "ground": []},
    {"kind": "closed"},
]


@pytest.mark.parametrize("entry", UNREADABLE)
def test_what_could_not_be_read_again_is_not_written(journal: Journal, tmp_path: Path, entry: dict[str, Any]) -> None:
    journal.append(narrowing(BEN, 2))
    assert code(journal.append, entry) == "journal_failed"
    assert code(journal.append_all, [narrowing(ANN, 7), entry]) == "journal_failed"
    assert journal.append(narrowing(BEN, 3)) == 2
    assert Journal(tmp_path, KEY).head() == journal.head()
    assert journal.floor(ANN) == 0


@pytest.mark.parametrize("entry", UNREADABLE)
def test_nobody_goes_on_behind_a_line_that_is_not_understood(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any]
) -> None:
    """An earlier build may have written one: what it ends is not known, so nothing may be granted behind it."""
    other = Journal(tmp_path, KEY)
    monkeypatch.setattr("runtime.journal._readable", lambda _: None)
    assert code(journal.append, entry) == "journal_broken"
    for _ in range(2):
        assert code(other.refresh) == "journal_broken"
        assert code(Journal, tmp_path, KEY) == "journal_broken"


@pytest.mark.parametrize("paper", [{}, [], "x", {"no": "id"}])
def test_a_paper_without_a_name_is_come_past(journal: Journal, tmp_path: Path, paper: object) -> None:
    entry = narrowing(ANN, 1, "urn:consent:1") | {"evidence": {"enrolment": paper, "ask": paper}}
    journal.append(entry)
    assert Journal(tmp_path, KEY).ended("urn:consent:1")


def test_a_floor_never_falls(journal: Journal) -> None:
    journal.append(narrowing(ANN, 5))
    journal.append(narrowing(ANN, 4))
    assert journal.floor(ANN) == 5


def test_what_another_opener_appended_is_known_after_a_refresh(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path, KEY)
    other.append(narrowing(ANN, 3))
    assert journal.floor(ANN) == 0
    journal.refresh()
    assert journal.floor(ANN) == 3
    assert journal.append(narrowing(BEN, 1)) == 2


def test_processes_that_append_at_once_make_one_unbroken_chain(journal: Journal, tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path), f"sub_{n}"]) for n in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert [entry.seq for entry in Journal(tmp_path, KEY).entries()] == list(range(1, 151))
    journal.refresh()
    assert [journal.floor(SubjectId(f"sub_{n}")) for n in range(3)] == [50, 50, 50]


def refreshed(journal: Journal, file: Path, lines: int) -> str | None:
    """What a refresh says while another process writes that many lines, each in two halves."""
    writer = subprocess.Popen([sys.executable, "-c", HALVES, str(file), str(lines)])
    try:
        while writer.poll() is None:
            journal.refresh()
        journal.refresh()
    except JournalError as error:
        return error.code
    finally:
        writer.kill()
        writer.wait()
    assert journal.head()[0] == lines
    return None


def test_a_line_that_is_being_written_is_not_taken_for_a_broken_one(journal: Journal, tmp_path: Path) -> None:
    assert refreshed(journal, tmp_path / FILE, 4000) is None


def test_whoever_reads_on_behind_half_a_line_does_take_it_for_a_broken_one(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""

    def on(self: Journal, offset: int) -> Iterator[bytes]:
        with (tmp_path / FILE).open("rb") as file:
            file.seek(offset)
            yield from (line for line in file if line.endswith(b"\n"))

    monkeypatch.setattr(Journal, "_lines", on)
    assert refreshed(journal, tmp_path / FILE, 20_000) == "journal_broken"


def test_a_line_torn_by_a_crash_is_not_there_and_is_cut_by_the_next_append(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"entry":{"kind":"narrowing","subj')
    again = Journal(tmp_path, KEY)
    assert again.head()[0] == 1
    assert again.append(narrowing(BEN, 2)) == 2
    assert [entry.body["subject"] for entry in Journal(tmp_path, KEY).entries()] == [ANN, BEN]


@settings(deadline=None)  # each example syncs files, and the disk takes its time
@given(cut=st.integers(min_value=0, max_value=400))
def test_wherever_a_crash_cuts_the_file_what_was_whole_before_stays(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    journal = Journal(directory, KEY, create=True)
    for version in range(1, 4):
        journal.append(narrowing(ANN, version))
    whole = (directory / FILE).read_bytes()[:cut]
    (directory / FILE).write_bytes(whole)
    again = Journal(directory, KEY)
    assert again.floor(ANN) == whole.count(b"\n")
    assert again.append(narrowing(BEN, 1)) == whole.count(b"\n") + 1
    assert Journal(directory, KEY).floor(BEN) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"version":1', b'"version":9'),
        (b'"version":3', b'"version":2'),
        (b'"seq":2', b'"seq":7'),
        (b'"entry":{', b'"entry":['),
        (b'"tag":"', b'"tab":"'),
    ],
)
def test_a_line_that_was_edited_is_refused_and_named(journal: Journal, tmp_path: Path, old: bytes, new: bytes) -> None:
    """The last one too, which no later line speaks of."""
    for version in (1, 2, 3):
        journal.append(narrowing(ANN, version))
    path = tmp_path / FILE
    lines = path.read_bytes().splitlines(keepends=True)
    (number,) = [n for n, line in enumerate(lines, 1) if old in line][:1]
    lines[number - 1] = lines[number - 1].replace(old, new)
    path.write_bytes(b"".join(lines))
    with pytest.raises(JournalError, match=f"line {number} of the journal") as caught:
        Journal(tmp_path, KEY)
    assert caught.value.code == "journal_broken"
    assert "reconcile --end-unknown" in caught.value.detail


def test_who_has_the_file_and_not_the_key_can_neither_write_a_line_nor_the_whole_journal_anew(
    journal: Journal, tmp_path: Path
) -> None:
    for version in (1, 2):
        journal.append(narrowing(ANN, version, f"urn:consent:{version}"))
    path = tmp_path / FILE
    whole = path.read_bytes()
    forged, _ = journal_line.seal(bytes(31) + b"1", 3, str(journal.tag(2)), narrowing(BEN, 1))
    path.write_bytes(whole + forged)
    assert code(Journal, tmp_path, KEY) == "journal_broken"
    (tmp_path / "own").mkdir()
    own = Journal(tmp_path / "own", bytes(31) + b"1", create=True)
    own.append(narrowing(ANN, 2))
    path.write_bytes((tmp_path / "own" / FILE).read_bytes())
    assert code(Journal, tmp_path, KEY) == "journal_broken"


def test_control_a_chain_without_a_key_is_made_anew_by_whoever_writes_the_file(tmp_path: Path) -> None:
    """With a key that everybody has, the middle line goes and nothing shows it: what protects is the key."""
    journal = Journal(tmp_path, KEY, create=True)
    for version in (1, 2, 3):
        journal.append(narrowing(ANN, version, f"urn:consent:{version}"))
    kept = [entry.body for entry in journal.entries() if entry.body["version"] != 2]
    (tmp_path / FILE).unlink()
    Journal(tmp_path, KEY, create=True).append_all(kept)
    again = Journal(tmp_path, KEY)
    assert (again.ended("urn:consent:2"), again.ended("urn:consent:3")) == (False, True)


def test_entries_and_tags_are_read_from_where_they_are_wanted(journal: Journal, tmp_path: Path) -> None:
    journal.append_all([narrowing(ANN, version) for version in range(1, 2 * ANCHOR + 10)])
    again = Journal(tmp_path, KEY)
    every = list(again.entries())
    for since in (0, 1, ANCHOR - 1, ANCHOR, ANCHOR + 1, 2 * ANCHOR, 2 * ANCHOR + 8, 9_999):
        assert list(again.entries(since)) == every[since:]
        assert again.tag(since) == journal.tag(since)
    assert (again.tag(0), again.tag(9_999)) == ("", None)
    assert again.tag(len(every)) == again.head()[1]


def test_what_a_job_gave_up_is_known_for_each_time(journal: Journal) -> None:
    """In a database that was restored it may give up another key; a certificate may rest on either."""
    for generation in (1, 2):
        entry = {"kind": "dropped", "job": "urn:job", "subject": ANN, "bucket": 7, "epoch": 1, "fields": ["a.b"]}
        journal.append({**entry, "generation": generation, "facts": f"facts {generation}"})
    assert [(one.generation, one.facts, one.seq) for one in journal.dropped("urn:job")] == [
        (2, "facts 2", 2),
        (1, "facts 1", 1),
    ]
    assert (journal.dropped("urn:other"), journal.generation(ANN)) == ((), 2)
    assert list(journal.dropped_of(ANN)) == ["urn:job"]


def test_which_ground_was_approved_last_is_known(journal: Journal, tmp_path: Path) -> None:
    journal.append_all([narrowing(ANN, 1), {"kind": "ground", "ground": {}}, narrowing(ANN, 2)])
    assert (journal.approved, Journal(tmp_path, KEY).approved) == (2, 2)
    journal.append({"kind": "ground", "ground": {}})
    assert journal.approved == 4


def test_a_lost_line_breaks_the_chain(journal: Journal, tmp_path: Path) -> None:
    for version in (1, 2, 3):
        journal.append(narrowing(ANN, version))
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(lines[0] + lines[2])
    assert code(Journal, tmp_path, KEY) == "journal_broken"


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
    assert code(Journal, tmp_path / "nowhere", KEY) == "journal_missing"
    (tmp_path / FILE).unlink()
    assert code(journal.refresh) == "journal_missing"
    assert code(journal.append, narrowing(ANN, 1)) == "journal_missing"


def test_making_it_again_keeps_what_is_there(journal: Journal, tmp_path: Path) -> None:
    journal.append(narrowing(ANN, 1))
    assert Journal(tmp_path, KEY, create=True).floor(ANN) == 1


def test_an_append_that_is_not_durable_is_taken_back_and_says_so(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(narrowing(ANN, 1))

    def broken(_: int) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.journal.os.fsync", broken)
        assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    again = Journal(tmp_path, KEY)
    assert (journal.floor(ANN), again.floor(ANN)) == (1, 1)
    assert journal.append(narrowing(ANN, 2)) == 2  # the disk is well again
    assert again.append(narrowing(ANN, 3)) == 3


@pytest.mark.parametrize("others", [False, True])
def test_what_cannot_be_taken_back_at_once_is_taken_back_later_unless_others_went_on_behind_it(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    journal.append(narrowing(ANN, 1))

    def broken(*_: int) -> None:
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.journal.os.fsync", broken)
        patch.setattr("runtime.journal.os.ftruncate", broken)
        for _ in range(2):
            assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    if others:  # the line that was not acknowledged stays: an end
        assert Journal(tmp_path, KEY).append(narrowing(BEN, 1)) == 3
        assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    else:
        assert journal.append(narrowing(ANN, 3)) == 2
    assert Journal(tmp_path, KEY).floor(ANN) == (2 if others else 3)


def test_nobody_reads_a_line_before_it_is_durable(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.append(narrowing(BEN, 1))
    other, seen = Journal(tmp_path, KEY), list[object]()
    looking = threading.Thread(target=lambda: seen.append((len(list(other.entries())), other.tag(2))))

    def slow(_: int) -> None:
        looking.start()
        looking.join(0.3)
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.journal.os.fsync", slow)
        assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    looking.join(10)
    assert seen == [(1, None)]
    journal.append(narrowing(ANN, 3))
    assert (len(list(other.entries())), other.tag(2)) == (2, journal.head()[1])


def test_whoever_reads_may_append_meanwhile_and_does_not_meet_it(journal: Journal) -> None:
    journal.append(narrowing(BEN, 1))
    journal.append(narrowing(BEN, 2))
    assert [journal.append(narrowing(ANN, one.seq)) for one in journal.entries()] == [3, 4]


def test_nobody_takes_in_a_line_before_it_is_durable(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that saw it would find the journal shrunk once it was taken back, and deny for good."""
    other, seen = Journal(tmp_path, KEY), list[int]()
    looking = threading.Thread(target=lambda: (other.refresh(), seen.append(other.floor(ANN))))

    def slow(_: int) -> None:
        looking.start()
        looking.join(0.3)
        seen.append(other.floor(ANN))
        raise OSError("disk")

    with monkeypatch.context() as patch:
        patch.setattr("runtime.journal.os.fsync", slow)
        assert code(journal.append, narrowing(ANN, 2)) == "journal_failed"
    looking.join(10)
    assert seen == [0, 0]
    journal.append(narrowing(ANN, 3))
    other.refresh()
    assert other.floor(ANN) == 3


def test_an_append_is_synced_before_it_returns(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync
    monkeypatch.setattr("runtime.journal.os.fsync", lambda fd: (synced.append(os.fstat(fd).st_size), real(fd)))
    journal.append(narrowing(ANN, 1))
    assert synced == [journal._path.stat().st_size]
