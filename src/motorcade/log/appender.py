"""The writing end of one lane, as plain calls: commit, rotate, retain, close. No thread, no queue.

The life of a frame: rows get their positions, all parts go out in one write that returns when they
are on disk, the watermark moves over them. Whatever fails in a commit, the segment is given up: a
failed sync leaves nobody knowing what is on the disk, so the page cache is not trusted again. The
next commit starts a new segment, whose head says where the old one ends, so that the frame that
failed belongs to nothing. While the disk stays full or broken, each commit tries anew.
"""

import errno
from pathlib import Path

import numpy as np
import structlog

from motorcade.clock import Clock
from motorcade.config import LogConfig
from motorcade.log.active import ActiveSegment, Group
from motorcade.log.counts import LaneCounts
from motorcade.log.errors import LogFullError, LogWriteError, disk_errors
from motorcade.log.files import FileLayer
from motorcade.log.kernels import number_rows
from motorcade.log.recovery import recover
from motorcade.log.retention import Retention
from motorcade.log.segment import SegmentHead, pack_positions
from motorcade.log.space import DiskSpace
from motorcade.log.topics import Lane
from motorcade.log.watermark import Mark, Watermark

logger = structlog.get_logger(__name__)


class Appender:
    """Owns the directory of one (writer, lane), whose lock the caller holds. One thread at a time.

    Raises as `recover` does.
    """

    def __init__(
        self,
        directory: Path,
        writer: str,
        lane: Lane,
        *,
        config: LogConfig,
        clock: Clock,
        files: FileLayer,
    ) -> None:
        self._directory, self._writer, self._lane = directory, writer, lane
        self._config, self._clock, self._files = config, clock, files
        opening = recover(files, directory, config.partitions)
        self.recovered = opening.recovered
        self.input_cursor = opening.input_cursor  # the newest that is durable
        self._next_segment = opening.segment
        self._previous_end = opening.previous_end
        self._positions = opening.positions
        with disk_errors(directory):
            self._watermark = Watermark(files, directory)
        self._space = DiskSpace(files, directory, config)
        self._full = False
        self._retention = Retention(directory, lane, config, files)
        self.counts = LaneCounts()
        self._active: ActiveSegment | None = None
        self._active_since_s = 0.0

    def commit(self, group: Group) -> None:
        """Make the group durable as one frame; `group.rows` then holds the positions.

        Raises:
            LogWriteError: nothing of the group will ever be read. The next commit may succeed.
            LogFullError: of these, because there is no room.
        """
        if self._lane is Lane.BULK:
            self._demand_space()
        began_s = self.counts.begun_s = self._clock.monotonic_s()
        try:
            active = self._active = self._active or self._create()
        except OSError as error:
            self.counts.failed(error)
            raise self._not_durable(group, error) from error
        number_rows(group.rows, self._positions)
        try:
            active.write(group)
        except Exception as error:
            keys = (group.rows["topic"], group.rows["partition"])
            np.subtract.at(self._positions, keys, 1)
            self.counts.failed(error)
            self._give_up(active, error)
            raise self._not_durable(group, error) from error
        self.input_cursor = group.input_cursor or self.input_cursor
        self._watermark.publish(Mark(active.number, active.end))
        nbytes = group.rows.nbytes + group.buffer_bytes
        self.counts.committed(self._clock.monotonic_s() - began_s, len(group.rows), nbytes)
        if self._is_full(active) or self._is_old():
            self.rotate()
            self.housekeep()

    def _demand_space(self) -> None:
        """Raises `LogFullError`; the log of events hears of it once, and once of its end."""
        try:
            self._space.demand_bulk()
        except LogFullError as error:
            if not self._full:
                logger.error("log_disk_full", directory=str(self._directory), error=str(error))
            self._full = True
            self.counts.failed(error)
            raise
        if self._full:
            logger.info("log_disk_has_room_again", directory=str(self._directory))
        self._full = False

    def housekeep(self) -> None:
        """Rotate a segment that is old enough, and let retention act. For when there is time."""
        if self._active is not None and self._is_old():
            self.rotate()
        # The last durable segment stays: it holds the positions.
        kept = self._active.number if self._active else self._next_segment - 1
        try:
            self.counts.retired += self._retention.act(kept, self._clock.now_us())
        except OSError as error:
            logger.error("log_retention_failed", directory=str(self._directory), error=str(error))
        if self.counts.fault and (self._active is None or self._full):
            self._try_again()

    def _try_again(self) -> None:
        """Nobody appends, perhaps because we said that we cannot: find out whether we can again.

        A new segment's head is written and synced, as a commit would be.
        """
        try:
            if self._lane is Lane.BULK:
                self._space.demand_bulk()
            self._active = self._active or self._create()
        except (OSError, LogFullError) as error:
            self.counts.fault = str(error)
        else:
            self.counts.fault = ""

    def rotate(self) -> None:
        """Seal the active segment, if there is one; the next commit starts a new one."""
        active = self._active
        if active is None:
            return
        try:
            active.seal(self._positions, self.input_cursor)
        except OSError as error:  # All frames are durable; the successor's head tells the end.
            logger.error("log_seal_failed", path=str(active.path), error=str(error))
        finally:
            self._leave(active)

    def close(self) -> None:
        """Seal what is open. The lock is the caller's to drop."""
        self.rotate()

    def _create(self) -> ActiveSegment:
        head = SegmentHead(
            writer=self._writer,
            lane=self._lane.value,
            number=self._next_segment,
            partitions=self._config.partitions,
            created_time_us=self._clock.now_us(),
            previous_end=self._previous_end,
            positions=pack_positions(self._positions),
            input_cursor=self.input_cursor,
        )
        self._active_since_s = self._clock.monotonic_s()
        return ActiveSegment(self._files, self._directory, head, config=self._config)

    def _is_full(self, active: ActiveSegment) -> bool:
        config = self._config
        return active.end >= config.segment_bytes_max or active.frames >= config.segment_frames_max

    def _is_old(self) -> bool:
        age_s = self._clock.monotonic_s() - self._active_since_s
        return age_s >= self._config.segment_age_s_max

    def _give_up(self, active: ActiveSegment, error: Exception) -> None:
        """Leave a segment whose last write failed, and look whether it still holds the rest."""
        path = str(active.path)
        logger.error("log_segment_given_up", path=path, end=active.end, error=str(error))
        self.rotate()
        try:
            damaged_at = active.damaged_at()
        except OSError as again:
            logger.error("log_segment_unreadable", path=path, error=str(again))
        else:
            if damaged_at is not None:
                # Readers raise LogCorruptError there; those who have their ack cannot be told.
                logger.critical("log_segment_damaged", path=path, offset=damaged_at)

    def _leave(self, active: ActiveSegment) -> None:
        self._active = None
        self._next_segment = active.number + 1
        self._previous_end = active.end
        active.close()

    def _not_durable(self, group: Group, error: Exception) -> LogWriteError:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = LogFullError if full else LogWriteError
        return kind(
            f"{len(group.rows)} records for {self._directory} are not durable: {error}; "
            "acknowledge none of them; free or mend the disk, the writer goes on by itself"
        )
