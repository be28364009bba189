"""What cars of the fleet send: when a car speaks, of what, and what waits while it is in a tunnel.

Whole columns at once, no object per car. A car tells only what is worth it: where it is every few
seconds while it moves, the rest when it changes, all of it once a minute. In a tunnel it has no fix
and no network: it is silent, and what it would have said (without a place) comes in order once it
is out, before anything newer.
"""

from typing import Final, NamedTuple, Protocol

import numpy as np

from motorcade.simulation.columns import Array, Cars
from motorcade.simulation.fleet import Positions
from motorcade.simulation.kernels import BATTERY_J, MOVING

PLACE, SPEED, STATE, LEVELS = 1, 2, 4, 8  # what a report tells of; bits
INTERVAL_S: Final = (1, 6)  # while moving, by the car; least, and one more than most
STANDING_S: Final = 10.0  # at a light
PARKED_S: Final = 60.0
WHOLE_S: Final = 60.0  # everything, so that who missed some is whole again
STANDING_MPS: Final = 0.3
ACCURACY_M: Final = (2.0, 6.0)  # what receivers say under an open sky
_REPORTS: Final = 1 << 42  # keeps the draws of reports apart from those of the cars


class Reports(NamedTuple):
    """One row, one message of one car; those of a car in order of their times."""

    car: Array  # int32
    time_s: Array  # the fleet's time, float64
    what: Array  # uint8, bits
    lon_deg: Array  # where PLACE is set; else NaN, as heading
    lat_deg: Array
    heading_deg: Array
    speed_mps: Array
    state: Array  # uint8, see `kernels`
    soc_percent: Array
    odometer_m: Array
    power_w: Array  # out of the battery
    accuracy_m: Array  # of the place

    def __len__(self) -> int:  # rows, not columns
        return len(self.car)

    def rows(self, chosen: Array) -> "Reports":
        return Reports(*(column[chosen] for column in self))


def joined(parts: list[Reports]) -> Reports:
    """The rows of all, in this order."""
    return Reports(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class World(Protocol):
    """Cars that live second by second: `fleet.py` has simulated ones, `drives.py` recorded ones."""

    count: int
    now_s: float
    cars: Cars

    def step(self) -> None: ...
    def positions(self, rows: Array | None = None) -> Positions: ...
    def in_tunnel(self) -> Array: ...


class Reporter:
    """Asks a fleet after each of its steps."""

    def __init__(self, fleet: World, seed: int) -> None:
        self._fleet = fleet
        random = np.random.default_rng((seed, _REPORTS))
        count = fleet.count
        self._interval_s = random.integers(*INTERVAL_S, count).astype(np.float64)
        self._next_s = random.uniform(0.0, self._interval_s)
        self._whole_s = np.zeros(count)  # the first report is whole
        self._accuracy_m = random.uniform(*ACCURACY_M, count)  # some have better receivers
        self._told = np.full(count, 255, np.uint8)
        self._stood = np.zeros(count, bool)
        self._held: Reports = self._made(np.zeros(0, np.int64), np.zeros(0, np.uint8))

    @property
    def held(self) -> int:
        """How many reports wait in tunnels."""
        return len(self._held)

    def reports(self) -> Reports:
        """What reaches the network now."""
        fleet, cars = self._fleet, self._fleet.cars
        now_s = fleet.now_s
        moving = cars.state == MOVING
        standing = moving & (cars.speed_mps < STANDING_MPS)
        changed = (cars.state != self._told) | (standing & ~self._stood)
        rows = np.flatnonzero(changed | (self._next_s <= now_s))
        self._stood[:] = standing
        pause_s = np.where(moving[rows], self._interval_s[rows], PARKED_S)
        pause_s[standing[rows]] = STANDING_S
        self._next_s[rows] = now_s + pause_s
        whole = changed[rows] | (self._whole_s[rows] <= now_s)
        self._whole_s[rows[whole]] = now_s + WHOLE_S
        self._told[rows] = cars.state[rows]
        inside = fleet.in_tunnel()
        what = np.where(inside[rows], SPEED, PLACE | SPEED).astype(np.uint8)
        what[whole] |= STATE | LEVELS
        return self._sent(self._made(rows, what), inside)

    def _sent(self, made: Reports, inside: Array) -> Reports:
        """Keep back what is said in a tunnel; what was kept and is out now comes first."""
        out = ~inside[self._held.car]
        hidden = inside[made.car]
        sent = joined([self._held.rows(out), made.rows(~hidden)])
        if out.any() or hidden.any():
            self._held = joined([self._held.rows(~out), made.rows(hidden)])
        return sent

    def _made(self, rows: Array, what: Array) -> Reports:
        fleet, cars = self._fleet, self._fleet.cars
        place = fleet.positions(rows)
        for column in place:
            column[(what & PLACE) == 0] = np.nan
        return Reports(
            rows.astype(np.int32),
            np.full(len(rows), fleet.now_s),
            what,
            *place,
            cars.speed_mps[rows],
            cars.state[rows],
            100.0 * cars.energy_j[rows] / BATTERY_J,
            cars.odometer_m[rows],
            cars.power_w[rows],
            self._accuracy_m[rows],
        )
