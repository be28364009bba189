"""The stream's binary frames: columns in, bytes out. No IO. `docs/protocols/dashboard.md` §3."""

import struct
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.api.window.kernels import RECORD, write_cars

CARS, DENSITY, VERSION = 1, 2, 1
FORGET: Final = 1  # flags of a frame: what was sent before is void
HEADER: Final = struct.Struct("<BBHIqQ")
CAR_BYTES: Final = 22
_FORMS: Final = ("<u4", "<i4", "<i4", "<u4", "<u2", "<u2", "u1", "u1")  # of a car's columns
_CELLS_SHORT_MAX: Final = 0xFFFF


class Wire:
    """The fleet as it goes over the wire, by slot.

    The columns lie side by side in memory, a record of 32 bytes for each slot: who makes a frame
    takes a few cars here and there, and each would cost a miss of the cache per column otherwise.
    """

    def __init__(self, records: npt.NDArray[Any]) -> None:
        self.records = records  # of `kernels.RECORD`, which has the units
        self.lon: npt.NDArray[np.int32] = records["lon"]
        self.lat: npt.NDArray[np.int32] = records["lat"]
        self.heading: npt.NDArray[np.uint16] = records["heading"]
        self.state: npt.NDArray[np.uint8] = records["state"]
        self.placed: npt.NDArray[np.uint8] = records["placed"]
        self.changed: npt.NDArray[np.int64] = records["changed"]

    @staticmethod
    def of(count: int) -> "Wire":
        return Wire(np.zeros(count, RECORD))

    def __len__(self) -> int:
        return len(self.records)

    def grown(self, count: int) -> "Wire":
        """A copy with room for so many slots."""
        grown = Wire.of(count)
        grown.records[: len(self)] = self.records
        return grown

    def copied(self) -> "Wire":
        """One that may be changed."""
        return Wire(self.records.copy())


class Stamp(NamedTuple):
    """What a frame's head says besides its kind and size."""

    at_us: int
    serial: int
    forget: bool

    def head(self, kind: int, count: int) -> bytes:
        flags = FORGET if self.forget else 0
        return HEADER.pack(kind, VERSION, flags, count, self.at_us, self.serial)


def encode_cars(
    stamp: Stamp,
    near: Wire,
    slots: npt.NDArray[np.int64],
    places: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.uint8],
    found: npt.NDArray[np.uint8],
) -> bytes:
    """A frame of these cars: their slots, and their places in `near`; -1: gone. `wanted` is by
    state, `found` (which cars a search finds; empty: all) by slot.

    Of a car that is gone, nothing but that is told.
    """
    count = len(slots)
    frame = np.empty(HEADER.size + CAR_BYTES * count, np.uint8)
    frame[: HEADER.size] = np.frombuffer(stamp.head(CARS, count), np.uint8)
    columns, place = [], HEADER.size
    for form in _FORMS:
        end = place + int(form[-1]) * count
        columns.append(frame[place:end].view(form))
        place = end
    write_cars(slots, places, near.records, stamp.at_us, wanted, found, tuple(columns))
    return frame.tobytes()


def encode_cells(
    size: int,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
) -> bytes:
    """A density frame's columns: of cells of `size` (1e-7 degrees) by row and column, their cars by
    state.
    """
    turn = 3_600_000_000
    lon = (columns * size + size // 2 + turn // 2) % turn - turn // 2
    lat = np.clip(rows * size + size // 2, -900_000_000, 900_000_000)
    told = (
        lon.astype("<i4"),
        lat.astype("<i4"),
        np.full(len(lon), size, "<u4"),
        counts.sum(axis=1).astype("<u4"),
        np.minimum(counts, _CELLS_SHORT_MAX).astype("<u2"),
    )
    return b"".join(column.tobytes() for column in told)
