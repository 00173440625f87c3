"""`fieldgrant crm touchpoint`: register, approve and end touchpoints at a terminal of the platform's own machine.

Each act asks for the password of the account that does it: an administrator registers, a data protection officer
approves, and nobody does both, here as over HTTP.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import typer

from crm_core.gateway import touchpoints
from crm_core.gateway.touchpoints import Application
from issuer.asks import Wish
from issuer.catalogue import Catalogue
from issuer.live import LiveCatalogue
from protocol.consent import COLLECT
from runtime import terminal
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.terminal import Data, Keys

app = typer.Typer(name="touchpoint", help="Touchpoints that may upload.", no_args_is_help=True)

Account = Annotated[str, typer.Option("--account", help="Who does it; the password is asked for.")]
Id = Annotated[str, typer.Argument(help="The registration's id.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]

_LIST = """
Example:

  fieldgrant crm touchpoint list
"""
_REGISTER = """
Example, with the DID that `fieldgrant touchpoint new-key form.key` printed:

  fieldgrant crm touchpoint register did:key:z6Mk… --name "Web form" --bring support:ticket.subject,ticket.body \\
      --origin https://shop.example.com --account ada
"""
_APPROVE = """
Example:

  fieldgrant crm touchpoint approve urn:uuid:… --account dan
"""
_END = """
Example:

  fieldgrant crm touchpoint end urn:uuid:… --account dan
"""


@app.callback()
def touchpoint() -> None:
    """Touchpoints that may upload."""


@app.command("list", epilog=_LIST)
def list_(data: Data = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Show every touchpoint with its standing."""
    with terminal.opened(data, keys) as platform, platform.database.read() as session:
        found = touchpoints.listed(session, platform, platform.clock.now())
        catalogue = LiveCatalogue(platform).current()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in found:
        until = str(one.get("valid_until", ""))[:10]
        typer.echo(
            f"{one.get('name', '')}: {one['standing']}, until {until}; without a ground: {one.get('ungrounded', '')}"
        )
        typer.echo(f"  {one['id']}")
        for each in one.get("processes", ()):
            typer.echo(f"  {_key(catalogue, each)}: {', '.join(each['fields'])}")


@app.command(epilog=_REGISTER)
def register(  # noqa: PLR0917 - typer's own way
    did: Annotated[str, typer.Argument(help="The did:key of the touchpoint's own key.")],
    name: Annotated[str, typer.Option(help="What people call it.")],
    bring: Annotated[list[str], typer.Option(metavar="PURPOSE:FIELD,FIELD", help="Repeat for each purpose.")],
    account: Account,
    ungrounded: Annotated[
        str, typer.Option(help="What becomes of fields without a ground: refuse or hold.")
    ] = "refuse",
    rate: Annotated[int, typer.Option(min=1, max=60_000, help="Uploads a minute.")] = 600,
    origin: Annotated[list[str] | None, typer.Option(help="Origin of pages that it may delegate to.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Where it collects; left out: home.")] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="How long it lasts.")] = 365,
    data: Data = None,
    keys: Keys = None,
) -> None:
    """Register a touchpoint as an administrator. It may upload once a data protection officer has approved it."""
    wanted = Application(
        did=did,
        name=name,
        wishes=tuple(_wish(one) for one in bring),
        jurisdiction=jurisdiction,
        ungrounded=_ungrounded(ungrounded),
        rate=rate,
        origins=frozenset(origin or ()),
        valid_until=datetime.now(UTC).replace(microsecond=0) + timedelta(days=days),
    )
    with terminal.opened(data, keys) as platform:
        catalogue = LiveCatalogue(platform)
        _check(catalogue.current(), wanted.wishes)
        with terminal.signed_in(platform, account) as staff:
            row = touchpoints.register(platform, catalogue, staff, wanted)
            _tell(platform, row.id)


@app.command(epilog=_APPROVE)
def approve(id_: Id, account: Account, data: Data = None, keys: Keys = None) -> None:
    """Approve a touchpoint as a data protection officer who did not register it."""
    with terminal.opened(data, keys) as platform, terminal.signed_in(platform, account) as staff:
        touchpoints.approve(platform, staff, id_)
        _tell(platform, id_)


@app.command(epilog=_END)
def end(id_: Id, account: Account, data: Data = None, keys: Keys = None) -> None:
    """End a touchpoint for good. Its key can never be registered again."""
    with terminal.opened(data, keys) as platform, terminal.signed_in(platform, account) as staff:
        touchpoints.end(platform, staff, id_)
        _tell(platform, id_)


def _wish(text: str) -> Wish:
    purpose, colon, fields = text.partition(":")
    named = frozenset(field.strip() for field in fields.split(",") if field.strip())
    if not colon or not named:
        raise terminal.fail("--bring wants PURPOSE:FIELD,FIELD, the purpose by its key")
    return Wish(purpose=purpose, fields=named)


def _check(catalogue: Catalogue, wishes: Iterable[Wish]) -> None:
    """Before a password is asked for, what is wrong is said by name."""
    for wish in wishes:
        if wish.purpose not in catalogue.purposes:
            collecting = ", ".join(key for key, one in catalogue.purposes.items() if COLLECT in one.processing)
            raise terminal.fail(f"unknown_purpose: {wish.purpose}; values are collected for {collecting}")
        if strange := sorted(wish.fields - catalogue.fields.keys()):
            raise terminal.fail(f"unknown_field: {strange[0]}; `fieldgrant crm fields` lists them")


def _key(catalogue: Catalogue, process: dict[str, Any]) -> str:
    iri = str(process["purpose"])
    return next((key for key, one in catalogue.purposes.items() if one.iri == iri), iri)


def _ungrounded(text: str) -> Literal["refuse", "hold"]:
    if text not in ("refuse", "hold"):
        raise terminal.fail(Problem(422, "bad_ungrounded", "--ungrounded is refuse or hold"))
    return "hold" if text == "hold" else "refuse"


def _tell(platform: Platform, id_: str) -> None:
    with platform.database.read() as session:
        found: list[dict[str, Any]] = touchpoints.listed(session, platform, platform.clock.now(), id_)
    typer.echo(json.dumps(found[0]))
