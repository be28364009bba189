"""A SQLite file as one consistent moment, by SQLite's own backup API, beside its writers.

A file with a write-ahead log is copied in one step: its writers do not wait for readers. One with a
rollback journal is copied in steps, because a writer waits for each of them; a change in between
starts the copy anew, so after a few of those it is taken in one step, too.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

from motorcade.backup.errors import BackupError

MAGIC: Final = b"SQLite format 3\0"
_WAL_MARK: Final = 18  # the offset of "file format write version": 2 with a WAL (SQLite, §1.3.3)
_PAGES_PER_STEP: Final = 2_048  # 8 MiB: a few milliseconds
_RESTARTS_MAX: Final = 5
_PAUSE_S: Final = 0.005
_BUSY_S_MAX: Final = 30.0


class _RestartedTooOften(Exception):  # noqa: N818  (a turn of events, not an error)
    pass


def is_database(file: IO[bytes]) -> bool:
    """Whether it is a SQLite file. An empty one is copied as the file it is."""
    found = file.read(len(MAGIC))
    file.seek(0)
    return found == MAGIC


def copy_database(source: Path, target: Path) -> None:
    """Write the newest committed state of `source` to the new file `target`.

    Raises:
        BackupError: the file is damaged, or was locked for too long.
    """
    try:
        with _reading(source) as reading, closing(sqlite3.connect(target)) as writing:
            writing.execute("PRAGMA synchronous = OFF")  # the copy is synced where it ends up
            waits = reading.execute("PRAGMA journal_mode").fetchone()[0] != "wal"
            try:
                reading.backup(
                    writing,
                    pages=_PAGES_PER_STEP if waits else -1,
                    progress=_Progress(),
                    sleep=_PAUSE_S,
                )
            except _RestartedTooOften:
                reading.backup(writing, pages=-1, sleep=_PAUSE_S)
    except sqlite3.Error as error:
        raise BackupError(f"{source} cannot be copied: {error}") from error


@contextmanager
def opened_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy that nobody writes, opened without leaving a trace beside it."""
    with closing(_connect(path, "immutable=1")) as connection:
        yield connection


class _Progress:
    """Notices that a copy began anew, because another process changed the source."""

    def __init__(self) -> None:
        self._remaining: int | None = None
        self._restarts = 0

    def __call__(self, status: int, remaining: int, total: int) -> None:
        if self._remaining is not None and remaining > self._remaining:
            self._restarts += 1
            if self._restarts > _RESTARTS_MAX:
                raise _RestartedTooOften
        self._remaining = remaining


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Beside a WAL we only read: two processes that checkpoint one can damage it (decision 0004).

    Beside a rollback journal we may write: a killed writer's journal has to be rolled back first.
    """
    with path.open("rb") as file:
        has_wal = file.read(_WAL_MARK + 1)[_WAL_MARK:] == b"\2"
    with closing(_connect(path, "mode=ro" if has_wal else "mode=rw")) as connection:
        yield connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.absolute()))}?{mode}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_S_MAX, isolation_level=None)
