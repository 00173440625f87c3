"""Where an import gathers its rows before the database is touched: on the disk, sealed, and gone with the process.

A private SQLite file without a name. Values are sealed under a key that is nowhere but in memory; what customers are
found by is there as a digest under another such key. Memory stays bounded, however many rows there are.
"""

import hashlib
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm_core.seal import Value
from protocol.consent import Field, SubjectId

_SCHEMA = """
CREATE TABLE row (number INTEGER PRIMARY KEY, rules TEXT NOT NULL, marks BLOB NOT NULL, box BLOB NOT NULL);
CREATE TABLE held (customer INTEGER PRIMARY KEY, subject TEXT UNIQUE);
CREATE TABLE key (mark BLOB PRIMARY KEY, customer INTEGER NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE earlier (number INTEGER NOT NULL, subject TEXT NOT NULL);
CREATE INDEX earlier_of ON earlier (subject);
CREATE INDEX earlier_row ON earlier (number);
CREATE TABLE joined (
    customer INTEGER, number INTEGER UNIQUE, rule TEXT NOT NULL, PRIMARY KEY (customer, number)
) WITHOUT ROWID;
"""
_PRAGMAS = ("journal_mode=OFF", "locking_mode=EXCLUSIVE", "synchronous=OFF", "temp_store=MEMORY", "cache_size=-32768")
_MARK = 16
_PLACES = 2**25 - 1  # of a sieve: two marks of a million rows fill 6 % of it
_TOGETHER = 500  # rows in one statement
_FIND = "SELECT customer FROM key WHERE mark = ?"
_EARLIER = (
    "SELECT customer FROM earlier JOIN held ON held.subject = earlier.subject WHERE number = ? "
    "ORDER BY earlier.rowid LIMIT 1"
)
# CROSS: in the order of `joined`, so that nothing is sorted and memory stays bounded
_OLD = (
    "SELECT joined.customer, held.subject, joined.number, joined.rule, row.box FROM joined "
    "CROSS JOIN held ON held.customer = joined.customer CROSS JOIN row ON row.number = joined.number "
    "WHERE joined.customer < 0 ORDER BY joined.customer, joined.number"
)
_FIRST = (
    "SELECT number, box FROM row WHERE NOT EXISTS (SELECT 1 FROM joined WHERE joined.number = row.number) "
    "ORDER BY number"
)
_FURTHER = (
    "SELECT joined.customer, joined.number, joined.rule, row.box FROM joined "
    "CROSS JOIN row ON row.number = joined.number WHERE joined.customer > 0 ORDER BY joined.customer, joined.number"
)


class Gathered(NamedTuple):
    """One row: by which rule it was found to be this customer's (None: it is the first) and its values."""

    number: int
    rule: str | None
    values: dict[Field, Value]


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one customer, in order; `subject` when there is one already."""

    subject: SubjectId | None
    rows: list[Gathered]


class _Sieve:
    """Which marks were perhaps seen, in 4 MiB however many they are: "no" is certain, "yes" is to be looked up."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray((_PLACES + 1) // 8)

    def add(self, mark: bytes) -> bool:
        """Take note of a mark; was it perhaps there?"""
        place = int.from_bytes(mark[:4], "little") & _PLACES
        byte, bit = place >> 3, 1 << (place & 7)
        was = self._bits[byte]
        self._bits[byte] = was | bit
        return bool(was & bit)

    def has(self, mark: bytes) -> bool:
        """Was it perhaps seen?"""
        place = int.from_bytes(mark[:4], "little") & _PLACES
        return bool(self._bits[place >> 3] & 1 << (place & 7))


class Scratch:
    """Rows by customer: first all rows (`add`), then whoever there is already (`hold`), then `customers`.

    Most rows are about somebody whom no other row is about, and most customers in no row: by two sieves both are
    known without a look into the file.
    """

    def __init__(self, directory: Path) -> None:
        """`directory` is made if it is missing."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(dir=directory)
        os.close(descriptor)
        self._database = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
        for pragma in _PRAGMAS:
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")
        os.unlink(name)  # no crash leaves it; SQLite holds the file open until `close`
        self._seal = AESGCM(secrets.token_bytes(32))
        self._marker = hashlib.blake2b(digest_size=_MARK, key=secrets.token_bytes(32))
        self._once, self._again = _Sieve(), _Sieve()
        self._added: list[tuple[int, str, bytes, bytes]] = []
        self._held, self._told, self._matched = 0, False, False

    def close(self) -> None:
        """Drop the file."""
        self._database.close()

    def mark(self, key: str) -> bytes:
        """The digest by which a customer is found."""
        marker = self._marker.copy()
        marker.update(key.encode())
        return marker.digest()

    def add(self, number: int, keys: Sequence[tuple[str, str]], values: dict[Field, Value]) -> None:
        """A row, with (rule, key) of all that it is found by, the strongest first. Numbers rise."""
        marks = [self.mark(key) for _, key in keys]
        for mark in marks:
            if self._once.add(mark):
                self._again.add(mark)
        box = self._seal.encrypt(number.to_bytes(12, "big"), orjson.dumps(values), None)
        self._added.append((number, ",".join([rule for rule, _ in keys]), b"".join(marks), box))
        if len(self._added) == _TOGETHER:
            self._flush()

    def hold_row(self, number: int, subject: SubjectId) -> None:
        """An earlier import of the same bytes gave this row's values to that customer, who counts if held later."""
        self._told = True
        self._database.execute("INSERT INTO earlier VALUES (?, ?)", (number, subject))

    def hold(self, subject: SubjectId, keys: Sequence[tuple[str, int]]) -> None:
        """A customer that there is already, with what it is found by; of two with one key the lower rank has it."""
        marks = [(mark, rank) for key, rank in keys if self._once.has(mark := self.mark(key))]
        if not (marks or self._is_told(subject)):
            return
        self._held += 1
        self._database.execute("INSERT INTO held VALUES (?, ?)", (-self._held, subject))
        for mark, _ in marks:
            self._again.add(mark)
        self._database.executemany(
            "INSERT INTO key VALUES (?, ?, ?) ON CONFLICT (mark) DO UPDATE SET customer = excluded.customer, "
            "rank = excluded.rank WHERE excluded.rank < key.rank",
            [(mark, -self._held, rank) for mark, rank in marks],
        )

    def count(self) -> int:
        """How many customers the rows are of."""
        self._match()
        old, rows, joined = self._database.execute(
            "SELECT (SELECT count(DISTINCT customer) FROM joined WHERE customer < 0), "
            "(SELECT count(*) FROM row), (SELECT count(*) FROM joined)"
        ).fetchone()
        return int(old + rows - joined)

    def customers(self) -> Iterator[Group]:
        """The rows by customer: first those that there are already."""
        self._match()
        last, group = 0, Group(None, [])
        for customer, subject, number, rule, box in self._database.execute(_OLD):
            if customer != last:
                if group.rows:
                    yield group
                last, group = customer, Group(subject, [])
            group.rows.append(self._gathered(number, rule, box))
        if group.rows:
            yield group
        further = self._database.execute(_FURTHER)
        more = further.fetchone()
        for first, box in self._database.execute(_FIRST):
            rows = [self._gathered(first, None, box)]
            while more is not None and more[0] == first:
                rows.append(self._gathered(*more[1:]))
                more = further.fetchone()
            yield Group(None, rows)

    def _gathered(self, number: int, rule: str | None, box: bytes) -> Gathered:
        return Gathered(number, rule, orjson.loads(self._seal.decrypt(number.to_bytes(12, "big"), box, None)))

    def _is_told(self, subject: SubjectId) -> bool:
        found = "SELECT 1 FROM earlier WHERE subject = ?"
        return self._told and self._database.execute(found, (subject,)).fetchone() is not None

    def _flush(self) -> None:
        self._database.executemany("INSERT INTO row VALUES (?, ?, ?, ?)", self._added)
        self._added.clear()

    def _match(self) -> None:
        """Find whose each row is, in their order: a row may be found by what an earlier one brought."""
        if self._matched:
            return
        self._matched = True
        self._flush()
        for number, rules, joined in self._database.execute("SELECT number, rules, marks FROM row ORDER BY number"):
            marks = [joined[at : at + _MARK] for at in range(0, len(joined), _MARK)]
            wanted = [self._again.has(mark) for mark in marks]
            if not (self._told or any(wanted)):
                continue
            by = zip(rules.split(","), marks, wanted, strict=False)
            shared = [(rule, mark) for rule, mark, again in by if again]
            customer, found_by = self._find(number, shared)
            if found_by is not None:
                self._database.execute("INSERT INTO joined VALUES (?, ?, ?)", (customer, number, found_by))
            self._database.executemany(
                "INSERT OR IGNORE INTO key VALUES (?, ?, 9)", [(mark, customer) for _, mark in shared]
            )

    def _find(self, number: int, marks: Sequence[tuple[str, bytes]]) -> tuple[int, str | None]:
        for rule, mark in marks:
            found = self._database.execute(_FIND, (mark,)).fetchone()
            if found is not None:
                return found[0], rule
        if self._told:
            found = self._database.execute(_EARLIER, (number,)).fetchone()
            if found is not None:
                return found[0], "row"
        return number, None
