"""The terminal of the records: `fieldgrant crm`."""

import typer

from crm_core import fields_cli
from crm_core.gateway import cli as touchpoints_cli
from crm_core.imports import cli as import_cli
from crm_core.least import cli as minimise_cli

app = typer.Typer(name="crm", help="The customer records.", no_args_is_help=True)
app.command("import", epilog=import_cli.EXAMPLES)(import_cli.command)
app.command("fields", epilog=fields_cli.EXAMPLES)(fields_cli.command)
app.command("minimise", epilog=minimise_cli.EXAMPLES)(minimise_cli.command)
app.add_typer(touchpoints_cli.app)


@app.callback()
def crm() -> None:
    """The customer records."""
