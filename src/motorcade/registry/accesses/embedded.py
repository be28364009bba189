"""The access log in a SQLite file beside the registry's. `port.py` has the promises.

It changes every few seconds, so it is not in the registry's file: there each commit would make the
API's loop wait, and every process look again at what it knows. With a WAL readers wait for nobody.
SQLite before 3.51.3 can corrupt a WAL that several connections write or checkpoint: here one
connection writes, the api process's, opened by its first `write`; readers, of any process, open the
file read-only, which never checkpoints.

Who removes a vehicle may be another process. Nobody reads the vehicle's rows from then on; the
writer's next purge forgets them. A damaged file is kept beside the new one.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog

from motorcade import at_rest
from motorcade.registry.accesses.port import HOUR_US, Accesses, AccessShown
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.people.store import Store

FILE_NAME: Final = "accesses.sqlite"
SCHEMA_VERSION: Final = 1
_SECOND_US: Final = 1_000_000
_CHUNK: Final = 500  # keys per look-up in the registry, which holds others up: under a millisecond
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

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
_AMONG: Final = "IN (SELECT value FROM json_each(?))"
# Of the registry's file.
_IDS: Final = f"SELECT token, id FROM vehicles WHERE removed_time_us IS NULL AND token {_AMONG}"
_PRESENT: Final = f"SELECT id, 1 FROM vehicles WHERE removed_time_us IS NULL AND id {_AMONG}"
_PURPOSES: Final = f"SELECT client_id, purpose FROM apps WHERE client_id {_AMONG}"
_NAMES: Final = f"SELECT client_id, name FROM apps WHERE client_id {_AMONG}"

_log = structlog.get_logger()


class EmbeddedAccessLog:
    """An `AccessLog`. The file is made by the first `write`."""

    def __init__(self, store: Store, path: Path) -> None:
        self._store = store
        self._path = path
        self._lock = threading.Lock()
        self._writing: sqlite3.Connection | None = None
        self._purged_hour = 0
        self._purge_fails = False

    def write(self, rows: Sequence[Accesses]) -> None:
        with self._lock, _wrapped(self._path):
            if not rows and self._writing is None and not self._path.exists():
                return
            if self._writing is None:
                self._writing = self._open()
            told = self._told(rows)
            try:
                with _transaction(self._writing):
                    self._writing.executemany(_PUT, told)
            except sqlite3.Error as error:
                self._give_up_if_damaged(error)
                raise
            self._purge_if_due()

    def accesses(self, vehicle_id: int, limit: int) -> list[AccessShown]:
        if not self._path.exists():
            return []
        with _wrapped(self._path), closing(self._connect("ro")) as reading:
            if reading.execute("PRAGMA user_version").fetchone() == (0,):
                return []  # is being made
            rows = reading.execute(_PAGE, (vehicle_id, self._oldest_hour(), limit)).fetchall()
        names = self._found(_NAMES, {row[0] for row in rows})
        return [AccessShown(row[0], names.get(row[0], row[0]), *row[1:]) for row in rows]

    def close(self) -> None:
        """Release the file."""
        with self._lock, _wrapped(self._path):
            if self._writing is not None:
                self._writing.close()
                self._writing = None
                at_rest.seal(self._path, alone=True)

    def _told(self, rows: Sequence[Accesses]) -> list[tuple[Any, ...]]:
        """Rows of the table, of vehicles that are registered."""
        ids = self._found(_IDS, {row.vehicle for row in rows})
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

    def _found(self, statement: str, keys: set[Any]) -> dict[Any, Any]:
        """What the registry has of these, in short look-ups."""
        listed, found = sorted(keys), dict[Any, Any]()
        for first in range(0, len(listed), _CHUNK):
            asked = msgspec.json.encode(listed[first : first + _CHUNK]).decode()
            found |= dict(self._store.rows(statement, asked))
        return found

    def _oldest_hour(self) -> int:
        kept_us = self._store.config.access_log_s * _SECOND_US
        return (self._store.clock.now_us() - kept_us) // HOUR_US

    # Forgetting.

    def _purge_if_due(self) -> None:
        """Each hour. What was written stays written: a purge that fails is tried again."""
        hour = self._store.clock.now_us() // HOUR_US
        if hour == self._purged_hour or self._writing is None:
            return
        try:
            self._purge(self._writing)
        except (sqlite3.Error, RegistryUnavailableError) as error:
            if not self._purge_fails:  # once, not at each write
                _log.error("accesses_not_purged", error=str(error), hint="it is tried again")
            self._purge_fails = True
            if isinstance(error, sqlite3.Error):
                self._give_up_if_damaged(error)
            return
        self._purged_hour, self._purge_fails = hour, False

    def _purge(self, writing: sqlite3.Connection) -> None:
        known = [vehicle_id for (vehicle_id,) in writing.execute(_VEHICLES).fetchall()]
        oldest_hour, kept_max = self._oldest_hour(), self._store.config.accesses_per_vehicle_max
        for first in range(0, len(known), _CHUNK):
            chunk = known[first : first + _CHUNK]
            present = self._found(_PRESENT, set(chunk))
            with _transaction(writing):
                writing.executemany(_FORGET, [(one,) for one in chunk if one not in present])
                writing.executemany(_FORGET_OLD, [(one, oldest_hour) for one in present])
                writing.executemany(_NEWEST_ONLY, [(one, kept_max) for one in present])

    # The file.

    def _open(self) -> sqlite3.Connection:
        if self._path.exists() and not self._is_good():
            self._put_aside()
        if not self._path.exists():
            at_rest.forget(self._path)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connect("rw")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last rows
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            connection.executescript(_SCHEMA)
        return connection

    def _is_good(self) -> bool:
        try:
            at_rest.check(self._path, alone=True)
            with closing(self._connect("rw")) as connection:
                version: int = connection.execute("PRAGMA user_version").fetchone()[0]
                if version:
                    connection.execute("SELECT count FROM accesses LIMIT 1").fetchone()
        except (sqlite3.DatabaseError, at_rest.DamagedFileError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not (
                _is_damage(error) or "no such" in str(error)  # a table, a column
            ):
                raise
            _log.error("accesses_damaged", error=str(error), hint="kept as *.damaged")
            return False
        return version <= SCHEMA_VERSION

    def _give_up_if_damaged(self, error: sqlite3.Error) -> None:
        """The next write makes a new file."""
        if self._writing is not None and _is_damage(error):
            _log.error("accesses_damaged", error=str(error), hint="kept as *.damaged")
            self._writing.close()
            self._writing = None
            self._put_aside()

    def _put_aside(self) -> None:
        """Under another name, over an earlier one: a person may want to look at it."""
        for ending in ("-wal", "-shm"):
            self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
        self._path.replace(self._path.with_name(self._path.name + ".damaged"))

    def _connect(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"file:{quote(str(self._path))}?mode={mode}",
            uri=True,
            timeout=self._store.config.busy_s_max,
            isolation_level=None,
            check_same_thread=False,  # `_lock` serialises
        )


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RegistryUnavailableError(
            f"access log {path}: {error}; is it full, damaged, or not writable for you?"
        ) from error
