"""Names and their numbers as the kernels look them up: letters and an open-addressing table.

A name finds its place within `PROBES_MAX` steps or is not in the table, so that nobody makes
look-ups slow by inventing names of one hash; the plain rules know it all the same.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.events import fnv1a_64
from motorcade.signals.text.kernels import enter_name

_FILL_MAX: Final = 4  # places per name at least, short of the largest table
_PLACES_MAX: Final = 1 << 21


class NameTable:
    """Grows, forgets nothing. `words` (u8) and `table` (i8, (n, 4)) are what `find_name` takes."""

    def __init__(self) -> None:
        self.words: npt.NDArray[np.uint8] = np.zeros(1 << 12, np.uint8)
        self.table: npt.NDArray[np.int64] = np.zeros((1 << 10, 4), np.int64)
        self._words_used = self._names = 0

    def add(self, name: str, number: int, salt: int = 0) -> bool:
        """Enter a name that is not there yet. False: no place near where it belongs."""
        data = name.encode("utf-8", "replace")
        if not data:
            return False
        if (self._names + 1) * _FILL_MAX > len(self.table) and len(self.table) < _PLACES_MAX:
            self._grow_table()
        hashed = fnv1a_64(data) ^ salt
        signed = hashed - (1 << 64) if hashed >> 63 else hashed
        entry = np.array([signed, self._words_used, len(data), number], np.int64)
        if not enter_name(self.table, entry):
            return False
        self._append(data)
        self._names += 1
        return True

    def _append(self, data: bytes) -> None:
        end = self._words_used + len(data)
        if end > len(self.words):
            self.words = np.concatenate((self.words, np.zeros(max(end, len(self.words)), np.uint8)))
        self.words[self._words_used : end] = np.frombuffer(data, np.uint8)
        self._words_used = end

    def _grow_table(self) -> None:
        entries = self.table[self.table[:, 2] > 0]
        self.table = np.zeros((2 * len(self.table), 4), np.int64)
        for entry in entries:
            enter_name(self.table, entry)  # one that found no place now is left to the plain rules
