"""The cabin: climate, temperatures, seats and wheel, overheat protection."""

from typing import Final

from motorcade.vehicle import climate
from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    BATTERY_LOW,
    COMFORT_OFF,
    DRIVING,
    INVALID,
    NOT_FITTED,
    Action,
    Parameters,
    chosen,
    flag,
    needs_flag,
    never,
    number,
    whole,
)
from motorcade.vehicle.body import (
    FRONT_SEATS,
    KEEPERS,
    OVERHEAT_LIMITS_DEGC,
    Keeper,
    Overheat,
)
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import TEMPERATURES_DEGC

HEATERS: Final = {0: "left", 1: "right", 2: "rear_left", 4: "rear_center", 5: "rear_right"}
"""Tesla's numbers; those that are missing are seats this car has not: backrests and a third row."""
HEATER_MAX: Final = 8
COOLER_MAX: Final = 4
LEVEL_MAX: Final = climate.LEVEL_MAX
WHEEL_ON: Final = LEVEL_MAX
LIMITS: Final = tuple(OVERHEAT_LIMITS_DEGC)  # by the number of `cop_temp`


def _start(car: Car, _parameters: Parameters) -> None:
    car.body.climate_on = True


def _stop(car: Car, _parameters: Parameters) -> None:
    car.body.climate_on = False
    climate.stop(car.body.climate)


def _refuse_temps(_car: Car, parameters: Parameters) -> str:
    wanted = [
        number(parameters, f"{seat}_temp", *TEMPERATURES_DEGC) for seat in ("driver", "passenger")
    ]
    return INVALID if None in wanted else ACCEPTED


def _temps(car: Car, parameters: Parameters) -> None:
    car.body.driver_temp_degc = float(parameters["driver_temp"])
    car.body.passenger_temp_degc = float(parameters["passenger_temp"])


def _defrost(car: Car, parameters: Parameters) -> None:
    """On starts the climate; off leaves it on, at the temperatures that were set."""
    car.body.climate.defrost = parameters["on"]
    car.body.climate_on = car.body.climate_on or parameters["on"]


def _refuse_keeper(car: Car, parameters: Parameters) -> str:
    mode = whole(parameters, "climate_keeper_mode", 0, len(KEEPERS) - 1)
    if mode is None:
        return INVALID
    if KEEPERS[mode] is Keeper.OFF:
        return ACCEPTED
    if car.moving:
        return DRIVING
    return BATTERY_LOW if car.soc < climate.LOW_SOC else ACCEPTED


def _keeper(car: Car, parameters: Parameters) -> None:
    car.body.climate.keeper = KEEPERS[int(parameters["climate_keeper_mode"])]


def _overheat(car: Car, parameters: Parameters) -> None:
    mode = Overheat.FAN_ONLY if chosen(parameters, "fan_only") else Overheat.ON
    car.body.climate.overheat = mode if parameters["on"] else Overheat.OFF


def _refuse_limit(_car: Car, parameters: Parameters) -> str:
    return INVALID if whole(parameters, "cop_temp", 0, len(LIMITS) - 1) is None else ACCEPTED


def _limit(car: Car, parameters: Parameters) -> None:
    car.body.climate.overheat_limit = LIMITS[int(parameters["cop_temp"])]


def _refuse_bioweapon(car: Car, parameters: Parameters) -> str:
    if flag(parameters, "on") is None:
        return INVALID
    return ACCEPTED if car.equipment.bioweapon else NOT_FITTED


def _bioweapon(car: Car, parameters: Parameters) -> None:
    car.body.climate.bioweapon = parameters["on"]
    car.body.climate_on = car.body.climate_on or parameters["on"]


def _refuse_heater(car: Car, parameters: Parameters) -> str:
    seat = whole(parameters, "heater", 0, HEATER_MAX)
    level = whole(parameters, "level", 0, LEVEL_MAX)
    if seat is None or level is None:
        return INVALID
    if seat not in HEATERS:
        return NOT_FITTED
    return _refuse_comfort(car)


def _heater(car: Car, parameters: Parameters) -> None:
    seat = HEATERS[int(parameters["heater"])]
    car.body.climate.seat_heaters[seat] = int(parameters["level"])
    if seat in FRONT_SEATS:
        car.body.climate.seat_auto[seat] = False


def _refuse_cooler(car: Car, parameters: Parameters) -> str:
    seat = whole(parameters, "seat_position", 1, COOLER_MAX)
    level = whole(parameters, "seat_cooler_level", 0, LEVEL_MAX)
    if seat is None or level is None:
        return INVALID
    if not car.equipment.seat_coolers or seat > len(FRONT_SEATS):
        return NOT_FITTED
    return _refuse_comfort(car)


def _cooler(car: Car, parameters: Parameters) -> None:
    seat = FRONT_SEATS[int(parameters["seat_position"]) - 1]
    car.body.climate.seat_coolers[seat] = int(parameters["seat_cooler_level"])
    car.body.climate.seat_auto[seat] = False


def _refuse_comfort(car: Car) -> str:
    return ACCEPTED if climate.wanted(car.body) else COMFORT_OFF


def _refuse_auto_seat(_car: Car, parameters: Parameters) -> str:
    seat = whole(parameters, "auto_seat_position", 1, len(FRONT_SEATS))
    return INVALID if seat is None or flag(parameters, "auto_climate_on") is None else ACCEPTED


def _auto_seat(car: Car, parameters: Parameters) -> None:
    seat = FRONT_SEATS[int(parameters["auto_seat_position"]) - 1]
    car.body.climate.seat_auto[seat] = parameters["auto_climate_on"]


def _refuse_wheel(car: Car, parameters: Parameters) -> str:
    return INVALID if flag(parameters, "on") is None else _refuse_comfort(car)


def _wheel(car: Car, parameters: Parameters) -> None:
    car.body.climate.wheel_level = WHEEL_ON if parameters["on"] else 0
    car.body.climate.wheel_auto = False


def _refuse_wheel_level(car: Car, parameters: Parameters) -> str:
    return INVALID if whole(parameters, "level", 0, LEVEL_MAX) is None else _refuse_comfort(car)


def _wheel_level(car: Car, parameters: Parameters) -> None:
    car.body.climate.wheel_level = int(parameters["level"])
    car.body.climate.wheel_auto = False


def _wheel_auto(car: Car, parameters: Parameters) -> None:
    car.body.climate.wheel_auto = parameters["on"]


def _refuse_overheat(car: Car, parameters: Parameters) -> str:
    on = flag(parameters, "on")
    if on is None:
        return INVALID
    mode = Overheat.FAN_ONLY if chosen(parameters, "fan_only") else Overheat.ON
    return ALREADY_SET if car.body.climate.overheat is (mode if on else Overheat.OFF) else ACCEPTED


ACTIONS: Final[dict[str, Action]] = {
    "auto_conditioning_start": Action(never, _start),
    "auto_conditioning_stop": Action(never, _stop),
    "set_temps": Action(_refuse_temps, _temps),
    "set_preconditioning_max": Action(needs_flag("on"), _defrost),
    "set_climate_keeper_mode": Action(_refuse_keeper, _keeper),
    "set_cabin_overheat_protection": Action(_refuse_overheat, _overheat),
    "set_cop_temp": Action(_refuse_limit, _limit),
    "set_bioweapon_mode": Action(_refuse_bioweapon, _bioweapon),
    "remote_seat_heater_request": Action(_refuse_heater, _heater),
    "remote_seat_cooler_request": Action(_refuse_cooler, _cooler),
    "remote_auto_seat_climate_request": Action(_refuse_auto_seat, _auto_seat),
    "remote_steering_wheel_heater_request": Action(_refuse_wheel, _wheel),
    "remote_steering_wheel_heat_level_request": Action(_refuse_wheel_level, _wheel_level),
    "remote_auto_steering_wheel_heat_climate_request": Action(needs_flag("on"), _wheel_auto),
}
