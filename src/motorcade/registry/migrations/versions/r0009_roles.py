"""The role of a person on the platform's own page; "" for none: their own vehicles alone."""

import sqlalchemy as sa
from alembic import op

revision = "r0009"
down_revision = "r0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Write the role into the people's table."""
    op.add_column("people", sa.Column("role", sa.String, nullable=False, server_default=""))
