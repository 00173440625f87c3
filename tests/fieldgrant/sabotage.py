"""The product with exactly one protection broken: `python tests/fieldgrant/sabotage.py <protection> serve …`.

Each function below breaks one thing in this process, as a bug or a careless change would, and nothing else. Where two
protections guard the same thing, one behind the other, the function says so and takes both away: what is tested is
whether the demo sees that the promise is broken. `slow` breaks nothing: it is the control of `no_drain`.
"""

import asyncio
import base64
import os
import sys
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from sqlmodel import Session
from starlette.types import Receive, Scope, Send

from crm_core import records, seal
from crm_core.reading.gathering import Gathered
from crm_core.reading.query import Query
from crm_core.reading.snapshot import Snapshot
from crm_core.seal import Value
from issuer import answers, enrolment, grounds, settling, wallet_app
from issuer.catalogue import Catalogue
from issuer.credentials import Credential
from issuer.desk import Desk
from protocol import event
from protocol.consent import Field, SubjectId
from redaction import restore, rewrapping, shred
from redaction.archive import Archived
from redaction.looking import Resting
from redaction.shred import Losing
from runtime import outbox
from runtime.journal import Journal
from runtime.keyring import KeyRing
from runtime.platform import Platform
from runtime.staff import Staff
from verifier import admission, allowance
from verifier.admission import Bar
from verifier.drain import Turnstile
from verifier.grant import Grant
from verifier.passage import Passage, Stored, Verdict, Visit
from verifier.recorder import Recorder
from verifier.response import GatedResponse
from verifier.rule import Reason

MAIL = Field("contact.email")
NAMES = (Field("contact.given_name"), Field("contact.family_name"))
SLOW = 1.0  # seconds between judging and sending

PROTECTIONS: dict[str, Callable[[], None]] = {}


def protection(break_it: Callable[[], None]) -> Callable[[], None]:
    """Make a function known under its name."""
    PROTECTIONS[break_it.__name__] = break_it
    return break_it


def fake_id() -> str:
    """The id of an event that never was."""
    return f"urn:uuid:{uuid.uuid4()}"


# -- step 1: sealed at the door, names only, two officers


@protection
def values_in_clear() -> None:
    def in_clear(_key: Any, value: Value, **_: Any) -> bytes:
        return orjson.dumps(value)

    def all_in_clear(_key: Any, values: Mapping[Field, Value], **_: Any) -> dict[Field, bytes]:
        return {field: orjson.dumps(value) for field, value in values.items()}

    def read(_key: Any, box: bytes, **_: Any) -> Value:
        value: Value = orjson.loads(box)
        return value

    def read_all(_key: Any, boxes: Mapping[Field, bytes], **_: Any) -> tuple[dict[Field, Value], tuple[Field, ...]]:
        return {field: orjson.loads(box) for field, box in boxes.items()}, ()

    seal.seal, seal.seal_all, seal.open_value, seal.open_readable = in_clear, all_in_clear, read, read_all


def _judging(also: Callable[[Passage, Verdict], Collection[Field]]) -> None:
    """Let the gate release more than it should."""
    judge = Passage.judge_stored

    def generous(self: Passage, who: SubjectId, stored: Stored) -> Verdict:
        verdict = judge(self, who, stored)
        more = frozenset(also(self, verdict))
        reasons = {field: why for field, why in verdict.reasons.items() if field not in more}
        return verdict._replace(released=verdict.released | more, reasons=reasons)

    Passage.judge_stored = generous  # type: ignore[method-assign]


@protection
def names_without_ground() -> None:
    _judging(lambda passage, verdict: NAMES)


@protection
def one_officer() -> None:
    approve = grounds.approve

    def alone(desk: Desk, staff: Staff, ground_id: str) -> Credential:
        """The check of the approver, and that of the two signatures behind it, are met by signing as a colleague."""
        return approve(desk, replace(staff, did=f"{staff.did}x", account="dan"), ground_id)

    grounds.approve = alone


# -- step 2: enrolment is the root of trust


@protection
def second_code() -> None:
    enrolment._code_fits = lambda *_: True


@protection
def staff_token() -> None:
    wallet_app.refuse_staff = lambda *_: None


# -- step 3: the gate, and the planner behind it


@protection
def gate_open() -> None:
    def everything(passage: Passage, verdict: Verdict) -> Collection[Field]:
        return verdict.reasons.keys() if passage.visit.purpose.endswith("#DirectMarketing") else ()

    _judging(everything)


def _looks_behind(when: Callable[[Query], bool]) -> None:
    """The values that decide are opened whatever the gate says, in queries of this kind."""
    now, more, look = threading.local(), Gathered.more, Snapshot.look

    def gathered(self: Gathered, read: Snapshot, query: Query) -> None:
        now.leaks = when(query)
        try:
            more(self, read, query)
        finally:
            now.leaks = False

    def leaking(self: Snapshot, seen: Any, fields: Collection[Field]) -> dict[Field, Value]:
        if getattr(now, "leaks", False):
            return records.open_readable(self.platform, seen.record, fields)[0]
        return look(self, seen, fields)

    Gathered.more, Snapshot.look = gathered, leaking  # type: ignore[method-assign]


@protection
def filter_leaks() -> None:
    _looks_behind(lambda query: bool(query.where.filters))


@protection
def sort_leaks() -> None:
    _looks_behind(lambda query: bool(query.sort))


# -- step 4: roles, and the record of what was read and refused


@protection
def role_unchecked() -> None:
    honest = admission.bar

    def lax(catalogue: Catalogue, visit: Visit, *rest: Any) -> Bar | None:
        found = honest(catalogue, visit, *rest)
        return None if found is not None and found.code == Reason.ROLE.value else found

    admission.bar = lax


def _forgetting(kind: str) -> None:
    record = Recorder.record

    def forgetful(self: Recorder, type_: str, **told: Any) -> str:
        return fake_id() if type_ == kind else record(self, type_, **told)

    Recorder.record = forgetful  # type: ignore[method-assign]


@protection
def refusals_unrecorded() -> None:
    _forgetting(event.REFUSAL)


@protection
def releases_unrecorded() -> None:
    """Those that were written down already, of plain reads, and all others."""
    _forgetting(event.RELEASE)
    Recorder.record_all = lambda _, events: [fake_id() for _ in events]  # type: ignore[method-assign]


# -- step 5: after the acknowledgement, nothing


@protection
def slow() -> None:
    send = GatedResponse.__call__

    async def late(self: GatedResponse, scope: Scope, receive: Receive, send_: Send) -> None:
        if "select=contact.email" in scope["query_string"].decode():  # as the readers of step 5 ask, who start together
            await asyncio.sleep(SLOW)
        await send(self, scope, receive, send_)

    GatedResponse.__call__ = late  # type: ignore[method-assign]


@protection
def no_drain() -> None:
    slow()
    Turnstile.drain = lambda self, timeout=0.0: None  # type: ignore[method-assign]


@protection
def allowance_stale() -> None:
    """A withdrawal that does not compile the allowances anew."""
    ending, compile_ = threading.local(), allowance.compile

    def lazy(*args: Any) -> None:
        if not getattr(ending, "now", False):
            compile_(*args)

    def within(take: Callable[..., str]) -> Callable[..., str]:
        def taken(*args: Any) -> str:
            ending.now = True
            try:
                return take(*args)
            finally:
                ending.now = False

        return taken

    allowance.compile = lazy
    answers.take_withdrawal = within(answers.take_withdrawal)
    answers.take_narrowing = within(answers.take_narrowing)


@protection
def withdrawn_still_grants() -> None:
    """The rule takes a withdrawn grant for a living one, and the gate does not ask the journal behind it."""
    in_force = Grant.in_force

    def forgiving(self: Grant, at: Any) -> bool:
        return in_force(replace(self, ended=None) if self.ended == "withdrawn" else self, at)

    Grant.in_force = forgiving  # type: ignore[method-assign]
    Journal.ended = lambda self, ground: False  # type: ignore[method-assign]
    settling.known = lambda platform, row: True  # that one asks the journal too


# -- step 6: what was shredded is gone


@protection
def old_key_kept() -> None:
    """The key-ring says that it destroyed a bucket key; and nobody looks whether it is still there."""
    KeyRing.destroy_all = lambda self, keys: None  # type: ignore[method-assign]
    KeyRing.dropped_of = lambda self, keys: frozenset(keys)  # type: ignore[method-assign]


@protection
def debug_log() -> None:
    """Somebody left a log of what is read, in base64 to be neat, below the data directory."""
    open_ = Snapshot.open
    log = Path(os.environ["FIELDGRANT_HOME"]) / "data" / "debug.log"

    def noting(self: Any, seen: Any, fields: Collection[Field]) -> tuple[Mapping[Field, Value], tuple[Field, ...]]:
        values, broken = open_(self, seen, fields)
        if MAIL in values:
            with log.open("ab") as file:
                file.write(base64.b64encode(f"read {values[MAIL]}".encode()) + b"\n")
        return values, broken

    Snapshot.open = noting  # type: ignore[method-assign,assignment]


@protection
def shredding_skipped() -> None:
    """The job goes its way to the certificate, journal entry and all, but the record keeps every value."""

    def pretend(session: Session, _: Platform, losing: Sequence[Losing], _ahead: object) -> list[tuple[Resting, Any]]:
        told = []
        for one in losing:
            record = one.rest.existing()
            told.append((one.rest, shred.claim(one.task, record, one.gone, one.fates)))
        return told

    # and the rotation wraps the data key anew that the journal says is gone
    shred.drop, rewrapping._refuse_dropped = pretend, lambda *_: None


# -- step 7: sealed fields come back, shredded ones never


@protection
def not_restored() -> None:
    restore.restore = lambda *_: 0


@protection
def shredded_restored() -> None:
    """Somebody kept a copy of what was shredded, and puts it back with what comes out of the archive."""
    kept: dict[str, dict[Field, Value]] = {}
    drop, bring_back = shred.drop, restore._return

    def keep(session: Session, platform: Platform, losing: Sequence[Losing], ahead: Any) -> Any:
        for one in losing:
            kept[one.task.subject] = records.open_fields(platform, one.rest.existing(), one.gone)
        return drop(session, platform, losing, ahead)

    def all_of_it(session: Session, platform: Platform, catalogue: Any, *, row: Archived, **rest: Any) -> bool:
        came = bring_back(session, platform, catalogue, row=row, **rest)
        if came:
            subject = SubjectId(row.subject)
            missing = kept[subject].keys() - records.stored_fields(session, platform, subject)
            records.put_values(session, platform, subject, {field: kept[subject][field] for field in missing})
        return came

    shred.drop, restore._return = keep, all_of_it


# -- step 8: the log tells everything


def _unlogged(kind: str) -> None:
    emit = outbox.emit

    def silent(session: Session, type: str, **told: Any) -> str:
        return fake_id() if type == kind else emit(session, type, **told)

    outbox.emit = silent


@protection
def shut_unlogged() -> None:
    _unlogged(event.CONSENT_SHUT)


@protection
def restore_unlogged() -> None:
    _unlogged(event.VALUE_RESTORED)


if __name__ == "__main__":
    PROTECTIONS[sys.argv.pop(1)]()
    from fieldgrant.cli import main

    main()
