"""The access log in a SQLite file beside the registry's. `port.py` has the promises.

Who removes a vehicle may be another process. Nobody reads the vehicle's rows from then on; the
writer's next purge forgets them.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from motorcade.registry.accesses.port import HOUR_US, Accesses, AccessShown
from motorcade.registry.beside import AMONG, CHUNK, IDS, Beside, transaction

SCHEMA_VERSION: Final = 1
_SECOND_US: Final = 1_000_000

_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE accesses (
    vehicle_id INTEGER NOT NULL, hour INTEGER NOT NULL, client_id TEXT NOT NULL,
    subject TEXT NOT NULL, kind TEXT NOT NULL, purpose TEXT NOT NULL, count INTEGER NOT NULL,
    last_time_us INTEGER NOT NULL, PRIMARY KEY (vehicle_id, hour, client_id, subject, kind)
) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_PUT: Final = """
INSERT INTO accesses VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (vehicle_id, hour, client_id, subject, kind) DO UPDATE
SET count = count + excluded.count, purpose = excluded.purpose,
last_time_us = max(last_time_us, excluded.last_time_us)
"""
_PAGE: Final = """
SELECT client_id, purpose, subject, kind, count, last_time_us FROM accesses
WHERE vehicle_id = ? AND hour >= ? ORDER BY hour DESC, last_time_us DESC LIMIT ?
"""
_VEHICLES: Final = """
WITH RECURSIVE known (id) AS (
    SELECT min(vehicle_id) FROM accesses UNION ALL
    SELECT (SELECT min(vehicle_id) FROM accesses WHERE vehicle_id > id) FROM known
    WHERE id IS NOT NULL
) SELECT id FROM known WHERE id IS NOT NULL
"""
"""A step in the primary key for each vehicle, whatever rows it has."""

_FORGET: Final = "DELETE FROM accesses WHERE vehicle_id = ?"
_FORGET_OLD: Final = "DELETE FROM accesses WHERE vehicle_id = ? AND hour < ?"
_NEWEST_ONLY: Final = """
DELETE FROM accesses WHERE vehicle_id = ?1 AND hour < (
    SELECT hour FROM accesses WHERE vehicle_id = ?1 ORDER BY hour DESC LIMIT 1 OFFSET ?2
)
"""
# Of the registry's file.
_PRESENT: Final = f"SELECT id, 1 FROM vehicles WHERE removed_time_us IS NULL AND id {AMONG}"
_PURPOSES: Final = f"SELECT client_id, purpose FROM apps WHERE client_id {AMONG}"
_NAMES: Final = f"SELECT client_id, name FROM apps WHERE client_id {AMONG}"


class EmbeddedAccessLog(Beside):
    """An `AccessLog`. The file is made by the first `write`."""

    name = "accesses"
    schema = _SCHEMA
    version = SCHEMA_VERSION
    probe = "SELECT count FROM accesses LIMIT 1"
    synchronous = "NORMAL"

    def write(self, rows: Sequence[Accesses]) -> None:
        with self._to_write(make=bool(rows)) as writing:
            if writing is not None:
                writing.executemany(_PUT, self._told(rows))

    def accesses(self, vehicle_id: int, limit: int) -> list[AccessShown]:
        with self._to_read() as reading:
            if reading is None:
                return []
            rows = reading.execute(_PAGE, (vehicle_id, self._oldest_hour(), limit)).fetchall()
        names = self._found(_NAMES, {row[0] for row in rows})
        return [AccessShown(row[0], names.get(row[0], row[0]), *row[1:]) for row in rows]

    def _told(self, rows: Sequence[Accesses]) -> list[tuple[Any, ...]]:
        """Rows of the table, of vehicles that are registered."""
        ids = self._found(IDS, {row.vehicle for row in rows})
        purposes = self._found(_PURPOSES, {row.client_id for row in rows})
        oldest_hour = self._oldest_hour()
        return [
            (
                ids[row.vehicle],
                row.last_time_us // HOUR_US,
                row.client_id,
                row.subject,
                row.kind,
                purposes.get(row.client_id, ""),
                row.times,
                row.last_time_us,
            )
            for row in rows
            if row.vehicle in ids and row.last_time_us // HOUR_US >= oldest_hour
        ]

    def _oldest_hour(self) -> int:
        kept_us = self._store.config.access_log_s * _SECOND_US
        return (self._store.clock.now_us() - kept_us) // HOUR_US

    def _purge(self, writing: sqlite3.Connection) -> None:
        known = [vehicle_id for (vehicle_id,) in writing.execute(_VEHICLES).fetchall()]
        oldest_hour, kept_max = self._oldest_hour(), self._store.config.accesses_per_vehicle_max
        for first in range(0, len(known), CHUNK):
            chunk = known[first : first + CHUNK]
            present = self._found(_PRESENT, set(chunk))
            with transaction(writing):
                writing.executemany(_FORGET, [(one,) for one in chunk if one not in present])
                writing.executemany(_FORGET_OLD, [(one, oldest_hour) for one in present])
                writing.executemany(_NEWEST_ONLY, [(one, kept_max) for one in present])
