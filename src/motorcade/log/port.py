"""The log's promises: order, durability, cursors, limits, errors. Engines keep them, callers rely.

1. **Durable.** The future of `append` resolves only when every record of the batch is on disk
   (embedded: written and fdatasync'ed; Kafka: acks=all). It fails with `LogWriteError` otherwise,
   and then the caller must not acknowledge anything. A batch is taken whole or not at all.
2. **Order.** Appends of one writer are stored in the order of the calls. Positions are dense and
   strictly increasing per (writer, topic, partition), also across restarts. Readers see the
   records of one (writer, topic, partition) in the order of position, and never an undurable one.
3. **Resume.** A `Cursor` is opaque, of one engine, and stays valid until retention removes what it
   points at; reading from it gives every later record once and no earlier one.
4. **Limits.** `append` never blocks and never drops: past `log.queue_bytes_max` it raises
   `LogBusyError` having taken nothing. `poll` returns at most about `log.reader_bytes_max`.
5. **Single writer.** One process at a time holds a (writer name, lane): a second is refused, or,
   where an engine cannot tell a dead writer from a slow one (Kafka), the newest wins and every
   append of the older fails with `LogWriteError` from then on. Never do two write.

Duplicates of senders are not the log's business: the first operator of every reader removes them
(`streams/dedup.py`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import NewType, Protocol

from motorcade.events import RecordBatch, Topic
from motorcade.log.topics import Lane

Cursor = NewType("Cursor", bytes)


class Edge(Enum):
    """Where a reader without a cursor starts."""

    EARLIEST = "earliest"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class AtTime:
    """Start at the first record received at or after this instant, per writer and lane."""

    received_time_us: int


Start = Cursor | Edge | AtTime


class LogSlice:
    """What one poll gives: records of one writer and lane, in order, and where to go on."""

    __slots__ = ("_cursor", "batch", "lane", "writer")

    def __init__(
        self, writer: str, lane: Lane, batch: RecordBatch, cursor: Cursor | Callable[[], Cursor]
    ) -> None:
        """`cursor` may be a function: half of those who read records never ask where to go on."""
        self.writer, self.lane, self.batch = writer, lane, batch
        self._cursor = cursor

    @property
    def cursor(self) -> Cursor:
        """Of the whole reader, after this slice."""
        if callable(self._cursor):
            self._cursor = self._cursor()
        return self._cursor


class LogWriter(Protocol):
    """The single writer of one (name, lane). Thread-safe."""

    def append(self, batch: RecordBatch) -> Future[RecordBatch]:
        """Take a batch; the future gives it back with `position` filled in, once it is durable.

        The caller leaves the arrays alone until then: they may be written without a copy. All
        records belong to topics of this writer's lane; `partition` is set by the caller.

        Raises:
            LogBusyError: the queue is full, nothing was taken.
            LogClosedError: after `close`.
        """

    def close(self) -> None:
        """Commit what was taken, then release the files. Blocks until done."""


class LogReader(Protocol):
    """Reads chosen topics of all writers, tailing. Used by one thread at a time."""

    @property
    def cursor(self) -> Cursor:
        """Where the next `poll` starts."""

    @property
    def doorbell_fd(self) -> int | None:
        """Becomes readable when a writer has committed; `poll` clears it. None: poll on a timer."""

    def poll(self, timeout_s: float) -> Sequence[LogSlice]:
        """Return what is there; wait up to `timeout_s` for the first record when nothing is.

        Raises:
            LogCorruptError: damage at rest. The reader can go on past it after `skip_damage`.
            CursorError: retention removed what the cursor pointed at.
            LogDiskError: the disk failed; the next poll starts from the same place.
        """

    def skip_damage(self) -> None:
        """Go on behind the damage that `poll` last raised for; without any, do nothing."""

    def close(self) -> None:
        """Release files and doorbell."""


class Log(Protocol):
    """One log of one deployment: opens writers and readers, keeps cursors per consumer group."""

    def writer(self, name: str, lane: Lane) -> LogWriter:
        """Open for writing. Recovers a torn tail first. Raises `LogError` when already held."""

    def reader(self, topics: frozenset[Topic], start: Start) -> LogReader:
        """Open for reading. Writers that appear later are picked up while tailing."""

    def end(self, topics: frozenset[Topic]) -> Cursor:
        """The cursor of what is durable now: reading from it gives only what comes later."""

    def load_cursor(self, consumer_group: str) -> Cursor | None:
        """The group's stored cursor, `None` if it has none."""

    def store_cursor(self, consumer_group: str, cursor: Cursor) -> None:
        """Store the group's cursor durably and atomically."""

    def close(self) -> None:
        """Close what this object opened."""
