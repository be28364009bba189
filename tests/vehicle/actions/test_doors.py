"""Doors, lids, windows, horn and lights: what each command changes, and when the car says no."""

from typing import Any

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import LID_PERCENT_PER_S, Car
from tests.vehicle.actions.cars import (
    NONE,
    NOTHING,
    Effect,
    Refusal,
    check_effect,
    check_refusal,
    do,
    driving_car,
    get,
    nothing,
    parked_car,
    put,
)

VENT, CLOSE = {"command": "vent"}, {"command": "close"}
PORT = "body.charging.port_open"
EFFECTS: list[Effect] = [
    ("door_unlock", NONE, nothing, get("body.locked"), False),
    ("door_lock", NONE, put("body.locked", False), get("body.locked"), True),
    ("honk_horn", NONE, nothing, get("body.horn_until_s"), 2.0),
    ("flash_lights", NONE, nothing, get("body.lights_until_s"), 2.0),
    ("remote_boombox", {"sound": 2000}, nothing, get("body.boombox_until_s"), 2.0),
    ("trigger_homelink", {"lat": 1, "lon": 2}, nothing, get("body.homelink_until_s"), 2.0),
    (
        "actuate_trunk",
        {"which_trunk": "rear"},
        nothing,
        lambda car: dict(car.body.trunks_open),
        {"front": False, "rear": True},
    ),
    ("window_control", VENT, nothing, lambda c: set(c.body.windows_percent.values()), {10}),
    ("sun_roof_control", {"state": "vent"}, nothing, get("body.sun_roof.target_percent"), 15.0),
    ("open_tonneau", NONE, nothing, get("body.tonneau.target_percent"), 100.0),
    (
        "close_tonneau",
        NONE,
        put("body.tonneau.target_percent", 100.0),
        get("body.tonneau.target_percent"),
        0.0,
    ),
    (
        "stop_tonneau",
        NONE,
        put("body.tonneau.target_percent", 100.0),
        get("body.tonneau.target_percent"),
        0.0,
    ),
    ("charge_port_door_open", NONE, nothing, get(PORT), True),
    ("charge_port_door_close", NONE, put(PORT, True), get(PORT), False),
    ("remote_start_drive", NONE, nothing, get("occupied"), True),
    ("wake_up", NONE, put("asleep", True), lambda car: car._awake_at_s, 3.0),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


def open_door(car: Car) -> None:
    car.body.doors_open["driver_front"] = True


REFUSALS: list[Refusal] = [
    ("door_lock", NONE, nothing, "already_set"),
    ("door_lock", NONE, open_door, "door_open"),
    ("door_unlock", NONE, put("body.locked", False), "already_set"),
    ("actuate_trunk", {"which_trunk": "side"}, nothing, "invalid_parameters"),
    ("actuate_trunk", {}, nothing, "invalid_parameters"),
    (
        "actuate_trunk",
        {"which_trunk": "front"},
        lambda car: car.body.trunks_open.update(front=True),
        "already_set",
    ),
    ("actuate_trunk", {"which_trunk": "front"}, put("body.security.valet", True), "valet_mode"),
    ("window_control", CLOSE, nothing, "already_set"),
    ("window_control", {"command": "open"}, nothing, "invalid_parameters"),
    ("sun_roof_control", {"state": "close"}, nothing, "already_set"),
    ("sun_roof_control", {"state": "open"}, nothing, "invalid_parameters"),
    ("sun_roof_control", {"state": ["vent"]}, nothing, "invalid_parameters"),
    ("sun_roof_control", {"state": "vent"}, put("equipment", NOTHING), "not_supported"),
    ("open_tonneau", NONE, put("equipment", NOTHING), "not_supported"),
    ("close_tonneau", NONE, nothing, "already_set"),
    ("stop_tonneau", NONE, nothing, "already_set"),
    ("remote_boombox", {"sound": 0}, put("equipment", NOTHING), "not_supported"),
    ("remote_boombox", {"sound": 2001}, nothing, "invalid_parameters"),
    ("trigger_homelink", NONE, put("equipment", NOTHING), "not_supported"),
    ("charge_port_door_open", NONE, put(PORT, True), "already_set"),
    ("charge_port_door_open", NONE, put("body.charge", Charge.CHARGING), "charging"),
    ("charge_port_door_close", NONE, nothing, "already_set"),
    ("charge_port_door_close", NONE, put("body.charge", Charge.STOPPED), "cable_connected"),
    ("launch_missiles", NONE, nothing, "unknown_command"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("door_unlock", NONE),
        ("actuate_trunk", {"which_trunk": "rear"}),
        ("window_control", VENT),
        ("sun_roof_control", {"state": "vent"}),
        ("open_tonneau", NONE),
        ("charge_port_door_open", NONE),
        ("remote_boombox", {"sound": 0}),
        ("remote_start_drive", NONE),
    ],
)
def test_nothing_opens_while_driving(name: str, parameters: dict[str, Any]) -> None:
    assert actions.refusal(driving_car(), name, parameters) == "vehicle_is_driving"


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("window_control", CLOSE), ("sun_roof_control", {"state": "close"}), ("close_tonneau", NONE)],
)
def test_what_is_open_may_close_while_driving(name: str, parameters: dict[str, Any]) -> None:
    car = driving_car()
    car.body.windows_percent["driver_rear"] = 50.0
    for lid in (car.body.sun_roof, car.body.tonneau):
        lid.percent = lid.target_percent = 15.0
    assert actions.refusal(car, name, parameters) == actions.ACCEPTED


def test_a_car_does_not_drive_off_with_an_open_lid() -> None:
    car = parked_car()
    do(car, "actuate_trunk", which_trunk="rear")
    car.advance(590.0)
    assert car.parked
    do(car, "actuate_trunk", which_trunk="rear")
    before_m = car.odometer_m
    car.advance(1_200.0)
    assert car.odometer_m > before_m


def test_a_cover_takes_its_time_and_can_be_stopped_on_the_way() -> None:
    car = parked_car()
    do(car, "open_tonneau")
    car.advance(2.0)
    assert car.body.tonneau.percent == 2.0 * LID_PERCENT_PER_S
    do(car, "stop_tonneau")
    car.advance(4.0)
    assert car.body.tonneau.percent == 2.0 * LID_PERCENT_PER_S
    do(car, "close_tonneau")
    car.advance(60.0)
    assert car.body.tonneau.percent == 0.0


def test_a_car_does_not_drive_off_while_its_cover_moves() -> None:
    car = parked_car()
    car.set_off_soon(0.0)
    do(car, "open_tonneau")
    car.advance(5.0)
    assert car.parked
    car.advance(15.0)
    assert not car.parked


def test_whoever_was_let_in_drives_off() -> None:
    car = parked_car()
    car._until_s = 1e9
    do(car, "remote_start_drive")
    car.advance(19.0)
    assert car.parked
    car.advance(25.0)
    assert not car.parked
