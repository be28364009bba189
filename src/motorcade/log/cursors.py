"""Reader cursors: `Places` to bytes and back, and the consumer groups' files."""

import zlib
from pathlib import Path
from typing import Final

import msgspec

from motorcade.log.errors import CursorError, LogError, disk_errors
from motorcade.log.files import FileLayer, read_bytes
from motorcade.log.port import Cursor

_ENGINE: Final = "embedded/1"
_CURSOR_BYTES_MAX: Final = 1 << 20
_CRC_BYTES: Final = 4


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where one lane is read next: always the start of a frame."""

    segment: int
    offset: int  # 0: the first frame of the segment
    from_time_us: int | None = None  # records before the first one received then are left out


class _Stored(msgspec.Struct, frozen=True):
    engine: str
    places: dict[str, Place]  # by directory, "<writer>-<lane>"
    check: int = 0  # of the places: cursors are kept in files of many kinds, SQLite's among them


def encode_cursor(places: dict[str, Place]) -> Cursor:
    return Cursor(msgspec.json.encode(_Stored(_ENGINE, places, _check(places))))


def _check(places: dict[str, Place]) -> int:
    return zlib.crc32(msgspec.json.encode(places))


def decode_cursor(cursor: Cursor) -> dict[str, Place]:
    """Raises `CursorError` when the bytes are no cursor of this engine, or are damaged."""
    try:
        stored = msgspec.json.decode(cursor, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CursorError(f"not a cursor of the embedded log: {error}; start anew") from error
    if stored.engine != _ENGINE:
        raise CursorError(f"a cursor of {stored.engine!r}, this log is {_ENGINE}; start anew")
    if stored.check != _check(stored.places):
        raise CursorError("the cursor is damaged, its checksum does not match; start anew")
    return stored.places


def _checked(cursor: Cursor) -> bytes:
    return zlib.crc32(cursor).to_bytes(_CRC_BYTES, "little") + cursor


class GroupCursors:
    """One file per consumer group, a CRC-32 before the cursor, replaced atomically and durably."""

    def __init__(self, files: FileLayer, directory: Path) -> None:
        self._files, self._directory = files, directory
        with disk_errors(directory):
            files.make_directory(directory)

    def load(self, consumer_group: str) -> Cursor | None:
        """Raises `CursorError` when the file is damaged, `LogDiskError` when it cannot be read."""
        with disk_errors(self._path(consumer_group)):
            return self._load(consumer_group)

    def _load(self, consumer_group: str) -> Cursor | None:
        try:
            fd = self._files.open(self._path(consumer_group), create=False)
        except FileNotFoundError:
            return None
        try:
            data = read_bytes(self._files, fd, 0, _CURSOR_BYTES_MAX)
        finally:
            self._files.close(fd)
        cursor = Cursor(data.tobytes()[_CRC_BYTES:])
        if data.tobytes() != _checked(cursor):
            raise CursorError(f"{self._path(consumer_group)} is damaged: remove it and start anew")
        return cursor

    def store(self, consumer_group: str, cursor: Cursor) -> None:
        path = self._path(consumer_group)
        temporary = path.with_suffix(".tmp")
        try:
            fd = self._files.open(temporary, create=True)
            try:
                self._files.truncate(fd, 0)
                self._files.write(fd, [_checked(cursor)], 0)
                self._files.sync(fd)
            finally:
                self._files.close(fd)
            self._files.rename(temporary, path)
            self._files.sync_directory(self._directory)
        except OSError as error:
            raise LogError(
                f"{path}: the cursor could not be stored: {error}; the old one stands"
            ) from error

    def _path(self, consumer_group: str) -> Path:
        if not consumer_group.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"consumer group {consumer_group!r}: use letters, digits, - and _")
        return self._directory / f"{consumer_group}.cursor"
