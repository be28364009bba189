"""The cabin: what each command changes, when it is refused, and what it does to heat and energy."""

from typing import Any

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.body import Keeper, Overheat
from motorcade.vehicle.climate import SEAT_HEATER_W
from motorcade.vehicle.model import Car
from tests.vehicle.actions.cars import (
    NONE,
    NOTHING,
    Effect,
    Refusal,
    both,
    check_effect,
    check_refusal,
    do,
    driving_car,
    get,
    nothing,
    parked_car,
    put,
    staying_car,
)
from tests.vehicle.actions.test_charging import DEPARTURE, HOUR_S, PRECONDITION, here

CLIMATE = "body.climate."
WARM = put("body.climate_on", True)
EFFECTS: list[Effect] = [
    ("auto_conditioning_start", NONE, nothing, get("body.climate_on"), True),
    ("auto_conditioning_stop", NONE, WARM, get("body.climate_on"), False),
    (
        "set_temps",
        {"driver_temp": 20.5, "passenger_temp": 23},
        nothing,
        lambda car: (car.body.driver_temp_degc, car.body.passenger_temp_degc),
        (20.5, 23.0),
    ),
    (
        "set_preconditioning_max",
        {"on": True},
        nothing,
        lambda car: (car.body.climate.defrost, car.body.climate_on),
        (True, True),
    ),
    (
        "set_climate_keeper_mode",
        {"climate_keeper_mode": 2},
        nothing,
        get(CLIMATE + "keeper"),
        Keeper.DOG,
    ),
    (
        "set_cabin_overheat_protection",
        {"on": True, "fan_only": True},
        nothing,
        get(CLIMATE + "overheat"),
        Overheat.FAN_ONLY,
    ),
    ("set_cop_temp", {"cop_temp": 0}, nothing, get(CLIMATE + "overheat_limit"), "Low"),
    (
        "set_bioweapon_mode",
        {"on": True, "manual_override": False},
        nothing,
        lambda car: (car.body.climate.bioweapon, car.body.climate_on),
        (True, True),
    ),
    (
        "remote_seat_heater_request",
        {"heater": 5, "level": 3},
        WARM,
        lambda car: car.body.climate.seat_heaters["rear_right"],
        3,
    ),
    (
        "remote_seat_cooler_request",
        {"seat_position": 2, "seat_cooler_level": 1},
        WARM,
        lambda car: car.body.climate.seat_coolers["right"],
        1,
    ),
    (
        "remote_auto_seat_climate_request",
        {"auto_seat_position": 1, "auto_climate_on": True},
        nothing,
        lambda car: dict(car.body.climate.seat_auto),
        {"left": True, "right": False},
    ),
    ("remote_steering_wheel_heater_request", {"on": True}, WARM, get(CLIMATE + "wheel_level"), 3),
    (
        "remote_steering_wheel_heat_level_request",
        {"level": 1},
        WARM,
        get(CLIMATE + "wheel_level"),
        1,
    ),
    (
        "remote_auto_steering_wheel_heat_climate_request",
        {"on": True},
        nothing,
        get(CLIMATE + "wheel_auto"),
        True,
    ),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


COMFORT = "cabin comfort remote settings not enabled"
HEATER: dict[str, Any] = {"heater": 0, "level": 1}
COOLER: dict[str, Any] = {"seat_position": 1, "seat_cooler_level": 1}
EMPTY = put("energy_j", 0.0)
REFUSALS: list[Refusal] = [
    ("set_temps", {"driver_temp": 20}, nothing, "invalid_parameters"),
    ("set_temps", {"driver_temp": 20, "passenger_temp": 99}, nothing, "invalid_parameters"),
    ("set_preconditioning_max", {"on": 1}, nothing, "invalid_parameters"),
    ("set_climate_keeper_mode", {"climate_keeper_mode": 4}, nothing, "invalid_parameters"),
    ("set_climate_keeper_mode", {"climate_keeper_mode": 1}, EMPTY, "battery_low"),
    ("set_cabin_overheat_protection", {"on": True}, nothing, "already_set"),
    ("set_cabin_overheat_protection", {}, nothing, "invalid_parameters"),
    ("set_cop_temp", {"cop_temp": 3}, nothing, "invalid_parameters"),
    ("set_bioweapon_mode", {"on": True}, put("equipment", NOTHING), "not_supported"),
    ("set_bioweapon_mode", {"on": None}, nothing, "invalid_parameters"),
    ("remote_seat_heater_request", HEATER, nothing, COMFORT),
    ("remote_seat_heater_request", HEATER | {"heater": 7}, WARM, "not_supported"),
    ("remote_seat_heater_request", HEATER | {"level": 4}, WARM, "invalid_parameters"),
    ("remote_seat_cooler_request", COOLER, nothing, COMFORT),
    (
        "remote_seat_cooler_request",
        COOLER,
        both(WARM, put("equipment", NOTHING)),
        "not_supported",
    ),
    ("remote_seat_cooler_request", COOLER | {"seat_position": 3}, WARM, "not_supported"),
    ("remote_seat_cooler_request", COOLER | {"seat_position": 0}, WARM, "invalid_parameters"),
    ("remote_auto_seat_climate_request", {"auto_seat_position": 3}, nothing, "invalid_parameters"),
    ("remote_steering_wheel_heater_request", {"on": True}, nothing, COMFORT),
    ("remote_steering_wheel_heater_request", {}, WARM, "invalid_parameters"),
    ("remote_steering_wheel_heat_level_request", {"level": 2}, nothing, COMFORT),
    ("remote_auto_steering_wheel_heat_climate_request", {}, nothing, "invalid_parameters"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_a_keeper_is_for_parked_cars_and_ends_with_the_drive() -> None:
    assert (
        actions.refusal(driving_car(), "set_climate_keeper_mode", {"climate_keeper_mode": 1})
        == "vehicle_is_driving"
    )
    car = parked_car()
    car._until_s = 100.0
    do(car, "set_climate_keeper_mode", climate_keeper_mode=2)
    car.advance(10.0)
    assert car.body.climate.load_w > 0
    car.set_off_soon(0.0)
    car.advance(20.0)
    assert not car.parked
    assert car.body.climate.keeper is Keeper.OFF


def test_a_heated_seat_takes_its_power_from_the_battery() -> None:
    plain, heated = staying_car(), staying_car()
    for car in (plain, heated):
        car.inside_degc = car.outside_degc = 21.0
        do(car, "auto_conditioning_start")
    do(heated, "remote_seat_heater_request", heater=0, level=3)
    for car in (plain, heated):
        car.advance(HOUR_S)
    used_j = heated.energy_used_j - plain.energy_used_j
    assert used_j == pytest.approx(SEAT_HEATER_W[3] * HOUR_S)
    assert plain.energy_j - heated.energy_j == pytest.approx(used_j)


def test_seats_and_wheel_go_off_with_the_climate() -> None:
    car = staying_car()
    do(car, "auto_conditioning_start")
    do(car, "remote_seat_heater_request", heater=1, level=2)
    do(car, "remote_steering_wheel_heater_request", on=True)
    do(car, "set_preconditioning_max", on=True)
    do(car, "auto_conditioning_stop")
    assert not any(car.body.climate.seat_heaters.values())
    assert car.body.climate.wheel_level == 0
    assert not car.body.climate.defrost


def test_automatic_seats_follow_the_cabin() -> None:
    car = staying_car()
    car.inside_degc = car.outside_degc = 0.0
    do(car, "auto_conditioning_start")
    do(car, "remote_auto_seat_climate_request", auto_seat_position=1, auto_climate_on=True)
    do(car, "remote_auto_steering_wheel_heat_climate_request", on=True)
    car.advance(1.0)
    assert (car.body.climate.seat_heaters["left"], car.body.climate.wheel_level) == (3, 3)
    car.advance(1_800.0)
    assert (car.body.climate.seat_heaters["left"], car.body.climate.wheel_level) == (0, 0)
    car.inside_degc = car.outside_degc = 45.0
    car.advance(1_801.0)
    assert car.body.climate.seat_coolers == {"left": 3, "right": 0}


def test_the_maximum_is_warmer_than_what_was_set() -> None:
    car = staying_car()
    do(car, "set_preconditioning_max", on=True)
    car.advance(1_800.0)
    assert car.inside_degc == pytest.approx(28.0, abs=0.1)
    do(car, "set_preconditioning_max", on=False)
    car.advance(3_600.0)
    assert car.inside_degc == pytest.approx(21.0, abs=0.1)


def hot(car: Car) -> Car:
    car.inside_degc = car.outside_degc = 50.0
    car.advance(car.elapsed_s + 1_800.0)
    return car


def test_overheat_protection_keeps_the_cabin_below_its_limit() -> None:
    car = staying_car()
    do(car, "set_cop_temp", cop_temp=1)
    hot(car)
    assert car.inside_degc == pytest.approx(35.0, abs=0.5)
    assert car.body.climate.protecting
    do(car, "set_cabin_overheat_protection", on=False)
    car.advance(car.elapsed_s + 3_600.0)
    assert car.inside_degc > 40.0
    assert not car.body.climate.protecting


def test_the_fan_alone_cannot_cool_below_the_air_outside() -> None:
    car = staying_car()
    do(car, "set_cabin_overheat_protection", on=True, fan_only=True)
    car.inside_degc, car.outside_degc = 60.0, 43.0
    car.advance(1_800.0)
    assert car.body.climate.protecting
    assert 43.0 <= car.inside_degc < 50.0


def test_overheat_protection_ends_after_half_a_day() -> None:
    car = staying_car()
    car.inside_degc = car.outside_degc = 50.0
    car.advance(13 * HOUR_S)
    assert not car.body.climate.protecting


def test_a_departure_finds_a_pleasant_cabin() -> None:
    car = staying_car()
    car.inside_degc = car.outside_degc = 0.0
    do(car, "set_scheduled_departure", **DEPARTURE)
    car.advance(6.7 * HOUR_S)
    assert (car.inside_degc, car.body.climate.preconditioning) == (0.0, False)
    car.advance(7 * HOUR_S - 1.0)
    assert car.body.climate.preconditioning
    assert car.inside_degc == pytest.approx(21.0, abs=0.5)
    car.advance(7 * HOUR_S + 60.0)
    assert not car.body.climate.preconditioning


def test_a_departure_on_weekdays_leaves_the_weekend_alone() -> None:
    car = staying_car()
    weekdays = {"preconditioning_enabled": False, "preconditioning_weekdays_only": True}
    do(car, "set_scheduled_departure", **DEPARTURE | weekdays)
    seen = []
    for day in range(7):  # from a Wednesday on
        car.energy_j = car.battery_j
        car.elapsed_s = (day * 24 + 7) * HOUR_S - 120.0  # a night is long to reckon
        car.advance(car.elapsed_s + 60.0)
        seen.append(car.body.climate.preconditioning)
    assert seen == [True, True, True, False, False, True, True]


def test_preconditioning_that_was_switched_off_stays_off_until_the_next_time() -> None:
    car = staying_car()
    do(car, "add_precondition_schedule", **PRECONDITION | here(car))
    car.advance(7 * HOUR_S - 300.0)
    do(car, "auto_conditioning_stop")
    car.advance(7 * HOUR_S - 60.0)
    assert not car.body.climate.preconditioning
    car.energy_j = car.battery_j
    car.advance(31 * HOUR_S - 60.0)
    assert car.body.climate.preconditioning


def test_a_precondition_schedule_for_once_is_gone_afterwards() -> None:
    car = staying_car()
    do(car, "add_precondition_schedule", **PRECONDITION | here(car) | {"one_time": True})
    car.advance(7 * HOUR_S - 60.0)
    assert car.body.climate.preconditioning
    car.advance(7 * HOUR_S + 60.0)
    assert not car.body.climate.schedules


def test_an_empty_battery_warms_nothing() -> None:
    car = staying_car()
    car.energy_j, car.inside_degc, car.outside_degc = 0.0, 0.0, 0.0
    do(car, "auto_conditioning_start")
    car._until_s = 1e9
    car.advance(600.0)
    assert car.inside_degc == 0.0
