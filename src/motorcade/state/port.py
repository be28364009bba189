"""Live state's promises: the latest value and time of every signal of every vehicle.

1. **Latest.** A signal shows the sample with the greatest event time; of equal times, the one later
   in the log. Late data never overwrites newer (P3).
2. **Derived.** Everything comes from the log: the same log gives the same state (P4), after a crash
   too. How far behind it is shows in `VehicleState.last_received_us` and in each value's time.
3. **Reading** never waits for more than one small step of the writer, and sees whole values.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, NewType, Protocol

import numpy as np
import numpy.typing as npt

from motorcade.events import VehicleToken

ONLINE: Final = "online"
"""The name under which presence comes to subscribers; no signal bears it."""


class Mode(Enum):
    """How a past instant T is to be seen: the two are different where data came late."""

    ARRIVED = "arrived"  # as live state showed it: all that had been received by T
    CORRECTED = "corrected"  # as it is known now: all that happened by T, late data included


class SignalValue(NamedTuple):
    """A signal's latest value; `None`: the vehicle says it is unavailable."""

    value: float | str | bool | None
    time_us: int  # event time
    unit: str

    def age_s(self, now_us: int) -> float:
        """Seconds since the value was true; negative where the vehicle's clock runs ahead."""
        return (now_us - self.time_us) / 1e6


@dataclass(frozen=True, slots=True)
class VehicleState:
    signals: dict[str, SignalValue]
    online: bool  # a connection is open, as far as the gateway has told
    last_received_us: int  # of its telemetry; 0 when there has been none


@dataclass(frozen=True, slots=True)
class FleetColumns:
    """Every vehicle that ever sent something; all columns by slot. Times in µs, 0: never."""

    token_high: npt.NDArray[np.uint64]
    token_low: npt.NDArray[np.uint64]
    latitude: npt.NDArray[np.float64]  # degrees; NaN: unknown, then both are
    longitude: npt.NDArray[np.float64]
    placed_us: npt.NDArray[np.int64]  # event time of the older of the two
    speed_mps: npt.NDArray[np.float64]  # NaN: unknown
    speed_us: npt.NDArray[np.int64]
    heading_deg: npt.NDArray[np.float64]  # clockwise from north; NaN: unknown
    gear: npt.NDArray[np.int8]  # number of `ShiftState`; -1: unknown
    gear_us: npt.NDArray[np.int64]
    charge_state: npt.NDArray[np.int8]  # number of `ChargingState`; -1: unknown
    installed_percent: npt.NDArray[np.float64]  # of an update; NaN: unknown
    asleep: npt.NDArray[np.bool_]
    online: npt.NDArray[np.bool_]
    alarms: npt.NDArray[np.uint8]  # bits: `columns.ALARM_TEXTS`
    received_us: npt.NDArray[np.int64]  # server's clock
    version: npt.NDArray[np.int64]  # another after each change, as `LiveState.version`
    state: npt.NDArray[np.uint8]  # index in `columns.STATES`
    at_us: int  # when the states were judged

    def __len__(self) -> int:
        return len(self.state)


Change = tuple[str, SignalValue]
Callback = Callable[[Sequence[Change]], None]
Handle = NewType("Handle", int)


class LiveState(Protocol):
    """Read side, thread-safe."""

    def read(self, token: VehicleToken) -> VehicleState:
        """The vehicle's state; an empty one for a vehicle that has never sent. Under 1 ms.

        It is as of one record, the newest in it: all that this one said, when it was received, and
        nothing of a later one. (Of a record of thousands of samples, see `steps.py`, a part.)
        """

    def version(self, token: VehicleToken) -> int:
        """Another number after each change of what `read` gives, once the change is in it.

        Asked before `read`, it may be kept beside what was made of the answer: as long as it is the
        same, nothing has changed since. Some microseconds' work.
        """

    def online(self, token: VehicleToken) -> bool:
        """`read(token).online`, some microseconds' work whatever the vehicle has sent."""

    def value(self, token: VehicleToken, signal: str) -> SignalValue | None:
        """`read(token).signals.get(signal)` of a signal of the catalogue, at a tenth of the cost.

        Raises:
            KeyError: the catalogue has no signal of this name.
        """

    def fleet(self, now_us: int) -> FleetColumns:
        """Every vehicle as columns, with its state as of `now_us`: milliseconds for 100,000, in
        steps of which none holds anybody up."""

    def epoch(self) -> int:
        """Another number once slots may mean other vehicles than before."""

    def slot(self, token: VehicleToken) -> int:
        """The vehicle's row in `fleet`; -1: it never sent anything."""

    def comings(self) -> int:
        """Another number than the last time if a vehicle may have come or gone since."""

    def subscribe(self, token: VehicleToken, callback: Callback) -> Handle:
        """Call `callback` with each batch of changes of one vehicle, from the follower's thread.

        It must return soon and not raise. Changes from before the call may still come once.
        """

    def unsubscribe(self, handle: Handle) -> None:
        """At most the call under way still comes. Unknown handles are ignored."""


class PastView(LiveState, Protocol):
    """Live state of a past instant. It stays as it is, unless its owner moves it."""

    @property
    def at_us(self) -> int:
        """The instant."""

    @property
    def mode(self) -> Mode:
        """How it is seen."""


class Past(Protocol):
    """Opens past instants, on threads of its own. What it raises stands in `errors.py`."""

    def submit(self, at_us: int, mode: Mode = Mode.ARRIVED, *, own: bool = False) -> Future[Any]:
        """The state of `at_us` (µs, UTC), a `PastView`; with `own` to be moved by `advance`.

        The future fails with a `PastError`: the instant, the time it took, the crowd.

        Raises:
            PastBusyError: too many wait already.
        """

    def submit_advance(self, opened: Any, to_us: int) -> Future[Any]:
        """The state of `to_us`, later than `opened`'s, as the caller's own; fails as above."""
