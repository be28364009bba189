"""Charging: what each command changes, when it is refused, and that schedules act."""

from typing import Any

import pytest

from motorcade.vehicle import actions, charging
from motorcade.vehicle.actions.schedules import SCHEDULES_MAX
from motorcade.vehicle.body import CHARGER_PHASES, CHARGER_V, Charge
from motorcade.vehicle.local_time import ALL_DAYS
from motorcade.vehicle.model import Car
from tests.vehicle.actions.cars import (
    NONE,
    Effect,
    Refusal,
    check_effect,
    check_refusal,
    do,
    get,
    nothing,
    parked_car,
    plugged_car,
    put,
    staying_car,
)

STATE = get("body.charge")
HOUR_S = 3_600.0
WEDNESDAY, THURSDAY = 8, 16


def here(car: Car) -> dict[str, float]:
    return {"lat": car.place.latitude_deg, "lon": car.place.longitude_deg}


SCHEDULE: dict[str, Any] = {
    "days_of_week": ALL_DAYS,
    "enabled": True,
    "lat": 52.0,
    "lon": 13.0,
    "start_enabled": True,
    "start_time": 60,
    "end_enabled": False,
    "id": 7,
}
PRECONDITION: dict[str, Any] = {
    "days_of_week": ALL_DAYS,
    "enabled": True,
    "lat": 52.0,
    "lon": 13.0,
    "precondition_time": 420,
    "id": 7,
}
DEPARTURE: dict[str, Any] = {
    "enable": True,
    "departure_time": 420,
    "preconditioning_enabled": True,
    "off_peak_charging_enabled": True,
    "end_off_peak_time": 360,
}


def with_schedules(car: Car) -> None:
    """One at home, one at work, one elsewhere."""
    for number, place in enumerate((car.home, car.work, None), start=1):
        lat, lon = (52.0, 13.0) if place is None else place[:2]
        do(car, "add_charge_schedule", **SCHEDULE | {"id": number, "lat": lat, "lon": lon})
        do(
            car,
            "add_precondition_schedule",
            **PRECONDITION | {"id": number, "lat": lat, "lon": lon},
        )


def charge_ids(car: Car) -> set[int]:
    return set(car.body.charging.schedules)


def precondition_ids(car: Car) -> set[int]:
    return set(car.body.climate.schedules)


EFFECTS: list[Effect] = [
    ("charge_start", NONE, put("body.charge", Charge.STOPPED), STATE, Charge.CHARGING),
    ("charge_stop", NONE, put("body.charge", Charge.CHARGING), STATE, Charge.STOPPED),
    ("set_charge_limit", {"percent": 70}, nothing, get("body.charge_limit"), 0.7),
    ("charge_standard", NONE, put("body.charge_limit", 0.6), get("body.charge_limit"), 0.9),
    ("charge_max_range", NONE, nothing, get("body.charge_limit"), 1.0),
    ("set_charging_amps", {"charging_amps": 8}, nothing, charging.current_a, 8.0),
    (
        "set_scheduled_charging",
        {"enable": True, "time": 90},
        nothing,
        get("body.charging.start_minute"),
        90,
    ),
    (
        "set_scheduled_departure",
        DEPARTURE,
        nothing,
        lambda car: getattr(car.body.charging.departure, "departure_minute", None),
        420,
    ),
    ("add_charge_schedule", SCHEDULE, nothing, charge_ids, {7}),
    ("add_precondition_schedule", PRECONDITION, nothing, precondition_ids, {7}),
    ("remove_charge_schedule", {"id": 2}, with_schedules, charge_ids, {1, 3}),
    ("remove_precondition_schedule", {"id": 2}, with_schedules, precondition_ids, {1, 3}),
    ("batch_remove_charge_schedules", {"home": True}, with_schedules, charge_ids, {2, 3}),
    (
        "batch_remove_precondition_schedules",
        {"home": False, "work": True, "other": True},
        with_schedules,
        precondition_ids,
        {1},
    ),
    (
        "set_managed_charge_current_request",
        {"charging_amps": 6},
        nothing,
        charging.current_a,
        6.0,
    ),
    (
        "set_managed_charger_location",
        {"lat": 1.0, "lon": 2.0},
        nothing,
        get("body.charging.managed_place"),
        (1.0, 2.0),
    ),
    (
        "set_managed_scheduled_charging_time",
        {"time": 30},
        nothing,
        get("body.charging.managed_minute"),
        30,
    ),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


REFUSALS: list[Refusal] = [
    ("charge_start", NONE, nothing, "disconnected"),
    ("charge_start", NONE, put("body.charge", Charge.CHARGING), "charging"),
    ("charge_start", NONE, put("body.charge", Charge.COMPLETE), "complete"),
    ("charge_stop", NONE, nothing, "not_charging"),
    ("set_charge_limit", {"percent": 90}, nothing, "already_set"),
    ("set_charge_limit", {"percent": 49}, nothing, "invalid_parameters"),
    ("set_charge_limit", {"percent": True}, nothing, "invalid_parameters"),
    ("set_charge_limit", {"percent": "80"}, nothing, "invalid_parameters"),
    ("charge_standard", NONE, nothing, "already_standard"),
    ("charge_max_range", NONE, put("body.charge_limit", 1.0), "already_max_range"),
    ("set_charging_amps", {"charging_amps": -1}, nothing, "invalid_parameters"),
    ("set_charging_amps", {"charging_amps": 8.5}, nothing, "invalid_parameters"),
    ("set_scheduled_charging", {"enable": 1}, nothing, "invalid_parameters"),
    ("set_scheduled_charging", {"enable": True, "time": 1440}, nothing, "invalid_parameters"),
    ("set_scheduled_departure", {"departure_time": 5}, nothing, "invalid_parameters"),
    ("add_charge_schedule", SCHEDULE | {"start_time": None}, nothing, "invalid_parameters"),
    ("add_charge_schedule", SCHEDULE | {"start_enabled": False}, nothing, "invalid_parameters"),
    ("add_charge_schedule", SCHEDULE | {"days_of_week": 128}, nothing, "invalid_parameters"),
    ("add_charge_schedule", SCHEDULE | {"lat": 91}, nothing, "invalid_parameters"),
    ("add_charge_schedule", SCHEDULE | {"name": 5}, nothing, "invalid_parameters"),
    ("add_precondition_schedule", PRECONDITION | {"id": -1}, nothing, "invalid_parameters"),
    ("remove_charge_schedule", {"id": 7}, nothing, "not_found"),
    ("remove_precondition_schedule", {"id": 0}, nothing, "invalid_parameters"),
    ("set_managed_charge_current_request", {"charging_amps": 99}, nothing, "invalid_parameters"),
    ("set_managed_charger_location", {"lat": 5}, nothing, "invalid_parameters"),
    ("set_managed_scheduled_charging_time", {"time": -1}, nothing, "invalid_parameters"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_a_higher_limit_lets_a_full_car_charge_on() -> None:
    car = parked_car()
    car.body.charge, car.body.charge_limit = Charge.COMPLETE, 0.5
    do(car, "set_charge_limit", percent=100)
    assert car.body.charge is Charge.CHARGING


def test_who_stopped_charging_is_obeyed() -> None:
    car = plugged_car(Charge.CHARGING, percent=10)
    do(car, "charge_stop")
    car.advance(600.0)
    assert car.body.charge is Charge.STOPPED
    assert car.soc < 0.1


def test_the_amps_limit_the_power() -> None:
    car = plugged_car(Charge.CHARGING)
    do(car, "set_charging_amps", charging_amps=5)
    assert car.charger_power_w == 5 * CHARGER_V * CHARGER_PHASES
    before_j = car.energy_charged_j
    car.advance(HOUR_S)
    expected_j = car.charger_power_w * charging.CHARGING * HOUR_S
    assert car.energy_charged_j - before_j == pytest.approx(expected_j)
    do(car, "set_charging_amps", charging_amps=80)
    assert charging.current_a(car) == 16.0


def test_a_site_manager_limits_only_at_its_site() -> None:
    car = plugged_car(Charge.CHARGING)
    do(car, "set_managed_charge_current_request", charging_amps=6)
    do(car, "set_managed_charger_location", lat=1.0, lon=2.0)
    assert charging.current_a(car) == 16.0
    do(car, "set_managed_charger_location", **here(car))
    assert charging.current_a(car) == 6.0
    do(car, "set_managed_charge_current_request")
    assert charging.current_a(car) == 16.0


def test_scheduled_charging_holds_and_starts() -> None:
    car = staying_car()
    car.energy_j = car.battery_j * 0.4
    do(car, "set_scheduled_charging", enable=True, time=60)
    charging.plug_in(car)
    assert (car.body.charge, car.body.charging.pending) == (Charge.STOPPED, True)
    car.advance(HOUR_S - 1.0)
    assert car.body.charge is Charge.STOPPED
    car.advance(HOUR_S + 1.0)
    assert (car.body.charge, car.body.charging.pending) == (Charge.CHARGING, False)


def test_a_schedule_that_is_dropped_lets_the_car_charge() -> None:
    car = staying_car()
    do(car, "set_scheduled_charging", enable=True, time=60)
    charging.plug_in(car)
    do(car, "set_scheduled_charging", enable=False, time=60)
    assert car.body.charge is Charge.CHARGING


def test_who_starts_by_hand_does_not_wait() -> None:
    car = staying_car()
    do(car, "set_scheduled_charging", enable=True, time=60)
    charging.plug_in(car)
    do(car, "charge_start")
    car.advance(60.0)
    assert (car.body.charge, car.body.charging.pending) == (Charge.CHARGING, False)


def test_off_peak_charging_begins_so_late_that_it_is_just_done() -> None:
    car = staying_car()
    car.energy_j = car.battery_j * 0.8
    do(car, "set_scheduled_departure", **DEPARTURE)
    charging.plug_in(car)
    lead_s = charging.seconds_to_full(car)
    assert lead_s < 6 * HOUR_S
    car.advance(6 * HOUR_S - lead_s - 120.0)
    assert car.body.charge is Charge.STOPPED
    car.advance(6 * HOUR_S + 600.0)
    assert car.body.charge is Charge.COMPLETE


def test_a_charge_schedule_charges_within_its_window_here_and_on_its_day() -> None:
    window = {"start_time": 60, "end_enabled": True, "end_time": 90}
    car = staying_car()
    car.energy_j = car.battery_j * 0.3
    do(car, "add_charge_schedule", **SCHEDULE | window | here(car) | {"days_of_week": WEDNESDAY})
    charging.plug_in(car)
    assert car.body.charging.pending
    car.advance(HOUR_S + 60.0)
    assert car.body.charge is Charge.CHARGING
    car.advance(1.5 * HOUR_S + 60.0)
    assert car.body.charge is Charge.STOPPED
    car.advance(25.1 * HOUR_S)  # Thursday is not its day
    assert car.body.charge is Charge.STOPPED


@pytest.mark.parametrize("change", [{"lat": 1.0}, {"enabled": False}, {"days_of_week": THURSDAY}])
def test_a_charge_schedule_of_another_place_or_day_holds_nothing(change: dict[str, Any]) -> None:
    car = staying_car()
    do(car, "add_charge_schedule", **SCHEDULE | here(car) | change)
    charging.plug_in(car)
    assert car.body.charge is Charge.CHARGING


def test_a_charge_schedule_for_once_is_gone_afterwards() -> None:
    car = staying_car()
    do(car, "add_charge_schedule", **SCHEDULE | here(car) | {"one_time": True})
    charging.plug_in(car)
    car.advance(HOUR_S + 60.0)
    assert car.body.charge is Charge.CHARGING
    assert not charge_ids(car)


def test_schedules_have_a_limit_and_the_car_numbers_them() -> None:
    car = staying_car()
    for _ in range(SCHEDULES_MAX):
        do(car, "add_charge_schedule", **SCHEDULE | {"id": 0})
        do(car, "add_precondition_schedule", **PRECONDITION | {"id": None})
    assert len(charge_ids(car)) == len(precondition_ids(car)) == SCHEDULES_MAX
    assert actions.refusal(car, "add_charge_schedule", SCHEDULE) == "too_many"
    assert actions.refusal(car, "add_precondition_schedule", PRECONDITION) == "too_many"
    again = SCHEDULE | {"id": min(charge_ids(car))}
    do(car, "add_charge_schedule", **again)


def test_the_next_start_is_told() -> None:
    car = staying_car()
    assert charging.next_start_unix_s(car) is None
    do(car, "set_scheduled_charging", enable=True, time=60)
    assert charging.next_start_unix_s(car) == car.unix_s + HOUR_S
