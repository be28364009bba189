"""The registry's tables, as SQLAlchemy Core sees them. Times are int64 µs UTC.

`migrations/` makes them; a test compares both. Vehicles are never deleted, because stored records
name their keys: `removed_time_us` takes them out of every look-up.
"""

from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    text,
)

METADATA: Final = MetaData()

KEYS: Final = Table(
    "keys",
    METADATA,
    Column("key_id", Integer, primary_key=True),  # stored in records as u4
    Column("data_key", LargeBinary),  # 256 bits; NULL once destroyed: the person is erased (P8)
    Column("made_time_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

VEHICLES: Final = Table(
    "vehicles",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vin", String(17), nullable=False),
    Column("token", String(17), nullable=False, unique=True),
    Column("display_name", String, nullable=False),
    Column("key_id", Integer, ForeignKey("keys.key_id"), nullable=False),
    Column("added_time_us", BigInteger, nullable=False),
    Column("removed_time_us", BigInteger),
    Column("owner", String, nullable=False, server_default="owner"),  # a subject
    sqlite_autoincrement=True,
)
Index("vehicles_owner", VEHICLES.c.owner, VEHICLES.c.id)
Index(
    "vehicles_vin_present",
    VEHICLES.c.vin,
    unique=True,
    sqlite_where=text("removed_time_us IS NULL"),
)

ACCOUNTS: Final = Table(
    "accounts",
    METADATA,
    Column("username", String, primary_key=True),  # a vehicle's token, an operator's name
    Column("kind", String, nullable=False),
    Column("password_hash", LargeBinary, nullable=False),
    Column("vehicle_id", Integer, ForeignKey("vehicles.id")),
    Column("made_time_us", BigInteger, nullable=False),
    CheckConstraint("(kind = 'vehicle') = (vehicle_id IS NOT NULL)", name="accounts_kind"),
)
Index("accounts_vehicle", ACCOUNTS.c.vehicle_id)

DENY_FILTERS: Final = Table(
    "deny_filters",
    METADATA,
    Column("username", String, ForeignKey("accounts.username"), primary_key=True),
    Column("filter", String, primary_key=True),
)

CERTIFICATES: Final = Table(
    "certificates",
    METADATA,
    Column("serial", String, primary_key=True),  # upper-case hex, as `ssl` prints it
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), nullable=False),
    Column("expires_time_us", BigInteger, nullable=False),
    Column("refused_time_us", BigInteger),
)
Index("certificates_vehicle", CERTIFICATES.c.vehicle_id)

CHANGES: Final = Table(
    "changes",
    METADATA,
    Column("id", Integer, primary_key=True),  # one row, id 1
    Column("value", BigInteger, nullable=False),
)
