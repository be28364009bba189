"""Schedules for charging and for a pleasant cabin: two kinds of one shape."""

from collections.abc import Callable
from typing import Any, Final

from motorcade.signals.table import SCHEDULE_SLOTS
from motorcade.vehicle import charging
from motorcade.vehicle.actions.action import (
    ACCEPTED,
    INVALID,
    NOT_FOUND,
    TOO_MANY,
    Action,
    Parameters,
    chosen,
    flag,
    never,
    place,
    text,
    whole,
)
from motorcade.vehicle.body import ChargeSchedule, PreconditionSchedule
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import ID_MAX, MINUTES_MAX, NAME_CHARACTERS_MAX

DAYS_MAX: Final = 127
SCHEDULES_MAX: Final = SCHEDULE_SLOTS  # of each kind: the car tells of all

Schedules = Callable[[Car], dict[int, Any]]


def _charge_schedules(car: Car) -> dict[int, Any]:
    return car.body.charging.schedules


def _precondition_schedules(car: Car) -> dict[int, Any]:
    return car.body.climate.schedules


def _wrong(parameters: Parameters) -> bool:
    """In what both kinds have."""
    number, name = parameters.get("id"), parameters.get("name")
    return (
        whole(parameters, "days_of_week", 0, DAYS_MAX) is None
        or flag(parameters, "enabled") is None
        or place(parameters) is None
        or (number is not None and whole(parameters, "id", 0, ID_MAX) is None)
        or (name is not None and text(parameters, "name", NAME_CHARACTERS_MAX) is None)
    )


def _common(number: int, parameters: Parameters) -> dict[str, Any]:
    """What both kinds have."""
    return {
        "id": number,
        "name": parameters.get("name") or "",
        "days": int(parameters["days_of_week"]),
        "enabled": parameters["enabled"],
        "one_time": chosen(parameters, "one_time"),
        "latitude_deg": float(parameters["lat"]),
        "longitude_deg": float(parameters["lon"]),
    }


def _number(car: Car, parameters: Parameters, taken: dict[int, Any]) -> int:
    """The caller's, or the time, as Tesla's; never one that stands already."""
    wanted = parameters.get("id")
    if wanted:
        return int(wanted)
    fresh = max(int(car.unix_s), 1)
    while fresh in taken:
        fresh += 1
    return fresh


def _adder(
    schedules: Schedules,
    times_wrong: Callable[[Parameters], bool],
    make: Callable[[dict[str, Any], Parameters], Any],
) -> Action:
    def refuse(car: Car, parameters: Parameters) -> str:
        if _wrong(parameters) or times_wrong(parameters):
            return INVALID
        known = schedules(car)
        full = len(known) >= SCHEDULES_MAX and parameters.get("id") not in known
        return TOO_MANY if full else ACCEPTED

    def add(car: Car, parameters: Parameters) -> None:
        known = schedules(car)
        number = _number(car, parameters, known)
        known[number] = make(_common(number, parameters), parameters)
        if schedules is _charge_schedules:
            charging.reconsider(car)

    return Action(refuse, add)


def _charge_times_wrong(parameters: Parameters) -> bool:
    start, end = flag(parameters, "start_enabled"), flag(parameters, "end_enabled")
    if start is None or end is None or not (start or end):
        return True
    times = ((start, "start_time"), (end, "end_time"))
    return any(wanted and whole(parameters, name, 0, MINUTES_MAX) is None for wanted, name in times)


def _charge_schedule(common: dict[str, Any], parameters: Parameters) -> ChargeSchedule:
    start = int(parameters["start_time"]) if parameters["start_enabled"] else None
    end = int(parameters["end_time"]) if parameters["end_enabled"] else None
    return ChargeSchedule(**common, start_minute=start, end_minute=end)


def _precondition_time_wrong(parameters: Parameters) -> bool:
    return whole(parameters, "precondition_time", 0, MINUTES_MAX) is None


def _precondition_schedule(common: dict[str, Any], parameters: Parameters) -> PreconditionSchedule:
    return PreconditionSchedule(**common, minute=int(parameters["precondition_time"]))


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
        for number, schedule in list(schedules(car).items()):
            where = car.kind_of_place(schedule.latitude_deg, schedule.longitude_deg)
            if chosen(parameters, where):
                del schedules(car)[number]
        charging.reconsider(car)

    return Action(never, remove)


ACTIONS: Final[dict[str, Action]] = {
    "add_charge_schedule": _adder(_charge_schedules, _charge_times_wrong, _charge_schedule),
    "add_precondition_schedule": _adder(
        _precondition_schedules, _precondition_time_wrong, _precondition_schedule
    ),
    "remove_charge_schedule": _remover(_charge_schedules),
    "remove_precondition_schedule": _remover(_precondition_schedules),
    "batch_remove_charge_schedules": _batch_remover(_charge_schedules),
    "batch_remove_precondition_schedules": _batch_remover(_precondition_schedules),
}
