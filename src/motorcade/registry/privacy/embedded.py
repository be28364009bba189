"""Zones and precision limits in the registry's file. `port.py` has the promises."""

import math
from typing import Final

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from motorcade.registry.errors import InvalidNameError, NotFoundError, TooManyError
from motorcade.registry.people.apps import find_app
from motorcade.registry.people.names import check_text
from motorcade.registry.people.store import Store
from motorcade.registry.privacy.port import EVERY_APP, Limits, Zone
from motorcade.registry.privacy.tables import PRECISION_LIMITS, PRIVACY_ZONES
from motorcade.registry.statements import PRESENT, text_of
from motorcade.registry.tables import VEHICLES

_ZONE: Final = (
    PRIVACY_ZONES.c.id,
    PRIVACY_ZONES.c.name,
    PRIVACY_ZONES.c.latitude_deg,
    PRIVACY_ZONES.c.longitude_deg,
    PRIVACY_ZONES.c.radius_m,
)
ZONES: Final = text_of(
    select(*_ZONE).where(PRIVACY_ZONES.c.vehicle_id == bindparam("id")).order_by(PRIVACY_ZONES.c.id)
)
GRIDS: Final = text_of(
    select(PRECISION_LIMITS.c.client_id, PRECISION_LIMITS.c.grid_m).where(
        PRECISION_LIMITS.c.vehicle_id == bindparam("id")
    )
)
ZONED: Final = text_of(select(PRIVACY_ZONES.c.vehicle_id).distinct())
GRIDDED: Final = text_of(select(PRECISION_LIMITS.c.vehicle_id).distinct())
# SQLite's own count of what other connections wrote; the one that reads here never writes.
CHANGES: Final = "PRAGMA data_version"


class EmbeddedPrivacy:
    """A `Privacy`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def limits(self, vehicle_id: int) -> Limits:
        zones = tuple(Zone(*row) for row in self._store.rows(ZONES, vehicle_id))
        return Limits(zones, dict(self._store.rows(GRIDS, vehicle_id)))

    def limited(self) -> dict[int, Limits]:
        found = {row[0] for sql in (ZONED, GRIDDED) for row in self._store.rows(sql)}
        return {vehicle_id: self.limits(vehicle_id) for vehicle_id in sorted(found)}

    def add_zone(
        self,
        vehicle_id: int,
        name: str,
        latitude_deg: float,
        longitude_deg: float,
        radius_m: float,
    ) -> Zone:
        name = check_text(name, "a zone's name")
        self._check_circle(latitude_deg, longitude_deg, radius_m)
        row = {
            "vehicle_id": vehicle_id,
            "name": name,
            "latitude_deg": latitude_deg,
            "longitude_deg": longitude_deg,
            "radius_m": radius_m,
            "made_time_us": self._store.clock.now_us(),
        }
        own = PRIVACY_ZONES.c.vehicle_id == vehicle_id
        zones_max = self._store.config.privacy_zones_max
        with self._store.changing() as connection:
            _require(connection, vehicle_id)
            count = connection.scalar(select(func.count()).where(own)) or 0
            if count >= zones_max:
                raise TooManyError(f"{count} zones, at most {zones_max}: remove one first")
            made = insert(PRIVACY_ZONES).values(**row).returning(*_ZONE)
            return Zone(*connection.execute(made).one())

    def _check_circle(self, latitude_deg: float, longitude_deg: float, radius_m: float) -> None:
        if not (abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180):  # NaN is neither
            raise InvalidNameError("a zone's centre: degrees, -90 to 90 north and -180 to 180 east")
        radius_max = self._store.config.privacy_radius_m_max
        if not (math.isfinite(radius_m) and 0 < radius_m <= radius_max):
            raise InvalidNameError(f"a zone's radius: above 0 and at most {radius_max} m")

    def remove_zone(self, vehicle_id: int, zone_id: int) -> Zone:
        mine = (PRIVACY_ZONES.c.id == zone_id, PRIVACY_ZONES.c.vehicle_id == vehicle_id)
        with self._store.changing() as connection:
            gone = delete(PRIVACY_ZONES).where(*mine).returning(*_ZONE)
            row = connection.execute(gone).one_or_none()
        if row is None:
            raise NotFoundError("no such zone of this vehicle")
        return Zone(*row)

    def set_grid(self, vehicle_id: int, client_id: str, grid_m: int) -> None:
        grid_max = self._store.config.privacy_grid_m_max
        if not 0 <= grid_m <= grid_max:
            raise InvalidNameError(f"a grid's width: 0 to {grid_max} m; 0 ends the limit")
        table = PRECISION_LIMITS
        mine = (table.c.vehicle_id == vehicle_id, table.c.client_id == client_id)
        with self._store.changing() as connection:
            _require(connection, vehicle_id)
            if client_id != EVERY_APP and grid_m:
                find_app(connection, client_id)
            connection.execute(delete(table).where(*mine))
            if grid_m:
                row = {"vehicle_id": vehicle_id, "client_id": client_id, "grid_m": grid_m}
                connection.execute(insert(table).values(**row))

    def changes(self) -> int:
        return int(self._store.rows(CHANGES)[0][0])


def _require(connection: Connection, vehicle_id: int) -> None:
    """Raises `NotFoundError`."""
    if connection.scalar(select(VEHICLES.c.id).where(VEHICLES.c.id == vehicle_id, PRESENT)) is None:
        raise NotFoundError(f"no vehicle has the id {vehicle_id}")
