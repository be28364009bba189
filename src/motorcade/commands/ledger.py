"""The ledger: commands by id, by key and by vehicle, derived from the log's topic COMMANDS.

An index, never the truth: rows and the log's cursor change in one SQLite transaction, so whatever
happens it equals the log up to that cursor, and a lost or damaged file is built anew. One thread
writes; another connection reads. Kept for `commands.ledger_s_max`, counters for ever.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from motorcade import at_rest
from motorcade.commands.port import CommandView, Step
from motorcade.commands.states import FINAL, State
from motorcade.durable import make_directory
from motorcade.events import Record, VehicleToken
from motorcade.wire.command.records import TRANSITION, Transition, read_transition

SCHEMA_VERSION: Final = 1
_OPEN_STATES: Final = ", ".join(f"'{state}'" for state in State if state not in FINAL)
_SCHEMA: Final = f"""
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    vehicle TEXT NOT NULL,
    name TEXT NOT NULL,
    parameters TEXT NOT NULL,       -- JSON
    account TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    counter INTEGER NOT NULL,
    expires_time_us INTEGER NOT NULL,
    requested_time_us INTEGER NOT NULL,
    state TEXT NOT NULL,            -- of the last step
    timeline TEXT NOT NULL          -- JSON: [[state, time_us, reason, response?], ...]
) WITHOUT ROWID;
CREATE UNIQUE INDEX by_key ON commands (account, idempotency_key);
CREATE INDEX by_vehicle ON commands (vehicle, requested_time_us);
CREATE INDEX by_time ON commands (requested_time_us);
CREATE INDEX not_final ON commands (state) WHERE state IN ({_OPEN_STATES});
CREATE TABLE counters (vehicle TEXT PRIMARY KEY, counter INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE cursors (name TEXT PRIMARY KEY, cursor BLOB NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {SCHEMA_VERSION};
"""
_COLUMNS: Final = (
    "id, vehicle, name, parameters, account, idempotency_key, expires_time_us, timeline"
)
_BY_FAILURE: Final = """
CREATE INDEX IF NOT EXISTS by_failure ON commands (requested_time_us)
WHERE state IN ('refused', 'expired')
"""
"""Of a ledger of before, too: it is made where it is missing."""

_FAILED: Final = f"""
SELECT {_COLUMNS} FROM commands AS failed INDEXED BY by_failure
WHERE state IN ('refused', 'expired') AND requested_time_us >= ? AND NOT EXISTS (
    SELECT 1 FROM commands AS later INDEXED BY by_vehicle
    WHERE later.vehicle = failed.vehicle AND later.requested_time_us > failed.requested_time_us
    AND later.name = failed.name AND later.state = 'executed'
) ORDER BY requested_time_us DESC, id DESC LIMIT ?
"""
_INSERT: Final = """
INSERT OR REPLACE INTO commands
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, json_array(json_array(?, ?, ?)))
"""
_RAISE_COUNTER: Final = """
INSERT INTO counters VALUES (?, ?)
ON CONFLICT (vehicle) DO UPDATE SET counter = max(counter, excluded.counter)
"""
_ADD_STEP: Final = """
UPDATE commands SET state = ?, timeline = json_insert(timeline, '$[#]', json(?))
WHERE id = ?
"""
_STORE_CURSOR: Final = "INSERT OR REPLACE INTO cursors VALUES (?, ?)"


_log = structlog.get_logger()


class Ledger:
    """The file, open for one writing thread (`apply`, `purge`), one reading, one for `failed`."""

    def __init__(self, path: Path) -> None:
        """Open, or build an empty one in place of a file that is damaged or of another version."""
        make_directory(path.parent)
        self._path = path
        self._condemned = _beside(path, "-condemned")
        if self._condemned.exists() or not _is_good(path):
            at_rest.forget(path)
            for leftover in (path, _beside(path, "-wal"), _beside(path, "-shm")):
                leftover.unlink(missing_ok=True)
            with closing(_connect(path)) as fresh:
                fresh.executescript(_SCHEMA)
            self._condemned.unlink(missing_ok=True)
        self._writing = _connect(path)
        self._writing.execute(_BY_FAILURE)
        self._reading, self._failures = _connect(path), _connect(path)
        for connection in (self._reading, self._failures):
            connection.execute("PRAGMA query_only = ON")

    def close(self) -> None:
        """Release the file; both threads must be done."""
        self._failures.close()
        self._reading.close()
        self._writing.close()
        at_rest.seal(self._path, alone=True)

    def condemn(self) -> None:
        """Damage was met while reading or writing: the next `Ledger` here is built anew.

        Opening does not search for damage: a check of the whole file takes seconds.
        """
        self._condemned.touch()

    def apply(self, records: Sequence[Record], cursors: dict[str, bytes]) -> list[str]:
        """Take records of topic COMMANDS in order, and the cursors that stand after them.

        Returns the ids that became final: from now on the ledger answers for them.
        """
        finals = []
        with self._writing:
            self._writing.execute("BEGIN IMMEDIATE")
            for record in records:
                if record.name == TRANSITION:
                    transition = read_transition(record.payload)
                    self._apply(record.vehicle, transition)
                    if transition.state in FINAL:
                        finals.append(transition.id)
            self._writing.executemany(_STORE_CURSOR, cursors.items())
        return finals

    def purge(self, before_us: int) -> None:
        """Drop commands requested before this instant."""
        with self._writing:
            self._writing.execute("DELETE FROM commands WHERE requested_time_us < ?", (before_us,))

    def cursor(self, name: str) -> bytes | None:
        """A stored cursor."""
        row = self._one("SELECT cursor FROM cursors WHERE name = ?", name)
        return None if row is None else bytes(row[0])

    def counter(self, vehicle: VehicleToken) -> int:
        """The highest counter ever used for a vehicle; 0 if none was."""
        row = self._one("SELECT counter FROM counters WHERE vehicle = ?", vehicle)
        return 0 if row is None else int(row[0])

    def find(self, command_id: str) -> CommandView | None:
        """A command by id."""
        row = self._one(f"SELECT {_COLUMNS} FROM commands WHERE id = ?", command_id)
        return None if row is None else _view(row)

    def find_key(self, account: str, idempotency_key: str) -> CommandView | None:
        """A command by its caller's key."""
        query = f"SELECT {_COLUMNS} FROM commands WHERE account = ? AND idempotency_key = ?"
        row = self._one(query, account, idempotency_key)
        return None if row is None else _view(row)

    def recent(self, vehicle: VehicleToken, limit: int) -> list[CommandView]:
        """A vehicle's last commands, newest first."""
        query = f"""SELECT {_COLUMNS} FROM commands WHERE vehicle = ?
            ORDER BY requested_time_us DESC, id DESC LIMIT ?"""
        return [_view(row) for row in self._reading.execute(query, (vehicle, limit))]

    def failed(self, after_us: int, limit: int) -> list[CommandView]:
        """See `Commands.failed`."""
        return [_view(row) for row in self._failures.execute(_FAILED, (after_us, limit))]

    def not_final(self) -> Iterator[tuple[CommandView, int]]:
        """What a router must go on with: each command and its counter."""
        query = f"SELECT {_COLUMNS}, counter FROM commands WHERE state IN ({_OPEN_STATES})"
        for row in self._reading.execute(query):
            yield _view(row[:-1]), int(row[-1])

    def _apply(self, vehicle: VehicleToken, transition: Transition) -> None:
        step = [transition.state, transition.time_us, transition.reason]
        if transition.state != State.REQUESTED:
            told = [*step, transition.response] if transition.response else step
            text = msgspec.json.encode(told).decode()
            self._writing.execute(_ADD_STEP, (transition.state, text, transition.id))
            return
        row = (
            transition.id,
            vehicle,
            transition.name,
            msgspec.json.encode(transition.parameters).decode(),
            transition.account,
            transition.idempotency_key,
            transition.counter,
            transition.expires_time_us,
            transition.time_us,
            transition.state,
        )
        self._writing.execute(_INSERT, (*row, *step))
        self._writing.execute(_RAISE_COUNTER, (vehicle, transition.counter))

    def _one(self, query: str, *values: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._reading.execute(query, values).fetchone()
        return row


def is_full(error: Exception) -> bool:
    """Whether SQLite had no room on the disk: no damage, and over as soon as there is room."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")  # behind the log is fine; torn is not
    return connection


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _is_good(path: Path) -> bool:
    """Whether the file is as it was left, and this version can read its beginning."""
    if not path.exists():
        return False
    try:
        at_rest.check(path, alone=True)
        with closing(_connect(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("SELECT count(*) FROM cursors").fetchone()
    except (sqlite3.DatabaseError, at_rest.DamagedFileError) as error:
        if isinstance(error, sqlite3.DatabaseError) and is_full(error):
            raise
        _log.error("ledger_damaged", path=str(path), error=str(error), hint="it is built anew")
        return False
    return bool(version == SCHEMA_VERSION)


class _StoredStep(msgspec.Struct, array_like=True):
    """A step in a timeline; most have no response."""

    state: State
    time_us: int
    reason: str
    response: str = ""


def _view(row: Sequence[Any]) -> CommandView:
    command_id, vehicle, name, parameters, account, key, expires_time_us, timeline = row
    steps = msgspec.json.decode(timeline, type=list[_StoredStep])
    return CommandView(
        command_id,
        vehicle,
        name,
        msgspec.json.decode(parameters),
        account,
        key,
        expires_time_us,
        tuple(Step(s.state, s.time_us, s.reason, s.response) for s in steps),
    )
