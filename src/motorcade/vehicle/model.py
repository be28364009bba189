"""A small physical car: it drives its route, stops, parks, charges, warms up, and has doors.

Deterministic: the same seed and the same commands at the same ticks give the same car. Time is told
to it (`advance`), in whole ticks of `TICK_S`, so it does not matter how often one asks. Energy is
booked, not guessed: every joule that leaves or enters the battery is in `energy_used_j`,
`energy_recovered_j` or `energy_charged_j`.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import numpy as np

from motorcade.vehicle.route import CORNER_MPS, Place, Route

TICK_S: Final = 0.5
GRAVITY_MPS2: Final = 9.81
AIR_KGPM3: Final = 1.2

MASS_KG: Final = 1_900.0
DRAG_AREA_M2: Final = 0.55  # c_w times frontal area
ROLLING: Final = 0.01
DRIVETRAIN: Final = 0.9  # efficiency, each way
ACCELERATION_MPS2: Final = 2.0
BRAKING_MPS2: Final = 2.5
BATTERY_J: Final = 75 * 3.6e6
PACK_V: Final = 350.0
AUXILIARY_W: Final = 300.0  # computers, lights
CLIMATE_W: Final = 2_500.0  # at full power
CHARGER_W: Final = 11_000.0
CHARGER_V: Final = 230.0
CHARGING: Final = 0.92  # from the plug to the battery
CABIN_JPK: Final = 120_000.0  # heat capacity of the cabin
CABIN_WPK: Final = 60.0  # heat through the body
CLIMATE_COP: Final = 2.0  # heat moved per electrical energy
RESERVE: Final = 0.02  # below this the car stops at the next place
SEEK_CHARGE: Final = 0.25  # below this it plugs in when it parks
FIRST_DRIVE_S: Final = 15.0  # a new car sets off within this: people are watching
PARK_S: Final = (20.0, 90.0)
LEGS_PER_DRIVE: Final = (3, 9)
STOP_M: Final = 0.5  # before the end of a leg: near enough to park
CREEP_MPS: Final = 0.3  # slower than this it never arrives
PULSE_S: Final = 2.0  # how long horn and lights show
VENT_PERCENT: Final = 10.0


class Charge(Enum):
    """The states of charging, by Tesla's names."""

    DISCONNECTED = "Disconnected"
    STOPPED = "Stopped"
    CHARGING = "Charging"
    COMPLETE = "Complete"


DOORS: Final = ("driver_front", "driver_rear", "passenger_front", "passenger_rear")
TRUNKS: Final = ("front", "rear")


@dataclass(slots=True)
class Body:
    """What commands act upon."""

    locked: bool = True
    doors_open: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(DOORS, False))
    trunks_open: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(TRUNKS, False))
    windows_percent: dict[str, float] = field(default_factory=lambda: dict.fromkeys(DOORS, 0.0))
    horn_until_s: float = -1.0
    lights_until_s: float = -1.0
    climate_on: bool = False
    driver_temp_degc: float = 21.0
    passenger_temp_degc: float = 21.0
    destination: str = ""
    charge_limit: float = 0.9
    charge: Charge = Charge.DISCONNECTED


class Car:
    """One car. Read its attributes between calls of `advance`; commands go through `actions.py`."""

    def __init__(self, seed: int, centre: tuple[float, float] = (52.52, 13.405)) -> None:
        self._random = np.random.default_rng(seed)
        self.route = Route(self._random, centre)
        self.body = Body()
        self.elapsed_s = 0.0
        self.distance_m = float(self._random.uniform(0, self.route.length_m))
        self.odometer_m = float(self._random.uniform(1e6, 8e7))
        self.speed_mps = 0.0
        self.acceleration_mps2 = 0.0
        self.drive_power_w = 0.0
        self.battery_power_w = 0.0  # positive: out of the battery
        self.energy_j = BATTERY_J * float(self._random.uniform(0.3, 0.9))
        self.energy_used_j = 0.0
        self.energy_recovered_j = 0.0
        self.energy_charged_j = 0.0
        self.outside_degc = float(self._random.uniform(-5, 32))
        self.inside_degc = self.outside_degc
        self.parked = True
        self._until_s = float(
            self._random.uniform(0, FIRST_DRIVE_S)
        )  # parked: when the next drive is
        self._legs_left = 0

    @property
    def soc(self) -> float:
        """State of charge, 0..1."""
        return self.energy_j / BATTERY_J

    @property
    def gear(self) -> str:
        return "P" if self.parked else "D"

    @property
    def place(self) -> Place:
        return self.route.place_at(self.distance_m)

    @property
    def moving(self) -> bool:
        """In gear, or rolling: then nothing may be opened."""
        return not self.parked or self.speed_mps > 0

    @property
    def charger_power_w(self) -> float:
        return CHARGER_W if self.body.charge is Charge.CHARGING else 0.0

    def advance(self, elapsed_s: float) -> None:
        """Let the car live until `elapsed_s` after its start."""
        while self.elapsed_s + TICK_S <= elapsed_s:
            self.elapsed_s += TICK_S
            self._tick()

    def pulse_end_s(self) -> float:
        """When a honk or flash that begins now is over."""
        return self.elapsed_s + PULSE_S

    def _tick(self) -> None:
        if self.parked:
            self._stand()
        else:
            self._drive()
        climate_w = self._climate()
        self._book(self.drive_power_w + AUXILIARY_W * (not self.parked) + climate_w)

    def _stand(self) -> None:
        self.speed_mps = self.acceleration_mps2 = self.drive_power_w = 0.0
        body = self.body
        if body.charge is Charge.CHARGING and self.soc >= body.charge_limit:
            body.charge = Charge.COMPLETE
        if self.elapsed_s < self._until_s or body.charge is Charge.CHARGING:
            return
        if self.soc < SEEK_CHARGE:
            body.charge = Charge.CHARGING
        elif not self._open():
            self._set_off()

    def _open(self) -> bool:
        """Nobody drives with an open door or lid."""
        return any(self.body.doors_open.values()) or any(self.body.trunks_open.values())

    def _set_off(self) -> None:
        self.parked = False
        self.body.locked = True  # as cars do when they drive
        self.body.charge = Charge.DISCONNECTED
        self._legs_left = int(self._random.integers(*LEGS_PER_DRIVE))

    def _park(self) -> None:
        self.parked = True
        self.speed_mps = self.acceleration_mps2 = self.drive_power_w = 0.0
        self._until_s = self.elapsed_s + float(self._random.uniform(*PARK_S))
        if self.soc < SEEK_CHARGE:
            self.body.charge = Charge.CHARGING

    def _drive(self) -> None:
        leg = self.route.leg_at(self.distance_m)
        left_m = leg.end_m - self.distance_m % self.route.length_m
        stopping = self._legs_left <= 1 or self.soc < RESERVE
        if stopping and left_m < STOP_M:
            self._park()
            return
        end_mps = 0.0 if stopping else CORNER_MPS
        # v^2 = v_end^2 + 2 a s: the fastest from which the end can still be met, a tick ahead.
        reach_m = max(left_m - self.speed_mps * TICK_S, 0.0)
        safe_mps = math.sqrt(end_mps**2 + 2 * BRAKING_MPS2 * reach_m)
        change = min(leg.limit_mps, max(safe_mps, CREEP_MPS)) - self.speed_mps
        self._move(min(max(change, -BRAKING_MPS2 * TICK_S), ACCELERATION_MPS2 * TICK_S))
        if self.route.leg_at(self.distance_m) is not leg:
            self._legs_left -= 1

    def _move(self, change_mps: float) -> None:
        """Change the speed, go on, and reckon the power that it took."""
        mean_mps = self.speed_mps + change_mps / 2
        self.speed_mps = max(self.speed_mps + change_mps, 0.0)
        self.acceleration_mps2 = change_mps / TICK_S
        moved_m = max(mean_mps, 0.0) * TICK_S
        self.distance_m = (self.distance_m + moved_m) % self.route.length_m
        self.odometer_m += moved_m
        force_n = MASS_KG * self.acceleration_mps2 + MASS_KG * GRAVITY_MPS2 * ROLLING
        force_n += 0.5 * AIR_KGPM3 * DRAG_AREA_M2 * mean_mps**2
        wheel_w = force_n * mean_mps
        self.drive_power_w = wheel_w / DRIVETRAIN if wheel_w > 0 else wheel_w * DRIVETRAIN

    def _climate(self) -> float:
        """Warm or cool the cabin; return the electrical power it takes."""
        leak_w = CABIN_WPK * (self.outside_degc - self.inside_degc)
        power_w = 0.0
        if self.body.climate_on:
            wanted_degc = (self.body.driver_temp_degc + self.body.passenger_temp_degc) / 2
            needed_w = CABIN_JPK * (wanted_degc - self.inside_degc) / TICK_S - leak_w
            heat_w = min(max(needed_w, -CLIMATE_W * CLIMATE_COP), CLIMATE_W * CLIMATE_COP)
            power_w = abs(heat_w) / CLIMATE_COP
            leak_w += heat_w
        self.inside_degc += leak_w * TICK_S / CABIN_JPK
        return power_w

    def _book(self, load_w: float) -> None:
        """Move energy between battery, loads and charger, within what the battery holds."""
        charge_j = self.charger_power_w * CHARGING * TICK_S
        charge_j = min(charge_j, BATTERY_J - self.energy_j + max(load_w, 0.0) * TICK_S)
        used_j = min(max(load_w, 0.0) * TICK_S, self.energy_j + charge_j)
        room_j = BATTERY_J - self.energy_j - charge_j + used_j
        recovered_j = min(max(-load_w, 0.0) * TICK_S, max(room_j, 0.0))
        before_j = self.energy_j
        self.energy_j += charge_j + recovered_j - used_j
        self.energy_charged_j += charge_j
        self.energy_recovered_j += recovered_j
        self.energy_used_j += used_j
        self.battery_power_w = (before_j - self.energy_j) / TICK_S
