"""Which files are merged and which are dropped (pure), and the merge of sorted files.

A flush writes one small file. Eight of them become one file for each window of event time, eight of
those the next tier, and a window that is over becomes one file. So a vehicle's hour lies in one or
two files, and a row is written some four times. Late data comes in new small files and goes the
same way.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from motorcade.config import HistoryConfig
from motorcade.durable import Files
from motorcade.history.columns import ColumnFile, ColumnWriter, Open
from motorcade.history.layout import FIXED, ORDER, RECEIVED, TIME, Rows
from motorcade.history.manifest import FileRow, column_path

MERGED_MIN: Final = 8  # files of one tier
MERGED_MAX: Final = 64  # at once
WINDOWS_MAX: Final = 32  # get a file of their own in one merge; the rest shares one
CHUNK_ROWS: Final = 131_072  # in memory at once, whole vehicles
GROWTH: Final = 4  # late data rewrites its window's file when it is a quarter of it
_US: Final = 1_000_000

Numbers = npt.NDArray[np.int64]


class Merge(NamedTuple):
    rows: list[FileRow]
    tier: int  # of what comes out


def window_of(row: FileRow, window_us: int) -> int | None:
    """The window of event time that the whole file lies in; `None`: more than one."""
    window = row.from_us // window_us
    return window if row.to_us // window_us == window else None


def next_merge(rows: Sequence[FileRow], now_us: int, limits: HistoryConfig) -> Merge | None:
    """What to merge next, if anything."""
    window_us = limits.window_s * _US
    by_place: dict[tuple[int | None, int], list[FileRow]] = {}
    by_window: dict[int, list[FileRow]] = {}
    for row in rows:
        window = window_of(row, window_us) if row.tier else None
        by_place.setdefault((window, row.tier), []).append(row)
        if window is not None and (window + 2) * window_us <= now_us:
            by_window.setdefault(window, []).append(row)
    for (_, tier), same in by_place.items():
        if len(same) >= MERGED_MIN:
            return Merge(same[:MERGED_MAX], tier + 1)
    for over in by_window.values():
        largest = max(row.rows for row in over)
        rest = sum(row.rows for row in over) - largest
        if len(over) > 1 and GROWTH * rest >= largest:
            return Merge(over[:MERGED_MAX], max(row.tier for row in over))
    return None


def expired(rows: Sequence[FileRow], now_us: int, limits: HistoryConfig) -> set[int]:
    """Numbers of files that are too old, or the oldest beyond the bytes that may be kept."""
    old_us = now_us - limits.retention_age_s * _US
    gone = {row.number for row in rows if row.to_us < old_us}
    kept = sorted((row for row in rows if row.number not in gone), key=lambda row: row.to_us)
    surplus = sum(row.bytes for row in kept) - limits.retention_bytes
    for row in kept:
        if surplus <= 0:
            break
        gone.add(row.number)
        surplus -= row.bytes
    return gone


def merge(
    directory: Path,
    files: Files,
    open_: Open,
    todo: Merge,
    first_number: int,
    window_s: int,
    moving_mps: float,
) -> list[FileRow]:
    """Write the merged files, numbered from `first_number` on. Raises as files do.

    Raises:
        OSError, HistoryDamagedError: what was begun is left beside and does not count.
    """
    sources: list[ColumnFile] = []
    outputs: dict[int, _Output] = {}
    try:
        sources.extend(
            ColumnFile(files, column_path(directory, row.number), open_) for row in todo.rows
        )
        schema = _schema(sources)
        windows = _own_windows(sources, window_s * _US)
        for rows in _chunks(sources, schema):
            place = rows.table.column(TIME).to_numpy() // (window_s * _US)
            place = np.where(np.isin(place, windows), place, -(1 << 62))
            for window in np.unique(place).tolist():
                at = np.flatnonzero(place == window)
                if window not in outputs:
                    number = first_number + len(outputs)
                    outputs[window] = _Output(directory, files, number, schema, moving_mps)
                outputs[window].add(Rows(rows.high[at], rows.low[at], rows.table.take(at)))
        return [output.finish(todo.tier) for output in outputs.values()]
    except BaseException:
        for output in outputs.values():
            output.abandon()
        raise
    finally:
        for source in sources:
            source.close()


class _Output:
    def __init__(
        self, directory: Path, files: Files, number: int, schema: pa.Schema, moving_mps: float
    ) -> None:
        self._number, self._moving_mps = number, moving_mps
        path = column_path(directory, number)
        self._writer = ColumnWriter(files, path, schema, moving_mps)

    def add(self, rows: Rows) -> None:
        self._writer.add(rows)

    def finish(self, tier: int) -> FileRow:
        return FileRow(self._number, *self._writer.finish(), tier, self._moving_mps)

    def abandon(self) -> None:
        self._writer.abandon()


def _schema(sources: Sequence[ColumnFile]) -> pa.Schema:
    """The fixed columns and every signal's of any source."""
    signals = {
        field.name: field.type
        for source in sources
        for field in source.schema()
        if field.name not in FIXED
    }
    fixed = [(name, pa.int64()) for name in (TIME, RECEIVED, ORDER)]
    return pa.schema([*fixed, *sorted(signals.items(), key=lambda item: item[0])])


def _own_windows(sources: Sequence[ColumnFile], window_us: int) -> Numbers:
    """The windows with most rows; a clock gone wild makes no files without end."""
    found: list[Numbers] = []
    counted: list[Numbers] = []
    for source in sources:
        rows = int(source.index.first_row[-1])
        times = source.rows(0, rows, [TIME]).column(TIME).to_numpy()
        windows, counts = np.unique(times // window_us, return_counts=True)
        found.append(windows)
        counted.append(counts)
    windows, place = np.unique(np.concatenate(found), return_inverse=True)
    counts = np.bincount(place, np.concatenate(counted))
    return windows[np.argsort(-counts, kind="stable")[:WINDOWS_MAX]]


def _chunks(sources: Sequence[ColumnFile], schema: pa.Schema) -> Iterator[Rows]:
    """Sorted rows of all sources, whole vehicles, about `CHUNK_ROWS` at a time."""
    high = np.concatenate([source.index.high for source in sources])
    low = np.concatenate([source.index.low for source in sources])
    counts = np.concatenate([np.diff(source.index.first_row) for source in sources])
    by_token = np.lexsort((low, high))
    high, low, counts = high[by_token], low[by_token], counts[by_token]
    starts = np.flatnonzero(
        np.concatenate(([True], (high[1:] != high[:-1]) | (low[1:] != low[:-1])))
    )
    rows = np.add.reduceat(counts, starts)
    first = 0
    while first < len(starts):
        ends = np.cumsum(rows[first:])
        end = first + max(1, int(np.searchsorted(ends, CHUNK_ROWS, "right")))
        last = (int(high[starts[end - 1]]), int(low[starts[end - 1]]))
        begin = (int(high[starts[first]]), int(low[starts[first]]))
        parts = [part for source in sources if (part := _part(source, begin, last)) is not None]
        yield _sorted(parts, schema)
        first = end


def _part(source: ColumnFile, begin: tuple[int, int], last: tuple[int, int]) -> Rows | None:
    """A source's rows of the vehicles from `begin` to `last`, both included."""
    index = source.index
    first, end = index.place(*begin), index.place(*last)
    if end < len(index.high) and (int(index.high[end]), int(index.low[end])) == last:
        end += 1
    if first == end:
        return None
    bounds = index.first_row[first : end + 1]
    names = [name for name in source.columns if name not in FIXED]
    table = source.rows(int(bounds[0]), int(bounds[-1]), [TIME, RECEIVED, ORDER, *names])
    counts = np.diff(bounds)
    return Rows(
        np.repeat(index.high[first:end], counts), np.repeat(index.low[first:end], counts), table
    )


def _sorted(parts: Sequence[Rows], schema: pa.Schema) -> Rows:
    empty = schema.empty_table()
    table = pa.concat_tables([empty, *(part.table for part in parts)], promote_options="default")
    table = table.select(schema.names)
    high = np.concatenate([part.high for part in parts])
    low = np.concatenate([part.low for part in parts])
    keys = (table.column(ORDER).to_numpy(), table.column(TIME).to_numpy(), low, high)
    at = np.lexsort(keys)
    return Rows(high[at], low[at], table.take(at))
