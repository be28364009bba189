"""The access log in the registry's file. `port.py` has the promises."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import bindparam, delete, func, literal_column, select
from sqlalchemy.dialects.sqlite import insert

from motorcade.registry.accesses.port import HOUR_US, Accesses, AccessShown
from motorcade.registry.accesses.tables import ACCESSES
from motorcade.registry.people.store import Store
from motorcade.registry.people.tables import APPS
from motorcade.registry.statements import PRESENT, text_of
from motorcade.registry.tables import VEHICLES

_SECOND_US: Final = 1_000_000
PAGE: Final = text_of(
    select(
        ACCESSES.c.client_id,
        func.coalesce(APPS.c.name, ACCESSES.c.client_id),
        ACCESSES.c.purpose,
        ACCESSES.c.subject,
        ACCESSES.c.kind,
        ACCESSES.c.count,
        ACCESSES.c.last_time_us,
    )
    .join_from(ACCESSES, APPS, APPS.c.client_id == ACCESSES.c.client_id, isouter=True)
    .where(ACCESSES.c.vehicle_id == bindparam("id"))
    .order_by(ACCESSES.c.last_time_us.desc())
    .limit(bindparam("limit"))
    .offset(literal_column("0"))
)


class EmbeddedAccessLog:
    """An `AccessLog`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, rows: Sequence[Accesses]) -> None:
        oldest_us = self._store.clock.now_us() - self._store.config.access_log_s * _SECOND_US
        with self._store.changing() as connection:
            for row in rows:
                by_token = select(VEHICLES.c.id).where(VEHICLES.c.token == row.vehicle, PRESENT)
                vehicle_id = connection.scalar(by_token)
                if vehicle_id is None:
                    continue
                by_id = select(APPS.c.purpose).where(APPS.c.client_id == row.client_id)
                purpose = connection.scalar(by_id) or ""
                added = insert(ACCESSES).values(
                    vehicle_id=vehicle_id,
                    client_id=row.client_id,
                    subject=row.subject,
                    kind=row.kind,
                    hour=row.last_time_us // HOUR_US,
                    purpose=purpose,
                    count=row.times,
                    last_time_us=row.last_time_us,
                )
                connection.execute(
                    added.on_conflict_do_update(
                        index_elements=list(ACCESSES.primary_key.columns),
                        set_={
                            "count": ACCESSES.c.count + row.times,
                            "purpose": purpose,
                            "last_time_us": func.max(ACCESSES.c.last_time_us, row.last_time_us),
                        },
                    )
                )
            connection.execute(delete(ACCESSES).where(ACCESSES.c.hour < oldest_us // HOUR_US))

    def accesses(self, vehicle_id: int, limit: int) -> list[AccessShown]:
        return [AccessShown(*row) for row in self._store.rows(PAGE, vehicle_id, limit)]
