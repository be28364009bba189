"""The two buffers between the sockets and the log: fill one while the other commits.

Doors (MQTT, Fleet Telemetry) write records straight into the open staging buffer, by kernel or by
`Intake.add`, and keep their acks beside it. `schedule` starts a commit at the end of the loop turn,
or as soon as the running one ends, or `spacing_s` after it began: that is the whole of adaptive
group commit. When both buffers are in use every door stops reading its sockets; nothing is dropped,
nothing raises (design §5.3).

One event loop, one thread. The log's writer thread only ever touches a staging that is committing.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np

from motorcade.counts import DURATIONS_S, Histogram
from motorcade.events import RECORD_DTYPE, Bytes, Record, RecordBatch, Rows
from motorcade.log.errors import LogBusyError, LogError, LogWriteError
from motorcade.log.port import LogWriter

OnDurable = Callable[[LogError | None], None]

BUSY_RETRY_S: Final = (
    0.005  # the writer's queue is full; only other users of the writer can do that
)
RESERVE_RECORDS: Final = 1_024  # rows that `room` keeps back for `add`
CROWD_RECORDS: Final = 64  # a commit of fewer is followed by the next one in a fifth of the spacing


class Door(Protocol):
    """What the intake tells whoever put records in. All calls come from the loop."""

    def committed(self, index: int, batch: RecordBatch) -> None:
        """Staging `index` is durable: acks may leave, `batch` has its positions.

        The arrays are reused for the next records: copy what must outlive the call, and parse no
        socket bytes in it. `Intake.add` is allowed; its record waits until all doors are told.
        """

    def failed(self, index: int, error: LogError) -> None:
        """Nothing of staging `index` is durable. Never ack it; close the peers that wait for it."""

    def pause(self) -> None:
        """Both buffers are in use: stop reading sockets, keep unparsed bytes."""

    def resume(self) -> None:
        """There is room again."""


@dataclass(slots=True)
class Staging:
    """One buffer of records being gathered. Kernels write rows and bytes and move `used`."""

    index: int  # 0 or 1
    rows: Rows
    buffer: Bytes
    used: np.ndarray[tuple[int], np.dtype[np.int64]]  # [records, bytes]
    on_durable: list[OnDurable] = field(default_factory=list)

    def batch(self) -> RecordBatch:
        """What has been gathered, without a copy."""
        records, used_bytes = self.used.tolist()
        return RecordBatch(self.rows[:records], self.buffer[:used_bytes])


def make_staging(index: int, records_max: int, bytes_max: int) -> Staging:
    """Allocate one buffer; the pages are touched by use, not here."""
    return Staging(
        index,
        np.zeros(records_max, RECORD_DTYPE),
        np.zeros(bytes_max, np.uint8),
        np.zeros(2, np.int64),
    )


class Intake:
    """One lane's way into the log. See the module's text."""

    def __init__(
        self,
        writer: LogWriter,
        loop: asyncio.AbstractEventLoop,
        *,
        records_max: int,
        bytes_max: int,
        spacing_s: float = 0.0,
        monotonic_s: Callable[[], float] | None = None,
    ) -> None:
        """`monotonic_s` measures; the loop's own clock, in whole milliseconds, where none is."""
        if records_max <= 2 * RESERVE_RECORDS:
            raise ValueError(f"records_max must exceed {2 * RESERVE_RECORDS}, got {records_max}")
        self._writer = writer
        self._loop = loop
        self._records_max = records_max
        self._bytes_max = bytes_max
        self._spacing_s = spacing_s
        self.staging = make_staging(0, records_max, bytes_max)
        self._spare = make_staging(1, records_max, bytes_max)
        self._committing: Staging | None = None
        self._now_s = monotonic_s or loop.time
        self._since_s = 0.0  # when the oldest record of the open buffer was taken in; 0: none was
        self._committing_since_s = 0.0  # the same of the one that is committing
        self.ack_s = Histogram(DURATIONS_S)
        """From then until the acks of its commit may leave, once for each record of the commit:
        none of them waited longer."""
        self._next_s = 0.0  # loop time before which no commit starts
        self._scheduled: asyncio.Handle | None = None  # the end of this turn, or of the spacing
        self._wanted = False  # somebody waits for what is staged
        self._patience: asyncio.TimerHandle | None = None  # a commit at the latest then
        self._paused = False
        self.pauses = 0  # how often the doors had to stop reading
        self._telling_doors = False  # they still read the arrays of the staging that committed
        self._overflow: deque[tuple[Record, OnDurable | None]] = deque()
        self._doors: list[Door] = []
        self._awaiting: list[asyncio.Future[None]] = []  # the end of the running commit
        self._idle = asyncio.Event()
        self._idle.set()

    def add_door(self, door: Door) -> None:
        """Tell `door` of commits from now on."""
        self._doors.append(door)

    def room(self, records: int, record_bytes: int) -> bool:
        """Whether the open staging takes this much; swaps or pauses the doors if it does not.

        False means: keep the bytes and try again in `resume`. Callers check sizes against their
        own packet limits first, so what is asked for always fits an empty staging.
        """
        if self._fits(records + RESERVE_RECORDS, record_bytes):
            return True
        if record_bytes > self._bytes_max or records + RESERVE_RECORDS > self._records_max:
            raise ValueError(
                f"{records} records, {record_bytes} bytes never fit: raise log.batch_*"
            )
        if self._committing is None and self._start_commit():
            return self._fits(records + RESERVE_RECORDS, record_bytes)
        self._wanted = True
        if not self._paused:
            self._paused = True
            self.pauses += 1
            for door in self._doors:
                door.pause()
        return False

    def add(
        self, record: Record, on_durable: OnDurable | None = None, *, within_s: float = 0.0
    ) -> int:
        """Add one record object; the slow path, never refused.

        Returns the row in the open staging, or -1 when it had to wait for the next one: then only
        `on_durable` (called with None, or the error) tells of its fate. Schedules a commit, or
        waits up to `within_s` for one that others schedule.
        """
        self._idle.clear()
        if not within_s:
            self.schedule()
        elif self._patience is None:
            self._patience = self._loop.call_later(within_s, self.schedule)
        size = len(record.name) + len(record.stream)
        size += len(record.properties) + len(record.payload)
        if self._telling_doors or self._overflow or not self._fits(1, size):
            self._overflow.append((record, on_durable))
            return -1
        return self._place(record, on_durable)

    @property
    def paused(self) -> bool:
        """Both buffers are in use."""
        return self._paused

    @property
    def fill_ratio(self) -> float:
        """How full the open buffer is, 0 to 1."""
        records, used_bytes = self.staging.used.tolist()
        return float(max(records / self._records_max, used_bytes / self._bytes_max))

    def schedule(self) -> None:
        """Records were added: commit them at the end of this turn, or after the running commit."""
        self._idle.clear()
        self._wanted = True
        if not self._since_s:
            self._since_s = self._now_s()
        if self._scheduled is None and self._committing is None:
            wait_s = self._next_s - self._loop.time()
            if wait_s > 0:
                self._scheduled = self._loop.call_later(wait_s, self._turn_ended)
            else:
                self._scheduled = self._loop.call_soon(self._turn_ended)

    def end_turn(self) -> None:
        """The loop will do nothing for a while: start the commit that is due."""
        if self._scheduled is not None and self._next_s <= self._loop.time():
            self._scheduled.cancel()
            self._turn_ended()

    async def drained(self) -> None:
        """Wait until everything added so far is durable or has failed."""
        await self._idle.wait()

    async def told(self) -> None:
        """Wait until whoever waits for a record that is durable now has been told."""
        if self._committing is not None:
            told: asyncio.Future[None] = self._loop.create_future()
            self._awaiting.append(told)
            await told

    def _fits(self, records: int, record_bytes: int) -> bool:
        used_records, used_bytes = self.staging.used.tolist()
        return bool(
            used_records + records <= self._records_max
            and used_bytes + record_bytes <= self._bytes_max
        )

    def _place(self, record: Record, on_durable: OnDurable | None) -> int:
        staging = self.staging
        records, used_bytes = staging.used.tolist()
        packed = RecordBatch.of([record])
        staging.rows[records] = packed.rows[0]
        staging.rows[records]["start"] = used_bytes
        staging.buffer[used_bytes : used_bytes + len(packed.buffer)] = packed.buffer
        staging.used[0] = records + 1
        staging.used[1] = used_bytes + len(packed.buffer)
        if on_durable is not None:
            staging.on_durable.append(on_durable)
        return int(records)

    def _turn_ended(self) -> None:
        self._scheduled = None
        if self._committing is None and self.staging.used[0]:
            self._start_commit()
        self._settle()

    def _start_commit(self) -> bool:
        """Hand the open staging to the log and open the other. False: the writer is busy."""
        staging = self.staging
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if not staging.used[0]:
            return True
        try:
            future = self._writer.append(staging.batch())
        except LogBusyError:
            self._next_s = self._loop.time() + BUSY_RETRY_S
            self._scheduled = self._loop.call_later(BUSY_RETRY_S, self._turn_ended)
            return False
        except LogError as error:
            future = Future()
            future.set_exception(error)
        crowd = staging.used[0] >= CROWD_RECORDS
        self._next_s = self._loop.time() + (self._spacing_s if crowd else self._spacing_s / 5)
        self._committing, self._wanted = staging, False
        self._committing_since_s, self._since_s = self._since_s or self._now_s(), 0.0
        self.staging, self._spare = self._spare, staging
        if future.done():  # at once, or never: no other thread has to tell
            self._loop.call_soon(self._committed, future)
        else:
            future.add_done_callback(self._durable)
        return True

    def _durable(self, future: Future[RecordBatch]) -> None:
        """Runs in the log's thread."""
        self._loop.call_soon_threadsafe(self._committed, future)

    def _committed(self, future: Future[RecordBatch]) -> None:
        staging = self._committing
        assert staging is not None  # one commit at a time, ours
        self._committing = None
        batch = staging.batch()
        callbacks, staging.on_durable = staging.on_durable, []
        staging.used[:] = 0
        error = future.exception()
        fault = None
        if error is not None:
            fault = error if isinstance(error, LogError) else LogWriteError(str(error))
        else:
            self.ack_s.observe(self._now_s() - self._committing_since_s, len(batch))
        if self._wanted and self._spacing_s == 0:
            self._start_commit()  # the disk works while the acks are written
        self._telling_doors = True
        for door in self._doors:
            if fault is None:
                door.committed(staging.index, batch)
            else:
                door.failed(staging.index, fault)
        for callback in callbacks:
            callback(fault)
        self._telling_doors = False
        self._release_awaiting()
        self._place_overflow()
        if self._wanted:
            self.schedule()
        if self._paused and self._fits(RESERVE_RECORDS + 1, 0):
            self._paused = False
            for door in self._doors:
                door.resume()
        self._settle()

    def _release_awaiting(self) -> None:
        awaiting, self._awaiting = self._awaiting, []
        for future in awaiting:
            if not future.done():
                future.set_result(None)

    def _place_overflow(self) -> None:
        while self._overflow:
            record, on_durable = self._overflow[0]
            size = len(record.name) + len(record.stream)
            size += len(record.properties) + len(record.payload)
            if not self._fits(1, size):
                return
            self._overflow.popleft()
            self._wanted = True
            self._place(record, on_durable)

    def _settle(self) -> None:
        if self._committing is None and not self.staging.used[0] and not self._overflow:
            self._idle.set()
