"""A small physical car: it drives its route, parks, charges, warms up, sleeps, and has doors.

Deterministic: the same seed and the same commands at the same ticks give the same car. Time is told
to it (`advance`), in whole ticks of `TICK_S`, so it does not matter how often one asks. Energy is
booked, not guessed: every joule that leaves or enters the battery is in `energy_used_j`,
`energy_recovered_j` or `energy_charged_j`.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from motorcade.vehicle import charging, climate, media, navigation
from motorcade.vehicle.body import Body, Charge, Equipment, Keeper, Lid, Update
from motorcade.vehicle.charging import CHARGING
from motorcade.vehicle.climate import LOW_SOC
from motorcade.vehicle.local_time import local_s
from motorcade.vehicle.route import Place, Route, made_up

TICK_S: Final = 0.5
GRAVITY_MPS2: Final = 9.81
AIR_KGPM3: Final = 1.2

MASS_KG: Final = 1_900.0
DRAG_AREA_M2: Final = 0.55  # c_w times frontal area
ROLLING: Final = 0.01
DRIVETRAIN: Final = 0.9  # efficiency, each way
ACCELERATION_MPS2: Final = 2.0
GENTLE_MPS2: Final = 1.0  # with a valet, or a child whose parents want it so
BRAKING_MPS2: Final = 2.5
BATTERY_J: Final = 75 * 3.6e6
PACK_V: Final = 350.0
AUXILIARY_W: Final = 300.0  # computers and lights, driving
STANDBY_W: Final = 150.0  # computers, parked
LOW_POWER_W: Final = 60.0  # the same in low power mode
ASLEEP_W: Final = 8.0
SENTRY_W: Final = 250.0  # cameras and what watches them
ACCESSORY_W: Final = 40.0
RESERVE: Final = 0.02  # below this the car stops at the next place
SEEK_CHARGE: Final = 0.25  # below this it plugs in when it parks
FIRST_DRIVE_S: Final = 15.0  # a new car sets off within this: people are watching
PARK_S: Final = (20.0, 90.0)
LEGS_PER_DRIVE: Final = (3, 9)
STOP_M: Final = 0.5  # before the end of a leg: near enough to park
CREEP_MPS: Final = 0.3  # slower than this it never arrives
PULSE_S: Final = 2.0  # how long horn and lights show
VENT_PERCENT: Final = 10.0
LID_PERCENT_PER_S: Final = 12.5  # a roof or cover opens in 8 s
NEAR_M: Final = 200.0  # a schedule's place is here
UPDATE_S: Final = 1_500.0  # how long an installation takes
NEXT_UPDATE_S: Final = 30 * 86_400.0  # after one, the next version comes
LOW_POWER_SLEEP: Final = 0.5  # of `Habits.sleep_after_s`
_EXTRAS: Final = 2  # keeps the draw of a car's equipment apart from that of its road


@dataclass(frozen=True, slots=True)
class Habits:
    """How a car and its driver live, s."""

    park_s: tuple[float, float] = PARK_S  # between drives, least and most
    sleep_after_s: float = 600.0  # parked and unused
    wake_s: float = 3.0  # from a call to awake


MODELS: Final = (
    Equipment(),
    Equipment("ModelY", "74D", "PearlWhite", "Gemini19", bioweapon=True),
    Equipment(
        "ModelS", "P100D", "DeepBlue", "Slipstream19", sun_roof=True, boombox=False, bioweapon=True
    ),
    Equipment("ModelX", "100D", "Black", "Cyberstream20", seat_coolers=True, bioweapon=True),
    Equipment("Cybertruck", "AWD", "Stainless", "Cyber20", tonneau=True, homelink_devices=2),
)
"""What simulated cars are built as, drawn by the seed."""


def equipment_of(seed: int) -> Equipment:
    """What a car with this seed is built as."""
    return _draw(np.random.default_rng((seed, _EXTRAS)))


def _draw(extras: np.random.Generator) -> Equipment:
    """The first of what the generator gives."""
    return MODELS[int(extras.integers(len(MODELS)))]


class Car:
    """One car. Read its attributes between calls of `advance`; commands go through `actions.py`."""

    def __init__(
        self,
        seed: int,
        centre: tuple[float, float] = (52.52, 13.405),
        *,
        equipment: Equipment | None = None,
        habits: Habits | None = None,
        start_unix_s: float = 0.0,
        route: Route | None = None,
    ) -> None:
        """`start_unix_s` is when its life begins; none of `equipment`: the seed draws it; none of
        `route`: made-up roads around `centre` (latitude, longitude)."""
        self._random = np.random.default_rng(seed)
        self.route = made_up(self._random, centre) if route is None else route
        extras = np.random.default_rng((seed, _EXTRAS))
        drawn = _draw(extras)
        self.equipment = drawn if equipment is None else equipment
        self.habits = Habits() if habits is None else habits
        self._start_unix_s = start_unix_s
        self._zone_s = local_s(0.0, self.route.legs[0].longitude_deg)
        self.body = Body()
        self.body.software.version = f"2025.{int(extras.integers(2, 20))}.{seed % 7}"
        self._offer_update()
        self.elapsed_s = 0.0
        self.distance_m = float(self._random.uniform(0, self.route.length_m))
        self.home = self.route.place_at(0.0)  # where its round begins
        half_way = self.route.legs[len(self.route.legs) // 2]
        self.work = self.route.place_at(half_way.start_m)
        self._place_m = self.distance_m
        self._place = self.route.place_at(self.distance_m)
        self.odometer_m = float(self._random.uniform(1e6, 8e7))
        self.speed_mps = 0.0
        self.acceleration_mps2 = 0.0
        self.drive_power_w = 0.0
        self.battery_power_w = 0.0  # positive: out of the battery
        self.energy_j = BATTERY_J * float(self._random.uniform(0.3, 0.9))
        self.energy_used_j = 0.0
        self.energy_recovered_j = 0.0
        self.energy_charged_j = 0.0
        self.battery_j = BATTERY_J  # when full
        self.outside_degc = float(self._random.uniform(-5, 32))
        self.inside_degc = self.outside_degc
        self.parked = True
        self.parked_at_s = 0.0
        self._until_s = float(
            self._random.uniform(0, FIRST_DRIVE_S)
        )  # parked: when the next drive is
        self._legs_left = 0
        self.asleep = False
        self._used_s = 0.0  # when somebody last used it
        self._awake_at_s = math.inf  # asleep and called: when it will be awake

    @property
    def soc(self) -> float:
        """State of charge, 0..1."""
        return self.energy_j / BATTERY_J

    @property
    def gear(self) -> str:
        return "P" if self.parked else "D"

    @property
    def place(self) -> Place:
        if self._place_m != self.distance_m:
            self._place_m, self._place = self.distance_m, self.route.place_at(self.distance_m)
        return self._place

    @property
    def moving(self) -> bool:
        """In gear, or rolling: then nothing may be opened."""
        return not self.parked or self.speed_mps > 0

    @property
    def plugged(self) -> bool:
        return self.body.charge is not Charge.DISCONNECTED

    @property
    def charger_power_w(self) -> float:
        return charging.power_w(self)

    @property
    def powered(self) -> bool:
        """Something is left to run on."""
        return self.energy_j > 0.0 or self.charger_power_w > 0.0

    @property
    def occupied(self) -> bool:
        """Somebody sits in it."""
        return not self.parked or self.elapsed_s < self.body.security.remote_start_until_s

    @property
    def unix_s(self) -> float:
        return self._start_unix_s + self.elapsed_s

    @property
    def local_s(self) -> float:
        """Seconds since 1970 by the clock on the wall, for `local_time`."""
        return self.unix_s + self._zone_s

    def near(self, latitude_deg: float, longitude_deg: float, within_m: float = NEAR_M) -> bool:
        """Whether that place is here."""
        return navigation.distance_m(self.place, latitude_deg, longitude_deg) <= within_m

    def kind_of_place(self, latitude_deg: float, longitude_deg: float) -> str:
        """Tesla's three kinds: home, work, other."""
        for kind, place in (("home", self.home), ("work", self.work)):
            if navigation.distance_m(place, latitude_deg, longitude_deg) <= NEAR_M:
                return kind
        return "other"

    def advance(self, elapsed_s: float) -> None:
        """Let the car live until `elapsed_s` after its start."""
        while self.elapsed_s + TICK_S <= elapsed_s:
            self.elapsed_s += TICK_S
            self._tick()

    def pulse_end_s(self) -> float:
        """When a honk or flash that begins now is over."""
        return self.elapsed_s + PULSE_S

    def use(self) -> None:
        """Somebody did something with it: it stays awake for a while."""
        self._used_s = self.elapsed_s

    def call(self) -> None:
        """Wake it; it takes `habits.wake_s`."""
        if self.asleep:
            self._awake_at_s = min(self._awake_at_s, self.elapsed_s + self.habits.wake_s)
        self.use()

    @property
    def waking(self) -> bool:
        """It was called and is not awake yet."""
        return self.asleep and math.isfinite(self._awake_at_s)

    def set_off_soon(self, within_s: float) -> None:
        """Whoever was let in drives off, if nothing is in the way."""
        self._until_s = min(self._until_s, self.elapsed_s + within_s)

    @property
    def busy(self) -> bool:
        """What keeps it awake."""
        body = self.body
        return (
            not self.parked
            or body.charge is Charge.CHARGING
            or climate.wanted(body)
            or body.climate.protecting
            or body.security.sentry
            or body.settings.accessory_power
            or body.software.update is Update.INSTALLING
        )

    def _tick(self) -> None:
        self._save()
        self._move_lids()
        self._update()
        if self.parked:
            self._stand()
        else:
            self._drive()
        charging.tick(self, self.local_s - TICK_S)
        climate_w = climate.tick(self, TICK_S)
        if self.occupied:
            media.tick(self.body.media, TICK_S)
        if self.body.stops and not self.parked:
            navigation.tick(self)
        self._sleep_or_wake()
        self._book(self.drive_power_w + self._base_w() + climate_w)

    def _base_w(self) -> float:
        """What runs whether it drives or not."""
        body = self.body
        load_w = ACCESSORY_W * body.settings.accessory_power
        if not self.parked:
            return load_w + AUXILIARY_W
        if self.asleep:
            return ASLEEP_W
        load_w += SENTRY_W * body.security.sentry
        return load_w + (LOW_POWER_W if body.settings.low_power else STANDBY_W)

    def _save(self) -> None:
        """With little left, what nobody needs goes off."""
        if self.soc >= LOW_SOC:
            return
        body = self.body
        body.security.sentry = body.settings.accessory_power = False
        body.climate.keeper = Keeper.OFF

    def _sleep_or_wake(self) -> None:
        if self.busy:
            self._used_s = self.elapsed_s
        after_s = self.habits.sleep_after_s
        after_s *= LOW_POWER_SLEEP if self.body.settings.low_power else 1.0
        if self.asleep:
            if self.busy or self.elapsed_s >= self._awake_at_s:
                self.asleep = False
                self._awake_at_s = math.inf
                self._used_s = self.elapsed_s
        elif self.elapsed_s - self._used_s >= after_s:
            self.asleep = True

    def _move_lids(self) -> None:
        for lid in (self.body.sun_roof, self.body.tonneau):
            if not lid.at_rest:
                self._move_lid(lid)

    def _move_lid(self, lid: Lid) -> None:
        step = LID_PERCENT_PER_S * TICK_S
        change = lid.target_percent - lid.percent
        lid.percent += min(max(change, -step), step)

    def _offer_update(self) -> None:
        """A version newer than the one it has."""
        software = self.body.software
        year, week, build = (int(part) for part in software.version.split("."))
        years, week = divmod(week + 7, 52)  # eight weeks later; weeks count from 1
        software.update_version = f"{year + years}.{week + 1}.{build}"
        software.update = Update.AVAILABLE

    def _update(self) -> None:
        """Begin and end the installation of a new version, and hear of the next one."""
        software = self.body.software
        now_s = self.elapsed_s
        if software.update is Update.SCHEDULED and self.parked and now_s >= software.due_s:
            software.update, software.done_s = Update.INSTALLING, now_s + UPDATE_S
        elif software.update is Update.INSTALLING and now_s >= software.done_s:
            software.version, software.update_version = software.update_version, ""
            software.update, software.due_s = Update.NONE, now_s + NEXT_UPDATE_S
        elif software.update is Update.NONE and now_s >= software.due_s:
            self._offer_update()

    def _stand(self) -> None:
        self.speed_mps = self.acceleration_mps2 = self.drive_power_w = 0.0
        body = self.body
        if body.charge is Charge.CHARGING and self.soc >= body.charge_limit:
            body.charge = Charge.COMPLETE
        if self.elapsed_s < self._until_s or self._staying():
            return
        if self.soc < SEEK_CHARGE and not self.plugged:
            charging.plug_in(self)
        elif self.soc > RESERVE and not body.opened:
            self._set_off()

    def _staying(self) -> bool:
        """Nobody drives it away now."""
        body = self.body
        waiting = body.charging.pending and self.soc < SEEK_CHARGE
        return (
            body.charge is Charge.CHARGING or waiting or body.software.update is Update.INSTALLING
        )

    def _set_off(self) -> None:
        self.parked = False
        self.asleep = False
        self.body.locked = True  # as cars do when they drive
        charging.unplug(self.body)
        self.body.climate.keeper = Keeper.OFF
        self._legs_left = int(self._random.integers(*LEGS_PER_DRIVE))

    def _park(self) -> None:
        self.parked = True
        self.parked_at_s = self.elapsed_s
        self.speed_mps = self.acceleration_mps2 = self.drive_power_w = 0.0
        self._until_s = self.elapsed_s + float(self._random.uniform(*self.habits.park_s))
        if self.soc < SEEK_CHARGE:
            charging.plug_in(self)

    def _speed_max_mps(self) -> float:
        """What owner or parents allow."""
        security = self.body.security
        limits = [math.inf]
        if security.speed_limit:
            limits.append(security.speed_limit_mps)
        if security.parental and "speed_limit" in security.parental_settings:
            limits.append(security.parental_limit_mps)
        return min(limits)

    def _acceleration_max_mps2(self) -> float:
        security = self.body.security
        parents = security.parental and "acceleration" in security.parental_settings
        return GENTLE_MPS2 if security.valet or parents else ACCELERATION_MPS2

    def _drive(self) -> None:
        leg = self.route.leg_at(self.distance_m)
        at_m = self.distance_m % self.route.length_m
        stopping = self._legs_left <= 1 or self.soc < RESERVE
        if stopping and leg.stop_m - at_m < STOP_M:
            self._park()
            return
        safe_mps = self._safe_mps(leg.end_m - at_m, leg.end_mps)
        if stopping:
            safe_mps = min(safe_mps, self._safe_mps(leg.stop_m - at_m, 0.0))
        limit_mps = min(leg.limit_mps, self._speed_max_mps())
        change = min(limit_mps, max(safe_mps, CREEP_MPS)) - self.speed_mps
        faster = self._acceleration_max_mps2() * TICK_S
        self._move(min(max(change, -BRAKING_MPS2 * TICK_S), faster))
        if self.route.leg_at(self.distance_m).stop_m != leg.stop_m:
            self._legs_left -= 1

    def _safe_mps(self, left_m: float, end_mps: float) -> float:
        """The fastest from which `end_mps` can still be met after `left_m`, a tick ahead:
        v^2 = v_end^2 + 2 a s."""
        reach_m = max(left_m - self.speed_mps * TICK_S, 0.0)
        return math.sqrt(end_mps**2 + 2 * BRAKING_MPS2 * reach_m)

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
        self.body.charging.session_j += charge_j
        self.energy_recovered_j += recovered_j
        self.energy_used_j += used_j
        self.battery_power_w = (before_j - self.energy_j) / TICK_S
