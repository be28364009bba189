"""A SQLite file beside the registry's, for what is written often: the access log, the audit.

Not in the registry's file: there each commit would make the API's loop wait, and every process look
again at what it knows. With a WAL readers wait for nobody. SQLite before 3.51.3 can corrupt a WAL
that several connections write or checkpoint: here one connection writes, the api process's, opened
by its first write; readers, of any process, open the file read-only, which never checkpoints.

A damaged file is kept beside the new one.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog

from motorcade import at_rest
from motorcade.registry.accesses.port import HOUR_US
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.people.store import Store

CHUNK: Final = 500  # keys per look-up in the registry, which holds others up: under a millisecond
AMONG: Final = "IN (SELECT value FROM json_each(?))"
IDS: Final = f"SELECT token, id FROM vehicles WHERE removed_time_us IS NULL AND token {AMONG}"
"""Of the registry's file, for `_found`."""

KEPT: Final = "kept as *.damaged, a new one is made"
_DAMAGED: Final = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

_log = structlog.get_logger()


class Beside:
    """The file; its kinds say what is in it, and what of that is forgotten."""

    name: str  # of the file, without its ending
    schema: str  # makes the tables
    version: int  # of the schema, `user_version`
    probe: str  # a look-up that fails in a file of other tables
    synchronous: str  # NORMAL: a power cut may cost the last rows; FULL: it does not

    def __init__(self, store: Store, directory: Path) -> None:
        self._store = store
        self._path = directory / f"{self.name}.sqlite"
        self._lock = threading.Lock()
        self._writing: sqlite3.Connection | None = None
        self._purged_hour = 0
        self._purge_fails = False

    def close(self) -> None:
        """Release the file."""
        with self._lock, wrapped(self._path):
            if self._writing is not None:
                self._writing.close()
                self._writing = None
                at_rest.seal(self._path, alone=True)

    @contextmanager
    def _to_read(self) -> Iterator[sqlite3.Connection | None]:
        """A connection; `None`: nothing was ever written. Raises `RegistryUnavailableError`."""
        if not self._path.exists():
            yield None
            return
        with wrapped(self._path), closing(self._connect("ro")) as reading:
            is_made = reading.execute("PRAGMA user_version").fetchone() != (0,)
            yield reading if is_made else None

    @contextmanager
    def _to_write(self, *, make: bool) -> Iterator[sqlite3.Connection | None]:
        """One transaction; what is old is forgotten after it. `None`: there is no file, and without
        `make` none is made. Raises `RegistryUnavailableError`."""
        with self._lock, wrapped(self._path):
            if not make and self._writing is None and not self._path.exists():
                yield None
                return
            if self._writing is None:
                self._writing = self._open()
            try:
                with transaction(self._writing):
                    yield self._writing
            except sqlite3.Error as error:
                self._give_up_if_damaged(error)
                raise
            self._purge_if_due()

    def _found(self, statement: str, keys: set[Any]) -> dict[Any, Any]:
        """What the registry has of these, in short look-ups."""
        listed, found = sorted(keys), dict[Any, Any]()
        for first in range(0, len(listed), CHUNK):
            asked = msgspec.json.encode(listed[first : first + CHUNK]).decode()
            found |= dict(self._store.rows(statement, asked))
        return found

    def _purge(self, writing: sqlite3.Connection) -> None:
        """Forget what is too old or too much, in transactions of its own."""
        raise NotImplementedError

    def _purge_if_due(self) -> None:
        """Each hour. What was written stays written: a purge that fails is tried again."""
        hour = self._store.clock.now_us() // HOUR_US
        if hour == self._purged_hour or self._writing is None:
            return
        try:
            self._purge(self._writing)
        except (sqlite3.Error, RegistryUnavailableError) as error:
            if not self._purge_fails:  # once, not at each write
                _log.error(
                    "rows_not_purged", file=self._path.name, error=str(error), hint="tried again"
                )
            self._purge_fails = True
            if isinstance(error, sqlite3.Error):
                self._give_up_if_damaged(error)
            return
        self._purged_hour, self._purge_fails = hour, False

    def _open(self) -> sqlite3.Connection:
        if self._path.exists() and not self._is_good():
            self._put_aside()
        if not self._path.exists():
            at_rest.forget(self._path)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = self._connect("rw")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self.synchronous}")
        if connection.execute("PRAGMA user_version").fetchone() == (0,):
            connection.executescript(self.schema)
        return connection

    def _is_good(self) -> bool:
        try:
            at_rest.check(self._path, alone=True)
            with closing(self._connect("rw")) as connection:
                version: int = connection.execute("PRAGMA user_version").fetchone()[0]
                if version:
                    connection.execute(self.probe).fetchone()
        except (sqlite3.DatabaseError, at_rest.DamagedFileError) as error:
            if isinstance(error, sqlite3.DatabaseError) and not (
                _is_damage(error) or "no such" in str(error)  # a table, a column
            ):
                raise
            _log.error("file_damaged", file=self._path.name, error=str(error), hint=KEPT)
            return False
        return version <= self.version

    def _give_up_if_damaged(self, error: sqlite3.Error) -> None:
        """The next write makes a new file."""
        if self._writing is not None and _is_damage(error):
            _log.error("file_damaged", file=self._path.name, error=str(error), hint=KEPT)
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
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def wrapped(path: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise RegistryUnavailableError(
            f"{path}: {error}; is it full, damaged, or not writable for you?"
        ) from error
