"""Retention of one lane: whole segments go, oldest first, by age and by bytes."""

from pathlib import Path
from typing import NamedTuple

import structlog

from motorcade.config import LogConfig
from motorcade.log.files import FileLayer
from motorcade.log.segment import read_trailer, segment_numbers, segment_path
from motorcade.log.topics import Lane

logger = structlog.get_logger(__name__)


class _Size(NamedTuple):
    bytes: int
    time_us_max: int | None  # None: it has no foot, its successor's time stands for it


class Retention:
    """Remembers the sizes of sealed segments: they never change, so looking again is cheap."""

    def __init__(self, directory: Path, lane: Lane, config: LogConfig, files: FileLayer) -> None:
        self._directory, self._files = directory, files
        bulk = lane is Lane.BULK
        self._age_s = config.retention_bulk_age_s if bulk else config.retention_fast_age_s
        self._bytes_max = config.retention_bulk_bytes if bulk else config.retention_fast_bytes
        self._sizes: dict[int, _Size] = {}

    def act(self, kept: int, now_us: int) -> int:
        """Delete what is too old or too much of the segments before number `kept`; how many."""
        numbers = segment_numbers(self._files, self._directory)
        sealed = [number for number in numbers if number < kept]
        for number in sealed:
            if number not in self._sizes:
                self._sizes[number] = self._look(number)
        total = sum(self._sizes[number].bytes for number in sealed)
        oldest_us = now_us - self._age_s * 1_000_000
        for index, number in enumerate(sealed):
            times = (self._sizes[later].time_us_max for later in sealed[index:])
            time_us_max = next((time for time in times if time is not None), now_us)
            if total <= self._bytes_max and time_us_max >= oldest_us:
                return index
            total -= self._sizes.pop(number).bytes
            self._delete(number)
        return len(sealed)

    def _look(self, number: int) -> _Size:
        fd = self._files.open(segment_path(self._directory, number), create=False)
        try:
            trailer = read_trailer(self._files, fd)
            return _Size(self._files.size(fd), trailer.time_us_max if trailer else None)
        finally:
            self._files.close(fd)

    def _delete(self, number: int) -> None:
        # Synced one by one, so that no crash leaves a hole in the middle of the numbers.
        self._files.unlink(segment_path(self._directory, number))
        self._files.sync_directory(self._directory)
        logger.info("log_segment_retired", directory=str(self._directory), segment=number)
