"""Reads the log as history does: duplicates dropped, decoded, numbered. The writer and the tail.

All topics of telemetry's lane are read, because a sender's sequence runs over all of them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from motorcade.config import Config
from motorcade.durable import Files
from motorcade.events import RecordBatch, Topic
from motorcade.history.manifest import Manifest, Reading, load_reading
from motorcade.history.samples import SampleReader, Samples
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.port import Cursor, Edge, Log, LogReader
from motorcade.log.topics import TOPICS
from motorcade.signals.plain import DecodeCounts

LANE: Final = frozenset(
    topic for topic, row in TOPICS.items() if row.lane is TOPICS[Topic.TELEMETRY].lane
)

_log = structlog.get_logger()


class Deduplicator(Protocol):
    """The first operator of every reader: `streams/dedup.py`."""

    def keep(self, batch: RecordBatch, writer: str) -> npt.NDArray[np.bool_]: ...
    def snapshot(self) -> bytes: ...
    def restore(self, saved: bytes) -> None: ...


MakeDedup = Callable[[], Deduplicator]


class LogReading:
    """One reading of the log from a cursor on. Used by one thread at a time."""

    def __init__(
        self,
        log: Log,
        config: Config,
        make_dedup: MakeDedup,
        *,
        cursor: bytes,
        order: int,
        reading: Reading | None,
    ) -> None:
        """Goes on where `cursor` and `reading` were saved together; from the start without."""
        self._log = log
        self._dedup = make_dedup()
        self._samples = SampleReader(config)
        if reading is not None:
            self._dedup.restore(reading.dedup)
            self._samples.restore(reading.names)
        self.cursor = cursor
        self.order = order
        self.records = self.duplicates = self.gaps = 0
        self.newest_us = 0  # received time of the newest record read
        self._reader = self._open()

    @property
    def counts(self) -> DecodeCounts:
        return self._samples.counts

    def name_of(self, signal: int) -> str:
        return self._samples.names.name_of(signal)

    def poll(self) -> tuple[list[Samples], int]:
        """What has come, without waiting, at most about `log.reader_bytes_max`; and its bytes."""
        try:
            slices = self._reader.poll(0.0)
        except LogCorruptError as error:
            self.gaps += 1
            _log.error("history_records_lost", error=str(error))
            self._reader.skip_damage()
            return [], 1
        except CursorError as error:
            self.gaps += 1
            _log.error("history_records_lost", error=str(error))
            self._reader.close()
            self._reader = self._log.reader(LANE, Edge.EARLIEST)
            return [], 1
        found, size = [], 0
        for part in slices:
            keep = self._dedup.keep(part.batch, part.writer)
            kept = int(np.count_nonzero(keep))
            batch = part.batch if kept == len(keep) else part.batch.select(keep)
            samples = self._samples.read(batch, self.order)
            if len(samples):
                found.append(samples)
            self.order += kept
            self.records += len(keep)
            self.duplicates += len(keep) - kept
            self.newest_us = int(part.batch.rows["received_time_us"][-1])
            size += part.batch.buffer.nbytes + part.batch.rows.nbytes
        if slices:
            self.cursor = slices[-1].cursor
        return found, size

    def save(self) -> Reading:
        """What a reading from `cursor` needs."""
        return Reading(self._dedup.snapshot(), self._samples.names.snapshot())

    def close(self) -> None:
        self._reader.close()

    def _open(self) -> LogReader:
        if not self.cursor:
            return self._log.reader(LANE, Edge.EARLIEST)
        try:
            return self._log.reader(LANE, Cursor(self.cursor))
        except CursorError as error:
            # Read again from the oldest: what has an identity is dropped as a duplicate, the rest
            # says the same of the same instant once more, and reading shows that once.
            self.gaps += 1
            _log.error("history_restarts_at_oldest", error=str(error))
            return self._log.reader(LANE, Edge.EARLIEST)


def reading_after(
    known: Manifest,
    files: Files,
    directory: Path,
    log: Log,
    config: Config,
    make_dedup: MakeDedup,
) -> LogReading:
    """Reads on where the files of this manifest end. Raises `HistoryDamagedError` and `OSError`."""
    saved = load_reading(files, directory, known.reading) if known.reading else None
    return LogReading(
        log, config, make_dedup, cursor=known.cursor, order=known.next_order, reading=saved
    )
