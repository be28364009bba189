"""What a segment without a foot holds: its frames, its damage, where its valid bytes end. No IO."""

from typing import Final

import numpy as np

from motorcade.events import Bytes, Rows
from motorcade.log.frame import Frame, find_frame, scan_frames
from motorcade.log.gather import gather
from motorcade.log.segment import TOPIC_ROWS, Positions, SegmentFoot, Trailer, pack_positions

_ALL_TOPICS: Final = (1 << TOPIC_ROWS) - 1
_TIME_MAX: Final = (1 << 63) - 1


class Survey:
    """Adds up the frames of segment `number` in `data`, the whole file, from `start` on.

    A writer has one frame on its way to the disk at most, so bytes that are no frame are either the
    torn tail of an unfinished commit, when nothing valid follows and the watermark (`durable`) had
    not passed them, or damage to bytes that were durable.
    """

    def __init__(
        self, data: Bytes, number: int, start: int, *, durable: int, positions: Positions
    ) -> None:
        self.number = number
        self.end = start  # where the valid bytes end; damage before it is counted as valid
        self.damage: list[tuple[int, int]] = []
        self.input_cursor = b""
        self._opened = int(positions.sum())
        self._positions = positions.copy()
        self._records = 0
        self._times = (_TIME_MAX, -_TIME_MAX)
        self._walk(data, durable)
        self.bytes_torn = _used(data[self.end :])

    @property
    def positions(self) -> Positions:
        """The next position of each (topic, partition)."""
        return self._positions

    @property
    def records_lost(self) -> int:
        """How many positions the damage took, as far as the frames after it tell."""
        return int(self._positions.sum()) - self._opened - self._records

    def foot(self, input_cursor: bytes) -> tuple[SegmentFoot, Trailer]:
        """What seals the segment. `input_cursor` stands when no frame has one."""
        foot = SegmentFoot(
            number=self.number,
            positions=pack_positions(self._positions),
            input_cursor=self.input_cursor or input_cursor,
            damage=self.damage,
        )
        return foot, Trailer(self.number, self.end, self._records, *self._times)

    def _walk(self, data: Bytes, durable: int) -> None:
        while self.end < len(data):
            scan = scan_frames(data[self.end :], self.number, self.end)
            self._count(data[self.end :], scan.frames)
            self.end += scan.used
            following = find_frame(data[self.end :], self.number, self.end)
            if following is not None:
                self._skip(self.end + following)
            elif self.end < durable:
                self._skip(durable)
            else:
                return

    def _skip(self, end: int) -> None:
        self.damage.append((self.end, end))
        self.end = end

    def _count(self, data: Bytes, frames: list[Frame]) -> None:
        rows = gather(data, frames, _ALL_TOPICS).batch.rows
        if not self._are_possible(frames, rows):
            frames = self._without_impossible(data, frames)
            rows = gather(data, frames, _ALL_TOPICS).batch.rows
        if not frames:
            return
        keys = (rows["topic"], rows["partition"])
        np.maximum.at(self._positions, keys, rows["position"] + 1)
        self._records += len(rows)
        times = rows["received_time_us"]
        low, high = self._times
        self._times = (min(low, int(times.min())), max(high, int(times.max())))
        for frame in frames:
            if frame.cursor_bytes:
                cursor = data[frame.cursor_start : frame.cursor_start + frame.cursor_bytes]
                self.input_cursor = cursor.tobytes()

    def _without_impossible(self, data: Bytes, frames: list[Frame]) -> list[Frame]:
        """The frames that can be; the others are damage."""
        possible = []
        for frame in frames:
            if self._are_possible([frame], gather(data, [frame], _ALL_TOPICS).batch.rows):
                possible.append(frame)
            else:
                start = self.end + frame.start
                self.damage.append((start, start + frame.total_bytes))
        return possible

    def _are_possible(self, frames: list[Frame], rows: Rows) -> bool:
        """Whether a writer of this lane can have made them: a right checksum does not tell.

        `gather` may leave out rows whose topic is none, and stops where one lies outside of its
        frame.
        """
        return bool(
            all(frame.records for frame in frames)
            and len(rows) == sum(frame.records for frame in frames)
            and (rows["topic"] < TOPIC_ROWS).all()
            and (rows["partition"] < self._positions.shape[1]).all()
            and (rows["position"] >= 0).all()
            and (rows["position"] < _TIME_MAX).all()
        )


def _used(data: Bytes) -> int:
    """Bytes up to the last one that is not zero: preallocated space is no loss."""
    kept = np.flatnonzero(data)
    return int(kept[-1]) + 1 if len(kept) else 0
