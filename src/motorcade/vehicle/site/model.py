"""The energy of many houses, in columns: sun, load, batteries, a car's charger, the grid. No IO.

Powers are whole watts and times whole seconds (int64), so that in every instant and for ever

    battery + solar + grid = load      (battery > 0 discharges, grid > 0 imports)

holds exactly, and a meter is the sum of power times time in joules, without rounding.

Deterministic: weather, habits and grid failures are functions of a site's seed and the time
(`chance.py`), so a row that is stepped again from an older state through the same ticks ends in the
same state.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from motorcade.vehicle.site import sun
from motorcade.vehicle.site.chance import uniform
from motorcade.wire.tariff import Price

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

EFFICIENCY: Final = 949  # ‰, each way: 90 % there and back
FULL: Final = 100
WALL_W: Final = 7_360  # 32 A at 230 V
APPLIANCE_W: Final = 1_800
DAY_S: Final = 86_400
_MINUTE, _APPLIANCE, _CAR, _CAR_TIME, _CAR_ENERGY = 1, 2, 3, 4, 5  # names of chances
_OUTAGE, _OUTAGE_TIME, _OUTAGE_LENGTH, _STORM = 6, 7, 8, 9
CAR_DAYS: Final = 0.6  # share of the evenings on which the car is plugged in
STORM_DAYS: Final = 0.02
OUTAGE_S: Final = (600.0, 7_200.0)


class Mode(IntEnum):
    """What the batteries are for. By Tesla's names in `settings.py`."""

    SELF_CONSUMPTION = 0
    AUTONOMOUS = 1
    BACKUP = 2


class Export(IntEnum):
    """What may go to the grid."""

    BATTERY_OK = 0
    PV_ONLY = 1
    NEVER = 2


class Flow(IntEnum):
    """A meter each: from where to where, joules."""

    SOLAR_TO_HOUSE = 0
    SOLAR_TO_BATTERY = 1
    SOLAR_TO_GRID = 2
    BATTERY_TO_HOUSE = 3
    BATTERY_TO_GRID = 4
    GRID_TO_HOUSE = 5
    GRID_TO_BATTERY = 6


@dataclass(frozen=True, slots=True)
class Site:
    """What a house is: does not change while it is simulated."""

    seed: int
    latitude_deg: float
    longitude_deg: float
    solar_w_peak: int
    house_w: int  # of an average evening
    battery_count: int
    battery_j: int  # of one, usable
    battery_w: int  # of one, each way
    wall_connector: bool
    outages_per_year: float
    grid_outages: tuple[tuple[int, int], ...] = ()  # further ones: from, to; Unix seconds


ROW: Final = np.dtype(
    [
        # What changes, and is kept.
        ("time_s", "i8"),
        ("energy_mj", "i8"),  # in the batteries, millijoules
        ("meter_j", "i8", (len(Flow),)),
        ("charge_start_s", "i8"),  # of the car's session that is on, or was last; 0: none yet
        ("charge_end_s", "i8"),
        ("charge_j", "i8"),
        ("outage_start_s", "i8"),  # the same of grid failures
        ("outage_end_s", "i8"),
        # Settings.
        ("mode", "i8"),
        ("reserve", "i8"),  # %
        ("car_reserve", "i8"),  # %, below which no car is charged while the grid is down
        ("storm_mode", "?"),
        ("grid_charging", "?"),
        ("export", "i8"),
        ("price", "i8"),  # class now, told by whoever knows the tariff
        ("offset_s", "i8"),  # local time minus UTC
        # The instant, watts.
        ("solar_w", "i8"),
        ("house_w", "i8"),  # without the car
        ("wall_w", "i8"),
        ("battery_w", "i8"),
        ("grid_w", "i8"),
        ("grid_up", "?"),
        ("storm", "?"),
        ("car_there", "?"),
    ]
)
KEPT: Final = ROW.names[: ROW.names.index("mode")] if ROW.names else ()
"""What a site remembers besides its settings."""


class Sites:
    """Many houses. `rows` are read and, for the settings, written by `home.py`."""

    def __init__(self, sites: list[Site], start_s: int) -> None:
        self.sites = sites
        column: dict[str, npt.NDArray[Any]] = {
            "seed": np.array([site.seed for site in sites], np.uint64),
            "latitude": np.array([site.latitude_deg for site in sites], np.float64),
            "longitude": np.array([site.longitude_deg for site in sites], np.float64),
        }
        self._seed = column["seed"]
        self._latitude, self._longitude = column["latitude"], column["longitude"]
        self._peak_w = _ints([site.solar_w_peak for site in sites])
        self._house_w = _ints([site.house_w for site in sites])
        self.capacity_mj = _ints([site.battery_count * site.battery_j * 1_000 for site in sites])
        self.power_w_max = _ints([site.battery_count * site.battery_w for site in sites])
        self._wall = np.array([site.wall_connector for site in sites], np.bool_)
        self._outage_rate = np.array([site.outages_per_year / 365 for site in sites])
        self.rows = np.zeros(len(sites), ROW)
        self.rows["time_s"] = start_s
        # A new house has something in its batteries, or there is little to see at night.
        share = 0.3 + 0.6 * uniform(self._seed, np.zeros(len(sites), np.int64), 0)
        self.rows["energy_mj"] = (self.capacity_mj * share).astype(np.int64)
        self.rows["reserve"] = 20
        self.rows["car_reserve"] = 50
        self.rows["grid_charging"] = True
        self.rows["export"] = Export.PV_ONLY
        self.rows["price"] = Price.BETWEEN
        self.settle()

    @property
    def percent(self) -> npt.NDArray[np.float64]:
        """State of charge, 0..100."""
        shares: npt.NDArray[np.float64] = 100.0 * self.rows["energy_mj"] / self.capacity_mj
        return shares

    def settle(self) -> None:
        """Reckon the powers of this instant, after a setting has changed. No time passes."""
        self.step(np.zeros(len(self.rows), np.int64))

    def step(self, seconds: Ints) -> None:
        """Let `seconds` pass, per site; 0 for one that waits. Powers hold over the whole step."""
        rows = self.rows
        self._look()
        demand = self._demand()
        flows, solar = self._share(demand, np.maximum(seconds, 1))
        for flow, power in flows.items():
            rows["meter_j"][:, flow] += power * seconds
        charge = flows[Flow.SOLAR_TO_BATTERY] + flows[Flow.GRID_TO_BATTERY]
        discharge = flows[Flow.BATTERY_TO_HOUSE] + flows[Flow.BATTERY_TO_GRID]
        rows["energy_mj"] += charge * seconds * EFFICIENCY - _drawn_mj(discharge, seconds)
        rows["solar_w"] = solar
        rows["battery_w"] = discharge - charge
        rows["grid_w"] = (
            flows[Flow.GRID_TO_HOUSE]
            + flows[Flow.GRID_TO_BATTERY]
            - flows[Flow.SOLAR_TO_GRID]
            - flows[Flow.BATTERY_TO_GRID]
        )
        self._note(seconds)
        rows["time_s"] += seconds

    # What the world is like.

    def _look(self) -> None:
        """Grid, storm and the car, now."""
        rows = self.rows
        time_s = rows["time_s"]
        day = time_s // DAY_S
        length = OUTAGE_S[0] + (OUTAGE_S[1] - OUTAGE_S[0]) * uniform(
            self._seed, day, _OUTAGE_LENGTH
        )
        # Within one day, so that yesterday need not be looked at.
        begin = uniform(self._seed, day, _OUTAGE_TIME) * (DAY_S - OUTAGE_S[1])
        since = time_s - day * DAY_S - begin
        down = (uniform(self._seed, day, _OUTAGE) < self._outage_rate) & (since >= 0)
        down &= since < length
        for index, site in enumerate(self.sites):
            if site.grid_outages:
                down[index] |= any(a <= time_s[index] < b for a, b in site.grid_outages)
        rows["grid_up"] = ~down
        rows["storm"] = uniform(self._seed, day, _STORM) < STORM_DAYS

    def _demand(self) -> tuple[Ints, Ints, Ints]:
        """What sun could give, what the house and the car would take; watts."""
        rows = self.rows
        time_s = rows["time_s"]
        light = sun.irradiance_wpm2(time_s, self._latitude, self._longitude)
        light *= sun.clear_share(time_s, self._seed) / sun.STANDARD_WPM2
        solar = np.minimum((self._peak_w * light).astype(np.int64), self._peak_w)
        local_s = time_s + rows["offset_s"]
        hour = (local_s % DAY_S) / 3_600
        habit = 0.35 + 0.45 * np.exp(-(((hour - 7.5) / 1.3) ** 2))
        habit += 0.65 * np.exp(-(((hour - 19.0) / 2.2) ** 2))
        house = self._house_w * habit * (0.8 + 0.4 * uniform(self._seed, time_s // 60, _MINUTE))
        busy = uniform(self._seed, time_s // 600, _APPLIANCE) < 0.12 * habit
        house = house.astype(np.int64) + APPLIANCE_W * busy
        return solar, house, self._car(local_s)

    def _car(self, local_s: Ints) -> Ints:
        """It comes in the evening and is charged at once, up to five hours, over midnight too."""
        wanted = np.zeros(len(local_s), np.bool_)
        there = np.zeros(len(local_s), np.bool_)
        for back in (0, 1):
            day = local_s // DAY_S - back
            since = local_s - day * DAY_S - 3_600 * (17.5 + 3 * uniform(self._seed, day, _CAR_TIME))
            comes = self._wall & (uniform(self._seed, day, _CAR) < CAR_DAYS) & (since >= 0)
            length = 3_600 * (0.5 + 4.5 * uniform(self._seed, day, _CAR_ENERGY))
            wanted |= comes & (since < length)
            there |= comes & (since < 12 * 3_600)
        self.rows["car_there"] = there
        return WALL_W * wanted.astype(np.int64)

    # Who gets what.

    def _share(
        self, demand: tuple[Ints, Ints, Ints], step_s: Ints
    ) -> tuple[dict[Flow, Ints], Ints]:
        """The flows of this instant, and the solar power that is used; watts."""
        rows = self.rows
        solar, house, wall = demand
        up = rows["grid_up"]
        energy = rows["energy_mj"]
        wall = np.where(up | (self.percent > rows["car_reserve"]), wall, 0)
        floor = np.where(up, rows["reserve"] * self.capacity_mj // FULL, 0)
        dischargeable = np.minimum(self.power_w_max, _power_w(energy - floor, step_s))
        room = self._room_w(self.capacity_mj, step_s)

        # An island lives on what it has: the car is shed first, then the house.
        short = np.maximum(house + wall - solar - dischargeable, 0) * ~up
        wall_shed = np.minimum(short, wall)
        wall, house = wall - wall_shed, house - np.minimum(short - wall_shed, house)
        load = house + wall
        need, surplus = np.maximum(load - solar, 0), np.maximum(solar - load, 0)

        sells = self._sells()
        discharge = np.where(up, np.where(sells, self.power_w_max, self._wish_w(need)), need)
        discharge = np.minimum(discharge, dischargeable)
        from_sun = np.where((discharge > 0) | sells, 0, np.minimum(surplus, room))
        from_grid = np.where(discharge > 0, 0, self._grid_charge_w(room - from_sun, step_s))

        wasted = np.where(~up | (rows["export"] == Export.NEVER), surplus - from_sun, 0)
        solar = solar - np.maximum(wasted, 0)
        rows["house_w"], rows["wall_w"] = house, wall
        solar_to_house = np.minimum(solar, load)
        battery_to_house = np.minimum(discharge, load - solar_to_house)
        return {
            Flow.SOLAR_TO_HOUSE: solar_to_house,
            Flow.SOLAR_TO_BATTERY: from_sun,
            Flow.SOLAR_TO_GRID: solar - solar_to_house - from_sun,
            Flow.BATTERY_TO_HOUSE: battery_to_house,
            Flow.BATTERY_TO_GRID: discharge - battery_to_house,
            Flow.GRID_TO_HOUSE: load - solar_to_house - battery_to_house,
            Flow.GRID_TO_BATTERY: from_grid,
        }, solar

    def _sells(self) -> Bools:
        """Whether the batteries earn money now: the price is at its peak, and they may."""
        rows = self.rows
        peak = (rows["mode"] == Mode.AUTONOMOUS) & (rows["price"] == Price.PEAK)
        sells: Bools = peak & (rows["export"] == Export.BATTERY_OK) & rows["grid_up"]
        return sells & ~self._holding()

    def _wish_w(self, need: Ints) -> Ints:
        """What the mode would discharge for the house while the grid is there."""
        rows = self.rows
        valley = (rows["mode"] == Mode.AUTONOMOUS) & (rows["price"] == Price.VALLEY)
        return np.where(self._holding() | valley, 0, need)

    def _grid_charge_w(self, room: Ints, step_s: Ints) -> Ints:
        """What the mode would take from the grid for the batteries."""
        rows = self.rows
        autonomous_valley = (rows["mode"] == Mode.AUTONOMOUS) & (rows["price"] == Price.VALLEY)
        fills = self._holding() | autonomous_valley
        reserve_mj = rows["reserve"] * self.capacity_mj // FULL
        target = np.where(fills, self.capacity_mj, reserve_mj)
        allowed = rows["grid_up"] & (rows["grid_charging"] | (self._peak_w == 0))
        wanted = np.maximum(np.minimum(room, self._room_w(target, step_s)), 0)
        return np.where(allowed, wanted, 0)

    def _holding(self) -> Bools:
        """Whether the batteries are kept full for a failure."""
        rows = self.rows
        holding: Bools = (rows["mode"] == Mode.BACKUP) | (rows["storm_mode"] & rows["storm"])
        return holding

    def _room_w(self, target_mj: Ints, step_s: Ints) -> Ints:
        """The power that fills the batteries up to `target_mj` in this step, at most."""
        left = np.maximum(target_mj - self.rows["energy_mj"], 0) // (EFFICIENCY * step_s)
        room: Ints = np.minimum(self.power_w_max, left)
        return room

    # What is remembered.

    def _note(self, seconds: Ints) -> None:
        """The car's session and the grid's failure that are on."""
        rows = self.rows
        now, then = rows["time_s"], rows["time_s"] + seconds
        passes = seconds > 0
        charging = passes & (rows["wall_w"] > 0)
        begins = charging & ((rows["charge_end_s"] != now) | (rows["charge_start_s"] == 0))
        rows["charge_start_s"] = np.where(begins, now, rows["charge_start_s"])
        rows["charge_j"] = np.where(begins, 0, rows["charge_j"]) + rows["wall_w"] * seconds
        rows["charge_end_s"] = np.where(charging, then, rows["charge_end_s"])
        down = passes & ~rows["grid_up"]
        begins = down & ((rows["outage_end_s"] != now) | (rows["outage_start_s"] == 0))
        rows["outage_start_s"] = np.where(begins, now, rows["outage_start_s"])
        rows["outage_end_s"] = np.where(down, then, rows["outage_end_s"])


def _power_w(energy_mj: Ints, step_s: Ints) -> Ints:
    """What the batteries can give for a step out of so much, efficiency taken off."""
    power: Ints = np.maximum(energy_mj, 0) * EFFICIENCY // (1_000_000 * step_s)
    return power


def _drawn_mj(power_w: Ints, seconds: Ints) -> Ints:
    """What giving so much takes out of the batteries, rounded up."""
    drawn: Ints = -(-power_w * seconds * 1_000_000 // EFFICIENCY)
    return drawn


def _ints(values: list[int]) -> Ints:
    return np.array(values, np.int64)
