"""Write an Alembic revision from the difference between the newest schema and the tables in the code.

    python tools/make_migration.py "what changed"     # the next revision
    python tools/make_migration.py --initial          # 0001 anew, before anything was released

Read what it writes: autogenerate sees tables, columns, indexes and unique keys, not renames and not data.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

HOME = Path(__file__).parent.parent
sys.path.insert(0, str(HOME))

from alembic.autogenerate import produce_migrations, render_python_code  # noqa: E402
from alembic.migration import MigrationContext  # noqa: E402
from sqlmodel import AutoString, SQLModel  # noqa: E402

from migrations.tables import import_tables  # noqa: E402
from runtime.session import Database  # noqa: E402

VERSIONS = HOME / "migrations" / "versions"
TEMPLATE = '''"""{message}."""

# ruff: noqa: PLR0915 - a list of statements, as long as there are tables

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {down}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forwards; there is no way back but a restore, which rolls forward."""
    {body}
'''


def _render(kind: str, item: Any, _context: Any) -> str | Literal[False]:
    # SQLModel's own string type is TEXT without a length: a migration must not need SQLModel.
    if kind == "type" and isinstance(item, AutoString):
        return f"sa.String(length={item.length})" if item.length else "sa.String()"
    return False


def changes(database: Database) -> str:
    """Python code that brings the database to the tables in the code; empty when it is there."""
    import_tables()
    with database.engine.connect() as connection:
        options = {"render_item": _render, "compare_type": True, "render_as_batch": True}
        context = MigrationContext.configure(connection, opts=options)
        operations = produce_migrations(context, SQLModel.metadata).upgrade_ops
        if operations is None or operations.is_empty():
            return ""
        code = render_python_code(operations, render_as_batch=True, render_item=_render)
    return re.sub(r"^ *# ###.*\n?", "", code, flags=re.MULTILINE).strip()


def main() -> int:
    """Write the revision; 1 when there is nothing to write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("message", nargs="?", default="The first schema")
    parser.add_argument("--initial", action="store_true")
    wanted = parser.parse_args()
    known = sorted(path.name[:4] for path in VERSIONS.glob("[0-9]*.py"))
    with tempfile.TemporaryDirectory() as directory:
        database = Database(f"sqlite:///{directory}/schema.db")
        if not wanted.initial:
            database.migrate()
        body = changes(database)
        database.dispose()
    if not body:
        print("The tables in the code are those of the newest revision.")
        return 1
    revision = "0001" if wanted.initial else f"{int(known[-1]) + 1:04d}"
    name = "initial" if wanted.initial else re.sub(r"[^a-z0-9]+", "_", wanted.message.lower()).strip("_")
    down = "None" if wanted.initial else f'"{known[-1]}"'
    path = VERSIONS / f"{revision}_{name}.py"
    path.write_text(TEMPLATE.format(message=wanted.message, revision=revision, down=down, body=body), encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(path)], check=True)  # noqa: S603
    print(path.relative_to(HOME))
    return 0


if __name__ == "__main__":
    sys.exit(main())
