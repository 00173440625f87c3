"""The terminal: `fieldgrant redaction run-once | status` and `fieldgrant keys status`."""

import typer

app = typer.Typer(help="What becomes of fields that lost their last ground.", no_args_is_help=True)
keys_app = typer.Typer(help="Bucket keys: epochs and ages.", no_args_is_help=True)
