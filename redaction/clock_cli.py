"""The terminal: `fieldgrant clock status | confirm`."""

import json
from typing import Annotated

import typer

from protocol import event, times
from runtime import outbox, terminal
from runtime.clock import Clock
from runtime.problem import Problem
from runtime.terminal import Data, Keys

app = typer.Typer(
    help="The clock: after a jump nothing is destroyed until a person says that it is right.", no_args_is_help=True
)
ROLES = frozenset({"dpo", "admin"})


@app.callback()
def clock() -> None:
    """The clock: after a jump nothing is destroyed until a person says that it is right."""


@app.command()
def status(data: Data = None, keys: Keys = None) -> None:
    """Whether a jump of the clock waits for a person's word. Exits 1 when one does.

    Example: fieldgrant clock status --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys) as platform:
        waits = platform.clock.pause() if isinstance(platform.clock, Clock) else None
    typer.echo(json.dumps({"paused": waits is not None, **(waits or {})}))
    if waits is not None:
        raise typer.Exit(1)


@app.command()
def confirm(
    account: Annotated[str, typer.Option("--account", help="Who you are (dpo or admin); the password is asked for.")],
    why: Annotated[str, typer.Option("--why", help="How you know that the clock is right; it goes on record.")],
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Say that the machine's clock is right now, after it jumped or the machine was off for long.

    Look at the time first: what is due by this clock is destroyed from then on, for good.

    Example: fieldgrant clock confirm --account dora --why 'machine was off over the holidays; checked against my watch'
    """
    with terminal.opened(data, keys) as platform:
        if not isinstance(platform.clock, Clock):
            raise Problem(409, "no_clock", "This platform has no clock of its own.")
        waits = platform.clock.pause()
        with terminal.signed_in(platform, account) as officer:
            if officer.role not in ROLES:
                raise Problem(403, "role", "The data protection officer or an administrator confirms the clock.")
            if waits is None:
                raise Problem(409, "not_paused", "Nothing waits: the clock did not jump.")
            at = platform.clock.confirm()
            with platform.database.write("keeper") as session:
                told = {"by": officer.account, "reason": why[:500], **waits, "confirmed": times.iso_ms(at)}
                header = {"reader": officer.did, "role": officer.role}
                outbox.emit(session, event.CLOCK_CONFIRMED, at=at, header=header, records=[(None, told)])
    typer.echo(f"Confirmed: {times.iso_ms(at)} (UTC). What is due is carried out again.")
