"""Runs: from when to when a vehicle spoke, moved, or raised an alarm. Beside each history file.

A run begins and ends with a sample, and between two of its samples there is never more than the
gap. So in buckets at least as long as the gap, runs tell exactly what the samples tell: a bucket
that a run touches holds one of its ends, or lies inside, where it is too long to fit between two
samples. Runs of one file need no other file: what any of them says is so.

A `.runs` file, little-endian: a header (magic, what speed counts as moving, for each part its bytes
and their xxh3-64, xxh3-64 of all that), then the parts: for each gap what vehicles spoke, moved and
alarmed, so that a question reads three that lie together. A part is nothing, or a Parquet table
sorted by `vehicle` (the number that the index gives it); a run of one sample has length 0.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final, NamedTuple

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


_PARTS: Final = len(GAPS_US) * len(What)
_HEADER: Final = struct.Struct("<8sd" + "2Q" * _PARTS)
_SUM: Final = struct.Struct("<Q")
_MAGIC: Final = b"MCRUNS\x00\x02"
HEADER_BYTES: Final = _HEADER.size + _SUM.size
WAITING_MAX: Final = 100_000  # runs that are encoded at once: 2.4 MB

_SCHEMA: Final = pa.schema(
    [("vehicle", pa.int32()), ("from_us", pa.int64()), ("length_us", pa.int64())]
)


NOTHING: Final = Runs(*np.zeros((3, 0), np.int64))


class RunsMaker:
    """Makes the runs of one file; holds little of them but encoded."""

    def __init__(self, moving_mps: float) -> None:
        self._moving_mps = moving_mps
        self._parts = [{what: _PartMaker(gap_us) for what in What} for gap_us in GAPS_US]

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
        for parts in self._parts:
            parts[What.SPOKE].add(rows)
            parts[What.MOVED].add(rows.only(moved))
            parts[What.ALARMED].add(rows.only(alarmed))

    def pack(self) -> bytes:
        """The file's bytes."""
        bodies = [part.finish() for parts in self._parts for part in parts.values()]
        places = [number for body in bodies for number in (len(body), _sum_of(body))]
        header = _HEADER.pack(_MAGIC, self._moving_mps, *places)
        return b"".join((header, _SUM.pack(_sum_of(header)), *bodies))


class _PartMaker:
    """The runs of one kind with one gap."""

    def __init__(self, gap_us: int) -> None:
        self._gap_us = gap_us
        self._last = NOTHING  # one run, which may go on
        self._waiting: list[Runs] = []
        self._waiting_runs = 0
        self._sink = pa.BufferOutputStream()
        self._writer: Any = None

    def add(self, samples: Runs) -> None:
        """Samples that follow those before."""
        found = joined(together([self._last, samples]), self._gap_us)
        self._waiting.append(Runs(*(column[:-1] for column in found)))
        self._last = Runs(*(column[-1:] for column in found))
        self._waiting_runs += max(0, len(found.vehicle) - 1)
        if self._waiting_runs > WAITING_MAX:
            self._write()

    def finish(self) -> bytes:
        """All of it; nothing where there is no run."""
        self._waiting.append(self._last)
        self._write()
        if self._writer is not None:
            self._writer.close()
        body: bytes = self._sink.getvalue().to_pybytes()
        return body

    def _write(self) -> None:
        vehicle, from_us, to_us = together(self._waiting)
        self._waiting, self._waiting_runs = [], 0
        if not len(vehicle):
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink,
                _SCHEMA,
                compression="zstd",
                use_dictionary=False,
                column_encoding=dict.fromkeys(_SCHEMA.names, "DELTA_BINARY_PACKED"),
                write_statistics=False,
            )
        columns = [vehicle.astype(np.int32), from_us, to_us - from_us]
        self._writer.write_table(pa.table(columns, schema=_SCHEMA), row_group_size=len(vehicle))


class Part(NamedTuple):
    """Where the runs of one kind with one gap are."""

    offset: int
    bytes: int
    sum: int


class Header(NamedTuple):
    """What the first `HEADER_BYTES` say."""

    moving_mps: float
    parts: list[dict[What, Part]]  # for each of the `GAPS_US`; one after the other


def unpack_header(data: bytes, name: str) -> Header:
    """Raises `HistoryDamagedError`, naming the file."""
    header = data[: _HEADER.size]
    if len(data) < HEADER_BYTES or _SUM.pack(_sum_of(header)) != data[_HEADER.size : HEADER_BYTES]:
        raise _damaged(name)
    magic, moving_mps, *places = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise _damaged(name)
    found, offset = [], HEADER_BYTES
    for size, digest in zip(places[::2], places[1::2], strict=True):
        found.append(Part(offset, size, digest))
        offset += size
    each = len(What)
    return Header(
        moving_mps,
        [dict(zip(What, found[at : at + each], strict=True)) for at in range(0, len(found), each)],
    )


def unpack(data: bytes, parts: Mapping[What, Part], name: str) -> dict[What, Runs]:
    """The runs with one gap; `data` has their parts. Raises `HistoryDamagedError`."""
    first = parts[What.SPOKE].offset
    return {
        what: _unpack(data[part.offset - first :][: part.bytes], part, name)
        for what, part in parts.items()
    }


def check(data: bytes, name: str) -> None:
    """Read a whole file. Raises `HistoryDamagedError`."""
    for parts in unpack_header(data, name).parts:
        unpack(data[parts[What.SPOKE].offset :], parts, name)


def _unpack(data: bytes, part: Part, name: str) -> Runs:
    if len(data) != part.bytes or _sum_of(data) != part.sum:
        raise _damaged(name)
    if not data:
        return NOTHING
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    vehicle, from_us, length_us = (table.column(name).to_numpy() for name in _SCHEMA.names)
    return Runs(vehicle, from_us, from_us + length_us)


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
    return Runs(*(np.concatenate(columns) for columns in zip(NOTHING, *parts, strict=True)))


def _sum_of(data: bytes) -> int:
    return xxhash.xxh3_64_intdigest(data)


def _damaged(name: str) -> HistoryDamagedError:
    return HistoryDamagedError(f"{name} is damaged: restore it from a backup")
