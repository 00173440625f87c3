"""Every earlier copy of the database, with the keys of today: none opens what was shredded, each comes forward whole.

A copy (database and WAL, as a thief or a backup takes them) is made after every commit that changes a key, a record
or a standing. The present keys must open nothing in it that is gone from the present database; and restored and
reconciled, each must hold every survivor and nothing else.
"""

import json
import random
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session, func, select
from typer.testing import CliRunner

from audit import drain
from audit.log import Log
from crm_core import items, records, writer
from crm_core.editing import item_writer
from crm_core.origin import Origin
from crm_core.seal import Value
from fieldgrant.cli import build
from protocol import canonical
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, ending, revive, worker
from redaction.archive import Archived
from redaction.disposition import Job
from redaction.rotation import Rotation
from runtime.dialect import Role
from runtime.keyring import KeyGone, bucket_of
from runtime.platform import Platform
from runtime.session import Database
from tests.attacks.house import CITY, EMAIL, GIVEN, PHONE, House, Person, Signed, built
from tests.engine import hand, mapping
from tests.rounds import rounds

BODY, SUBJECT = "interaction.body", "interaction.subject"
CUSTOMERS = 16

Held = dict[tuple[SubjectId, str, str], Value]  # (customer, item or "", field) → what was opened


@dataclass(slots=True)
class Copies:
    """Copies of a house's database, one after each commit in which anything of interest changed."""

    house: House
    folder: Path
    made: list[Path] = field(default_factory=list)
    _seen: object = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        write = Database.write

        @contextmanager
        def watched(database: Database, *role: Role) -> Iterator[Session]:
            with write(database, *role) as session:
                yield session
            self.look()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Database, "write", watched)
            self.look()
            yield

    def look(self) -> None:
        """Copy the files as they lie, unless the records, keys, jobs and rotations are those of the last copy."""
        of = ("record", "item", "standing", "redaction_job", "rotation", "archive")
        seen = [self.house.sql(f"SELECT * FROM {table}") for table in of]  # noqa: S608 - ours
        if seen == self._seen:
            return
        self._seen = seen
        copy = self.folder / f"{len(self.made):03}.db"
        laid(self.house.file, copy)
        self.made.append(copy)


def laid(database: Path, copy: Path) -> None:
    """Copy a database and its WAL; on a server, every row."""
    if mapping.on():
        hand.copied(database, copy)
        return
    for suffix in ("", "-wal"):
        if Path(f"{database}{suffix}").exists():
            shutil.copy(f"{database}{suffix}", f"{copy}{suffix}")


def opened(database: Database, platform: Platform) -> tuple[Held, int]:
    """All that the platform's keys open, and how many values the database holds."""
    found: Held = {}
    stored = 0
    heads = items.Heads(platform)
    with database.read() as session:
        for record in records.every(session):
            own = items.of_subject(session, record.subject)
            stored += len(records.boxes(record)) + sum(len(heads.boxes(one)) for one in own)
            try:
                key = records.data_key(platform, record)
            except (KeyGone, EvidenceError):
                continue
            values = records.open_fields(platform, record, records.stored(record))
            found |= {(record.subject, "", name): value for name, value in values.items()}
            for one in own:
                values = items.open_values(platform, heads, key, one, frozenset(heads.boxes(one)))
                found |= {(record.subject, one.item, name): value for name, value in values.items()}
    return found, stored


def boxes(database: Database, platform: Platform) -> list[Any]:
    """What the platform's keys open of the archive."""
    found = []
    with database.read() as session:
        for row in session.exec(select(Archived)):
            try:
                private = platform.keyring.archive.private(row.archive_key)
            except KeyGone:
                continue
            found.append(archive.open_box(private, row.box, row.context(platform.controller)))
    return found


def thief(copy: Path, platform: Platform) -> tuple[Held, int, list[Any]]:
    """What a copy tells to whoever has it and these keys."""
    # another copy of the copy: to open it writes its WAL into it
    loot = copy if mapping.on() else copy.with_suffix(".loot")
    if loot != copy:
        laid(copy, loot)
    database = Database(f"sqlite:///{loot}")
    try:
        return *opened(database, platform), boxes(database, platform)
    finally:
        database.dispose()


def settle(house: House) -> None:
    until = time.monotonic() + 30
    while worker.run_once(house.platform, house.own.catalogue).left:
        assert time.monotonic() < until, "dispositions do not come to their end"
    drain.drain_all(Log(house.platform))


def item(house: House, wallet: Signed, **values: Value) -> None:
    """Staff note an interaction."""
    platform = house.platform
    named = {Field(f"interaction.{name}"): value for name, value in values.items()}
    with platform.database.write("owner") as session:
        item_writer.add(session, platform, wallet.person.subject, named, origin=_origin(house))


def correct(house: House, wallet: Signed, **values: Value) -> None:
    platform = house.platform
    named = {Field(name.replace("__", ".")): value for name, value in values.items()}
    with platform.database.write("owner") as session:
        writer.put(session, platform, house.own.catalogue, wallet.person.subject, named, origin=_origin(house))


def _origin(house: House) -> Origin:
    platform = house.platform
    return Origin(source="staff", source_digest="-", importer=platform.controller, at=platform.clock.now())


def neighbours(house: House) -> list[Person]:
    """Two customers of one bucket, made if chance made none, and three more."""
    known: dict[int, Person] = {}
    while True:
        for person in house.people:
            other = known.setdefault(bucket_of(person.subject), person)
            if other is not person:
                pair = [other, person]
                return [*pair, *[one for one in house.people if one not in pair][:3]]
        number = len(house.people)
        texts = (f"Given{number}", f"person{number}@example.org", f"+861380000{1000 + number}", f"City {number}")
        values = dict(zip(map(Field, (GIVEN, EMAIL, PHONE, CITY)), texts, strict=True))
        with house.platform.database.write("owner") as session:
            origin = _origin(house)
            subject = writer.create(session, house.platform, house.own.catalogue, values, origin=origin)
        house.people.append(Person(subject, *texts[1:3]))


def live(house: House, people: list[Person]) -> None:
    """Everything that ends something, to several customers, one of whom only lives in a bucket that is rotated."""
    platform = house.platform
    first, neighbour, second, third, fourth = map(house.enrol_by_hand, people)
    given = first.give([EMAIL, CITY])
    helped = first.give([GIVEN, PHONE, SUBJECT, BODY], "service")
    item(house, first, subject="a first call", body="what was said in it")
    item(house, first, subject="a second call", body="what was said in the second")
    neighbour.give([EMAIL, PHONE, CITY])
    settle(house)
    correct(house, first, address__city="Corrected")
    withdraw(house, first, given)
    settle(house)
    first.give([EMAIL])  # back from the archive
    settle(house)
    widest = second.give([EMAIL, PHONE, CITY])
    third.give([CITY])
    settle(house)
    withdraw(house, second, widest)
    third_again = third.give([PHONE], "service")
    settle(house)
    withdraw(house, first, helped)  # items go
    withdraw(house, third, third_again)
    settle(house)
    fourth.give([PHONE, CITY])
    settle(house)
    for name in platform.keyring.archive.names():
        ending.end_key(platform, name)  # and the archive with its key
    settle(house)


def withdraw(house: House, wallet: Signed, given: Mapping[str, Any]) -> None:
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, list[Path], Path]]:
    """A house that lived through all of it, the copies that somebody took meanwhile, and the keys it began with."""
    home = tmp_path_factory.mktemp("lived")
    with built(home, customers=CUSTOMERS) as house:
        copies = Copies(house, home / "copies")
        copies.folder.mkdir()
        people = neighbours(house)  # made before the first copy: a later customer would not be in it
        settle(house)
        keys = home / "old-keys"
        shutil.copytree(house.settings.keys_dir, keys)
        with copies.kept():
            live(house, people)
        yield house, copies.made, keys


def test_no_earlier_copy_opens_what_was_shredded_with_the_keys_of_today(
    lived: tuple[House, list[Path], Path],
) -> None:
    house, made, _ = lived
    present, stored = opened(house.platform.database, house.platform)
    assert len(present) == stored  # every survivor opens, today
    with house.platform.database.read() as session:
        shredded = session.exec(select(func.sum(Job.shredded))).one()
        rotations = len(session.exec(select(Rotation)).all())
    assert (shredded >= 7, rotations >= 4, len(made) >= 40) == (True, True, True), (shredded, rotations, len(made))
    held = muted = 0
    for copy in made:
        told, count, archived = thief(copy, house.platform)
        gone = {place for place in told if place not in present}
        assert (gone, archived) == (set(), []), copy.name
        held, muted = held + count, muted + count - len(told)
    assert muted >= len(made)  # or the copies held nothing that is gone
    print(json.dumps({"copies": len(made), "values": held, "mute": muted, "shredded": shredded}))


def test_control_the_keys_of_then_open_what_was_shredded(lived: tuple[House, list[Path], Path]) -> None:
    """Whoever kept the key-ring of the beginning opens it all: what protects is that the keys are gone."""
    house, made, keys = lived
    present, _ = opened(house.platform.database, house.platform)
    old = Platform.open(house.settings.model_copy(update={"keys_dir": keys}))
    try:
        told, count, archived = thief(made[0], old)
    finally:
        old.close()
    assert len(told) == count
    assert len([place for place in told if place not in present]) >= 6, (len(told), archived)


def reconcile(house: House) -> tuple[int, dict[str, int]]:
    words = ["--data", str(house.settings.data_dir), "--keys", str(house.settings.keys_dir), "--json"]
    done = CliRunner().invoke(build("reconcile"), ["reconcile", *words])
    return done.exit_code, json.loads(done.stdout)


@pytest.mark.parametrize("count", [6, pytest.param(1_000, marks=pytest.mark.torture)])
def test_each_earlier_copy_restored_and_reconciled_holds_every_survivor_and_nothing_else(
    lived: tuple[House, list[Path], Path], count: int, tmp_path: Path
) -> None:
    house, made, _ = lived
    expected, _ = opened(house.platform.database, house.platform)
    chosen = made[:: -(-len(made) // count)]
    counted = []
    for _, copy in zip(rounds(len(chosen)), chosen, strict=True):
        with restored(house, copy, tmp_path / copy.stem) as other:
            code, found = reconcile(other)
            assert (code, found["dark"], found["kept"]) == (0, 0, 0), (copy.name, found)
            settle(other)  # `own` serves again, and carries out what the copy had left open
            came, stored = opened(other.platform.database, other.platform)
            assert came == expected, (copy.name, found)
            counted.append((len(came), stored))
    assert counted == [(len(expected), len(expected))] * len(chosen)
    print(json.dumps({"restored": len(chosen), "survivors": len(expected)}))


@contextmanager
def restored(house: House, copy: Path, home: Path) -> Iterator[House]:
    """The same house, in whose database's place an older copy lies; keys, journal and log are those of today."""
    shutil.copytree(house.home, home, ignore=shutil.ignore_patterns("copies", "old-keys", "fieldgrant.db*"))
    other = House(home, house.ports)
    other.file.parent.mkdir(exist_ok=True)
    laid(copy, other.file)
    try:
        yield other
    finally:
        other.close()
        shutil.rmtree(home)


@pytest.mark.parametrize("count", [2, pytest.param(30, marks=pytest.mark.torture)])
def test_going_back_a_second_time_to_a_still_older_copy_leaves_no_job_behind(
    lived: tuple[House, list[Path], Path], count: int, tmp_path: Path
) -> None:
    """What a job gave up in the first restored database is another key than it gave up before."""
    house, made, _ = lived
    expected, _ = opened(house.platform.database, house.platform)
    chance = random.Random(20261123)  # noqa: S311 - copies, not secrets
    pairs = [sorted(chance.sample(range(len(made)), 2)) for _ in range(count)]
    for _, (older, newer) in zip(rounds(count), pairs, strict=True):
        with restored(house, made[newer], tmp_path / f"{newer}") as other:
            code, found = reconcile(other)
            assert (code, found["dark"], found["kept"]) == (0, 0, 0), (older, newer, json.dumps(found))
            settle(other)
            other.close()
            for path in other.file.parent.glob("fieldgrant.db*"):
                path.unlink()
            laid(made[older], other.file)
            for name in ("platform", "own"):
                other.__dict__.pop(name, None)
            code, found = reconcile(other)
            assert (code, found["dark"], found["kept"]) == (0, 0, 0), (older, newer, json.dumps(found))
            settle(other)
            came, stored = opened(other.platform.database, other.platform)
            assert (came, stored) == (expected, len(expected)), (older, newer)
            assert revive.missing(other.platform) == frozenset(), (older, newer)
            assert other.sql("SELECT step, error FROM redaction_job WHERE step <> 'done'") == [], (older, newer)
