"""`fieldgrant demo`: set the stage, play the journey, write what came of it, and say where a failure lies."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fieldgrant.compose import PARTIES
from fieldgrant.demo import arrival, ending, journey, proof, reading
from fieldgrant.demo.journey import Act, Pace, Play, Step, StepFailed
from fieldgrant.demo.seed import SAMPLE
from fieldgrant.demo.stage import Stage, StageError, free_ports
from protocol.errors import EvidenceError

ACTS = [
    ("Contacts come in, and every value is sealed", arrival.import_contacts),
    ("Customers enrol with their wallets and answer what they are asked", arrival.enrol_and_answer),
    ("Marketing lists, filters and sorts what was granted, and nothing else", reading.list_for_marketing),
    ("Each role reads for its own purposes, and customers see it", reading.read_for_own_purpose),
    ("One customer narrows, another withdraws under fire", ending.narrow_and_withdraw),
    ("What became of the fields: sealed, shredded, gone from every file", ending.dispositions),
    ("She consents again: sealed fields come back, shredded ones never", ending.consent_again),
    ("The auditor takes the chain away and verifies it offline", proof.prove),
]
DEFAULT = Pace()
OUT = Path("out/demo")
CONTACTS = typer.Option(
    exists=True, dir_okay=False, readable=True, help="A CRM export (CSV).", show_default="the sample that comes along"
)

_EXAMPLES = """
Examples:

  fieldgrant demo

  fieldgrant demo --contacts my-export.csv --out out/mine
"""


def play_out(
    stage: Stage, contacts: Path, console: Console, *, pace: Pace = DEFAULT, acts: Sequence[tuple[str, Act]] = ACTS
) -> list[Step]:
    """Set the stage, play the acts, strike the stage, write journey.json; the steps as far as they went."""
    with console.status("setting the stage: keys, schema, accounts"):
        stage.clear()
        stage.build()
    play = Play(stage, contacts, console, pace)
    try:
        with console.status("starting the servers"):
            stage.start()
        steps = journey.run(play, acts)
    finally:
        play.close()
        stage.stop()
    journey.write(stage.home / "journey.json", steps, play.figures)
    return steps


def demo(
    contacts: Annotated[Path, CONTACTS] = SAMPLE,
    out: Annotated[Path, typer.Option(help="Where to write; what an earlier demo left there is replaced.")] = OUT,
) -> None:
    """Play the whole journey with real servers and wallets; exit 1, naming the step, when one fails."""
    console = Console()
    stage = Stage(out, Path("out/mail"), dict(zip(PARTIES, free_ports(len(PARTIES)), strict=True)))
    try:
        arrival.cast_of(contacts)  # a file that will not do ends it here, before an earlier demo is taken away
        out.mkdir(parents=True, exist_ok=True)
        steps = play_out(stage, contacts, console)
    except (StageError, StepFailed, EvidenceError, OSError) as error:
        typer.echo(f"fieldgrant: {error}", err=True)
        raise typer.Exit(1) from None
    console.print(_table(steps))
    failed = [step for step in steps if not step.ok]
    if failed:
        typer.echo(f"fieldgrant: step {failed[0].step} failed: {failed[0].title}: {failed[0].detail}", err=True)
        raise typer.Exit(1)
    console.print(f"All {len(steps)} steps hold. See {out}/journey.json, {out}/data, {out}/bundle.zip.")
    verify = f"audit verify {out / 'bundle.zip'} --log-key {out / 'log.vkey'}"
    console.print(f"Next: python3 dev.py serve, or python3 dev.py fieldgrant -- {verify}")


def _table(steps: Sequence[Step]) -> Table:
    table = Table("", "step", "seen", show_lines=True)
    for step in steps:
        table.add_row("[green]✓[/]" if step.ok else "[red]✗[/]", f"{step.step} {step.title}", step.detail)
    return table


demo.__doc__ = f"{demo.__doc__}\n{_EXAMPLES}"
