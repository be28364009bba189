"""Name, software, power, notes: what each command changes, and when it is refused."""

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.actions.other import NOTES_MAX
from motorcade.vehicle.body import Update
from motorcade.vehicle.model import ACCESSORY_W, LOW_POWER_W, UPDATE_S
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
    put,
    staying_car,
)

SETTINGS = "body.settings."
UPDATE = "body.software.update"
EFFECTS: list[Effect] = [
    ("set_vehicle_name", {"vehicle_name": "Ada"}, nothing, get(SETTINGS + "name"), "Ada"),
    ("schedule_software_update", {"offset_sec": 60}, nothing, get(UPDATE), Update.SCHEDULED),
    (
        "cancel_software_update",
        NONE,
        put(UPDATE, Update.SCHEDULED),
        get(UPDATE),
        Update.AVAILABLE,
    ),
    ("set_low_power_mode", {"enable": True}, nothing, get(SETTINGS + "low_power"), True),
    (
        "keep_accessory_power_mode",
        {"enable": True},
        nothing,
        get(SETTINGS + "accessory_power"),
        True,
    ),
    (
        "take_drivenote",
        {"note": "rattles"},
        nothing,
        lambda car: list(car.body.settings.drive_notes),
        ["rattles"],
    ),
    (
        "upcoming_calendar_entries",
        {"calendar_data": '{"entries":[]}'},
        nothing,
        get(SETTINGS + "calendar_bytes"),
        14,
    ),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


REFUSALS: list[Refusal] = [
    ("set_vehicle_name", {"vehicle_name": ""}, nothing, "already_set"),
    ("set_vehicle_name", {"vehicle_name": "x" * 65}, nothing, "invalid_parameters"),
    (
        "schedule_software_update",
        {"offset_sec": 0},
        put(UPDATE, Update.NONE),
        "no_update_available",
    ),
    ("schedule_software_update", {"offset_sec": -1}, nothing, "invalid_parameters"),
    ("cancel_software_update", NONE, nothing, "not_scheduled"),
    ("cancel_software_update", NONE, put(UPDATE, Update.INSTALLING), "not_scheduled"),
    ("set_low_power_mode", {"enable": False}, nothing, "already_set"),
    ("set_low_power_mode", {}, nothing, "invalid_parameters"),
    ("keep_accessory_power_mode", {"enable": False}, nothing, "already_set"),
    ("keep_accessory_power_mode", {"enable": True}, put("energy_j", 0.0), "battery_low"),
    ("take_drivenote", {"note": "x" * 81}, nothing, "invalid_parameters"),
    ("upcoming_calendar_entries", {"calendar_data": 5}, nothing, "invalid_parameters"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_an_update_is_installed_when_its_time_comes_and_the_car_waits_for_it() -> None:
    car = parked_car()
    software = car.body.software
    before, coming = software.version, software.update_version
    do(car, "schedule_software_update", offset_sec=5)
    car._until_s = 10.0
    car.advance(4.0)
    assert software.update is Update.SCHEDULED
    car.advance(UPDATE_S)
    assert (software.update, software.version, car.parked) == (Update.INSTALLING, before, True)
    car.advance(UPDATE_S + 60.0)
    assert (software.update, software.version) == (Update.NONE, coming)
    assert coming != before
    assert not car.parked
    assert actions.refusal(car, "schedule_software_update", {"offset_sec": 1}) != actions.ACCEPTED


def test_a_cancelled_update_waits_for_another_day() -> None:
    car = staying_car()
    do(car, "schedule_software_update", offset_sec=60)
    do(car, "cancel_software_update")
    car.advance(600.0)
    assert car.body.software.update is Update.AVAILABLE


def test_power_modes_show_in_the_battery() -> None:
    car = staying_car()
    car._until_s = 1e9
    do(car, "set_low_power_mode", enable=True)
    do(car, "keep_accessory_power_mode", enable=True)
    before_j = car.energy_j
    car.advance(3_600.0)
    assert before_j - car.energy_j == pytest.approx((LOW_POWER_W + ACCESSORY_W) * 3_600.0)


def test_old_notes_make_room() -> None:
    car = parked_car()
    for number in range(NOTES_MAX + 1):
        do(car, "take_drivenote", note=str(number))
    assert car.body.settings.drive_notes[0] == "1"
    assert len(car.body.settings.drive_notes) == NOTES_MAX
