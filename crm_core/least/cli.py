"""`fieldgrant crm minimise`: what the prediction of an outcome needs, and what nobody ever read."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from crm_core.least import unread
from crm_core.reading.planner import Planner
from crm_core.reading.query import MAX_LIMIT, Query
from crm_core.seal import Value
from issuer import catalogue as shelf
from issuer.catalogue import Catalogue
from issuer.catalogue.entries import PurposeEntry
from issuer.live import LiveCatalogue
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime import terminal
from runtime.platform import Platform
from runtime.staff import Staff
from runtime.terminal import Data, Keys
from verifier.gate import Gate, Reader

if TYPE_CHECKING:
    from crm_core.least.minimise import Measured

MOST = 20_000  # customers looked at
EXAMPLES = """
Examples:

  fieldgrant crm minimise --purpose marketing --outcome preference.newsletter --account mei

  fieldgrant crm minimise --purpose sales --outcome interaction.status --account leo --tolerance 0.02 --json

  fieldgrant crm minimise --purpose marketing --outcome preference.newsletter --account mei --draft less.json
"""
_MEASURES = {"roc_auc": "area under the ROC curve (0.5 is chance)", "r2": "R² (0 is chance)"}


def command(
    *,
    purpose: Annotated[str, typer.Option(help="A purpose of the catalogue that your role may act for.")],
    outcome: Annotated[str, typer.Option(help="The field that is to be predicted.", metavar="FIELD")],
    account: Annotated[str, typer.Option(help="Your staff account: you read, and the reads are on record.")],
    tolerance: Annotated[
        float, typer.Option(help="How much of the score may be lost for the sake of fewer fields.", min=0, max=0.5)
    ] = 0.01,
    draft: Annotated[
        Path | None, typer.Option(help="Write the changed purpose here, to be proposed as a change of the catalogue.")
    ] = None,
    data: Data = None,
    keys: Keys = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON instead of tables.")] = False,
) -> None:
    """Measure which fields lift the prediction of an outcome, and propose to ask for no more than these.

    Only values that customers granted for this purpose are read, through the gate and on record. The score is
    cross-validated, and the proposal is tried once more on customers that took no part in choosing it. Fields that were
    collected of several customers and never read are listed too. Nothing is changed: the proposal is a draft for the
    privacy officer.
    """
    from crm_core.least import minimise  # noqa: PLC0415 - only those who measure wait for scikit-learn

    quiet = Console(stderr=True)
    with terminal.opened(data, keys, shelf.CatalogueError) as platform, quiet.status("Signing in") as status:
        chosen = _catalogue(platform)
        entry = chosen.purpose(purpose)
        types = _types(chosen, entry, outcome)
        status.stop()
        with terminal.signed_in(platform, account) as caller:
            status.start()
            status.update("Reading what was granted")
            rows = _rows(platform, chosen, caller, entry, types)
        needed = frozenset(Field(field) for field, need in entry.necessity.items() if need == "required")
        found = minimise.measure(
            rows, types, Field(outcome), required=needed, tolerance=tolerance, progress=status.update
        )
        status.update("Looking for fields that nobody read")
        with platform.database.read() as session:
            unused = unread.unread(session, chosen, least=platform.settings.small_group)
        if draft is not None:
            _write(draft, entry, found)
    if as_json:
        told = asdict(found) | {"dispensable": found.dispensable, "unread": [asdict(each) for each in unused]}
        typer.echo(json.dumps(told, ensure_ascii=False))
    else:
        _tell(found, entry, outcome, unused, draft)


def _catalogue(platform: Platform) -> Catalogue:
    return LiveCatalogue(platform)


def _types(catalogue: Catalogue, entry: PurposeEntry, outcome: str) -> dict[Field, str]:
    """The candidates and the outcome with their types. EvidenceError `unknown_field`, `outcome_not_of_purpose`."""
    catalogue.field(outcome)
    if outcome not in entry.necessity:
        raise EvidenceError("outcome_not_of_purpose", f"{entry.key} does not ask for the outcome", field=outcome)
    fields = [catalogue.field(field) for field in entry.necessity]
    return {Field(each.id): each.type for each in fields if each.item is None or each.id == outcome}


def _rows(
    platform: Platform, catalogue: Catalogue, caller: Staff, entry: PurposeEntry, types: Mapping[Field, str]
) -> list[Mapping[Field, Value | None]]:
    """What was granted for the purpose, page by page, at most `MOST` customers with a value."""
    gate = Gate.open(platform, catalogue)
    planner = Planner(platform, gate)
    visit = gate.visit(Reader(did=caller.did, role=caller.role, account=caller.account, since=caller.since), entry.key)
    rows: list[Mapping[Field, Value | None]] = []
    cursor: str | None = None
    while len(rows) < MOST:
        query = Query(select=tuple(types), limit=MAX_LIMIT, cursor=cursor)
        with planner.page(visit, query) as (_, page):
            rows += [item.fields for item in page.items if item.fields]
        cursor = page.next
        if cursor is None:
            break
    return rows


def _write(path: Path, entry: PurposeEntry, found: "Measured") -> None:
    """The purpose's fields without the dispensable ones, as a change of the catalogue."""
    left = {field: need for field, need in entry.necessity.items() if field not in found.dispensable}
    change = {"purposes": {entry.key: {"necessity": left}}}
    with path.open("x", encoding="utf-8") as file:
        file.write(json.dumps(change, ensure_ascii=False, indent=2) + "\n")


def _tell(found: "Measured", entry: PurposeEntry, outcome: str, unused: list[unread.Use], draft: Path | None) -> None:
    console = Console()
    table = Table("field", "known for", "alone", "lost without it", "proposal", title=f"{outcome} for {entry.key}")
    for each in found.worth:
        word = "keep asking" if each.chosen else "required by the purpose" if each.required else "stop asking"
        table.add_row(each.field, str(each.known), f"{each.alone:.3f}", f"{each.loss:+.3f}", word)
    console.print(table)
    for line in _lines(found):
        console.print(line, markup=False, highlight=False)
    if unused:
        names = ", ".join(f"{each.field} ({each.collected})" for each in unused)
        console.print(f"Collected and never read by anybody (customers): {names}", markup=False, highlight=False)
    if draft is not None:
        told = f"Draft written to {draft}. What it would do: fieldgrant catalogue preview {draft}"
        console.print(told, markup=False, highlight=False)


def _lines(found: "Measured") -> list[str]:
    kept = sum(each.chosen for each in found.worth)
    return [
        f"{found.customers} customers; {_MEASURES[found.measure]}.",
        f"With no field {found.none:.3f}, with all {len(found.worth)} {found.every:.3f} (± {found.spread:.3f}), "
        f"with the {kept} kept {found.chosen:.3f}; tolerance {found.tolerance:g}.",
        f"On customers that took no part: all {found.fresh_all:.3f}, kept {found.fresh_chosen:.3f}.",
        *(["Nothing predicts it beyond chance within this tolerance."] if not kept else []),
    ]
