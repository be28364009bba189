"""Files and directories that outlive a power failure. For the car and the cloud alike; no clock.

A file or directory that was made lasts only once the directory that names it is synced, and a
process may end between the two: so the sync comes also where there was nothing to make.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Files(Protocol):
    """A disk, as the log's file layer (`log/files.py`) and its faulty twin in tests have it."""

    def open(self, path: Path, *, create: bool) -> int: ...
    def close(self, fd: int) -> None: ...
    def size(self, fd: int) -> int: ...
    def read(self, fd: int, target: memoryview, offset: int) -> int: ...
    def write(self, fd: int, parts: Sequence[bytes | memoryview], offset: int) -> None: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def sync(self, fd: int) -> None: ...
    def space(self, directory: Path) -> tuple[int, int]: ...
    def names(self, directory: Path) -> list[str]: ...
    def make_directory(self, path: Path) -> None: ...
    def rename(self, source: Path, target: Path) -> None: ...
    def unlink(self, path: Path) -> None: ...
    def sync_directory(self, path: Path) -> None: ...


def make_directory(path: Path) -> None:
    """Make it and its parents where missing, durably; its owner's alone. Raises `OSError`."""
    if not path.parent.is_dir():
        make_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    # Also when it is there: whoever made it may have ended before this.
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Return when the names in it are on disk. Raises `OSError`."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
