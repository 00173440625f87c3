"""Database, journal, log and the mark beside the keys: whichever was put back, edited or cut, nobody is served.

Each disagreement is made by hand, is refused with its code and the word what to run; `reconcile` does what is right.
"""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from typer import Typer

from audit import agreement, drain
from audit.log import Log
from fieldgrant import compose, recovery
from fieldgrant.cli import build
from issuer import grounds
from issuer.asks import Wish
from issuer.grounds import Declaration
from protocol import canonical
from protocol import log as rfc
from runtime.journal import FILE, Entry, JournalError
from tests.attacks.house import CITY, GIVEN, PHONE, House, Signed, built
from tests.fieldgrant.test_reconcile import RUNNER, backup, refused, restore, run, settle, withdrawn


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path, customers=4) as made:
        yield made


def closed(house: House) -> None:
    """Everybody who served it is gone."""
    house.platform.close()
    for name in ("platform", "own"):
        house.__dict__.pop(name, None)


def end(house: House, wallet: Signed, given: dict[str, object]) -> None:
    """A withdrawal, acknowledged and not logged yet."""
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)


def ended(house: House) -> tuple[Signed, dict[str, object]]:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([GIVEN])
    settle(house)
    return wallet, given


def journal(house: House) -> Path:
    return house.settings.journal_dir / FILE


def kept(house: House, *names: str) -> None:
    for name in names:
        shutil.copytree(house.settings.data_dir / name, house.home / f"old-{name}")


def put_back(house: House, *names: str) -> None:
    for name in names:
        shutil.rmtree(house.settings.data_dir / name)
        shutil.copytree(house.home / f"old-{name}", house.settings.data_dir / name)


def living(house: House) -> list[str]:
    rows = house.sql("SELECT id FROM credential WHERE kind = 'consent' AND ended_at IS NULL")
    return [id_ for (id_,) in rows]


def test_what_agrees_is_served_and_nothing_is_compared_twice(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet, given = ended(house)
    withdrawn(house, wallet, given)
    log = Log(house.platform)
    mark = agreement.read(house.platform)
    assert mark is not None
    assert (mark.seq, mark.tag) == house.platform.journal.head()
    assert mark.size == log.head().size
    read: list[int] = []
    real = house.platform.journal.entries

    def entries(since: int = 0) -> Iterator[Entry]:
        read.append(since)
        return real(since)

    monkeypatch.setattr(house.platform.journal, "entries", entries)
    assert agreement.compare(log) == agreement.Compared()
    assert read == [mark.seq]
    closed(house)
    compose.house(house.platform)


def test_a_journal_that_was_shortened_is_refused_although_database_and_log_say_nothing(house: House) -> None:
    """What was cut off is in neither of them: a permission that was used, a key that was dropped."""
    settle(house)
    older = journal(house).read_bytes()
    house.platform.journal.append({"kind": "used", "permission": "urn:once", "at": "2026-11-22T08:00:00.000Z"})
    wallet, given = ended(house)
    newest = journal(house).read_bytes()
    assert agreement.read(house.platform)
    journal(house).write_bytes(older)
    closed(house)
    assert refused(house) == "journal_behind"
    code, found = run(house)
    assert (code, found["lines_gone"] > 0, len(living(house))) == (2, True, 1)
    journal(house).write_bytes(newest)
    closed(house)
    compose.house(house.platform)
    withdrawn(house, wallet, given)


def test_when_the_journal_is_lost_for_good_what_the_database_knows_is_written_down_again(house: House) -> None:
    wallet, given = ended(house)
    ended(house)
    older = journal(house).read_bytes()
    withdrawn(house, wallet, given)
    journal(house).write_bytes(older)
    closed(house)
    assert refused(house) == "journal_behind"
    code, found = run(house, "--end-unknown")
    assert (code, found["written"], found["ended"], found["lines_gone"]) == (0, 1, 0, 0)
    closed(house)
    compose.house(house.platform)
    assert house.platform.journal.ended(str(given["id"]))
    assert len(living(house)) == 1  # of the one of whom nothing is missing
    assert living(house) != [given["id"]]
    settle(house)
    closed(house)
    compose.house(house.platform)


def test_database_journal_and_log_put_back_together_are_found_out_by_the_mark_beside_the_keys(house: House) -> None:
    wallet, given = ended(house)
    copy = backup(house, "copy.db")
    kept(house, "journal", "log")
    end(house, wallet, given)
    drain.drain_all(Log(house.platform))
    restore(house, copy)
    put_back(house, "journal", "log")
    assert refused(house) == "journal_behind"
    code, found = run(house)
    assert (code, found["lines_gone"], found["leaves_gone"] > 0) == (2, 1, True)
    assert living(house) == [given["id"]]
    # all three are lost for good: nobody knows what ended, so all that may have ended does, and the log says so
    assert run(house, "--end-unknown", "--accept-gaps")[0] == 0
    assert living(house) == []
    closed(house)
    compose.house(house.platform)
    settle(house)
    ((records,),) = house.sql("SELECT records FROM outbox WHERE type = 'log.recovered'")
    assert '"unknown"' in records
    closed(house)
    compose.house(house.platform)


def test_an_end_told_again_after_a_restore_is_no_disagreement(house: House) -> None:
    """Its leaf is younger than the mark, its line older."""
    wallet, given = ended(house)
    copy = backup(house, "copy.db")
    withdrawn(house, wallet, given)
    mark = agreement.read(house.platform)
    assert mark is not None
    restore(house, copy)
    assert run(house)[0] == 0
    compose.house(house.platform)
    settle(house)
    assert mark.seq == house.platform.journal.head()[0]
    assert mark.size < Log(house.platform).head().size
    closed(house)
    compose.house(house.platform)


def test_control_with_the_keys_put_back_too_it_is_not_noticed_from_inside(house: House) -> None:
    """The control, and what only wallets and witnesses can see (DESIGN, 7)."""
    wallet, given = ended(house)
    copy = backup(house, "copy.db")
    kept(house, "journal", "log")
    mark = (house.settings.keys_dir / agreement.FILE).read_bytes()
    end(house, wallet, given)
    drain.drain_all(Log(house.platform))
    restore(house, copy)
    put_back(house, "journal", "log")
    (house.settings.keys_dir / agreement.FILE).write_bytes(mark)
    compose.house(house.platform)
    assert living(house) == [given["id"]]


def test_a_log_that_was_shortened_with_the_database_is_refused_and_never_goes_on_unsaid(house: House) -> None:
    """The journal stayed: the withdrawal is known. What is hidden are the records of it."""
    wallet, given = ended(house)
    copy = backup(house, "copy.db")
    kept(house, "log")
    end(house, wallet, given)
    drain.drain_all(Log(house.platform))
    restore(house, copy)
    put_back(house, "log")
    assert refused(house) == "journal_ahead"
    code, found = run(house)
    assert (code, found["leaves_gone"] > 0, found["ended"]) == (2, True, 1)
    closed(house)
    assert refused(house) == "log_behind"
    assert run(house, "--accept-gaps")[0] == 0
    closed(house)
    compose.house(house.platform)
    settle(house)
    assert len(house.told(wallet.person, "consent.withdrawn")) == 1
    assert len(house.sql("SELECT id FROM outbox WHERE type = 'log.recovered'")) == 1


def test_a_tile_that_was_rewritten_is_refused(house: House) -> None:
    """The root is signed over the hashes; the leaves beside them are held to it, those since the mark at each start."""
    wallet, given = ended(house)
    mark = (house.settings.keys_dir / agreement.FILE).read_bytes()
    end(house, wallet, given)
    drain.drain_all(Log(house.platform))
    (house.settings.keys_dir / agreement.FILE).write_bytes(mark)
    size = Log(house.platform).head().size
    place = house.settings.log_dir / rfc.tile_path(None, 0, size)
    leaves = place.read_bytes()
    assert leaves.count(b"consent.withdrawn") == 1
    place.write_bytes(leaves.replace(b"consent.withdrawn", b"consent.withdrawm"))
    closed(house)
    assert refused(house) == "log_forked"
    assert run(house)[1]["tiles"] == 1  # written anew from the database, which makes the signed root
    closed(house)
    compose.house(house.platform)


def test_a_line_that_was_edited_is_named_and_nobody_is_served(house: House) -> None:
    ended(house)
    whole = journal(house).read_bytes()
    lines = whole.splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"at":"2', b'"at":"3')
    journal(house).write_bytes(b"".join(lines))
    closed(house)
    with pytest.raises(JournalError, match="line 2 of the journal"):
        compose.house(house.platform)
    settings = house.settings
    words = ["reconcile", "--data", str(settings.data_dir), "--keys", str(settings.keys_dir)]
    done = RUNNER.invoke(recovery_command(), words)
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "line 2 of the journal" in done.output
    # no unchanged copy: cut before that line, it is a journal that is too short
    journal(house).write_bytes(lines[0])
    assert refused(house) == "journal_behind"
    assert run(house, "--end-unknown")[0] == 0
    closed(house)
    compose.house(house.platform)


def recovery_command() -> Typer:
    return build("reconcile")


def test_a_last_line_that_a_crash_tore_was_never_acknowledged_and_is_cut(house: House) -> None:
    wallet, given = ended(house)
    whole = journal(house).read_bytes()
    end(house, wallet, given)
    torn = journal(house).read_bytes()[len(whole) :]
    journal(house).write_bytes(whole + torn[: len(torn) // 2])
    closed(house)
    # the database has what the torn line was to say: it was committed after it, so this cannot come from a crash
    assert refused(house) == "journal_behind"
    journal(house).write_bytes(whole + torn + torn[: len(torn) // 2])
    closed(house)
    compose.house(house.platform)
    house.enrol_by_hand(house.people.pop())
    assert journal(house).read_bytes().startswith(whole + torn)
    assert journal(house).read_bytes().endswith(b"\n")
    settle(house)
    closed(house)
    compose.house(house.platform)


def test_the_newest_rows_of_the_outbox_cut_off_are_missed_where_they_told_of_an_end_and_told_again(
    house: House,
) -> None:
    """After every process that remembers them has ended, and before the drain: the journal remembers."""
    wallet, given = ended(house)
    (last,) = house.sql("SELECT max(id) FROM outbox")
    end(house, wallet, given)
    house.sql("DELETE FROM outbox WHERE id > ?", *last)
    closed(house)
    assert refused(house) == "log_behind_journal"
    look = run(house, "--dry-run")[1]
    assert (look["untold"], look["told"]) == (1, 0)
    code, found = run(house)
    assert (code, found["told"], found["untold"]) == (0, 1, 0)
    closed(house)
    compose.house(house.platform)
    settle(house)
    assert [one["replayed"] for one in house.told(wallet.person, "consent.withdrawn")] == [True]
    assert len(house.told(wallet.person, "consent.shut")) <= 1


def test_reconcile_lists_what_is_wrong_with_the_outbox(house: House) -> None:
    wallet, given = ended(house)
    (last,) = house.sql("SELECT max(id) FROM outbox")
    end(house, wallet, given)
    house.sql("UPDATE outbox SET records = replace(records, 'version', 'vorsion') WHERE id = ?", last[0] + 1)
    found = run(house, "--dry-run")[1]
    assert found["flaws"] == 1
    settings = house.settings
    words = ["reconcile", "--dry-run", "--data", str(settings.data_dir), "--keys", str(settings.keys_dir)]
    assert "event_altered" in RUNNER.invoke(recovery_command(), words).output


@pytest.mark.parametrize("harm", ["gone", "edited"])
def test_without_a_mark_all_is_compared(house: House, harm: str) -> None:
    wallet, given = ended(house)
    withdrawn(house, wallet, given)
    place = house.settings.keys_dir / agreement.FILE
    if harm == "gone":
        place.unlink()
    else:
        place.write_bytes(place.read_bytes().replace(b'"seq":', b'"seq":1'))
    assert agreement.read(house.platform) is None
    closed(house)
    compose.house(house.platform)
    newest = journal(house).read_bytes().splitlines(keepends=True)
    journal(house).write_bytes(b"".join(newest[:4]))
    closed(house)
    assert refused(house) == "journal_behind"


def test_a_consent_that_a_restored_database_lacks_is_missed_although_no_log_tells_of_it(house: House) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    settle(house)
    copy = backup(house, "copy.db")
    wallet.give([CITY])  # acknowledged, and not logged yet
    with house.platform.database.read() as session:
        assert agreement.reached(Log(house.platform), session, Log(house.platform).head()) is None
    restore(house, copy)
    assert refused(house) == "journal_ahead"
    assert run(house)[1]["given"] == 1
    assert compose.house(house.platform)


def test_what_is_about_to_be_committed_is_waited_for(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process is between the journal and its commit while this one starts: no disagreement."""
    settle(house)
    said = iter([agreement.Compared(untold=tuple(house.platform.journal.entries())), agreement.Compared()])
    monkeypatch.setattr(agreement, "compare", lambda _: next(said))
    recovery.check(house.platform)
    assert next(said, None) is None


def test_an_end_whose_commit_failed_and_that_was_done_again_is_one_end(house: House) -> None:
    wallet, given = ended(house)
    version = house.platform.journal.floor(wallet.person.subject) + 1
    first = {"kind": "narrowing", "subject": wallet.person.subject, "version": version, "ended": [given["id"]]}
    house.platform.journal.append({**first, "evidence": {}, "at": "2026-11-22T08:00:00.000Z"})
    end(house, wallet, given)
    settle(house)
    closed(house)
    compose.house(house.platform)


# -- statutory grounds


def approved(house: House) -> list[tuple[str, str]]:
    rows = house.sql("SELECT id, subject FROM credential WHERE kind = 'ground' AND ended_at IS NULL ORDER BY at")
    return [(id_, subject) for id_, subject in rows]


def test_grounds_that_two_officers_approved_come_back_and_are_counted(house: House) -> None:
    person = house.people[-1]
    settle(house)
    copy = backup(house, "copy.db")
    house.ground("service", PHONE)
    house.ground("service", CITY, subjects=frozenset({person.subject}))
    over = house.ground("service", GIVEN)
    grounds.end(house.own.registry, house.staff("dora"), over)
    settle(house)
    expected, covered = approved(house), house.sql("SELECT ground_id, subject FROM ground_subject ORDER BY 1, 2")
    allowed = house.sql("SELECT subject, purpose, mask FROM allowance ORDER BY 1, 2")
    restore(house, copy)
    assert refused(house) in {"journal_ahead", "log_ahead_of_database"}
    look = run(house, "--dry-run")[1]
    assert (look["grounds"], look["ended"]) == (3, 1)
    code, found = run(house)
    assert (code, found["grounds"], found["ended"]) == (0, 3, 1)
    assert approved(house) == expected
    assert house.sql("SELECT ground_id, subject FROM ground_subject ORDER BY 1, 2") == covered
    assert house.sql("SELECT subject, purpose, mask FROM allowance ORDER BY 1, 2") == allowed
    assert run(house)[1]["grounds"] == 0
    closed(house)
    compose.house(house.platform)


def test_a_ground_that_was_a_draft_in_the_backup_is_approved_again_and_no_other_draft_is(house: House) -> None:
    declared = [
        grounds.declare(
            house.own.registry, house.staff("dora"),
            Declaration(
                key=f"key-{purpose}", basis="dpv:Contract", citation="GDPR art. 6(1)(b)", evidence="The terms.",
                wishes=(Wish(purpose=purpose, fields=frozenset({PHONE})),), subjects=None, until_enrolled=False,
                roles=None, valid_until=house.platform.clock.now() + timedelta(days=365),
            ),
        ).id
        for purpose in ("service", "service")
    ]  # fmt: skip
    settle(house)
    copy = backup(house, "copy.db")
    grounds.approve(house.own.registry, house.staff("dan"), declared[0])
    settle(house)
    restore(house, copy)
    assert run(house)[1]["grounds"] == 1
    kinds = dict(house.sql("SELECT id, kind FROM credential WHERE kind LIKE 'ground%'"))
    assert [kinds[one] for one in declared] == ["ground", "ground-draft"]
    recovery.check(house.platform)
