"""Snapshots on disk: checksummed, replaced atomically, the one before kept.

Each is a sealed file (`sealed.py`). A damaged one is skipped, and said so in the log.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from motorcade.durable import Files
from motorcade.state.sealed import read_sealed, write_sealed

MAGIC: Final = b"MCLIVE\x00\x01"
KEPT: Final = 2
_SUFFIX: Final = ".snapshot"

logger = structlog.get_logger(__name__)


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
        newest = numbers[0] + 1 if numbers else 1
        write_sealed(self._files, self._path(newest), MAGIC, body)
        for number in numbers[KEPT - 1 :]:
            self._files.unlink(self._path(number))

    def load(self) -> Iterator[bytes]:
        """The sound snapshots, newest first."""
        for number in self._numbers():
            path = self._path(number)
            try:
                body = read_sealed(self._files, path, MAGIC)
            except OSError as error:
                logger.warning("state_snapshot_unreadable", file=str(path), error=str(error))
                continue
            if body is None:
                logger.warning("state_snapshot_damaged", file=str(path))
                continue
            yield body

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}{_SUFFIX}"

    def _numbers(self) -> list[int]:
        """Newest first."""
        stems = [n.removesuffix(_SUFFIX) for n in self._files.names(self._directory)]
        return sorted((int(stem) for stem in stems if stem.isdecimal()), reverse=True)
