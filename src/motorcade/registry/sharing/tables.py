"""The tables of drivers, invitations, homes, apps' registrations, named keys. Times: int64 µs UTC.

An invitation's code is kept as it is, because Tesla's list of invitations shows it: it works once,
for a day, and is forgotten when it was used or revoked.
"""

from typing import Final

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table

from motorcade.registry.tables import METADATA

INVITATIONS: Final = Table(
    "invitations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), nullable=False),
    Column("inviter", String, nullable=False),  # a subject
    Column("code", String, unique=True),  # NULL once it is good for nothing
    Column("made_time_us", BigInteger, nullable=False),
    Column("expires_time_us", BigInteger, nullable=False),
    Column("redeemed_time_us", BigInteger),
    Column("revoked_time_us", BigInteger),
    sqlite_autoincrement=True,
)
Index("invitations_vehicle", INVITATIONS.c.vehicle_id)

DRIVERS: Final = Table(
    "drivers",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vehicle_id", Integer, ForeignKey("vehicles.id"), nullable=False),
    Column("subject", String, nullable=False),
    Column("invitation_id", Integer, ForeignKey("invitations.id"), nullable=False),
    Column("added_time_us", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)
Index("drivers_subject", DRIVERS.c.subject, DRIVERS.c.vehicle_id, unique=True)
Index("drivers_vehicle", DRIVERS.c.vehicle_id)

HOMES: Final = Table(
    "homes",  # accounts that live in another region than this; all others live here
    METADATA,
    Column("subject", String, primary_key=True),
    Column("region", String, nullable=False),
    Column("base_url", String, nullable=False),
)

REGISTRATIONS: Final = Table(
    "registrations",  # apps that called `POST partner_accounts`, by domain
    METADATA,
    Column("client_id", String, primary_key=True),
    Column("domain", String, nullable=False, unique=True),
    Column("public_key", String, nullable=False),  # the uncompressed point, hex
    Column("registered_time_us", BigInteger, nullable=False),
)

NAMED_KEYS: Final = Table(
    "named_keys",  # what `POST users/keys` says of a person's public keys
    METADATA,
    Column("subject", String, primary_key=True),
    Column("public_key", String, primary_key=True),  # the uncompressed point, hex
    Column("kind", String, nullable=False),
    Column("model", String, nullable=False),
    Column("name", String, nullable=False),
    Column("tag", String, nullable=False),
    Column("named_time_us", BigInteger, nullable=False),
)
