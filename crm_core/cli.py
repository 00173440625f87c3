"""The terminal of the records: `fieldgrant crm import`."""

import typer

app = typer.Typer(name="crm", help="The customer records.", no_args_is_help=True)
