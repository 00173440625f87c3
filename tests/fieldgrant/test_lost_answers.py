"""An answer or a ground that is in the journal, whose commit failed, and that nobody sent or approved again.

What ended since stays ended, whoever runs `reconcile`; what nothing ended is not forgotten by the next start.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from audit import agreement, drain
from fieldgrant import compose, recovery
from issuer import closing, enrolment, evidence, taking
from issuer.credentials import Credential
from issuer.wallet_auth import WalletCaller
from protocol import canonical, proof, request
from protocol.consent import Ask, fresh_id
from protocol.errors import EvidenceError
from redaction import looking, sweep, worker
from runtime.clock import FixedClock
from runtime.journal import CLOSED, Journal
from tests.attacks.house import CITY, EMAIL, GIVEN, PHONE, House, Signed, free_ports
from tests.fieldgrant.test_reconcile import backup, refused, restore, run
from verifier import reconcile

MARKETING = "https://w3id.org/dpv#DirectMarketing"
End = Callable[[House, Signed], object]


class DiskFullError(Exception):
    """The commit fails."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, free_ports(1), clock=FixedClock(datetime(2026, 11, 22, 8, tzinfo=UTC)))
    made.build(2)
    yield made
    made.close()


@pytest.fixture
def wallet(house: House) -> Signed:
    found = house.enrol_by_hand(house.people.pop())
    later(house, timedelta(seconds=5))
    return found


def later(house: House, time: timedelta) -> None:
    clock = house.platform.clock
    assert isinstance(clock, FixedClock)
    clock.advance(time)


@contextmanager
def commit_fails(kind: str) -> Iterator[None]:
    """Right after a line of this kind."""
    append = Journal.append

    def fails(journal: Journal, entry: Mapping[str, Any]) -> int:
        append(journal, entry)
        if entry["kind"] == kind:
            raise DiskFullError
        return 0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "append", fails)
        with pytest.raises(DiskFullError):
            yield


def lost(house: House, wallet: Signed, ask: Ask) -> str:
    """A consent to this ask whose commit failed; its id."""
    document = wallet.consent(ask)
    with commit_fails("answer"):
        house.own.registry.consent(canonical.jcs(document), wallet.signer.did)
    later(house, timedelta(seconds=30))
    return str(document["id"])


def asks_for(kind: str, house: House, wallet: Signed, **more: Any) -> None:
    """A request that the wallet signs."""
    platform = house.platform
    unsigned = request.build_request(
        kind, id=fresh_id(), controller=platform.controller, issuer=wallet.signer.did, at=platform.clock.now(), **more
    )
    caller = WalletCaller(did=wallet.signer.did, subject=wallet.person.subject)
    signed = proof.sign(unsigned, wallet.signer, created=platform.clock.now())
    taking.take(house.own.registry, signed, None, caller)


def wallet_ends(house: House, wallet: Signed) -> None:
    enrolment.end(house.own.registry, wallet.person.subject, house.staff("dora"))


ENDS: dict[str, End] = {
    "erasure": partial(asks_for, "erasure"),
    "objection": partial(asks_for, "objection", purpose=MARKETING),
    "wallet": wallet_ends,
}


def logged(house: House) -> agreement.Mark:
    """Drain as the server does; the mark then."""
    drain.drain_all(compose.log_of(house.platform))
    mark = agreement.read(house.platform)
    assert mark is not None
    assert (mark.seq, mark.tag) == house.platform.journal.head()  # whatever is lost, the mark itself goes on
    return mark


def redacted(house: House) -> None:
    for _ in range(6):
        later(house, timedelta(minutes=1))
        worker.run_once(house.platform, house.own.catalogue)


def living(house: House, wallet: Signed) -> list[tuple[str, ...]]:
    """The fields of each consent that counts; everything of the customer is proved."""
    with house.platform.database.read() as session:
        found = evidence.evidence(session, wallet.person.subject)
    proved = looking.proved(house.platform, house.own.catalogue, found, house.platform.clock.now())
    return sorted(tuple(sorted(one.fields)) for one in proved if one.kind == "consent" and one.ended is None)


def rest(house: House, wallet: Signed) -> set[str]:
    with house.platform.database.read() as session:
        return set(looking.resting(session, [wallet.person.subject])[wallet.person.subject].fields(house.platform))


def held_back(house: House) -> int:
    with house.platform.database.read() as session:
        held = sweep.held_back(session, house.platform.clock.now())
    return next(count for what, count in held.items() if "fieldgrant reconcile" in what)


@pytest.mark.parametrize("how", ENDS)
def test_an_answer_that_was_lost_before_its_ask_ended_is_neither_waited_for_nor_given_back(
    house: House, wallet: Signed, how: str
) -> None:
    wallet.give([CITY])
    answer = lost(house, wallet, wallet.asked([EMAIL, PHONE]))
    ENDS[how](house, wallet)
    assert living(house, wallet) == []  # nothing is missed
    mark = logged(house)
    assert mark.answered == mark.seq
    redacted(house)
    if how == "erasure":
        assert rest(house, wallet) == {GIVEN, "contact.family_name"}  # a contract holds the name
    recovery.check(house.platform)
    assert reconcile.reconcile(house.platform, house.own.catalogue).given == ()
    assert living(house, wallet) == []
    assert house.sql("SELECT id FROM credential WHERE id = ?", answer) == []


@pytest.mark.parametrize("how", ["withdrawal", *ENDS])
def test_a_narrowing_that_was_lost_before_its_consent_ended_brings_nothing_back(
    house: House, wallet: Signed, how: str
) -> None:
    given = wallet.give([CITY, EMAIL])
    narrowing(house, wallet, given, lost=True)
    if how == "withdrawal":
        house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    else:
        ENDS[how](house, wallet)
    logged(house)
    for _ in range(2):
        recovery.check(house.platform)
        assert living(house, wallet) == []
        reconcile.reconcile(house.platform, house.own.catalogue)


def test_of_two_narrowings_to_one_offer_the_last_one_counts(house: House, wallet: Signed) -> None:
    given = wallet.give([CITY, EMAIL])
    narrowing(house, wallet, given, lost=True)
    narrowing(house, wallet, given, lost=False)
    logged(house)
    for _ in range(2):
        assert living(house, wallet) == [(CITY,)]
        reconcile.reconcile(house.platform, house.own.catalogue)


def narrowing(house: House, wallet: Signed, given: Mapping[str, Any], *, lost: bool) -> None:
    registry = house.own.registry
    offered = registry.offer_narrowing(given["id"], wallet.signer.did)["id"]
    with house.platform.database.read() as session:
        ask = closing.proved(session.get_one(Credential, offered), house.platform)
    assert ask is not None
    bodies = [canonical.jcs(one) for one in (wallet.withdrawal(given), wallet.consent(ask, [CITY]))]
    if lost:
        with commit_fails("narrowing"):
            registry.narrow(*bodies, wallet.signer.did)
    else:
        registry.narrow(*bodies, wallet.signer.did)
    later(house, timedelta(seconds=30))


def test_an_answer_that_was_lost_is_found_by_the_next_start_however_much_was_logged_since(
    house: House, wallet: Signed
) -> None:
    wallet.give([CITY])
    before = logged(house)
    answer = lost(house, wallet, wallet.asked([EMAIL]))
    other = house.enrol_by_hand(house.people.pop())
    for _ in range(2):
        other.give([PHONE], "service")
        mark = logged(house)
        assert mark.answered == before.seq < mark.seq
        with pytest.raises(EvidenceError, match="lacks"):
            living(house, wallet)
    assert refused(house) == "journal_ahead"
    assert run(house)[1]["given"] == 1
    compose.house(house.platform)
    assert living(house, wallet) == [(CITY,), (EMAIL,)]
    assert house.sql("SELECT ended_at FROM credential WHERE id = ?", answer) == [(None,)]
    other.give([EMAIL], "service")
    assert logged(house).answered == house.platform.journal.head()[0]


def test_a_ground_for_everybody_that_was_lost_is_counted_and_found_by_the_next_start(
    house: House, wallet: Signed
) -> None:
    given = wallet.give([CITY])
    before = logged(house)
    with commit_fails("ground"):
        house.ground("service", EMAIL)
    house.own.registry.withdraw(canonical.jcs(wallet.withdrawal(given)), wallet.signer.did)
    assert logged(house).answered == before.seq
    redacted(house)
    assert (CITY in rest(house, wallet), held_back(house)) == (True, 2)  # it may cover either of the customers
    assert refused(house) == "journal_ahead"
    assert run(house)[0] == 0
    compose.house(house.platform)
    redacted(house)
    assert (CITY in rest(house, wallet), held_back(house)) == (False, 0)


def test_a_lost_answer_that_proves_nothing_keeps_the_mark_no_longer(house: House, wallet: Signed) -> None:
    """`reconcile` could not give it back: each start would read all that came since."""
    answer = lost(house, wallet, wallet.asked([EMAIL]))
    assert (mark := logged(house)).answered < mark.seq
    house.sql("UPDATE credential SET kind = 'gone' WHERE kind = 'enrolment'")
    house.enrol_by_hand(house.people.pop()).give([CITY], "service")
    assert (mark := logged(house)).answered == mark.seq
    assert answer not in reconcile.reconcile(house.platform, house.own.catalogue).given


def test_a_committed_answer_outlives_the_ends_of_other_asks_and_a_restore(house: House, wallet: Signed) -> None:
    """The control: what was said of one ask ends no answer to another."""
    copy = backup(house, "copy.db")
    kept = wallet.give([CITY], "service")
    lost(house, wallet, wallet.asked([EMAIL]))
    ENDS["objection"](house, wallet)
    mark = logged(house)
    assert mark.answered == mark.seq
    assert living(house, wallet) == [(CITY,)]
    restore(house, copy)
    assert refused(house) == "journal_ahead"
    assert run(house)[1]["given"] == 1
    assert living(house, wallet) == [(CITY,)]
    assert house.sql("SELECT ended_at FROM credential WHERE id = ?", kept["id"]) == [(None,)]


def test_an_answered_ask_that_somebody_opens_again_in_the_database_is_not_closed_in_the_journal(
    house: House, wallet: Signed
) -> None:
    """Its consent would no longer be missed when it goes."""
    given = wallet.give([CITY])
    opened = "UPDATE credential SET ended_at = NULL, ended_by = NULL, ended_kind = NULL WHERE kind = 'ask'"
    house.sql(opened)
    ENDS["objection"](house, wallet)
    assert closed(house) == []
    house.sql("DELETE FROM credential WHERE id = ?", given["id"])
    assert house.platform.journal.lacks(wallet.person.subject, [])


def test_a_row_that_only_says_it_is_an_ask_ends_nothing_in_the_journal(house: House, wallet: Signed) -> None:
    ground = house.ground("service", EMAIL)
    house.sql("UPDATE credential SET kind = 'ask', subject = ? WHERE id = ?", wallet.person.subject, ground)
    ENDS["erasure"](house, wallet)
    assert closed(house) == []
    assert not house.platform.journal.ended(ground)


def closed(house: House) -> list[str]:
    return [str(one.body["id"]) for one in house.platform.journal.entries() if one.body["kind"] == CLOSED]
