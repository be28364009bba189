"""Tokens to dense slots, in the order of their first appearance in the log.

Looked up by the whole 128-bit token, never by a hash alone: two vehicles must not share a state.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.state.kernels import find_slots, index_tokens, place_of_token

FIRST_CAPACITY: Final = 1_024  # slots; doubled when full

Tokens = npt.NDArray[np.uint64]


class SlotTable:
    """Slots are never given back: a vehicle that is removed keeps an empty row."""

    def __init__(self, *, vehicles_max: int) -> None:
        self._vehicles_max = vehicles_max
        self.count = 0
        self._high = np.zeros(FIRST_CAPACITY, np.uint64)
        self._low = np.zeros(FIRST_CAPACITY, np.uint64)
        self._table = np.full(4 * FIRST_CAPACITY, -1, np.int32)

    @property
    def capacity(self) -> int:
        """How many slots there is room for before the next growth."""
        return len(self._high)

    def find(self, high: int, low: int) -> int:
        """The slot of a packed token, -1 if it has none."""
        if not high and not low:
            return -1
        place = place_of_token(np.uint64(high), np.uint64(low), self._high, self._low, self._table)
        return int(self._table[place])

    def find_or_add(self, high: Tokens, low: Tokens) -> npt.NDArray[np.int32]:
        """The slot per row; -1 for no vehicle and for new ones beyond `vehicles_max`."""
        out = np.empty(len(high), np.int32)
        row = 0
        while True:
            row, self.count = find_slots(
                high,
                low,
                row,
                self._high,
                self._low,
                self._table,
                self.count,
                self._vehicles_max,
                out,
            )
            if row == len(high):
                return out
            self._grow(2 * self.capacity)

    def _grow(self, capacity: int) -> None:
        self._high, self._low = (
            np.concatenate((column, np.zeros(capacity - len(column), np.uint64)))
            for column in (self._high, self._low)
        )
        self._table = np.full(4 * capacity, -1, np.int32)
        index_tokens(self._high, self._low, self.count, self._table)

    def tokens(self) -> tuple[Tokens, Tokens]:
        """High and low halves by slot."""
        return self._high[: self.count], self._low[: self.count]

    def restore(self, high: Tokens, low: Tokens) -> None:
        """Become a table with these tokens, in this order."""
        self.count = len(high)
        capacity = FIRST_CAPACITY
        while capacity < self.count:
            capacity *= 2
        self._high, self._low = high, low
        self._grow(capacity)
