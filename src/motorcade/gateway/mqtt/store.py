"""Persistent sessions on disk: who subscribed to what, and from where the log is still owed.

A session is a cursor (design §4), so a row is small and there is never a queue of messages in it;
only exchanges at QoS 2 that are under way keep theirs. Writes are gathered by one thread and
committed together, in the order of the calls; a future resolves when its write is synced. The file
belongs to one gateway process.
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
from motorcade.durable import make_directory

FILE_NAME: Final = "sessions.sqlite"
_VERSION: Final = 2
_LIVE_CURSOR: Final = 0
_QUIET_SINCE: Final = 1
_RECALL_CURSOR: Final = 2
_TABLES: Final = (
    "sessions (key TEXT PRIMARY KEY, session BLOB) STRICT",
    "live (id INTEGER PRIMARY KEY, value BLOB) STRICT",
    "exchanges (session TEXT, ordinal INTEGER, exchange BLOB, PRIMARY KEY (session, ordinal))"
    " STRICT, WITHOUT ROWID",
    "share_groups (key TEXT PRIMARY KEY, cursor BLOB) STRICT",
    "retained (topic TEXT PRIMARY KEY, message BLOB) STRICT",
)


class StoredSubscription(msgspec.Struct, frozen=True, array_like=True):
    """One filter of a session with 5.0's options."""

    topic_filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0


class StoredWill(msgspec.Struct, frozen=True, array_like=True):
    """All that is needed to publish a will without its client."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: bytes  # as a PUBLISH has them
    delay_s: int
    token: str  # of a vehicle
    key_id: int
    due_us: int = 0  # wall time; 0: its client is connected


class StoredSession(msgspec.Struct, frozen=True, array_like=True):
    """What outlives a connection, and the process."""

    key: str
    expiry_s: int
    offline_since_us: int  # wall time; 0 while connected
    cursor: bytes  # b"": the `live_cursor` stored beside
    subscriptions: tuple[StoredSubscription, ...] = ()
    received: tuple[tuple[int, str], ...] = ()  # QoS 2 packet ids not released, and their lane
    will: StoredWill | None = None


class StoredExchange(msgspec.Struct, frozen=True, array_like=True):
    """A message to a client at QoS 2 that is under way, or was since the session's cursor."""

    session: str
    ordinal: int
    stage: int
    packet_id: int
    place: bytes  # of its record in the log
    message: tuple[str, bytes, int, bool, bytes] | None  # topic, payload, QoS, retain, properties


class StoredRetained(msgspec.Struct, frozen=True, array_like=True):
    """The retained message of a topic."""

    topic: str
    payload: bytes
    properties: bytes
    qos: int
    received_time_us: int
    publisher: str  # session key


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
        """Forget a session and its exchanges; nothing happens if it is not there."""

    def load_exchanges(self) -> Sequence[StoredExchange]:
        """All exchanges on disk, each session's in the order of their ordinals."""

    def put_exchange(self, exchange: StoredExchange) -> Future[None]:
        """Write or replace."""

    def remove_exchange(self, session: str, ordinal: int) -> Future[None]:
        """Forget one."""

    def load_retained(self) -> Sequence[StoredRetained]:
        """All retained messages on disk."""

    def put_retained(self, message: StoredRetained) -> Future[None]:
        """Write or replace."""

    def remove_retained(self, topic: str) -> Future[None]:
        """Forget; nothing happens if it is not there."""

    def load_groups(self) -> Sequence[tuple[str, bytes]]:
        """Each group's key and place."""

    def put_group(self, key: str, cursor: bytes) -> Future[None]:
        """The place of a shared subscription; b"": the live cursor."""

    def remove_group(self, key: str) -> Future[None]:
        """Forget it."""

    def load_recall_cursor(self) -> bytes:
        """What `put_recall_cursor` stored last, b"" at first."""

    def put_recall_cursor(self, cursor: bytes) -> Future[None]:
        """All that follows from the log before `cursor` was written by the calls before this."""

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
            make_directory(directory)
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
        self._enqueue("DELETE FROM exchanges WHERE session = ?", key)
        return self._enqueue("DELETE FROM sessions WHERE key = ?", key)

    def load_exchanges(self) -> list[StoredExchange]:
        rows = self._connection.execute(
            "SELECT exchange FROM exchanges ORDER BY session, ordinal"
        ).fetchall()
        return [msgspec.msgpack.decode(row[0], type=StoredExchange) for row in rows]

    def put_exchange(self, exchange: StoredExchange) -> Future[None]:
        encoded = msgspec.msgpack.encode(exchange)
        return self._enqueue(
            "REPLACE INTO exchanges VALUES (?, ?, ?)", exchange.session, exchange.ordinal, encoded
        )

    def remove_exchange(self, session: str, ordinal: int) -> Future[None]:
        return self._enqueue(
            "DELETE FROM exchanges WHERE session = ? AND ordinal = ?", session, ordinal
        )

    def load_retained(self) -> list[StoredRetained]:
        rows = self._connection.execute("SELECT message FROM retained").fetchall()
        return [msgspec.msgpack.decode(row[0], type=StoredRetained) for row in rows]

    def put_retained(self, message: StoredRetained) -> Future[None]:
        encoded = msgspec.msgpack.encode(message)
        return self._enqueue("REPLACE INTO retained VALUES (?, ?)", message.topic, encoded)

    def remove_retained(self, topic: str) -> Future[None]:
        return self._enqueue("DELETE FROM retained WHERE topic = ?", topic)

    def load_groups(self) -> list[tuple[str, bytes]]:
        return self._connection.execute("SELECT key, cursor FROM share_groups").fetchall()

    def put_group(self, key: str, cursor: bytes) -> Future[None]:
        return self._enqueue("REPLACE INTO share_groups VALUES (?, ?)", key, cursor)

    def remove_group(self, key: str) -> Future[None]:
        return self._enqueue("DELETE FROM share_groups WHERE key = ?", key)

    def load_recall_cursor(self) -> bytes:
        return self._load(_RECALL_CURSOR)

    def put_recall_cursor(self, cursor: bytes) -> Future[None]:
        return self._enqueue("REPLACE INTO live VALUES (?, ?)", _RECALL_CURSOR, cursor)

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
        if version > _VERSION:
            raise SessionStoreError(
                f"{self._path}: version {version}, this program knows {_VERSION}: update it"
            )
        for table in _TABLES:  # a file of version 1 lacks some; its rows are read as they are
            execute(f"CREATE TABLE IF NOT EXISTS {table}")
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
