"""The options that the commands of the wallet share, and the open wallet of one command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from wallet import keystore
from wallet.desk import PASSPHRASE, Desk
from wallet.wallet import Wallet

PathOption = Annotated[
    Path,
    typer.Option(
        "--wallet", envvar="FIELDGRANT_WALLET", help="The wallet's file.", show_default="~/.fieldgrant/wallet"
    ),
]
LangOption = Annotated[str | None, typer.Option("--lang", help="en or zh-CN; else as your locale says.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
OrgOption = Annotated[str | None, typer.Option("--org", help="Organisation: its DID, a part of it, or its URL.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask again.")]
DEFAULT_PATH = Path("~/.fieldgrant/wallet")


@contextmanager
def opened(desk: Desk, path: Path, *, resume: bool = True) -> Iterator[Wallet]:
    """The open wallet; with ``resume``, answers that did not arrive last time are sent first."""
    path = path.expanduser()
    with Wallet.open(path, desk.secret(PASSPHRASE, "passphrase")) as wallet:
        if tried := keystore.attempts(path):
            typer.echo(desk.say("tried", count=len(tried), last=tried[-1]), err=True)
        for receipt in wallet.resume() if resume else ():
            typer.echo(desk.say("resumed", event=receipt.event), err=True)
        yield wallet
