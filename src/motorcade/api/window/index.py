"""Where cars stand, sorted once per tick so that each viewer looks at those near their view alone.

Cells of one size over the world, row by row: what a view overlaps is one run of the sorted slots
per row. And density: cars by cell and state, made once per tick and size for all who look alike.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.api.window.frames import Wire, encode_cells
from motorcade.api.window.kernels import find_in_view, sort_by_cell

CELL: Final = 200_000  # 1e-7 degrees: some 2 km
COLUMNS: Final = 3_600_000_000 // CELL + 1
STATES: Final = 7
Slots = npt.NDArray[np.int64]
Places = npt.NDArray[np.int64]
"""Where cars stand in an index."""
Bounds = tuple[int, int, int, int]
"""West, south, east, north, 1e-7 degrees; west > east: across 180."""


class Index:
    """Cars with a position, by cell. Their columns lie in memory in that order: who looks at a part
    of the town reads runs of it, where by slot each car would be a miss of the cache. For one
    thread.
    """

    def __init__(self, wire: Wire, slots: Slots) -> None:
        self.slots, self._keys = np.empty(len(slots), np.int64), np.empty(len(slots), np.int32)
        self.wire = Wire.of(len(slots))
        near = self.wire.records
        sort_by_cell(slots, wire.records, CELL, COLUMNS, self.slots, self._keys, near)
        self._found = np.empty(len(slots), np.int64)

    def in_view(self, bounds: Bounds) -> Places:
        """Which of the cars lie in the bounds; good until the next call."""
        near = self.wire.records
        count = find_in_view(self._keys, bounds, CELL, COLUMNS, near, self._found)
        return self._found[:count]


def inside(wire: Wire, slots: Slots, bounds: Bounds) -> npt.NDArray[np.bool_]:
    """Which of these slots lie in the bounds."""
    west, south, east, north = bounds
    lon, lat = wire.lon[slots], wire.lat[slots]
    across = (lon >= west) & (lon <= east) if west <= east else (lon >= west) | (lon <= east)
    return across & (lat >= south) & (lat <= north)


class Cells(NamedTuple):
    """Cars by cell of `size`, those that are not empty."""

    size: int
    rows: npt.NDArray[np.int64]  # the cell's south side is `rows * size`
    columns: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]  # [cell, state]

    @staticmethod
    def of(wire: Wire, slots: Slots, size: int) -> "Cells":
        rows = wire.lat[slots].astype(np.int64) // size
        columns = wire.lon[slots].astype(np.int64) // size
        width = 1 << 32
        keys, cell = np.unique(rows * width + columns + (width >> 1), return_inverse=True)
        states = wire.state[slots].astype(np.int64)
        counts = np.bincount(cell * STATES + states, minlength=len(keys) * STATES)
        rows = keys // width
        return Cells(size, rows, keys - rows * width - (width >> 1), counts.reshape(-1, STATES))

    def part(self, area: Bounds, wanted: tuple[int, ...]) -> "Part":
        """Those in an area of whole cells, with the cars in `wanted` states (1 by index)."""
        first, low, last, high = area
        if first <= last:
            good = (self.columns >= first) & (self.columns <= last)
            inner = (self.columns > first) & (self.columns < last)
        else:
            good = (self.columns >= first) | (self.columns <= last)
            inner = (self.columns > first) | (self.columns < last)
        good &= (self.rows >= low) & (self.rows <= high)
        inner &= (self.rows > low) & (self.rows < high)
        count_inner = int(self.counts[inner].sum())
        counts = self.counts * np.array(wanted, np.int64)
        good &= counts.any(axis=1)
        body = encode_cells(self.size, self.rows[good], self.columns[good], counts[good])
        return Part(count_inner, int(np.count_nonzero(good)), body)


class Part(NamedTuple):
    """The density of an area, as it is sent."""

    count_inner: int  # cars, of any state, in cells that are not at its edge
    cells: int
    body: bytes  # of the frame


def area_of(bounds: Bounds, size: int) -> Bounds:
    """The cells that overlap the bounds: first column, first row, last column, last row."""
    west, south, east, north = bounds
    return west // size, south // size, east // size, north // size
