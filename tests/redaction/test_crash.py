"""Killed at every named point, and at random ones: the worker takes up where it was, and does nothing twice.

Each run is a real process that ends by SIGKILL and is started anew. (The fork server only spares the imports.)
"""

import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from issuer import catalogue as catalogues
from issuer.credentials import Credential
from redaction import archive, disposal, revive, worker
from redaction.archive import Archived
from redaction.drafting import Draft
from redaction.looking import Proofs
from redaction.rotation import Rotation
from runtime import crash
from runtime.platform import Platform
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, SERVICE, VALUES, Customer, World, settings_in
from tests.rounds import rounds

ALL = (PHONE, EMAIL, CITY)
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.redaction.world"])
KILLED = -signal.SIGKILL


LIMIT = 20  # seconds for what one or two customers lost


def work(home: Path, point: str | None, limit: float = LIMIT) -> None:
    """Everything that is due, as `fieldgrant redaction run-once` does it; dies at the point."""
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_in(home))
    chosen = catalogues.load()
    until = time.monotonic() + limit
    while worker.run_once(platform, chosen).left and time.monotonic() < until:
        time.sleep(0.01)
    platform.close()


def mark_before_acting(home: Path, point: str | None) -> None:
    """The control: a worker that marks fields as archived, commits, and only then puts them into the archive."""
    store, at_once = archive.store, disposal.at_once
    late: list[dict[str, Any]] = []

    def collect(_: object, __: object, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        late.extend(rows)
        return []

    def wrong(platform: Platform, drafts: Sequence[Draft], proofs: Proofs, **pace: Any) -> int:
        done = at_once(platform, drafts, proofs, **pace)
        with platform.database.write("owner") as session:
            store(session, platform, late)
        return done

    archive.store, disposal.at_once = collect, wrong
    work(home, point)


def run(home: Path, point: str | None = None, target: object = work, limit: float = LIMIT) -> int | None:
    arguments = (home, point) if limit == LIMIT else (home, point, limit)
    process = PROCESSES.Process(target=target, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join(limit + 10)
    if process.is_alive():
        process.kill()  # nobody works on beside the next test
        process.join()
    return process.exitcode


def worked(process: BaseProcess) -> float:
    """Seconds of a processor that a process has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def killed_after(process: BaseProcess, seconds: float) -> bool:
    """SIGKILL once a process has worked for so long, however slow the machine is; False: it had ended before."""
    process.start()
    with suppress(FileNotFoundError, ProcessLookupError):
        while process.is_alive() and worked(process) < seconds:
            process.join(0.002 + seconds % 0.01)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


@pytest.fixture
def real(tmp_path: Path) -> Iterator[World]:
    """A platform on the machine's clock, which other processes share."""
    made = World(tmp_path / "real")
    yield made
    made.platform.close()


def lapsed(world: World) -> Customer:
    """A customer with one field to seal, two to shred and one that another consent holds."""
    who = world.customer()
    given = world.consent(who, (*ALL, GIVEN))
    world.consent(who, [GIVEN], purpose=SERVICE)
    world.withdraw(who, given)
    return who


def ended_once(world: World, *people: Customer) -> None:
    """One disposition, one event per field, one certificate per customer; survivors readable, the rest not."""
    rows = Counter((row.subject, row.field, row.action, row.state) for row in world.fates())
    told = Counter(
        (subject, one.type, data.get("field"))
        for one in world.events("value.sealed", "value.shredded", "value.kept", "certificate.issued")
        for subject, data in one.records
    )
    certificates = Counter(row.subject for row in world.rows(Credential) if row.kind == "certificate")
    boxes = Counter((row.subject, row.field) for row in world.rows(Archived))
    known = [who.subject for who in people]
    fates = ((CITY, "shred"), (EMAIL, "seal"), (GIVEN, "keep"), (PHONE, "shred"))
    assert _of(rows, known) == Counter((one, field, act, "done") for one in known for field, act in fates)
    said = (
        ("value.sealed", EMAIL), ("value.shredded", CITY), ("value.shredded", PHONE), ("value.kept", GIVEN),
        ("certificate.issued", None),
    )  # fmt: skip
    assert _of(told, known) == Counter((one, *what) for one in known for what in said)
    assert [certificates[one] for one in known] == [1] * len(known)
    assert _of(boxes, known) == Counter((one, EMAIL) for one in known)
    for who in people:
        assert world.readable(who) == {GIVEN: VALUES[GIVEN]}
    assert all(row.dropped_at for row in world.rows(Rotation))


def _of(counted: Counter[Any], known: Sequence[str]) -> Counter[Any]:
    wanted = frozenset(known)
    return Counter({what: count for what, count in counted.items() if what[0] in wanted})


ELSEWHERE = ("restore.", "period.", "erase.", "due.")  # the end of archive keys is in test_ending
MOMENTS = [f"{step}.{moment}" for step in crash.REDACTION for moment in ("before", "within", "after")]
ON_THE_WAY = [point for point in MOMENTS if not point.startswith(ELSEWHERE)]


@pytest.mark.parametrize("point", ON_THE_WAY)
def test_a_worker_killed_at_a_point_finishes_when_started_anew(real: World, point: str) -> None:
    who, old = lapsed(real), real.copy("before.db")
    assert run(real.settings.home, point) == KILLED
    assert run(real.settings.home) == 0
    assert revive.revive(real.platform) == 0, "what the journal was told before the kill is no other job"
    ended_once(real, who)
    assert real.opens(old, who.subject) == {}


RESTORE = [point for point in MOMENTS if point.startswith("restore.")]


@pytest.mark.parametrize("point", RESTORE)
def test_a_restore_that_was_killed_comes_back_once(real: World, point: str) -> None:
    who = lapsed(real)
    assert run(real.settings.home) == 0
    real.consent(who, ALL)
    assert run(real.settings.home, point) == KILLED
    assert run(real.settings.home) == 0
    assert real.readable(who) == {GIVEN: VALUES[GIVEN], EMAIL: VALUES[EMAIL]}
    assert real.told("value.restored") == [("value.restored", EMAIL)]
    assert real.rows(Archived) == []


@pytest.mark.parametrize("moments", [20, pytest.param(300, marks=pytest.mark.torture)])
def test_killed_at_random_moments_none_is_lost_and_none_doubled(real: World, moments: int) -> None:
    people: list[Customer] = []
    dice = random.Random(20261122)  # noqa: S311 - moments, not secrets
    kills = 0
    for number in rounds(moments):
        people += [lapsed(real) for _ in range(2 - number % 2)]
        process = PROCESSES.Process(target=work, args=(real.settings.home, None))
        kills += killed_after(process, dice.uniform(0.03, 0.4))
    assert kills >= moments // 3
    assert run(real.settings.home, limit=LIMIT + 4.0 * len(people)) == 0  # the kills let little of it come to an end
    assert revive.revive(real.platform) == 0
    ended_once(real, *people)


def test_control_a_worker_that_marks_before_it_acts_loses_the_value(real: World) -> None:
    who = lapsed(real)
    assert run(real.settings.home, "journal.after", mark_before_acting) == KILLED
    assert run(real.settings.home, None, mark_before_acting) == 0
    assert real.rows(Archived) == []
    assert EMAIL not in real.readable(who)
    assert len(real.events("certificate.issued")) == 1


def test_without_the_variable_a_point_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(crash.VARIABLE, raising=False)
    for point in crash.POINTS:
        crash.point(point)
    monkeypatch.setenv(crash.VARIABLE, "somewhere else")
    crash.point("seal.within")


def test_every_point_that_the_code_names_is_listed_and_the_other_way_round() -> None:
    root = Path(crash.__file__).parent.parent
    packages = ("runtime", "issuer", "verifier", "crm_core", "redaction", "audit")
    texts = "".join(path.read_text(encoding="utf-8") for name in packages for path in (root / name).rglob("*.py"))
    assert {point for point in crash.POINTS if f'crash.point("{point}")' in texts} == set(crash.POINTS)
    assert texts.count('crash.point("') == len(crash.POINTS)
