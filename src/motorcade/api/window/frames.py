"""The stream's binary frames: columns in, bytes out. No IO. `docs/protocols/dashboard.md` §3."""

import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from motorcade.api.window.index import Cells

CARS, DENSITY, VERSION = 1, 2, 1
FORGET: Final = 1  # flags of a frame: what was sent before is void
NO_POSITION, GONE, MATCHES = 1, 2, 4  # flags of a car
HEADER: Final = struct.Struct("<BBHIqQ")
CAR_BYTES: Final = 26
AGE_MS_MAX: Final = 0xFFFF_FFFF
_CELLS_SHORT_MAX: Final = 0xFFFF


class Wire(NamedTuple):
    """The fleet as it goes over the wire, by slot."""

    lon: npt.NDArray[np.int32]  # 1e-7 degrees
    lat: npt.NDArray[np.int32]
    speed: npt.NDArray[np.uint16]  # cm/s
    heading: npt.NDArray[np.uint16]  # 1/100 degree; 65535: unknown
    state: npt.NDArray[np.uint8]
    placed: npt.NDArray[np.uint8]  # has a position

    @staticmethod
    def of(count: int) -> "Wire":
        short, flags = np.zeros(count, np.uint16), np.zeros(count, np.uint8)
        places = np.zeros(count, np.int32)
        return Wire(places, places.copy(), short, short.copy(), flags, flags.copy())

    def copied(self) -> "Wire":
        """One that may be changed."""
        columns: Any = [column.copy() for column in self]
        return Wire(*columns)

    def grown(self, count: int) -> "Wire":
        """The same with room for so many slots."""
        pairs: Any = zip(self, Wire.of(count - len(self.lon)), strict=True)
        columns = [np.concatenate(pair) for pair in pairs]
        return Wire(*columns)


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
    wire: Wire,
    slots: npt.NDArray[np.int64],
    gone: npt.NDArray[np.uint8],
    matches: npt.NDArray[np.bool_],
    ages_ms: npt.NDArray[np.int64],
) -> bytes:
    """A frame of these cars; the columns besides `wire` are by their order in `slots`.

    Of a car that is gone, nothing but that is told.
    """
    here = gone == 0
    flags = np.where(here, np.where(matches, MATCHES, 0), GONE)
    flags |= np.where((wire.placed[slots] != 0) & here, 0, NO_POSITION)
    columns = (
        slots.astype("<u4"),
        (wire.lon[slots] * here).astype("<i4"),
        (wire.lat[slots] * here).astype("<i4"),
        (np.clip(ages_ms, 0, AGE_MS_MAX) * here).astype("<u4"),
        (wire.speed[slots] * here).astype("<u2"),
        np.where(here, wire.heading[slots], 65535).astype("<u2"),
        (wire.state[slots] * here).astype("u1"),
        flags.astype("u1"),
    )
    return b"".join((stamp.head(CARS, len(slots)), *(column.tobytes() for column in columns)))


def encode_density(stamp: Stamp, cells: "Cells") -> bytes:
    """A frame of these cells."""
    size, turn = cells.size, 3_600_000_000
    lon = (cells.columns * size + size // 2 + turn // 2) % turn - turn // 2
    lat = np.clip(cells.rows * size + size // 2, -900_000_000, 900_000_000)
    told = (
        lon.astype("<i4"),
        lat.astype("<i4"),
        np.full(len(lon), size, "<u4"),
        cells.counts.sum(axis=1).astype("<u4"),
        np.minimum(cells.counts, _CELLS_SHORT_MAX).astype("<u2"),
    )
    return b"".join((stamp.head(DENSITY, len(lon)), *(column.tobytes() for column in told)))
