"""The cabin: warming, cooling, seats, overheat protection, schedules; and what they take. No IO."""

from typing import TYPE_CHECKING, Final

from motorcade.vehicle.body import (
    FRONT_SEATS,
    OVERHEAT_LIMITS_DEGC,
    SEATS,
    Body,
    Climate,
    Keeper,
    Overheat,
)
from motorcade.vehicle.local_time import ALL_DAYS, WEEKDAYS, day_bit, minute_of_day, minutes_until

if TYPE_CHECKING:
    from motorcade.vehicle.model import Car

CLIMATE_W: Final = 2_500.0  # at full power
CABIN_JPK: Final = 120_000.0  # heat capacity of the cabin
CABIN_WPK: Final = 60.0  # heat through the body
CLIMATE_COP: Final = 2.0  # heat moved per electrical energy
DEFROST_DEGC: Final = 28.0
FAN_W: Final = 100.0
FAN_LEAKS: Final = 4.0  # so much more heat goes with the air
BIOWEAPON_W: Final = 400.0  # fan at its fastest, through the large filter
SEAT_HEATER_W: Final = (0.0, 25.0, 45.0, 70.0)  # by level
SEAT_COOLER_W: Final = (0.0, 10.0, 20.0, 30.0)
WHEEL_W: Final = (0.0, 30.0, 60.0, 90.0)
LEVEL_MAX: Final = 3
LEVEL_DEGC: Final = 4.0  # automatic seats: one level per so much from what is wanted
LEAD_MINUTES: Final = 15.0  # preconditioning begins so long before
OVERHEAT_S_MAX: Final = 12 * 3_600.0  # after the last drive, as Tesla's
LOW_SOC: Final = 0.2  # below, nothing but a person may use the battery


def wanted(body: Body) -> bool:
    """Somebody or something asked for a pleasant cabin."""
    climate = body.climate
    return (
        body.climate_on
        or climate.defrost
        or climate.preconditioning
        or climate.keeper is not Keeper.OFF
    )


def target_degc(body: Body) -> float:
    """The temperature that the climate works for."""
    if body.climate.defrost:
        return DEFROST_DEGC
    return (body.driver_temp_degc + body.passenger_temp_degc) / 2


def stop(climate: Climate) -> None:
    """What goes out together with the climate."""
    climate.defrost = climate.bioweapon = False
    climate.keeper = Keeper.OFF
    climate.declined = climate.preconditioning
    climate.preconditioning = False
    settle(climate)


def settle(climate: Climate) -> None:
    """Seats and wheel are heated only while the climate is on."""
    for seat in SEATS:
        climate.seat_heaters[seat] = 0
    for seat in FRONT_SEATS:
        climate.seat_coolers[seat] = 0
    climate.wheel_level = 0


def tick(car: "Car", tick_s: float) -> float:
    """Let the cabin live for `tick_s`; return the electrical power that it took, W."""
    body, climate = car.body, car.body.climate
    precondition(car)
    on = wanted(body) and car.powered
    leak_w = CABIN_WPK * (car.outside_degc - car.inside_degc)
    heat_w = power_w = 0.0
    climate.protecting = False
    if on:
        _automatic(car)
        heat_w = _heat_w(car, target_degc(body), leak_w, tick_s)
        power_w = abs(heat_w) / CLIMATE_COP + _comfort_w(climate)
    elif _too_hot(car):
        climate.protecting = True
        if climate.overheat is Overheat.FAN_ONLY:
            leak_w, power_w = leak_w * FAN_LEAKS, FAN_W
        else:
            limit_degc = OVERHEAT_LIMITS_DEGC[climate.overheat_limit]
            heat_w = min(_heat_w(car, limit_degc, leak_w, tick_s), 0.0)
            power_w = abs(heat_w) / CLIMATE_COP
    if not wanted(body) and (climate.wheel_level or _seats_used(climate)):
        settle(climate)
    car.inside_degc += (leak_w + heat_w) * tick_s / CABIN_JPK
    climate.load_w = power_w
    return power_w


def _heat_w(car: "Car", target: float, leak_w: float, tick_s: float) -> float:
    """Heat into the cabin, out of it if negative, so that it comes to `target`."""
    needed_w = CABIN_JPK * (target - car.inside_degc) / tick_s - leak_w
    return min(max(needed_w, -CLIMATE_W * CLIMATE_COP), CLIMATE_W * CLIMATE_COP)


def _comfort_w(climate: Climate) -> float:
    return (
        sum(SEAT_HEATER_W[level] for level in climate.seat_heaters.values())
        + sum(SEAT_COOLER_W[level] for level in climate.seat_coolers.values())
        + WHEEL_W[climate.wheel_level]
        + BIOWEAPON_W * climate.bioweapon
    )


def _seats_used(climate: Climate) -> bool:
    return any(climate.seat_heaters.values()) or any(climate.seat_coolers.values())


def _automatic(car: "Car") -> None:
    """Seats and wheel that were left to themselves follow the cabin."""
    climate = car.body.climate
    if not (climate.wheel_auto or any(climate.seat_auto.values())):
        return
    missing_degc = target_degc(car.body) - car.inside_degc
    warm = min(max(int(missing_degc / LEVEL_DEGC), 0), LEVEL_MAX)
    cold = min(max(int(-missing_degc / LEVEL_DEGC), 0), LEVEL_MAX)
    for seat, automatic in climate.seat_auto.items():
        if automatic:
            climate.seat_heaters[seat] = warm
            climate.seat_coolers[seat] = cold if car.equipment.seat_coolers else 0
    if climate.wheel_auto:
        climate.wheel_level = warm


def _too_hot(car: "Car") -> bool:
    climate = car.body.climate
    return (
        climate.overheat is not Overheat.OFF
        and car.parked
        and car.soc > LOW_SOC
        and car.inside_degc > OVERHEAT_LIMITS_DEGC[climate.overheat_limit]
        and car.elapsed_s - car.parked_at_s < OVERHEAT_S_MAX
    )


def precondition(car: "Car") -> None:
    """See whether a schedule wants the cabin ready soon."""
    climate, departure = car.body.climate, car.body.charging.departure
    scheduled = departure is not None and departure.preconditioning
    if not (scheduled or climate.schedules or climate.preconditioning):
        return
    asking = set()
    if departure is not None and scheduled:
        days = WEEKDAYS if departure.preconditioning_weekdays else ALL_DAYS
        if _soon(car, departure.departure_minute, days):
            asking.add(0)
    for schedule in climate.schedules.values():
        here = car.near(schedule.latitude_deg, schedule.longitude_deg)
        if schedule.enabled and here and _soon(car, schedule.minute, schedule.days):
            asking.add(schedule.id)
    for over in climate.acting - asking:
        if over in climate.schedules and climate.schedules[over].one_time:
            del climate.schedules[over]
    climate.acting = frozenset(asking)
    climate.declined = climate.declined and bool(asking)
    able = car.parked and (car.soc > LOW_SOC or car.plugged)
    climate.preconditioning = bool(asking) and able and not climate.declined


def _soon(car: "Car", minute: int, days: int) -> bool:
    wait = minutes_until(minute, minute_of_day(car.local_s))
    return wait <= LEAD_MINUTES and bool(days & day_bit(car.local_s + wait * 60.0))
