"""Energy sites, each with its account in its row."""

import sqlalchemy as sa
from alembic import op

revision = "r0003"
down_revision = "r0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of sites."""
    op.create_table(
        "sites",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("token", sa.String(17), nullable=False, unique=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("time_zone", sa.String, nullable=False),
        sa.Column("battery_count", sa.Integer, nullable=False),
        sa.Column("solar_w_peak", sa.Integer, nullable=False),
        sa.Column("wall_connector", sa.Boolean, nullable=False),
        sa.Column("key_id", sa.Integer, sa.ForeignKey("keys.key_id"), nullable=False),
        sa.Column("password_hash", sa.LargeBinary, nullable=False),
        sa.Column("added_time_us", sa.BigInteger, nullable=False),
        sa.Column("removed_time_us", sa.BigInteger),
    )
