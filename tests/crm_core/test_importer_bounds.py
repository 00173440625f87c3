"""What an import takes: memory, the write lock, the disk; and what of it is ever in clear."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from crm_core.imports import importer, scratch, source, spool
from crm_core.imports.importer import Plan
from protocol.consent import SubjectId

EMAIL = "contact.email"
GROWTH = 40 * 2**20  # bytes that 45,000 more rows may take: the scratch's cache (32 MiB) and what Python keeps
_MEASURE = """
import hashlib, resource, sys
from pathlib import Path
from crm_core.imports import importer
from crm_core.imports import matching
from crm_core.imports import source
from crm_core.imports.intake import Intake, Plan
from crm_core.imports.scratch import Scratch
from issuer import catalogue
from runtime.platform import Platform
from runtime.settings import Settings
home = Path(sys.argv[1])
platform = Platform.open(Settings(home=home, mail_dir=home / "mail"))
shelf, given = catalogue.load(), source.of_path(Path(sys.argv[2]))
scratch, intake = Scratch(home / "spool"), Intake(platform, shelf, Plan())
known = source.examine(given, lambda: hashlib.blake2b(digest_size=32, key=platform.keyring.secret("origin")))
intake.read(scratch, given, known)
intake.hold(scratch, known)
merged = 0
for batch in importer._batches(scratch.customers()):
    merged += len([importer._merge(group, shelf.fields) for group in batch])
print(merged, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def rows(count, start=0):
    yield "First Name,Last Name,Email,Phone,City,Message\n"
    for n in range(start, start + count):
        yield f'G{n},F{n},p{n}@x.example,+86138{n:08d},Leeds,"a note of two\nlines, 你好"\n'


def write(path, count, start=0):
    with path.open("w", encoding="utf-8") as file:
        file.writelines(rows(count, start))
    return path


def measured(stage, file):
    home = str(stage.platform.settings.home)
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, home, str(file)],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return tuple(map(int, done.stdout.split()))


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(stage, tmp_path):
    """The first half sees all rows; the second one batch at a time."""
    read, small = measured(stage, write(tmp_path / "small.csv", 5_000))
    assert read == 5_000
    read, large = measured(stage, write(tmp_path / "large.csv", 50_000))
    assert read == 50_000
    assert large - small < GROWTH


def test_others_write_and_read_while_an_import_writes(stage, tmp_path):
    """Each transaction of an import is short: between two of them whoever waits has a turn."""
    file = write(tmp_path / "people.csv", 2_000)
    waits, running = [], threading.Event()

    def others():
        running.wait(30)
        while running.is_set():
            began = time.monotonic()
            with stage.platform.database.write("owner"):
                waits.append(time.monotonic() - began)
            time.sleep(0.01)

    def progress(what, done, total):
        if what == "Sealing customers":
            (running.clear if done == total else running.set)()

    thread = threading.Thread(target=others)
    thread.start()
    began = time.monotonic()
    importer.run(
        stage.platform,
        stage.catalogue,
        source.of_path(file),
        source="test",
        importer=stage.platform.controller,
        plan=Plan(progress=progress),
    )
    whole = time.monotonic() - began
    running.clear()
    thread.join()
    assert len(waits) >= 5  # a single transaction would have let nobody in
    assert max(waits) < whole


def test_what_is_gathered_rests_sealed_and_without_a_name(tmp_path):
    gathered = scratch.Scratch(tmp_path)
    subject = SubjectId("sub_" + "a" * 26)
    for n in range(500):
        gathered.add(
            n + 1, [("email", f"email:secret{n}@x.example")], {EMAIL: f"secret{n}@x.example", "note": "x" * 500}
        )
    gathered.add(501, [("email", "email:known@x.example")], {EMAIL: "known@x.example"})
    gathered.hold(subject, [("email:known@x.example", 0)])
    assert gathered.count() == 501
    gathered._database.execute("COMMIT")  # on the disk now
    assert list(tmp_path.iterdir()) == []
    kept = b"".join(_open_files(tmp_path))
    assert len(kept) > 300_000
    assert b"x.example" not in kept
    assert b"x" * 50 not in kept
    groups = list(gathered.customers())
    assert (groups[0].subject, groups[0].rows[0].number) == (subject, 501)
    assert groups[1].rows[0].values[EMAIL] == "secret0@x.example"
    gathered.close()


def test_a_spool_gives_back_its_bytes_and_rests_sealed_and_without_a_name(tmp_path):
    body = b"".join(b"row %d,secret@x.example\n" % n for n in range(20_000))
    kept = spool.Spool(tmp_path)
    for start in range(0, len(body), 7_000):
        kept.write(body[start : start + 7_000])
    kept.end()
    assert list(tmp_path.iterdir()) == []
    (sealed,) = _open_files(tmp_path)
    assert b"secret" not in sealed
    with kept.open() as first, kept.open() as second:
        assert first.read(100) == body[:100]
        assert second.read() == body
        first.seek(0)
        assert first.read() == body
    descriptor = kept._file.fileno()
    os.pwrite(descriptor, b"\x00" * 8, 70_000)
    with kept.open() as stream, pytest.raises(OSError, match="changed"):
        stream.read()
    kept.close()


def test_an_empty_spool_is_an_empty_file(tmp_path):
    kept = spool.Spool(tmp_path)
    kept.end()
    assert kept.open().read() == b""
    kept.close()


def test_a_file_that_changes_while_it_is_read_is_refused(stage, tmp_path):
    file = write(tmp_path / "people.csv", 2_500)

    def progress(what, done, _total):
        if what == "Reading rows" and done == 1000:
            body = file.read_bytes()
            file.write_bytes(body.replace(b"G2400,", b"X2400,"))

    with pytest.raises(importer.EvidenceError) as caught:
        importer.run(
            stage.platform,
            stage.catalogue,
            source.of_path(file),
            source="test",
            importer=stage.platform.controller,
            plan=Plan(progress=progress),
        )
    assert caught.value.code == "file_changed"
    assert stage.events("value.collected") == []


def _open_files(directory):
    """The contents of the nameless files in a directory that this process has open."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            if os.readlink(entry).startswith(str(directory)):
                found.append(entry.read_bytes())
        except OSError:
            continue
    return found
