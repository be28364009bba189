"""Each command: what it changes, and when the car says no."""

from collections.abc import Callable
from typing import Any

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.model import Car, Charge

Change = Callable[[Car], Any]


def parked_car() -> Car:
    car = Car(1)
    assert not car.moving
    return car


def driving_car() -> Car:
    car = Car(1)
    second = 0.0
    while car.speed_mps < 5:
        second += 1.0
        car.advance(second)
    return car


NONE: dict[str, Any] = {}
VENT, CLOSE = {"command": "vent"}, {"command": "close"}
EFFECTS: list[tuple[str, dict[str, Any], Change, Change, Any]] = [
    # command, parameters, what to prepare, what to look at, what it is then
    ("door_unlock", NONE, lambda car: None, lambda car: car.body.locked, False),
    ("door_lock", NONE, lambda car: setattr(car.body, "locked", False), lambda c: c.body.locked, 1),
    ("honk_horn", NONE, lambda car: None, lambda car: car.body.horn_until_s, 2.0),
    ("flash_lights", NONE, lambda car: None, lambda car: car.body.lights_until_s, 2.0),
    (
        "charge_start",
        NONE,
        lambda car: setattr(car.body, "charge", Charge.STOPPED),
        lambda car: car.body.charge,
        Charge.CHARGING,
    ),
    (
        "charge_stop",
        NONE,
        lambda car: setattr(car.body, "charge", Charge.CHARGING),
        lambda car: car.body.charge,
        Charge.STOPPED,
    ),
    ("set_charge_limit", {"percent": 70}, lambda car: None, lambda c: c.body.charge_limit, 0.7),
    ("auto_conditioning_start", NONE, lambda car: None, lambda car: car.body.climate_on, True),
    (
        "auto_conditioning_stop",
        NONE,
        lambda car: setattr(car.body, "climate_on", True),
        lambda car: car.body.climate_on,
        False,
    ),
    (
        "set_temps",
        {"driver_temp": 20.5, "passenger_temp": 23},
        lambda car: None,
        lambda car: (car.body.driver_temp_degc, car.body.passenger_temp_degc),
        (20.5, 23.0),
    ),
    (
        "actuate_trunk",
        {"which_trunk": "rear"},
        lambda car: None,
        lambda car: car.body.trunks_open,
        {"front": False, "rear": True},
    ),
    ("window_control", VENT, lambda c: None, lambda c: set(c.body.windows_percent.values()), {10}),
    (
        "navigation_gps_request",
        {"lat": 48.1, "lon": 11.5, "order": 0},
        lambda car: None,
        lambda car: car.body.destination,
        "48.100000,11.500000",
    ),
]


@pytest.mark.parametrize(
    ("name", "parameters", "prepare", "look", "then"), EFFECTS, ids=[row[0] for row in EFFECTS]
)
def test_a_command_does_what_it_says(
    name: str, parameters: dict[str, Any], prepare: Change, look: Change, then: Any
) -> None:
    car = parked_car()
    prepare(car)
    assert actions.refusal(car, name, parameters) == actions.ACCEPTED
    actions.apply(car, name, parameters)
    assert look(car) == then


def test_every_command_of_the_table_is_tried_above() -> None:
    assert {row[0] for row in EFFECTS} == set(actions.ACTIONS)


REFUSALS: list[tuple[str, dict[str, Any], Change, str]] = [
    ("door_lock", NONE, lambda car: None, "already_set"),
    ("door_lock", NONE, lambda car: car.body.doors_open.update(driver_front=True), "door_open"),
    ("door_unlock", NONE, lambda car: setattr(car.body, "locked", False), "already_set"),
    ("charge_start", NONE, lambda car: None, "disconnected"),
    ("charge_start", NONE, lambda c: setattr(c.body, "charge", Charge.CHARGING), "charging"),
    ("charge_start", NONE, lambda c: setattr(c.body, "charge", Charge.COMPLETE), "complete"),
    ("charge_stop", NONE, lambda car: None, "not_charging"),
    ("set_charge_limit", {"percent": 90}, lambda car: None, "already_set"),
    ("set_charge_limit", {"percent": 49}, lambda car: None, "invalid_parameters"),
    ("set_charge_limit", {"percent": True}, lambda car: None, "invalid_parameters"),
    ("set_charge_limit", {"percent": "80"}, lambda car: None, "invalid_parameters"),
    ("set_temps", {"driver_temp": 20}, lambda car: None, "invalid_parameters"),
    ("set_temps", {"driver_temp": 20, "passenger_temp": 99}, lambda c: None, "invalid_parameters"),
    ("actuate_trunk", {"which_trunk": "side"}, lambda car: None, "invalid_parameters"),
    ("actuate_trunk", {}, lambda car: None, "invalid_parameters"),
    (
        "actuate_trunk",
        {"which_trunk": "front"},
        lambda car: car.body.trunks_open.update(front=True),
        "already_set",
    ),
    ("window_control", CLOSE, lambda car: None, "already_set"),
    ("window_control", {"command": "open"}, lambda car: None, "invalid_parameters"),
    ("navigation_gps_request", {"lat": 91, "lon": 0}, lambda car: None, "invalid_parameters"),
    (
        "navigation_gps_request",
        {"lat": float("nan"), "lon": 0},
        lambda c: None,
        "invalid_parameters",
    ),
    ("launch_missiles", NONE, lambda car: None, "unknown_command"),
]


@pytest.mark.parametrize(("name", "parameters", "prepare", "reason"), REFUSALS)
def test_the_car_says_why_not(
    name: str, parameters: dict[str, Any], prepare: Change, reason: str
) -> None:
    car = parked_car()
    prepare(car)
    assert actions.refusal(car, name, parameters) == reason


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("door_unlock", NONE), ("actuate_trunk", {"which_trunk": "rear"}), ("window_control", VENT)],
)
def test_nothing_opens_while_driving(name: str, parameters: dict[str, Any]) -> None:
    assert actions.refusal(driving_car(), name, parameters) == "vehicle_is_driving"


def test_windows_may_close_while_driving() -> None:
    car = driving_car()
    car.body.windows_percent["driver_rear"] = 50.0
    assert actions.refusal(car, "window_control", CLOSE) == actions.ACCEPTED


def test_a_higher_limit_lets_a_full_car_charge_on() -> None:
    car = parked_car()
    car.body.charge, car.body.charge_limit = Charge.COMPLETE, 0.5
    actions.apply(car, "set_charge_limit", {"percent": 100})
    assert car.body.charge is Charge.CHARGING


def test_a_car_does_not_drive_off_with_an_open_lid() -> None:
    car = parked_car()
    actions.apply(car, "actuate_trunk", {"which_trunk": "rear"})
    car.advance(600.0)
    assert car.parked
    actions.apply(car, "actuate_trunk", {"which_trunk": "rear"})
    car.advance(1_200.0)
    assert car.odometer_m > Car(1).odometer_m
