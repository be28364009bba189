"""Whether the disk has room for history. The log needs it more: what it refuses is lost.

So history stops well before the log does (`log/space.py`). It waits without losing anything: what
it has not written is in the log, as long as that is kept.
"""

from pathlib import Path
from typing import Final

from motorcade.config import HistoryConfig
from motorcade.durable import Files

SMALL_DISK: Final = 5  # on a small disk, at most this part of it is left; bulk leaves a tenth


class Room:
    """The disk below one directory."""

    def __init__(self, files: Files, directory: Path, limits: HistoryConfig) -> None:
        self._files, self._directory, self._limits = files, directory, limits

    def missing(self, size: int = 0) -> str:
        """Why `size` bytes must not be written now; "": they may be. Raises `OSError`."""
        free, total = self._files.space(self._directory)
        least = min(self._limits.disk_free_bytes_min, total // SMALL_DISK)
        if free - size >= least:
            return ""
        return (
            f"{free} bytes are free, {size} are to be written, and the last {least} are left to "
            "the log (history.disk_free_bytes_min)"
        )
