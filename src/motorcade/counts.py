"""What a part counts about itself: plain attributes, read by `metrics/` when somebody asks.

Nothing here is called per message. A hot road counts per commit or per turn of the loop, slow paths
count each event. One thread writes a count; another may read it meanwhile and see it a step old.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

DURATIONS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
RECORDS: Final = (1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536)
SIZES_BYTES: Final = tuple(1 << power for power in range(8, 26, 2))


class Histogram:
    """How many observations fell at or below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)  # ascending; what is above the last counts, too
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Tally:
    """How often each of a few words was counted. The words are ours, never a peer's."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, word: str, count: int = 1) -> None:
        self.counts[word] = self.counts.get(word, 0) + count
