"""Where cars stand, sorted once per tick so that each viewer looks at those near their view alone.

Cells of one size over the world, row by row: what a view overlaps is one run of the sorted slots
per row. And density: cars by cell and state, made once per tick and size for all who look alike.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.api.window.frames import Wire

CELL: Final = 500_000  # 1e-7 degrees: some 5 km
COLUMNS: Final = 3_600_000_000 // CELL + 1
ROWS_MAX: Final = 400  # a taller view looks at every car
WEST, SOUTH = -1_800_000_000, -900_000_000
STATES: Final = 7
Slots = npt.NDArray[np.int64]
Bounds = tuple[int, int, int, int]
"""West, south, east, north, 1e-7 degrees; west > east: across 180."""


@dataclass(frozen=True, slots=True)
class Index:
    """Slots of cars with a position, by cell."""

    slots: Slots
    keys: npt.NDArray[np.int32]  # of `slots`, ascending

    @staticmethod
    def of(wire: Wire) -> "Index":
        slots = np.flatnonzero(wire.placed)
        rows = (wire.lat[slots].astype(np.int64) - SOUTH) // CELL
        keys = rows * COLUMNS + (wire.lon[slots].astype(np.int64) - WEST) // CELL
        keys = keys.astype(np.int32)
        order = np.argsort(keys)
        return Index(slots[order], keys[order])

    def near(self, bounds: Bounds) -> Slots:
        """The cars in the cells that overlap these bounds, and perhaps more."""
        west, south, east, north = bounds
        rows = np.arange((south - SOUTH) // CELL, (north - SOUTH) // CELL + 1)
        if len(rows) > ROWS_MAX:
            return self.slots
        left, right = (west - WEST) // CELL, (east - WEST) // CELL
        runs = [(left, right)] if west <= east else [(left, COLUMNS - 1), (0, right)]
        pieces = []
        for first, last in runs:
            begins = np.searchsorted(self.keys, (rows * COLUMNS + first).astype(np.int32))
            ends = np.searchsorted(self.keys, (rows * COLUMNS + last).astype(np.int32), "right")
            runs_found = zip(begins, ends, strict=True)
            pieces += [self.slots[begin:end] for begin, end in runs_found if end > begin]
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int64)


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

    def within(self, bounds: Bounds, wanted: tuple[int, ...]) -> "Cells":
        """Those that overlap the bounds, with the cars in `wanted` states (1 by index)."""
        west, south, east, north = bounds
        first, last = west // self.size, east // self.size
        if west <= east:
            good = (self.columns >= first) & (self.columns <= last)
        else:
            good = (self.columns >= first) | (self.columns <= last)
        good &= (self.rows >= south // self.size) & (self.rows <= north // self.size)
        counts = self.counts * np.array(wanted, np.int64)
        good &= counts.any(axis=1)
        return Cells(self.size, self.rows[good], self.columns[good], counts[good])

    def count_inner(self, bounds: Bounds) -> int:
        """How many cars stand in cells that lie whole inside the bounds: at least so many do."""
        west, south, east, north = bounds
        first, last = west // self.size, east // self.size
        if west <= east:
            good = (self.columns > first) & (self.columns < last)
        else:
            good = (self.columns > first) | (self.columns < last)
        good &= (self.rows > south // self.size) & (self.rows < north // self.size)
        return int(self.counts[good].sum())
