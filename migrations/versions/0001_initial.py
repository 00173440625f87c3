"""The first schema."""

from alembic import op
from sqlmodel import SQLModel

from migrations.tables import import_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table."""
    import_tables()
    SQLModel.metadata.create_all(op.get_bind())
