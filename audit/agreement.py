"""Journal and log agree: each ending that one tells of the other knows, and neither has become shorter.

Both lie beside the database, and no line or leaf of theirs can be made without a key; but files can be put back as
they were. So what both had come to when they last agreed, the *mark*, lies with the key-ring, under a key of it. What
came since is compared, and only that. Whoever puts journal, log and database back together is found out by the mark.
"""

import hashlib
import hmac
import logging
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

import orjson
from sqlmodel import Session, SQLModel, col, select

from audit.chains import Line
from audit.log import Head, Log
from audit.log_tables import ORGANISATION, LogEntry
from audit.tiles import WIDTH
from audit.tree import Merkle
from protocol import canonical, event, times
from protocol import log as rfc6962
from protocol.errors import EvidenceError
from runtime import crash, keyfiles, outbox
from runtime.journal import NARROWING, Entry
from runtime.outbox import Outbox
from runtime.platform import Platform

LOG: Final = logging.getLogger("fieldgrant.audit")
FILE: Final = "agreed.json"  # in the key-ring's directory
KEY: Final = "agreed"
SUBJECT: Final = "sub_"  # how a customer's reference begins
STEP: Final = 1_000  # leaves after which the mark moves although nothing ended
ENDINGS: Final = frozenset({
    event.CONSENT_NARROWED, event.CONSENT_WITHDRAWN, event.CONSENT_REVOKED, event.CONSENT_EXPIRED, event.GROUND_ENDED,
    event.GROUND_EXCLUDED, event.ENROLMENT_COMPLETED, event.ENROLMENT_ENDED, event.TOUCHPOINT_ENDED,
})  # fmt: skip
"""Types of events that come with an entry in the journal of the same instant."""
ANSWERS: Final = frozenset({event.CONSENT_GIVEN, event.CONSENT_REFUSED, event.GROUND_APPROVED})
"""Types of events that come with one that gives."""


@dataclass(frozen=True, slots=True)
class Ending:
    """An end that the log tells of: about whom ("": the organisation, or nobody can tell), of which type, when."""

    subject: str
    type: str
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What both had come to: lines of the journal and the tag of the last, leaves of the log and their root.

    `answered` is the line up to which the database had every answer and approved ground that counts. It stays behind
    where a commit failed and nobody tried again, for the next start to find; the rest of the mark moves on.
    """

    seq: int
    tag: str
    size: int
    root: bytes
    answered: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What journal and log say of each other. Nothing of it: they agree.

    `unanswered` are ends in the log that the journal lacks, `untold` lines of the journal that neither log nor outbox
    tells of. `lines` and `leaves` are how many of those that were there by the mark are not there any more, or others
    in their place.
    """

    unanswered: tuple[Ending, ...] = ()
    untold: tuple[Entry, ...] = ()
    lines: int = 0
    leaves: int = 0

    @property
    def agreed(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.unanswered or self.untold or self.lines or self.leaves)


_FACTS: Final = ("seq", "tag", "size", "root", "answered")
NOTHING: Final = Mark(seq=0, tag="", size=0, root=rfc6962.root([]))


def compare(log: Log, *, until: Mark | None = None) -> Compared:
    """Compare journal and log since they last agreed; from their beginning where that cannot be built on.

    `until`: no further than this. Costs what came since. Raises EvidenceError `log_forked`, JournalError.
    """
    platform = log.platform
    platform.journal.refresh()
    head, mark = log.head(), read(platform) or NOTHING
    lines = _lost_lines(platform, mark)
    leaves = _lost_leaves(log, head, mark)
    since = NOTHING if lines or leaves else mark
    entries = [one for one in platform.journal.entries(since.seq) if until is None or one.seq <= until.seq]
    told = _endings(log, head, since.size)
    unanswered = _unanswered(told, entries)
    if unanswered and since.seq:  # told again after a restore, it may be an end of before the mark
        unanswered = _unanswered(unanswered, platform.journal.entries())
    with platform.database.read() as session:
        said = {(one.subject, one.at) for one in told} | set(_waiting(session, head.size))
    return Compared(
        unanswered=tuple(unanswered),
        untold=tuple(_untold(entries, said)),
        lines=lines,
        leaves=leaves,
    )


def reached(log: Log, session: Session, head: Head) -> Mark | None:
    """What both have come to, in a write transaction: nothing is between journal and outbox then.

    None while an ending or an answer waits to be logged.
    """
    if next(_waiting(session, head.size, ENDINGS | ANSWERS), None) is not None:
        return None
    log.platform.journal.refresh()
    seq, tag = log.platform.journal.head()
    return Mark(seq=seq, tag=tag, size=head.size, root=head.root)


def advance(log: Log, to: Mark) -> bool:
    """Remember that both have come to this, if they agree; whether they do. Under the log's lock."""
    platform = log.platform
    mark = read(platform) or NOTHING
    if to.seq == mark.seq and 0 <= to.size - mark.size < STEP:
        return True
    if not compare(log, until=to).agreed:
        LOG.error("journal and log do not agree: the next start will say so")
        return False
    to = replace(to, answered=log.answered(mark.answered, to.seq))
    crash.point("agree.within")
    _write(platform, to)
    return True


def read(platform: Platform) -> Mark | None:
    """The mark; None before the first, and when it is not ours: then all is compared."""
    try:
        found = orjson.loads((platform.settings.keys_dir / FILE).read_bytes())
        facts = [found[one] for one in _FACTS]
        if not hmac.compare_digest(found["mac"], _mac(platform, facts)):
            return None
        return Mark(**dict(zip(_FACTS, facts, strict=True)) | {"root": bytes.fromhex(found["root"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def forget(platform: Platform) -> None:
    """Take the mark away: what it knew is lost for good, and that is on record. The next drain makes a new one."""
    (platform.settings.keys_dir / FILE).unlink(missing_ok=True)
    keyfiles.sync_directory(platform.settings.keys_dir)


def _write(platform: Platform, mark: Mark) -> None:
    facts: list[int | str] = [mark.seq, mark.tag, mark.size, mark.root.hex(), mark.answered]
    named = dict(zip(_FACTS, facts, strict=True))
    keyfiles.write(platform.settings.keys_dir / FILE, orjson.dumps({**named, "mac": _mac(platform, facts)}))


def _mac(platform: Platform, facts: list[int | str]) -> str:
    return hashlib.blake2b(canonical.jcs(facts), key=platform.keyring.secret(KEY), digest_size=32).hexdigest()


def _lost_lines(platform: Platform, mark: Mark) -> int:
    """How many lines the journal lacks; at least one when it is another one."""
    if platform.journal.tag(mark.seq) == mark.tag:
        return 0
    return max(mark.seq - platform.journal.head()[0], 1)


def _lost_leaves(log: Log, head: Head, mark: Mark) -> int:
    if head.size < mark.size:
        return mark.size - head.size
    # subtrees of what was signed then are subtrees of what is signed now
    older = Merkle(mark.size, lambda level, index: log.tiles.node(head.size, level, index))
    if older.root() != mark.root:
        raise EvidenceError("log_forked", f"the first {mark.size} leaves are not those that were signed")
    return 0


def _endings(log: Log, head: Head, since: int) -> list[Ending]:
    """What the log's leaves from `since` on tell of ends, by the tiles, and about whom where that is proved."""
    found: dict[int, tuple[bytes, str, str]] = {}
    for index, leaf in _leaves(log, head, since):
        told = orjson.loads(leaf)
        if told["type"] in ENDINGS:
            found[index] = (leaf, told["type"], told["time"])
    owners = _owners(log, {index: leaf for index, (leaf, _, _) in found.items()})
    return [
        Ending(subject, type_, at)
        for index, (_, type_, at) in sorted(found.items())
        for subject in owners.get(index, (ORGANISATION,))
    ]


def _leaves(log: Log, head: Head, since: int) -> Iterator[tuple[int, bytes]]:
    """The leaves from `since` on, each tile proved to be under the signed head."""
    tree = log.merkle(head.size)
    for n in range(since // WIDTH, -(-head.size // WIDTH)):
        leaves, first = log.tiles.leaves(head.size, n), n * WIDTH
        hashes = rfc6962.leaf_hashes(leaves)
        if log.tiles.hashes(head.size, n) != b"".join(hashes):
            raise EvidenceError("log_forked", f"entry tile {n} does not hold the leaves that were signed")
        # its siblings on the way to the root are made of the hashes just compared: one leaf speaks for its tile
        try:
            rfc6962.verify_inclusion(hashes[0], first, head.size, tree.inclusion(first), head.root)
        except EvidenceError as error:
            raise EvidenceError("log_forked", f"entry tile {n} is not under the signed head") from error
        yield from ((first + place, leaf) for place, leaf in enumerate(leaves) if first + place >= since)


def _owners(log: Log, leaves: Mapping[int, bytes]) -> dict[int, tuple[str, ...]]:
    """Whose records these leaves hold: by the database, else by the second copy; where they make the leaf."""
    if not leaves:
        return {}
    owners: dict[int, tuple[str, ...]] = {}
    with log.platform.database.read() as session:
        for line in _stored(session, min(leaves), max(leaves)):
            if line.leaf() == leaves.get(line.leaf_index, b""):
                owners[line.leaf_index] = tuple(one["subject"] for one in line.records)
    left = leaves.keys() - owners.keys()
    if left:
        for line in log.chains.lines(min(left), max(left) + 1):
            if line.leaf_index in left and line.leaf() == leaves[line.leaf_index]:
                owners[line.leaf_index] = tuple(one["subject"] for one in line.records)
    return owners


def _stored(session: Session, since: int, until: int) -> Iterator[Line]:
    """What the database says of the ends among these leaves."""
    table = SQLModel.metadata.tables["log_record"]
    rows = table.select().where(table.c.leaf_index.between(since, until), table.c.type.in_(ENDINGS))
    found = session.connection().execute(rows.order_by(table.c.leaf_index, table.c.place)).mappings()
    for index, some in groupby(found, key=lambda row: row["leaf_index"]):
        records = tuple(dict(row) for row in some)
        yield Line(leaf_index=index, event_id="", type=records[0]["type"], at=records[0]["at"], records=records)


def _waiting(session: Session, size: int, types: Set[str] = ENDINGS) -> Iterator[tuple[str, str]]:
    """Whose ends are not under a head of this size yet, and when they were: of rows of the outbox that we wrote.

    A drain may have been killed between its entries and the head that covers them: the next one signs it.
    """
    covered = select(LogEntry.outbox_id).where(col(LogEntry.leaf_index) < size)
    last = session.exec(covered.order_by(col(LogEntry.leaf_index).desc()).limit(1)).first() or 0
    rows = select(Outbox.event_id).where(col(Outbox.id) > last, col(Outbox.type).in_(types))
    for event_id in session.exec(rows):
        one = outbox.told(session, event_id)
        if one is not None:
            yield from ((subject or ORGANISATION, times.iso_ms(one.at)) for subject, _ in one.records)


def _whose(entry: Entry) -> str:
    """The journal's name for many, or for nobody, is the organisation's chain in the log."""
    subject = str(entry.body.get("subject", ORGANISATION))
    return subject if subject.startswith(SUBJECT) else ORGANISATION


def _unanswered(told: Iterable[Ending], entries: Iterable[Entry]) -> list[Ending]:
    known = {(_whose(one), str(one.body.get("at"))) for one in entries if one.body.get("kind") == NARROWING}
    return [one for one in told if not _answered(one, known)]


def _answered(one: Ending, known: set[tuple[str, str]]) -> bool:
    return (
        (one.subject, one.at) in known
        or (ORGANISATION, one.at) in known
        or (one.subject == ORGANISATION and any(at == one.at for _, at in known))
    )


def _untold(entries: Iterable[Entry], said: set[tuple[str, str]]) -> Iterator[Entry]:
    """Lines that ended something, and of whose instant nothing tells.

    Not those whose end is in a line that was told: the commit of the first had failed, and it was done again.
    """
    instants = {at for _, at in said}
    silent, told = [], set[str]()
    for one in entries:
        ended = one.body.get("ended") if one.body.get("kind") == NARROWING else None
        if not ended:
            continue
        whose, at = _whose(one), str(one.body.get("at"))
        if (whose, at) in said or (ORGANISATION, at) in said or (whose == ORGANISATION and at in instants):
            told |= set(ended)
        else:
            silent.append(one)
    return (one for one in silent if not told.issuperset(one.body["ended"]))
