"""How fast each connection publishes, judged once per sweep: columns, one row per slot.

`scan` counts packets as it takes them; here the counts are held against a token bucket each, all
slots at once. So a limit costs nothing per message, and acts within about a second: what came in
between is bounded by the log's pace, as everything is.
"""

import numpy as np
import numpy.typing as npt


class Pace:
    """Token buckets of all slots. Time is an argument; a rate of 0 means no limit."""

    def __init__(self, slots: int, *, publishes_per_s: float, publishes_burst: int) -> None:
        self._rate_per_s = publishes_per_s
        self._burst = float(publishes_burst)
        self._level = np.full(slots, self._burst)
        self._counted = np.zeros(slots, np.uint32)
        self._judged_s: float | None = None

    def opened(self, slot: int) -> None:
        """The slot belongs to another socket, whose count begins at 0."""
        self._level[slot] = self._burst
        self._counted[slot] = 0

    def too_fast(self, published: npt.NDArray[np.uint32], now_s: float) -> list[int]:
        """Slots that published more than they may since they were judged last.

        `published` counts up and wraps around.
        """
        since_s = now_s if self._judged_s is None else self._judged_s
        gained = (now_s - since_s) * self._rate_per_s
        self._judged_s = now_s
        came = published - self._counted
        self._counted[:] = published
        if not self._rate_per_s:
            return []
        np.minimum(self._level + gained - came, self._burst, out=self._level)
        return [int(slot) for slot in np.flatnonzero(self._level < 0)]
