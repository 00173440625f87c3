"""The whole platform after a restore: nobody is served before `fieldgrant reconcile`, and then everything is there."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar
from typer.testing import CliRunner

from audit import drain
from audit.log import Log
from crm_core import records
from fieldgrant import compose
from fieldgrant.cli import build
from issuer.catalogue import load
from issuer.credentials import Credential
from protocol import canonical
from protocol import log as rfc
from redaction import replica, worker
from redaction.archive import Archived
from runtime.keyring import bucket_of
from tests.attacks.house import CITY, EMAIL, GIVEN, House, Signed, built
from tests.engine import hand
from verifier.reconcile import Disagreement

RUNNER = CliRunner()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path, customers=6) as made:
        yield made


def backup(house: House, name: str) -> Path:
    copy = house.home / name
    with closing(hand.connect(house.file)) as live, closing(hand.connect(copy)) as target:
        live.backup(target)
    return copy


def restore(house: House, copy: Path) -> None:
    """Put an older database in the place of the present one; everybody who served it is gone."""
    house.platform.close()
    hand.copied(copy, house.file)
    for name in ("platform", "own"):
        house.__dict__.pop(name, None)


def run(house: House, *more: str) -> tuple[int, dict[str, int]]:
    settings = house.settings
    words = ["reconcile", "--data", str(settings.data_dir), "--keys", str(settings.keys_dir), "--json", *more]
    done = RUNNER.invoke(build("reconcile"), words)
    found = json.loads(done.stdout) if done.stdout.strip() else {"error": done.output}
    return done.exit_code, found


def refused(house: House) -> str:
    with pytest.raises(Disagreement) as found:
        compose.house(house.platform)
    assert "fieldgrant reconcile" in found.value.detail
    assert "\n" not in found.value.detail
    return found.value.code


def settle(house: House) -> None:
    """Redaction and the log, to their end."""
    catalogue = load()
    for _ in range(400):
        if not worker.run_once(house.platform, catalogue).left:
            break
    drain.drain_all(compose.log_of(house.platform))


def withdrawn(house: House, wallet: Signed, given: dict[str, object]) -> None:
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    settle(house)


def opened(house: House, wallet: Signed) -> dict[str, object]:
    with house.platform.database.read() as session:
        record = records.load(session, wallet.person.subject)
        assert record is not None
        return dict(records.open_fields(house.platform, record, records.stored(record)))


def test_an_older_database_is_refused_and_rolled_forward_with_log_journal_and_keys(house: House) -> None:
    first, second = (house.enrol_by_hand(house.people.pop()) for _ in range(2))
    given = first.give([EMAIL, CITY])
    settle(house)
    before = opened(house, first)
    old = Log(house.platform).head()
    copy = backup(house, "copy.db")
    withdrawn(house, first, given)
    kept = second.give([CITY])
    settle(house)
    head = Log(house.platform).head()
    certified = house.sql("SELECT id, subject FROM credential WHERE kind = 'certificate'")
    after = [opened(house, who) for who in (first, second)]
    assert set(after[0]) < set(before)
    restore(house, copy)
    assert refused(house) == "journal_ahead"
    code, look = run(house, "--dry-run")
    assert (code, look["lost"] > 0, look["survivors"], look["ended"], look["given"]) == (0, True, 1, 1, 1)
    assert refused(house) == "journal_ahead"
    assert run(house)[1] == look
    compose.house(house.platform)
    assert [opened(house, who) for who in (first, second)] == after
    with house.platform.database.read() as session:
        assert list(session.exec(_consents(second))) == [kept["id"]]
    assert (look["certificates"], look["gone"]["certificate.issued"]) == (1, 1)
    again = run(house)[1]
    assert {name: number for name, number in again.items() if number and name != "leaves"} == {}
    settle(house)
    assert house.sql("SELECT id, subject FROM credential WHERE kind = 'certificate'") == certified
    log = Log(house.platform)
    for one in (old, head):
        proof = log.merkle(log.head().size).consistency(one.size)
        rfc.verify_consistency(one.size, one.root, log.head().size, log.head().root, proof)


def _consents(wallet: Signed) -> SelectOfScalar[str]:
    mine = (Credential.subject == wallet.person.subject, Credential.kind == "consent")
    return select(Credential.id).where(*mine, col(Credential.ended_at).is_(None))


def test_a_restore_without_a_withdrawal_in_between_is_noticed_by_the_log_alone(house: House) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    settle(house)
    copy = backup(house, "copy.db")
    wallet.give([CITY])
    settle(house)
    restore(house, copy)
    assert refused(house) == "log_ahead_of_database"
    assert run(house)[0] == 0
    compose.house(house.platform)


def test_customers_of_a_rotated_bucket_who_withdrew_nothing_open_again(house: House) -> None:
    """Another customer's shred rotates the bucket; the log is not ahead, for its events are in the backup's outbox."""
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([EMAIL])
    others = [person for person in house.people if bucket_of(person.subject) == bucket_of(wallet.person.subject)]
    settle(house)
    copy = backup(house, "copy.db")
    withdrawn(house, wallet, given)
    restore(house, copy)
    code, found = run(house)
    assert (code, found["dark"], found["survivors"]) == (0, 0, 1)
    assert found["rewrapped"] == len(others)


def test_a_replica_and_survivors_of_another_customer_change_nothing(house: House) -> None:
    first, second = (house.enrol_by_hand(house.people.pop()) for _ in range(2))
    given = [wallet.give([EMAIL]) for wallet in (first, second)]
    settle(house)
    copy = backup(house, "copy.db")
    for wallet, one in zip((first, second), given, strict=True):
        withdrawn(house, wallet, one)
    paths = {replica.common(house.platform, bucket_of(wallet.person.subject)) for wallet in (first, second)}
    texts = {path: path.read_text() for path in paths}
    swapped = {first.person.subject: second.person.subject, second.person.subject: first.person.subject}
    for path, text in texts.items():
        path.write_text(re.sub("|".join(swapped), lambda found: swapped[found.group()], text))
    expected = [opened(house, wallet) for wallet in (first, second)]
    restore(house, copy)
    code, found = run(house)
    assert (code, found["dark"]) == (2, 2)
    assert refused(house) == "keys_ahead"
    for path, text in texts.items():
        path.write_text(text)
    assert run(house)[0] == 0
    assert [opened(house, wallet) for wallet in (first, second)] == expected


def test_a_sealed_field_is_in_the_archive_again_after_a_restore(house: House) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([EMAIL, CITY])
    settle(house)
    copy = backup(house, "copy.db")
    withdrawn(house, wallet, given)
    with house.platform.database.read() as session:
        sealed = {(row.job, row.field, row.digest) for row in session.exec(select(Archived))}
    assert sealed
    restore(house, copy)
    assert run(house)[1]["archived"] == len(sealed)
    settle(house)
    with house.platform.database.read() as session:
        assert {(row.job, row.field, row.digest) for row in session.exec(select(Archived))} == sealed


def test_an_older_journal_with_an_older_database_is_found_out_by_the_log(house: House) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([GIVEN])
    settle(house)
    copy = backup(house, "copy.db")
    journal = house.settings.journal_dir / "journal.jsonl"
    older = journal.read_bytes()
    withdrawn(house, wallet, given)
    newest = journal.read_bytes()
    restore(house, copy)
    journal.write_bytes(older)
    assert refused(house) == "log_ahead_of_database"
    assert run(house, "--dry-run")[1]["unanswered"] == 1
    code, found = run(house)
    assert (code, found["unanswered"]) == (2, 1)
    house.__dict__.pop("platform").close()
    assert refused(house) == "journal_behind"
    # the right one brings the very end back; without it, everything of this customer ends
    journal.write_bytes(newest)
    house.__dict__.pop("platform").close()
    assert run(house)[0] == 0
    house.__dict__.pop("platform", None)
    compose.house(house.platform)
    journal.write_bytes(older)
    house.__dict__.pop("platform").close()
    assert refused(house) == "journal_behind"


def test_when_the_newest_journal_is_lost_for_good_the_customers_consents_end(house: House) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    given = wallet.give([GIVEN])
    settle(house)
    copy = backup(house, "copy.db")
    journal = house.settings.journal_dir / "journal.jsonl"
    older = journal.read_bytes()
    withdrawn(house, wallet, given)
    restore(house, copy)
    journal.write_bytes(older)
    code, found = run(house, "--end-unknown")
    assert (code, found["unanswered"], found["ended"]) == (0, 0, 1)
    compose.house(house.platform)


def test_a_lost_or_edited_log_is_refused_and_written_anew(house: House) -> None:
    settle(house)
    log = house.settings.log_dir
    for harm in ((log / "checkpoint").unlink, lambda: shutil.rmtree(log)):
        harm()
        assert refused(house).startswith("log_")
        assert run(house)[1]["tiles"] in (0, 1)
        compose.house(house.platform)
        with house.platform.database.read() as session:
            Log(house.platform).check(session)
    (log / "checkpoint").write_bytes(b"edited\n")
    assert refused(house) == "log_forked"


def test_the_terminal_tells_in_words_and_in_one_line_what_is_missing(house: House, tmp_path: Path) -> None:
    settle(house)
    settings = house.settings
    words = ["reconcile", "--data", str(settings.data_dir), "--keys", str(settings.keys_dir)]
    done = RUNNER.invoke(build("reconcile"), words)
    assert done.exit_code == 0
    assert "customers who stay denied" in done.output
    gone = RUNNER.invoke(build("reconcile"), ["reconcile", "--keys", str(tmp_path / "no")])
    assert gone.exit_code == 1
    assert gone.output.startswith("fieldgrant: ")
    assert "Example" in RUNNER.invoke(build("reconcile"), ["reconcile", "--help"]).output
