"""An import of a CRM's CSV, against reading it, AES-GCM of its fields and a batched insert."""

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench import result, scene
from bench.engine import Plain
from bench.result import Result
from bench.size import Size
from bench.timing import compare
from crm_core.imports import importer

_ROWS = {True: 500, False: 5_000}
_HEADINGS = "First Name,Last Name,Email,Phone Number,City\n"
_BATCH = 500


def measure(size: Size) -> Iterator[Result]:
    """Rows per processor second, new customers each time."""
    rows = _ROWS[size.rounds < 5]
    begin = count(1)
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place, scene.opened(Path(place), 0) as made:
        database = Plain(Path(place) / "plain.db", 5)

        def ours() -> None:
            report = importer.run(
                made.platform,
                made.catalogue,
                _file(next(begin), rows),
                source="bench",
                importer=made.platform.controller,
            )
            if report.created != rows:
                raise AssertionError(f"{report.created} created")

        found = compare(ours, lambda: _plain(database, _file(next(begin), rows)), rounds=min(size.rounds, 5))
        database.close()
    name, speed, plain = f"import of {rows:,} rows", rows / found.ours, rows / found.reference
    yield result.of(
        f"{name}, against csv, AES-GCM and a batched insert", speed, plain, 0.5, "at least", "rows/s",
        control=round(found.control, 3),
    )  # fmt: skip


def _file(number: int, rows: int) -> bytes:
    lines = (f"Given{n},Family{n},p{number}.{n}@example.org,+86138{number:03d}{n:05d},Leeds" for n in range(rows))
    return (_HEADINGS + "\n".join(lines)).encode()


def _plain(database: Plain, data: bytes) -> None:
    key = AESGCM(os.urandom(32))
    batch: list[tuple[bytes, ...]] = []
    for row in csv.reader(io.StringIO(data.decode())):
        nonces = [os.urandom(12) for _ in row]
        batch.append(
            tuple(nonce + key.encrypt(nonce, cell.encode(), b"") for nonce, cell in zip(nonces, row, strict=True))
        )
        if len(batch) == _BATCH:
            database.add(batch)
            batch.clear()
    database.add(batch)
