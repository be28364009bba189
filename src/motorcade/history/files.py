"""How a file of history comes to last.

A file is written beside under a name that ends in `.tmp`, synced in steps (one long sync would hold
up the log's), renamed, and its directory synced; what names it is written after that.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

from motorcade.durable import Files
from motorcade.history.errors import HistoryDamagedError

STEP_BYTES: Final = 4 << 20  # synced at once
BESIDE: Final = ".tmp"
SUM_BYTES: Final = 8


class NewFile:
    """A file that is being written; what Arrow takes for a file, too. Raises `OSError`."""

    def __init__(self, files: Files, path: Path) -> None:
        self._files, self._path = files, path
        self._beside = path.with_name(path.name + BESIDE)
        self._fd = files.open(self._beside, create=True)
        self._written = self._unsynced = 0
        self.closed = False
        files.truncate(self._fd, 0)  # left over from a process that was killed

    def write(self, data: bytes | memoryview) -> int:
        part = memoryview(data)
        self._files.write(self._fd, [part], self._written)
        self._written += part.nbytes
        self._unsynced += part.nbytes
        if self._unsynced >= STEP_BYTES:
            self._sync()
        return part.nbytes

    def tell(self) -> int:
        return self._written

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Called by Arrow, too, which knows nothing of `finish`: keeps the file open."""

    def finish(self) -> int:
        """Put it on disk under its name, but for the directory's sync; its bytes."""
        self._sync()
        self._release()
        self._files.rename(self._beside, self._path)
        return self._written

    def abandon(self) -> None:
        """Leave it beside; the next start removes it."""
        self._release()

    def _release(self) -> None:
        if not self.closed:
            self.closed = True
            self._files.close(self._fd)

    def _sync(self) -> None:
        self._files.sync(self._fd)
        self._unsynced = 0


def write_file(files: Files, path: Path, body: bytes) -> None:
    """Replace `path` by these bytes, durably but for the directory's sync. Raises `OSError`."""
    new = NewFile(files, path)
    try:
        new.write(body)
        new.finish()
    except BaseException:
        new.abandon()
        raise


def write_summed(files: Files, path: Path, body: bytes) -> None:
    """`write_file` with the body's xxh3-64 before it."""
    write_file(files, path, xxhash.xxh3_64_digest(body) + body)


def summed_body(data: bytes, name: str) -> bytes:
    """What follows the sum. Raises `HistoryDamagedError`, naming the file."""
    body = data[SUM_BYTES:]
    if len(data) < SUM_BYTES or data[:SUM_BYTES] != xxhash.xxh3_64_digest(body):
        raise HistoryDamagedError(f"{name} is damaged: restore the folder from a backup")
    return body


def read_file(files: Files, path: Path, bytes_max: int | None = None, offset: int = 0) -> bytes:
    """All of it, or so many bytes at most, from `offset` on. Raises `OSError`."""
    fd = files.open(path, create=False)
    try:
        size = files.size(fd) if bytes_max is None else min(bytes_max, files.size(fd))
        target: npt.NDArray[np.uint8] = np.empty(size, np.uint8)
        return target[: files.read(fd, target.data, offset)].tobytes()
    finally:
        files.close(fd)
