"""The thread that keeps the meters' ledger up with the log's topics ENERGY and DIAGNOSTICS.

They share their lane with all telemetry: to pass that costs 0.1 µs a record.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from motorcade.clock import Clock
from motorcade.config import EnergyConfig
from motorcade.events import Topic
from motorcade.log.errors import CursorError, LogCorruptError
from motorcade.log.port import Cursor, Edge, Log, LogReader, Start
from motorcade.meters.embedded import EmbeddedMeters, is_full
from motorcade.meters.port import ChargeSession
from motorcade.meters.readings import News, Readings

TOPICS: Final = frozenset({Topic.ENERGY, Topic.DIAGNOSTICS})
POLL_S: Final = 0.2  # how soon a stop is noticed; records ring the doorbell
PURGE_S: Final = 3_600.0
SESSIONS_WAITING_MAX: Final = 20_000  # while the disk is full; the oldest go
_US: Final = 1_000_000

_log = structlog.get_logger()


class MetersFollower:
    """Owns the thread."""

    def __init__(
        self,
        config: EnergyConfig,
        log: Log,
        meters: EmbeddedMeters,
        clock: Clock,
        *,
        failed: Callable[[Exception], None],
    ) -> None:
        """`failed` is called from the thread, which then ends: the process should, too."""
        self._config, self._log, self._meters, self._clock = config, log, meters, clock
        self._failed = failed
        self._readings = Readings()
        self._news = News()
        self._sessions: deque[ChargeSession] = deque()  # of cars, told by live state's thread
        self._read_to: Cursor | None = None  # what `_news` goes up to; None: nothing is waiting
        self._committed_s = self._purged_s = clock.monotonic_s()
        self._full = False
        self._waiting_for_room = False  # ... with `_news`: what comes stays in the log until then
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="meters", daemon=True)

    def take_session(self, session: ChargeSession) -> None:
        """Keep a charging session that has ended. From any thread; takes no time."""
        self._sessions.append(session)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what is read, end the thread. Blocks."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            cursor = self._meters.cursor()
            for known in self._meters.last():
                self._readings.resume(*known)
            self._follow(Edge.EARLIEST if cursor is None else Cursor(cursor))
        except Exception as error:  # whatever it is: a dead follower must not look alive
            _log.exception("meters_failed")
            self._failed(error)

    def _follow(self, start: Start) -> None:
        reader = self._open(start)
        try:
            while not self._stopping.is_set():
                if self._waiting_for_room:
                    self._stopping.wait(POLL_S)
                else:
                    reader = self._poll(reader)
                self._commit_if_due()
            self._commit()
        finally:
            reader.close()

    def _poll(self, reader: LogReader) -> LogReader:
        try:
            for part in reader.poll(POLL_S):
                self._readings.read(part.batch, self._news)
                self._read_to = part.cursor
        except LogCorruptError as error:
            _log.error("meters_records_lost", error=str(error))
            reader.skip_damage()
        except CursorError as error:
            _log.error("meters_records_lost", error=str(error))
            reader.close()
            return self._log.reader(TOPICS, Edge.EARLIEST)
        return reader

    def _commit_if_due(self) -> None:
        now_s = self._clock.monotonic_s()
        if self._news.tariffs or now_s - self._committed_s >= self._config.ledger_commit_s:
            self._committed_s = now_s
            self._commit()
        if now_s - self._purged_s >= PURGE_S:
            before_us = self._clock.now_us() - self._config.ledger_s_max * _US
            if self._write(partial(self._meters.purge, before_us)):
                self._purged_s = now_s
            else:
                self._purged_s = now_s - PURGE_S + self._config.ledger_commit_s

    def _commit(self) -> None:
        self._commit_sessions()
        if self._read_to is None:
            return
        written = self._write(partial(self._meters.apply, self._news, bytes(self._read_to)))
        self._waiting_for_room = not written
        if written:
            self._news, self._read_to = News(), None

    def _commit_sessions(self) -> None:
        waiting = list(self._sessions)  # more may come at its end meanwhile
        if not waiting:
            return
        kept_max = self._config.sessions_per_vehicle_max
        if self._write(partial(self._meters.put_sessions, waiting, kept_max)):
            for _ in waiting:
                self._sessions.popleft()
        else:
            self._drop_oldest_sessions()

    def _drop_oldest_sessions(self) -> None:
        lost = len(self._sessions) - SESSIONS_WAITING_MAX
        if lost > 0:
            for _ in range(lost):
                self._sessions.popleft()
            _log.error("meters_sessions_lost", sessions=lost, hint="the disk is full: free space")

    def _write(self, write: Callable[[], None]) -> bool:
        """Whether the ledger has it. On a full disk it has not, and it is tried again later: what
        the ledger lacks is in the log, and what is too old harms nobody meanwhile."""
        try:
            write()
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
            if not self._full:  # once per full disk
                _log.error(
                    "meters_disk_full", error=str(error), hint="free space; it goes on by itself"
                )
            self._full = True
            return False
        self._full = False
        return True

    def _open(self, start: Start) -> LogReader:
        try:
            return self._log.reader(TOPICS, start)
        except CursorError as error:
            _log.error("meters_restart_at_oldest", error=str(error))
            return self._log.reader(TOPICS, Edge.EARLIEST)
