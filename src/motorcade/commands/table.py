"""The commands, a table: parameters with types and ranges, and the scopes that allow each. No IO.

Scopes follow from what a key would need to sign it: `wire/tesla_command/rights.py`. Names and
parameters are Tesla's (`docs/protocols/commands.md` has the page). A row more makes a
command more: the API checks by this table, and the car has a table of its own for what it does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from motorcade.commands import parameters
from motorcade.commands.errors import UnknownCommandError
from motorcade.commands.parameters import Kind, Parameter
from motorcade.wire.command.limits import (
    CHARGE_LIMIT_PERCENT,
    CHARGING_AMPS_MAX,
    ID_MAX,
    LIMIT_MPH,
    MINUTES_MAX,
    NAME_CHARACTERS_MAX,
    OFFSET_S_MAX,
    TEMPERATURES_DEGC,
)
from motorcade.wire.tesla_command.rights import Right, right_of

Scopes = tuple[str, ...]
COMMANDS_SCOPES: Final[Scopes] = ("vehicle_cmds",)
CHARGING_SCOPES: Final[Scopes] = ("vehicle_cmds", "vehicle_charging_cmds")
WAKE_UP: Final = "wake_up"


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command."""

    name: str
    scopes: Scopes  # any one of them is enough
    parameters: tuple[Parameter, ...] = ()
    owners: bool = False  # no driver's: it does without the PIN that guards a mode
    rest_only: bool = False  # Tesla's signed protocol has no action for it, or its SDK refuses it


def _flag(name: str, *, required: bool = True) -> Parameter:
    return Parameter(name, Kind.BOOLEAN, required)


def _whole(name: str, low: float, high: float, *, required: bool = True) -> Parameter:
    return Parameter(name, Kind.INTEGER, required, low, high)


def _number(name: str, low: float, high: float, *, required: bool = True) -> Parameter:
    return Parameter(name, Kind.NUMBER, required, low, high)


def _text(name: str, characters_max: int, *, required: bool = True, cut: bool = False) -> Parameter:
    return Parameter(name, Kind.TEXT, required, characters_max=characters_max, cut=cut)


def _word(name: str, *words: str) -> Parameter:
    return Parameter(name, Kind.WORD, words=words)


def _pin(name: str, *, required: bool = True) -> Parameter:
    return Parameter(name, Kind.PIN, required, secret=True)


DRIVENOTE_CHARACTERS_MAX: Final = 80  # Tesla cuts there
ORDER: Final = _whole("order", 0, 3, required=False)  # 0 and 1 replace, 2 first, 3 last

_HERE: Final = (_number("lat", -90, 90), _number("lon", -180, 180))  # WGS 84, degrees
_NEAR: Final = (  # where the caller is
    _number("lat", -90, 90, required=False),
    _number("lon", -180, 180, required=False),
)
_DAYS: Final = Parameter("days_of_week", Kind.DAYS)
_ID: Final = _whole("id", 1, ID_MAX)
_ID_MAYBE: Final = _whole("id", 0, ID_MAX, required=False)  # 0, or none: the car draws one
_SCHEDULE_NAME: Final = _text("name", NAME_CHARACTERS_MAX, required=False)
_PLACES: Final = tuple(_flag(name, required=False) for name in ("home", "work", "other"))
_ON: Final = _flag("on")
_OVERRIDE: Final = _flag("manual_override", required=False)


def _minutes(name: str, *, required: bool = False) -> Parameter:
    return _whole(name, 0, MINUTES_MAX, required=required)


def _command(name: str, *row: Parameter, rest_only: bool = False) -> CommandRow:
    scopes = CHARGING_SCOPES if right_of(name) is Right.CHARGE else COMMANDS_SCOPES
    return CommandRow(name, scopes, row, name.endswith("_admin"), rest_only)


_DOORS: Final = (
    _command("door_lock"),
    _command("door_unlock"),
    _command("actuate_trunk", _word("which_trunk", "front", "rear")),
    _command("open_tonneau"),
    _command("close_tonneau"),
    _command("stop_tonneau"),
    _command("window_control", _word("command", "vent", "close"), *_NEAR),
    _command("sun_roof_control", _word("state", "stop", "close", "vent")),
    _command("charge_port_door_open"),
    _command("charge_port_door_close"),
    _command("trigger_homelink", *_NEAR, _text("token", 256, required=False)),
    _command("remote_start_drive"),
    _command("honk_horn"),
    _command("flash_lights"),
    # 0 a random sound, 2000 the one that finds the car.
    _command("remote_boombox", _whole("sound", 0, 2_000)),
    _command(WAKE_UP),
)
_CHARGING: Final = (
    _command("charge_start"),
    _command("charge_stop"),
    _command("charge_standard"),
    _command("charge_max_range"),
    _command("set_charge_limit", _whole("percent", *CHARGE_LIMIT_PERCENT)),
    _command("set_charging_amps", _whole("charging_amps", 0, CHARGING_AMPS_MAX)),
    _command("set_scheduled_charging", _flag("enable"), _minutes("time")),
    _command(
        "set_scheduled_departure",
        _flag("enable"),
        _minutes("departure_time"),
        _flag("preconditioning_enabled", required=False),
        _flag("preconditioning_weekdays_only", required=False),
        _flag("off_peak_charging_enabled", required=False),
        _flag("off_peak_charging_weekdays_only", required=False),
        _minutes("end_off_peak_time"),
    ),
    _command(
        "add_charge_schedule",
        _DAYS,
        _flag("enabled"),
        *_HERE,
        _flag("start_enabled"),
        _flag("end_enabled"),
        _minutes("start_time"),
        _minutes("end_time"),
        _flag("one_time", required=False),
        _ID_MAYBE,
        _SCHEDULE_NAME,
    ),
    _command(
        "add_precondition_schedule",
        _DAYS,
        _flag("enabled"),
        *_HERE,
        _minutes("precondition_time", required=True),
        _flag("one_time", required=False),
        _ID_MAYBE,
        _SCHEDULE_NAME,
    ),
    _command("remove_charge_schedule", _ID),
    _command("remove_precondition_schedule", _ID),
    _command("batch_remove_charge_schedules", *_PLACES),
    _command("batch_remove_precondition_schedules", *_PLACES),
    # Managed charging: Tesla documents no parameters; these names are ours. Absent: no management.
    _command(
        "set_managed_charge_current_request",
        _whole("charging_amps", 0, CHARGING_AMPS_MAX, required=False),
        rest_only=True,
    ),
    _command("set_managed_charger_location", *_NEAR, rest_only=True),
    _command("set_managed_scheduled_charging_time", _minutes("time"), rest_only=True),
)
_CLIMATE: Final = (
    _command("auto_conditioning_start"),
    _command("auto_conditioning_stop"),
    # °C, as Tesla's API takes them whatever the car shows.
    _command(
        "set_temps",
        _number("driver_temp", *TEMPERATURES_DEGC),
        _number("passenger_temp", *TEMPERATURES_DEGC),
    ),
    _command("set_preconditioning_max", _ON, _OVERRIDE),
    # 0 off, 1 keep, 2 dog, 3 camp.
    _command("set_climate_keeper_mode", _whole("climate_keeper_mode", 0, 3), _OVERRIDE),
    _command("set_cabin_overheat_protection", _ON, _flag("fan_only", required=False)),
    _command("set_cop_temp", _whole("cop_temp", 0, 2)),  # 0 low, 1 medium, 2 high
    _command("set_bioweapon_mode", _ON, _OVERRIDE),
    _command(
        "remote_seat_heater_request",
        # 0 driver, 1 passenger, 2 rear left, 4 rear centre, 5 rear right; others by the car.
        Parameter("heater", Kind.INTEGER, low=0, high=8, alternative="seat_position"),
        Parameter("level", Kind.INTEGER, low=0, high=3, alternative="seat_heater_level"),
    ),
    # 1 front left, 2 front right.
    _command(
        "remote_seat_cooler_request",
        _whole("seat_position", 1, 4),
        _whole("seat_cooler_level", 0, 3),
    ),
    _command(
        "remote_auto_seat_climate_request",
        _whole("auto_seat_position", 1, 2),
        _flag("auto_climate_on"),
    ),
    _command("remote_steering_wheel_heater_request", _ON),
    _command("remote_steering_wheel_heat_level_request", _whole("level", 0, 3)),
    _command("remote_auto_steering_wheel_heat_climate_request", _ON),
)
_MEDIA: Final = (
    _command("adjust_volume", _number("volume", 0, 11)),
    _command("media_volume_up"),
    _command("media_volume_down"),
    _command("media_toggle_playback"),
    _command("media_next_fav"),
    _command("media_prev_fav"),
    _command("media_next_track"),
    _command("media_prev_track"),
)
_NAVIGATION: Final = (
    _command(
        "navigation_request",
        _text("type", 64),
        Parameter("value", Kind.TEXT_OR_OBJECT),
        _text("locale", 35),  # RFC 5646 §4.4.1: what software has to take at least
        _whole("timestamp_ms", 0, ID_MAX, required=False),
        rest_only=True,
    ),
    _command("navigation_gps_request", *_HERE, ORDER),
    _command("navigation_sc_request", _whole("id", 0, ID_MAX), ORDER),
    _command("navigation_waypoints_request", Parameter("waypoints", Kind.TEXT_OR_LIST)),
)
_SECURITY: Final = (
    _command("set_sentry_mode", _ON),
    _command("set_valet_mode", _ON, _pin("password", required=False)),
    _command("reset_valet_pin"),
    _command("set_pin_to_drive", _ON, _pin("password", required=False)),
    _command("reset_pin_to_drive_pin"),
    _command("clear_pin_to_drive_admin"),
    _command("speed_limit_activate", _pin("pin")),
    _command("speed_limit_deactivate", _pin("pin")),
    _command("speed_limit_set_limit", _number("limit_mph", *LIMIT_MPH)),
    _command("speed_limit_clear_pin", _pin("pin")),
    _command("speed_limit_clear_pin_admin"),
    _command("parental_controls_activate", _pin("pin")),
    _command("parental_controls_deactivate", _pin("pin")),
    # 0 speed limit, 1 acceleration, 2 safety features, 3 curfew, 4 browser, 5 theatre, 6 arcade.
    _command("parental_controls_enable_setting", _whole("setting", 0, 6), _flag("enable")),
    _command("parental_controls_set_speed_limit", _number("limit_mph", *LIMIT_MPH)),
    _command("parental_controls_clear_pin_admin"),
    _command("guest_mode", _flag("enable")),
    _command("erase_user_data"),
)
_OTHER: Final = (
    _command("set_vehicle_name", _text("vehicle_name", NAME_CHARACTERS_MAX)),
    _command("schedule_software_update", _whole("offset_sec", 0, OFFSET_S_MAX)),
    _command("cancel_software_update"),
    _command("set_low_power_mode", _flag("enable")),
    _command("keep_accessory_power_mode", _flag("enable")),
    _command("take_drivenote", _text("note", DRIVENOTE_CHARACTERS_MAX, cut=True)),
    _command(
        "upcoming_calendar_entries",
        Parameter("calendar_data", Kind.TEXT_OR_OBJECT, characters_max=16_384),
    ),
)

AREAS: Final[dict[str, tuple[CommandRow, ...]]] = {
    "Doors, lights, waking": _DOORS,
    "Charging": _CHARGING,
    "Climate": _CLIMATE,
    "Media": _MEDIA,
    "Navigation": _NAVIGATION,
    "Security": _SECURITY,
    "Other": _OTHER,
}
COMMANDS: Final[dict[str, CommandRow]] = {row.name: row for rows in AREAS.values() for row in rows}


def row_of(name: str) -> CommandRow:
    """The row of a command. Raises `UnknownCommandError`."""
    row = COMMANDS.get(name)
    if row is None:
        raise UnknownCommandError(f"no command {name[:64]!r}; the table is commands/table.py")
    return row


def read_parameters(row: CommandRow, body: Mapping[str, Any]) -> dict[str, Any]:
    """What the car is told. Raises `InvalidParameterError`, naming the parameter."""
    return parameters.read_parameters(row.parameters, body)


def show_parameters(name: str, read: Mapping[str, Any]) -> dict[str, Any]:
    """A command's parameters as timelines show them: PINs are hidden."""
    row = COMMANDS.get(name)  # a command of an earlier release may have no row any more
    return parameters.hide_secrets(row.parameters if row is not None else (), read)
