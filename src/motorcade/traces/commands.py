"""A thread that follows the fast lane and traces the commands that end."""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from motorcade.events import Topic
from motorcade.log.errors import LogError
from motorcade.log.port import Edge, Log
from motorcade.traces.spans import CommandSpans, Span

TOPICS: Final = frozenset({Topic.COMMANDS, Topic.COMMAND_ANSWERS})
POLL_S: Final = 0.2  # how soon a stop is noticed

_log = structlog.get_logger()


class CommandTracer:
    """From the log's end on: a trace is news, what an earlier process missed stays untold."""

    def __init__(self, log: Log, end: Callable[[Span], None]) -> None:
        self._end = end
        self._spans = CommandSpans()
        self._reader = log.reader(TOPICS, Edge.LATEST)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="command-traces", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Take what is there, end the thread. Blocks."""
        self._stopping.set()
        self._thread.join()
        self._reader.close()

    def _run(self) -> None:
        while True:
            last = self._stopping.is_set()
            try:
                slices = self._reader.poll(0.0 if last or self._spans.waiting else POLL_S)
            except LogError as error:  # commands go on without their traces
                _log.warning("traces_end", error=str(error))
                return
            for part in slices:
                for record in part.batch:
                    for span in self._spans.add(record):
                        self._end(span)
            if not slices:
                for span in self._spans.caught_up():
                    self._end(span)
            if last and not slices:
                return
