"""What every terminal of the organisation shares: where the platform lies, opening it, and errors of one line."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import GetPassWarning
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from sqlalchemy.exc import OperationalError

from protocol.errors import EvidenceError
from runtime import staff
from runtime.clock import ClockError
from runtime.dialect import DatabaseError
from runtime.journal import JournalError
from runtime.keyring import RingError
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.root import RootError
from runtime.settings import Settings
from runtime.staff import Staff

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The platform's data; default: below FIELDGRANT_HOME (out/serve/8700)."),
]
Keys = Annotated[
    Path | None, typer.Option("--keys", metavar="DIR", help="Its keys, apart from the data; default: beside the data.")
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="postgresql+psycopg://role@host/name, its password in PGPASSWORD or ~/.pgpass. Default: a file.",
    ),
]
REFUSALS: tuple[type[Exception], ...] = (
    RingError,
    RootError,
    JournalError,
    ClockError,
    EvidenceError,
    Problem,
    ValidationError,
    SettingsError,
    OSError,
    DatabaseError,
    OperationalError,
)


def settings(data: Path | None, keys: Path | None, **others: object) -> Settings:
    """Settings from the environment, with what was named on the command line."""
    named: dict[str, object] = {**others}
    if data is not None:
        named |= {"home": data.parent, "data_dir": data}
    if keys is not None:
        named["keys_dir"] = keys
    return Settings(**named)  # type: ignore[arg-type]  # checked by pydantic


@contextmanager
def opened(
    data: Path | None, keys: Path | None, *refusals: type[Exception], database: str | None = None
) -> Iterator[Platform]:
    """The platform, open for the block; what refuses (those of `refusals` too) is one line and exit status 1."""
    with one_line(*refusals):
        chosen = settings(data, keys, **({} if database is None else {"database": database}))
        if not chosen.keys_dir.is_dir() and not chosen.data_dir.is_dir():
            raise RingError("no_platform", f"there is none at {chosen.data_dir}: see `fieldgrant init` and `serve`")
        platform = Platform.open(chosen)
        try:
            yield platform
        finally:
            platform.close()


@contextmanager
def signed_in(platform: Platform, account: str) -> Iterator[Staff]:
    """Ask for the account's password, never shown and never in the arguments; signed out again after the block.

    Raises Problem `bad_sign_in`, `no_password`.
    """
    password = _secret(f"Password of {account}")
    token = staff.sign_in(platform, account, password, platform.clock.now()).token
    try:
        with platform.database.read() as session:
            caller = staff.staff_of(session, platform, token, platform.clock.now())
        yield caller
    finally:
        with platform.database.write() as session:
            staff.sign_out(session, platform.keyring, token)


def _secret(question: str) -> str:
    """Asked for without an echo; Problem `no_password` where there is nobody to ask and nothing in the pipe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", GetPassWarning)  # a pipe echoes nothing
        try:
            return str(typer.prompt(question, hide_input=True, err=True))
        except typer.Abort:
            if sys.stdin.isatty():
                raise
            raise Problem(401, "no_password", "run this in a terminal, where the password is asked for") from None


@contextmanager
def one_line(*refusals: type[Exception]) -> Iterator[None]:
    """Tell what refuses in one line, and exit with status 1."""
    told: tuple[type[Exception], ...] = (*REFUSALS, *refusals)
    try:
        yield
    except told as error:
        raise fail(error) from None


def fail(error: Exception | str) -> typer.Exit:
    """Print `fieldgrant: code: what to do` to standard error; raise what this returns."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        error = f"bad_setting: {'.'.join(map(str, first['loc']))}: {first['msg']}"
    elif isinstance(error, SettingsError):
        error = f"bad_setting: {error}"
    elif isinstance(error, OperationalError):
        error = f"database_unavailable: {str(error.orig).strip().splitlines()[0]}"
    elif isinstance(error, OSError) and error.strerror:
        error = f"{error.filename or 'file'}: {error.strerror}"
    text, code = str(error), getattr(error, "code", None)
    typer.echo(f"fieldgrant: {text if code is None or text.startswith(code) else f'{code}: {text}'}", err=True)
    return typer.Exit(1)
