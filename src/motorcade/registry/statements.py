"""The look-ups of the connect paths: written in SQLAlchemy Core, compiled to text once at import.

Executing a Core statement on a pooled connection costs four times its text on a driver connection,
which keeps it prepared (`docs/decisions/0004-registry-with-a-rollback-journal.md`).
"""

from typing import Any, Final

from sqlalchemy import Select, bindparam, exists, func, select
from sqlalchemy.dialects import sqlite

from motorcade.registry.tables import (
    ACCOUNTS,
    CERTIFICATES,
    CHANGES,
    DENY_FILTERS,
    VEHICLES,
)

_DIALECT: Final = sqlite.dialect(paramstyle="qmark")


def text_of(statement: Select[Any]) -> str:
    """The SQL of a statement, its parameters as `?` in the order they stand there."""
    return str(statement.compile(dialect=_DIALECT))


PRESENT: Final = VEHICLES.c.removed_time_us.is_(None)
VEHICLE_COLUMNS: Final = (
    VEHICLES.c.id,
    VEHICLES.c.vin,
    VEHICLES.c.token,
    VEHICLES.c.display_name,
    VEHICLES.c.key_id,
    VEHICLES.c.added_time_us,
    VEHICLES.c.owner,
)
"""In the order of `port.Vehicle`'s fields."""

_vehicle: Final = select(*VEHICLE_COLUMNS).where(PRESENT)
BY_VIN: Final = text_of(_vehicle.where(VEHICLES.c.vin == bindparam("vin")))
BY_TOKEN: Final = text_of(_vehicle.where(VEHICLES.c.token == bindparam("token")))
BY_ID: Final = text_of(_vehicle.where(VEHICLES.c.id == bindparam("id")))
PAGE: Final = text_of(
    _vehicle.order_by(VEHICLES.c.id).limit(bindparam("limit")).offset(bindparam("offset"))
)
COUNT: Final = text_of(select(func.count()).select_from(VEHICLES).where(PRESENT))
_owned: Final = VEHICLES.c.owner == bindparam("owner")
PAGE_OWNED: Final = text_of(
    _vehicle.where(_owned)
    .order_by(VEHICLES.c.id)
    .limit(bindparam("limit"))
    .offset(bindparam("offset"))
)
COUNT_OWNED: Final = text_of(select(func.count()).select_from(VEHICLES).where(PRESENT, _owned))
CHANGE_COUNT: Final = text_of(select(CHANGES.c.value))

ACCOUNT: Final = text_of(
    select(ACCOUNTS.c.kind, ACCOUNTS.c.password_hash, VEHICLES.c.token, VEHICLES.c.key_id)
    .select_from(ACCOUNTS.outerjoin(VEHICLES, VEHICLES.c.id == ACCOUNTS.c.vehicle_id))
    .where(ACCOUNTS.c.username == bindparam("username"))
)
DENIED: Final = text_of(
    select(DENY_FILTERS.c.filter)
    .where(DENY_FILTERS.c.username == bindparam("username"))
    .order_by(DENY_FILTERS.c.filter)
)
OPERATORS: Final = text_of(
    select(ACCOUNTS.c.username, ACCOUNTS.c.made_time_us, DENY_FILTERS.c.filter)
    .select_from(ACCOUNTS.outerjoin(DENY_FILTERS))
    .where(ACCOUNTS.c.vehicle_id.is_(None))
    .order_by(ACCOUNTS.c.username, DENY_FILTERS.c.filter)
)
_named: Final = select(VEHICLES.c.token, VEHICLES.c.key_id).where(
    VEHICLES.c.vin == bindparam("vin"), PRESENT
)
BY_NAME: Final = text_of(_named)
BY_CERTIFICATE: Final = text_of(
    _named.where(
        exists().where(
            CERTIFICATES.c.serial == bindparam("serial"),
            CERTIFICATES.c.vehicle_id == VEHICLES.c.id,
            CERTIFICATES.c.refused_time_us.is_(None),
        )
    )
)
