"""How much of the disk is left, and for whom: bulk records stop while there is room for the rest.

A full disk hits everything at once: commands, their answers, sessions, the ledger, snapshots. So
records of the bulk lane are refused while a reserve is left, and new commands while a smaller one
is; what belongs to a command under way is never refused. Nothing is remembered: as soon as there
is room again, records are taken again.
"""

from pathlib import Path
from typing import Final

from motorcade.config import LogConfig
from motorcade.log.errors import LogFullError
from motorcade.log.files import FileLayer

SMALL_DISK: Final = 10  # on a small disk, bulk's reserve is at most this part of it
SMALL_DISK_COMMANDS: Final = 100  # ... and that of the commands under way at most this


class DiskSpace:
    """The disk below one directory. Asking costs a system call, some 2 µs."""

    def __init__(self, files: FileLayer, directory: Path, config: LogConfig) -> None:
        self._files, self._directory, self._config = files, directory, config

    def demand_bulk(self) -> None:
        """Raises `LogFullError` while the rest of the disk is kept for commands."""
        free, total = self._files.space(self._directory)
        limit = min(self._config.disk_free_bytes_min, total // SMALL_DISK)
        if free < limit:
            raise LogFullError(
                f"the disk is full: {free} bytes left, the last {limit} are kept for commands "
                "(log.disk_free_bytes_min); free space or lower log.retention_*, "
                "the server goes on by itself"
            )

    def has_room_for_commands(self) -> bool:
        """Whether a new command may begin; those under way need the rest."""
        free, total = self._files.space(self._directory)
        limit = self._config.disk_free_commands_bytes_min
        return free >= min(limit, total // SMALL_DISK_COMMANDS)
