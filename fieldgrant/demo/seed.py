"""The demo's data for a first look: an organisation of its own for each port, filled once by playing steps 1 to 4."""

import fcntl
import shutil
from pathlib import Path

from rich.console import Console

from fieldgrant.compose import PARTIES
from fieldgrant.demo import arrival, journey, reading
from fieldgrant.demo.journey import Play
from fieldgrant.demo.stage import Stage, StageError
from runtime.settings import Settings

SAMPLE = Path(__file__).parents[2] / "crm_core" / "sample" / "contacts.csv"
ACTS = [
    ("Contacts come in, and every value is sealed", arrival.import_contacts),
    ("Three customers enrol and answer what marketing asks", arrival.enrol_and_answer),
    ("Marketing reads what was granted", reading.list_for_marketing),
    ("Service and sales read for their own purposes", reading.read_for_own_purpose),
]


def settings(port: int) -> Settings:
    """Settings of the organisation that lives on this port (the DID names it); made and filled at the first call.

    Raises StageError when the port is taken, somebody else is filling it, or a step fails; nothing half-made stays
    behind.
    """
    home = Path("out/serve") / str(port)
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f"{port}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StageError(f"{home} is being filled by another start: wait for it, or choose another port") from None
        return _made(home, port)


def _made(home: Path, port: int) -> Settings:
    stage = Stage(home, Path("out/mail"), dict.fromkeys(PARTIES, port))
    if (home / "ready").exists():
        return stage.settings
    console = Console()
    console.print(f"First time on port {port}: filling {home} with the demo's data.")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    try:
        stage.build()
        _fill(stage, console)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    (home / "ready").touch()
    return stage.settings


def _fill(stage: Stage, console: Console) -> None:
    play = Play(stage, SAMPLE, console)
    try:
        stage.start()
        steps = journey.run(play, ACTS)
    finally:
        play.close()
        stage.stop()
    if not steps[-1].ok:
        raise StageError(f"step {steps[-1].step} failed: {steps[-1].detail}")
