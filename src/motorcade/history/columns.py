"""Column files: sorted rows in, one Parquet file with its index out; one vehicle's rows back.

A row group holds about `GROUP_ROWS` rows and ends with a vehicle where it can, so that a vehicle's
hour lies in one or two of them. Times are delta coded; a number that takes few values goes through
a dictionary, any other is split by bytes: zstd finds more in it then (measured in 0032).
"""

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from motorcade.durable import Files
from motorcade.events import unpack_token
from motorcade.history import index as indices
from motorcade.history import runs
from motorcade.history.errors import HistoryDamagedError
from motorcade.history.files import NewFile, read_file, write_file
from motorcade.history.index import Index
from motorcade.history.layout import (
    FIXED,
    LATITUDE,
    LONGITUDE,
    NUMBER,
    ORDER,
    RECEIVED,
    TEXT,
    TIME,
    VEHICLE,
    Rows,
)
from motorcade.history.runs import COLUMNS, HEADER_BYTES, Runs, RunsMaker, What
from motorcade.history.sums import SummedFile, SummedNewFile

GROUP_ROWS: Final = 4_096  # a vehicle's hour at 1 Hz; 16,384 read 2.1 times slower, 18 % smaller
WIDE_COLUMNS: Final = 64  # a file with more has longer groups: each column costs 100 bytes in each
WIDER_MAX: Final = 4
FEW: Final = 0.3  # distinct among so many values: then a dictionary is shorter
PROBED: Final = 16_384  # values looked at for that
LEVEL: Final = 3  # zstd
ENDING: Final = ".parquet"
INDEX_ENDING: Final = ".index"
RUNS_ENDING: Final = ".runs"


class Written(NamedTuple):
    """What a file holds."""

    rows: int
    bytes: int  # with what lies beside it
    vehicles: int
    from_us: int
    to_us: int  # its last row's time


class ColumnWriter:
    """Writes one file; rows come sorted over all calls. Raises `OSError`."""

    def __init__(self, files: Files, path: Path, schema: pa.Schema, moving_mps: float) -> None:
        self._files, self._path, self._schema = files, path, schema
        self._runs = RunsMaker(moving_mps)
        signals = [field.name for field in schema if field.name not in FIXED]
        wider = min(WIDER_MAX, max(1, len(signals) // WIDE_COLUMNS))
        self._group_rows = GROUP_ROWS * wider
        self._waiting: list[Rows] = []
        self._waiting_rows = 0
        self._high: list[int] = []
        self._low: list[int] = []
        self._first: list[int] = []
        self._from: list[int] = []
        self._to: list[int] = []
        self._groups = [0]
        self._extremes: list[npt.NDArray[np.float64]] = []  # by vehicle, see `boxes_of`
        self._file = SummedNewFile(files, path)
        self._parquet: Any = None

    def add(self, rows: Rows) -> None:
        """Rows that follow those before."""
        self._waiting.append(Rows(rows.high, rows.low, rows.table.select(self._schema.names)))
        self._waiting_rows += len(rows)
        if self._waiting_rows >= 2 * self._group_rows:
            self._write_groups(all_of_it=False)

    def finish(self) -> Written:
        """All of it is on disk but for the directory's sync."""
        self._write_groups(all_of_it=True)
        self._parquet.close()
        size = self._file.finish()
        rows = self._groups[-1]
        packed = indices.pack(
            Index(
                np.array(self._high, np.uint64),
                np.array(self._low, np.uint64),
                np.array([*self._first, rows], np.int64),
                np.array(self._from, np.int64),
                np.array(self._to, np.int64),
                np.array(self._groups, np.int64),
                indices.boxes_of(np.array(self._extremes)),
                self._file.sums(),
            )
        )
        write_file(self._files, index_path(self._path), packed)
        packed_runs = self._runs.pack()
        write_file(self._files, runs_path(self._path), packed_runs)
        size += len(packed) + len(packed_runs)
        return Written(rows, size, len(self._high), min(self._from), max(self._to))

    def abandon(self) -> None:
        """Leave what is written beside."""
        self._file.abandon()

    def _write_groups(self, *, all_of_it: bool) -> None:
        if not self._waiting:  # the last rows that were added filled their groups
            return
        high = np.concatenate([rows.high for rows in self._waiting])
        low = np.concatenate([rows.low for rows in self._waiting])
        table = pa.concat_tables([rows.table for rows in self._waiting])
        changes = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
        starts = np.concatenate(([0], np.flatnonzero(changes) + 1, [len(high)]))
        first = 0
        while first < len(high) and (all_of_it or len(high) - first >= self._group_rows):
            end = _group_end(starts, first, self._group_rows)
            self._write_group(
                Rows(high[first:end], low[first:end], table.slice(first, end - first))
            )
            first = end
        self._waiting = (
            [Rows(high[first:], low[first:], table.slice(first))] if first < len(high) else []
        )
        self._waiting_rows = len(high) - first

    def _write_group(self, rows: Rows) -> None:
        table = rows.table.combine_chunks()
        high, low = rows.high, rows.low
        starts = np.flatnonzero(
            np.concatenate(([True], (high[1:] != high[:-1]) | (low[1:] != low[:-1])))
        )
        ends = np.append(starts[1:], len(high))
        times = table.column(TIME).to_numpy()
        tokens, numbers = [], []
        extremes = _extremes(table, starts)
        spans = zip(starts.tolist(), ends.tolist(), extremes, strict=True)
        for first, end, extreme in spans:
            token = (int(high[first]), int(low[first]))
            tokens.append(unpack_token(*token))
            if self._high and (self._high[-1], self._low[-1]) == token:
                self._to[-1] = int(times[end - 1])
                self._extremes[-1] = np.fmin(self._extremes[-1], extreme)
            else:
                self._high.append(token[0])
                self._low.append(token[1])
                self._first.append(self._groups[-1] + first)
                self._from.append(int(times[first]))
                self._to.append(int(times[end - 1]))
                self._extremes.append(extreme)
            numbers.append(len(self._high) - 1)
        self._runs.add(np.repeat(np.array(numbers), ends - starts), table)
        places = np.repeat(np.arange(len(starts), dtype=np.int32), ends - starts)
        vehicle = pa.DictionaryArray.from_arrays(pa.array(places), pa.array(tokens, pa.string()))
        table = table.add_column(0, VEHICLE, vehicle)
        if self._parquet is None:
            self._parquet = _parquet_writer(self._file, table)
        self._parquet.write_table(table, row_group_size=len(table))
        self._groups.append(self._groups[-1] + len(table))


def _extremes(table: pa.Table, starts: Any) -> npt.NDArray[np.float64]:
    """Of each vehicle, whose rows begin at `starts`: see `boxes_of`."""
    found = np.full((4, len(starts)), np.nan)
    for place, name in enumerate((LONGITUDE, LATITUDE)):
        if name in table.column_names:
            degrees = table.column(name).to_numpy()
            found[place] = np.fmin.reduceat(degrees, starts)
            found[place + 2] = np.fmin.reduceat(-degrees, starts)
    return found.T.copy()


def _group_end(starts: Any, first: int, target: int) -> int:
    """Where a group that begins at `first` ends: after a vehicle, if one ends about there."""
    end = first + target
    at = int(np.searchsorted(starts, end, "right")) - 1
    before = int(starts[at])
    after = int(starts[min(at + 1, len(starts) - 1)])
    if before > first and end - before <= target // 4:
        return before
    if after - end <= target // 4:
        return after
    return before if before > first else min(end, after)


def _parquet_writer(file: NewFile, table: pa.Table) -> Any:
    dictionary, encodings = [VEHICLE], {}
    for field in table.schema:
        if field.name in (TIME, RECEIVED, ORDER):
            encodings[field.name] = "DELTA_BINARY_PACKED"
        elif field.name[0] == TEXT:
            dictionary.append(field.name)
        elif field.name[0] == NUMBER:
            values = table.column(field.name).drop_null()[:PROBED].to_numpy()
            if len(np.unique(values)) <= FEW * len(values):
                dictionary.append(field.name)
            else:
                encodings[field.name] = "BYTE_STREAM_SPLIT"
    sink = pa.PythonFile(file, mode="w")
    return pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=LEVEL,
        use_dictionary=[name for name in dictionary if name in table.schema.names],
        column_encoding=encodings,
        write_statistics=[VEHICLE, TIME],  # for others: we have the index
        write_page_checksum=True,
        store_schema=False,
    )


def index_path(path: Path) -> Path:
    return path.with_suffix(INDEX_ENDING)


def runs_path(path: Path) -> Path:
    return path.with_suffix(RUNS_ENDING)


Open = Callable[[Path], Any]
"""Opens a column file: `pyarrow.memory_map` for a disk, or another of Arrow's files. Raises
`OSError`."""


class ColumnFile:
    """One file that is open for reading. Used by one thread at a time."""

    def __init__(self, files: Files, path: Path, open_: Open) -> None:
        """Raises `OSError` and `HistoryDamagedError`."""
        self.path, self._files, self._open = path, files, open_
        beside = index_path(path)
        self.index = indices.unpack(read_file(files, beside), beside.name)

    @cached_property
    def _file(self) -> Any:
        """Opened when a row is wanted: most questions want none of most files."""
        file, sums = self._open(self.path), self.index.sums
        if sums is not None:
            file = pa.PythonFile(SummedFile(file, sums, self.path.name), mode="r")
        try:
            return pq.ParquetFile(file, pre_buffer=False, page_checksum_verification=sums is None)
        except pa.ArrowInvalid as error:
            raise _damaged(self.path, error) from error

    @cached_property
    def columns(self) -> frozenset[str]:
        return frozenset(self._file.schema_arrow.names)

    def rows(self, first: int, end: int, columns: list[str]) -> pa.Table:
        """These columns of the rows from `first` until before `end`.

        Raises:
            HistoryDamagedError: Arrow cannot read them.
        """
        groups = self.index.groups(first, end)
        start = int(self.index.group_row[groups.start])
        try:
            table = self._file.read_row_groups(list(groups), columns=columns, use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise _damaged(self.path, error) from error
        return table.slice(first - start, end - first)

    def runs(self, gap_us: int, moving_mps: float) -> dict[What, Runs]:
        """The vehicles' runs, with one of the `GAPS_US`.

        Raises:
            FileNotFoundError: there are none for this speed; a newer manifest knows of it.
            HistoryDamagedError, OSError: they cannot be read.
        """
        path = runs_path(self.path)
        header = runs.unpack_header(read_file(self._files, path, HEADER_BYTES), path.name)
        if header.moving_mps != moving_mps:
            raise FileNotFoundError(path)
        parts = header.parts[runs.GAPS_US.index(gap_us)]
        size = sum(part.bytes for part in parts.values())
        data = read_file(self._files, path, size, parts[What.SPOKE].offset)
        return runs.unpack(data, parts, path.name)

    def write_runs(self, moving_mps: float) -> int:
        """Make the runs of what is in it, put them beside; their bytes. Raises as `rows`."""
        maker, names = RunsMaker(moving_mps), sorted(COLUMNS & self.columns)
        groups = self.index.group_row.tolist()
        for first, end in pairwise(groups):
            rows = np.arange(first, end)
            vehicle = np.searchsorted(self.index.first_row, rows, "right") - 1
            maker.add(vehicle, self.rows(first, end, names))
        packed = maker.pack()
        write_file(self._files, runs_path(self.path), packed)
        return len(packed)

    def schema(self) -> pa.Schema:
        """Of everything but `vehicle`."""
        found = self._file.schema_arrow
        return pa.schema([field for field in found if field.name != VEHICLE])

    def close(self) -> None:
        if "_file" in self.__dict__:
            self._file.close()


def _damaged(path: Path, error: Exception) -> HistoryDamagedError:
    return HistoryDamagedError(f"{path.name} is damaged, restore it from a backup: {error}")
