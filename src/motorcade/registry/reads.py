"""Look-ups in a SQLite file that several processes write, remembered until one of them has.

Every commit of a rollback journal raises the change counter in the file's head (SQLite file format
§1.3.6): four bytes that are read in a microsecond, a thirteenth of the smallest look-up. While the
counter stands, a look-up would say what it said before.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

COUNTER_AT: Final = 24
COUNTER_BYTES: Final = 4
REMEMBERED_MAX: Final = 4_096  # look-ups; beyond: all are forgotten
ROWS_MAX: Final = 64  # of one look-up; longer answers are not remembered

Key = tuple[str, tuple[str | int, ...]]


class ChangeCounter:
    """The counter of a file. Its descriptor must outlive every SQLite connection of this process.

    Closing any descriptor of a file drops the locks that its process holds there (POSIX).
    """

    def __init__(self, path: Path) -> None:
        """Raises `OSError`."""
        self._fd: int | None = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> bytes:
        """What is another after each commit; b"" of an empty file. Raises `OSError`."""
        assert self._fd is not None  # nobody looks up in a closed registry
        return os.pread(self._fd, COUNTER_BYTES, COUNTER_AT)

    def close(self) -> None:
        """May be called again."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class Reads:
    """Used under a lock of the caller's; `connection` neither begins nor commits by itself."""

    def __init__(self, connection: sqlite3.Connection, counter: Callable[[], bytes]) -> None:
        self._connection, self._counter = connection, counter
        self._stands = b""  # the counter at which `_told` was read
        self._told: dict[Key, list[Any]] = {}

    def rows(self, statement: str, values: tuple[str | int, ...]) -> list[Any]:
        """The rows of a SELECT. Raises as sqlite3 does, and `OSError`.

        A counter that has risen already may belong to a commit that is under way and will yet be
        undone: what is read is remembered with the counter that stood while SQLite held others off.
        """
        key = (statement, values)
        if self._counter() == self._stands:
            told = self._told.get(key)
            if told is not None:
                return list(told)
        rows, counter = self._read(statement, values)
        if counter != self._stands or len(self._told) >= REMEMBERED_MAX:
            self._stands = counter
            self._told.clear()
        if counter and len(rows) <= ROWS_MAX:
            self._told[key] = rows
        return list(rows)

    def _read(self, statement: str, values: tuple[str | int, ...]) -> tuple[list[Any], bytes]:
        self._connection.execute("BEGIN")
        try:
            return self._connection.execute(statement, values).fetchall(), self._counter()
        finally:
            self._connection.execute("ROLLBACK")  # it only read: the lock goes
