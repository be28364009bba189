"""Token buckets: so many per second for ever, so many at once on top. Time is an argument."""

from typing import Final

UNLIMITED: Final = 1 << 62  # when the rate is 0


class TokenBucket:
    """What someone may still do: frames of a vehicle, connects, failed logins, a door's accepts."""

    __slots__ = ("_burst", "_level", "_rate_per_s", "_updated_s")

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._level = float(burst)
        self._updated_s = now_s

    def available(self, now_s: float) -> int:
        """How many may pass at this instant."""
        if not self._rate_per_s:
            return UNLIMITED
        if self._level < self._burst:
            gained = (now_s - self._updated_s) * self._rate_per_s
            self._level = min(float(self._burst), self._level + gained)
        self._updated_s = now_s
        return int(self._level)

    def take(self, count: int) -> None:
        """Use up `count`, at most what `available` said."""
        self._level -= count

    def is_full(self, now_s: float) -> bool:
        """Whether a new bucket would be the same: then it need not be remembered."""
        return self.available(now_s) >= self._burst
