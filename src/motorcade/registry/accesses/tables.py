"""The table of the access log. Times are int64 µs UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from motorcade.registry.tables import METADATA

ACCESSES: Final = Table(
    "accesses",
    METADATA,
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), primary_key=True),
    Column("client_id", String, primary_key=True),
    Column("subject", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("hour", Integer, primary_key=True),  # since 1970
    Column("purpose", String, nullable=False),
    Column("count", Integer, nullable=False),
    Column("last_time_us", BigInteger, nullable=False),
)
Index("accesses_hour", ACCESSES.c.hour)
