"""The cells of live state: value and time per vehicle and signal.

Hot signals (`table.HOT`) are dense columns, all others entries of an open-addressing table, chained
per vehicle so that one vehicle can be read. Both grow by doubling at a point that depends on the
log alone. One thread writes; whoever reads from another holds the gate of `embedded.py`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.signals.catalogue import IDS_MAX
from motorcade.signals.samples import SampleBatch
from motorcade.state.columns import COLUMN_IDS
from motorcade.state.kernels import (
    NEVER,
    collect,
    find_in_chain,
    gather_fleet,
    index_cells,
    scatter,
)

FIRST_ENTRIES: Final = 4_096
HOT_OF: Final = np.full(IDS_MAX, -1, np.int32)
HOT_OF[list(COLUMN_IDS)] = np.arange(len(COLUMN_IDS), dtype=np.int32)
_COLUMN_IDS: Final = np.array(COLUMN_IDS, np.int32)


class CellRows(NamedTuple):
    """Cells as columns: what a snapshot holds, whatever the layout in memory."""

    slot: npt.NDArray[np.int32]
    signal: npt.NDArray[np.int32]
    time_us: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


@dataclass(slots=True)
class _Sparse:
    """Entries in the order of their first appearance."""

    slot: npt.NDArray[np.int32]
    signal: npt.NDArray[np.int32]
    time_us: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]
    next: npt.NDArray[np.int32]  # the vehicle's entry before this one, -1 at the end

    @staticmethod
    def of(capacity: int) -> "_Sparse":
        small = np.zeros((3, capacity), np.int32)
        times, values = np.zeros(capacity, np.int64), np.zeros(capacity)
        return _Sparse(small[0], small[1], times, values, small[2])

    def columns(self) -> tuple[npt.NDArray[np.generic], ...]:
        return self.slot, self.signal, self.time_us, self.value, self.next


class Cells:
    """All cells. `watched` marks the slots whose changes `apply` lists."""

    def __init__(self, *, signals_per_vehicle_max: int) -> None:
        self._times = np.full((0, len(COLUMN_IDS)), NEVER, np.int64)
        self._values = np.zeros((0, len(COLUMN_IDS)))
        self._heads = np.zeros(0, np.int32)
        self._sizes = np.zeros(0, np.int32)
        self.watched = np.zeros(0, np.bool_)
        self._sparse = _Sparse.of(FIRST_ENTRIES)
        self._table = np.full(4 * FIRST_ENTRIES, -1, np.int32)
        self._state = np.array([0, signals_per_vehicle_max, 0, 0], np.int64)

    @property
    def dropped(self) -> int:
        """Samples dropped because their vehicle has `signals_per_vehicle_max` sparse cells."""
        return int(self._state[2])

    def grow_vehicles(self, capacity: int) -> None:
        """Make room for slots below `capacity`."""
        more = capacity - len(self._heads)
        if more <= 0:
            return
        width = len(COLUMN_IDS)
        self._times = np.concatenate((self._times, np.full((more, width), NEVER, np.int64)))
        self._values = np.concatenate((self._values, np.zeros((more, width))))
        self._heads = np.concatenate((self._heads, np.full(more, -1, np.int32)))
        self._sizes = np.concatenate((self._sizes, np.zeros(more, np.int32)))
        self.watched = np.concatenate((self.watched, np.zeros(more, np.bool_)))

    def apply(self, samples: SampleBatch, first: int, last: int) -> npt.NDArray[np.int64]:
        """Apply samples `first` to `last`; which accepted ones belong to watched vehicles."""
        columns = (samples.vehicle, samples.time_us, samples.signal, samples.value)
        changed = np.empty(last - first, np.int64)
        self._state[3] = 0
        while True:
            first = scatter(
                columns,
                first,
                last,
                HOT_OF,
                (self._times, self._values),
                self._sparse.columns(),
                self._table,
                self._heads,
                self._sizes,
                self.watched,
                changed,
                self._state,
            )
            if first == last:
                return changed[: self._state[3]]
            self._grow_entries()

    def _grow_entries(self) -> None:
        old, count = self._sparse, int(self._state[0])
        self._sparse = _Sparse.of(2 * len(old.slot))
        for column, before in zip(self._sparse.columns(), old.columns(), strict=True):
            column[:count] = before[:count]
        self._table = np.full(4 * len(self._sparse.slot), -1, np.int32)
        index_cells(self._sparse.columns(), count, self._table)

    def of_vehicle(self, slot: int) -> list[tuple[int, int, float]]:
        """(signal id, time, value) of each cell that has a value; hot ones first."""
        times = self._times[slot]
        present = np.flatnonzero(times != NEVER)
        entries = np.empty(int(self._sizes[slot]), np.int32)
        collect(int(self._heads[slot]), self._sparse.next, entries)
        entries = entries[::-1]
        signal = np.concatenate((_COLUMN_IDS[present], self._sparse.signal[entries]))
        time_us = np.concatenate((times[present], self._sparse.time_us[entries]))
        value = np.concatenate((self._values[slot][present], self._sparse.value[entries]))
        return list(zip(signal.tolist(), time_us.tolist(), value.tolist(), strict=True))

    def of_signal(self, slot: int, signal: int) -> tuple[int, float] | None:
        """(time, value) of one cell, if it has a value."""
        hot = int(HOT_OF[signal])
        if hot >= 0:
            time_us = int(self._times[slot, hot])
            return None if time_us == NEVER else (time_us, float(self._values[slot, hot]))
        sparse = self._sparse
        entry = find_in_chain(int(self._heads[slot]), sparse.next, sparse.signal, signal)
        return None if entry < 0 else (int(sparse.time_us[entry]), float(sparse.value[entry]))

    def rows(self) -> CellRows:
        """Every cell that has a value: hot ones by slot and column, then the entries in order."""
        slots, columns = np.nonzero(self._times != NEVER)
        count = int(self._state[0])
        sparse = self._sparse
        return CellRows(
            np.concatenate((slots.astype(np.int32), sparse.slot[:count])),
            np.concatenate((_COLUMN_IDS[columns], sparse.signal[:count])),
            np.concatenate((self._times[slots, columns], sparse.time_us[:count])),
            np.concatenate((self._values[slots, columns], sparse.value[:count])),
        )

    def gather(
        self,
        first: int,
        last: int,
        received_us: npt.NDArray[np.int64],
        online: npt.NDArray[np.bool_],
        versions: npt.NDArray[np.int64],
        out: tuple[npt.NDArray[np.generic], ...],
    ) -> None:
        """Copy the slots `first` to `last` into the columns that `columns.py` describes."""
        hot = self._times, self._values
        gather_fleet(first, last, *hot, received_us, online, versions, out)

    def newest_us(self) -> npt.NDArray[np.int64]:
        """The newest time of a cell per slot, `NEVER` where there is none."""
        newest: npt.NDArray[np.int64] = self._times.max(axis=1, initial=NEVER)
        count = int(self._state[0])
        np.maximum.at(newest, self._sparse.slot[:count], self._sparse.time_us[:count])
        return newest

    @property
    def allocated_bytes(self) -> int:
        """The memory of all columns and tables."""
        columns = (self._times, self._values, self._heads, self._sizes, self._table)
        sparse = sum(column.nbytes for column in self._sparse.columns())
        return sparse + sum(column.nbytes for column in columns)

    def text_values(self) -> npt.NDArray[np.float64]:
        """Every value that is no number, texts among them."""
        sparse = self._sparse.value[: self._state[0]]
        return np.concatenate((self._values[np.isnan(self._values)], sparse[np.isnan(sparse)]))
