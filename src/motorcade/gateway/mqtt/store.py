"""Persistent sessions on disk: who subscribed to what, and from where the log is still owed.

A session is a cursor (design §4), so a row is small and there is never a message in it. Writes are
gathered by one thread and committed together; a future resolves when its write is synced. The
file belongs to one gateway process.
"""

import queue
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Protocol

import msgspec

from motorcade import at_rest

FILE_NAME: Final = "sessions.sqlite"
_VERSION: Final = 1
_LIVE_CURSOR: Final = 0
_QUIET_SINCE: Final = 1


class StoredSubscription(msgspec.Struct, frozen=True, array_like=True):
    """One filter of a session with 5.0's options."""

    topic_filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False


class StoredSession(msgspec.Struct, frozen=True, array_like=True):
    """What outlives a connection, and the process."""

    key: str
    expiry_s: int
    offline_since_us: int  # wall time; 0 while connected
    cursor: bytes  # b"": the `live_cursor` stored beside
    subscriptions: tuple[StoredSubscription, ...] = ()


class SessionStore(Protocol):
    """Where sessions are kept. `put` and `remove` return at once; the order of calls is kept."""

    def load(self) -> Sequence[StoredSession]:
        """Every session on disk."""

    def load_live_cursor(self) -> bytes:
        """What `put_live_cursor` stored last, b"" at first."""

    def load_quiet_since_us(self) -> int | None:
        """What `put_quiet_since_us` stored last, `None` at first."""

    def put_quiet_since_us(self, time_us: int | None) -> Future[None]:
        """Since when nobody was there who could publish to vehicles; `None`: somebody is."""

    def put(self, session: StoredSession) -> Future[None]:
        """Write or replace."""

    def put_live_cursor(self, cursor: bytes) -> Future[None]:
        """From where sessions without a cursor of their own go on after a crash."""

    def remove(self, key: str) -> Future[None]:
        """Forget; nothing happens if it is not there."""

    def close(self) -> None:
        """Write what was taken. Blocks."""


class SessionStoreError(Exception):
    """The sessions cannot be read or written; the text names the file and what to do."""


_Write = tuple[str, tuple[object, ...], "Future[None]"]


class SqliteSessionStore:
    """`SessionStore` in one SQLite file under the data directory."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        try:
            at_rest.make_directory(directory)
            at_rest.check(self._path, alone=True)
            at_rest.bring_to_disk(self._path)
            self._connection = sqlite3.connect(
                self._path, check_same_thread=False, isolation_level=None
            )
            self._prepare()
        except (sqlite3.Error, OSError, at_rest.DamagedFileError) as error:
            raise SessionStoreError(
                f"{self._path}: {error}. Restore it, or remove it: clients then subscribe anew"
            ) from error
        self._thread = threading.Thread(target=self._work, name="mqtt-sessions", daemon=True)
        self._thread.start()

    def load(self) -> list[StoredSession]:
        rows = self._connection.execute("SELECT session FROM sessions").fetchall()
        return [msgspec.msgpack.decode(row[0], type=StoredSession) for row in rows]

    def load_live_cursor(self) -> bytes:
        return self._load(_LIVE_CURSOR)

    def load_quiet_since_us(self) -> int | None:
        text = self._load(_QUIET_SINCE)
        return int(text) if text else None

    def put_quiet_since_us(self, time_us: int | None) -> Future[None]:
        text = b"" if time_us is None else b"%d" % time_us
        return self._enqueue("REPLACE INTO live VALUES (?, ?)", _QUIET_SINCE, text)

    def put(self, session: StoredSession) -> Future[None]:
        encoded = msgspec.msgpack.encode(session)
        return self._enqueue("REPLACE INTO sessions VALUES (?, ?)", session.key, encoded)

    def put_live_cursor(self, cursor: bytes) -> Future[None]:
        return self._enqueue("REPLACE INTO live VALUES (?, ?)", _LIVE_CURSOR, cursor)

    def remove(self, key: str) -> Future[None]:
        return self._enqueue("DELETE FROM sessions WHERE key = ?", key)

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        self._connection.close()
        at_rest.seal(self._path, alone=True)

    def _load(self, row_id: int) -> bytes:
        row = self._connection.execute("SELECT value FROM live WHERE id = ?", (row_id,)).fetchone()
        return bytes(row[0]) if row else b""

    def _prepare(self) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
        version = execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise SessionStoreError(
                f"{self._path}: version {version}, this program knows {_VERSION}: update it"
            )
        execute("CREATE TABLE IF NOT EXISTS sessions (key TEXT PRIMARY KEY, session BLOB) STRICT")
        execute("CREATE TABLE IF NOT EXISTS live (id INTEGER PRIMARY KEY, value BLOB) STRICT")
        execute(f"PRAGMA user_version = {_VERSION}")

    def _enqueue(self, statement: str, *values: object) -> Future[None]:
        future: Future[None] = Future()
        self._queue.put((statement, values, future))
        return future

    def _work(self) -> None:
        closing = False
        while not closing:
            writes = [self._queue.get()]
            while not self._queue.empty():
                writes.append(self._queue.get())
            closing = None in writes
            self._commit([write for write in writes if write is not None])

    def _commit(self, writes: list[_Write]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for statement, values, _ in writes:
                self._connection.execute(statement, values)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for _, _, future in writes:
                future.set_exception(SessionStoreError(f"{self._path}: {error}"))
        else:
            for _, _, future in writes:
                future.set_result(None)
