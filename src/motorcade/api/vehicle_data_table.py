"""Which signal fills which member of `vehicle_data`, a table, with the way to Tesla's unit. No IO.

Signals are stored in SI units (`signals/signal.py`); Fleet API clients expect miles, mph, bar, kW
and hours. A row with several signals takes the first that has a value. Members whose signal is of
privacy class `location` stand in a section of their own and are shown with `vehicle_location` only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeGuard

from motorcade.signals.catalogue import BY_NAME
from motorcade.signals.signal import BAR, HOUR, KILO, KWH, MILE, MINUTE, MPH

Value = float | str | bool | None
Shown = float | int | str | bool | None
Way = Callable[[str, Value], Shown]


def same(signal: str, value: Value) -> Shown:
    """As it is stored."""
    return value


def scaled(unit: float, digits: int) -> Way:
    """In another unit, rounded as clients are used to."""

    def way(signal: str, value: Value) -> Shown:
        return round(value / unit, digits) if _is_number(value) else None

    return way


def whole(unit: float = 1.0) -> Way:
    """In another unit, as an integer."""

    def way(signal: str, value: Value) -> Shown:
        return round(value / unit) if _is_number(value) else None

    return way


def flag(signal: str, value: Value) -> Shown:
    """True or false."""
    return bool(value) if isinstance(value, bool | int | float) else None


def opened(signal: str, value: Value) -> Shown:
    """0 closed, 1 open, as Tesla's door members are."""
    return int(bool(value)) if isinstance(value, bool | int | float) else None


def word(signal: str, value: Value) -> Shown:
    """An enum's short name, however it is stored."""
    enum = BY_NAME[signal].enum
    if enum is None or value is None:
        return value
    if isinstance(value, str):
        value = enum.numbers.get(value, -1)
    return enum.short_name(value)


def below_telemetry(signal: str, value: Value) -> Shown:
    """An enum as the older number of `vehicle_data`: one less than Fleet Telemetry's, which has
    put an "unknown" before."""
    enum = BY_NAME[signal].enum
    if enum is None or value is None:
        return None
    number = enum.numbers.get(value, 0) if isinstance(value, str) else round(value)
    return number - 1 if number > 0 else None


def not_off(signal: str, value: Value) -> Shown:
    """Whether an enum or switch is at anything but off."""
    if isinstance(value, bool) or value is None:
        return value
    return word(signal, value) not in ("Off", "Unknown", "Idle", None)


def window(signal: str, value: Value) -> Shown:
    """0 closed, 1 vented, 2 open, from Tesla's enum or our per cent."""
    named = word(signal, value)
    if isinstance(named, str):
        return {"Closed": 0, "PartiallyOpen": 1, "Opened": 2}.get(named)
    if not _is_number(value):
        return None
    return 0 if value == 0 else 2 if value >= 90 else 1


def milliseconds(signal: str, value: Value) -> Shown:
    """Seconds, or an instant in s since 1970, as whole ms."""
    return round(value * 1e3) if _is_number(value) else None


def unset(signal: str, value: Value) -> Shown:
    """Whether something still has to be set."""
    return not value if isinstance(value, bool | int | float) else None


def keeper(signal: str, value: Value) -> Shown:
    """What keeps the climate on, as `vehicle_data` says it."""
    named = word(signal, value)
    return {"Party": "camp"}.get(named, named.lower()) if isinstance(named, str) else named


def _is_number(value: Value) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


MILES: Final = scaled(MILE, 2)
MILES_PER_HOUR: Final = scaled(MPH, 1)
CELSIUS: Final = scaled(1.0, 1)
BARS: Final = scaled(BAR, 3)
HOURS: Final = scaled(HOUR, 2)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a section."""

    name: str  # "group.name": a member of an object within the section
    way: Way
    signals: tuple[str, ...]


def row(name: str, way: Way, *signals: str) -> Member:
    return Member(name, way, signals or (name,))


_CLOSURES: Final = (
    row("df", opened, "door_driver_front_open"),
    row("dr", opened, "door_driver_rear_open"),
    row("pf", opened, "door_passenger_front_open"),
    row("pr", opened, "door_passenger_rear_open"),
    row("ft", opened, "trunk_front_open"),
    row("rt", opened, "trunk_rear_open"),
    row("fd_window", window, "fd_window", "window_driver_front_open"),
    row("rd_window", window, "rd_window", "window_driver_rear_open"),
    row("fp_window", window, "fp_window", "window_passenger_front_open"),
    row("rp_window", window, "rp_window", "window_passenger_rear_open"),
    row("locked", flag),
    row("sun_roof_percent_open", whole(), "sun_roof_open"),
    row("sun_roof_state", same),
    row("tonneau_percent_open", whole(), "tonneau_open_percent"),
    row("tonneau_state", word, "tonneau_position"),
)

LOCATION_MEMBERS: Final = (
    row("latitude", same),
    row("longitude", same),
    row("heading", whole(), "gps_heading"),
    row("active_route_destination", same, "destination_name", "navigation_destination"),
    row("active_route_latitude", same, "destination_latitude"),
    row("active_route_longitude", same, "destination_longitude"),
    row("active_route_miles_to_arrival", MILES, "distance_to_arrival"),
    row("active_route_minutes_to_arrival", scaled(MINUTE, 2), "time_to_arrival"),
    row("active_route_traffic_minutes_delay", scaled(MINUTE, 2), "route_traffic_delay"),
    row("active_route_energy_at_arrival", whole(), "expected_energy_percent_at_trip_arrival"),
)
"""Shown in `location_data`, and in `drive_state` where both were asked for, as Tesla does."""

SECTIONS: Final[dict[str, tuple[Member, ...]]] = {
    "charge_state": (
        row("battery_heater_on", flag),
        row("battery_level", whole(), "battery_level", "soc"),
        row("battery_range", MILES, "rated_range", "est_battery_range"),
        row("charge_amps", whole()),
        row("charge_current_request", whole()),
        row("charge_current_request_max", whole()),
        row("charge_enable_request", flag),
        row("charge_energy_added", scaled(KWH, 2)),
        row("charge_limit_soc", whole()),
        row("charge_limit_soc_max", whole()),
        row("charge_limit_soc_min", whole()),
        row("charge_limit_soc_std", whole(), "charge_limit_soc_standard"),
        row("charge_port_cold_weather_mode", flag),
        row("charge_port_door_open", flag),
        row("charge_port_latch", word),
        row("charge_rate", MILES_PER_HOUR),
        row("charger_actual_current", whole(), "charge_current", "charge_amps"),
        row("charger_phases", whole()),
        row("charger_power", whole(KILO), "ac_charging_power", "dc_charging_power"),
        row("charger_voltage", whole()),
        row("charging_state", word, "detailed_charge_state", "charge_state"),
        row("conn_charge_cable", word, "charging_cable_type"),
        row("est_battery_range", MILES),
        row("fast_charger_present", flag),
        row("fast_charger_type", word),
        row("ideal_battery_range", MILES),
        row("managed_charging_active", flag),
        row("minutes_to_full_charge", whole(MINUTE), "time_to_full_charge"),
        row("not_enough_power_to_heat", flag),
        row("off_peak_charging_enabled", flag, "off_peak_charging"),
        row("off_peak_hours_end_time", whole(), "off_peak_end_minute"),
        row("preconditioning_enabled", flag, "departure_preconditioning"),
        row("scheduled_charging_mode", word),
        row("scheduled_charging_pending", flag),
        row("scheduled_charging_start_time", whole()),
        row("scheduled_departure_time", whole()),
        row("time_to_full_charge", HOURS),
        row("usable_battery_level", whole(), "soc", "battery_level"),
    ),
    "climate_state": (
        row("auto_seat_climate_left", flag),
        row("auto_seat_climate_right", flag),
        row("auto_steering_wheel_heat", flag, "hvac_steering_wheel_heat_auto"),
        row("bioweapon_mode", flag),
        row("cabin_overheat_protection", word, "cabin_overheat_protection_mode"),
        row("cabin_overheat_protection_actively_cooling", flag, "cabin_overheat_active"),
        row("climate_keeper_mode", keeper),
        row("cop_activation_temperature", word, "cabin_overheat_protection_temperature_limit"),
        row("defrost_mode", below_telemetry),
        row("driver_temp_setting", CELSIUS, "hvac_left_temperature_request"),
        row("fan_status", whole(), "hvac_fan_status"),
        row("hvac_auto_request", word, "hvac_auto_mode"),
        row("inside_temp", CELSIUS),
        row("is_auto_conditioning_on", flag, "climate_on"),
        row("is_climate_on", not_off, "hvac_power", "climate_on"),
        row("is_front_defroster_on", not_off, "defrost_mode"),
        row("is_preconditioning", flag, "preconditioning_enabled"),
        row("is_rear_defroster_on", flag, "rear_defrost_enabled"),
        row("max_avail_temp", CELSIUS, "hvac_temperature_max"),
        row("min_avail_temp", CELSIUS, "hvac_temperature_min"),
        row("outside_temp", CELSIUS),
        row("passenger_temp_setting", CELSIUS, "hvac_right_temperature_request"),
        row("remote_heater_control_enabled", flag, "remote_comfort_enabled"),
        row("seat_fan_front_left", whole(), "climate_seat_cooling_front_left"),
        row("seat_fan_front_right", whole(), "climate_seat_cooling_front_right"),
        row("seat_heater_left", whole()),
        row("seat_heater_rear_center", whole()),
        row("seat_heater_rear_left", whole()),
        row("seat_heater_rear_right", whole()),
        row("seat_heater_right", whole()),
        row("steering_wheel_heater", flag, "hvac_steering_wheel_heat_level"),
        row("steering_wheel_heat_level", whole(), "hvac_steering_wheel_heat_level"),
        row("wiper_blade_heater", flag, "wiper_heat_enabled"),
    ),
    "closures_state": _CLOSURES,
    "drive_state": (
        row("power", whole(KILO), "drive_power"),
        row("shift_state", word, "gear"),
        row("speed", whole(MPH), "vehicle_speed"),
    ),
    "gui_settings": (
        row("gui_24_hour_time", flag, "setting_24_hour_time"),
        row("gui_charge_rate_units", word, "setting_charge_unit"),
        row("gui_distance_units", word, "setting_distance_unit"),
        row("gui_temperature_units", word, "setting_temperature_unit"),
        row("gui_tirepressure_units", word, "setting_tire_pressure_unit"),
    ),
    "vehicle_config": (
        row("car_type", word),
        row("charge_port_type", word, "charge_port"),
        row("efficiency_package", same),
        row("eu_vehicle", flag, "europe_vehicle"),
        row("exterior_color", same),
        row("has_seat_cooling", flag, "seat_cooling_installed"),
        row("rhd", flag, "right_hand_drive"),
        row("roof_color", same),
        row("sun_roof_installed", word, "sunroof_installed"),
        row("trim_badging", same, "trim"),
        row("wheel_type", same),
    ),
    "vehicle_state": (
        *_CLOSURES,
        row("car_version", same, "version"),
        row("center_display_state", below_telemetry, "center_display"),
        row("guest_mode", flag, "guest_mode_enabled"),
        row("homelink_device_count", whole()),
        row("is_user_present", flag, "driver_seat_occupied"),
        row("keep_accessory_power_mode", flag, "accessory_power_mode"),
        row("low_power_mode", flag),
        row("media_info.audio_volume", same, "media_audio_volume"),
        row("media_info.audio_volume_increment", same, "media_audio_volume_increment"),
        row("media_info.audio_volume_max", same, "media_audio_volume_max"),
        row("media_info.media_playback_status", word, "media_playback_status"),
        row("media_info.now_playing_album", same, "media_now_playing_album"),
        row("media_info.now_playing_artist", same, "media_now_playing_artist"),
        row("media_info.now_playing_duration", milliseconds, "media_now_playing_duration"),
        row("media_info.now_playing_elapsed", milliseconds, "media_now_playing_elapsed"),
        row("media_info.now_playing_source", same, "media_playback_source"),
        row("media_info.now_playing_station", same, "media_now_playing_station"),
        row("media_info.now_playing_title", same, "media_now_playing_title"),
        row("media_state.remote_control_enabled", flag, "driver_seat_occupied"),
        row("odometer", MILES),
        row("parental_controls.active", flag, "parental_controls_active"),
        row("parental_controls.pin_set", flag, "parental_controls_pin_set"),
        row("parental_controls.settings", same, "parental_controls_settings"),
        row("parental_controls.speed_limit_mph", MILES_PER_HOUR, "parental_controls_limit"),
        row("pin_to_drive_enabled", flag),
        row("remote_start", flag, "remote_start_active"),
        row("remote_start_enabled", flag),
        row("sentry_mode", not_off),
        row("service_mode", flag),
        row("software_update.download_perc", whole(), "software_update_download_percent_complete"),
        row("software_update.expected_duration_sec", whole(), "software_update_expected_duration"),
        row(
            "software_update.install_perc",
            whole(),
            "software_update_installation_percent_complete",
        ),
        row(
            "software_update.scheduled_time_ms",
            milliseconds,
            "software_update_scheduled_start_time",
        ),
        row("software_update.status", same, "software_update_status"),
        row("software_update.version", same, "software_update_version"),
        row("speed_limit_mode.active", flag, "speed_limit_mode"),
        row("speed_limit_mode.current_limit_mph", MILES_PER_HOUR, "current_limit"),
        row("speed_limit_mode.pin_code_set", flag, "speed_limit_pin_set"),
        row("tpms_pressure_fl", BARS),
        row("tpms_pressure_fr", BARS),
        row("tpms_pressure_rl", BARS),
        row("tpms_pressure_rr", BARS),
        row("tpms_soft_warning_fl", flag, "tpms_soft_warning_front_left"),
        row("tpms_soft_warning_fr", flag, "tpms_soft_warning_front_right"),
        row("tpms_soft_warning_rl", flag, "tpms_soft_warning_rear_left"),
        row("tpms_soft_warning_rr", flag, "tpms_soft_warning_rear_right"),
        row("valet_mode", flag, "valet_mode_enabled"),
        row("valet_pin_needed", unset, "valet_pin_set"),
        row("vehicle_name", same),
    ),
}
