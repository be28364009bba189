"""The records of all writers from some place on, merged in the order in which they arrived.

A record's **arrival** is the greatest received time of its lane up to it: so arrivals never fall,
whatever clocks and retries do, and "what had arrived by T" is a beginning of each lane, as a live
reader has it. A received time ahead of now is of a clock that was wrong; the arrival before stands.
Equal arrivals go by the lane's name. The order does not depend on how the lanes are cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import structlog

from motorcade.events import RecordBatch, Topic
from motorcade.log.errors import LogCorruptError
from motorcade.log.port import Cursor, LogReader, LogSlice, Start

BEFORE: Final = -(1 << 63)

logger = structlog.get_logger(__name__)


class LaneLog(Protocol):
    """A log whose lanes can be read one by one."""

    def lanes(self, topics: frozenset[Topic]) -> Sequence[str]: ...
    def is_whole(self, topics: frozenset[Topic]) -> bool: ...
    def reader(
        self, topics: frozenset[Topic], start: Start, *, lane: str | None = None
    ) -> LogReader: ...


class Part(NamedTuple):
    """Records in the order of their arrival."""

    batch: RecordBatch
    writers: tuple[str, ...]
    writer_of: npt.NDArray[np.intp] | None  # index in `writers` per row; None: all of the first
    arrivals: npt.NDArray[np.int64]


@dataclass(slots=True)
class LanePlace:
    """How far one lane was read: what a later reading goes on from."""

    start: Start
    arrival_us: int = BEFORE  # of the last record read
    rest: list[tuple[LogSlice, npt.NDArray[np.int64]]] = field(default_factory=list)
    """Read and not given yet: slices with their records' arrivals."""


class Merging:
    """One reading; `places` holds where it stands, a value for each lane."""

    def __init__(
        self,
        log: LaneLog,
        topics: frozenset[Topic],
        start: Start,
        now_us: int,
        places: Mapping[str, LanePlace] | None = None,
    ) -> None:
        """From `start`, but lanes of `places` from there.

        Raises:
            CursorError: `start` is of another log, or retention removed what it points at.
        """
        self._now_us = now_us
        self.places: dict[str, LanePlace] = {}
        self._readers: dict[str, LogReader] = {}
        try:
            for name in log.lanes(topics):
                known = places.get(name) if places else None
                place = known if known is not None else LanePlace(start)
                self.places[name] = place
                self._readers[name] = log.reader(topics, place.start, lane=name)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for reader in self._readers.values():
            reader.close()

    def parts(self, until_us: int) -> Iterator[Part]:
        """What arrived by `until_us`, up to what is durable now. May be called again for later.

        Raises:
            CursorError: retention removed what comes next.
            LogError: the disk failed.
        """
        open_lanes = set(self.places)
        while True:
            for name in sorted(open_lanes):
                if not self._load(name):
                    open_lanes.discard(name)
            loaded = [name for name in sorted(self.places) if self.places[name].rest]
            part = self._take(loaded, until_us) if loaded else None
            if part is None:
                return
            yield part

    def first_us(self) -> int | None:
        """When the first of the records arrived that are to come; `None` without any."""
        firsts = [int(self.places[name].rest[0][1][0]) for name in self.places if self._load(name)]
        return min(firsts, default=None)

    def _load(self, name: str) -> bool:
        """Have something of the lane at hand; whether there is."""
        place, reader = self.places[name], self._readers[name]
        while not place.rest:
            try:
                slices = reader.poll(0.0)
            except LogCorruptError as error:
                logger.error("past_records_lost", error=str(error))
                reader.skip_damage()
                continue
            if not slices:
                place.start = reader.cursor
                return False
            for part in slices:
                arrivals = self._arrivals(part.batch, place)
                place.rest.append((part, arrivals))
            place.start = Cursor(slices[-1].cursor)
        return True

    def _arrivals(self, batch: RecordBatch, place: LanePlace) -> npt.NDArray[np.int64]:
        received_us = batch.rows["received_time_us"].astype(np.int64)
        received_us[received_us > self._now_us] = BEFORE
        received_us[0] = max(int(received_us[0]), place.arrival_us)
        arrivals = np.maximum.accumulate(received_us)
        place.arrival_us = int(arrivals[-1])
        return arrivals

    def _take(self, loaded: list[str], until_us: int) -> Part | None:
        """The next records whose order is known; `None` when the others arrived later."""
        bound_us, last = min(
            (int(self.places[name].rest[0][1][-1]), place) for place, name in enumerate(loaded)
        )
        if bound_us > until_us:
            bound_us, last = until_us, len(loaded)
        taken: list[tuple[str, RecordBatch, npt.NDArray[np.int64]]] = []
        for place, name in enumerate(loaded):
            rest = self.places[name].rest
            part, arrivals = rest[0]
            # A later lane's equal arrivals wait: the lane that ends here may have more of them.
            side = "right" if place <= last else "left"
            count = int(np.searchsorted(arrivals, bound_us, side))  # type: ignore[call-overload]
            if not count:
                continue
            taken.append((part.writer, _rows(part.batch, 0, count), arrivals[:count]))
            if count == len(arrivals):
                rest.pop(0)
            else:
                left = _rows(part.batch, count, len(arrivals))
                rest[0] = (LogSlice(part.writer, part.lane, left, b""), arrivals[count:])  # type: ignore[arg-type]
        if not taken:
            return None
        if len(taken) == 1:
            writer, batch, arrivals = taken[0]
            return Part(batch, (writer,), None, arrivals)
        arrivals = np.concatenate([arrivals for _, _, arrivals in taken])
        order = np.argsort(arrivals, kind="stable")
        joined = RecordBatch.concat([batch for _, batch, _ in taken])
        of_lane = np.repeat(np.arange(len(taken)), [len(batch) for _, batch, _ in taken])
        writers = tuple(writer for writer, _, _ in taken)
        return Part(joined.select(order), writers, of_lane[order], arrivals[order])


def _rows(batch: RecordBatch, first: int, last: int) -> RecordBatch:
    return RecordBatch(batch.rows[first:last], batch.buffer)
