"""Alembic's environment: runs on the connection that `Database.migrate` hands over, in its transaction."""

from alembic import context
from sqlmodel import SQLModel

connection = context.config.attributes["connection"]
if connection.dialect.name == "postgresql":  # a large table takes its time; to wait for a lock is another matter
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,  # SQLite can; Alembic's default for it is not to
)
with context.begin_transaction():
    context.run_migrations()
