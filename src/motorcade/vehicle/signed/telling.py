"""What a car tells by the protocol: VCSEC's status, Infotainment's states. Reads, changes nothing.

Both are made of the signals that the car samples of itself, in the protocol's units: °F nowhere,
miles where Tesla has miles. A member that our cars do not have stays unset, which clients read as
unknown; a state of which we have nothing has its time alone.
"""

from collections.abc import Mapping
from typing import Any, Final

from tesla_protocol.command.common_pb2 import Void
from tesla_protocol.command.vcsec_pb2 import FromVCSECMessage
from tesla_protocol.command.vehicle_pb2 import VehicleData

Signals = Mapping[str, Any]

METRES_PER_MILE: Final = 1_609.344
_DOORS: Final = (
    ("driver_front", "frontDriverDoor"),
    ("passenger_front", "frontPassengerDoor"),
    ("driver_rear", "rearDriverDoor"),
    ("passenger_rear", "rearPassengerDoor"),
)
_GEARS: Final = {"P": 1, "D": 2, "R": 3, "N": 4}


def body_status(signals: Signals, *, asleep: bool, occupied: bool) -> FromVCSECMessage:
    """What VCSEC says of lids, locks and sleep, to whoever asks."""
    answer = FromVCSECMessage()
    status = answer.vehicleStatus
    closures = status.closureStatuses
    for ours, theirs in _DOORS:
        setattr(closures, theirs, int(bool(signals.get(f"door_{ours}_open"))))
    for ours, theirs in (("rear", "rearTrunk"), ("front", "frontTrunk")):
        setattr(closures, theirs, int(bool(signals.get(f"trunk_{ours}_open"))))
    closures.chargePort = int(bool(signals.get("charge_port_door_open")))  # type: ignore[assignment]
    status.vehicleLockState = int(bool(signals.get("locked")))  # type: ignore[assignment]
    status.vehicleSleepStatus = 2 if asleep else 1  # type: ignore[assignment]
    status.userPresence = 2 if occupied else 1  # type: ignore[assignment]
    status.gear = _GEARS.get(str(signals.get("gear")), 0)  # type: ignore[assignment]
    return answer


def vehicle_data(states: tuple[str, ...], signals: Signals, time_us: int) -> VehicleData:
    """The states that were asked for, of those that the protocol has."""
    data = VehicleData()
    for name in states:
        field = VehicleData.DESCRIPTOR.fields_by_name.get(name)
        if field is None or field.message_type is None:
            continue
        state = getattr(data, name)
        state.SetInParent()
        if "timestamp" in field.message_type.fields_by_name:
            state.timestamp.FromMicroseconds(time_us)
        if name in _STATES:
            _STATES[name](state, signals)
    return data


def _charge(state: Any, signals: Signals) -> None:
    _choose(state.charging_state, signals.get("detailed_charge_state"))
    _set(state, "charge_limit_soc", _whole(signals.get("charge_limit_soc")))
    _set(state, "charge_limit_soc_std", _whole(signals.get("charge_limit_soc_standard")))
    _set(state, "charge_limit_soc_min", _whole(signals.get("charge_limit_soc_min")))
    _set(state, "charge_limit_soc_max", _whole(signals.get("charge_limit_soc_max")))
    level = signals.get("soc")
    _set(state, "battery_level", _whole(level))
    _set(state, "usable_battery_level", _whole(level))
    for name in ("battery_range", "est_battery_range", "ideal_battery_range"):
        _set(state, name, _divided(signals.get("est_battery_range"), METRES_PER_MILE))
    _set(state, "charger_power", _whole(_divided(signals.get("ac_charging_power"), 1_000)))
    _set(state, "charger_voltage", _whole(signals.get("charger_voltage")))
    _set(state, "charge_port_door_open", signals.get("charge_port_door_open"))
    _set(state, "charging_amps", _whole(signals.get("charge_current_request")))
    _set(state, "charge_current_request", _whole(signals.get("charge_current_request")))


def _climate(state: Any, signals: Signals) -> None:
    _set(state, "inside_temp_celsius", signals.get("inside_temp"))
    _set(state, "outside_temp_celsius", signals.get("outside_temp"))
    _set(state, "driver_temp_setting", signals.get("hvac_left_temperature_request"))
    _set(state, "passenger_temp_setting", signals.get("hvac_right_temperature_request"))
    _set(state, "is_climate_on", signals.get("climate_on"))
    _set(state, "min_avail_temp_celsius", signals.get("hvac_temperature_min"))
    _set(state, "max_avail_temp_celsius", signals.get("hvac_temperature_max"))


def _drive(state: Any, signals: Signals) -> None:
    """Without the route's places: those are `location_state`'s class."""
    _choose(state.shift_state, signals.get("gear"))
    speed_mph = _divided(signals.get("vehicle_speed"), METRES_PER_MILE / 3_600)
    _set(state, "speed", _whole(speed_mph))
    _set(state, "speed_float", speed_mph)
    _set(state, "power", _whole(_divided(signals.get("battery_power"), 1_000)))
    hundredths = _divided(signals.get("odometer"), METRES_PER_MILE / 100)
    _set(state, "odometer_in_hundredths_of_a_mile", _whole(hundredths))


def _location(state: Any, signals: Signals) -> None:
    for prefix in ("", "native_"):
        _set(state, f"{prefix}latitude", signals.get("latitude"))
        _set(state, f"{prefix}longitude", signals.get("longitude"))
    _set(state, "heading", _whole(signals.get("gps_heading")))


def _closures(state: Any, signals: Signals) -> None:
    for door, _ in _DOORS:
        _set(state, f"door_open_{door}", signals.get(f"door_{door}_open"))
        window = signals.get(f"window_{door}_open")
        _set(state, f"window_open_{door}", None if window is None else bool(window))
    for trunk in ("front", "rear"):
        _set(state, f"door_open_trunk_{trunk}", signals.get(f"trunk_{trunk}_open"))
    _set(state, "locked", signals.get("locked"))


_STATES: Final = {
    "charge_state": _charge,
    "climate_state": _climate,
    "drive_state": _drive,
    "location_state": _location,
    "closures_state": _closures,
}


def _set(state: Any, name: str, value: Any) -> None:
    """Set what is known."""
    if value is not None:
        setattr(state, name, value)


def _whole(value: Any) -> int | None:
    return None if value is None else round(value)


def _divided(value: Any, by: float) -> float | None:
    return None if value is None else value / by


def _choose(state: Any, word: Any) -> None:
    """The member of a oneof that has the word's name."""
    if isinstance(word, str) and word in state.DESCRIPTOR.fields_by_name:
        getattr(state, word).CopyFrom(Void())
