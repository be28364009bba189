"""How many vehicles moved and alarmed in each bucket, from the runs beside the files and the tail.

Each vehicle counts once in a bucket, whatever files say it: intervals of buckets are brought
together by vehicle. What is put together while files are read stays small: a vehicle's intervals
are disjoint.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from motorcade.clock import Clock
from motorcade.config import HistoryConfig
from motorcade.events import VehicleToken
from motorcade.history.buckets import edges_of
from motorcade.history.errors import too_slow
from motorcade.history.index import Index
from motorcade.history.layout import Tokens
from motorcade.history.port import Span, Timeline, Times
from motorcade.history.reading import LogReading
from motorcade.history.runs import ALARMS, GAPS_US, SPEED, Runs, What
from motorcade.history.samples import Samples
from motorcade.history.tokens import SortedTokens

WAITING_MAX: Final = 2_000_000  # intervals that are put together then: 32 MB


def gap_for(span: Span, buckets: int) -> int | None:
    """Which of the gaps of runs is short enough for these buckets; `None`: none is."""
    shortest_us = (span.until_us - span.from_us) // buckets
    return max((gap_us for gap_us in GAPS_US if gap_us <= shortest_us), default=None)


class Counting:
    """One question, told one part of history after the other.

    Raises `HistorySlowError` when it takes longer, or more memory, than a question may.
    """

    def __init__(
        self,
        vehicles: Collection[VehicleToken] | None,
        span: Span,
        buckets: int,
        limits: HistoryConfig,
        clock: Clock,
    ) -> None:
        self._span, self._limits, self._clock = span, limits, clock
        self._until_s = clock.monotonic_s() + limits.query_s_max
        self._places = _Places(vehicles)
        self._edges = edges_of(span, buckets)
        self._spoke = np.zeros(buckets, np.bool_)
        self._counts = {what: _Intervals(buckets) for what in (What.MOVED, What.ALARMED)}

    def add_file(self, index: Index, found: Mapping[What, Runs]) -> None:
        """A file's runs; `index` says whose they are."""
        place = self._places.of(index.high, index.low)
        for what, runs in found.items():
            self._add(what, place[runs.vehicle], runs)
        held = sum(intervals.bytes for intervals in self._counts.values())
        if held > self._limits.query_bytes_max or self._clock.monotonic_s() > self._until_s:
            raise too_slow(self._limits)

    def add_tail(self, parts: Sequence[Samples], reading: LogReading, moving_mps: float) -> None:
        """What no file has yet: each sample is a run."""
        for part in parts:
            by_token = np.lexsort((part.low, part.high))
            place = np.empty(len(by_token), np.int64)
            place[by_token] = self._places.of(part.high[by_token], part.low[by_token])
            ids, signal = np.unique(part.signal, return_inverse=True)
            names = [reading.name_of(number) for number in ids.tolist()]
            is_speed = np.array([name == SPEED for name in names], np.bool_)
            alarming = np.array([ALARMS.get(name, np.nan) for name in names])
            samples = Runs(place[part.record], part.time_us, part.time_us)
            for what, is_so in (
                (What.SPOKE, np.ones(len(part), np.bool_)),
                (What.MOVED, is_speed[signal] & (part.value > moving_mps)),
                (What.ALARMED, part.value == alarming[signal]),
            ):
                runs = samples.only(is_so)
                self._add(what, runs.vehicle, runs)

    def counted(self) -> Timeline:
        """Of all that was told."""
        spoke = self._spoke.tolist()
        moving, alarms = (
            [count if told else None for told, count in zip(spoke, counts, strict=True)]
            for counts in (self._counts[what].by_bucket() for what in self._counts)
        )
        return Timeline(moving, alarms)

    def _add(self, what: What, place: Times, runs: Runs) -> None:
        span = self._span
        is_own = (place >= 0) & (runs.from_us < span.until_us) & (runs.to_us >= span.from_us)
        last_us = np.minimum(runs.to_us[is_own], span.until_us - 1)
        first_us = np.maximum(runs.from_us[is_own], span.from_us)
        first, last = (np.searchsorted(self._edges, at, "right") - 1 for at in (first_us, last_us))
        if what is What.SPOKE:
            self._spoke |= _covered(first, last, len(self._spoke)) > 0
        else:
            self._counts[what].add(place[is_own], first, last)


class _Places:
    """A number for each vehicle that counts."""

    def __init__(self, wanted: Collection[VehicleToken] | None) -> None:
        """`None`: whoever comes."""
        self._tokens = SortedTokens.of(() if wanted is None else wanted)
        self._numbers = np.arange(len(self._tokens))
        self._is_open = wanted is None

    def of(self, high: Tokens, low: Tokens) -> Times:
        """Of each of these, sorted; -1: it does not count."""
        at = self._tokens.places(high, low)
        if self._is_open and (at < 0).any():
            self._add(SortedTokens(high[at < 0], low[at < 0]))
            at = self._tokens.places(high, low)
        return np.append(self._numbers, -1)[at]

    def _add(self, new: SortedTokens) -> None:
        known, numbers = self._tokens, self._numbers
        self._tokens = SortedTokens(
            np.concatenate((known.high, new.high)), np.concatenate((known.low, new.low))
        )
        self._numbers = np.empty(len(self._tokens), np.int64)
        self._numbers[self._tokens.places(known.high, known.low)] = numbers
        self._numbers[self._tokens.places(new.high, new.low)] = len(known) + np.arange(len(new))


class _Intervals:
    """Intervals of buckets, both ends included, by vehicle.

    A vehicle's buckets are numbers from `vehicle * width` on, so that all lie on one line; between
    two vehicles' one number is left free.
    """

    def __init__(self, buckets: int) -> None:
        self._buckets, self._width = buckets, buckets + 1
        empty = np.zeros(0, np.int64)
        self._parts: list[tuple[Times, Times]] = [(empty, empty)]
        self._waiting = 0

    @property
    def bytes(self) -> int:
        return sum(ends.nbytes for part in self._parts for ends in part)

    def add(self, vehicle: Times, first: Times, last: Times) -> None:
        line = vehicle * self._width
        self._parts.append((line + first, line + last))
        self._waiting += len(vehicle)
        if self._waiting > WAITING_MAX:
            self._put_together()

    def by_bucket(self) -> list[int]:
        """How many vehicles have each bucket in an interval."""
        first, last = self._put_together()
        counts = _covered(first % self._width, last % self._width, self._buckets)
        return list(counts.tolist())

    def _put_together(self) -> tuple[Times, Times]:
        """Make them disjoint. The intervals that are sorted already cost little to sort again."""
        first, last = (np.concatenate(ends) for ends in zip(*self._parts, strict=True))
        by_first = np.argsort(first, kind="stable")
        first, last = first[by_first], np.maximum.accumulate(last[by_first])
        begins = np.ones(len(first), np.bool_)
        begins[1:] = first[1:] > last[:-1] + 1
        ends = np.ones(len(first), np.bool_)
        ends[:-1] = begins[1:]
        self._parts = [(first[begins], last[ends])]
        self._waiting = 0
        return self._parts[0]


def _covered(first: Times, last: Times, buckets: int) -> Times:
    """How many of the intervals hold each bucket."""
    begun = np.bincount(first, minlength=buckets + 1)
    ended = np.bincount(last + 1, minlength=buckets + 1)
    return np.cumsum(begun - ended)[:buckets]
