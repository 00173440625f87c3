"""`fieldgrant staff`: accounts of the organisation's people. A password is made here and shown once."""

import json
import secrets
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlmodel import col, select

from fieldgrant.serve import add_account
from runtime import terminal
from runtime.staff import ROLES, StaffAccount, end_account
from runtime.terminal import Data, Keys
from verifier import turnstiles

app = typer.Typer(name="staff", help="Accounts of staff.", no_args_is_help=True)

_ADD = """
Examples:

  fieldgrant staff add mei --role marketing --name "Mei Zhou"

  fieldgrant staff add dan --role dpo --data /srv/fg/data --keys /etc/fg/keys
"""
_LIST = """
Example:

  fieldgrant staff list
"""
_END = """
Example:

  fieldgrant staff end mei
"""


@app.command("add", epilog=_ADD)
def add(
    account: Annotated[str, typer.Argument(help="What they sign in with: lower-case letters, digits, . _ @ -")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(sorted(ROLES))}.")],
    name: Annotated[str, typer.Option(help="Their name; the account's where it is left out.")] = "",
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Make an account; prints its password once, as JSON."""
    password = secrets.token_urlsafe(12)
    with terminal.opened(data, keys) as platform:
        add_account(platform, account, name or account, role, password)
    typer.echo(json.dumps({"account": account, "role": role, "password": password}))


@app.command("list", epilog=_LIST)
def list_(data: Data = None, keys: Keys = None) -> None:
    """Show every account, ended ones too."""
    table = Table("account", "name", "role", "since", "ended")
    with terminal.opened(data, keys) as platform, platform.database.read() as session:
        for one in session.exec(select(StaffAccount).order_by(col(StaffAccount.account))):
            table.add_row(one.account, one.name, one.role, _day(one.created_at), _day(one.ended_at))
    Console().print(table)


def _day(at: str | None) -> str:
    """A stored moment to the minute, UTC."""
    return "" if at is None else f"{at[:16].replace('T', ' ')}Z"


@app.command("end", epilog=_END)
def end(account: Annotated[str, typer.Argument(help="The account.")], data: Data = None, keys: Keys = None) -> None:
    """End an account and all its sign-ins, for good; returns when none of its reads is under way any more."""
    with terminal.opened(data, keys) as platform:
        with platform.database.write() as session:
            end_account(session, platform, account, platform.clock.now())
        turnstiles.of(platform).drain()
    typer.echo(f"{account}: ended")
