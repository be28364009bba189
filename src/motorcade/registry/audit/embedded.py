"""The audit in a SQLite file beside the registry's. `port.py` has the promises."""

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from motorcade.registry.audit.inbox import leave, left
from motorcade.registry.audit.port import Deed, DeedsAsked, DeedShown, What
from motorcade.registry.beside import AMONG, IDS, Beside, transaction, wrapped

SCHEMA_VERSION: Final = 1
_SCHEMA: Final = f"""
BEGIN;
CREATE TABLE deeds (
    id INTEGER PRIMARY KEY AUTOINCREMENT, time_us INTEGER NOT NULL, subject TEXT NOT NULL,
    name TEXT NOT NULL, client_id TEXT NOT NULL, what TEXT NOT NULL, outcome TEXT NOT NULL,
    vehicle_id INTEGER, text TEXT NOT NULL
);
CREATE INDEX deeds_what ON deeds (what, id);
CREATE INDEX deeds_vehicle ON deeds (vehicle_id, id);
CREATE INDEX deeds_time ON deeds (time_us);
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
_PUT: Final = """
INSERT INTO deeds (time_us, subject, name, client_id, what, outcome, vehicle_id, text)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_SAME: Final = """
SELECT 1 FROM deeds WHERE time_us = ? AND subject = ? AND client_id = ? AND what = ? AND text = ?
"""
_COLUMNS: Final = "id, time_us, subject, name, client_id, what, outcome, vehicle_id, text"
_FORGET_OLD: Final = "DELETE FROM deeds WHERE time_us < ?"
_NEWEST_ONLY: Final = """
DELETE FROM deeds WHERE what = ?1 AND id <= (
    SELECT id FROM deeds WHERE what = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2
)
"""
# Of the registry's file.
_NAMES: Final = f"""
SELECT subject, full_name FROM people WHERE removed_time_us IS NULL AND subject {AMONG}
"""


class EmbeddedAuditLog(Beside):
    """An `AuditLog`. The file is made by the first `write`."""

    name = "audit"
    schema = _SCHEMA
    version = SCHEMA_VERSION
    probe = "SELECT outcome FROM deeds LIMIT 1"
    synchronous = "FULL"

    def write(self, deeds: Sequence[Deed]) -> None:
        found = left(self._path.parent)
        with self._to_write(make=bool(deeds or found)) as writing:
            if writing is not None:
                for _, others in found:
                    for deed, row in zip(others, self._told(others), strict=True):
                        same = deed.time_us, deed.subject, deed.client_id, deed.what, deed.text
                        if writing.execute(_SAME, same).fetchone() is None:
                            writing.execute(_PUT, row)
                writing.executemany(_PUT, self._told(deeds))
        for path, _ in found:
            with suppress(OSError):  # else it is found again, and its rows are there
                path.unlink()

    def leave(self, deeds: Sequence[Deed]) -> None:
        """Have the process that writes the audit add these: for every other process. Durable.

        Raises:
            RegistryUnavailableError: the disk took nothing.
        """
        with wrapped(self._path):
            leave(self._path.parent, deeds)

    def deeds(self, asked: DeedsAsked) -> list[DeedShown]:
        conditions, values = ["time_us >= ?"], list[Any]([self._oldest_us()])
        if asked.before_id:
            conditions.append("id < ?")
            values.append(asked.before_id)
        if asked.who:
            conditions.append("(subject = ? OR instr(lower(name), lower(?)))")
            values += [asked.who, asked.who]
        if asked.vehicle_id:
            conditions.append("vehicle_id = ?")
            values.append(asked.vehicle_id)
        where = " AND ".join(conditions)
        # `+time_us`: the index by id gives the order, and stops at the limit.
        where = where.replace("time_us", "+time_us", 1)
        question = f"SELECT {_COLUMNS} FROM deeds WHERE {where} ORDER BY id DESC LIMIT ?"
        with self._to_read() as reading:
            if reading is None:
                return []
            rows = reading.execute(question, (*values, asked.limit)).fetchall()
        return [DeedShown(*row) for row in rows]

    def _told(self, deeds: Sequence[Deed]) -> list[tuple[Any, ...]]:
        """Rows of the table."""
        ids = self._found(IDS, {deed.vehicle for deed in deeds if deed.vehicle})
        names = self._found(_NAMES, {deed.subject for deed in deeds})
        return [
            (
                deed.time_us,
                deed.subject,
                names.get(deed.subject, ""),
                deed.client_id,
                deed.what.value,
                deed.outcome,
                ids.get(deed.vehicle),
                deed.text,
            )
            for deed in deeds
        ]

    def _oldest_us(self) -> int:
        return self._store.clock.now_us() - self._store.config.audit_s * 1_000_000

    def _purge(self, writing: sqlite3.Connection) -> None:
        with transaction(writing):
            writing.execute(_FORGET_OLD, (self._oldest_us(),))
        for what in What:
            with transaction(writing):
                writing.execute(_NEWEST_ONLY, (what.value, self._store.config.audit_rows_max))
