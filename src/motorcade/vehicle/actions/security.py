"""Who may do what with the car: sentry, valet, PINs, speed limits, parents, guests.

A PIN that is set is needed to switch off what it protects; after too many wrong ones none is looked
at for a while (`vehicle/pins.py` counts and remembers). The `..._admin` commands are for owners
and fleet managers, who may forget a PIN: the API asks for the owner's account
(`CommandRow.owners`), the signed protocol for a role.
"""

from typing import Final

from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    BATTERY_LOW,
    DRIVING,
    INVALID,
    NO_PIN,
    PIN_LOCKED,
    WRONG_PIN,
    Action,
    Parameters,
    flag,
    never,
    number,
    pin,
    whole,
)
from motorcade.vehicle.body import MPH_MPS, PARENTAL_SETTINGS, PinLock, Settings
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


def _check(car: Car, mode: str, parameters: Parameters, name: str) -> str:
    """Whether the PIN given is the one that is set; the first one given is set."""
    security = car.body.security
    given, known = pin(parameters, name), getattr(security, f"{mode}_pin")
    if given is None:
        return INVALID
    if known and car.unix_s < security.pin_locks[mode].until_unix_s:
        return PIN_LOCKED
    return ACCEPTED if known in ("", given) else WRONG_PIN


def _set(car: Car, mode: str, on: bool, given: str | None = None) -> None:
    """On or off, by the right PIN or by one that is set now."""
    security = car.body.security
    setattr(security, mode, on)
    if given is not None:
        setattr(security, f"{mode}_pin", given)
        security.pin_locks[mode] = PinLock()


def _forget(car: Car, mode: str) -> None:
    setattr(car.body.security, f"{mode}_pin", "")
    car.body.security.pin_locks[mode] = PinLock()


def _switch(mode: str) -> Action:
    """One command both ways: `on`, and `password`."""

    def refuse(car: Car, parameters: Parameters) -> str:
        security, on = car.body.security, flag(parameters, "on")
        if on is None:
            return INVALID
        if on == getattr(security, mode):
            return ALREADY_SET
        if parameters.get("password") is None:
            # Who set a PIN before need not say it to hand the car over, only to have it back.
            return ACCEPTED if on and getattr(security, f"{mode}_pin") else NO_PIN
        return _check(car, mode, parameters, "password")

    def apply(car: Car, parameters: Parameters) -> None:
        _set(car, mode, parameters["on"], parameters.get("password"))

    return Action(refuse, apply, mode)


def _turn(mode: str, *, on: bool) -> Action:
    """A command for each way, with `pin`."""

    def refuse(car: Car, parameters: Parameters) -> str:
        wrong = _check(car, mode, parameters, "pin")
        if wrong or getattr(car.body.security, mode) != on:
            return wrong
        return ALREADY_SET if on else NOT_ACTIVE

    def apply(car: Car, parameters: Parameters) -> None:
        _set(car, mode, on, parameters["pin"])

    return Action(refuse, apply, mode)


def _reset(mode: str, *, unless: str = "") -> Action:
    """Forget the PIN of a mode that is not in use, nor `unless` in use; as Tesla's."""

    def refuse(car: Car, _parameters: Parameters) -> str:
        security = car.body.security
        if unless and getattr(security, unless):
            return f"{unless}_mode"
        return ACTIVE if getattr(security, mode) else ACCEPTED

    return Action(refuse, lambda car, _parameters: _forget(car, mode))


def _clear(mode: str, *, admin: bool) -> Action:
    """Off, and its PIN forgotten; an administrator need not know it."""

    def refuse(car: Car, parameters: Parameters) -> str:
        wrong = _check(car, mode, parameters, "pin")
        return wrong or (ACCEPTED if getattr(car.body.security, f"{mode}_pin") else NO_PIN)

    def apply(car: Car, _parameters: Parameters) -> None:
        _set(car, mode, on=False)
        _forget(car, mode)

    return Action(never, apply) if admin else Action(refuse, apply, mode)


def _limit(mode: str, member: str) -> Action:
    """The speed that a mode allows; not while it is in use."""

    def refuse(car: Car, parameters: Parameters) -> str:
        if number(parameters, "limit_mph", *LIMIT_MPH) is None:
            return INVALID
        return ACTIVE if getattr(car.body.security, mode) else ACCEPTED

    def apply(car: Car, parameters: Parameters) -> None:
        setattr(car.body.security, member, float(parameters["limit_mph"]) * MPH_MPS)

    return Action(refuse, apply)


def _refuse_setting(car: Car, parameters: Parameters) -> str:
    setting = whole(parameters, "setting", 0, len(PARENTAL_SETTINGS) - 1)
    if setting is None or flag(parameters, "enable") is None:
        return INVALID
    return ACTIVE if car.body.security.parental else ACCEPTED


def _setting(car: Car, parameters: Parameters) -> None:
    settings = car.body.security.parental_settings
    change = settings.add if parameters["enable"] else settings.discard
    change(PARENTAL_SETTINGS[int(parameters["setting"])])


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


ACTIONS: Final[dict[str, Action]] = {
    "set_sentry_mode": Action(_refuse_sentry, _sentry),
    "set_valet_mode": _switch("valet"),
    "reset_valet_pin": _reset("valet"),
    "set_pin_to_drive": _switch("pin_to_drive"),
    "reset_pin_to_drive_pin": _reset("pin_to_drive", unless="valet"),
    "clear_pin_to_drive_admin": _clear("pin_to_drive", admin=True),
    "speed_limit_activate": _turn("speed_limit", on=True),
    "speed_limit_deactivate": _turn("speed_limit", on=False),
    "speed_limit_set_limit": _limit("speed_limit", "speed_limit_mps"),
    "speed_limit_clear_pin": _clear("speed_limit", admin=False),
    "speed_limit_clear_pin_admin": _clear("speed_limit", admin=True),
    "parental_controls_activate": _turn("parental", on=True),
    "parental_controls_deactivate": _turn("parental", on=False),
    "parental_controls_enable_setting": Action(_refuse_setting, _setting),
    "parental_controls_set_speed_limit": _limit("parental", "parental_limit_mps"),
    "parental_controls_clear_pin_admin": _clear("parental", admin=True),
    "guest_mode": Action(_refuse_guest, _guest),
    "erase_user_data": Action(_refuse_erase, _erase),
}
