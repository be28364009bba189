"""History in files of this machine: manifest, column files, and the log's tail (design §5.7).

::

    manifest               what counts: files, the log's cursor, what reading on needs
    000000000012.parquet   column files, and beside each its .index (`columns.py`) and .runs
    000000000012.reading   duplicates' memory and names at the cursor

Written by `writer.py` in one process, read here in any. A file that vanishes while a question is
being answered was merged into another: the question starts again with the newer manifest.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorcade.clock import Clock
from motorcade.config import Config
from motorcade.durable import Files
from motorcade.events import VehicleToken, pack_token
from motorcade.history import manifest as manifests
from motorcade.history.area import Area
from motorcade.history.columns import ColumnFile, Open
from motorcade.history.errors import HistoryBusyError, HistoryTooLargeError
from motorcade.history.layout import (
    BOOLEAN,
    FIXED,
    NUMBER,
    ORDER,
    RECEIVED,
    TEXT,
    TIME,
    column_name,
    signal_of,
)
from motorcade.history.manifest import FileRow, Loaded, column_path
from motorcade.history.port import Kept, Series, Span, Timeline, Visits
from motorcade.history.reading import LogReading, MakeDedup
from motorcade.history.samples import Samples
from motorcade.history.tail import Tail
from motorcade.history.timeline import Counting, gap_for
from motorcade.history.within import Search
from motorcade.log.port import Log
from motorcade.signals.samples import BOOLEAN_BITS, TEXT_BITS

TRIES: Final = 5  # with a newer manifest each
GROUPS_READ_WHOLE: Final = (
    2  # of a vehicle; of more, times are read first, then what lies in the span
)

_Answer = TypeVar("_Answer")


@dataclass(slots=True)
class _Piece:
    """A signal's samples from one source."""

    time_us: npt.NDArray[np.int64]
    received_us: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


@dataclass(slots=True)
class _Found:
    """What an answer is put together from."""

    pieces: dict[str, list[_Piece]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    rows: int = 0

    def add(self, signal: str, piece: _Piece) -> None:
        self.pieces.setdefault(signal, []).append(piece)

    def number_of(self, text: str) -> int:
        number = self.numbers.setdefault(text, len(self.numbers))
        self.texts[number] = text
        return number


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
        self._open_files = _OpenFiles(directory, files, open_, config.history.open_files_max)
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
            found = _Found()
            token = pack_token(vehicle)
            wanted = None if signals is None else frozenset(signals)
            # The tail first: what is flushed meanwhile is in it, though not in this manifest.
            samples, reading = self._tail.samples(loaded)
            for row in loaded.manifest.files:
                if _overlaps(row, span):
                    self._read_file(row, token, wanted, span, found)
            for part in samples:
                self._count(found, _read_samples(part, reading, token, wanted, span, found))
            return {
                name: series
                for name, pieces in sorted(found.pieces.items())
                if len(series := _merged(pieces, received_until_us, found.texts))
            }

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

    def _read_file(
        self,
        row: FileRow,
        token: tuple[int, int],
        wanted: frozenset[str] | None,
        span: Span,
        found: _Found,
    ) -> None:
        with self._open_files.borrowed(row.number) as file:
            index = file.index
            place = index.find(*token)
            if place < 0 or index.from_us[place] >= span.until_us:
                return
            if index.to_us[place] < span.from_us:
                return
            names = _columns_of(file, wanted)
            if not names:
                return
            first, end = int(index.first_row[place]), int(index.first_row[place + 1])
            if len(index.groups(first, end)) > GROUPS_READ_WHOLE:
                times = file.rows(first, end, [TIME]).column(TIME).to_numpy()
                begin, stop = np.searchsorted(times, (span.from_us, span.until_us))
                first, end = first + int(begin), first + int(stop)
            if first == end:
                return
            table = file.rows(first, end, [TIME, RECEIVED, ORDER, *names])
        times = table.column(TIME).to_numpy()
        begin, stop = (int(at) for at in np.searchsorted(times, (span.from_us, span.until_us)))
        self._count(found, stop - begin)
        table = table.slice(begin, stop - begin)
        fixed = [table.column(name).to_numpy() for name in (TIME, RECEIVED, ORDER)]
        for name in names:
            _add_column(name, table.column(name), fixed, found)

    def _count(self, found: _Found, rows: int) -> None:
        found.rows += rows
        limit = self._config.history.rows_max
        if found.rows > limit:
            raise HistoryTooLargeError(
                f"more than {limit} rows lie in this span: ask for less time, a part at a time"
            )


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


def _columns_of(file: ColumnFile, wanted: frozenset[str] | None) -> list[str]:
    if wanted is None:
        return [name for name in file.columns if name not in FIXED]
    names = [column_name(kind, each) for each in sorted(wanted) for kind in (NUMBER, TEXT, BOOLEAN)]
    return [name for name in names if name in file.columns]


def _add_column(
    name: str, column: pa.ChunkedArray, fixed: list[npt.NDArray[np.int64]], found: _Found
) -> None:
    kind, signal = signal_of(name)
    columns = fixed
    if column.null_count:
        if column.null_count == len(column):
            return
        there = column.is_valid().to_numpy()
        columns = [each[there] for each in fixed]
        column = column.drop_null()
    time_us, received_us, order = columns
    found.add(signal, _Piece(time_us, received_us, order, _boxed(kind, column, found)))


def _boxed(kind: str, column: pa.ChunkedArray, found: _Found) -> npt.NDArray[np.float64]:
    """Arrow's values without nulls as history's float64."""
    if kind == NUMBER:
        values: npt.NDArray[np.float64] = column.to_numpy()
        return values
    if kind == BOOLEAN:
        return _floats(column.to_numpy().astype(np.uint64) | np.uint64(BOOLEAN_BITS))
    words = column.combine_chunks().dictionary_encode()
    if isinstance(words, pa.ChunkedArray):
        words = words.combine_chunks()
    numbers = [found.number_of(word) for word in words.dictionary.to_pylist()]
    bits = np.array(numbers, np.uint64)[words.indices.to_numpy()]
    return _floats(bits | np.uint64(TEXT_BITS))


def _floats(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return bits.view(np.float64)


def _read_samples(
    part: Samples,
    reading: LogReading,
    token: tuple[int, int],
    wanted: frozenset[str] | None,
    span: Span,
    found: _Found,
) -> int:
    """Take the vehicle's samples of the tail; how many rows of a file they would be."""
    is_own = (part.high == np.uint64(token[0])) & (part.low == np.uint64(token[1]))
    if not is_own.any():
        return 0
    is_in = (part.time_us >= span.from_us) & (part.time_us < span.until_us)
    at = np.flatnonzero(is_own[part.record] & is_in)
    for number in np.unique(part.signal[at]).tolist():
        name = reading.name_of(number)
        if wanted is not None and name not in wanted:
            continue
        own = at[part.signal[at] == number]
        record = part.record[own]
        value = part.value[own].copy()
        bits = value.view(np.uint64)
        is_text = bits & np.uint64(0xFFFF_0000_0000_0000) == np.uint64(TEXT_BITS)
        for place in np.flatnonzero((value != value) & is_text).tolist():
            text = part.texts[int(bits[place]) & 0xFFFF_FFFF_FFFF]
            bits[place] = TEXT_BITS | found.number_of(text)
        piece = _Piece(part.time_us[own], part.received_us[record], part.order[record], value)
        found.add(name, piece)
    record, time_us = part.record[at], part.time_us[at]
    changes = (record[1:] != record[:-1]) | (time_us[1:] != time_us[:-1])
    return int(np.count_nonzero(changes)) + min(1, len(at))


def _merged(pieces: list[_Piece], received_until_us: int | None, texts: dict[int, str]) -> Series:
    """One series of all pieces: by event time, of equal times the later in the log."""
    time_us, received_us, order, value = (
        np.concatenate([getattr(piece, name) for piece in pieces])
        if len(pieces) > 1
        else getattr(pieces[0], name)
        for name in ("time_us", "received_us", "order", "value")
    )
    if received_until_us is not None:
        known = received_us <= received_until_us
        time_us, received_us, order, value = (
            time_us[known],
            received_us[known],
            order[known],
            value[known],
        )
    if (time_us[1:] <= time_us[:-1]).any():
        at = np.lexsort((order, time_us))
        stands = np.ones(len(at), np.bool_)
        stands[:-1] = time_us[at[1:]] != time_us[at[:-1]]
        at = at[stands]
        time_us, received_us, value = time_us[at], received_us[at], value[at]
    return Series(time_us, received_us, value, texts)


class _OpenFiles:
    """Column files that were read lately stay open: to read a footer takes longer than an hour."""

    def __init__(self, directory: Path, files: Files, open_: Open, files_max: int) -> None:
        self._directory, self._files, self._open = directory, files, open_
        self._files_max = max(1, files_max)
        self._idle: OrderedDict[int, ColumnFile] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def borrowed(self, number: int) -> Iterator[ColumnFile]:
        """The file, for one thread. Raises `FileNotFoundError` when it was retired."""
        with self._lock:
            file = self._idle.pop(number, None)
        if file is None:
            file = ColumnFile(self._files, column_path(self._directory, number), self._open)
        try:
            yield file
        finally:
            dropped = [file]
            with self._lock:
                if number not in self._idle:
                    self._idle[number] = file
                    dropped = []
                while len(self._idle) > self._files_max:
                    dropped.append(self._idle.popitem(last=False)[1])
            for each in dropped:
                each.close()

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, OrderedDict()
        for each in idle.values():
            each.close()
