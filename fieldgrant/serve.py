"""`fieldgrant serve` and `fieldgrant init`: a party, some, or all of them on one port of this machine."""

import dataclasses
import json
import logging
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fieldgrant import compose, pages
from fieldgrant.compose import PARTIES
from protocol import did
from protocol.errors import EvidenceError
from runtime import serve as http
from runtime import staff, terminal
from runtime.platform import Platform
from runtime.terminal import Data, Database, Keys
from verifier.reconcile import Disagreement

_LAST_PORT = 65535
# whole lines, so that they can be copied
_FIRST_LOOK = """
To see what marketing sees (the password is in the accounts file, the token is in the first answer):
  curl -s localhost:{port}/staff/sessions -H 'Content-Type: application/json' -d '{{"account": "mei", "password": "…"}}'
  curl -s 'localhost:{port}/crm/customers?purpose=marketing&limit=3' -H 'Authorization: Bearer …'
"""
_SERVE_EXAMPLES = """
Examples:

  fieldgrant serve                                       all parties, with the demo's data, on port 8700

  fieldgrant serve --data /srv/fg/data --keys /etc/fg/keys --port 8700 --wallet-port 8701

  fieldgrant serve --only issuer --port 8701 --data /srv/fg/data --keys /etc/fg/keys
"""
_INIT_EXAMPLES = """
Examples:

  fieldgrant init --data /srv/fg/data --keys /etc/fg/keys --base-url https://crm.example.com --admin ada

  fieldgrant init --data /srv/fg/data --keys /etc/fg/keys --base-url https://crm.example.com --admin ada \
      --database postgresql+psycopg://fieldgrant@db1,db2/fieldgrant
"""


def serve(  # noqa: PLR0917 - each is an option
    only: Annotated[
        list[str] | None, typer.Option("--only", help=f"One of {', '.join(PARTIES)}; repeat for more.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on localhost.")] = 8700,
    data: Data = None,
    keys: Keys = None,
    database: Database = None,
    wallet_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Port of the wallet's page: an origin of its own. 0: none. Default: with the demo's data the port "
            "after --port (8701), else none.",
        ),
    ] = None,
    seed: Annotated[
        bool, typer.Option(help="Without --data and --database: start from the demo's data, made at first.")
    ] = True,
) -> None:
    """Run the platform, or some of its parties, on localhost."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    parties = tuple(only or PARTIES)
    if strangers := sorted(set(parties) - set(PARTIES)):
        raise typer.BadParameter(f"{strangers[0]} is not a party: {', '.join(PARTIES)}", param_hint="--only")
    named = database is not None or "database" in terminal.settings(data, keys).model_fields_set
    demo = seed and data is None and not named  # the demo's keys and journal are of its own database
    _free(port, "--port")
    at = _wallet_port(wallet_port, port + 1 if demo else 0)
    if demo:
        data, keys = _seeded(port)
    with terminal.opened(data, keys, Disagreement, database=database) as platform, _wallet(at):
        home = compose.house(_with_wallet(platform, at))
        http.run(compose.app(home, parties), port, ready=lambda bound: _tell(platform, parties, bound, at, demo=demo))


def _wallet_port(asked: int | None, usual: int) -> int:
    """Where the wallet's page is served; 0: nowhere. A port that nobody asked for is done without when it is taken."""
    if asked is not None:
        if asked:
            _free(asked, "--wallet-port")
        return asked
    return usual if usual and usual <= _LAST_PORT and _error(usual) is None else 0


def _with_wallet(platform: Platform, port: int) -> Platform:
    """The links of asks lead to the wallet that is served here, unless the settings say where it is."""
    if not port or platform.settings.wallet_url is not None:
        return platform
    settings = platform.settings.model_copy(update={"wallet_url": f"http://localhost:{port}"})
    return dataclasses.replace(platform, settings=settings)


@contextmanager
def _wallet(port: int) -> Iterator[None]:
    """The wallet's page for the length of the block, on a port of its own: nothing else shares its origin."""
    if not port:
        yield
        return
    server = http.server(pages.wallet_app(), port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=http.GRACE + 5)


def _free(port: int, option: str) -> None:
    """Refuse a port that somebody listens on, before anything is made for it."""
    if error := _error(port):
        raise terminal.fail(f"port {port}: {error}; choose another with {option}") from None


def _error(port: int) -> str | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: old connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.strerror or "taken"
    return None


def _seeded(port: int) -> tuple[Path, Path]:
    from fieldgrant.demo import seed  # noqa: PLC0415 - only a first look needs the demo
    from fieldgrant.demo.stage import StageError  # noqa: PLC0415

    with terminal.one_line(StageError):
        settings = seed.settings(port)
    return settings.data_dir, settings.keys_dir


def _tell(platform: Platform, parties: tuple[str, ...], port: int, wallet: int, *, demo: bool) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("here", f"http://localhost:{port}/")
    for party, who in (("crm", "staff"), ("audit", "auditors")):
        if party in parties and (place := pages.place(party)) != "/":
            table.add_row(who, f"http://localhost:{port}{place}")
    if wallet:
        table.add_row("wallet", f"http://localhost:{wallet}/")
    table.add_row("parties", ", ".join(parties))
    table.add_row("organisation", platform.controller)
    table.add_row("data", str(platform.settings.data_dir))
    if platform.settings.smtp_url is None:
        table.add_row("letters", f"{platform.settings.mail_dir} (instead of a mail server)")
    accounts = platform.settings.data_dir.parent / "accounts.json"
    if accounts.exists():
        table.add_row("accounts", f"{accounts} (made for trying out)")
    table.add_row("stop", "Ctrl+C")
    Console().print(table, soft_wrap=True)
    if accounts.exists():
        typer.echo(_FIRST_LOOK.format(port=port))
    if demo and set(parties) >= set(PARTIES):
        _first_look(platform, wallet)


def _first_look(platform: Platform, wallet: int) -> None:
    from fieldgrant.demo import first_look  # noqa: PLC0415 - only a first look needs the demo

    typer.echo("To look around as staff (made for trying out):")
    for who, address, account, password in first_look.staff_links(platform.settings):
        typer.echo(f"  {who:8} {address}  account {account}  password {password}")

    def tell(link: str) -> None:
        way = f"http://localhost:{wallet}/#{link}" if wallet else f"fieldgrant wallet enrol '{link}'"
        typer.echo(f"\nTo be a customer (an invitation for a new wallet, good for a day):\n  {way}")
        typer.echo(f"  The code that it asks for comes by a second letter, into {platform.settings.mail_dir}.")

    # beside: the server answers only once this has returned
    threading.Thread(target=first_look.invite, args=(platform.settings, tell), daemon=True).start()


def init(  # noqa: PLR0917 - each is an option
    admin: Annotated[str, typer.Option(help="Account of the first administrator.")],
    base_url: Annotated[str, typer.Option(help="Public address of the issuer; it makes the organisation's DID.")],
    data: Data = None,
    keys: Keys = None,
    database: Database = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="PARTY=URL", help="A party that lies elsewhere.")
    ] = None,
) -> None:
    """Make an organisation: directories, keys, schema and a first account, whose password is printed once."""
    urls = dict(pair.partition("=")[::2] for pair in service or [])
    if not all(urls.values()):
        raise typer.BadParameter("write it as crm=https://crm.example.com", param_hint="--service")
    if strangers := sorted(set(urls) - set(PARTIES)):
        raise typer.BadParameter(f"{strangers[0]} is not a party: {', '.join(PARTIES)}", param_hint="--service")
    password = secrets.token_urlsafe(12)
    with terminal.one_line():
        staff.check_account(admin)  # before anything is made
        _public(base_url)
        named = {} if database is None else {"database": database}
        platform = Platform.create(terminal.settings(data, keys, base_url=base_url, service_urls=urls, **named))
        try:
            add_account(platform, admin, admin, "admin", password)
        finally:
            platform.close()
    typer.echo(json.dumps({"controller": platform.controller, "account": admin, "password": password}))
    where = f"--data {platform.settings.data_dir} --keys {platform.settings.keys_dir}"
    typer.echo(f"Next: fieldgrant staff add … {where}, then fieldgrant serve {where}", err=True)


def _public(base_url: str) -> None:
    """EvidenceError `bad_did`, `bad_base_url`: wallets look for the organisation's keys where its did:web points."""
    if did.web_document_url(did.web_did(base_url)).startswith("https:") and not base_url.startswith("https:"):
        raise EvidenceError("bad_base_url", "only localhost goes without https: a public address begins with https://")


def add_account(platform: Platform, account: str, name: str, role: str, password: str) -> None:
    """Make a staff account."""
    with platform.database.write() as session:
        staff.create_account(
            session,
            platform.keyring,
            account=account,
            name=name,
            role=role,
            password=password,
            at=platform.clock.now(),
        )


serve.__doc__ = f"{serve.__doc__}\n{_SERVE_EXAMPLES}"
init.__doc__ = f"{init.__doc__}\n{_INIT_EXAMPLES}"
