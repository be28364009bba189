"""Reader cursors: `Places` to bytes and back, and the consumer groups' files."""

from pathlib import Path
from typing import Final

import msgspec

from motorcade.log.errors import CursorError, LogError, disk_errors
from motorcade.log.files import FileLayer, read_bytes
from motorcade.log.port import Cursor

_ENGINE: Final = "embedded/1"
_CURSOR_BYTES_MAX: Final = 1 << 20


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where one lane is read next: always the start of a frame."""

    segment: int
    offset: int  # 0: the first frame of the segment
    from_time_us: int | None = None  # records before the first one received then are left out


class _Stored(msgspec.Struct, frozen=True):
    engine: str
    places: dict[str, Place]  # by directory, "<writer>-<lane>"


def encode_cursor(places: dict[str, Place]) -> Cursor:
    return Cursor(msgspec.json.encode(_Stored(_ENGINE, places)))


def decode_cursor(cursor: Cursor) -> dict[str, Place]:
    """Raises `CursorError` when the bytes are no cursor of this engine."""
    try:
        stored = msgspec.json.decode(cursor, type=_Stored)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CursorError(f"not a cursor of the embedded log: {error}; start anew") from error
    if stored.engine != _ENGINE:
        raise CursorError(f"a cursor of {stored.engine!r}, this log is {_ENGINE}; start anew")
    return stored.places


class GroupCursors:
    """One file per consumer group, replaced atomically and durably."""

    def __init__(self, files: FileLayer, directory: Path) -> None:
        self._files, self._directory = files, directory
        with disk_errors(directory):
            files.make_directory(directory)

    def load(self, consumer_group: str) -> Cursor | None:
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
        return Cursor(data.tobytes())

    def store(self, consumer_group: str, cursor: Cursor) -> None:
        path = self._path(consumer_group)
        temporary = path.with_suffix(".tmp")
        try:
            fd = self._files.open(temporary, create=True)
            try:
                self._files.truncate(fd, 0)
                self._files.write(fd, [bytes(cursor)], 0)
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
