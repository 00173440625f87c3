"""The turnstile on PostgreSQL: readers on several hosts, one withdrawer who waits for all of them.

A reader takes the turnstile of its own host (two flocks, see `verifier.drain`) and then a shared advisory lock, by a
statement of its own and on a connection of its own: so its snapshot, taken later on another, is never older than the
lock. The server queues fairly: while a withdrawer waits, nobody new comes in. What no lock of a server can hold is a
read that is still being sent when the server has gone with its locks: so a reader looks whether its lock is still there
before it sends, and a drain on a server that may have forgotten locks waits as long as sending may take. Readers of the
withdrawer's own host are waited for in any case, by the flocks.
"""

import os
import threading
import time
from collections import deque
from pathlib import Path

import psycopg
from psycopg import pq

from runtime.dialect.postgresql import GATE, LOCKS, AdvisoryError, broken, plain
from verifier.drain import DrainTimeoutError, Hold, Turnstile

_ENTER = f"SELECT pg_advisory_lock_shared({LOCKS}, {GATE})".encode()
_LEAVE = f"SELECT pg_advisory_unlock_shared({LOCKS}, {GATE})".encode()
_ALONE = f"SELECT pg_advisory_lock({LOCKS}, {GATE})".encode()
# Since when this server knows of every lock: a start, or the recovery after a crash, which resets its statistics. And
# its timeline, another one after each promotion: when that was, it does not tell.
_MEMORY = """
SELECT extract(epoch FROM clock_timestamp() - greatest(pg_postmaster_start_time(), stats_reset))::float8,
       substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_stat_bgwriter
"""
_FIRST = "00000001"  # the timeline of a server that nobody has promoted
_MARGIN = 1.0  # seconds beyond the sending deadline: between the last look at the lock and the first byte


class AdvisoryTurnstile(Turnstile):
    """`AdvisoryTurnstile(directory, url, sending)`: as Turnstile, for readers of every host at this database."""

    def __init__(self, directory: Path, url: str, sending: float) -> None:
        """`url` is the database's; `sending`: seconds that sending may take."""
        super().__init__(directory)
        self._url, self._grace = url, sending + _MARGIN
        self._idle: deque[_Lock] = deque()
        self._timeline, self._promoted_since = _FIRST, 0.0
        self._noticing = threading.Lock()

    def passage(self) -> Hold:
        """Enter as a reader; waits while somebody drains. Raises AdvisoryError: then nobody reads."""
        hold = super().passage()
        try:
            lock = self._lock()
            return _Held(hold, lock, self)
        except BaseException:
            hold.release()
            raise

    def drain(self, timeout: float = 30.0) -> None:
        """Return once every reader that was inside at the call has left. Raises DrainTimeoutError, AdvisoryError."""
        until = time.monotonic() + timeout
        super().drain(timeout)
        connection = plain(self._url, lock_timeout=max(0.001, until - time.monotonic()))
        try:
            self._remembered(connection)
            try:
                connection.execute(_ALONE)
            except psycopg.errors.LockNotAvailable:
                raise DrainTimeoutError("reads in flight did not end in time") from None
        except psycopg.Error as error:
            raise AdvisoryError from error
        finally:
            connection.close()

    def close(self) -> None:
        """Close the files and connections of free places."""
        super().close()
        while self._idle:
            self._idle.popleft().close()

    def keep(self, lock: "_Lock") -> None:
        """A lock that was let go, for the next reader."""
        self._idle.append(lock)

    def _lock(self) -> "_Lock":
        while True:
            try:
                lock = self._idle.pop()
            except IndexError:
                lock = _Lock(self._url)
                lock.take()
                return lock
            if lock.mine() and lock.take_if_alive():
                return lock
            lock.close()

    def _remembered(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        """Wait until a read whose lock this server may have forgotten has been sent or cut."""
        row = connection.execute(_MEMORY).fetchone()
        assert row is not None  # noqa: S101 - the view has one row
        known, timeline = float(str(row[0])), str(row[1])
        with self._noticing:
            if timeline != self._timeline:
                self._timeline, self._promoted_since = timeline, time.monotonic()
            if timeline != _FIRST:
                known = min(known, time.monotonic() - self._promoted_since)
        if known < self._grace:
            time.sleep(self._grace - known)


class _Lock:
    """A connection that holds the shared lock, or has just let it go. One thread at a time."""

    __slots__ = ("_connection", "_pid")

    def __init__(self, url: str) -> None:
        self._connection, self._pid = plain(url), os.getpid()

    def mine(self) -> bool:
        """A fork shares its parent's connections: it must not speak on them."""
        return self._pid == os.getpid()

    def take(self) -> None:
        """Raises AdvisoryError."""
        if not self._ask(_ENTER):
            self.close()
            raise AdvisoryError

    def take_if_alive(self) -> bool:
        """False when the server has closed the connection meanwhile. AdvisoryError: somebody drains for too long."""
        if not self._settled():
            return False
        if self._ask(_ENTER):
            return True
        if self.held():  # it answers, and refused: another connection would wait as long for the same
            self.close()
            raise AdvisoryError
        return False

    def held(self) -> bool:
        """Is it still ours, as far as this machine knows?"""
        return not broken(self._connection)

    def let_go(self) -> bool:
        """Tell the server and wait for no answer: whoever sends bytes must not wait for a database."""
        raw = self._connection.pgconn
        try:
            raw.send_query(_LEAVE)
            raw.flush()
        except psycopg.Error:
            return False
        return raw.status == pq.ConnStatus.OK

    def close(self) -> None:
        """The server lets go of what a closed connection held."""
        if self.mine():
            self._connection.close()

    def _settled(self) -> bool:
        """Take the answer to the last `let_go`."""
        raw = self._connection.pgconn
        try:
            while (answer := raw.get_result()) is not None:
                if answer.status != pq.ExecStatus.TUPLES_OK:
                    return False
        except psycopg.Error:
            return False
        return raw.status == pq.ConnStatus.OK

    def _ask(self, query: bytes) -> bool:
        try:
            return self._connection.pgconn.exec_(query).status == pq.ExecStatus.TUPLES_OK
        except psycopg.Error:
            return False


class _Held(Hold):
    """A place on this host, and the lock for all others."""

    __slots__ = ("_advisory", "_hold", "_ours")

    def __init__(self, hold: Hold, lock: _Lock, turnstile: AdvisoryTurnstile) -> None:
        self._places = []  # those of `hold` are its own
        self._hold, self._advisory, self._ours = hold, [lock], turnstile

    def held(self) -> bool:
        """Does a withdrawer still wait for this reader?"""
        return bool(self._advisory) and self._advisory[0].held()

    def release(self) -> None:
        """Leave."""
        try:
            lock = self._advisory.pop()
        except IndexError:
            return
        try:
            if lock.mine() and lock.let_go():
                self._ours.keep(lock)
            else:
                lock.close()
        finally:
            self._hold.release()
