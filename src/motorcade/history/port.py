"""History's promises: everything that vehicles ever said, by vehicle and time.

1. **Complete up to the log's end.** An answer holds every telemetry record that was durable when it
   was asked, what was acknowledged a moment ago too: files that were written, then the log's tail
   (`tail.py`). What nobody could decode is in the log and not here.
2. **Once.** Duplicates of senders are left out, by the first operator of every reader
   (`streams/dedup.py`). A crash at any instant loses nothing and doubles nothing: files and the
   cursor that they reach to change in one step.
3. **Event time.** A signal's samples are ordered by event time; of equal times, the one later in
   the log stands. Late data is merged where it belongs. `received_until_us` gives what was known
   at that instant (as-arrived), without it what is known now (as-corrected).
4. **Immutable.** Files never change; compaction and retention put others in their place. A reader
   never sees half of a change. What retention dropped is gone from answers as a whole file.
5. **Gaps stay gaps.** No value is made up between two samples, none is carried on. A sample that
   says "unavailable" is one, with the value NaN.
6. **Units** are those of the catalogue: SI, degC and %. Times are int64 microseconds, UTC.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken
from motorcade.history.area import Area

TIME_US_MIN = -(1 << 62)
TIME_US_MAX = 1 << 62

Times = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Series:
    """One signal's samples, by rising event time, none twice. Columns of equal length."""

    time_us: Times
    received_us: Times  # when the sample's record arrived
    value: Values  # boxed as in `signals/samples.py`
    texts: Mapping[int, str] = field(default_factory=dict)  # every text that `value` points at

    def __len__(self) -> int:
        return len(self.time_us)


@dataclass(frozen=True, slots=True)
class Span:
    """From when, until before when; event time."""

    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Columns of as many entries as buckets; `None` where no vehicle said anything."""

    moving: list[int | None]  # vehicles that moved in the bucket
    alarms: list[int | None]  # vehicles whose own supervision raised an alarm


Places = Callable[[Values, Values], tuple[Values, Values]]
"""Latitudes and longitudes of one vehicle's fixes, in degrees, as they may be told; NaN: not."""


class Kept(NamedTuple):
    """What is kept back of where one vehicle was."""

    places: Places
    moves: bool  # fixes may be told to be elsewhere, not only left out


class Visit(NamedTuple):
    """A vehicle was in an area: its first and last fix there, and how many."""

    vehicle: VehicleToken
    first_us: int
    last_us: int
    fixes: int


@dataclass(frozen=True, slots=True)
class Visits:
    """Who was there, of as much as was looked at in time."""

    found: list[Visit]  # by token
    share: float  # of the stored rows that may lie in the span; 1.0: all


class History(Protocol):
    """Read side, thread-safe. Blocks for disk and decoding: never call it on an event loop."""

    def read(
        self,
        vehicle: VehicleToken,
        signals: Collection[str] | None,
        span: Span,
        *,
        received_until_us: int | None = None,
    ) -> dict[str, Series]:
        """Each signal's samples in the span, by name; signals without any are left out.

        `signals` are names of the catalogue or of vehicles' own; `None`: all there are.

        Raises:
            HistoryTooLargeError: more rows than `history.rows_max`.
            HistoryBehindError: the log's tail is too long; see there.
            HistoryDamagedError: a file is damaged.
        """

    def extent(self) -> Span | None:
        """What span everything that is stored lies in; `None`: nothing is.

        Raises:
            HistoryBusyError, HistoryBehindError, HistoryDamagedError: as `read`.
        """

    def timeline(
        self,
        vehicles: Collection[VehicleToken] | None,
        span: Span,
        buckets: int,
        *,
        moving_mps: float,
    ) -> Timeline:
        """How many of these vehicles (`None`: all) moved, faster than `moving_mps`, and alarmed.

        Every sample counts, those that later ones of the same instant replaced, too.

        Raises:
            HistorySlowError: it took longer, or more memory, than a question may.
            HistoryBehindError, HistoryDamagedError: as `read`.
        """

    def within(
        self,
        vehicles: Collection[VehicleToken] | None,
        area: Area,
        span: Span,
        kept: Mapping[VehicleToken, Kept],
    ) -> Visits:
        """Which of these vehicles (`None`: all) had a fix in the area during the span.

        A fix is a latitude and a longitude, said at most a second apart. As in `timeline`, one that
        was replaced later counts. Newest files first; after `history.within_s_max` with what was
        found by then.

        Raises:
            HistoryBusyError, HistoryBehindError, HistoryDamagedError: as `read`.
        """

    def close(self) -> None:
        """Release files."""
