"""Reading one lane of one writer, frame by frame, up to its watermark. Opens no socket."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from motorcade.config import LogConfig
from motorcade.events import Bytes, RecordBatch
from motorcade.log.cursors import Place
from motorcade.log.errors import CursorError, LogCorruptError, disk_error, disk_errors
from motorcade.log.files import FileLayer, read_bytes
from motorcade.log.frame import Scan, find_frame, scan_frames
from motorcade.log.gather import gather
from motorcade.log.segment import (
    read_head,
    read_trailer,
    segment_end,
    segment_numbers,
    segment_path,
)
from motorcade.log.watermark import NOTHING, Watermark

logger = structlog.get_logger(__name__)


class Chunk(NamedTuple):
    """What one read gave: whole frames' worth of records, perhaps none of the wanted topics."""

    batch: RecordBatch
    nbytes: int  # read from the file
    more: bool  # whether durable frames are left


_EMPTY = RecordBatch.empty()
_NOTHING = Chunk(_EMPTY, 0, False)


class Tail:
    """A place in one lane, moving forward."""

    def __init__(
        self,
        files: FileLayer,
        directory: Path,
        place: Place,
        *,
        topics: int,
        config: LogConfig,
    ) -> None:
        self._files, self._directory, self._config = files, directory, config
        self._topics = topics  # bit set of the wanted ones
        self._segment, self._offset = place.segment, place.offset
        self._from_time_us = place.from_time_us
        with disk_errors(directory):
            self._watermark = Watermark(files, directory)
        self._fd: int | None = None
        self._skip_head = False
        self._refused_bytes = 0  # of a whole frame here whose rows were refused

    @property
    def place(self) -> Place:
        return Place(self._segment, self._offset, self._from_time_us)

    def read(self) -> Chunk:
        """Read on, at most about `log.reader_chunk_bytes`, at least a frame if there is one.

        Raises:
            LogCorruptError: damaged bytes where durable frames were. `skip_damage` goes past them.
            CursorError: retention has removed what comes next.
            LogDiskError: the disk failed; the next read starts from the same place.
        """
        try:
            return self._read()
        except OSError as error:
            raise disk_error(segment_path(self._directory, self._segment), error) from error

    def _read(self) -> Chunk:
        limit = self._limit()
        if limit <= self._offset:
            return _NOTHING
        assert self._fd is not None  # `_limit` opened it.
        left = limit - self._offset
        size = min(left, self._config.reader_chunk_bytes, self._config.reader_bytes_max)
        data, scan = self._scan(self._fd, size)
        while not scan.frames and len(data) < scan.missing <= left:
            data, scan = self._scan(self._fd, scan.missing)
        if not scan.frames:
            beyond = f"a frame of {scan.missing} bytes reaches beyond the durable end"
            raise self._corrupt(scan.damage or beyond, limit)
        wanted = [frame for frame in scan.frames if frame.topics & self._topics]
        batch, used = _EMPTY, scan.used
        if wanted:
            batch, read = gather(data, wanted, self._topics)
            if read < len(wanted):
                used = wanted[read].start
                if used == 0:
                    self._refused_bytes = wanted[0].total_bytes
                    raise self._corrupt("a record lies outside of its frame", limit)
        self._offset += used
        more = self._watermark.read() != (self._segment, self._offset)
        return Chunk(self._later(batch), used, more)

    def skip_damage(self) -> None:
        """Go on at the next valid frame after the damage that `read` raised for, if it did."""
        with disk_errors(segment_path(self._directory, self._segment)):
            self._skip_damage()

    def _skip_damage(self) -> None:
        self._skip_head = self._offset == 0
        limit = self._limit()
        self._skip_head = False
        if limit <= self._offset:
            return
        assert self._fd is not None
        data = read_bytes(self._files, self._fd, self._offset, limit - self._offset)
        behind, self._refused_bytes = self._refused_bytes, 0
        found = find_frame(data[behind:], self._segment, self._offset + behind)
        if found is not None:
            found += behind
        skipped = len(data) if found is None else found
        path = str(segment_path(self._directory, self._segment))
        logger.error("log_damage_skipped", path=path, offset=self._offset, bytes=skipped)
        self._offset = limit if found is None else self._offset + found

    def close(self) -> None:
        if self._fd is not None:
            self._files.close(self._fd)
            self._fd = None

    def _scan(self, fd: int, size: int) -> tuple[Bytes, Scan]:
        data = read_bytes(self._files, fd, self._offset, size)
        return data, scan_frames(data, self._segment, self._offset)

    def _later(self, batch: RecordBatch) -> RecordBatch:
        """Leave out what comes before the first record of the instant to start at."""
        if self._from_time_us is None or len(batch) == 0:
            return batch
        late = batch.rows["received_time_us"] >= self._from_time_us
        first = int(np.argmax(late))
        if not late[first]:
            return RecordBatch.empty()
        self._from_time_us = None
        return RecordBatch(batch.rows[first:], batch.buffer)

    def _limit(self) -> int:
        """Where the durable frames of the current segment end; moves on when it is read out."""
        while True:
            mark = self._watermark.read()
            if mark.segment < self._segment:
                if self._offset > 0:
                    raise self._lost("is not in this log")
                return 0
            if not self._open():
                continue
            sealed = mark.segment > self._segment
            end = self._sealed_end() if sealed else mark.offset
            if self._offset > end:
                raise self._lost(f"ends at {end}, before the cursor's {self._offset}")
            if self._offset < end or not sealed:
                return end
            self._advance()

    def _open(self) -> bool:
        """Have the current segment open. False: it is gone, but nothing was left of it to read."""
        if self._fd is not None:
            return True
        path = segment_path(self._directory, self._segment)
        try:
            fd = self._files.open(path, create=False)
        except FileNotFoundError:
            if not self._was_read_out():
                raise self._lost("was removed by retention") from None
            self._advance()
            return False
        self._fd = fd
        if self._offset == 0:  # Else the frames speak for themselves.
            self._offset = self._first(fd, path)
        return True

    def _first(self, fd: int, path: Path) -> int:
        """Where the first frame starts."""
        head = read_head(self._files, fd)
        if head is not None:
            return head[1]
        if not self._skip_head:
            self.close()
            raise LogCorruptError(
                f"{path}: the head is damaged; restore it from a copy, or call skip_damage() to go "
                "on at the first whole frame"
            )
        self._skip_head = False
        mark = self._watermark.read()
        end = self._sealed_end() if mark.segment > self._segment else mark.offset
        first = find_frame(read_bytes(self._files, fd, 0, end), self._segment, 0)
        return end if first is None else first

    def _was_read_out(self) -> bool:
        """Whether the missing segment ended just where we are, as its successor tells."""
        path = segment_path(self._directory, self._segment + 1)
        try:
            fd = self._files.open(path, create=False)
        except FileNotFoundError:
            return False
        try:
            head = read_head(self._files, fd)
        finally:
            self._files.close(fd)
        return head is not None and head[0].previous_end == self._offset

    def _sealed_end(self) -> int:
        assert self._fd is not None
        end = segment_end(self._files, self._directory, self._segment, self._fd)
        if end is None:
            raise self._lost("and its successor were removed by retention")
        return end

    def _advance(self) -> None:
        self.close()
        self._segment, self._offset = self._segment + 1, 0

    def _lost(self, why: str) -> CursorError:
        path = segment_path(self._directory, self._segment)
        return CursorError(
            f"{path} {why}; start from Edge.EARLIEST, or from a time, to read what there is"
        )

    def _corrupt(self, why: str, limit: int) -> LogCorruptError:
        path = segment_path(self._directory, self._segment)
        return LogCorruptError(
            f"{path}: {why} at offset {self._offset}, of {limit} durable bytes; restore the file "
            "from a copy, or call skip_damage() to go on at the next whole frame"
        )


def place_at(files: FileLayer, directory: Path, time_us: int) -> Place:
    """The place from which every record received at or after `time_us` follows.

    The first segment that may hold one: a foot tells, and one without a foot may.
    """
    with disk_errors(directory):
        return _place_at(files, directory, time_us)


def _place_at(files: FileLayer, directory: Path, time_us: int) -> Place:
    numbers = segment_numbers(files, directory)
    for number in numbers:
        fd = files.open(segment_path(directory, number), create=False)
        try:
            trailer = read_trailer(files, fd)
        finally:
            files.close(fd)
        if trailer is None or trailer.time_us_max >= time_us:
            return Place(number, 0, time_us)
    return Place(numbers[-1] if numbers else 1, 0, time_us)


def earliest_place(files: FileLayer, directory: Path) -> Place:
    """The first segment that retention has left."""
    with disk_errors(directory):
        numbers = segment_numbers(files, directory)
    return Place(numbers[0] if numbers else 1, 0)


def latest_place(files: FileLayer, directory: Path) -> Place:
    """What is durable now."""
    with disk_errors(directory):
        mark = Watermark(files, directory).read()
    return earliest_place(files, directory) if mark == NOTHING else Place(*mark)
