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
CREATE TABLE held (customer INTEGER PRIMARY KEY, subject TEXT UNIQUE);
CREATE TABLE key (mark BLOB PRIMARY KEY, customer INTEGER NOT NULL, rank INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE earlier (number INTEGER PRIMARY KEY, customer INTEGER NOT NULL);
CREATE TABLE row (number INTEGER PRIMARY KEY, customer INTEGER NOT NULL, rule TEXT, box BLOB NOT NULL);
CREATE INDEX row_of ON row (customer, number);
"""
_PRAGMAS = ("journal_mode=OFF", "locking_mode=EXCLUSIVE", "synchronous=OFF", "temp_store=MEMORY", "cache_size=-32768")


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


class Scratch:
    """Rows by customer."""

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
        self._seal, self._key = AESGCM(secrets.token_bytes(32)), secrets.token_bytes(32)
        self._held = 0

    def close(self) -> None:
        """Drop the file."""
        self._database.close()

    def mark(self, key: str) -> bytes:
        """The digest by which a customer is found."""
        return hashlib.blake2b(key.encode(), digest_size=16, key=self._key).digest()

    def hold(self, subject: SubjectId, keys: Sequence[tuple[str, int]]) -> None:
        """A customer that there is already, with what it is found by; of two with one key the lower rank has it."""
        self._held += 1
        self._database.execute("INSERT INTO held VALUES (?, ?)", (-self._held, subject))
        self._database.executemany(
            "INSERT INTO key VALUES (?, ?, ?) ON CONFLICT (mark) DO UPDATE SET customer = excluded.customer, "
            "rank = excluded.rank WHERE excluded.rank < key.rank",
            [(self.mark(key), -self._held, rank) for key, rank in keys],
        )

    def hold_row(self, number: int, subject: SubjectId) -> None:
        """An earlier import of the same bytes gave this row's values to that customer, which is held."""
        self._database.execute(
            "INSERT OR IGNORE INTO earlier SELECT ?, customer FROM held WHERE subject = ?", (number, subject)
        )

    def add(self, number: int, keys: Sequence[tuple[str, str]], values: dict[Field, Value]) -> None:
        """A row, with (rule, key) of all that it is found by, the strongest first."""
        marks = [(rule, self.mark(key)) for rule, key in keys]
        customer, rule = self._find(number, marks)
        box = self._seal.encrypt(number.to_bytes(12, "big"), orjson.dumps(values), None)
        self._database.execute("INSERT INTO row VALUES (?, ?, ?, ?)", (number, customer, rule, box))
        if marks:
            self._database.executemany(
                "INSERT OR IGNORE INTO key VALUES (?, ?, 9)", [(mark, customer) for _, mark in marks]
            )

    def count(self) -> int:
        """How many customers the rows are of."""
        return int(self._database.execute("SELECT count(DISTINCT customer) FROM row").fetchone()[0])

    def customers(self) -> Iterator[Group]:
        """The rows by customer: first those that there are already."""
        statement = (
            "SELECT row.customer, held.subject, number, rule, box FROM row INDEXED BY row_of "
            "LEFT JOIN held ON held.customer = row.customer ORDER BY row.customer, number"
        )
        last, group = 0, Group(None, [])
        for customer, subject, number, rule, box in self._database.execute(statement):
            if customer != last:
                if group.rows:
                    yield group
                last, group = customer, Group(subject, [])
            values = orjson.loads(self._seal.decrypt(number.to_bytes(12, "big"), box, None))
            group.rows.append(Gathered(number, rule, values))
        if group.rows:
            yield group

    def _find(self, number: int, marks: Sequence[tuple[str, bytes]]) -> tuple[int, str | None]:
        for rule, mark in marks:
            found = self._database.execute("SELECT customer FROM key WHERE mark = ?", (mark,)).fetchone()
            if found is not None:
                return found[0], rule
        if self._held:
            found = self._database.execute("SELECT customer FROM earlier WHERE number = ?", (number,)).fetchone()
            if found is not None:
                return found[0], "row"
        return number, None
