"""The first tables: vehicles, keys, certificates, accounts."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table of the first version."""
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Integer, primary_key=True),
        sa.Column("data_key", sa.LargeBinary),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    _make_vehicles()
    _make_accounts()
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String, primary_key=True),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id"), nullable=False),
        sa.Column("expires_time_us", sa.BigInteger, nullable=False),
        sa.Column("refused_time_us", sa.BigInteger),
    )
    op.create_index("certificates_vehicle", "certificates", ["vehicle_id"])
    changes = op.create_table(
        "changes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(changes, [{"id": 1, "value": 0}])


def _make_vehicles() -> None:
    op.create_table(
        "vehicles",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vin", sa.String(17), nullable=False),
        sa.Column("token", sa.String(17), nullable=False, unique=True),
        sa.Column("display_name", sa.String, nullable=False),
        sa.Column("key_id", sa.Integer, sa.ForeignKey("keys.key_id"), nullable=False),
        sa.Column("added_time_us", sa.BigInteger, nullable=False),
        sa.Column("removed_time_us", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "vehicles_vin_present",
        "vehicles",
        ["vin"],
        unique=True,
        sqlite_where=sa.text("removed_time_us IS NULL"),
    )


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("username", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("password_hash", sa.LargeBinary, nullable=False),
        sa.Column("vehicle_id", sa.Integer, sa.ForeignKey("vehicles.id")),
        sa.Column("made_time_us", sa.BigInteger, nullable=False),
        sa.CheckConstraint("(kind = 'vehicle') = (vehicle_id IS NOT NULL)", name="accounts_kind"),
    )
    op.create_index("accounts_vehicle", "accounts", ["vehicle_id"])
    op.create_table(
        "deny_filters",
        sa.Column("username", sa.String, sa.ForeignKey("accounts.username"), primary_key=True),
        sa.Column("filter", sa.String, primary_key=True),
    )
