"""The rate limit: a token bucket per vehicle, shared by all its connections. Time is an argument.

`rate_records_per_s` frames per second may come for ever, `rate_records_burst` at once on top of
that. A frame over the limit is answered with an error and never stored: the car may resend it.
"""

from typing import Final

UNLIMITED: Final = 1 << 62  # frames, when the rate is 0


class TokenBucket:
    """Frames that one vehicle may still send."""

    __slots__ = ("_burst", "_level", "_rate_per_s", "_updated_s")

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = float(burst)
        self._updated_s = now_s

    def available(self, now_s: float) -> int:
        """How many frames may pass at this instant."""
        if not self._rate_per_s:
            return UNLIMITED
        if self._level < self._burst:
            gained = (now_s - self._updated_s) * self._rate_per_s
            self._level = min(float(self._burst), self._level + gained)
        self._updated_s = now_s
        return int(self._level)

    def take(self, frames: int) -> None:
        """Use up `frames`, at most what `available` said."""
        self._level -= frames

    def is_full(self, now_s: float) -> bool:
        """Whether a new bucket would be the same: then it need not be remembered."""
        return self.available(now_s) >= self._burst
