"""Snapshots on disk: checksummed, replaced atomically, the one before kept.

A file holds a header (magic, version, body length, xxh3-128 of the body) and the body. It is
written beside, synced, then renamed and the directory synced: a crash leaves the old name or the
new one, never half a snapshot under either. A damaged one is skipped, and said so in the log.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog
import xxhash

MAGIC: Final = b"MCLIVE\x00\x01"  # the last byte is the version: another one is not read
KEPT: Final = 2
_HEADER: Final = struct.Struct("<8sQ16s")
_SUFFIX: Final = ".snapshot"
_BESIDE: Final = "writing"

logger = structlog.get_logger(__name__)


class Files(Protocol):
    """What we need of a disk; the log's file layer (`log/files.py`) has it, faults included."""

    def open(self, path: Path, *, create: bool) -> int: ...
    def close(self, fd: int) -> None: ...
    def size(self, fd: int) -> int: ...
    def read(self, fd: int, target: memoryview, offset: int) -> int: ...
    def write(self, fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def sync(self, fd: int) -> None: ...
    def names(self, directory: Path) -> list[str]: ...
    def make_directory(self, path: Path) -> None: ...
    def rename(self, source: Path, target: Path) -> None: ...
    def unlink(self, path: Path) -> None: ...
    def sync_directory(self, path: Path) -> None: ...


class SnapshotStore:
    """The snapshots of one directory, by rising number. One process at a time writes."""

    def __init__(self, directory: Path, files: Files) -> None:
        self._directory, self._files = directory, files

    def save(self, body: bytes) -> None:
        """Write a snapshot durably, then remove all but the newest two.

        Raises:
            OSError: the disk failed; what was saved before is still there.
        """
        try:
            self._save(body)
        except OSError as error:
            text = error.strerror or str(error)
            raise OSError(error.errno, text, str(self._directory)) from error

    def _save(self, body: bytes) -> None:
        self._files.make_directory(self._directory)
        numbers = self._numbers()
        beside = self._directory / _BESIDE
        fd = self._files.open(beside, create=True)
        try:
            header = _HEADER.pack(MAGIC, len(body), xxhash.xxh3_128_digest(body))
            self._files.truncate(fd, 0)
            self._files.write(fd, [header, body], 0)
            self._files.sync(fd)
        finally:
            self._files.close(fd)
        newest = numbers[0] + 1 if numbers else 1
        self._files.rename(beside, self._path(newest))
        self._files.sync_directory(self._directory)
        for number in numbers[KEPT - 1 :]:
            self._files.unlink(self._path(number))

    def load(self) -> Iterator[bytes]:
        """The sound snapshots, newest first."""
        for number in self._numbers():
            path = self._path(number)
            try:
                body = self._read(path)
            except OSError as error:
                logger.warning("state_snapshot_unreadable", file=str(path), error=str(error))
                continue
            if body is None:
                logger.warning("state_snapshot_damaged", file=str(path))
                continue
            yield body

    def _read(self, path: Path) -> bytes | None:
        fd = self._files.open(path, create=False)
        try:
            data = bytearray(self._files.size(fd))
            count = self._files.read(fd, memoryview(data), 0)
        finally:
            self._files.close(fd)
        if count < _HEADER.size:
            return None
        magic, length, digest = _HEADER.unpack_from(data)
        body = bytes(memoryview(data)[_HEADER.size : count])
        sound = magic == MAGIC and len(body) == length
        return body if sound and xxhash.xxh3_128_digest(body) == digest else None

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}{_SUFFIX}"

    def _numbers(self) -> list[int]:
        """Newest first."""
        stems = [n.removesuffix(_SUFFIX) for n in self._files.names(self._directory)]
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)
