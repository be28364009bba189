"""Doors, lids, windows, roof, horn, lights, waking, driving off. Nothing opens while driving."""

from typing import Final

from motorcade.vehicle.actions.action import (
    ACCEPTED,
    ALREADY_SET,
    DRIVING,
    INVALID,
    NOT_FITTED,
    Action,
    Parameters,
    never,
    while_driving,
    whole,
)
from motorcade.vehicle.body import Charge, Lid
from motorcade.vehicle.model import VENT_PERCENT, Car

OPEN_PERCENT: Final = 100.0
ROOF_VENT_PERCENT: Final = 15.0
REMOTE_START_S: Final = 120.0  # so long it may be driven without a key, as Tesla's
SEAT_S: Final = 20.0  # whoever was let in is seated and drives off
SOUND_MAX: Final = 2_000


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


def _refuse_boombox(car: Car, parameters: Parameters) -> str:
    if whole(parameters, "sound", 0, SOUND_MAX) is None:
        return INVALID
    if not car.equipment.boombox:
        return NOT_FITTED
    return DRIVING if car.moving else ACCEPTED


def _boombox(car: Car, _parameters: Parameters) -> None:
    car.body.boombox_until_s = car.pulse_end_s()


def _refuse_homelink(car: Car, _parameters: Parameters) -> str:
    if not car.equipment.homelink_devices:
        return NOT_FITTED
    return "valet_mode" if car.body.security.valet else ACCEPTED


def _homelink(car: Car, _parameters: Parameters) -> None:
    car.body.homelink_until_s = car.pulse_end_s()


def _refuse_trunk(car: Car, parameters: Parameters) -> str:
    if parameters.get("which_trunk") not in ("front", "rear"):
        return INVALID
    if car.moving:
        return DRIVING
    front = parameters["which_trunk"] == "front"
    if front and car.body.security.valet:
        return "valet_mode"
    # The front lid has no motor: it can be opened, but a hand must close it.
    return ALREADY_SET if front and car.body.trunks_open["front"] else ACCEPTED


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


def _refuse_lid(car: Car, lid: Lid, fitted: bool, target_percent: float) -> str:
    if not fitted:
        return NOT_FITTED
    if car.moving and target_percent > lid.percent:
        return DRIVING
    return ALREADY_SET if lid.target_percent == target_percent else ACCEPTED


def _roof_target(car: Car, parameters: Parameters) -> float | None:
    now = car.body.sun_roof.percent
    targets = {"stop": now, "close": 0.0, "vent": ROOF_VENT_PERCENT}
    state = parameters.get("state")
    return targets.get(state) if isinstance(state, str) else None


def _refuse_roof(car: Car, parameters: Parameters) -> str:
    target = _roof_target(car, parameters)
    if target is None:
        return INVALID
    return _refuse_lid(car, car.body.sun_roof, car.equipment.sun_roof, target)


def _roof(car: Car, parameters: Parameters) -> None:
    target = _roof_target(car, parameters)
    assert target is not None  # `refuse` saw to it
    car.body.sun_roof.target_percent = target


def _refuse_open_tonneau(car: Car, _parameters: Parameters) -> str:
    return _refuse_lid(car, car.body.tonneau, car.equipment.tonneau, OPEN_PERCENT)


def _open_tonneau(car: Car, _parameters: Parameters) -> None:
    car.body.tonneau.target_percent = OPEN_PERCENT


def _refuse_close_tonneau(car: Car, _parameters: Parameters) -> str:
    return _refuse_lid(car, car.body.tonneau, car.equipment.tonneau, 0.0)


def _close_tonneau(car: Car, _parameters: Parameters) -> None:
    car.body.tonneau.target_percent = 0.0


def _refuse_stop_tonneau(car: Car, _parameters: Parameters) -> str:
    return _refuse_lid(car, car.body.tonneau, car.equipment.tonneau, car.body.tonneau.percent)


def _stop_tonneau(car: Car, _parameters: Parameters) -> None:
    car.body.tonneau.target_percent = car.body.tonneau.percent


def _refuse_port_open(car: Car, _parameters: Parameters) -> str:
    if car.moving:
        return DRIVING
    if car.body.charge is Charge.CHARGING:
        return "charging"
    return ALREADY_SET if car.body.charging.port_open else ACCEPTED


def _port_open(car: Car, _parameters: Parameters) -> None:
    car.body.charging.port_open = True


def _refuse_port_close(car: Car, _parameters: Parameters) -> str:
    if car.plugged:
        return "cable_connected"
    return ACCEPTED if car.body.charging.port_open else ALREADY_SET


def _port_close(car: Car, _parameters: Parameters) -> None:
    car.body.charging.port_open = False


def _remote_start(car: Car, _parameters: Parameters) -> None:
    car.body.security.remote_start_until_s = car.elapsed_s + REMOTE_START_S
    car.body.locked = False
    car.set_off_soon(SEAT_S)


def _wake(car: Car, _parameters: Parameters) -> None:
    car.call()


OPENING: Final = frozenset(
    {
        *("door_unlock", "actuate_trunk", "open_tonneau", "charge_port_door_open"),
        "remote_start_drive",
    }
)
"""What somebody does who is about to use the car: it wakes a sleeping one."""

ACTIONS: Final[dict[str, Action]] = {
    "door_lock": Action(_refuse_lock, _lock),
    "door_unlock": Action(_refuse_unlock, _unlock),
    "honk_horn": Action(never, _honk),
    "flash_lights": Action(never, _flash),
    "remote_boombox": Action(_refuse_boombox, _boombox),
    "trigger_homelink": Action(_refuse_homelink, _homelink),
    "actuate_trunk": Action(_refuse_trunk, _trunk),
    "window_control": Action(_refuse_windows, _windows),
    "sun_roof_control": Action(_refuse_roof, _roof),
    "open_tonneau": Action(_refuse_open_tonneau, _open_tonneau),
    "close_tonneau": Action(_refuse_close_tonneau, _close_tonneau),
    "stop_tonneau": Action(_refuse_stop_tonneau, _stop_tonneau),
    "charge_port_door_open": Action(_refuse_port_open, _port_open),
    "charge_port_door_close": Action(_refuse_port_close, _port_close),
    "remote_start_drive": Action(while_driving, _remote_start),
    "wake_up": Action(never, _wake),
}
