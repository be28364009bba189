"""Who may do what with the car: sentry, valet, PINs, speed limits, parents, guests.

A PIN that is set is needed to switch off what it protects. The `..._admin` commands are for owners
and fleet managers, who may forget a PIN: the API's scopes and the signed protocol's roles see to it
that nobody else sends them.
"""

from collections.abc import Callable
from typing import Final

from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    BATTERY_LOW,
    DRIVING,
    INVALID,
    NO_PIN,
    WRONG_PIN,
    Action,
    Parameters,
    flag,
    never,
    number,
    pin,
    whole,
)
from motorcade.vehicle.body import MPH_MPS, PARENTAL_SETTINGS, Security, Settings
from motorcade.vehicle.climate import LOW_SOC
from motorcade.vehicle.model import Car
from motorcade.wire.command.limits import LIMIT_MPH

NOT_ACTIVE: Final = "not_active"
ACTIVE: Final = "active"


def _refuse_sentry(car: Car, parameters: Parameters) -> str:
    on = flag(parameters, "on")
    if on is None:
        return INVALID
    if car.body.security.sentry == on:
        return ALREADY_SET
    return BATTERY_LOW if on and car.soc < LOW_SOC else ACCEPTED


def _sentry(car: Car, parameters: Parameters) -> None:
    car.body.security.sentry = parameters["on"]


def _check(known: str, parameters: Parameters, name: str) -> str:
    """Whether the PIN given is the one that is set; the first one given is set."""
    given = pin(parameters, name)
    if given is None:
        return INVALID
    return ACCEPTED if known in ("", given) else WRONG_PIN


def _refuse_valet(car: Car, parameters: Parameters) -> str:
    security, on = car.body.security, flag(parameters, "on")
    if on is None:
        return INVALID
    if on == security.valet:
        return ALREADY_SET
    if parameters.get("password") is None:
        # Who set a PIN before need not say it to hand the car over, only to have it back.
        return ACCEPTED if on and security.valet_pin else NO_PIN
    return _check(security.valet_pin, parameters, "password")


def _valet(car: Car, parameters: Parameters) -> None:
    security = car.body.security
    security.valet = parameters["on"]
    security.valet_pin = parameters.get("password") or security.valet_pin


def _refuse_reset_valet(car: Car, _parameters: Parameters) -> str:
    return ACTIVE if car.body.security.valet else ACCEPTED


def _reset_valet(car: Car, _parameters: Parameters) -> None:
    car.body.security.valet_pin = ""


def _refuse_pin_to_drive(car: Car, parameters: Parameters) -> str:
    security, on = car.body.security, flag(parameters, "on")
    if on is None:
        return INVALID
    if on == security.pin_to_drive:
        return ALREADY_SET
    if parameters.get("password") is None:
        return ACCEPTED if on and security.pin_to_drive_pin else NO_PIN
    return _check(security.pin_to_drive_pin, parameters, "password")


def _pin_to_drive(car: Car, parameters: Parameters) -> None:
    security = car.body.security
    security.pin_to_drive = parameters["on"]
    security.pin_to_drive_pin = parameters.get("password") or security.pin_to_drive_pin


def _refuse_reset_pin_to_drive(car: Car, _parameters: Parameters) -> str:
    """As Tesla's: only while it is not in use, and no valet drives."""
    security = car.body.security
    if security.valet:
        return "valet_mode"
    return ACTIVE if security.pin_to_drive else ACCEPTED


def _reset_pin_to_drive(car: Car, _parameters: Parameters) -> None:
    car.body.security.pin_to_drive_pin = ""


def _clear_pin_to_drive(car: Car, _parameters: Parameters) -> None:
    car.body.security.pin_to_drive = False
    car.body.security.pin_to_drive_pin = ""


def _refuse_limit_on(car: Car, parameters: Parameters) -> str:
    security = car.body.security
    wrong = _check(security.speed_limit_pin, parameters, "pin")
    return wrong or (ALREADY_SET if security.speed_limit else ACCEPTED)


def _limit_on(car: Car, parameters: Parameters) -> None:
    car.body.security.speed_limit = True
    car.body.security.speed_limit_pin = parameters["pin"]


def _refuse_limit_off(car: Car, parameters: Parameters) -> str:
    security = car.body.security
    wrong = _check(security.speed_limit_pin, parameters, "pin")
    return wrong or (ACCEPTED if security.speed_limit else NOT_ACTIVE)


def _limit_off(car: Car, _parameters: Parameters) -> None:
    car.body.security.speed_limit = False


def _refuse_limit(car: Car, parameters: Parameters) -> str:
    if number(parameters, "limit_mph", *LIMIT_MPH) is None:
        return INVALID
    return ACTIVE if car.body.security.speed_limit else ACCEPTED


def _limit(car: Car, parameters: Parameters) -> None:
    car.body.security.speed_limit_mps = float(parameters["limit_mph"]) * MPH_MPS


def _refuse_clear_limit(car: Car, parameters: Parameters) -> str:
    security = car.body.security
    wrong = _check(security.speed_limit_pin, parameters, "pin")
    return wrong or (ACCEPTED if security.speed_limit_pin else NO_PIN)


def _clear_limit(car: Car, _parameters: Parameters) -> None:
    """Off, and its PIN forgotten."""
    car.body.security.speed_limit = False
    car.body.security.speed_limit_pin = ""


def _refuse_parental_on(car: Car, parameters: Parameters) -> str:
    security = car.body.security
    wrong = _check(security.parental_pin, parameters, "pin")
    return wrong or (ALREADY_SET if security.parental else ACCEPTED)


def _parental_on(car: Car, parameters: Parameters) -> None:
    car.body.security.parental = True
    car.body.security.parental_pin = parameters["pin"]


def _refuse_parental_off(car: Car, parameters: Parameters) -> str:
    security = car.body.security
    wrong = _check(security.parental_pin, parameters, "pin")
    return wrong or (ACCEPTED if security.parental else NOT_ACTIVE)


def _parental_off(car: Car, _parameters: Parameters) -> None:
    car.body.security.parental = False


def _refuse_setting(car: Car, parameters: Parameters) -> str:
    setting = whole(parameters, "setting", 0, len(PARENTAL_SETTINGS) - 1)
    if setting is None or flag(parameters, "enable") is None:
        return INVALID
    return ACTIVE if car.body.security.parental else ACCEPTED


def _setting(car: Car, parameters: Parameters) -> None:
    settings = car.body.security.parental_settings
    change = settings.add if parameters["enable"] else settings.discard
    change(PARENTAL_SETTINGS[int(parameters["setting"])])


def _refuse_parental_limit(car: Car, parameters: Parameters) -> str:
    if number(parameters, "limit_mph", *LIMIT_MPH) is None:
        return INVALID
    return ACTIVE if car.body.security.parental else ACCEPTED


def _parental_limit(car: Car, parameters: Parameters) -> None:
    car.body.security.parental_limit_mps = float(parameters["limit_mph"]) * MPH_MPS


def _clear_parental(car: Car, _parameters: Parameters) -> None:
    car.body.security.parental = False
    car.body.security.parental_pin = ""


def _refuse_guest(car: Car, parameters: Parameters) -> str:
    enable = flag(parameters, "enable")
    if enable is None:
        return INVALID
    return ALREADY_SET if car.body.security.guest == enable else ACCEPTED


def _guest(car: Car, parameters: Parameters) -> None:
    car.body.security.guest = parameters["enable"]


def _refuse_erase(car: Car, _parameters: Parameters) -> str:
    """As Tesla's: parked, and handed to a guest. Else a slip would cost the owner's data."""
    if car.moving:
        return DRIVING
    return ACCEPTED if car.body.security.guest else "not_in_guest_mode"


def _erase(car: Car, _parameters: Parameters) -> None:
    """What people left in the car's screen: journeys, notes, names, schedules with their places."""
    body = car.body
    body.stops.clear()
    body.charging.schedules.clear()
    body.climate.schedules.clear()
    body.charging.departure = body.charging.managed_place = None
    body.settings = Settings(
        low_power=body.settings.low_power, accessory_power=body.settings.accessory_power
    )
    body.media = type(body.media)()


def _pinless(forget: Callable[[Car, Parameters], None]) -> Action:
    return Action(never, forget)


def pin_set(security: Security) -> dict[str, bool]:
    """Which PINs there are; for telemetry, which never tells the PINs."""
    return {
        "valet": bool(security.valet_pin),
        "pin_to_drive": bool(security.pin_to_drive_pin),
        "speed_limit": bool(security.speed_limit_pin),
        "parental": bool(security.parental_pin),
    }


ACTIONS: Final[dict[str, Action]] = {
    "set_sentry_mode": Action(_refuse_sentry, _sentry),
    "set_valet_mode": Action(_refuse_valet, _valet),
    "reset_valet_pin": Action(_refuse_reset_valet, _reset_valet),
    "set_pin_to_drive": Action(_refuse_pin_to_drive, _pin_to_drive),
    "reset_pin_to_drive_pin": Action(_refuse_reset_pin_to_drive, _reset_pin_to_drive),
    "clear_pin_to_drive_admin": _pinless(_clear_pin_to_drive),
    "speed_limit_activate": Action(_refuse_limit_on, _limit_on),
    "speed_limit_deactivate": Action(_refuse_limit_off, _limit_off),
    "speed_limit_set_limit": Action(_refuse_limit, _limit),
    "speed_limit_clear_pin": Action(_refuse_clear_limit, _clear_limit),
    "speed_limit_clear_pin_admin": _pinless(_clear_limit),
    "parental_controls_activate": Action(_refuse_parental_on, _parental_on),
    "parental_controls_deactivate": Action(_refuse_parental_off, _parental_off),
    "parental_controls_enable_setting": Action(_refuse_setting, _setting),
    "parental_controls_set_speed_limit": Action(_refuse_parental_limit, _parental_limit),
    "parental_controls_clear_pin_admin": _pinless(_clear_parental),
    "guest_mode": Action(_refuse_guest, _guest),
    "erase_user_data": Action(_refuse_erase, _erase),
}
