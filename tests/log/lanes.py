"""Help for the log's tests: records by number, one lane on a given disk, written and read back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from motorcade.clock import SimulatedClock
from motorcade.config import LogConfig
from motorcade.events import NO_VEHICLE, Record, RecordBatch, Topic
from motorcade.log.active import Group
from motorcade.log.appender import Appender
from motorcade.log.cursors import Place
from motorcade.log.errors import disk_errors
from motorcade.log.files import FileLayer
from motorcade.log.lanes import LaneLock, lock_for_writing, recover_if_unused
from motorcade.log.tail import Tail, earliest_place
from motorcade.log.topics import Lane
from motorcade.log.watermark import Watermark

START_US = 1_760_000_000_000_000
ALL_TOPICS = (1 << 64) - 1
SMALL = LogConfig(partitions=4, segment_bytes_max=4_096, segment_allocate_bytes=2_048)


def record(number: int, *, payload: bytes = b"", topic: Topic | None = None) -> Record:
    """The `number`th record: 1 ms apart, topics and partitions in turn."""
    return Record(
        vehicle=NO_VEHICLE,
        topic=topic or (Topic.TELEMETRY, Topic.ENERGY)[number % 2],
        payload=payload or b"payload %d" % number,
        received_time_us=START_US + 1_000 * number,
        event_time_us=START_US,
        partition=number % 3,
        stream=b"s",
        sequence=number,
    )


def batch(start: int, count: int) -> RecordBatch:
    return RecordBatch.of(record(number) for number in range(start, start + count))


def group(records: RecordBatch, input_cursor: bytes = b"") -> Group:
    times = records.rows["received_time_us"]
    topics = sum(1 << int(topic) for topic in np.unique(records.rows["topic"]))
    return Group(
        records.rows,
        [records.buffer.data],
        len(records.buffer),
        topics,
        (int(times.min()), int(times.max())),
        input_cursor,
    )


@dataclass
class LaneOnDisk:
    """One lane, opened for writing like `EmbeddedLog` does, without a thread."""

    files: FileLayer
    directory: Path
    config: LogConfig = SMALL
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(START_US))

    def open(self) -> Appender:
        with disk_errors(self.directory):
            self.files.make_directory(self.directory.parent)
            self.files.make_directory(self.directory)
        self.lock: LaneLock = lock_for_writing(self.files, self.directory)
        try:
            return Appender(
                self.directory,
                "test",
                Lane.BULK,
                config=self.config,
                clock=self.clock,
                files=self.files,
            )
        except BaseException:
            self.lock.close()
            raise

    def close(self, appender: Appender) -> None:
        appender.close()
        self.lock.close()

    def tail_end(self) -> int:
        """Where the durable bytes of the segment that is written end."""
        return Watermark(self.files, self.directory).read().offset

    def tail(self, place: Place | None = None, topics: int = ALL_TOPICS) -> Tail:
        if place is None:
            recover_if_unused(self.files, self.directory, self.config.partitions)
            place = earliest_place(self.files, self.directory)
        return Tail(self.files, self.directory, place, topics=topics, config=self.config)


def read_on(tail: Tail) -> list[Record]:
    """All that is there now."""
    found: list[Record] = []
    while True:
        chunk = tail.read()
        if not chunk.nbytes:
            return found
        found.extend(chunk.batch)


def numbers(records: Sequence[Record]) -> list[int]:
    return [each.identity[1] for each in records]
