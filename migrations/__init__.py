"""One Alembic history for the tables of all packages. Run by `runtime.session.Database.migrate`."""
