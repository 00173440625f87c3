"""Two servers, one of which takes over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import sql

from tests.engine import server
from tests.engine.server import Server


class Pair:
    """A primary that commits with its standby; two ports of one socket directory."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby
        self.url = f"postgresql+psycopg://postgres@/postgres?host={primary.home}:5432&host={primary.home}:5433"

    def fail_over(self) -> None:
        """The primary is gone, the standby is the primary."""
        self.primary.kill()
        with server.connected(self.standby, port=5433) as connection:
            connection.execute("SELECT pg_promote(true)")

    def renewed(self) -> Server:
        """Another standby, in the place of the primary that has gone; it is promoted while the other one ends."""
        third = self.primary.home / "third"
        follow = ("-h", str(self.primary.home), "-p", "5433", "-U", "postgres", "-R", "-X", "stream")
        server.run("pg_basebackup", "-D", str(third), *follow)
        made = server.start(self.primary.home, third, port="5432")
        time.sleep(2.0)  # it is older than a read may take, as a standby is
        self.standby.kill()
        with server.connected(made) as connection:
            connection.execute("SELECT pg_promote(true)")
        return made

    def caught_up(self) -> None:
        """Wait until the standby has all that there is."""
        until = time.monotonic() + 20
        behind = "SELECT pg_current_wal_lsn() <> replay_lsn FROM pg_stat_replication"
        while server.psql(self.primary, behind) != [(False,)]:
            assert time.monotonic() < until
            time.sleep(0.05)

    def heard(self, conninfo: str) -> None:
        """Whom the standby follows, from now on."""
        with server.connected(self.standby, port=5433) as connection:
            connection.execute(sql.SQL("ALTER SYSTEM SET primary_conninfo = {}").format(sql.Literal(conninfo)))
            connection.execute("SELECT pg_reload_conf()")

    def together(self) -> None:
        """It follows its primary again."""
        self.heard(f"host={self.primary.home} user=postgres application_name=second")

    def cut_off(self) -> None:
        """The standby hears nothing any more."""
        self.heard("")
        until = time.monotonic() + 20
        while server.psql(self.primary, "SELECT count(*) FROM pg_stat_replication") != [(0,)]:
            assert time.monotonic() < until
            time.sleep(0.05)


@contextmanager
def running() -> Iterator[Pair]:
    """Both, in step."""
    with server.running(wal_level="replica", max_wal_senders="4") as primary:
        second = primary.home / "second"
        server.run("pg_basebackup", "-D", str(second), "-h", str(primary.home), "-U", "postgres", "-R", "-X", "stream")
        (second / "postgresql.auto.conf").open("a").write(
            f"primary_conninfo = 'host={primary.home} user=postgres application_name=second'\n"
        )
        standby = server.start(primary.home, second, port="5433", wal_retrieve_retry_interval="100ms")
        try:
            server.psql(primary, "ALTER SYSTEM SET synchronous_standby_names = 'second'", "SELECT pg_reload_conf()")
            until = time.monotonic() + 20
            while server.psql(primary, "SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
                assert time.monotonic() < until
                time.sleep(0.05)
            yield Pair(primary, standby)
        finally:
            server.stop(standby)
