"""SQLite's files at rest: they are as they were left.

SQLite sees broken structure, never a flipped value. (It syncs the directory that its files are in,
not the name of that directory: make it by `durable.make_directory`.)

A clean end leaves `<file>.sum` beside the file: its size, SQLite's change counter, the hash of its
bytes. Who opens the file next compares. Where the file has changed since (after a crash, or by
another process) there is nothing to compare with, and nothing is said. Stateless, no clock.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from struct import Struct
from typing import Final

import xxhash

from motorcade.durable import sync_directory

_SUM: Final = Struct("<Q4s16s")  # size, change counter, xxh3-128 of the content
_CHECK_BYTES: Final = 8
_COUNTER: Final = slice(24, 28)  # SQLite file format §1.3.7, "file change counter"
_CHUNK_BYTES: Final = 1 << 20


class DamagedFileError(Exception):
    """The bytes are not those that a clean end left; the text names the file."""


def seal(path: Path, *, alone: bool) -> None:
    """Write down what the file holds. Best effort: without a sum, the next opening is unchecked.

    `alone`: no other process opens the file.
    """
    errors = OSError, sqlite3.Error, DamagedFileError
    with contextlib.suppress(*errors), _unchanging(path, alone):
        found = _SUM.pack(*_measure(path))
        temporary = path.with_name(f".{path.name}.sum.{os.getpid()}")
        temporary.write_bytes(found + _check(found))
        temporary.chmod(0o600)
        temporary.replace(_sum_path(path))


def check(path: Path, *, alone: bool) -> None:
    """Compare the file with its sum, if there is one that speaks of it.

    `alone`: no other process opens the file. Its counter need not tell every change (WAL), so the
    sum is removed, durably, before anything is changed.

    Raises:
        DamagedFileError: it differs.
        sqlite3.Error, OSError: it cannot be read.
    """
    try:
        stored = _sum_path(path).read_bytes()
    except FileNotFoundError:
        return
    said, mark = stored[: _SUM.size], stored[_SUM.size :]
    if mark == _check(said) and path.exists() and not _has_journal(path):
        with _unchanging(path, alone):
            found = _measure(path)
        size, counter, digest = _SUM.unpack(said)
        if (alone or counter == found[1]) and (size, digest) != (found[0], found[2]):
            raise DamagedFileError(
                f"{path} is damaged: its content is not what the last clean stop left. Restore it "
                f"from a backup; to go on with it as it is, remove {_sum_path(path).name}"
            )
    if alone:
        forget(path)


def forget(path: Path) -> None:
    """Remove the sum, durably."""
    _sum_path(path).unlink(missing_ok=True)
    sync_directory(path.parent)


def bring_to_disk(path: Path) -> None:
    """After a crash, before the file is opened: write again what the cache alone may hold.

    A process that died of a failed sync leaves pages that read well and are on no disk; SQLite
    would go on behind them, and lose with the power what it commits there. The file is ours alone.

    Raises:
        OSError: the disk fails.
    """
    if not _has_journal(path):
        return
    for each in (path, path.with_name(path.name + "-wal")):
        if each.exists():
            _rewrite(each)


def _rewrite(path: Path) -> None:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        offset = 0
        while chunk := os.pread(file, _CHUNK_BYTES, offset):
            offset += os.pwritev(file, [chunk], offset)
        os.fsync(file)
    finally:
        os.close(file)


def _measure(path: Path) -> tuple[int, bytes, bytes]:
    digest = xxhash.xxh3_128()
    size, counter = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            counter = counter or chunk[_COUNTER].ljust(4, b"\0")
            digest.update(chunk)
            size += len(chunk)
    return size, counter or bytes(4), digest.digest()


@contextmanager
def _unchanging(path: Path, alone: bool) -> Iterator[None]:
    """Nobody commits to the file meanwhile: we are in the middle of reading it."""
    if alone:
        yield
        return
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as held:
        held.execute("BEGIN")
        try:
            held.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except UnicodeDecodeError as error:  # SQLite's own error quotes the schema
            raise DamagedFileError(f"{path} is damaged: its schema is no text") from error
        yield


def _has_journal(path: Path) -> bool:
    beside = (path.with_name(path.name + ending) for ending in ("-wal", "-journal"))
    return any(each.exists() and each.stat().st_size for each in beside)


def _check(data: bytes) -> bytes:
    return xxhash.xxh3_64(data).digest()


def _sum_path(path: Path) -> Path:
    return path.with_name(path.name + ".sum")
