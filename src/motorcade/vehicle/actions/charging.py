"""Charging: start, stop, limits, currents, schedules and departures."""

from typing import Final

from motorcade.vehicle import charging
from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    INVALID,
    Action,
    Parameters,
    chosen,
    flag,
    number,
    place,
    whole,
)
from motorcade.vehicle.body import (
    STANDARD_LIMIT,
    Charge,
    Departure,
)
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import (
    CHARGE_LIMIT_PERCENT,
    CHARGING_AMPS_MAX,
    MINUTES_MAX,
)

FULL: Final = 1.0


def _refuse_start(car: Car, _parameters: Parameters) -> str:
    match car.body.charge:
        case Charge.DISCONNECTED:
            return "disconnected"
        case Charge.CHARGING:
            return "charging"
        case Charge.COMPLETE:
            return "complete"
        case Charge.STOPPED:
            return "complete" if car.soc >= car.body.charge_limit else ACCEPTED


def _start(car: Car, _parameters: Parameters) -> None:
    charging.start(car)


def _refuse_stop(car: Car, _parameters: Parameters) -> str:
    return ACCEPTED if car.body.charge is Charge.CHARGING else "not_charging"


def _stop(car: Car, _parameters: Parameters) -> None:
    charging.stop(car.body)


def _refuse_limit(car: Car, parameters: Parameters) -> str:
    percent = number(parameters, "percent", *CHARGE_LIMIT_PERCENT)
    if percent is None:
        return INVALID
    return ALREADY_SET if car.body.charge_limit == percent / 100 else ACCEPTED


def _set_limit(car: Car, limit: float) -> None:
    car.body.charge_limit = limit
    if car.body.charge is Charge.COMPLETE and car.soc < limit:
        car.body.charge = Charge.CHARGING


def _limit(car: Car, parameters: Parameters) -> None:
    _set_limit(car, parameters["percent"] / 100)


def _refuse_standard(car: Car, _parameters: Parameters) -> str:
    return "already_standard" if car.body.charge_limit == STANDARD_LIMIT else ACCEPTED


def _standard(car: Car, _parameters: Parameters) -> None:
    _set_limit(car, STANDARD_LIMIT)


def _refuse_max_range(car: Car, _parameters: Parameters) -> str:
    return "already_max_range" if car.body.charge_limit == FULL else ACCEPTED


def _max_range(car: Car, _parameters: Parameters) -> None:
    _set_limit(car, FULL)


def _refuse_amps(_car: Car, parameters: Parameters) -> str:
    return INVALID if whole(parameters, "charging_amps", 0, CHARGING_AMPS_MAX) is None else ACCEPTED


def _amps(car: Car, parameters: Parameters) -> None:
    car.body.charging.amps = int(parameters["charging_amps"])


def _minutes_wrong(parameters: Parameters, *names: str) -> bool:
    """A time that is given, and is none."""
    return any(
        parameters.get(name) is not None and whole(parameters, name, 0, MINUTES_MAX) is None
        for name in names
    )


def _minute(parameters: Parameters, name: str, absent: int) -> int:
    value = parameters.get(name)
    return absent if value is None else int(value)


def _refuse_scheduled(_car: Car, parameters: Parameters) -> str:
    if flag(parameters, "enable") is None or _minutes_wrong(parameters, "time"):
        return INVALID
    return ACCEPTED


def _scheduled(car: Car, parameters: Parameters) -> None:
    """On takes the place of a scheduled departure's charging, as in the car's own menu."""
    settings = car.body.charging
    settings.last_start_minute = _minute(parameters, "time", settings.last_start_minute)
    settings.start_minute = settings.last_start_minute if parameters["enable"] else None
    if parameters["enable"]:
        settings.departure = None
    charging.reconsider(car)


def _refuse_departure(_car: Car, parameters: Parameters) -> str:
    enable = flag(parameters, "enable")
    if enable is None or _minutes_wrong(parameters, "departure_time", "end_off_peak_time"):
        return INVALID
    return ACCEPTED


def _departure(car: Car, parameters: Parameters) -> None:
    settings = car.body.charging
    settings.departure = None
    if parameters["enable"]:
        settings.start_minute = None
        minute = _minute(parameters, "departure_time", 0)
        settings.departure = Departure(
            minute,
            # The weekdays alone are asked for as "weekdays only", with or without "enabled".
            chosen(parameters, "preconditioning_enabled")
            or chosen(parameters, "preconditioning_weekdays_only"),
            chosen(parameters, "preconditioning_weekdays_only"),
            chosen(parameters, "off_peak_charging_enabled")
            or chosen(parameters, "off_peak_charging_weekdays_only"),
            chosen(parameters, "off_peak_charging_weekdays_only"),
            _minute(parameters, "end_off_peak_time", minute),
        )
    charging.reconsider(car)


def _refuse_managed_amps(_car: Car, parameters: Parameters) -> str:
    amps = parameters.get("charging_amps")
    wrong = amps is not None and whole(parameters, "charging_amps", 0, CHARGING_AMPS_MAX) is None
    return INVALID if wrong else ACCEPTED


def _managed_amps(car: Car, parameters: Parameters) -> None:
    amps = parameters.get("charging_amps")
    car.body.charging.managed_amps = None if amps is None else int(amps)


def _refuse_managed_place(_car: Car, parameters: Parameters) -> str:
    given = any(parameters.get(name) is not None for name in ("lat", "lon"))
    return INVALID if given and place(parameters) is None else ACCEPTED


def _managed_place(car: Car, parameters: Parameters) -> None:
    car.body.charging.managed_place = place(parameters)
    charging.reconsider(car)


def _refuse_managed_time(_car: Car, parameters: Parameters) -> str:
    return INVALID if _minutes_wrong(parameters, "time") else ACCEPTED


def _managed_time(car: Car, parameters: Parameters) -> None:
    minute = parameters.get("time")
    car.body.charging.managed_minute = None if minute is None else int(minute)
    charging.reconsider(car)


ACTIONS: Final[dict[str, Action]] = {
    "charge_start": Action(_refuse_start, _start),
    "charge_stop": Action(_refuse_stop, _stop),
    "charge_standard": Action(_refuse_standard, _standard),
    "charge_max_range": Action(_refuse_max_range, _max_range),
    "set_charge_limit": Action(_refuse_limit, _limit),
    "set_charging_amps": Action(_refuse_amps, _amps),
    "set_scheduled_charging": Action(_refuse_scheduled, _scheduled),
    "set_scheduled_departure": Action(_refuse_departure, _departure),
    "set_managed_charge_current_request": Action(_refuse_managed_amps, _managed_amps),
    "set_managed_charger_location": Action(_refuse_managed_place, _managed_place),
    "set_managed_scheduled_charging_time": Action(_refuse_managed_time, _managed_time),
}
