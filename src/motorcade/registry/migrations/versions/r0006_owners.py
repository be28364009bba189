"""Whose a vehicle is: the first owner's, as all were before, or another person's."""

import sqlalchemy as sa
from alembic import op

revision = "r0006"
down_revision = "r0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Write the owner into the vehicles' table."""
    owner = sa.Column("owner", sa.String, nullable=False, server_default="owner")
    op.add_column("vehicles", owner)
    op.create_index("vehicles_owner", "vehicles", ["owner", "id"])
