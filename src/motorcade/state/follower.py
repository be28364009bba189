"""The thread that keeps live state at the log's end: tail, drop duplicates, decode, apply.

Every `state.snapshot_s` or `state.snapshot_records`, and when it stops, it saves state, duplicates'
memory and cursor together, so a restart goes on exactly where the snapshot was taken. A damaged
snapshot falls back to the one before, and without any the log is replayed from its start: slower,
never different. Now and then one is kept for who wants to see that time again (`kept.py`).
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from motorcade.clock import Clock
from motorcade.events import RecordBatch, Topic
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.port import Cursor, Edge, Log, LogReader, LogSlice, Start
from motorcade.state.embedded import NO_EVENT, newest_event_us
from motorcade.state.kept import ANY_TIME, Content
from motorcade.state.snapshots import SnapshotStore

TOPICS: Final = frozenset({Topic.TELEMETRY, Topic.CONNECTIVITY, Topic.ENERGY, Topic.MEDIA})
"""All of one lane, so that they come in one order and replays agree."""

SNAPSHOT_PAUSE: Final = 20  # times what making a snapshot took, before the next one by records

POLL_S: Final = 0.2  # how soon a stop is noticed; records ring the doorbell

logger = structlog.get_logger(__name__)


class Deduplicator(Protocol):
    """The first operator of every reader: `streams/dedup.py`."""

    def keep(self, batch: RecordBatch, writer: str) -> npt.NDArray[np.bool_]: ...
    def snapshot(self) -> bytes: ...
    def restore(self, saved: bytes) -> None: ...


class FollowedState(Protocol):
    """The write side of a live state engine."""

    def apply(self, batch: RecordBatch, writer: str) -> None: ...
    def save(self) -> bytes: ...
    def restore(self, saved: bytes | None) -> None: ...
    def take_event_us_min(self) -> int: ...


class Keeper(Protocol):
    """The series of kept snapshots: `kept.py`."""

    def is_due(self, now_us: int) -> bool: ...
    def keep(
        self,
        content: Content,
        now_us: int,
        *,
        received_us_max: int,
        event_us_max: int,
        event_us_min: int,
    ) -> None: ...


class _Saved(msgspec.Struct, array_like=True):
    cursor: bytes
    dedup: bytes
    state: bytes
    received_us_max: int = 0
    event_us_min: int = ANY_TIME  # since the last kept snapshot


class Follower:
    """Owns the thread. `caught_up` is set once what was in the log at the start is in the state."""

    def __init__(
        self,
        log: Log,
        state: FollowedState,
        make_dedup: Callable[[], Deduplicator],
        snapshots: SnapshotStore,
        clock: Clock,
        *,
        snapshot_s: float,
        snapshot_records: int,
        spacing_s: float = 0.0,
        failed: Callable[[Exception], None],
        applied: Callable[[LogSlice, int], None] | None = None,
        kept: Keeper | None = None,
    ) -> None:
        """`failed` is called from the thread, which then ends: the process should, too.

        `spacing_s` is the least time between two looks at the log while records keep coming: a look
        costs as much as decoding hundreds of records. A lone record is taken at once.

        `applied` is told of each slice that is in the state, and since when (µs) it was worked on.
        `kept` is given a snapshot whenever it says that one is due, on the disk's thread.
        """
        self._log, self._state, self._make_dedup = log, state, make_dedup
        self._dedup = make_dedup()
        self._snapshots, self._clock = snapshots, clock
        self._snapshot_s, self._snapshot_records = snapshot_s, snapshot_records
        self._spacing_s = spacing_s
        self._failed = failed
        self._applied = applied
        self._kept = kept
        self._received_us_max = 0  # of what is in the state
        self._event_us_min = NO_EVENT  # of what came since the last kept snapshot
        self._cursor: Cursor | None = None
        self._saved_cursor: Cursor | None = None
        self._saved_s = clock.monotonic_s()
        self._unsaved = 0  # records applied since the last snapshot
        self._body_s = 0.0  # how long making the last snapshot took
        self._saving: Future[bool] | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live-state", daemon=True)
        self.caught_up = threading.Event()
        self.records = self.duplicates = 0  # read, and of these dropped
        self.lag_us = 0  # age of the newest record applied; 0 when the log has no more
        self.polled_s = clock.monotonic_s()  # when it last looked into the log
        self.gaps = 0  # times that records were lost to us: damage at rest, or retention was faster

    @property
    def snapshot_age_s(self) -> float:
        """Since the last snapshot, or the start."""
        return self._clock.monotonic_s() - self._saved_s

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish the slice at hand, save a snapshot, end the thread. Blocks until done."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def restore(self) -> Cursor | None:
        """Load the newest usable snapshot; the cursor to go on from, `None` for a full replay."""
        for body in self._snapshots.load():
            try:
                saved = msgspec.msgpack.decode(body, type=_Saved)
                dedup = self._make_dedup()
                dedup.restore(saved.dedup)
                self._state.restore(saved.state)
            except (msgspec.MsgspecError, ValueError, LookupError) as error:
                logger.warning("state_snapshot_of_other_version", error=str(error))
                continue
            self._dedup = dedup
            self._received_us_max = saved.received_us_max
            self._event_us_min = saved.event_us_min
            return Cursor(saved.cursor)
        self._dedup = self._make_dedup()
        self._state.restore(None)
        self._received_us_max, self._event_us_min = 0, NO_EVENT
        logger.info("state_without_snapshot")
        return None

    def _run(self) -> None:
        try:
            with ThreadPoolExecutor(1, "live-state-snapshot") as disk:
                self._cursor = self._saved_cursor = self.restore()
                self._follow(disk)
                self._save(disk)
        except Exception as error:  # Whatever it is: a dead follower must not look alive.
            logger.exception("state_follower_failed")
            self._failed(error)

    def _follow(self, disk: ThreadPoolExecutor) -> None:
        started_us = self._clock.now_us()
        reader = self._open()
        rest_s = 0.0
        try:
            while not self._stopping.wait(rest_s):
                try:
                    slices = reader.poll(POLL_S if self.caught_up.is_set() else 0.0)
                except (LogCorruptError, CursorError) as error:
                    reader = self._after(error, reader)
                    continue
                self.polled_s = self._clock.monotonic_s()
                for part in slices:
                    begun_us = self._clock.now_us()
                    self.apply(part)
                    if self._applied is not None:
                        self._applied(part, begun_us)
                newest_us = int(slices[-1].batch.rows["received_time_us"][-1]) if slices else 0
                self.lag_us = self._clock.now_us() - newest_us if slices else 0
                if not slices or newest_us >= started_us:
                    self.caught_up.set()
                if self._snapshot_due():
                    self._save(disk)
                looked_s = self._clock.monotonic_s() - self.polled_s
                rest_s = max(0.0, self._spacing_s - looked_s) if slices else 0.0
        finally:
            reader.close()

    def _snapshot_due(self) -> bool:
        """By the clock; or because to replay what came since would keep a restart waiting.

        The latter no more often than its cost allows: a large fleet's state takes time to save.
        """
        passed_s = self._clock.monotonic_s() - self._saved_s
        many = self._unsaved >= self._snapshot_records
        return passed_s >= self._snapshot_s or (many and passed_s >= SNAPSHOT_PAUSE * self._body_s)

    def apply(self, part: LogSlice) -> None:
        """One slice: duplicates dropped, the rest into the state."""
        keep = self._dedup.keep(part.batch, part.writer)
        kept = int(np.count_nonzero(keep))
        whole = kept == len(part.batch)
        self._state.apply(part.batch if whole else part.batch.select(keep), part.writer)
        self._note_received(part.batch)
        self.records += len(part.batch)
        self.duplicates += len(part.batch) - kept
        self._cursor = part.cursor
        self._unsaved += len(part.batch)

    def _note_received(self, batch: RecordBatch) -> None:
        """Times ahead of the clock are of one that was wrong: see `merging.py`."""
        received_us = batch.rows["received_time_us"]
        newest_us = int(received_us.max(initial=0))
        now_us = self._clock.now_us()
        if newest_us > now_us:
            newest_us = int(received_us[received_us <= now_us].max(initial=0))
        self._received_us_max = max(self._received_us_max, newest_us)

    def _open(self) -> LogReader:
        start: Start = self._cursor if self._cursor is not None else Edge.EARLIEST
        try:
            return self._log.reader(TOPICS, start)
        except CursorError as error:
            logger.error("state_restarts_at_oldest", error=str(error))
            self.gaps += 1
            return self._log.reader(TOPICS, Edge.EARLIEST)

    def _after(self, error: LogCorruptError | CursorError, reader: LogReader) -> LogReader:
        """Go on past damage, or from the oldest record when retention overtook us."""
        self.gaps += 1
        logger.error("state_records_lost", error=str(error))
        if isinstance(error, LogCorruptError):
            reader.skip_damage()
            return reader
        reader.close()
        return self._log.reader(TOPICS, Edge.EARLIEST)

    def body(self) -> bytes:
        """What a snapshot holds now. The same bytes for the same part of the log."""
        return msgspec.msgpack.encode(self._save_all())

    def _save_all(self) -> _Saved:
        assert self._cursor is not None
        self._event_us_min = min(self._event_us_min, self._state.take_event_us_min())
        return _Saved(
            self._cursor,
            self._dedup.snapshot(),
            self._state.save(),
            self._received_us_max,
            self._event_us_min,
        )

    def _save(self, disk: ThreadPoolExecutor) -> None:
        """Hand a snapshot to the disk's thread; skipped while the one before is being written."""
        if self._saving is not None and (self._stopping.is_set() or self._saving.done()):
            self._finish()
        if self._saving is not None or self._cursor in (None, self._saved_cursor):
            return
        began_s = self._clock.monotonic_s()
        saved = self._save_all()
        body = msgspec.msgpack.encode(saved)
        self._saved_s = self._clock.monotonic_s()
        self._body_s = self._saved_s - began_s
        self._unsaved = 0
        self._saved_cursor = self._cursor
        self._saving = disk.submit(self._write, body, saved)
        if self._stopping.is_set():
            self._finish()

    def _write(self, body: bytes, saved: _Saved) -> bool:
        """On the disk's thread; whether it was kept as well."""
        self._snapshots.save(body)
        now_us = self._clock.now_us()
        if self._kept is None or not saved.received_us_max or not self._kept.is_due(now_us):
            return False
        try:
            self._kept.keep(
                Content(saved.cursor, saved.dedup, saved.state),
                now_us,
                received_us_max=saved.received_us_max,
                event_us_max=newest_event_us(saved.state),
                event_us_min=saved.event_us_min,
            )
        except OSError as error:
            logger.error("state_snapshot_not_kept", error=str(error))
            return False
        return True

    def _finish(self) -> None:
        assert self._saving is not None
        error = self._saving.exception()
        if error is None and self._saving.result():
            # Only now: had it not been kept, its stretch would be part of the next one's.
            self._event_us_min = NO_EVENT
        self._saving = None
        if error is not None:
            self._saved_cursor = None  # So that the next turn tries again.
            logger.error("state_snapshot_not_written", error=str(error))
