"""The meters' ledger in a SQLite file of the api process. `port.py` has the promises.

Rows and the log's cursor change in one transaction, and a row only gives way to a later or longer
one, so records that are applied again change nothing. One thread writes; another connection reads,
and a third reads what is of many vehicles at once, which takes too long for others to wait for.
The file outlives the log's retention: a damaged one is kept beside the new one, which is built from
what the log still holds.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from motorcade import at_rest
from motorcade.durable import make_directory
from motorcade.events import VehicleToken
from motorcade.meters.port import (
    METERS,
    SLOT_US,
    TOLD_MAX,
    Alert,
    ChargesAsked,
    ChargeSession,
    Point,
    Span,
    StreamError,
)
from motorcade.meters.readings import News

SCHEMA_VERSION: Final = 3
_US: Final = 1_000_000
_JOULES: Final = ", ".join(f"j{number}" for number in range(len(METERS)))
_TOLD: Final = """
CREATE TABLE alerts (
    vehicle TEXT NOT NULL, time_us INTEGER NOT NULL, name TEXT NOT NULL,
    ended_us INTEGER NOT NULL, audiences TEXT NOT NULL, PRIMARY KEY (vehicle, time_us, name)
) WITHOUT ROWID;
CREATE TABLE errors (
    vehicle TEXT NOT NULL, time_us INTEGER NOT NULL, name TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (vehicle, time_us, name)
) WITHOUT ROWID;
"""
"""Since version 2."""
_SESSIONS: Final = """
CREATE TABLE sessions (
    vehicle TEXT NOT NULL, start_us INTEGER NOT NULL, end_us INTEGER NOT NULL, energy_j INTEGER,
    direct_current INTEGER NOT NULL, start_soc REAL, end_soc REAL, place TEXT NOT NULL,
    home INTEGER NOT NULL, PRIMARY KEY (vehicle, start_us)
) WITHOUT ROWID;
"""
"""Since version 3."""
_ADDED: Final = {2: _TOLD, 3: _SESSIONS}
_SCHEMA: Final = f"""
CREATE TABLE points (
    site TEXT NOT NULL, slot INTEGER NOT NULL, time_us INTEGER NOT NULL,
    {", ".join(f"j{number} INTEGER NOT NULL" for number in range(len(METERS)))},
    PRIMARY KEY (site, slot)
) WITHOUT ROWID;
CREATE INDEX points_slot ON points (slot);
CREATE TABLE outages (
    site TEXT NOT NULL, start_s INTEGER NOT NULL, duration_s INTEGER NOT NULL,
    energy_j INTEGER NOT NULL, PRIMARY KEY (site, start_s)
) WITHOUT ROWID;
CREATE TABLE charges (
    site TEXT NOT NULL, start_s INTEGER NOT NULL, duration_s INTEGER NOT NULL,
    energy_j INTEGER NOT NULL, PRIMARY KEY (site, start_s)
) WITHOUT ROWID;
CREATE TABLE tariffs (
    site TEXT PRIMARY KEY, time_us INTEGER NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID;
{_TOLD}{_SESSIONS}
CREATE TABLE cursors (name TEXT PRIMARY KEY, cursor BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
"""
_PUT_POINT: Final = f"""
INSERT INTO points VALUES (?, ?, ?{", ?" * len(METERS)})
ON CONFLICT (site, slot) DO UPDATE SET time_us = excluded.time_us,
{", ".join(f"j{number} = excluded.j{number}" for number in range(len(METERS)))}
WHERE excluded.time_us >= points.time_us
"""
_PUT_SPAN: Final = """
INSERT INTO {table} VALUES (?, ?, ?, ?)
ON CONFLICT (site, start_s) DO UPDATE
SET duration_s = excluded.duration_s, energy_j = excluded.energy_j
WHERE excluded.duration_s >= {table}.duration_s
"""
_PUT_TARIFF: Final = """
INSERT INTO tariffs VALUES (?, ?, ?)
ON CONFLICT (site) DO UPDATE SET time_us = excluded.time_us, content = excluded.content
WHERE excluded.time_us >= tariffs.time_us
"""
_PUT_ALERT: Final = """
INSERT INTO alerts VALUES (?, ?, ?, ?, ?)
ON CONFLICT (vehicle, time_us, name) DO UPDATE
SET ended_us = excluded.ended_us, audiences = excluded.audiences
WHERE excluded.ended_us >= alerts.ended_us
"""
_PUT_ERROR: Final = "INSERT OR IGNORE INTO errors VALUES (?, ?, ?, ?)"
_NEWEST_ONLY: Final = """
DELETE FROM {table} WHERE vehicle = ?1 AND (time_us, name) NOT IN (
    SELECT time_us, name FROM {table} WHERE vehicle = ?1 ORDER BY time_us DESC, name LIMIT ?2
)
"""
_PUT_SESSION: Final = """
INSERT INTO sessions SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 WHERE NOT EXISTS (
    SELECT 1 FROM sessions WHERE vehicle = ?1 AND start_us < ?2 AND end_us > ?2
)
ON CONFLICT (vehicle, start_us) DO UPDATE
SET end_us = excluded.end_us, energy_j = excluded.energy_j,
direct_current = excluded.direct_current, end_soc = excluded.end_soc
WHERE excluded.end_us >= sessions.end_us
AND ifnull(excluded.energy_j, 0) >= ifnull(sessions.energy_j, 0)
"""
"""A session within a known one is its tail, seen by a replay of a log that has lost its begin."""
_DROP_TAILS: Final = "DELETE FROM sessions WHERE vehicle = ? AND start_us > ? AND start_us < ?"
_NEWEST_SESSIONS: Final = """
DELETE FROM sessions WHERE vehicle = ?1 AND start_us NOT IN (
    SELECT start_us FROM sessions WHERE vehicle = ?1 ORDER BY start_us DESC LIMIT ?2
)
"""
_AMONG: Final = "vehicle IN (SELECT value FROM json_each(?))"
"""Of any number of vehicles: `_listed`."""
_SESSIONS_ASKED: Final = f"FROM sessions WHERE {_AMONG} AND start_us >= ? AND start_us < ?"
_CURSOR: Final = "energy"
_POINT: Final = f"SELECT time_us, {_JOULES} FROM points WHERE site = ?"
_POINT_BEFORE: Final = f"{_POINT} AND slot < ? ORDER BY slot DESC LIMIT 1"
_POINTS_AFTER: Final = f"{_POINT} AND slot >= ? ORDER BY slot LIMIT 2"

_log = structlog.get_logger()


class EmbeddedMeters:
    """A `Meters` in a file, with its write side."""

    def __init__(self, path: Path) -> None:
        """Open, or make; a file that is damaged or of another version is put aside."""
        make_directory(path.parent)
        self._path = path
        if path.exists() and not _is_good(path):
            _put_aside(path)
        if not path.exists():
            at_rest.forget(path)
            with closing(_connect(path)) as fresh:
                fresh.executescript(_SCHEMA)
        _bring_up(path)
        self._writing = _connect(path)
        self._reading, self._read_lock = _connect_to_read(path), threading.Lock()
        self._reading_many, self._read_many_lock = _connect_to_read(path), threading.Lock()

    def close(self) -> None:
        """Release the file; the writing thread must be done."""
        with self._read_lock:
            self._reading.close()
        with self._read_many_lock:
            self._reading_many.close()
        self._writing.close()
        at_rest.seal(self._path, alone=True)

    # Reading.

    def around(self, site: VehicleToken, times_us: Sequence[int]) -> list[Point]:
        found: dict[int, Point] = {}
        for slot in sorted({time_us // SLOT_US for time_us in times_us}):
            with self._read_lock:  # for each by itself: others wait for microseconds
                before = self._reading.execute(_POINT_BEFORE, (site, slot)).fetchall()
                after = self._reading.execute(_POINTS_AFTER, (site, slot)).fetchall()
            for time_us, *joules in before + after:
                found[time_us] = Point(time_us, tuple(joules))
        return [found[time_us] for time_us in sorted(found)]

    def outages(
        self, site: VehicleToken, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        return self._spans("outages", site, from_us, until_us, limit)

    def charges(
        self, site: VehicleToken, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        return self._spans("charges", site, from_us, until_us, limit)

    def tariff(self, site: VehicleToken) -> str:
        with self._read_lock:
            query = "SELECT content FROM tariffs WHERE site = ?"
            row = self._reading.execute(query, (site,)).fetchone()
        return row[0] if row else "null"

    def alerts(self, vehicle: VehicleToken) -> list[Alert]:
        query = "SELECT name, time_us, ended_us, audiences FROM alerts"
        return [
            Alert(name, time_us, ended_us, tuple(audiences.split()))
            for name, time_us, ended_us, audiences in self._told(query, vehicle)
        ]

    def errors(self, vehicle: VehicleToken) -> list[StreamError]:
        query = "SELECT name, time_us, body FROM errors"
        return [StreamError(*row) for row in self._told(query, vehicle)]

    def errors_among(
        self, vehicles: Sequence[VehicleToken], limit: int
    ) -> list[tuple[VehicleToken, StreamError]]:
        query = f"""
        SELECT vehicle, name, time_us, body FROM errors WHERE {_AMONG}
        ORDER BY time_us DESC, vehicle, name LIMIT ?
        """
        with self._read_many_lock:
            rows = self._reading_many.execute(query, (_listed(vehicles), limit)).fetchall()
        return [(VehicleToken(vehicle), StreamError(*told)) for vehicle, *told in rows]

    def sessions(self, asked: ChargesAsked) -> tuple[list[ChargeSession], int]:
        bounds = (_listed(asked.vehicles), asked.from_us, asked.until_us)
        direction = "DESC" if asked.newest_first else "ASC"
        ordered = f"ORDER BY start_us {direction}, vehicle LIMIT ? OFFSET ?"
        with self._read_many_lock:
            query = f"SELECT count(*) {_SESSIONS_ASKED}"
            (count,) = self._reading_many.execute(query, bounds).fetchone()
            rows = self._reading_many.execute(
                f"SELECT * {_SESSIONS_ASKED} {ordered}", (*bounds, asked.limit, asked.offset)
            ).fetchall()
        return [_session(row) for row in rows], count

    def _told(self, query: str, vehicle: VehicleToken) -> list[Any]:
        with self._read_lock:
            ordered = f"{query} WHERE vehicle = ? ORDER BY time_us DESC, name"
            return self._reading.execute(ordered, (vehicle,)).fetchall()

    def _spans(
        self, table: str, site: str, from_us: int, until_us: int, limit: int
    ) -> tuple[list[Span], int]:
        where = f"FROM {table} WHERE site = ? AND start_s >= ? AND start_s < ?"
        asked = (site, -(-from_us // _US), -(-until_us // _US))
        with self._read_lock:
            (count,) = self._reading.execute(f"SELECT count(*) {where}", asked).fetchone()
            rows = self._reading.execute(
                f"SELECT start_s, duration_s, energy_j {where} ORDER BY start_s DESC LIMIT ?",
                (*asked, limit),
            ).fetchall()
        return [Span(*row) for row in rows], count

    # Writing, by one thread.

    def cursor(self) -> bytes | None:
        """Where the log was read up to."""
        query = "SELECT cursor FROM cursors WHERE name = ?"
        row = self._writing.execute(query, (_CURSOR,)).fetchone()
        return row[0] if row else None

    def last(self) -> Iterator[tuple[str, Point, Span | None, Span | None]]:
        """Each site's newest point, outage and charging session."""
        query = f"SELECT site, max(slot), time_us, {_JOULES} FROM points GROUP BY site"
        for site, _, time_us, *joules in self._writing.execute(query).fetchall():
            point = Point(time_us, tuple(joules))
            yield site, point, self._last_span("outages", site), self._last_span("charges", site)

    def _last_span(self, table: str, site: str) -> Span | None:
        query = f"SELECT max(start_s), duration_s, energy_j FROM {table} WHERE site = ?"
        row = self._writing.execute(query, (site,)).fetchone()
        return None if row[0] is None else Span(*row)

    def apply(self, news: News, cursor: bytes) -> None:
        """Take what records brought, and the cursor after them."""
        with self._transaction() as writing:
            writing.executemany(
                _PUT_POINT,
                [
                    (site, slot, point.time_us, *point.joules)
                    for (site, slot), point in news.points.items()
                ],
            )
            for table, spans in (("outages", news.outages), ("charges", news.charges)):
                writing.executemany(
                    _PUT_SPAN.format(table=table),
                    [
                        (site, start_s, span.duration_s, span.energy_j)
                        for (site, start_s), span in spans.items()
                    ],
                )
            writing.executemany(
                _PUT_TARIFF,
                [(site, time_us, text) for site, (time_us, text) in news.tariffs.items()],
            )
            self._put_told(writing, news)
            writing.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (_CURSOR, cursor))

    def _put_told(self, writing: sqlite3.Connection, news: News) -> None:
        writing.executemany(
            _PUT_ALERT,
            [
                (vehicle, start_us, name, alert.ended_us, " ".join(alert.audiences))
                for (vehicle, start_us, name), alert in news.alerts.items()
            ],
        )
        writing.executemany(_PUT_ERROR, [(*key, one.body) for key, one in news.errors.items()])
        for table, told in (("alerts", news.alerts), ("errors", news.errors)):
            vehicles = sorted({vehicle for vehicle, _, _ in told})
            writing.executemany(
                _NEWEST_ONLY.format(table=table), [(vehicle, TOLD_MAX) for vehicle in vehicles]
            )

    def put_sessions(self, sessions: Sequence[ChargeSession], kept_max: int) -> None:
        """Take charging sessions, told again or not; of each car the newest `kept_max` stay."""
        with self._transaction() as writing:
            for one in sessions:
                writing.execute(_DROP_TAILS, (one.vehicle, one.start_us, one.end_us))
                writing.execute(_PUT_SESSION, astuple(one))
            vehicles = sorted({one.vehicle for one in sessions})
            writing.executemany(_NEWEST_SESSIONS, [(vehicle, kept_max) for vehicle in vehicles])

    def purge(self, before_us: int) -> None:
        """Forget what is older."""
        with self._transaction() as writing:
            writing.execute("DELETE FROM points WHERE slot < ?", (before_us // SLOT_US,))
            for table in ("outages", "charges"):
                writing.execute(f"DELETE FROM {table} WHERE start_s < ?", (before_us // _US,))
            for table in ("alerts", "errors"):
                writing.execute(f"DELETE FROM {table} WHERE time_us < ?", (before_us,))
            writing.execute("DELETE FROM sessions WHERE end_us < ?", (before_us,))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._writing:
            self._writing.execute("BEGIN IMMEDIATE")
            yield self._writing


def is_full(error: Exception) -> bool:
    """Whether SQLite had no room on the disk: over as soon as there is room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # behind the log is fine; torn is not
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def _is_good(path: Path) -> bool:
    try:
        at_rest.check(path, alone=True)
        with closing(_connect(path)) as connection:
            version: Any = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("SELECT count(*) FROM cursors").fetchone()
    except (sqlite3.DatabaseError, at_rest.DamagedFileError) as error:
        if is_full(error):
            raise
        _log.error("meters_damaged", path=str(path), error=str(error), hint="kept as *.damaged")
        return False
    return 1 <= int(version) <= SCHEMA_VERSION


def _bring_up(path: Path) -> None:
    """Add what earlier versions lack."""
    with closing(_connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version < SCHEMA_VERSION:
            added = "".join(_ADDED[newer] for newer in range(version + 1, SCHEMA_VERSION + 1))
            connection.executescript(
                f"BEGIN; {added} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )


def _listed(vehicles: Sequence[VehicleToken]) -> str:
    return msgspec.json.encode(list(vehicles)).decode()


def _session(row: tuple[Any, ...]) -> ChargeSession:
    """A row of `sessions`, whose columns are in the order of the members."""
    vehicle, start_us, end_us, energy_j, fast, start_soc, end_soc, place, home = row
    return ChargeSession(
        VehicleToken(vehicle),
        start_us,
        end_us,
        energy_j,
        bool(fast),
        start_soc,
        end_soc,
        place,
        bool(home),
    )


def _put_aside(path: Path) -> None:
    """Under another name, so that a person may mend it; what an earlier one held is overwritten."""
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.replace(path.with_name(path.name + ".damaged"))
