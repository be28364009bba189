"""The writer that callers see: a queue, a thread, futures. The work is `appender.py`'s.

Group commit adapts by itself: while one commit is on its way to the disk, appends queue up, and the
next commit takes them all. One append alone is written from the caller's arrays; several become one
frame, of which only the rows are copied.

Where the log lies in memory a sync waits for nothing, and two switches of threads would be most of
a small commit: up to `log.inline_bytes_max` its caller's thread makes it, if nobody else is at it.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

import numpy as np
import structlog

from motorcade.config import LogConfig
from motorcade.events import RECORD_DTYPE, RecordBatch
from motorcade.log.active import Group
from motorcade.log.appender import Appender
from motorcade.log.counts import LaneCounts
from motorcade.log.errors import LogBusyError, LogClosedError, LogError, LogWriteError
from motorcade.log.files import PARTS_MAX
from motorcade.log.kernels import check_rows
from motorcade.log.recovery import Recovered
from motorcade.log.topics import TOPICS, Lane

_BATCHES_MAX: Final = PARTS_MAX - 10  # of one frame: each is a part of the write

logger = structlog.get_logger(__name__)


class _Queued(NamedTuple):
    batch: RecordBatch
    input_cursor: bytes
    topics: int
    time_us: tuple[int, int]
    nbytes: int
    future: Future[RecordBatch]


class EmbeddedWriter:
    """One (name, lane)'s `LogWriter`. `committed` is told the topics of each commit, as a bit set,
    when it is durable: the doorbell."""

    def __init__(
        self,
        appender: Appender,
        lane: Lane,
        *,
        config: LogConfig,
        committed: Callable[[int], None],
        closed: Callable[["EmbeddedWriter"], None],
    ) -> None:
        self._appender, self._config = appender, config
        self._committed, self._closed = committed, closed
        allowed = sum(1 << topic for topic, row in TOPICS.items() if row.lane is lane)
        self._allowed = np.uint64(allowed)
        self._lane = lane
        self._queue: deque[_Queued] = deque()
        self._taken: list[_Queued] = []  # by the commit that is on its way
        self._queued_bytes = 0
        self._closing = False
        self._working = False  # some thread uses the appender
        self._defect: Exception | None = None  # of a commit in a caller's thread: ends the writer
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"log-{lane.value}", daemon=True)
        self._thread.start()

    @property
    def recovered(self) -> Recovered | None:
        """What opening found wrong, `None` after a clean stop."""
        return self._appender.recovered

    @property
    def input_cursor(self) -> bytes:
        """The newest durable `input_cursor`, for who appends what it derived from a log."""
        return self._appender.input_cursor

    @property
    def counts(self) -> LaneCounts:
        """What this lane has done since it was opened."""
        return self._appender.counts

    @property
    def ended(self) -> bool:
        """Whether its thread is gone: nothing will ever be committed again."""
        return not self._thread.is_alive()

    @property
    def queued_bytes(self) -> int:
        """Appended and not yet durable."""
        return self._queued_bytes

    def append(self, batch: RecordBatch, input_cursor: bytes = b"") -> Future[RecordBatch]:
        """See `LogWriter.append`. `input_cursor` becomes durable together with the records.

        Raises:
            ValueError: a row is not of this lane, or points outside the batch: the caller's fault.
        """
        future: Future[RecordBatch] = Future()
        if len(batch) == 0:
            future.set_result(batch)
            return future
        queued = self._check(batch, input_cursor, future)
        with self._wake:
            if self._closing:
                raise LogClosedError("append to a closed log writer: open a new one")
            if self._queued_bytes + queued.nbytes > self._config.queue_bytes_max:
                raise LogBusyError(
                    f"{self._queued_bytes} bytes wait to be written, log.queue_bytes_max is "
                    f"{self._config.queue_bytes_max}: wait for a commit, then append again"
                )
            self._queued_bytes += queued.nbytes
            at_once = queued.nbytes <= self._config.inline_bytes_max
            if not at_once or self._working or self._queue or self._defect is not None:
                self._queue.append(queued)
                self._wake.notify()
                return future
            self._working = True
        self._commit_here([queued])
        return future

    def _commit_here(self, taken: list[_Queued]) -> None:
        """In the caller's thread, which has the appender."""
        try:
            self._commit(taken)
        except Exception as error:  # The thread ends of it, and fails whoever waits.
            self._taken, self._defect = taken, error
        self._release()

    def _release(self) -> None:
        """The appender is free; the thread goes on with what came meanwhile."""
        with self._wake:
            self._working = False
            if self._queue or self._closing or self._defect is not None:
                self._wake.notify()

    def close(self) -> None:
        """See `LogWriter.close`."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _check(
        self, batch: RecordBatch, input_cursor: bytes, future: Future[RecordBatch]
    ) -> _Queued:
        rows = batch.rows
        if not (rows.flags.c_contiguous and rows.flags.writeable and rows.flags.aligned):
            batch = RecordBatch(rows.copy(), batch.buffer)
        if not batch.buffer.flags.c_contiguous:
            batch = RecordBatch(batch.rows, batch.buffer.copy())
        partitions = self._config.partitions
        bad, topics, low, high = check_rows(
            batch.rows, self._allowed, partitions, len(batch.buffer)
        )
        if bad >= 0:
            row = batch.rows[bad]
            raise ValueError(
                f"row {bad} of the batch: topic {row['topic']} must be of the {self._lane.value} "
                f"lane, partition {row['partition']} below {partitions}, and its bytes inside the "
                f"buffer of {len(batch.buffer)}"
            )
        nbytes = batch.rows.nbytes + batch.buffer.nbytes
        return _Queued(batch, input_cursor, int(topics), (int(low), int(high)), nbytes, future)

    def _run(self) -> None:
        try:
            while True:
                self._taken = self._take()
                if self._taken:
                    self._commit(self._taken)
                elif self._closing:
                    break
                else:
                    self._appender.housekeep()
                self._taken = []
                self._release()
            self._appender.close()
        except Exception:
            logger.exception("log_writer_failed", lane=self._lane.value)
        finally:
            self._fail_rest()
            self._closed(self)

    def _fail_rest(self) -> None:
        """Nobody is left to write what still waits; there is something only after a defect."""
        with self._wake:
            self._closing = True
            rest = [*self._taken, *self._queue]
            self._queue.clear()
        for queued in rest:
            if not queued.future.done():
                queued.future.set_exception(
                    LogWriteError("the log writer has ended; acknowledge nothing, open a new one")
                )

    def _take(self) -> list[_Queued]:
        """What the next frame holds; empty when nothing came for a while, or on closing.

        The appender is this thread's then.
        """
        taken: list[_Queued] = []
        nbytes = 0
        with self._wake:
            if not self._queue and not self._closing and self._defect is None:
                self._wake.wait(self._config.housekeeping_s)
            while self._working:  # by a caller; who tells only if there is something to do
                self._wake.wait(self._config.housekeeping_s)
            if self._defect is not None:
                raise self._defect
            self._working = True
            while self._queue and len(taken) < _BATCHES_MAX:
                if taken and nbytes + self._queue[0].nbytes > self._config.batch_bytes_max:
                    break
                taken.append(self._queue.popleft())
                nbytes += taken[-1].nbytes
        return taken

    def _commit(self, taken: list[_Queued]) -> None:
        error: LogError | None = None
        try:
            self._write(taken)
        except LogError as failed:
            error = failed
        except Exception as failed:  # A defect of ours: the callers must hear of it all the same.
            logger.exception("log_commit_failed")
            error = LogWriteError(f"the log writer failed: {failed!r}; acknowledge nothing")
        with self._wake:
            self._queued_bytes -= sum(queued.nbytes for queued in taken)
        for queued in taken:
            if not queued.future.set_running_or_notify_cancel():
                continue
            if error is None:
                queued.future.set_result(queued.batch)
            else:
                queued.future.set_exception(error)
        if error is None:
            self._committed(_topics_of(taken))
        del error  # Its traceback names this frame: a circle that would keep the lane's files open.

    def _write(self, taken: list[_Queued]) -> None:
        if len(taken) == 1:
            rows = taken[0].batch.rows
        else:
            rows = np.concatenate([queued.batch.rows for queued in taken])
            self._shift(rows, taken)
        low = min(queued.time_us[0] for queued in taken)
        high = max(queued.time_us[1] for queued in taken)
        cursors = [queued.input_cursor for queued in taken if queued.input_cursor]
        buffers = [queued.batch.buffer.data for queued in taken]
        size = sum(len(buffer) for buffer in buffers)
        cursor = cursors[-1] if cursors else b""
        topics = _topics_of(taken)
        self._appender.commit(Group(rows, buffers, size, topics, (low, high), cursor))
        if len(taken) > 1:
            index = 0
            for queued in taken:
                count = len(queued.batch)
                queued.batch.rows["position"] = rows["position"][index : index + count]
                index += count

    @staticmethod
    def _shift(rows: np.ndarray, taken: list[_Queued]) -> None:
        """Let `start` count from the beginning of the joined buffers."""
        index = shift = 0
        for queued in taken:
            count = len(queued.batch)
            rows["start"][index : index + count] += np.uint32(shift)
            index += count
            shift += len(queued.batch.buffer)


def _topics_of(taken: list[_Queued]) -> int:
    """A bit set."""
    topics = 0
    for queued in taken:
        topics |= queued.topics
    return topics


assert RECORD_DTYPE.itemsize % 8 == 0  # Frames rely on it: rows stay on 8-byte boundaries.
