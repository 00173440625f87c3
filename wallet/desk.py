"""Where one command talks: in the owner's language, to a person or a program, failures in one line."""

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from getpass import GetPassWarning
from typing import Any, NoReturn

import typer
from rich.console import RenderableType

from protocol.errors import EvidenceError
from wallet import render, words
from wallet.errors import WalletError

PASSPHRASE, BACKUP_PASSPHRASE = "FIELDGRANT_WALLET_PASSPHRASE", "FIELDGRANT_WALLET_BACKUP_PASSPHRASE"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one command talks: its language, and whether to a program."""

    language: str
    json: bool

    def say(self, key: str, **values: object) -> str:
        """A sentence in the owner's language."""
        return words.say(self.language, key, **values)

    def show(self, value: Any, shown: RenderableType) -> None:
        """Print ``value`` as JSON or ``shown`` for people."""
        if self.json:
            typer.echo(json.dumps(render.jsonable(value), ensure_ascii=False, indent=2))
        else:
            render.console().print(shown)

    def secret(self, name: str, key: str, *, confirm: bool = False) -> str:
        """A passphrase from the environment variable ``name``, or asked for without an echo.

        Raises WalletError ``no_terminal`` where there is nobody to ask.
        """
        if (given := os.environ.get(name)) is not None:
            return given
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GetPassWarning)  # a pipe echoes nothing
            try:
                return str(typer.prompt(self.say(key), hide_input=True, confirmation_prompt=confirm, err=True))
            except typer.Abort:
                if sys.stdin.isatty():
                    raise
                typer.echo(err=True)
                raise WalletError("no_terminal", self.say("no_terminal", name=name)) from None

    def tell(self, value: Any, key: str, **values: object) -> None:
        """Print ``value`` as JSON or one sentence for people."""
        self.show(value, render.plain(self.say(key, **values)))


@contextmanager
def at_desk(lang: str | None, as_json: bool) -> Iterator[Desk]:
    """Every failure becomes one line, code first, and exit code 1."""
    language = "en"
    try:
        language = words.language(lang)
        yield Desk(language, as_json)
    except (WalletError, EvidenceError) as error:
        detail = error.detail if error.field is None else f"{error.detail} ({error.field})"
        _fail(error.code, detail, language, as_json)
    except OSError as error:
        _fail("cannot_write", f"a file cannot be read or written ({error.strerror})", language, as_json)


def _fail(code: str, detail: str, language: str, as_json: bool) -> NoReturn:
    line = words.error(language, code, str(render.plain(detail)).replace("\n", " "))
    typer.echo(json.dumps({"code": code, "detail": detail}, ensure_ascii=False) if as_json else line, err=True)
    raise typer.Exit(1) from None
