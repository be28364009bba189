"""The face of `sqlite3` over apsw's SQLite, as far as the product uses it.

Two differences are forced by apsw, which gives a VFS no shared memory: a WAL file is locked
exclusively, and connections to one such file are one. `PRAGMA query_only` is then left out.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final

import apsw
import apsw.ext

from tests.faults.faulty_os import FaultyOs
from tests.faults.plan import Stopped
from tests.faults.sqlite_vfs import FaultyVfs

_NUMBERS: Final = count()


class SqliteEngine:
    """Stands in for the module `sqlite3`. `restart` ends the process that used it."""

    def __init__(self, machine: FaultyOs) -> None:
        self.machine = machine
        self.enabled = True
        self._name = f"faulty-{next(_NUMBERS)}"
        self._vfs = FaultyVfs(self._name, machine)
        self._open: dict[Path, tuple[int, apsw.Connection]] = {}  # WAL files, by inode
        self._all: list[apsw.Connection] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)

    def connect(self, path: Path, **options: Any) -> Any:
        if not self.enabled:
            return sqlite3.connect(path, **options)
        with self.errors():
            shared = self._open.get(path)
            if shared is not None and path.exists() and path.stat().st_ino == shared[0]:
                return _Connection(self, path, shared[1])
            connection = apsw.Connection(str(path), vfs=self._name)
            connection.set_busy_timeout(int(options.get("timeout", 5.0) * 1_000))
            self._all.append(connection)
        return _Connection(self, path, connection)

    def share(self, path: Path, connection: apsw.Connection) -> None:
        """Further connections to a WAL file are this one."""
        self._open[path] = (path.stat().st_ino, connection)

    def end_process(self) -> None:
        """Nothing is written any more; what is open is dropped."""
        self.machine.plan.stopped = True
        for connection in self._all:
            with suppress(apsw.Error):
                connection.close(True)
        self._all, self._open = [], {}

    def close(self, path: Path, connection: apsw.Connection) -> None:
        if any(connection is shared for _, shared in self._open.values()):
            return  # it ends with its process
        if self.machine.plan.stopped:
            return
        with self.errors():
            connection.close()
        self._all.remove(connection)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """apsw's errors as `sqlite3`'s; once all has stopped, nobody hears of anything."""
        try:
            yield
        except apsw.Error as error:
            if self.machine.plan.stopped:
                raise Stopped from None
            kind: type[sqlite3.Error] = sqlite3.OperationalError
            if isinstance(error, apsw.ConstraintError):
                kind = sqlite3.IntegrityError
            elif isinstance(error, apsw.CorruptError | apsw.NotADBError):
                kind = sqlite3.DatabaseError
            raised = kind(f"{type(error).__name__}: {error}")
            if isinstance(error, apsw.FullError):
                raised.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise raised from error
        if self.machine.plan.stopped:
            raise Stopped


class _Connection:
    isolation_level = None

    def __init__(self, engine: SqliteEngine, path: Path, connection: apsw.Connection) -> None:
        self.engine, self.path, self.real = engine, path, connection

    @property
    def in_transaction(self) -> bool:
        return bool(self.real.in_transaction)

    def cursor(self) -> "_Cursor":
        return _Cursor(self)

    def execute(self, sql: str, values: Sequence[Any] = ()) -> "_Cursor":
        return self.cursor().execute(sql, values)

    def executemany(self, sql: str, many: Iterable[Sequence[Any]]) -> "_Cursor":
        return self.cursor().executemany(sql, many)

    def executescript(self, sql: str) -> "_Cursor":
        return self.execute(sql)

    def commit(self) -> None:
        if self.in_transaction:
            self.execute("COMMIT")

    def rollback(self) -> None:
        if self.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        self.engine.close(self.path, self.real)

    def create_function(self, name: str, arguments: int, function: Any, **_: Any) -> None:
        self.real.create_scalar_function(name, function, arguments)

    def __enter__(self) -> "_Connection":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.commit() if kind is None else self.rollback()


class _Cursor:
    arraysize = 1

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Any = None
        self.lastrowid = 0
        self.rowcount = -1

    def execute(self, sql: str, values: Sequence[Any] = ()) -> "_Cursor":
        if "query_only" in sql:
            return self
        engine, real = self._connection.engine, self._connection.real
        with engine.errors():
            if "journal_mode = WAL" in sql:
                real.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
                engine.share(self._connection.path, real)
            reads = sql.lstrip()[:6].upper() in ("SELECT", "PRAGMA") or "RETURNING" in sql
            self.description = None
            if reads:
                found = apsw.ext.query_info(real, sql).description
                self.description = [(name, *[None] * 6) for name, *_ in found] or None
            self._rows = list(real.execute(sql, tuple(values)))
            self.lastrowid, self.rowcount = real.last_insert_rowid(), real.changes()
        return self

    def executemany(self, sql: str, many: Iterable[Sequence[Any]]) -> "_Cursor":
        for values in many:
            self.execute(sql, values)
        return self

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self._rows = self._rows, []
        return taken

    def __iter__(self) -> Iterator[Any]:
        while self._rows:
            yield self._rows.pop(0)

    def close(self) -> None:
        self._rows = []
