"""The thread that keeps the ledger up with the log's topic COMMANDS."""

import sqlite3
import threading
from collections.abc import Callable
from typing import Final

import structlog

from motorcade.clock import Clock
from motorcade.commands.entries import US
from motorcade.commands.ledger import Ledger
from motorcade.config import Config
from motorcade.events import Record, Topic
from motorcade.log.errors import CursorError
from motorcade.log.port import Cursor, Edge, Log, LogReader

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
        self._purged_s = clock.monotonic_s()
        self._stored_answers: Cursor | None = None
        self.answers_cursor: Cursor | None = None  # set by the runner; stored with the next rows

    def catch_up(self) -> list[str]:
        """Take all that the log holds; returns the ids that became final."""
        finals: list[str] = []
        while slices := self._reader.poll(0):
            records: list[Record] = [record for piece in slices for record in piece.batch]
            cursors = {COMMANDS_CURSOR: bytes(slices[-1].cursor)}
            finals += self._ledger.apply(records, cursors)
        return finals

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
        if not self._failed:
            self.catch_up()
            self._store_answers()
        self._reader.close()

    def _run(
        self, on_final: Callable[[list[str]], object], on_failure: Callable[[Exception], object]
    ) -> None:
        while not self._stopping.wait(self._config.commands.ledger_commit_s):
            try:
                self._store_answers()
                finals = self.catch_up()
                self._purge()
            except Exception as error:  # whatever it is: the router must not go on without us
                _log.exception("ledger_failed")
                self._failed = True
                if isinstance(error, sqlite3.DatabaseError):
                    self._ledger.condemn()
                on_failure(error)
                return
            if finals:
                on_final(finals)

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
