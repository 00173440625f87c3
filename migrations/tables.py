"""Which modules hold tables: so that the metadata is whole when a revision is made or checked."""

import importlib
from pathlib import Path

PACKAGES = ("runtime", "issuer", "verifier", "crm_core", "redaction", "audit")


def import_tables() -> None:
    """Import every module that declares a table."""
    home = Path(__file__).parent.parent
    for package in PACKAGES:
        for path in sorted((home / package).rglob("*.py")):
            if "table=True" in path.read_text(encoding="utf-8"):
                importlib.import_module(".".join(path.relative_to(home).with_suffix("").parts))
