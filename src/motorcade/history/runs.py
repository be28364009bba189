"""Runs: from when to when a vehicle spoke, moved, or raised an alarm. Beside each history file.

A run begins and ends with a sample, and between two of its samples there is never more than the
gap. So in buckets at least as long as the gap, runs tell exactly what the samples tell: a bucket
that a run touches holds one of its ends, or lies inside, where it is too long to fit between two
samples. Runs of one file need no other file: what any of them says is so.

A `.runs` file is xxh3-64 of the rest, then a Parquet table, a row group for each gap, sorted by
`what` and `vehicle` (the number that the index gives it). What speed counts as moving is in its
metadata.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from motorcade.history.layout import NUMBER, TIME, column_name
from motorcade.history.port import Times
from motorcade.signals.catalogue import BY_NAME

GAPS_US: Final = (30_000_000, 600_000_000)
"""For an hour in 96 buckets, which is what is asked by default, and for the page's day in 120."""

SPEED: Final = "vehicle_speed"


def _fault(name: str, word: str) -> tuple[str, float]:
    enum = BY_NAME[name].enum
    assert enum is not None
    return name, float(enum.numbers[word])


ALARMS: Final = dict(
    (
        _fault("sentry_mode", "Panic"),
        _fault("bms_state", "Fault"),
        _fault("hvil", "Fault"),
        *(
            (f"tpms_hard_warning_{end}_{side}", 1.0)
            for end in ("front", "rear")
            for side in ("left", "right")
        ),
    )
)
"""Signals by which a car's own supervision raises an alarm, and the value that does."""

_SPEED: Final = column_name(NUMBER, SPEED)
_ALARMS: Final = {column_name(NUMBER, name): value for name, value in ALARMS.items()}
COLUMNS: Final = frozenset({TIME, _SPEED, *_ALARMS})
"""Of a history file: all that runs are made of."""

_MOVING: Final = b"motorcade.moving_mps"
_SCHEMA: Final = pa.schema(
    [("what", pa.int32()), ("vehicle", pa.int32()), ("from_us", pa.int64()), ("to_us", pa.int64())]
)


class What(IntEnum):
    """What a vehicle did, as a run tells it."""

    SPOKE = 0
    MOVED = 1
    ALARMED = 2


class Runs(NamedTuple):
    """Columns of equal length."""

    vehicle: Times
    from_us: Times
    to_us: Times  # the last sample's time

    def only(self, wanted: npt.NDArray[np.bool_]) -> "Runs":
        return Runs(*(column[wanted] for column in self))


class RunsMaker:
    """Makes the runs of one file."""

    def __init__(self, moving_mps: float) -> None:
        self._moving_mps = moving_mps
        self._found: dict[What, list[Runs]] = {what: [] for what in What}

    def add(self, vehicle: Times, table: pa.Table) -> None:
        """Rows sorted by vehicle and time, over all calls; what of `COLUMNS` the file has."""
        times = table.column(TIME).to_numpy()
        rows = Runs(vehicle, times, times)
        moved, alarmed = np.zeros((2, len(times)), np.bool_)
        if _SPEED in table.column_names:
            moved = table.column(_SPEED).to_numpy() > self._moving_mps  # NaN, as null is, is not
        for name, value in _ALARMS.items():
            if name in table.column_names:
                alarmed |= table.column(name).to_numpy() == value
        for what, own in (
            (What.SPOKE, rows),
            (What.MOVED, rows.only(moved)),
            (What.ALARMED, rows.only(alarmed)),
        ):
            if len(own.vehicle):
                self._found[what].append(joined(own, GAPS_US[0]))

    def pack(self) -> bytes:
        """The Parquet table."""
        fine = {what: together(parts) for what, parts in self._found.items()}
        sink = pa.BufferOutputStream()
        metadata = {_MOVING: repr(self._moving_mps)}
        with pq.ParquetWriter(
            sink,
            _SCHEMA.with_metadata(metadata),
            compression="zstd",
            use_dictionary=["what"],
            column_encoding=dict.fromkeys(_SCHEMA.names[1:], "DELTA_BINARY_PACKED"),
            write_statistics=False,
        ) as writer:
            for gap_us in GAPS_US:
                tables = [_table(what, joined(runs, gap_us)) for what, runs in fine.items()]
                table = pa.concat_tables(tables)
                writer.write_table(table, row_group_size=max(1, len(table)))
        packed: bytes = sink.getvalue().to_pybytes()
        return packed


def unpack(data: bytes, gap_us: int) -> tuple[float, dict[What, Runs]]:
    """What counts as moving, m/s, and the runs with one of the `GAPS_US`, by `what`.

    Raises:
        ArrowException, OSError: these are no runs.
    """
    file = pq.ParquetFile(pa.BufferReader(data))
    table = file.read_row_group(GAPS_US.index(gap_us), use_threads=False)
    bounds = np.searchsorted(table.column("what").to_numpy(), range(len(What) + 1)).tolist()
    columns = [table.column(name).to_numpy() for name in _SCHEMA.names[1:]]
    return float(file.metadata.metadata[_MOVING]), {
        what: Runs(*(column[bounds[what] : bounds[what + 1]] for column in columns))
        for what in What
    }


def joined(runs: Runs, gap_us: int) -> Runs:
    """Runs, or single samples, of one vehicle no further apart than that become one."""
    vehicle, from_us, to_us = runs
    begins = np.ones(len(vehicle), np.bool_)
    begins[1:] = (vehicle[1:] != vehicle[:-1]) | (from_us[1:] > to_us[:-1] + gap_us)
    ends = np.ones(len(vehicle), np.bool_)
    ends[:-1] = begins[1:]
    return Runs(vehicle[begins], from_us[begins], to_us[ends])


def together(parts: list[Runs]) -> Runs:
    """One after the other."""
    empty = Runs(*np.zeros((3, 0), np.int64))
    return Runs(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))


def _table(what: What, runs: Runs) -> pa.Table:
    number = np.full(len(runs.vehicle), what, np.int32)
    return pa.table([number, runs.vehicle.astype(np.int32), *runs[1:]], schema=_SCHEMA)
