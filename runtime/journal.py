"""The journal: every narrowing of a standing, durable outside the database before it is acknowledged (DESIGN, 7).

A file `journal.jsonl`, one line for each entry, chained and sealed under a key of the key-ring (see `journal_line`): a
changed, lost, swapped or foreign line is seen. A last line without its newline was never acknowledged and is cut by the
next append; everything else that does not fit raises.
"""

import fcntl
import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.consent import SubjectId
from runtime import journal_line, keyfiles
from runtime.journal_given import APPROVED, CLOSED, NARROWING, Given
from runtime.journal_line import JournalError

__all__ = ["APPROVED", "CLOSED", "FILE", "KEY", "NARROWING", "Dropped", "Entry", "Journal", "JournalError"]

FILE = "journal.jsonl"
KEY = "journal"  # name of the secret in the key-ring
ANCHOR = 256  # lines from one remembered place in the file to the next
DROPPED, CATALOGUE, USED, STAFF = "dropped", "catalogue", "used", "staff"
# APPROVED: a statutory ground that two officers signed
# CLOSED: an ask that can no longer be answered, a draft that can no longer be approved


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its sequence number (from 1) and what was appended."""

    seq: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """What a redaction job gave up: the subject's data key of `generation`, wrapped in `bucket` under `epoch`.

    `facts` is the digest of what the job's certificate is to say.
    """

    subject: str
    bucket: int
    epoch: int
    generation: int
    fields: frozenset[str]
    facts: str
    seq: int = 0  # of the line that says so


_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)


def _readable(entry: Mapping[str, Any]) -> None:
    """Refuse, before it is written for ever, what could not be read again. JournalError `journal_failed`."""
    try:
        Given().take(entry)
    except _UNREADABLE as error:
        raise JournalError("journal_failed", "this entry could not be read again: it was not written") from error


class Journal:
    """An append-only, hash-chained file, shared by processes. What it says about floors and ends is held in memory."""

    def __init__(self, directory: Path, key: bytes, *, create: bool = False) -> None:
        """Read and verify the whole chain, under `key` (32 bytes). JournalError(journal_missing, journal_broken)."""
        self._path = directory / FILE
        self._key = key
        self._anchors = [(0, "", 0)]  # lines, tag of the last of them, bytes
        self._mutex = threading.Lock()
        self._offset, self._seq, self._head = 0, 0, ""  # how far we have read: bytes, lines, tag of the last line
        self._inode = 0
        self._left = b""  # what a failed append may have left in the file
        self._floors: dict[str, int] = {}
        self._marks: dict[str, int] = {}
        self._ended: set[str] = set()
        self._given = Given()
        self._staff: set[tuple[str, str]] = set()
        self._dropped: dict[str, tuple[Dropped, ...]] = {}
        self._jobs: dict[str, dict[str, None]] = {}  # subject → jobs, in their order
        self._generations: dict[str, int] = {}
        self._used: set[str] = set()
        self._catalogue: tuple[int, str] | None = None
        self._approved = 0
        if create:
            keyfiles.make_directory(directory)
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            keyfiles.sync_directory(directory)
            keyfiles.sync_directory(directory.parent)
        self.refresh()

    def append(self, entry: Mapping[str, Any]) -> int:
        """Append one entry, durable on return; its sequence number. Raises JournalError.

        Kind "narrowing" has `subject`, `version` and `ended` (ids), kind "dropped" what `Dropped`
        has, kind "catalogue" `number` and `digest` of a version, kind "closed" the `id` of an ask or a draft; other
        kinds are kept for those who replay.
        """
        return self.append_all([entry])

    def append_all(self, entries: Sequence[Mapping[str, Any]]) -> int:
        """Append several entries with one fsync, durable on return; the last one's number. Raises JournalError.

        A kill half-way may leave the first of them: whoever appends must be content with that.
        """
        with self._mutex, self._locked(fcntl.LOCK_EX, os.O_RDWR | os.O_APPEND) as descriptor:
            if self._left:
                self._take_back(descriptor)
            self._take_in()
            self._cut_torn_line(descriptor)
            seq, head, lines, tags = self._seq, self._head, [], []
            for entry in entries:
                _readable(entry)
                seq += 1
                line, head = journal_line.seal(self._key, seq, head, entry)
                lines.append(line)
                tags.append(head)
            self._write(descriptor, b"".join(lines))
            for line, tag, entry in zip(lines, tags, entries, strict=True):  # our own: nothing to verify
                self._take(self._seq + 1, tag, len(line), entry)
            return seq

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """Entries with a sequence number above `since`, in order, verified. Reads only from there. JournalError."""
        seq, head, offset = self._anchor(since)
        for line in self._lines(offset, self._durable()):
            seq, head, body = journal_line.parse(self._key, line, seq, head)
            if seq > since:
                yield Entry(seq, body)

    def tag(self, seq: int) -> str | None:
        """The tag of the line of that number, "" for 0; None when the journal is shorter. Raises JournalError."""
        found, head, offset = self._anchor(seq)
        if found == seq:
            return head
        for line in self._lines(offset, self._durable()):
            found, head, _ = journal_line.parse(self._key, line, found, head)
            if found == seq:
                return head
        return None

    def _anchor(self, seq: int) -> tuple[int, str, int]:
        return self._anchors[min(max(seq, 0) // ANCHOR, len(self._anchors) - 1)]

    def refresh(self) -> None:
        """Take in what other processes appended. Costs one stat when there is nothing new. Raises JournalError.

        A line that is not durable yet is waited for: should it fail, its writer takes it back, and nobody has seen it.
        """
        found = self._stat()
        if found.st_size != self._offset or found.st_ino != self._inode:
            with self._mutex, self._locked(fcntl.LOCK_SH, os.O_RDONLY):
                self._take_in()

    def head(self) -> tuple[int, str]:
        """Sequence number and tag (hex) of the last line; (0, "") when empty."""
        with self._mutex:
            return self._seq, self._head

    def floor(self, subject: SubjectId) -> int:
        """The lowest version of the subject's standing that may be believed; 0 when never narrowed."""
        return self._floors.get(subject, 0)

    def mark(self, subject: SubjectId) -> int:
        """The sequence number of the subject's last narrowing; 0 when never narrowed. It only rises."""
        return self._marks.get(subject, 0)

    def narrowed(self, since: int) -> frozenset[str]:
        """The subjects narrowed after this sequence number; `*` where it was a ground for everybody."""
        return frozenset(subject for subject, seq in list(self._marks.items()) if seq > since)

    def named(self, subject: SubjectId) -> frozenset[str]:
        """The ids of enrolments and consents that the subject's narrowings speak of: whoever judges must have them."""
        return self._given.named(subject)

    def lacks(self, subject: SubjectId, known: Collection[str]) -> bool:
        """Whether a consent that the subject gave, or an approved ground about them, is not among these ids."""
        grounds = self._given.grounds(subject).difference(known)
        return self._given.consents_missing(subject, known) or not all(map(self.ended, grounds))

    def gave(self, subject: str, consent: str) -> bool:
        """Whether this subject gave this consent, as far as is known here."""
        return self._given.gave(subject, consent)

    def grounds(self, subject: SubjectId) -> frozenset[str]:
        """The approved grounds that speak of the subject, or of everyone, ended ones too."""
        return self._given.grounds(subject)

    def answered(self, subject: str, ask: str, known: Collection[str]) -> bool:
        """Whether one of these consents answered the ask, and nothing that was said of it since says otherwise."""
        return self._given.answered(subject, ask, known)

    def counts(self, body: Mapping[str, Any]) -> bool:
        """Whether what this entry gave still counts: no later answer to its ask, no end of the ask or the ground."""
        if body.get("kind") == APPROVED:
            return not self.ended(str(body["ground"]["id"]))
        return self._given.counts(body)

    def ended(self, ground: str) -> bool:
        """Has this consent, ground, ask or draft been ended?"""
        return ground in self._ended

    def staff_ended(self, account: str, created_at: str) -> bool:
        """Has this account, made at that instant, been ended? An older row of it in the database is not believed."""
        return (account, created_at) in self._staff

    def dropped(self, job: str) -> tuple[Dropped, ...]:
        """What a redaction job gave up, newest first; in a database that was restored it may have done so again."""
        return self._dropped.get(job, ())

    def dropped_of(self, subject: str) -> Mapping[str, tuple[Dropped, ...]]:
        """The same of all jobs of a customer, by job."""
        return {job: self._dropped[job] for job in tuple(self._jobs.get(subject, ()))}

    def every_dropped(self) -> Mapping[str, tuple[Dropped, ...]]:
        """The same of all jobs, by job."""
        return dict(self._dropped)

    def generation(self, subject: str) -> int:
        """The last generation of a subject's data key that was dropped: neither it nor an older one may live on."""
        return self._generations.get(subject, 0)

    def used(self, permission: str) -> bool:
        """Was a permission that holds once used already? A row that is put back cannot say otherwise."""
        return permission in self._used

    @property
    def approved(self) -> int:
        """The sequence number of the last statutory ground that was approved; 0: none was. It only rises."""
        return self._approved

    @property
    def catalogue(self) -> tuple[int, str] | None:
        """Number and digest of the version of the catalogue that was published last; None: none was."""
        return self._catalogue

    def _stat(self) -> os.stat_result:
        try:
            return self._path.stat()
        except FileNotFoundError as error:
            raise JournalError(
                "journal_missing", "there is no journal; without it every consent stays denied"
            ) from error

    @contextmanager
    def _locked(self, lock: int, flags: int) -> Iterator[int]:
        try:
            descriptor = os.open(self._path, flags)
        except FileNotFoundError as error:
            raise JournalError("journal_missing", "there is no journal") from error
        except OSError as error:
            raise JournalError("journal_failed", "the journal cannot be opened") from error
        try:
            fcntl.flock(descriptor, lock)
            yield descriptor
        finally:
            os.close(descriptor)

    def _durable(self) -> int:
        """How many bytes no writer is at work on: what a failed one takes back nobody has seen."""
        with self._locked(fcntl.LOCK_SH, os.O_RDONLY) as descriptor:
            return os.fstat(descriptor).st_size

    def _take_in(self) -> None:
        found = self._stat()
        if found.st_size < self._offset or (self._inode and found.st_ino != self._inode):
            raise JournalError("journal_shrunk", "the journal is shorter than it was, or another one")
        self._inode = found.st_ino
        for line in self._lines(self._offset):
            self._accept(line)

    def _lines(self, offset: int, end: int | None = None) -> Iterator[bytes]:
        """Complete lines from a byte offset on. A last one without its newline is not acknowledged: not there."""
        try:
            with self._path.open("rb") as file:
                file.seek(offset)
                for line in file:
                    offset += len(line)
                    if not line.endswith(b"\n") or (end is not None and offset > end):
                        return  # somebody is just writing it: a look further on would meet its other half
                    yield line
        except FileNotFoundError as error:
            raise JournalError("journal_missing", "there is no journal") from error

    def _accept(self, line: bytes) -> None:
        seq, tag, body = journal_line.parse(self._key, line, self._seq, self._head)
        self._take(seq, tag, len(line), body)

    def _take(self, seq: int, tag: str, length: int, body: Mapping[str, Any]) -> None:
        """Take a line in, or stay before it: nobody goes on behind one that says an end which was not understood."""
        try:
            self._learn(seq, body)
        except _UNREADABLE as error:
            raise JournalError("journal_broken", f"line {seq} of the journal says nothing that we know") from error
        self._seq, self._head = seq, tag
        self._offset += length
        if self._seq % ANCHOR == 0:
            self._anchors.append((self._seq, self._head, self._offset))

    def _learn(self, seq: int, body: Mapping[str, Any]) -> None:
        self._given.take(body)
        if body.get("kind") == NARROWING:
            # The end before the floor: a reader between the two must see the stricter answer.
            ended = {str(ground) for ground in body.get("ended", ())}
            self._ended |= ended
            subject = str(body["subject"])
            self._floors[subject] = max(self._floors.get(subject, 0), int(body["version"]))
            self._marks[subject] = seq
        elif body.get("kind") == STAFF:
            self._staff.add((str(body["account"]), str(body["created_at"])))
        elif body.get("kind") == DROPPED:
            self._drop(seq, body)
        elif body.get("kind") == CLOSED:
            self._ended.add(str(body["id"]))
        elif body.get("kind") == USED:
            self._used.add(str(body["permission"]))
        elif body.get("kind") == CATALOGUE:
            self._catalogue = (int(body["number"]), str(body["digest"]))
        elif body.get("kind") == APPROVED:
            self._approved = seq

    def _drop(self, seq: int, body: Mapping[str, Any]) -> None:
        one = Dropped(
            subject=str(body.get("subject", "")),
            bucket=int(body["bucket"]),
            epoch=int(body["epoch"]),
            generation=int(body.get("generation", 0)),
            fields=frozenset(body["fields"]),
            facts=str(body.get("facts", "")),
            seq=seq,
        )
        job = str(body["job"])
        self._dropped[job] = (one, *self._dropped.get(job, ()))
        self._jobs.setdefault(one.subject, {})[job] = None
        self._generations[one.subject] = max(self._generations.get(one.subject, 0), one.generation)

    def _cut_torn_line(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size > self._offset:
            try:
                os.ftruncate(descriptor, self._offset)
                os.fsync(descriptor)
            except OSError as error:
                raise JournalError("journal_failed", "a torn line could not be cut") from error

    def _write(self, descriptor: int, lines: bytes) -> None:
        try:
            written = os.write(descriptor, lines)
            if written != len(lines):
                raise OSError("short write")
            os.fsync(descriptor)
        except OSError as error:
            # After a failed fsync nobody knows what is on the disk: the line is taken back. Whoever appends next writes
            # the same place anew, so the line before it, which was acknowledged, is always followed by a durable one.
            self._left = lines
            with suppress(JournalError):
                self._take_back(descriptor)
            raise JournalError("journal_failed", "the entry could not be made durable") from error

    def _take_back(self, descriptor: int) -> None:
        """Cut what is ours and was never acknowledged. JournalError where that fails, or others went on behind it."""
        try:
            if not self._left.startswith(os.pread(descriptor, len(self._left) + 1, self._offset)):
                raise JournalError("journal_failed", "others appended behind a failed append; open the journal anew")
            if os.fstat(descriptor).st_size > self._offset:
                os.ftruncate(descriptor, self._offset)
        except OSError as error:
            raise JournalError("journal_failed", "what a failed append left cannot be taken back") from error
        self._left = b""
