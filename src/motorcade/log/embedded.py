"""The engine of the log that needs nothing installed: segment files in one directory (design §5.3).

::

    <writer>-<lane>/   000000000001.segment ...  durable  lock  recovering
    cursors/           <consumer group>.cursor
    doorbells/         a socket per reader

The modules, in the order of a record: `writer.py` queues it, `appender.py` makes a `frame.py` of
the group in a `segment.py` and moves the `watermark.py`; `doorbell.py` rings; `reader.py` sweeps
the lanes' tails (`tail.py`), which check frames and `gather.py` rows. `recovery.py` opens what a
crash left, `retention.py` ends it. `files.py` is the disk underneath.
"""

import threading
from pathlib import Path
from typing import Final

from motorcade.clock import Clock
from motorcade.config import LogConfig
from motorcade.events import Topic
from motorcade.log.appender import Appender
from motorcade.log.cursors import GroupCursors
from motorcade.log.doorbell import Doorbell, Ringer
from motorcade.log.errors import LogClosedError, disk_errors
from motorcade.log.files import FileLayer, OsFiles
from motorcade.log.lanes import lane_name, lock_for_writing, split_lane_name
from motorcade.log.port import Cursor, Edge, Start
from motorcade.log.reader import EmbeddedReader
from motorcade.log.segment import segment_numbers
from motorcade.log.space import DiskSpace
from motorcade.log.topics import Lane, lanes_of
from motorcade.log.writer import EmbeddedWriter

FIRST_SEGMENT: Final = 1


class EmbeddedLog:
    """A `Log` in `directory`. Thread-safe; any number of processes may open the same one."""

    def __init__(
        self, directory: Path, config: LogConfig, clock: Clock, files: FileLayer | None = None
    ) -> None:
        self._directory, self._config, self._clock = directory, config, clock
        self._files = files or OsFiles()
        self._bells = directory / "doorbells"
        with disk_errors(directory):
            self._files.make_directory(directory)
        self._bells.mkdir(mode=0o700, parents=True, exist_ok=True)  # Sockets are no stored bytes.
        self.space = DiskSpace(self._files, directory, config)
        self._cursors = GroupCursors(self._files, directory / "cursors")
        self._opened: set[EmbeddedWriter | EmbeddedReader] = set()
        self._lock = threading.Lock()
        self._closed = False

    def writer(self, name: str, lane: Lane) -> EmbeddedWriter:
        """See `Log.writer`. Raises as `recover` does when the lane is damaged."""
        directory = self._directory / lane_name(name, lane)
        with disk_errors(directory):
            self._files.make_directory(directory)
        held = lock_for_writing(self._files, directory)
        try:
            appender = Appender(
                directory, name, lane, config=self._config, clock=self._clock, files=self._files
            )
            ringer = Ringer(self._bells, self._clock)
        except BaseException:
            held.close()
            raise

        def closed(writer: EmbeddedWriter) -> None:
            ringer.close()
            held.close()
            self._forget(writer)

        writer = EmbeddedWriter(
            appender, lane, config=self._config, committed=ringer.ring, closed=closed
        )
        self._remember(writer)
        return writer

    def lanes(self, topics: frozenset[Topic]) -> list[str]:
        """The directories of the writers' lanes that may hold `topics`, by name.

        Raises:
            LogDiskError: the log's directory cannot be read.
        """
        wanted = lanes_of(topics)
        with disk_errors(self._directory):
            names = self._files.names(self._directory)
        parts = {name: split_lane_name(name) for name in names}
        return sorted(name for name, part in parts.items() if part and part[1] in wanted)

    def is_whole(self, topics: frozenset[Topic]) -> bool:
        """Whether every record of these lanes is still there: retention has removed none."""
        for name in self.lanes(topics):
            directory = self._directory / name
            with disk_errors(directory):
                numbers = segment_numbers(self._files, directory)
            if numbers and numbers[0] != FIRST_SEGMENT:
                return False
        return True

    def reader(
        self, topics: frozenset[Topic], start: Start, *, lane: str | None = None
    ) -> EmbeddedReader:
        """See `Log.reader`. Raises `CursorError` when `start` is no cursor of this log.

        `lane`: of this one of `lanes` alone; `start` may be a cursor of a reader of all.
        """
        bell = Doorbell(self._bells, topics)
        try:
            reader = EmbeddedReader(
                self._files,
                self._directory,
                topics,
                start,
                bell=bell,
                config=self._config,
                clock=self._clock,
                closed=self._forget,
                only=lane,
            )
        except BaseException:
            bell.close()
            raise
        self._remember(reader)
        return reader

    def end(self, topics: frozenset[Topic]) -> Cursor:
        """See `Log.end`."""
        reader = self.reader(topics, Edge.LATEST)
        try:
            return reader.cursor
        finally:
            reader.close()

    def load_cursor(self, consumer_group: str) -> Cursor | None:
        """See `Log.load_cursor`."""
        return self._cursors.load(consumer_group)

    def store_cursor(self, consumer_group: str, cursor: Cursor) -> None:
        """See `Log.store_cursor`. Raises `LogError` when it could not be stored."""
        self._cursors.store(consumer_group, cursor)

    def close(self) -> None:
        """See `Log.close`."""
        with self._lock:
            self._closed = True
            opened = list(self._opened)
        for each in opened:
            each.close()

    def _remember(self, opened: EmbeddedWriter | EmbeddedReader) -> None:
        with self._lock:
            self._opened.add(opened)
            closed = self._closed
        if closed:
            opened.close()
            raise LogClosedError("this log was closed: make a new EmbeddedLog")

    def _forget(self, opened: EmbeddedWriter | EmbeddedReader) -> None:
        with self._lock:
            self._opened.discard(opened)
