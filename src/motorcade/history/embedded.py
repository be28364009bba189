"""History in files of this machine: manifest, column files, and the log's tail (design §5.7).

::

    manifest               what counts: files, the log's cursor, what reading on needs
    000000000012.parquet   column files, and beside each its .index (`columns.py`) and .runs
    000000000012.reading   duplicates' memory and names at the cursor

Written by `writer.py` in one process, read here in any. A file that vanishes while a question is
being answered was merged into another: the question starts again with the newer manifest.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.durable import Files
from motorcade.events import VehicleToken
from motorcade.history import manifest as manifests
from motorcade.history.area import Area
from motorcade.history.columns import Open
from motorcade.history.errors import HistoryBusyError
from motorcade.history.gathering import Gathering
from motorcade.history.manifest import FileRow, Loaded, column_path
from motorcade.history.open_files import OpenFiles
from motorcade.history.port import Kept, Series, Span, Timeline, Visits
from motorcade.history.reading import MakeDedup
from motorcade.history.tail import Tail
from motorcade.history.timeline import Counting, gap_for
from motorcade.history.within import Search
from motorcade.log.port import Log

TRIES: Final = 5  # with a newer manifest each

_Answer = TypeVar("_Answer")


class EmbeddedHistory:
    """The `History` engine that needs nothing installed."""

    def __init__(
        self,
        directory: Path,
        config: Config,
        log: Log,
        make_dedup: MakeDedup,
        clock: Clock,
        files: Files,
        open_: Open,
    ) -> None:
        self._directory, self._config, self._files = directory, config, files
        self._clock = clock
        self._tail = Tail(directory, config, log, make_dedup, files)
        self._open_files = OpenFiles(directory, files, open_, config.history.open_files_max)
        self._loaded: Loaded | None = None
        self._places = threading.BoundedSemaphore(max(1, config.history.queries_max))
        self._across = threading.BoundedSemaphore(max(1, config.history.across_queries_max))

    def read(
        self,
        vehicle: VehicleToken,
        signals: Collection[str] | None,
        span: Span,
        *,
        received_until_us: int | None = None,
    ) -> dict[str, Series]:
        """See `History.read`."""

        def answer(loaded: Loaded) -> dict[str, Series]:
            gathering = Gathering(vehicle, signals, span, self._config.history.rows_max)
            # The tail first: what is flushed meanwhile is in it, though not in this manifest.
            parts, reading = self._tail.samples(loaded)
            for row in loaded.manifest.files:
                if _overlaps(row, span):
                    with self._open_files.borrowed(row.number) as file:
                        gathering.add_file(file)
            for part in parts:
                gathering.add_tail(part, reading)
            return gathering.series(received_until_us)

        return self._answered(answer)

    def extent(self) -> Span | None:
        """See `History.extent`."""

        def answer(loaded: Loaded) -> Span | None:
            parts, _ = self._tail.samples(loaded)
            spans = [(row.from_us, row.to_us) for row in loaded.manifest.files]
            spans += [(int(part.time_us.min()), int(part.time_us.max())) for part in parts]
            if not spans:
                return None
            return Span(min(first for first, _ in spans), max(last for _, last in spans) + 1)

        return self._answered(answer)

    def timeline(
        self,
        vehicles: Collection[VehicleToken] | None,
        span: Span,
        buckets: int,
        *,
        moving_mps: float,
    ) -> Timeline:
        """See `History.timeline`."""
        limits, gap_us = self._config.history, gap_for(span, buckets)

        def answer(loaded: Loaded) -> Timeline:
            tail = self._tail.samples(loaded)
            rows = [row for row in loaded.manifest.files if _overlaps(row, span)]
            if gap_us is None or any(row.moving_mps != moving_mps for row in rows):
                from motorcade.history import across  # loads DuckDB

                paths = [column_path(self._directory, row.number) for row in rows]
                return across.timeline(paths, tail, vehicles, span, buckets, moving_mps, limits)
            counting = Counting(vehicles, span, buckets, limits, self._clock)
            counting.add_tail(*tail, moving_mps)
            for row in rows:
                with self._open_files.borrowed(row.number) as file:
                    counting.add_file(file.index, file.runs(gap_us, moving_mps))
            return counting.counted()

        with _held(self._across):
            return self._answered(answer)

    def within(
        self,
        vehicles: Collection[VehicleToken] | None,
        area: Area,
        span: Span,
        kept: Mapping[VehicleToken, Kept],
    ) -> Visits:
        """See `History.within`."""

        def answer(loaded: Loaded) -> Visits:
            search = Search(area, span, vehicles, kept)
            until_s = self._clock.monotonic_s() + self._config.history.within_s_max
            search.look_at_tail(*self._tail.samples(loaded))
            rows = [row for row in loaded.manifest.files if _overlaps(row, span)]
            rows.sort(key=lambda row: row.to_us, reverse=True)
            wanted, seen = sum(row.rows for row in rows), 0.0
            for row in rows:
                with self._open_files.borrowed(row.number) as file:
                    for share in search.look_at(file):
                        if self._clock.monotonic_s() > until_s:
                            return Visits(search.found(), (seen + share * row.rows) / wanted)
                seen += row.rows
            return Visits(search.found(), 1.0)

        with _held(self._across):
            return self._answered(answer)

    def close(self) -> None:
        """See `History.close`."""
        self._tail.close()
        self._open_files.close()

    def _answered(self, answer: Callable[[Loaded], _Answer]) -> _Answer:
        with _held(self._places):
            for left in range(TRIES, 0, -1):
                self._loaded = loaded = manifests.load(self._files, self._directory, self._loaded)
                try:
                    return answer(loaded)
                except FileNotFoundError:
                    if left == 1:
                        raise
            raise AssertionError  # the loop returns or raises


@contextmanager
def _held(places: threading.BoundedSemaphore) -> Iterator[None]:
    """One of the places, while the block runs. Raises `HistoryBusyError`."""
    if not places.acquire(blocking=False):
        raise HistoryBusyError("history answers as many questions as it may: ask again")
    try:
        yield
    finally:
        places.release()


def _overlaps(row: FileRow, span: Span) -> bool:
    return row.from_us < span.until_us and row.to_us >= span.from_us
