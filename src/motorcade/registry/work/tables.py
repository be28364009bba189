"""The tables of notes on the work queue. Times are int64 µs UTC."""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from motorcade.registry.tables import METADATA

WORK_ITEMS: Final = Table(
    "work_items",
    METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("topic", String, nullable=False),
    Column("title", String, nullable=False),
    Column("detail", String, nullable=False),
    Column("since_time_us", BigInteger, nullable=False),
    Column("vehicle_id", Integer),  # NULL: of several vehicles
    Column("closed_time_us", BigInteger),
    Column("closed_by", String, nullable=False),
)
Index("work_items_closed", WORK_ITEMS.c.closed_time_us)

WORK_NOTES: Final = Table(
    "work_notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("item", String, ForeignKey("work_items.id"), nullable=False),
    Column("time_us", BigInteger, nullable=False),
    Column("subject", String, nullable=False),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("text", String, nullable=False),
    Column("until_time_us", BigInteger),
    Column("undone_time_us", BigInteger),
    sqlite_autoincrement=True,
)
Index("work_notes_item", WORK_NOTES.c.item)
