"""Drivers, invitations, homes, registrations of apps, named keys."""

import sqlalchemy as sa
from alembic import op

revision = "r0004"
down_revision = "r0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of sharing."""
    _make_invitations()
    op.create_table(
        "homes",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("base_url", sa.String, nullable=False),
    )
    op.create_table(
        "registrations",
        sa.Column("client_id", sa.String, primary_key=True),
        sa.Column("domain", sa.String, nullable=False, unique=True),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("registered_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "named_keys",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("public_key", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("tag", sa.String, nullable=False),
        sa.Column("named_time_us", sa.BigInteger, nullable=False),
    )


def _make_invitations() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=False),
        sa.Column("inviter", sa.String, nullable=False),
        sa.Column("code", sa.String, unique=True),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
        sa.Column("redeemed_time_us", sa.BigInteger),
        sa.Column("revoked_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("invitations_vehicle", "invitations", ["vehicle_id"])
    op.create_table(
        "drivers",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("invitation_id", sa.Integer, sa.ForeignKey("invitations.id"), nullable=False),
        sa.Column("added_time_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("drivers_subject", "drivers", ["subject", "vehicle_id"], unique=True)
    op.create_index("drivers_vehicle", "drivers", ["vehicle_id"])
