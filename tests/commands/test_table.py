"""The table of commands: what it lets through, and what it says of what it does not."""

import math
from typing import Any

import pytest

from motorcade.commands.errors import InvalidParameterError, UnknownCommandError
from motorcade.commands.table import COMMANDS, read_parameters, row_of
from motorcade.wire.command.messages import Command


def read(name: str, **body: Any) -> dict[str, Any]:
    return read_parameters(row_of(name), body)


def test_the_commands_of_the_first_release() -> None:
    assert set(COMMANDS) == {
        *("door_lock", "door_unlock", "honk_horn", "flash_lights", "charge_start", "charge_stop"),
        *("set_charge_limit", "auto_conditioning_start", "auto_conditioning_stop", "set_temps"),
        *("actuate_trunk", "window_control", "navigation_gps_request"),
    }
    assert all(name == row.name for name, row in COMMANDS.items())


def test_charging_commands_are_open_to_the_charging_scope() -> None:
    charging = {name for name, row in COMMANDS.items() if "vehicle_charging_cmds" in row.scopes}
    assert charging == {"charge_start", "charge_stop", "set_charge_limit"}
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


def test_unknown_commands() -> None:
    with pytest.raises(UnknownCommandError):
        row_of("self_destruct")


def test_names_fit_the_wire() -> None:
    assert all(len(name) <= 64 for name in COMMANDS)
    assert "name" in Command.__struct_fields__
