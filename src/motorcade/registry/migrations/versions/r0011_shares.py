"""Links by which somebody without an account reads a view until a date."""

import sqlalchemy as sa
from alembic import op

revision = "r0011"
down_revision = "r0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of shared links."""
    op.create_table(
        "shares",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("hash", sa.String, nullable=False, unique=True),
        sa.Column("person_id", sa.Integer, sa.ForeignKey("people.id"), nullable=False),
        sa.Column("view", sa.String, nullable=False),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=True),
        sa.Column("located", sa.Boolean, nullable=False),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sa.Column("ends_time_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("shares_person", "shares", ["person_id"])
