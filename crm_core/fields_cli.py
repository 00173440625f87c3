"""`fieldgrant crm fields`: the names that an import, a query or a touchpoint may use."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from issuer.catalogue import CatalogueError
from issuer.live import LiveCatalogue
from runtime import terminal
from runtime.terminal import Data, Keys

EXAMPLES = """
Examples:

  fieldgrant crm fields

  fieldgrant crm fields --purpose marketing --json
"""


def command(
    *,
    purpose: Annotated[str | None, typer.Option(help="Only the fields that this purpose may ask for.")] = None,
    data: Data = None,
    keys: Keys = None,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON.")] = False,
) -> None:
    """List the fields of the catalogue in effect: name, labels, type, and what becomes of them at the end.

    Fields of items (deals, tickets, interactions) belong to things of which a customer may have several; an import
    does not take them.
    """
    with terminal.opened(data, keys, CatalogueError) as platform:
        catalogue = LiveCatalogue(platform).current()
        asked = catalogue.fields if purpose is None else catalogue.purpose(purpose).necessity
    entries = [catalogue.fields[name] for name in asked]
    if as_json:
        listed = [
            {
                "id": one.id, "labels": dict(one.labels), "type": one.type, "many": one.many, "item": one.item,
                "sensitive": one.sensitive, "disposition": one.disposition,
            }
            for one in entries
        ]  # fmt: skip
        typer.echo(json.dumps(listed, ensure_ascii=False))
        return
    table = Table("field", "English", "中文", "type", "", "at the end")
    for one in entries:
        marks = {"several": one.many, f"of a {one.item}": one.item is not None, "sensitive": one.sensitive}
        said = ", ".join(mark for mark, so in marks.items() if so)
        table.add_row(one.id, one.labels.get("en"), one.labels.get("zh-CN"), one.type, said, one.disposition)
    Console().print(table)
