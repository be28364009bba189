"""What an action is, the reasons for saying no, and how parameters are read anew. No IO."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from motorcade.vehicle.model import Car

Parameters = Mapping[str, Any]

ACCEPTED: Final = ""
# Tesla's words where they are known, ours for what would be dangerous.
DRIVING: Final = "vehicle_is_driving"
INVALID: Final = "invalid_parameters"
UNKNOWN: Final = "unknown_command"
ASLEEP: Final = "vehicle_is_asleep"
ALREADY_SET: Final = "already_set"
NOT_FITTED: Final = "not_supported"
NO_PIN: Final = "pin_required"
WRONG_PIN: Final = "wrong_pin"
PIN_LOCKED: Final = "pin_locked"  # too many wrong ones
BATTERY_LOW: Final = "battery_low"
COMFORT_OFF: Final = "cabin comfort remote settings not enabled"
NOBODY: Final = "user_not_present"
NOT_FOUND: Final = "not_found"
TOO_MANY: Final = "too_many"

PIN_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Action:
    """One command: `refuse` says why not (or `ACCEPTED`), `apply` does it."""

    refuse: Callable[[Car, Parameters], str]
    apply: Callable[[Car, Parameters], None]
    pin_of: str = ""  # of `PIN_MODES`: whose PIN is compared with what is given


def never(_car: Car, _parameters: Parameters) -> str:
    """No reason to refuse."""
    return ACCEPTED


def while_driving(car: Car, _parameters: Parameters) -> str:
    """Refused in gear or rolling."""
    return DRIVING if car.moving else ACCEPTED


def number(parameters: Parameters, name: str, low: float, high: float) -> float | None:
    """A number within its range; `None` for anything else."""
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and low <= value <= high else None


def whole(parameters: Parameters, name: str, low: int, high: int) -> int | None:
    """A whole number within its range; `None` for anything else."""
    value = number(parameters, name, low, high)
    return int(value) if value is not None and value == int(value) else None


def flag(parameters: Parameters, name: str) -> bool | None:
    """True or false; `None` for anything else."""
    value = parameters.get(name)
    return value if isinstance(value, bool) else None


def chosen(parameters: Parameters, name: str) -> bool:
    """An optional flag: absent is false."""
    return parameters.get(name) is True


def text(parameters: Parameters, name: str, characters_max: int) -> str | None:
    """A text that is short enough; `None` for anything else."""
    value = parameters.get(name)
    return value if isinstance(value, str) and len(value) <= characters_max else None


def pin(parameters: Parameters, name: str) -> str | None:
    """A PIN; `None` for anything else."""
    value = text(parameters, name, PIN_DIGITS)
    if value is None or len(value) != PIN_DIGITS or not (value.isascii() and value.isdigit()):
        return None
    return value


def place(parameters: Parameters) -> tuple[float, float] | None:
    """`lat` and `lon`, WGS 84 degrees; `None` unless both are there."""
    latitude, longitude = number(parameters, "lat", -90, 90), number(parameters, "lon", -180, 180)
    return None if latitude is None or longitude is None else (latitude, longitude)


def needs_flag(name: str) -> Callable[[Car, Parameters], str]:
    """Refused unless `name` is true or false."""

    def refuse(_car: Car, parameters: Parameters) -> str:
        return INVALID if flag(parameters, name) is None else ACCEPTED

    return refuse
