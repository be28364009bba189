"""Runs: from when to when a vehicle spoke, moved, or raised an alarm. Beside each history file.

A run begins and ends with a sample, and between two of its samples there is never more than the
gap. So in buckets at least as long as the gap, runs tell exactly what the samples tell: a bucket
that a run touches holds one of its ends, or lies inside, where it is too long to fit between two
samples. Runs of one file need no other file: what any of them says is so.

A `.runs` file, little-endian: a header (magic, what speed counts as moving, for each gap the bytes
and the xxh3-64 of its part, xxh3-64 of all that), then a part for each gap, so that a question
reads one. A part is a Parquet table, sorted by `what` and `vehicle` (the number that the index
gives it); a run of one sample has length 0.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from motorcade.history.errors import HistoryDamagedError
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

_HEADER: Final = struct.Struct("<8sd" + "2Q" * len(GAPS_US))
_SUM: Final = struct.Struct("<Q")
_MAGIC: Final = b"MCRUNS\x00\x01"
HEADER_BYTES: Final = _HEADER.size + _SUM.size

_SCHEMA: Final = pa.schema(
    [(name, pa.int32()) for name in ("what", "vehicle")]
    + [(name, pa.int64()) for name in ("from_us", "length_us")]
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
        """The file's bytes."""
        fine = {what: together(parts) for what, parts in self._found.items()}
        parts = [
            _pack({what: joined(runs, gap_us) for what, runs in fine.items()}) for gap_us in GAPS_US
        ]
        places = [number for part in parts for number in (len(part), _sum_of(part))]
        header = _HEADER.pack(_MAGIC, self._moving_mps, *places)
        return b"".join((header, _SUM.pack(_sum_of(header)), *parts))


class Part(NamedTuple):
    """Where the runs with one of the gaps are."""

    offset: int
    bytes: int
    sum: int


class Header(NamedTuple):
    """What the first `HEADER_BYTES` say."""

    moving_mps: float
    parts: list[Part]  # one for each of the `GAPS_US`


def unpack_header(data: bytes, name: str) -> Header:
    """Raises `HistoryDamagedError`, naming the file."""
    header = data[: _HEADER.size]
    if len(data) < HEADER_BYTES or _SUM.pack(_sum_of(header)) != data[_HEADER.size : HEADER_BYTES]:
        raise _damaged(name)
    magic, moving_mps, *places = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise _damaged(name)
    parts, offset = [], HEADER_BYTES
    for size, digest in zip(places[::2], places[1::2], strict=True):
        parts.append(Part(offset, size, digest))
        offset += size
    return Header(moving_mps, parts)


def unpack(data: bytes, part: Part, name: str) -> dict[What, Runs]:
    """The runs of a part, whose bytes these are. Raises `HistoryDamagedError`."""
    if len(data) != part.bytes or _sum_of(data) != part.sum:
        raise _damaged(name)
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    bounds = np.searchsorted(table.column("what").to_numpy(), range(len(What) + 1)).tolist()
    vehicle, from_us, length_us = (table.column(name).to_numpy() for name in _SCHEMA.names[1:])
    runs = Runs(vehicle, from_us, from_us + length_us)
    return {
        what: Runs(*(column[bounds[what] : bounds[what + 1]] for column in runs)) for what in What
    }


def check(data: bytes, name: str) -> None:
    """Read a whole file. Raises `HistoryDamagedError`."""
    for part in unpack_header(data, name).parts:
        unpack(data[part.offset : part.offset + part.bytes], part, name)


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


def _pack(found: Mapping[What, Runs]) -> bytes:
    tables = []
    for what, runs in found.items():
        number = np.full(len(runs.vehicle), what, np.int32)
        columns = [number, runs.vehicle.astype(np.int32), runs.from_us, runs.to_us - runs.from_us]
        tables.append(pa.table(columns, schema=_SCHEMA))
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.concat_tables(tables),
        sink,
        compression="zstd",
        use_dictionary=["what"],
        column_encoding=dict.fromkeys(_SCHEMA.names[1:], "DELTA_BINARY_PACKED"),
        write_statistics=False,
    )
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _sum_of(data: bytes) -> int:
    return xxhash.xxh3_64_intdigest(data)


def _damaged(name: str) -> HistoryDamagedError:
    return HistoryDamagedError(f"{name} is damaged: restore it from a backup")
