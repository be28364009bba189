"""The thread that keeps the ledger up with the log's topic COMMANDS."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from motorcade.clock import Clock
from motorcade.commands.entries import US
from motorcade.commands.ledger import Ledger, is_full
from motorcade.config import Config
from motorcade.events import Record, Topic
from motorcade.log.errors import CursorError
from motorcade.log.port import Cursor, Edge, Log, LogReader, LogSlice

COMMANDS_CURSOR: Final = "commands"
ANSWERS_CURSOR: Final = "answers"
PURGE_EVERY_S: Final = 3_600

_log = structlog.get_logger()


class LedgerFollower:
    """Polls every `commands.ledger_commit_s`: what it misses meanwhile the router remembers."""

    def __init__(self, config: Config, log: Log, ledger: Ledger, clock: Clock) -> None:
        self._config, self._ledger, self._clock = config, ledger, clock
        self._reader = _open_commands(log, ledger.cursor(COMMANDS_CURSOR))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._failed = False
        self._full = False
        self._held: Sequence[LogSlice] = ()  # read, and not yet in the ledger
        self._finals: list[str] = []
        self._purged_s = clock.monotonic_s()
        self._stored_answers: Cursor | None = None
        self.answers_cursor: Cursor | None = None  # set by the runner; stored with the next rows

    def catch_up(self) -> list[str]:
        """Take all that the log holds; returns the ids that became final."""
        while self._held or self._read():
            records: list[Record] = [record for piece in self._held for record in piece.batch]
            cursors = {COMMANDS_CURSOR: bytes(self._held[-1].cursor)}
            self._finals += self._ledger.apply(records, cursors)
            self._held = ()
        finals, self._finals = self._finals, []
        return finals

    def _read(self) -> bool:
        self._held = self._reader.poll(0)
        return bool(self._held)

    def start(
        self, on_final: Callable[[list[str]], object], on_failure: Callable[[Exception], object]
    ) -> None:
        """Follow in a thread of its own; the callbacks are called from there."""
        self._thread = threading.Thread(
            target=self._run, args=(on_final, on_failure), name="ledger", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread, then take what is left. Blocks."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        try:
            if not self._failed:
                self.catch_up()
                self._store_answers()
        except sqlite3.OperationalError as error:
            if not is_full(error):
                raise
            self._tell_full(error)  # the next start reads on from the ledger's cursor
        self._reader.close()

    def _run(
        self, on_final: Callable[[list[str]], object], on_failure: Callable[[Exception], object]
    ) -> None:
        while not self._stopping.wait(self._config.commands.ledger_commit_s):
            try:
                self._store_answers()
                finals = self.catch_up()
                self._purge()
            except sqlite3.OperationalError as error:
                if is_full(error):  # the router remembers what is not in the ledger yet
                    self._tell_full(error)
                    continue
                self._end(error, on_failure)
                return
            except Exception as error:  # whatever it is: the router must not go on without us
                self._end(error, on_failure)
                return
            self._full = False
            if finals:
                on_final(finals)

    def _end(self, error: Exception, on_failure: Callable[[Exception], object]) -> None:
        _log.error("ledger_failed", exc_info=error)
        self._failed = True
        if isinstance(error, sqlite3.DatabaseError):
            self._ledger.condemn()
        on_failure(error)

    def _tell_full(self, error: Exception) -> None:
        """Once per full disk; the same records are tried again at the next poll."""
        if not self._full:
            _log.error(
                "ledger_disk_full", error=str(error), hint="free space; it goes on by itself"
            )
        self._full = True

    def _store_answers(self) -> None:
        """What followed from these answers is in the log already: a restart may skip them."""
        cursor = self.answers_cursor
        if cursor is not None and cursor != self._stored_answers:
            self._ledger.apply([], {ANSWERS_CURSOR: bytes(cursor)})
            self._stored_answers = cursor

    def _purge(self) -> None:
        if self._clock.monotonic_s() - self._purged_s >= PURGE_EVERY_S:
            self._purged_s = self._clock.monotonic_s()
            self._ledger.purge(self._clock.now_us() - self._config.commands.ledger_s_max * US)


def _open_commands(log: Log, cursor: bytes | None) -> LogReader:
    topics = frozenset({Topic.COMMANDS})
    if cursor is not None:
        try:
            return log.reader(topics, Cursor(cursor))
        except CursorError:
            _log.warning("ledger_cursor_lost")  # older than retention: the ledger keeps what it has
    return log.reader(topics, Edge.EARLIEST)
