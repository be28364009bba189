"""Name, software, power modes, notes and calendar."""

from typing import Any, Final

import msgspec

from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    BATTERY_LOW,
    INVALID,
    Action,
    Parameters,
    flag,
    text,
    whole,
)
from motorcade.vehicle.body import Update
from motorcade.vehicle.climate import LOW_SOC
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import NAME_CHARACTERS_MAX, OFFSET_S_MAX

NOTE_CHARACTERS_MAX: Final = 80
NOTES_MAX: Final = 100  # the oldest go
CALENDAR_BYTES_MAX: Final = 64 << 10


def _refuse_name(car: Car, parameters: Parameters) -> str:
    name = text(parameters, "vehicle_name", NAME_CHARACTERS_MAX)
    if name is None:
        return INVALID
    return ALREADY_SET if car.body.settings.name == name else ACCEPTED


def _name(car: Car, parameters: Parameters) -> None:
    car.body.settings.name = parameters["vehicle_name"]


def _refuse_update(car: Car, parameters: Parameters) -> str:
    if whole(parameters, "offset_sec", 0, OFFSET_S_MAX) is None:
        return INVALID
    waiting = car.body.software.update in (Update.AVAILABLE, Update.SCHEDULED)
    return ACCEPTED if waiting else "no_update_available"


def _update(car: Car, parameters: Parameters) -> None:
    software = car.body.software
    software.update = Update.SCHEDULED
    software.due_s = car.elapsed_s + int(parameters["offset_sec"])


def _refuse_cancel(car: Car, _parameters: Parameters) -> str:
    """An installation that runs is not broken off."""
    return ACCEPTED if car.body.software.update is Update.SCHEDULED else "not_scheduled"


def _cancel(car: Car, _parameters: Parameters) -> None:
    car.body.software.update = Update.AVAILABLE


def _refuse_low_power(car: Car, parameters: Parameters) -> str:
    enable = flag(parameters, "enable")
    if enable is None:
        return INVALID
    return ALREADY_SET if car.body.settings.low_power == enable else ACCEPTED


def _low_power(car: Car, parameters: Parameters) -> None:
    car.body.settings.low_power = parameters["enable"]


def _refuse_accessory(car: Car, parameters: Parameters) -> str:
    enable = flag(parameters, "enable")
    if enable is None:
        return INVALID
    if car.body.settings.accessory_power == enable:
        return ALREADY_SET
    return BATTERY_LOW if enable and car.soc < LOW_SOC else ACCEPTED


def _accessory(car: Car, parameters: Parameters) -> None:
    car.body.settings.accessory_power = parameters["enable"]


def _refuse_note(_car: Car, parameters: Parameters) -> str:
    return INVALID if text(parameters, "note", NOTE_CHARACTERS_MAX) is None else ACCEPTED


def _note(car: Car, parameters: Parameters) -> None:
    notes = car.body.settings.drive_notes
    notes.append(parameters["note"])
    del notes[:-NOTES_MAX]


def _calendar_bytes(value: Any) -> int | None:
    if not isinstance(value, str | dict):
        return None
    return len(value.encode() if isinstance(value, str) else msgspec.json.encode(value))


def _refuse_calendar(_car: Car, parameters: Parameters) -> str:
    size = _calendar_bytes(parameters.get("calendar_data"))
    return ACCEPTED if size is not None and size <= CALENDAR_BYTES_MAX else INVALID


def _calendar(car: Car, parameters: Parameters) -> None:
    """The car shows it to whoever sits in it; the model keeps only how much there is."""
    size = _calendar_bytes(parameters["calendar_data"])
    car.body.settings.calendar_bytes = size or 0


ACTIONS: Final[dict[str, Action]] = {
    "set_vehicle_name": Action(_refuse_name, _name),
    "schedule_software_update": Action(_refuse_update, _update),
    "cancel_software_update": Action(_refuse_cancel, _cancel),
    "set_low_power_mode": Action(_refuse_low_power, _low_power),
    "keep_accessory_power_mode": Action(_refuse_accessory, _accessory),
    "take_drivenote": Action(_refuse_note, _note),
    "upcoming_calendar_entries": Action(_refuse_calendar, _calendar),
}
