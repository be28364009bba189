"""Time as an argument: nobody but the composition root decides which clock runs.

Code that decides takes a `Clock` (or plain `now_us` values) and never imports `time`. Wall time is
int64 µs since the Unix epoch, UTC; monotonic time is float seconds of no particular origin.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now_us(self) -> int:
        """Wall time, µs since 1970-01-01 UTC. May step when the machine's clock is set."""

    def monotonic_s(self) -> float:
        """Seconds that never step back. For timeouts and ages, never stored."""


class SystemClock:
    """The machine's clock."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def monotonic_s(self) -> float:
        return time.monotonic()


class SimulatedClock:
    """A clock that moves only when told to, for tests and simulations."""

    def __init__(self, start_us: int) -> None:
        self._now_us = start_us
        self._elapsed_us = 0

    def now_us(self) -> int:
        return self._now_us

    def monotonic_s(self) -> float:
        return self._elapsed_us / 1e6

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, on both clocks."""
        step_us = round(seconds * 1e6)
        self._now_us += step_us
        self._elapsed_us += step_us

    def set_wall(self, now_us: int) -> None:
        """Step the wall clock alone, as NTP or a wrong battery does; monotonic time is unmoved."""
        self._now_us = now_us
