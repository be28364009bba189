"""Privacy zones and precision limits."""

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of what owners keep from apps."""
    op.create_table(
        "privacy_zones",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("latitude_deg", sa.Float, nullable=False),
        sa.Column("longitude_deg", sa.Float, nullable=False),
        sa.Column("radius_m", sa.Float, nullable=False),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("privacy_zones_vehicle", "privacy_zones", ["vehicle_id"])
    op.create_table(
        "precision_limits",
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("client_id", sa.String, primary_key=True),
        sa.Column("grid_m", sa.Integer, nullable=False),
    )
