"""The command line. Each command brings in only the parties that it needs: `audit verify` no server package at all."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fieldgrant import cores

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from runtime.platform import Platform

_HELP = """A customer's own signature in front of every field that a CRM holds about them.

Start with `fieldgrant demo`, or see README.md.
"""


def _serve(root: typer.Typer) -> None:
    from fieldgrant.serve import serve

    root.command("serve")(serve)


def _init(root: typer.Typer) -> None:
    from fieldgrant.serve import init

    root.command("init")(init)


def _staff(root: typer.Typer) -> None:
    from fieldgrant.staff import app

    root.add_typer(app, name="staff")


def _demo(root: typer.Typer) -> None:
    from fieldgrant.demo.cli import demo

    root.command("demo")(demo)


def _catalogue(root: typer.Typer) -> None:
    from fieldgrant.catalogue_cli import app

    root.add_typer(app, name="catalogue")


def _wallet(root: typer.Typer) -> None:
    from wallet.cli import app

    root.add_typer(app, name="wallet")


def _crm(root: typer.Typer) -> None:
    from crm_core.cli import app

    root.add_typer(app, name="crm")


def _touchpoint(root: typer.Typer) -> None:
    from fieldgrant.touchpoint.cli import app

    root.add_typer(app, name="touchpoint")


def _redaction(root: typer.Typer) -> None:
    from redaction.cli import app

    root.add_typer(app, name="redaction")


def _clock(root: typer.Typer) -> None:
    from redaction.clock_cli import app

    root.add_typer(app, name="clock")


def _keys(root: typer.Typer) -> None:
    from redaction.cli import keys_app

    root.add_typer(keys_app, name="keys")


def _database(root: typer.Typer) -> None:
    from fieldgrant.database_cli import app

    root.add_typer(app, name="database")


def _reconcile(root: typer.Typer) -> None:
    from fieldgrant.reconcile import reconcile

    root.command("reconcile")(reconcile)


def _audit(root: typer.Typer) -> None:
    from audit.cli import build_app

    if sys.argv[2:3] == ["verify"]:
        root.add_typer(build_app(), name="audit")
        return
    from fieldgrant.compose import credentials

    root.add_typer(build_app(open_platform=_open, credentials=credentials), name="audit")


def _open(data: Path | None, keys: Path | None) -> "AbstractContextManager[Platform]":
    from runtime import terminal

    return terminal.opened(data, keys)


COMMANDS: dict[str, Callable[[typer.Typer], None]] = {
    "demo": _demo,
    "serve": _serve,
    "init": _init,
    "staff": _staff,
    "crm": _crm,
    "catalogue": _catalogue,
    "wallet": _wallet,
    "touchpoint": _touchpoint,
    "redaction": _redaction,
    "keys": _keys,
    "clock": _clock,
    "audit": _audit,
    "database": _database,
    "reconcile": _reconcile,
}


def build(command: str | None) -> typer.Typer:
    """The command line with one command, or with all where the word is not a command (`--help`, a slip)."""
    root = typer.Typer(
        name="fieldgrant",
        help=_HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_show_locals=False,  # a local may be a password
    )
    root.callback()(lambda: None)  # a single command stays a word to be typed
    for name, add in COMMANDS.items():
        if command not in COMMANDS or name == command:
            add(root)
    return root


def main() -> None:
    """Entry point of `fieldgrant`."""
    cores.forbid()  # staff's values, customers' keys: all that any command holds is in its memory
    build(sys.argv[1] if len(sys.argv) > 1 else None)(prog_name="fieldgrant")
