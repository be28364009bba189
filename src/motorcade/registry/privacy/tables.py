"""The tables of privacy zones and precision limits. Times are int64 µs UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, Float, ForeignKey, Index, Integer, String, Table

from motorcade.registry.tables import METADATA

PRIVACY_ZONES: Final = Table(
    "privacy_zones",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), nullable=False),
    Column("name", String, nullable=False),
    Column("latitude_deg", Float, nullable=False),
    Column("longitude_deg", Float, nullable=False),
    Column("radius_m", Float, nullable=False),
    Column("made_time_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("privacy_zones_vehicle", PRIVACY_ZONES.c.vehicle_id)

PRECISION_LIMITS: Final = Table(
    "precision_limits",
    METADATA,
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), primary_key=True),
    Column("client_id", String, primary_key=True),  # "": every app
    Column("grid_m", Integer, nullable=False),
)
