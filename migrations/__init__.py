"""One Alembic history for the tables of all packages. Run by `runtime.session.Database.migrate`.

After a change to a table: `python tools/make_migration.py "what changed"` (before the first release: `--initial`).
"""
