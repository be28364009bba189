"""The reader that callers see: all lanes of the chosen topics, a doorbell, a cursor."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from motorcade.clock import Clock
from motorcade.config import LogConfig
from motorcade.events import RecordBatch, Topic
from motorcade.log.cursors import Place, decode_cursor, encode_cursor
from motorcade.log.doorbell import Doorbell
from motorcade.log.errors import CursorError, LogClosedError, LogCorruptError, disk_errors
from motorcade.log.files import FileLayer
from motorcade.log.lanes import recover_if_unused, split_lane_name
from motorcade.log.port import AtTime, Cursor, Edge, LogSlice, Start
from motorcade.log.tail import Tail, earliest_place, latest_place, place_at
from motorcade.log.topics import Lane, lanes_of

_POLLS_PER_LISTING: Final = 64  # so seldom a busy reader looks for new writers
_LISTING_S: Final = 1.0  # and so seldom an idle one for those that never rang


class EmbeddedReader:
    """A `LogReader`. `closed` is called once, when it is closed."""

    def __init__(
        self,
        files: FileLayer,
        directory: Path,
        topics: frozenset[Topic],
        start: Start,
        *,
        bell: Doorbell,
        config: LogConfig,
        clock: Clock,
        closed: Callable[["EmbeddedReader"], None],
        only: str | None = None,
    ) -> None:
        """`only`: read this lane's directory alone; what `start` says of others is passed over."""
        self._only = only
        self._files, self._directory, self._config, self._clock = files, directory, config, clock
        self._lanes = lanes_of(topics)
        self._topics = sum(1 << topic for topic in topics)
        self._bell, self._closed = bell, closed
        self._tails: dict[str, Tail] = {}
        self._error: LogCorruptError | CursorError | None = None
        self._damaged: Tail | None = None
        self._polls = 0
        self._rung = True  # since we last looked for new writers
        self._listed_s = 0.0
        self._is_closed = False
        self._new_from_us = start.received_time_us if isinstance(start, AtTime) else None
        self._start(start)

    @property
    def cursor(self) -> Cursor:
        """See `LogReader.cursor`."""
        return encode_cursor({name: tail.place for name, tail in self._tails.items()})

    @property
    def doorbell_fd(self) -> int | None:
        """See `LogReader.doorbell_fd`."""
        return self._bell.fileno()

    def poll(self, timeout_s: float) -> Sequence[LogSlice]:
        """See `LogReader.poll`."""
        if self._is_closed:
            raise LogClosedError("poll of a closed log reader: open a new one")
        started_s = self._clock.monotonic_s()
        waited_s = 0.0  # Counted as well, for clocks that stand still.
        while True:
            self._rung |= self._bell.clear()
            slices = self._sweep()
            if slices:
                return slices
            elapsed_s = max(waited_s, self._clock.monotonic_s() - started_s)
            # Who rang and left nothing with the writers that we know is perhaps a new one.
            due = self._clock.monotonic_s() - self._listed_s >= _LISTING_S
            if (self._rung or due) and self._discover():
                continue
            if elapsed_s >= timeout_s:
                return slices
            step_s = min(timeout_s - elapsed_s, self._config.reader_poll_ms / 1_000)
            if not self._bell.wait(step_s):
                waited_s += step_s

    def skip_damage(self) -> None:
        """Go on behind the damage that `poll` last raised `LogCorruptError` for."""
        if self._damaged is not None:
            self._damaged.skip_damage()
            self._damaged = None

    def close(self) -> None:
        """See `LogReader.close`."""
        if self._is_closed:
            return
        self._is_closed = True
        for tail in self._tails.values():
            tail.close()
        self._bell.close()
        self._closed(self)

    def _start(self, start: Start) -> None:
        names = self._names()
        if isinstance(start, bytes):
            places = decode_cursor(start)
            for name in sorted(places.keys() - set(names) if self._only is None else ()):
                parts = split_lane_name(name)
                if parts is None or parts[1] in self._lanes:
                    raise CursorError(
                        f"the cursor names {name}, which {self._directory} lacks: it is of another "
                        "log; start from Edge.EARLIEST"
                    )
            for name in names:
                self._add(name, places.get(name))
            return
        for name in names:
            self._add(name, None if start is Edge.EARLIEST else self._place(name, start))

    def _place(self, name: str, start: Start) -> Place:
        directory = self._directory / name
        recover_if_unused(self._files, directory, self._config.partitions)
        if isinstance(start, AtTime):
            return place_at(self._files, directory, start.received_time_us)
        return latest_place(self._files, directory)

    def _add(self, name: str, place: Place | None) -> None:
        directory = self._directory / name
        recover_if_unused(self._files, directory, self._config.partitions)
        if place is None:
            place = earliest_place(self._files, directory)
        self._tails[name] = Tail(
            self._files, directory, place, topics=self._topics, config=self._config
        )

    def _names(self) -> list[str]:
        """The lanes that may hold our topics: fast ones first, so that they never queue (P6)."""
        found = []
        with disk_errors(self._directory):
            names = self._files.names(self._directory)
        for name in names:
            parts = split_lane_name(name)
            wanted = self._only in (None, name)
            if wanted and parts is not None and parts[1] in self._lanes:
                found.append((parts[1] is not Lane.FAST, name))
        return [name for _, name in sorted(found)]

    def _discover(self) -> bool:
        """Take up writers that are new; True if there are any. They are read from their start."""
        self._rung, self._listed_s = False, self._clock.monotonic_s()
        new = [name for name in self._names() if name not in self._tails]
        for name in new:
            place = None
            if self._new_from_us is not None:
                place = self._place(name, AtTime(self._new_from_us))
            self._add(name, place)
        if new:
            self._tails = {name: self._tails[name] for name in self._names() if name in self._tails}
        return bool(new)

    def _sweep(self) -> list[LogSlice]:
        """Read the lanes in turn, a chunk each, until nothing is left or enough is there."""
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # Its traceback names this frame: a circle, and our files stay open.
        self._polls += 1
        if self._polls % _POLLS_PER_LISTING == 0:
            self._discover()
        slices: list[LogSlice] = []
        budget = self._config.reader_bytes_max
        waiting = list(self._tails.items())
        while waiting and budget > 0:
            still = []
            for name, tail in waiting:
                try:
                    chunk = tail.read()
                except (LogCorruptError, CursorError) as error:
                    self._damaged = tail
                    if not slices:
                        raise
                    self._error = error  # First give what was read before it.
                    return slices
                budget -= chunk.nbytes
                if len(chunk.batch):
                    slices.append(self._slice(name, chunk.batch))
                if chunk.more:
                    still.append((name, tail))
                if budget <= 0:
                    break
            waiting = still
        return slices

    def _slice(self, name: str, batch: RecordBatch) -> LogSlice:
        writer, _, word = name.rpartition("-")
        places = {name: tail.place for name, tail in self._tails.items()}
        return LogSlice(writer, Lane(word), batch, partial(encode_cursor, places))
