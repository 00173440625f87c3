"""Steps 5, 6 and 7: narrow, withdraw under fire, see what became of the fields, consent again."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from crm_core import records
from fieldgrant.demo import residue
from fieldgrant.demo.arrival import ask_and_answer
from fieldgrant.demo.cast import MAIL, Person
from fieldgrant.demo.hammer import Hammer
from fieldgrant.demo.journey import Play, StepFailed, expect
from protocol.consent import SubjectId
from runtime.keyring import KeyGone
from runtime.platform import Platform

READERS = 8
SLOWEST = 60.0  # seconds in which the readers must have had their reads before the withdrawal


def narrow_and_withdraw(play: Play) -> str:
    """Step 5."""
    first, second, _, _ = play.cast.people
    consent = living(play, first)
    play.wallet(first).narrow(consent, [play.cast.second])
    seen = play.one("mei", first.subject, "marketing")
    expect(seen["fields"].get(play.cast.second) == first.values[play.cast.second], "what was kept is no longer seen")
    expect(seen["withheld"].get(MAIL) == "withdrawn", f"e-mail after the narrowing: {seen['withheld'].get(MAIL)}")
    keep_copy(play)
    return _withdraw_under_fire(play, second)


def living(play: Play, person: Person) -> str:
    """The id of the one consent that a customer's wallet holds as living."""
    held = [one.id for one in play.wallet(person).holding().consents if one.standing == "living"]
    expect(len(held) == 1, f"the wallet holds {len(held)} living consents, not one")
    return held[0]


def keep_copy(play: Play) -> None:
    """Copy the database as a thief or a backup would, before anything is destroyed."""
    copy = _earlier(play)
    copy.parent.mkdir(exist_ok=True)
    copy.unlink(missing_ok=True)
    live = sqlite3.connect(f"file:{play.stage.settings.db_dir / copy.name}?mode=ro", uri=True)
    with closing(live), closing(sqlite3.connect(copy)) as target:
        live.backup(target)


def _earlier(play: Play) -> Path:
    return play.stage.home / "earlier-copy" / "fieldgrant.db"


def _withdraw_under_fire(play: Play, person: Person) -> str:
    url = f"{play.stage.url('crm')}/crm/customers/{person.subject}?purpose=marketing&select={MAIL}"
    hammer = Hammer(url, play.token("mei"), person.values[MAIL], readers=READERS)
    consent = living(play, person)
    hammer.start()
    try:
        with play.progress(f"{READERS} readers hammer the record", play.pace.seen_before) as told:
            until = time.monotonic() + SLOWEST
            while hammer.seen() < play.pace.seen_before and time.monotonic() < until and hammer.running():
                told(hammer.seen())
                time.sleep(0.02)
        started = time.monotonic()
        play.wallet(person).withdraw(consent)
        hammer.mark()  # the acknowledgement has just been received
        play.memory["withdrawn_at"] = time.monotonic()
        time.sleep(play.pace.afterwards)
    finally:
        tallies = hammer.stop()
    took = play.memory["withdrawn_at"] - started
    failures = [failure for tally in tallies for failure in tally.failures]
    before = min(tally.with_value - tally.after_with_value for tally in tallies)
    after, late = sum(tally.after for tally in tallies), sum(tally.after_with_value for tally in tallies)
    play.figures["withdrawal"] = {
        "readers": READERS,
        "answers": sum(tally.answers for tally in tallies),
        "seen_before_by_each_at_least": before,
        "answers_after": after,
        "values_after": late,
        "acknowledged_after_ms": round(1000 * took, 1),
    }
    expect(not failures, f"readers failed: {failures[0] if failures else ''}")
    expect(before >= play.pace.seen_before, f"a reader had the value only {before} times before the withdrawal")
    expect(after >= READERS, f"only {after} answers came after the acknowledgement")
    expect(late == 0, f"{late} answers returned the e-mail after the acknowledgement")
    return (
        f"narrowed to {play.cast.second}; withdrawal acknowledged after {1000 * took:.0f} ms under {READERS} readers "
        f"(each had the value at least {before} times); {after} answers after it, 0 with the value"
    )


def dispositions(play: Play) -> str:
    """Step 6."""
    second = play.cast.people[1]
    items = _certified(play, second)
    sealed = sorted(name for name, kind in items.items() if kind == "seal")
    shredded = sorted(name for name, kind in items.items() if kind == "shred")
    expect(MAIL in sealed and play.cast.second in shredded, f"the certificate says {items}")
    play.figures["dispositions"] = {"sealed": sealed, "shredded": shredded, "seconds": round(_since(play), 2)}
    left = still_stored(play, second) & {*sealed, *shredded}
    expect(not left, f"certified as gone, and still in the database: {', '.join(sorted(left))}")
    opened, tried = open_old_copy(play, second)
    expect(tried > 0, "the earlier copy holds no cell of the customer: nothing was tried")
    expect(opened == 0, f"{opened} of {tried} values open from an earlier copy of the database")
    data = play.stage.settings.data_dir
    planted = play.cast.planted
    hits = residue.search(data, planted)
    expect(not hits, f"{len(hits)} values lie in clear, the first in {hits[0].path.name if hits else ''}")
    found, there = residue.control(data)
    expect(found == there, f"the search found its own control in {found} of {there} encodings")
    play.figures["residue"] = {"values": len(planted), "encodings": found, "hits": 0, "control_found": True}
    return (
        f"sealed: {', '.join(sealed)}; shredded: {', '.join(shredded)}, {_since(play):.1f} s after the withdrawal; "
        f"{tried} old cells tried with the present keys, 0 open; {len(planted)} values searched in every file, 0 "
        "found, control found"
    )


def _since(play: Play) -> float:
    return float(play.memory["disposed_at"] - play.memory["withdrawn_at"])


def _certified(play: Play, person: Person) -> dict[str, str]:
    """Field → disposition, from the signed certificates that the customer's wallet has checked."""
    until = time.monotonic() + play.pace.patience
    with play.progress("waiting for the certificate", None):
        while time.monotonic() < until:
            certificates = play.wallet(person).certificates()
            if certificates:
                play.memory["disposed_at"] = time.monotonic()
                return {item.field: item.disposition for one in certificates for item in one.items}
            time.sleep(0.3)
    raise StepFailed(f"no certificate within {play.pace.patience:.0f} s")


def still_stored(play: Play, person: Person) -> frozenset[str]:
    """The fields of which the database holds a cell of this customer today, whatever a certificate says."""
    platform = Platform.open(play.stage.settings)
    try:
        with platform.database.read() as session:
            return frozenset(map(str, records.stored_fields(session, platform, SubjectId(person.subject))))
    finally:
        platform.close()


def open_old_copy(play: Play, person: Person) -> tuple[int, int]:
    """Try every cell of a customer in the earlier copy with the present keys: (opened, tried)."""
    settings = play.stage.settings.model_copy(update={"database": f"sqlite:///{_earlier(play)}"})
    platform = Platform.open(settings)
    opened = tried = 0
    try:
        with platform.database.read() as session:
            record = records.load(session, SubjectId(person.subject))
            if record is None:
                return 0, 0
            for name in records.stored(record):
                tried += 1
                try:
                    records.open_fields(platform, record, frozenset({name}))
                    opened += 1
                except KeyGone:
                    continue
    finally:
        platform.close()
    return opened, tried


def consent_again(play: Play) -> str:
    """Step 7."""
    second = play.cast.people[1]
    ask_and_answer(play, second, fields=None)
    until = time.monotonic() + play.pace.patience
    seen: dict[str, Any] = {}
    while time.monotonic() < until:
        seen = play.one("mei", second.subject, "marketing")["fields"]
        if seen.get(MAIL) is not None:
            break
        time.sleep(0.1)
    expect(seen.get(MAIL) == second.values[MAIL], "the sealed e-mail did not come back")
    back = [name for name in play.figures["dispositions"]["shredded"] if seen.get(name) is not None]
    expect(not back, f"shredded and yet there again: {', '.join(back)}")
    gone = [name for name in play.figures["dispositions"]["shredded"] if name in seen]
    expect(gone, "the new consent covers no shredded field: nothing was shown")
    return f"e-mail is back from the archive; {', '.join(gone)}: granted again, and gone for good"
