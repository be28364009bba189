"""Key lists as cars told them, approvals on their way, telemetry configurations."""

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of signed commands."""
    op.create_table(
        "signing_states",
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("signed_commands", sa.String, nullable=False),
        sa.Column("told_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "signing_keys",
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("form_factor", sa.Integer, nullable=False),
    )
    _make_requests()
    op.create_table(
        "telemetry_configs",
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("token", sa.String, nullable=False),
        sa.Column("config", sa.String, nullable=False),
        sa.Column("issuer", sa.String, nullable=False),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sa.Column("synced_time_us", sa.BigInteger),
        sa.Column("refusal", sa.String, nullable=False),
    )
    op.create_index(
        "telemetry_configs_unsynced",
        "telemetry_configs",
        ["vehicle_id"],
        sqlite_where=sa.text("synced_time_us IS NULL"),
    )


def _make_requests() -> None:
    op.create_table(
        "key_requests",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("public_key", sa.String, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("form_factor", sa.Integer, nullable=False),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sa.Column("result", sa.String, nullable=False),
        sa.Column("ended_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "key_requests_open",
        "key_requests",
        ["id"],
        sqlite_where=sa.text("ended_time_us IS NULL"),
    )
