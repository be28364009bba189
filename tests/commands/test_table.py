"""The table of commands: what it lets through, and what it says of what it does not."""

import math
from typing import Any

import pytest

from motorcade.commands.errors import InvalidParameterError, UnknownCommandError
from motorcade.commands.parameters import OBJECT_BYTES_MAX, Kind
from motorcade.commands.table import COMMANDS, read_parameters, row_of, show_parameters
from motorcade.wire.command.messages import Command
from motorcade.wire.command.signing import DOWN_BYTES_MAX


def read(name: str, **body: Any) -> dict[str, Any]:
    return read_parameters(row_of(name), body)


TESLAS = """
    door_lock door_unlock actuate_trunk open_tonneau close_tonneau stop_tonneau window_control
    sun_roof_control charge_port_door_open charge_port_door_close trigger_homelink
    remote_start_drive honk_horn flash_lights remote_boombox wake_up charge_start charge_stop
    charge_standard charge_max_range set_charge_limit set_charging_amps set_scheduled_charging
    set_scheduled_departure add_charge_schedule add_precondition_schedule remove_charge_schedule
    remove_precondition_schedule batch_remove_charge_schedules batch_remove_precondition_schedules
    set_managed_charge_current_request set_managed_charger_location
    set_managed_scheduled_charging_time auto_conditioning_start auto_conditioning_stop set_temps
    set_preconditioning_max set_climate_keeper_mode set_cabin_overheat_protection set_cop_temp
    set_bioweapon_mode remote_seat_heater_request remote_seat_cooler_request
    remote_auto_seat_climate_request remote_steering_wheel_heater_request
    remote_steering_wheel_heat_level_request remote_auto_steering_wheel_heat_climate_request
    adjust_volume media_volume_up media_volume_down media_toggle_playback media_next_fav
    media_prev_fav media_next_track media_prev_track navigation_request navigation_gps_request
    navigation_sc_request navigation_waypoints_request set_sentry_mode set_valet_mode
    reset_valet_pin set_pin_to_drive reset_pin_to_drive_pin clear_pin_to_drive_admin
    speed_limit_activate speed_limit_deactivate speed_limit_set_limit speed_limit_clear_pin
    speed_limit_clear_pin_admin parental_controls_activate parental_controls_deactivate
    parental_controls_enable_setting parental_controls_set_speed_limit
    parental_controls_clear_pin_admin guest_mode erase_user_data set_vehicle_name
    schedule_software_update cancel_software_update set_low_power_mode keep_accessory_power_mode
    take_drivenote upcoming_calendar_entries
"""
"""The protocol page of the Fleet API, §1.2."""


def test_every_command_of_teslas_is_here_and_no_other() -> None:
    assert set(COMMANDS) == set(TESLAS.split())
    assert all(name == row.name for name, row in COMMANDS.items())


def test_what_only_rest_can_do() -> None:
    assert {name for name, row in COMMANDS.items() if row.rest_only} == {
        *("set_managed_charge_current_request", "set_managed_charger_location"),
        *("set_managed_scheduled_charging_time", "navigation_request"),
    }


def test_charging_commands_are_open_to_the_charging_scope() -> None:
    charging = {name for name, row in COMMANDS.items() if "vehicle_charging_cmds" in row.scopes}
    assert {"charge_start", "set_charge_limit", "add_charge_schedule", "wake_up"} <= charging
    closed = {"door_unlock", "set_temps", "navigation_request", "set_valet_mode", "honk_horn"}
    assert charging.isdisjoint(closed)
    assert all("vehicle_cmds" in row.scopes for row in COMMANDS.values())


def test_what_the_row_does_not_know_is_left_out() -> None:
    assert read("honk_horn", volume=11) == {}
    assert read("set_charge_limit", percent=80, x=[1]) == {"percent": 80}


def test_optional_members_may_be_absent_or_null() -> None:
    assert read("window_control", command="close", lat=None) == {"command": "close"}
    assert read("window_control", command="vent", lat=1.5, lon=2) == {
        "command": "vent",
        "lat": 1.5,
        "lon": 2,
    }


def test_a_whole_number_may_come_as_a_float() -> None:
    parameters = read("set_charge_limit", percent=80.0)
    assert parameters == {"percent": 80}
    assert isinstance(parameters["percent"], int)


@pytest.mark.parametrize(
    ("name", "body", "field"),
    [
        ("set_charge_limit", {}, "percent"),
        ("set_charge_limit", {"percent": None}, "percent"),
        ("set_charge_limit", {"percent": 101}, "percent"),
        ("set_charge_limit", {"percent": 1 << 70}, "percent"),
        ("set_charge_limit", {"percent": "80"}, "percent"),
        ("set_charge_limit", {"percent": False}, "percent"),
        ("set_temps", {"driver_temp": 21}, "passenger_temp"),
        ("set_temps", {"driver_temp": math.nan, "passenger_temp": 21}, "driver_temp"),
        ("set_temps", {"driver_temp": math.inf, "passenger_temp": 21}, "driver_temp"),
        ("actuate_trunk", {"which_trunk": ["front"]}, "which_trunk"),
        ("window_control", {"command": "open"}, "command"),
        ("navigation_gps_request", {"lat": 1, "lon": 181}, "lon"),
    ],
)
def test_what_is_wrong_is_named(name: str, body: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        read(name, **body)
    assert refused.value.field == field
    assert field in str(refused.value)


HEATER = {"heater": 2, "level": 1}


@pytest.mark.parametrize(
    "body",
    [HEATER, {"seat_position": 2, "level": 1}, {"heater": 2, "seat_heater_level": 1}],
)
def test_a_parameter_may_come_under_its_other_name(body: dict[str, Any]) -> None:
    assert read("remote_seat_heater_request", **body) == HEATER


@pytest.mark.parametrize(
    ("days", "bits"),
    [("All", 127), ("weekdays", 62), ("Sunday, SATURDAY", 65), ("Mon,Monday", 2), (21, 21), (0, 0)],
)
def test_days_are_words_or_bits(days: str | int, bits: int) -> None:
    schedule = {"enabled": True, "lat": 1, "lon": 2, "precondition_time": 5}
    assert read("add_precondition_schedule", days_of_week=days, **schedule)["days_of_week"] == bits


def test_what_is_not_of_its_kind_or_too_long_is_named() -> None:
    schedule = {"enabled": True, "lat": 1, "lon": 2, "precondition_time": 5}
    bodies: list[tuple[str, dict[str, Any], str]] = [
        ("set_sentry_mode", {"on": 1}, "on"),
        ("set_sentry_mode", {"on": "true"}, "on"),
        ("set_vehicle_name", {"vehicle_name": "x" * 65}, "vehicle_name"),
        ("set_vehicle_name", {"vehicle_name": "\ud800"}, "vehicle_name"),
        ("set_vehicle_name", {"vehicle_name": 5}, "vehicle_name"),
        ("speed_limit_activate", {"pin": "123"}, "pin"),
        ("speed_limit_activate", {"pin": 1234}, "pin"),
        ("speed_limit_activate", {"pin": "\u0661\u0662\u0663\u0664"}, "pin"),
        ("add_precondition_schedule", schedule | {"days_of_week": "Someday"}, "days_of_week"),
        ("add_precondition_schedule", schedule | {"days_of_week": 128}, "days_of_week"),
        ("add_precondition_schedule", schedule | {"days_of_week": True}, "days_of_week"),
        ("navigation_waypoints_request", {"waypoints": [1]}, "waypoints"),
        ("navigation_waypoints_request", {"waypoints": ["x"] * 65}, "waypoints"),
        ("navigation_waypoints_request", {"waypoints": ["x" * 1000] * 64}, "waypoints"),
        ("upcoming_calendar_entries", {"calendar_data": []}, "calendar_data"),
        ("upcoming_calendar_entries", {"calendar_data": {"x": "y" * 17_000}}, "calendar_data"),
        ("upcoming_calendar_entries", {"calendar_data": {"x": "\ud800"}}, "calendar_data"),
    ]
    for name, body, field in bodies:
        with pytest.raises(InvalidParameterError) as refused:
            read(name, **body)
        assert refused.value.field == field, name


def test_a_long_note_is_cut_as_tesla_does() -> None:
    assert read("take_drivenote", note="x" * 200) == {"note": "x" * 80}


def test_a_shared_place_may_be_a_text_or_an_object() -> None:
    common = {"type": "share_ext_content_raw", "locale": "en-US", "timestamp_ms": 1}
    for value in ("Berlin", {"android.intent.extra.TEXT": "Berlin"}):
        assert read("navigation_request", value=value, **common)["value"] == value


def test_timelines_show_no_pin() -> None:
    sent = {"on": True, "password": "1234"}
    assert show_parameters("set_valet_mode", sent) == {"on": True, "password": "****"}
    assert show_parameters("of an earlier release", {"x": 1}) == {"x": 1}
    pins = [p.name for row in COMMANDS.values() for p in row.parameters if p.kind is Kind.PIN]
    secret = [p.name for row in COMMANDS.values() for p in row.parameters if p.secret]
    assert pins == secret


def test_whatever_is_let_through_fits_into_a_message() -> None:
    for row in COMMANDS.values():
        longest = sum(
            {Kind.TEXT: parameter.characters_max * 12}.get(parameter.kind, OBJECT_BYTES_MAX)
            for parameter in row.parameters
            if parameter.kind in (Kind.TEXT, Kind.TEXT_OR_LIST, Kind.TEXT_OR_OBJECT)
        )
        assert longest < DOWN_BYTES_MAX / 2, row.name


def test_unknown_commands() -> None:
    with pytest.raises(UnknownCommandError):
        row_of("self_destruct")


def test_names_fit_the_wire() -> None:
    assert all(len(name) <= 64 for name in COMMANDS)
    assert "name" in Command.__struct_fields__
