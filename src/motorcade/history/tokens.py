"""Vehicles' tokens in sorted columns: who of one list is who of another."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken, pack_token
from motorcade.history.buckets import owned
from motorcade.history.kernels import match
from motorcade.history.layout import Tokens
from motorcade.history.port import Times


class SortedTokens:
    """Tokens, sorted, each once."""

    def __init__(self, high: Tokens, low: Tokens) -> None:
        """In any order, any number of times."""
        by_token = np.lexsort((low, high))
        high, low = high[by_token], low[by_token]
        firsts = changes(high, low)
        self.high, self.low = high[firsts], low[firsts]

    @classmethod
    def of(cls, tokens: Collection[VehicleToken]) -> "SortedTokens":
        packed = np.array([pack_token(token) for token in tokens], np.uint64).reshape(-1, 2)
        return cls(packed[:, 0], packed[:, 1])

    def __len__(self) -> int:
        return len(self.high)

    def places(self, high: Tokens, low: Tokens) -> Times:
        """Where each of these, sorted, stands among them; -1: nowhere."""
        found = np.empty(len(high), np.int64)
        match(owned(high), owned(low), self.high, self.low, found)
        return found


def changes(*columns: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Which entries are the first or differ from the one before, in any of the columns."""
    found = np.zeros(len(columns[0]), np.bool_)
    found[:1] = True
    for column in columns:
        found[1:] |= column[1:] != column[:-1]
    return found
