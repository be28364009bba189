"""Directories whose names outlive a power failure. For the car and the cloud alike; no clock.

A file or directory that was made lasts only once the directory that names it is synced, and a
process may end between the two: so the sync comes also where there was nothing to make.
"""

import contextlib
import os
from pathlib import Path


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
