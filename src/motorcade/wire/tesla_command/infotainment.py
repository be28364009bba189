"""Infotainment's payloads: what a CarServer.Action asks, a table. No IO.

A row per action that one of our commands can do; `commands/table.py` says what the parameters mean.
Floats of the protocol have 24 bits: they are rounded to what was meant. Members that a client left
out are what protobuf makes of them, zero or false.
"""

from collections.abc import Callable
from typing import Any, Final

from google.protobuf.message import DecodeError
from tesla_protocol.command.car_server_pb2 import Action, GetVehicleData

from motorcade.wire.tesla_command.asks import (
    Ask,
    Data,
    Deed,
    Deeds,
    Ping,
    UndecodableError,
    Unsupported,
)

_PLACE_DIGITS: Final = 5  # 24 bits hold a longitude to some 15 m: more digits are noise
_DIGITS: Final = 3

Reader = Callable[[Any], list[Deed] | None]
"""One action's message to deeds; `None` for a form that no command of ours has."""


def read_infotainment(payload: bytes) -> Ask:
    """Raises `UndecodableError` unless the payload is an Action that asks something."""
    action = Action()
    try:
        action.ParseFromString(payload)
    except (DecodeError, RecursionError) as error:
        raise UndecodableError("not an Action") from error
    name = action.vehicleAction.WhichOneof("vehicle_action_msg")
    if name is None:
        raise UndecodableError("an Action that asks nothing")
    if name == "ping":
        return Ping(action.vehicleAction.ping.ping_id)
    if name == "getVehicleData":
        return Data(_states(action.vehicleAction.getVehicleData))
    reader = ACTIONS.get(name)
    deeds = None if reader is None else reader(getattr(action.vehicleAction, name))
    if not deeds:
        return Unsupported(name)
    return Deeds(tuple(deeds))


def _states(asked: GetVehicleData) -> tuple[str, ...]:
    """`getChargeState` asks for `charge_state`, and so on."""
    names = []
    for field, _ in asked.ListFields():
        words = "".join(f"_{c.lower()}" if c.isupper() else c for c in field.name)
        names.append(words.removeprefix("get_"))
    return tuple(names)


def _named(name: str) -> Reader:
    """An action without parameters."""
    return lambda _message: [Deed(name, {})]


def _fields(name: str, **members: str) -> Reader:
    """An action whose members are the command's parameters: parameter=member."""
    return lambda message: [Deed(name, _given(message, members))]


def _given(message: Any, members: dict[str, str]) -> dict[str, Any]:
    """The parameters by their members; an empty text is one that was not given."""
    values = {ours: getattr(message, theirs) for ours, theirs in members.items()}
    return {name: value for name, value in values.items() if value != ""}


def _chosen(oneof: str, **names: str) -> Reader:
    """An action that is one of several commands by which member of `oneof` is set."""

    def read(message: Any) -> list[Deed] | None:
        name = names.get(message.WhichOneof(oneof) or "")
        return None if name is None else [Deed(name, {})]

    return read


def _word(name: str, parameter: str, oneof: str, words: tuple[str, ...]) -> Reader:
    """An action whose set member of `oneof` is the parameter's word."""

    def read(message: Any) -> list[Deed] | None:
        word = message.WhichOneof(oneof)
        return [Deed(name, {parameter: word})] if word in words else None

    return read


def _switched(member: str, on: str, off: str, *parameters: str) -> Reader:
    """An action that is one command or another by a flag."""
    return lambda message: [
        Deed(on if getattr(message, member) else off, {p: getattr(message, p) for p in parameters})
    ]


def _temperatures(message: Any) -> list[Deed] | None:
    driver, passenger = message.driver_temp_celsius, message.passenger_temp_celsius
    if not driver and not passenger:
        return None  # steps and zones of older clients
    driver, passenger = driver or passenger, passenger or driver
    parameters = {"driver_temp": round(driver, 1), "passenger_temp": round(passenger, 1)}
    return [Deed("set_temps", parameters)]


_SEATS: Final = (
    *("FRONT_LEFT", "FRONT_RIGHT", "REAR_LEFT", "REAR_LEFT_BACK", "REAR_CENTER", "REAR_RIGHT"),
    *("REAR_RIGHT_BACK", "THIRD_ROW_LEFT", "THIRD_ROW_RIGHT"),
)
_LEVELS: Final = ("OFF", "LOW", "MED", "HIGH")


def _seat_heaters(message: Any) -> list[Deed] | None:
    deeds = []
    for one in message.hvacSeatHeaterAction:
        seat = (one.WhichOneof("seat_position") or "").removeprefix("CAR_SEAT_")
        level = (one.WhichOneof("seat_heater_level") or "").removeprefix("SEAT_HEATER_")
        if seat not in _SEATS or level not in _LEVELS:
            return None
        parameters = {"heater": _SEATS.index(seat), "level": _LEVELS.index(level)}
        deeds.append(Deed("remote_seat_heater_request", parameters))
    return deeds


def _seat_coolers(message: Any) -> list[Deed] | None:
    deeds = []
    for one in message.hvacSeatCoolerAction:
        if not one.seat_position or not one.seat_cooler_level:
            return None
        parameters = {
            "seat_position": int(one.seat_position),
            "seat_cooler_level": int(one.seat_cooler_level) - 1,  # off is 1 there
        }
        deeds.append(Deed("remote_seat_cooler_request", parameters))
    return deeds


def _auto_seats(message: Any) -> list[Deed] | None:
    return [
        Deed(
            "remote_auto_seat_climate_request",
            {"auto_seat_position": int(seat.seat_position), "auto_climate_on": seat.on},
        )
        for seat in message.carseat
    ]


def _volume(message: Any) -> list[Deed] | None:
    if message.WhichOneof("media_volume") == "volume_absolute_float":
        return [Deed("adjust_volume", {"volume": round(message.volume_absolute_float, _DIGITS)})]
    name = "media_volume_up" if message.volume_delta > 0 else "media_volume_down"
    return [Deed(name, {})] * min(abs(message.volume_delta), 11)


def _homelink(message: Any) -> list[Deed] | None:
    parameters = _place(message.location) if message.HasField("location") else {}
    if message.token:
        parameters["token"] = message.token
    return [Deed("trigger_homelink", parameters)]


def _place(message: Any) -> dict[str, Any]:
    return {
        "lat": round(message.latitude, _PLACE_DIGITS),
        "lon": round(message.longitude, _PLACE_DIGITS),
    }


def _departure(message: Any) -> list[Deed] | None:
    preconditioning = message.preconditioning_times.WhichOneof("times")
    off_peak = message.off_peak_charging_times.WhichOneof("times")
    parameters = {
        "enable": message.enabled,
        "departure_time": message.departure_time,
        "preconditioning_enabled": preconditioning is not None,
        "preconditioning_weekdays_only": preconditioning == "weekdays",
        "off_peak_charging_enabled": off_peak is not None,
        "off_peak_charging_weekdays_only": off_peak == "weekdays",
        "end_off_peak_time": message.off_peak_hours_end_time,
    }
    return [Deed("set_scheduled_departure", parameters)]


def _schedule(message: Any, *members: str) -> dict[str, Any]:
    parameters = {name: getattr(message, name) for name in ("days_of_week", "enabled", *members)}
    parameters |= _place(message) | {"one_time": message.one_time}
    parameters |= {"id": message.id} if message.id else {}
    return parameters | ({"name": message.name} if message.name else {})


def _charge_schedule(message: Any) -> list[Deed] | None:
    members = ("start_enabled", "end_enabled", "start_time", "end_time")
    return [Deed("add_charge_schedule", _schedule(message, *members))]


def _precondition_schedule(message: Any) -> list[Deed] | None:
    return [Deed("add_precondition_schedule", _schedule(message, "precondition_time"))]


def _cabin_limit(message: Any) -> list[Deed] | None:
    """1 low, 2 medium, 3 high there; Tesla's own SDK sends 0 for low."""
    return [Deed("set_cop_temp", {"cop_temp": max(int(message.copActivationTemp) - 1, 0)})]


def _wheel_level(message: Any) -> list[Deed] | None:
    level = {1: 0, 2: 1, 3: 3}.get(int(message.stw_heat_level))  # there is no medium
    name = "remote_steering_wheel_heat_level_request"
    return None if level is None else [Deed(name, {"level": level})]


def _keeper(message: Any) -> list[Deed] | None:
    parameters = {
        "climate_keeper_mode": int(message.ClimateKeeperAction),
        "manual_override": message.manual_override,
    }
    return [Deed("set_climate_keeper_mode", parameters)]


def _address(message: Any) -> list[Deed] | None:
    parameters = {
        "type": "share_ext_content_raw",
        "value": message.destination,
        "locale": "en-US",
        "timestamp_ms": 0,
    }
    return [Deed("navigation_request", parameters)]


def _gps(message: Any) -> list[Deed] | None:
    parameters = {"lat": message.lat, "lon": message.lon, "order": int(message.order)}
    return [Deed("navigation_gps_request", parameters)]


def _supercharger(message: Any) -> list[Deed] | None:
    parameters = {"id": message.id, "order": int(message.remote_nav_trip_order)}
    return [Deed("navigation_sc_request", parameters)]


def _parental(message: Any) -> list[Deed] | None:
    parameters = {"setting": int(message.setting), "enable": message.enable}
    return [Deed("parental_controls_enable_setting", parameters)]


_ON_OVERRIDE: Final = {"on": "on", "manual_override": "manual_override"}
_PASSWORD: Final = {"on": "on", "password": "password"}
_PLACES: Final = {"home": "home", "work": "work", "other": "other"}

ACTIONS: Final[dict[str, Reader]] = {
    "chargingSetLimitAction": _fields("set_charge_limit", percent="percent"),
    "chargingStartStopAction": _chosen(
        "charging_action",
        start="charge_start",
        stop="charge_stop",
        start_standard="charge_standard",
        start_max_range="charge_max_range",
    ),
    "setChargingAmpsAction": _fields("set_charging_amps", charging_amps="charging_amps"),
    "scheduledChargingAction": _fields(
        "set_scheduled_charging", enable="enabled", time="charging_time"
    ),
    "scheduledDepartureAction": _departure,
    "addChargeScheduleAction": _charge_schedule,
    "addPreconditionScheduleAction": _precondition_schedule,
    "removeChargeScheduleAction": _fields("remove_charge_schedule", id="id"),
    "removePreconditionScheduleAction": _fields("remove_precondition_schedule", id="id"),
    "batchRemoveChargeSchedulesAction": _fields("batch_remove_charge_schedules", **_PLACES),
    "batchRemovePreconditionSchedulesAction": _fields(
        "batch_remove_precondition_schedules", **_PLACES
    ),
    "chargePortDoorOpen": _named("charge_port_door_open"),
    "chargePortDoorClose": _named("charge_port_door_close"),
    "hvacAutoAction": _switched("power_on", "auto_conditioning_start", "auto_conditioning_stop"),
    "hvacTemperatureAdjustmentAction": _temperatures,
    "hvacSetPreconditioningMaxAction": _fields("set_preconditioning_max", **_ON_OVERRIDE),
    "hvacBioweaponModeAction": _fields("set_bioweapon_mode", **_ON_OVERRIDE),
    "hvacClimateKeeperAction": _keeper,
    "hvacSeatHeaterActions": _seat_heaters,
    "hvacSeatCoolerActions": _seat_coolers,
    "autoSeatClimateAction": _auto_seats,
    "hvacSteeringWheelHeaterAction": _fields("remote_steering_wheel_heater_request", on="power_on"),
    "autoStwHeatAction": _fields("remote_auto_steering_wheel_heat_climate_request", on="on"),
    "stwHeatLevelAction": _wheel_level,
    "setCabinOverheatProtectionAction": _fields(
        "set_cabin_overheat_protection", on="on", fan_only="fan_only"
    ),
    "setCopTempAction": _cabin_limit,
    "mediaPlayAction": _named("media_toggle_playback"),
    "mediaUpdateVolume": _volume,
    "mediaNextFavorite": _named("media_next_fav"),
    "mediaPreviousFavorite": _named("media_prev_fav"),
    "mediaNextTrack": _named("media_next_track"),
    "mediaPreviousTrack": _named("media_prev_track"),
    "navigationRequest": _address,
    "navigationGpsRequest": _gps,
    "navigationGpsDestinationRequest": _gps,
    "navigationSuperchargerRequest": _supercharger,
    "navigationWaypointsRequest": _fields("navigation_waypoints_request", waypoints="waypoints"),
    "remoteStartDrive": _named("remote_start_drive"),
    "vehicleControlFlashLightsAction": _named("flash_lights"),
    "vehicleControlHonkHornAction": _named("honk_horn"),
    "vehicleControlTriggerHomelinkAction": _homelink,
    "vehicleControlSunroofOpenCloseAction": _word(
        "sun_roof_control", "state", "action", ("vent", "close")
    ),
    "vehicleControlWindowAction": _word("window_control", "command", "action", ("vent", "close")),
    "vehicleControlSetSentryModeAction": _fields("set_sentry_mode", on="on"),
    "vehicleControlSetValetModeAction": _fields("set_valet_mode", **_PASSWORD),
    "vehicleControlResetValetPinAction": _named("reset_valet_pin"),
    "vehicleControlSetPinToDriveAction": _fields("set_pin_to_drive", **_PASSWORD),
    "vehicleControlResetPinToDriveAction": _named("reset_pin_to_drive_pin"),
    "vehicleControlResetPinToDriveAdminAction": _named("clear_pin_to_drive_admin"),
    "drivingSpeedLimitAction": _switched(
        "activate", "speed_limit_activate", "speed_limit_deactivate", "pin"
    ),
    "drivingSetSpeedLimitAction": _fields("speed_limit_set_limit", limit_mph="limit_mph"),
    "drivingClearSpeedLimitPinAction": _fields("speed_limit_clear_pin", pin="pin"),
    "drivingClearSpeedLimitPinAdminAction": _named("speed_limit_clear_pin_admin"),
    "parentalControlsAction": _switched(
        "activate", "parental_controls_activate", "parental_controls_deactivate", "pin"
    ),
    "parentalControlsEnableSettingsAction": _parental,
    "parentalControlsSetSpeedLimitAction": _fields(
        "parental_controls_set_speed_limit", limit_mph="limit_mph"
    ),
    "parentalControlsClearPinAdminAction": _named("parental_controls_clear_pin_admin"),
    "guestModeAction": _fields("guest_mode", enable="GuestModeActive"),
    "eraseUserDataAction": _named("erase_user_data"),
    "setVehicleNameAction": _fields("set_vehicle_name", vehicle_name="vehicleName"),
    "vehicleControlScheduleSoftwareUpdateAction": _fields(
        "schedule_software_update", offset_sec="offset_sec"
    ),
    "vehicleControlCancelSoftwareUpdateAction": _named("cancel_software_update"),
    "setLowPowerModeAction": _fields("set_low_power_mode", enable="low_power_mode"),
    "setKeepAccessoryPowerModeAction": _fields(
        "keep_accessory_power_mode", enable="keep_accessory_power_mode"
    ),
    "boomboxAction": _fields("remote_boombox", sound="sound"),
    "takeDrivenoteAction": _fields("take_drivenote", note="note"),
    "uiSetUpcomingCalendarEntries": _fields(
        "upcoming_calendar_entries", calendar_data="calendar_data"
    ),
}
