"""Charging: start, stop, limits, currents, schedules and departures."""

from collections.abc import Callable
from typing import Any, Final

from motorcade.signals.table import SCHEDULE_SLOTS
from motorcade.vehicle import charging
from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    INVALID,
    NOT_FOUND,
    TOO_MANY,
    Action,
    Parameters,
    chosen,
    flag,
    never,
    number,
    place,
    text,
    whole,
)
from motorcade.vehicle.body import (
    STANDARD_LIMIT,
    Charge,
    ChargeSchedule,
    Departure,
    PreconditionSchedule,
)
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import (
    CHARGE_LIMIT_PERCENT,
    CHARGING_AMPS_MAX,
    ID_MAX,
    MINUTES_MAX,
    NAME_CHARACTERS_MAX,
)

DAYS_MAX: Final = 127
SCHEDULES_MAX: Final = SCHEDULE_SLOTS  # of each kind: the car tells of all
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


def _schedule_wrong(parameters: Parameters) -> bool:
    return (
        whole(parameters, "days_of_week", 0, DAYS_MAX) is None
        or flag(parameters, "enabled") is None
        or place(parameters) is None
        or (parameters.get("id") is not None and whole(parameters, "id", 0, ID_MAX) is None)
        or (
            parameters.get("name") is not None
            and text(parameters, "name", NAME_CHARACTERS_MAX) is None
        )
    )


def _schedule_id(car: Car, parameters: Parameters, taken: dict[int, Any]) -> int:
    """The caller's, or the time, as Tesla's; never one that stands already."""
    wanted = parameters.get("id")
    if wanted:
        return int(wanted)
    fresh = max(int(car.unix_s), 1)
    while fresh in taken:
        fresh += 1
    return fresh


def _no_room(parameters: Parameters, schedules: dict[int, Any]) -> bool:
    return len(schedules) >= SCHEDULES_MAX and parameters.get("id") not in schedules


def _refuse_add(car: Car, parameters: Parameters) -> str:
    start, end = flag(parameters, "start_enabled"), flag(parameters, "end_enabled")
    if start is None or end is None or _schedule_wrong(parameters):
        return INVALID
    for wanted, name in ((start, "start_time"), (end, "end_time")):
        if wanted and whole(parameters, name, 0, MINUTES_MAX) is None:
            return INVALID
    if not (start or end):
        return INVALID
    return TOO_MANY if _no_room(parameters, car.body.charging.schedules) else ACCEPTED


def _add(car: Car, parameters: Parameters) -> None:
    schedules = car.body.charging.schedules
    number_ = _schedule_id(car, parameters, schedules)
    schedules[number_] = ChargeSchedule(
        number_,
        parameters.get("name") or "",
        int(parameters["days_of_week"]),
        parameters["enabled"],
        chosen(parameters, "one_time"),
        float(parameters["lat"]),
        float(parameters["lon"]),
        int(parameters["start_time"]) if parameters["start_enabled"] else None,
        int(parameters["end_time"]) if parameters["end_enabled"] else None,
    )
    charging.reconsider(car)


def _refuse_add_precondition(car: Car, parameters: Parameters) -> str:
    if _schedule_wrong(parameters):
        return INVALID
    if whole(parameters, "precondition_time", 0, MINUTES_MAX) is None:
        return INVALID
    return TOO_MANY if _no_room(parameters, car.body.climate.schedules) else ACCEPTED


def _add_precondition(car: Car, parameters: Parameters) -> None:
    schedules = car.body.climate.schedules
    number_ = _schedule_id(car, parameters, schedules)
    schedules[number_] = PreconditionSchedule(
        number_,
        parameters.get("name") or "",
        int(parameters["days_of_week"]),
        parameters["enabled"],
        chosen(parameters, "one_time"),
        float(parameters["lat"]),
        float(parameters["lon"]),
        int(parameters["precondition_time"]),
    )


Schedules = Callable[[Car], dict[int, Any]]


def _charge_schedules(car: Car) -> dict[int, Any]:
    return car.body.charging.schedules


def _precondition_schedules(car: Car) -> dict[int, Any]:
    return car.body.climate.schedules


def _remover(schedules: Schedules) -> Action:
    def refuse(car: Car, parameters: Parameters) -> str:
        wanted = whole(parameters, "id", 1, ID_MAX)
        if wanted is None:
            return INVALID
        return ACCEPTED if wanted in schedules(car) else NOT_FOUND

    def remove(car: Car, parameters: Parameters) -> None:
        del schedules(car)[int(parameters["id"])]
        charging.reconsider(car)

    return Action(refuse, remove)


def _batch_remover(schedules: Schedules) -> Action:
    def remove(car: Car, parameters: Parameters) -> None:
        for number_, schedule in list(schedules(car).items()):
            where = car.kind_of_place(schedule.latitude_deg, schedule.longitude_deg)
            if chosen(parameters, where):
                del schedules(car)[number_]
        charging.reconsider(car)

    return Action(never, remove)


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
    "add_charge_schedule": Action(_refuse_add, _add),
    "add_precondition_schedule": Action(_refuse_add_precondition, _add_precondition),
    "remove_charge_schedule": _remover(_charge_schedules),
    "remove_precondition_schedule": _remover(_precondition_schedules),
    "batch_remove_charge_schedules": _batch_remover(_charge_schedules),
    "batch_remove_precondition_schedules": _batch_remover(_precondition_schedules),
    "set_managed_charge_current_request": Action(_refuse_managed_amps, _managed_amps),
    "set_managed_charger_location": Action(_refuse_managed_place, _managed_place),
    "set_managed_scheduled_charging_time": Action(_refuse_managed_time, _managed_time),
}
