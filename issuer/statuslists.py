"""Status lists of 131,072 entries (Bitstring Status List 1.0): random indexes, set aside at ask time,
never used again.
"""

import secrets
from datetime import datetime

from sqlmodel import Field, Session, SQLModel, col, select

from protocol import proof, status
from protocol.consent import StatusRef
from protocol.status import Bitstring
from protocol.times import iso_ms
from runtime.platform import Platform
from runtime.problem import Problem

LISTS = 2**31  # more than there will ever be; a number that the database cannot hold is no list either


class StatusList(SQLModel, table=True):
    """One list; `version` rises when a bit is set."""

    __tablename__ = "status_list"

    n: int = Field(primary_key=True)
    version: int = 0
    reserved: int = 0


class StatusEntry(SQLModel, table=True):
    """An index that was set aside; the row stays for ever, so that it is never given twice."""

    __tablename__ = "status_entry"

    n: int = Field(primary_key=True)
    position: int = Field(primary_key=True)
    ended_at: str | None = None


def url(platform: Platform, n: int) -> str:
    """Where list `n` is published."""
    return f"{platform.settings.base_url.rstrip('/')}/issuer/status/{n}"


def reserve(session: Session, platform: Platform) -> tuple[int, StatusRef]:
    """Set a random index aside; the list's number and the reference. A half-full list is followed by a new one."""
    current = session.exec(select(StatusList).order_by(col(StatusList.n).desc()).limit(1)).first()
    if current is None or current.reserved >= status.SIZE // 2:
        current = StatusList(n=1 if current is None else current.n + 1)
    while True:
        position = secrets.randbelow(status.SIZE)
        if session.get(StatusEntry, (current.n, position)) is None:
            break
    current.reserved += 1
    session.add(current)
    session.add(StatusEntry(n=current.n, position=position))
    session.flush()
    return current.n, StatusRef(url(platform, current.n), position)


def keep(session: Session, n: int, position: int) -> None:
    """Set an index aside that was set aside before a database was restored that does not know of it."""
    listed = session.get(StatusList, n) or StatusList(n=n)
    if session.get(StatusEntry, (n, position)) is None:
        listed.reserved += 1
        session.add(StatusEntry(n=n, position=position))
    session.add(listed)
    session.flush()


def end(session: Session, n: int | None, position: int | None, *, at: datetime) -> None:
    """Set the bit of an entry. Once set it stays; nothing for a credential without an entry."""
    entry = session.get(StatusEntry, (n, position)) if n is not None and position is not None else None
    listed = session.get(StatusList, n) if entry is not None else None
    if entry is None or listed is None or entry.ended_at is not None:
        return
    entry.ended_at = iso_ms(at)
    known = listed.version  # a text or the largest number, if somebody wrote it there: it keeps no consent from its end
    listed.version = known + 1 if isinstance(known, int) and 0 <= known < LISTS - 1 else 1
    session.add(entry)
    session.add(listed)
    session.flush()


class SignedLists:
    """Status lists as signed by the controller, kept until a bit changes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: dict[int, tuple[int, dict[str, object]]] = {}

    def get(self, n: int) -> dict[str, object]:
        """The signed BitstringStatusListCredential; Problem 404 `unknown_status_list`."""
        with self._platform.database.read() as session:
            listed = session.get(StatusList, n) if 0 < n < LISTS else None
            if listed is None:
                raise Problem(404, "unknown_status_list", "There is no such status list.")
            kept = self._kept.get(n)
            if kept is not None and kept[0] == listed.version:
                return kept[1]
            ended = session.exec(
                select(StatusEntry.position).where(StatusEntry.n == n, col(StatusEntry.ended_at).is_not(None))
            ).all()
        bits = Bitstring()
        for position in ended:
            bits.set(position)
        at = self._platform.clock.now()
        unsigned = status.build_list(url(self._platform, n), self._platform.controller, bits, at)
        signed = proof.sign(unsigned, self._platform.signer, created=at)
        self._kept[n] = (listed.version, signed)
        return signed
