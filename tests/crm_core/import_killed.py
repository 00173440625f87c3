"""An import in a process of its own, which stands still in the middle of its second half, to be killed there."""

import sys
import time
from pathlib import Path

from crm_core.imports import importer, source
from crm_core.imports.importer import Plan
from issuer import catalogue
from runtime.platform import Platform
from runtime.settings import Settings


def main(home: str, file: str, after: str) -> None:
    """Import `file` into the platform at `home`; say `half` once `after` customers are written, and wait."""
    platform = Platform.open(Settings(home=Path(home), mail_dir=Path(home) / "mail"))

    def progress(what: str, done: int, _total: int | None) -> None:
        if what == "Sealing customers" and done >= int(after):
            sys.stdout.write("half\n")
            sys.stdout.flush()
            time.sleep(60)

    importer.run(
        platform,
        catalogue.load(),
        source.of_path(Path(file)),
        source="file",
        importer=platform.controller,
        plan=Plan(progress=progress),
    )


main(*sys.argv[1:])
