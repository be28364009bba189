"""What each command needs, a table for both ends: the cloud's scopes and the car's roles. No IO.

`commands/table.py` takes a command's scopes from here, the car what a key's role must allow. A
command without a row is for owners and fleet managers: nobody gets more by being forgotten.
"""

from enum import Enum
from typing import Final


class Right(Enum):
    """What a key's role, or a token's scopes, must allow."""

    PUBLIC = "public"  # what the car tells whoever can reach it
    READ = "read"  # vehicle data without its place
    LOCATE = "locate"  # where the car is
    CHARGE = "charge"
    CONTROL = "control"
    ACCESS = "access"  # PINs, limits and other people's modes
    KEYS = "keys"  # the key list


COMMAND_RIGHTS: Final[dict[Right, tuple[str, ...]]] = {
    Right.CHARGE: (
        *("charge_start", "charge_stop", "charge_standard", "charge_max_range"),
        *("set_charge_limit", "set_charging_amps", "charge_port_door_open"),
        *("charge_port_door_close", "set_scheduled_charging", "set_scheduled_departure"),
        *("add_charge_schedule", "add_precondition_schedule", "remove_charge_schedule"),
        *("remove_precondition_schedule", "batch_remove_charge_schedules"),
        *("batch_remove_precondition_schedules", "set_managed_charge_current_request"),
        *("set_managed_charger_location", "set_managed_scheduled_charging_time", "wake_up"),
    ),
    Right.CONTROL: (
        *("door_lock", "door_unlock", "actuate_trunk", "open_tonneau", "close_tonneau"),
        *("stop_tonneau", "window_control", "sun_roof_control", "trigger_homelink"),
        *("remote_start_drive", "honk_horn", "flash_lights", "remote_boombox"),
        *("auto_conditioning_start", "auto_conditioning_stop", "set_temps"),
        *("set_preconditioning_max", "set_climate_keeper_mode", "set_cabin_overheat_protection"),
        *("set_cop_temp", "set_bioweapon_mode", "remote_seat_heater_request"),
        *("remote_seat_cooler_request", "remote_auto_seat_climate_request"),
        *("remote_steering_wheel_heater_request", "remote_steering_wheel_heat_level_request"),
        *("remote_auto_steering_wheel_heat_climate_request", "adjust_volume", "media_volume_up"),
        *("media_volume_down", "media_toggle_playback", "media_next_fav", "media_prev_fav"),
        *("media_next_track", "media_prev_track", "navigation_request", "navigation_gps_request"),
        *("navigation_sc_request", "navigation_waypoints_request", "set_sentry_mode"),
        *("set_vehicle_name", "schedule_software_update", "cancel_software_update"),
        *("set_low_power_mode", "keep_accessory_power_mode", "take_drivenote"),
        *("upcoming_calendar_entries",),
    ),
    Right.ACCESS: (
        *("set_valet_mode", "reset_valet_pin", "set_pin_to_drive", "reset_pin_to_drive_pin"),
        *("clear_pin_to_drive_admin", "speed_limit_activate", "speed_limit_deactivate"),
        *("speed_limit_set_limit", "speed_limit_clear_pin", "speed_limit_clear_pin_admin"),
        *("parental_controls_activate", "parental_controls_deactivate"),
        *("parental_controls_enable_setting", "parental_controls_set_speed_limit"),
        *("parental_controls_clear_pin_admin", "guest_mode", "erase_user_data"),
    ),
}
_RIGHT_OF: Final = {name: right for right, names in COMMAND_RIGHTS.items() for name in names}


def right_of(name: str) -> Right:
    """What a command needs."""
    return _RIGHT_OF.get(name, Right.ACCESS)
