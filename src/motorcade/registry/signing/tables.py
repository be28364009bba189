"""The tables of key lists, approvals and telemetry configurations. Times are int64 µs UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, text

from motorcade.registry.tables import METADATA

SIGNING_STATES: Final = Table(
    "signing_states",
    METADATA,
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), primary_key=True),
    Column("signed_commands", String, nullable=False),
    Column("told_time_us", BigInteger, nullable=False),
)

SIGNING_KEYS: Final = Table(
    "signing_keys",
    METADATA,
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), primary_key=True),
    Column("slot", Integer, primary_key=True),
    Column("public_key", String, nullable=False),  # hex
    Column("role", String, nullable=False),
    Column("form_factor", Integer, nullable=False),
)

KEY_REQUESTS: Final = Table(
    "key_requests",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), nullable=False),
    Column("action", String, nullable=False),
    Column("public_key", String, nullable=False),  # hex
    Column("role", String, nullable=False),
    Column("form_factor", Integer, nullable=False),
    Column("made_time_us", BigInteger, nullable=False),
    Column("result", String, nullable=False),  # "" until the car answered
    Column("ended_time_us", BigInteger),
    sqlite_autoincrement=True,
)
Index("key_requests_open", KEY_REQUESTS.c.id, sqlite_where=text("ended_time_us IS NULL"))

TELEMETRY_CONFIGS: Final = Table(
    "telemetry_configs",
    METADATA,
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("token", String, nullable=False),  # "": withdrawn
    Column("config", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("client_id", String, nullable=False),  # "": from before it was kept, nobody's
    Column("made_time_us", BigInteger, nullable=False),
    Column("synced_time_us", BigInteger),  # when the car had it, or refused it
    Column("refusal", String, nullable=False),
)
Index(
    "telemetry_configs_unsynced",
    TELEMETRY_CONFIGS.c.vehicle_id,
    sqlite_where=text("synced_time_us IS NULL"),
)
