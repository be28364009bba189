"""`vehicle_data` from what a simulated car says: each command's effect, and nothing made up."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from motorcade.api.errors import ApiError
from motorcade.api.vehicle_data import build_sections, read_endpoints
from motorcade.api.vehicle_data_table import LOCATION_MEMBERS, SECTIONS
from motorcade.state.port import SignalValue, VehicleState
from motorcade.vehicle import charging
from motorcade.vehicle.model import Car
from motorcade.vehicle.sensors import signals_of
from tests.api.standins import TOKENS, VINS, Platform, bearer, running
from tests.vehicle.actions.cars import (
    EVERYTHING,
    Change,
    do,
    driving_car,
    nothing,
    plugged_car,
    put,
    staying_car,
)
from tests.vehicle.actions.test_charging import DEPARTURE, PRECONDITION, SCHEDULE

TIME_US = 1_700_000_000_500_000
EVERYWHERE = "vehicle_data_combo;location_data"
WARM = put("body.climate_on", True)


def shown(car: Car, endpoints: str = EVERYWHERE, *, located: bool = True) -> dict[str, Any]:
    signals = {name: SignalValue(value, TIME_US, "") for name, value in signals_of(car).items()}
    state = VehicleState(signals, True, 5)
    return build_sections(state, read_endpoints(endpoints), located=located)


def look(data: dict[str, Any], path: str) -> Any:
    found: Any = data
    for step in path.split("."):
        found = found[step]
    return found


Row = tuple[str, dict[str, Any], Change, str, Any]
ROWS: list[Row] = [
    ("door_unlock", {}, nothing, "vehicle_state.locked", False),
    ("window_control", {"command": "vent"}, nothing, "closures_state.fd_window", 1),
    ("charge_port_door_open", {}, nothing, "charge_state.charge_port_door_open", True),
    ("remote_start_drive", {}, nothing, "vehicle_state.remote_start", True),
    ("set_charge_limit", {"percent": 70}, nothing, "charge_state.charge_limit_soc", 70),
    ("set_charging_amps", {"charging_amps": 8}, nothing, "charge_state.charge_current_request", 8),
    (
        "set_scheduled_charging",
        {"enable": True, "time": 60},
        nothing,
        "charge_state.scheduled_charging_mode",
        "StartAt",
    ),
    (
        "set_scheduled_departure",
        DEPARTURE,
        nothing,
        "charge_state.scheduled_charging_mode",
        "DepartBy",
    ),
    ("set_scheduled_departure", DEPARTURE, nothing, "charge_state.off_peak_hours_end_time", 360),
    ("auto_conditioning_start", {}, nothing, "climate_state.is_climate_on", True),
    ("set_preconditioning_max", {"on": True}, nothing, "climate_state.defrost_mode", 2),
    (
        "set_climate_keeper_mode",
        {"climate_keeper_mode": 3},
        nothing,
        "climate_state.climate_keeper_mode",
        "camp",
    ),
    (
        "set_cabin_overheat_protection",
        {"on": False},
        nothing,
        "climate_state.cabin_overheat_protection",
        "Off",
    ),
    ("set_cop_temp", {"cop_temp": 0}, nothing, "climate_state.cop_activation_temperature", "Low"),
    ("set_bioweapon_mode", {"on": True}, nothing, "climate_state.bioweapon_mode", True),
    (
        "remote_seat_heater_request",
        {"heater": 0, "level": 2},
        WARM,
        "climate_state.seat_heater_left",
        2,
    ),
    (
        "remote_seat_cooler_request",
        {"seat_position": 1, "seat_cooler_level": 3},
        WARM,
        "climate_state.seat_fan_front_left",
        3,
    ),
    (
        "remote_steering_wheel_heater_request",
        {"on": True},
        WARM,
        "climate_state.steering_wheel_heater",
        True,
    ),
    (
        "navigation_gps_request",
        {"lat": 48.1, "lon": 11.5},
        nothing,
        "drive_state.active_route_latitude",
        48.1,
    ),
    ("set_sentry_mode", {"on": True}, nothing, "vehicle_state.sentry_mode", True),
    (
        "set_valet_mode",
        {"on": True, "password": "1234"},
        nothing,
        "vehicle_state.valet_mode",
        True,
    ),
    (
        "set_valet_mode",
        {"on": True, "password": "1234"},
        nothing,
        "vehicle_state.valet_pin_needed",
        False,
    ),
    (
        "speed_limit_activate",
        {"pin": "1234"},
        nothing,
        "vehicle_state.speed_limit_mode.active",
        True,
    ),
    (
        "speed_limit_set_limit",
        {"limit_mph": 55},
        nothing,
        "vehicle_state.speed_limit_mode.current_limit_mph",
        55.0,
    ),
    (
        "parental_controls_activate",
        {"pin": "1234"},
        nothing,
        "vehicle_state.parental_controls.active",
        True,
    ),
    ("guest_mode", {"enable": True}, nothing, "vehicle_state.guest_mode", True),
    ("set_vehicle_name", {"vehicle_name": "Ada"}, nothing, "vehicle_state.vehicle_name", "Ada"),
    (
        "schedule_software_update",
        {"offset_sec": 60},
        nothing,
        "vehicle_state.software_update.status",
        "scheduled",
    ),
    ("set_low_power_mode", {"enable": True}, nothing, "vehicle_state.low_power_mode", True),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row[0]} {row[3]}" for row in ROWS])
def test_what_a_command_does_shows(row: Row) -> None:
    name, parameters, prepare, path, then = row
    car = staying_car()
    prepare(car)
    assert look(shown(car), path) != then, "the row would hold without the command"
    do(car, name, **parameters)
    assert look(shown(car), path) == then


def test_what_goes_on_shows_in_teslas_units() -> None:
    car = plugged_car(charging.Charge.CHARGING)
    charge = shown(car)["charge_state"]
    assert (charge["charger_power"], charge["charger_voltage"]) == (11, 230)
    assert (charge["charger_actual_current"], charge["charger_phases"]) == (16.0, 3)
    hours = charging.seconds_to_full(car) / 3_600
    assert charge["time_to_full_charge"] == pytest.approx(hours, abs=0.01)
    assert charge["minutes_to_full_charge"] == round(hours * 60)
    car.advance(3_600.0)
    added_kwh = shown(car)["charge_state"]["charge_energy_added"]
    assert added_kwh == pytest.approx(11.04 * charging.CHARGING, abs=0.01)


def test_the_music_shows_while_somebody_hears_it() -> None:
    car = driving_car()
    do(car, "adjust_volume", volume=7)
    heard = shown(car)["vehicle_state"]["media_info"]
    assert (heard["audio_volume"], heard["media_playback_status"]) == (7.0, "Playing")
    assert heard["now_playing_duration"] == 214_000
    assert shown(staying_car())["vehicle_state"]["media_info"]["media_playback_status"] == "Stopped"


def test_schedules_show_and_their_places_only_with_the_location() -> None:
    car = staying_car()
    do(car, "add_charge_schedule", **SCHEDULE | {"name": "Nächte"})
    do(car, "add_precondition_schedule", **PRECONDITION)
    told = shown(car)
    assert told["charge_schedule_data"]["charge_schedules"] == [
        {
            "id": 7,
            "name": "Nächte",
            "days_of_week": 127,
            "enabled": True,
            "one_time": False,
            "start_enabled": True,
            "start_time": 60,
            "end_enabled": False,
            "end_time": 0,
            "latitude": 52.0,
            "longitude": 13.0,
        }
    ]
    (schedule,) = told["preconditioning_schedule_data"]["precondition_schedules"]
    assert (schedule["precondition_time"], schedule["latitude"]) == (420, 52.0)
    hidden = shown(car, located=False)
    assert "latitude" not in hidden["charge_schedule_data"]["charge_schedules"][0]
    assert "longitude" not in hidden["preconditioning_schedule_data"]["precondition_schedules"][0]
    do(car, "remove_charge_schedule", id=7)
    assert shown(car)["charge_schedule_data"]["charge_schedules"] == []


@pytest.mark.parametrize("junk", ["{", "[]", "5", 7.0, "\x00" * 9])
def test_what_is_no_schedule_is_not_shown(junk: Any) -> None:
    signals = {
        "charge_schedule_0": SignalValue(junk, TIME_US, ""),
        "charge_schedule_1": SignalValue('{"id":1}', TIME_US, ""),
        "charge_schedule_1_place": SignalValue("nowhere", TIME_US, ""),
    }
    sections = build_sections(
        VehicleState(signals, True, 5), frozenset({"charge_schedule_data"}), located=True
    )
    assert sections["charge_schedule_data"]["charge_schedules"] == [{"id": 1}]


def test_a_schedule_s_members_of_its_place_are_for_holders_of_the_location() -> None:
    text = '{"id":1,"latitude":52.5,"longitude":13.4,"address":"Home Street 1"}'
    state = VehicleState({"charge_schedule_0": SignalValue(text, TIME_US, "")}, True, 5)
    for located, members in ((True, {"id", "latitude", "longitude", "address"}), (False, {"id"})):
        data = build_sections(state, frozenset({"charge_schedule_data"}), located=located)
        assert data["charge_schedule_data"]["charge_schedules"][0].keys() == members


def test_the_combination_is_everything_but_the_location() -> None:
    data = shown(staying_car(), "vehicle_data_combo")
    schedules = {"charge_schedule_data", "preconditioning_schedule_data"}
    assert set(data) == set(SECTIONS) | schedules
    assert "latitude" not in data["drive_state"]
    with pytest.raises(ApiError):
        read_endpoints("charge_state;everything")


def test_a_car_fills_nearly_every_member() -> None:
    """What stays empty is what our cars do not have; a new member must be filled or named here."""
    car = Car(1, equipment=EVERYTHING)
    do(car, "navigation_gps_request", lat=48.1, lon=11.5)
    do(car, "set_scheduled_departure", **DEPARTURE)
    do(car, "schedule_software_update", offset_sec=60)
    car.body.charge = charging.Charge.CHARGING
    data = shown(car)
    empty = {
        f"{section}.{member.name}"
        for section, members in (SECTIONS | {"location_data": LOCATION_MEMBERS}).items()
        for member in members
        if look(data[section], member.name) is None
    }
    assert empty == {
        *("charge_state.battery_heater_on", "charge_state.charge_port_cold_weather_mode"),
        *("charge_state.fast_charger_type", "charge_state.not_enough_power_to_heat"),
        *("vehicle_config.efficiency_package", "vehicle_config.roof_color"),
        *("vehicle_state.center_display_state", "vehicle_state.service_mode"),
        *(f"vehicle_state.tpms_pressure_{wheel}" for wheel in ("fl", "fr", "rl", "rr")),
        *(f"vehicle_state.tpms_soft_warning_{wheel}" for wheel in ("fl", "fr", "rl", "rr")),
        "location_data.active_route_traffic_minutes_delay",
    }


PATH = f"/api/1/vehicles/{VINS[0]}/vehicle_data"
PLACED = {"endpoints": "drive_state;charge_state;location_data"}


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running(tmp_path, "rates.data_per_minute=100") as platform:
        platform.live.change(TOKENS[0], soc=50.0, latitude=52.5, longitude=13.4)
        yield platform


def ask(platform: Platform, *scopes: str, subject: str = "owner") -> httpx.Response:
    headers = bearer(subject, *(scopes or ("vehicle_device_data", "vehicle_location")))
    return httpx.get(platform.url + PATH, params=PLACED, headers=headers)


def test_what_was_made_for_one_is_not_told_to_another(platform: Platform) -> None:
    """An answer is kept while nothing is new, and asked for by those who may see less."""
    platform.registry.sharing.redeem(platform.registry.sharing.invite(1_000, "owner").code, "bob")
    for _ in range(3):
        told = ask(platform).json()["response"]
        assert (told["access_type"], told["drive_state"]["latitude"]) == ("OWNER", 52.5)
        told = ask(platform, "vehicle_device_data").json()["response"]
        assert "latitude" not in told["drive_state"]
        assert "location_data" not in told
        assert ask(platform, subject="bob").json()["response"]["access_type"] == "DRIVER"
        assert ask(platform, "vehicle_cmds").status_code == 403
        assert ask(platform, subject="mallory").status_code == 404
        assert ask(platform, "x:expired").status_code == 401


def test_an_answer_is_as_new_as_the_state_and_counted_like_any(platform: Platform) -> None:
    left, began_s = [], time.monotonic()
    for soc in (50.0, 50.0, 51.0, 51.0, 49.0):
        platform.live.change(TOKENS[0], soc=soc)
        answer = ask(platform)
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["response"]["charge_state"]["battery_level"] == int(soc)
        left.append(int(answer.headers["ratelimit-remaining"]))
    refilled = int((time.monotonic() - began_s) / 0.6) + 1  # 100 in a minute: one each 0.6 s
    for number, remaining in enumerate(left):
        assert 99 - number <= remaining <= 99 - number + refilled
    platform.live.change(TOKENS[0], online=False)
    assert ask(platform).status_code == 408
    platform.live.change(TOKENS[0], online=True, asleep=True)
    assert ask(platform).status_code == 408
