"""The access log that owners read."""

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of the access log."""
    op.create_table(
        "accesses",
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("client_id", sa.String, primary_key=True),
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_time_us", sa.BigInteger, nullable=False),
    )
    op.create_index("accesses_hour", "accesses", ["hour"])
