"""What happened after an instant, by the time it happened: what playing as-corrected takes from."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from motorcade.events import RecordBatch
from motorcade.signals.samples import SampleBatch, joined

_SAMPLE_BYTES: Final = 24


class Coming(NamedTuple):
    """A record of presence, with when it arrived."""

    time_us: int
    record: RecordBatch
    writer: str


class Tape:
    """Samples and presence of `after_us` to `until_us`, gathered in log order, then taken by time.

    What is too much goes: then `until_us` is earlier.
    """

    def __init__(self, after_us: int, until_us: int, bytes_max: int) -> None:
        self.until_us = until_us
        self._after_us, self._bytes_max = after_us, bytes_max
        self._parts: list[SampleBatch] = []
        self._samples = 0
        self._is_sorted = True
        self._coming: list[Coming] = []

    @property
    def allocated_bytes(self) -> int:
        return self._samples * _SAMPLE_BYTES

    def add(self, samples: SampleBatch) -> None:
        """Take those that are of its time."""
        wanted = samples.time_us <= self.until_us
        if not wanted.any():
            return
        self._parts.append(samples.select(wanted))
        self._is_sorted = False
        self._samples += len(self._parts[-1])
        if self.allocated_bytes > self._bytes_max:
            self._shorten()

    def add_presence(self, coming: Coming) -> None:
        self._coming.append(coming)

    def _shorten(self) -> None:
        """Keep the earlier half."""
        everything = self._sorted()
        self.until_us = max(self._after_us, int(everything.time_us[len(everything) // 2]) - 1)
        count = int(np.searchsorted(everything.time_us, self.until_us, "right"))
        self._parts, self._samples = [everything.select(slice(0, count))], count

    def _sorted(self) -> SampleBatch:
        """By time; of equal times, in the order of the log."""
        everything = joined(self._parts)
        if not self._is_sorted:
            everything = everything.select(np.argsort(everything.time_us, kind="stable"))
            self._parts, self._is_sorted = [everything], True
        return everything

    def take(self, to_us: int) -> tuple[SampleBatch, Iterator[Coming]]:
        """Take out what happened by `to_us`, which is not after `until_us`."""
        assert to_us <= self.until_us
        everything = self._sorted()
        count = int(np.searchsorted(everything.time_us, to_us, "right"))
        self._parts, self._samples = (
            [everything.select(slice(count, None))],
            len(everything) - count,
        )
        # Presence goes in the order of the log, which its times follow.
        due = [coming for coming in self._coming if coming.time_us <= to_us]
        self._coming = [coming for coming in self._coming if coming.time_us > to_us]
        return everything.select(slice(0, count)), iter(due)
