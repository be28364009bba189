"""What the car does for each command, a table: when it refuses, and what it changes. No IO.

A refusal is one of Tesla's short reasons (`already_set`, `charging`, ...) or one of ours for what
would be dangerous. The API has a table of its own for parameters; the car checks them again,
because it obeys a signature, not a server's good behaviour.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from motorcade.vehicle.model import VENT_PERCENT, Car, Charge

Parameters = Mapping[str, Any]

ACCEPTED: Final = ""
DRIVING: Final = "vehicle_is_driving"
INVALID: Final = "invalid_parameters"
UNKNOWN: Final = "unknown_command"
ALREADY_SET: Final = "already_set"


@dataclass(frozen=True, slots=True)
class Action:
    """One command: `refuse` says why not (or `ACCEPTED`), `apply` does it."""

    refuse: Callable[[Car, Parameters], str]
    apply: Callable[[Car, Parameters], None]


def refusal(car: Car, name: str, parameters: Parameters) -> str:
    """Why the car does not carry this out now; empty if it does."""
    action = ACTIONS.get(name)
    return UNKNOWN if action is None else action.refuse(car, parameters)


def apply(car: Car, name: str, parameters: Parameters) -> None:
    """Carry it out. `refusal` was empty in this very moment."""
    ACTIONS[name].apply(car, parameters)


def _never(_car: Car, _parameters: Parameters) -> str:
    return ACCEPTED


def _number(parameters: Parameters, name: str, low: float, high: float) -> float | None:
    value = parameters.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and low <= value <= high else None


def _refuse_lock(car: Car, _parameters: Parameters) -> str:
    if any(car.body.doors_open.values()):
        return "door_open"
    return ALREADY_SET if car.body.locked else ACCEPTED


def _lock(car: Car, _parameters: Parameters) -> None:
    car.body.locked = True


def _refuse_unlock(car: Car, _parameters: Parameters) -> str:
    if car.moving:
        return DRIVING
    return ACCEPTED if car.body.locked else ALREADY_SET


def _unlock(car: Car, _parameters: Parameters) -> None:
    car.body.locked = False


def _honk(car: Car, _parameters: Parameters) -> None:
    car.body.horn_until_s = car.pulse_end_s()


def _flash(car: Car, _parameters: Parameters) -> None:
    car.body.lights_until_s = car.pulse_end_s()


def _refuse_trunk(car: Car, parameters: Parameters) -> str:
    if parameters.get("which_trunk") not in ("front", "rear"):
        return INVALID
    if car.moving:
        return DRIVING
    # The front lid has no motor: it can be opened, but a hand must close it.
    stuck = parameters["which_trunk"] == "front" and car.body.trunks_open["front"]
    return ALREADY_SET if stuck else ACCEPTED


def _trunk(car: Car, parameters: Parameters) -> None:
    which = parameters["which_trunk"]
    car.body.trunks_open[which] = not car.body.trunks_open[which]


def _refuse_windows(car: Car, parameters: Parameters) -> str:
    if parameters.get("command") not in ("vent", "close"):
        return INVALID
    wanted = _window_percent(parameters)
    if all(percent == wanted for percent in car.body.windows_percent.values()):
        return ALREADY_SET
    return DRIVING if car.moving and wanted else ACCEPTED


def _window_percent(parameters: Parameters) -> float:
    return VENT_PERCENT if parameters["command"] == "vent" else 0.0


def _windows(car: Car, parameters: Parameters) -> None:
    for window in car.body.windows_percent:
        car.body.windows_percent[window] = _window_percent(parameters)


def _refuse_charge_start(car: Car, _parameters: Parameters) -> str:
    match car.body.charge:
        case Charge.DISCONNECTED:
            return "disconnected"
        case Charge.CHARGING:
            return "charging"
        case Charge.COMPLETE:
            return "complete"
        case Charge.STOPPED:
            return "complete" if car.soc >= car.body.charge_limit else ACCEPTED


def _charge_start(car: Car, _parameters: Parameters) -> None:
    car.body.charge = Charge.CHARGING


def _refuse_charge_stop(car: Car, _parameters: Parameters) -> str:
    return ACCEPTED if car.body.charge is Charge.CHARGING else "not_charging"


def _charge_stop(car: Car, _parameters: Parameters) -> None:
    car.body.charge = Charge.STOPPED


def _refuse_limit(car: Car, parameters: Parameters) -> str:
    percent = _number(parameters, "percent", 50, 100)
    if percent is None:
        return INVALID
    return ALREADY_SET if car.body.charge_limit == percent / 100 else ACCEPTED


def _limit(car: Car, parameters: Parameters) -> None:
    car.body.charge_limit = parameters["percent"] / 100
    if car.body.charge is Charge.COMPLETE and car.soc < car.body.charge_limit:
        car.body.charge = Charge.CHARGING


def _refuse_temps(_car: Car, parameters: Parameters) -> str:
    wanted = [_number(parameters, f"{seat}_temp", 15, 30) for seat in ("driver", "passenger")]
    return INVALID if None in wanted else ACCEPTED


def _temps(car: Car, parameters: Parameters) -> None:
    car.body.driver_temp_degc = float(parameters["driver_temp"])
    car.body.passenger_temp_degc = float(parameters["passenger_temp"])


def _climate_start(car: Car, _parameters: Parameters) -> None:
    car.body.climate_on = True


def _climate_stop(car: Car, _parameters: Parameters) -> None:
    car.body.climate_on = False


def _refuse_navigation(_car: Car, parameters: Parameters) -> str:
    latitude = _number(parameters, "lat", -90, 90)
    longitude = _number(parameters, "lon", -180, 180)
    return INVALID if latitude is None or longitude is None else ACCEPTED


def _navigate(car: Car, parameters: Parameters) -> None:
    car.body.destination = f"{parameters['lat']:.6f},{parameters['lon']:.6f}"


ACTIONS: Final[dict[str, Action]] = {
    "door_lock": Action(_refuse_lock, _lock),
    "door_unlock": Action(_refuse_unlock, _unlock),
    "honk_horn": Action(_never, _honk),
    "flash_lights": Action(_never, _flash),
    "actuate_trunk": Action(_refuse_trunk, _trunk),
    "window_control": Action(_refuse_windows, _windows),
    "charge_start": Action(_refuse_charge_start, _charge_start),
    "charge_stop": Action(_refuse_charge_stop, _charge_stop),
    "set_charge_limit": Action(_refuse_limit, _limit),
    "auto_conditioning_start": Action(_never, _climate_start),
    "auto_conditioning_stop": Action(_never, _climate_stop),
    "set_temps": Action(_refuse_temps, _temps),
    "navigation_gps_request": Action(_refuse_navigation, _navigate),
}
