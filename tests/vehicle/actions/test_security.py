"""Sentry, valet, PINs, limits: what each command changes, and when it is refused."""

import pytest

from motorcade.vehicle import actions
from motorcade.vehicle.body import MPH_MPS, Settings
from motorcade.vehicle.model import GENTLE_MPS2, SENTRY_W, STANDBY_W, TICK_S, Car
from tests.vehicle.actions.cars import (
    NONE,
    Change,
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

SECURITY = "body.security."
PIN, OTHER = {"pin": "1234"}, {"pin": "4321"}
PASSWORD = {"on": True, "password": "1234"}


def on(what: str) -> Change:
    """In use, with the PIN 1234."""
    return both(put(SECURITY + what, True), put(f"{SECURITY}{what}_pin", "1234"))


def pair(what: str) -> Change:
    return lambda car: (
        getattr(car.body.security, what),
        getattr(car.body.security, f"{what}_pin"),
    )


def visited(car: Car) -> None:
    """Somebody lived in it."""
    do(car, "navigation_sc_request", id=1)
    do(car, "set_vehicle_name", vehicle_name="Ours")
    do(car, "take_drivenote", note="rattles")


EFFECTS: list[Effect] = [
    ("set_sentry_mode", {"on": True}, nothing, get(SECURITY + "sentry"), True),
    ("set_valet_mode", PASSWORD, nothing, pair("valet"), (True, "1234")),
    ("set_valet_mode", PASSWORD | {"on": False}, on("valet"), pair("valet"), (False, "1234")),
    (
        "reset_valet_pin",
        NONE,
        put(SECURITY + "valet_pin", "1234"),
        get(SECURITY + "valet_pin"),
        "",
    ),
    ("set_pin_to_drive", PASSWORD, nothing, pair("pin_to_drive"), (True, "1234")),
    (
        "reset_pin_to_drive_pin",
        NONE,
        put(SECURITY + "pin_to_drive_pin", "1234"),
        get(SECURITY + "pin_to_drive_pin"),
        "",
    ),
    ("clear_pin_to_drive_admin", NONE, on("pin_to_drive"), pair("pin_to_drive"), (False, "")),
    ("speed_limit_activate", PIN, nothing, pair("speed_limit"), (True, "1234")),
    ("speed_limit_deactivate", PIN, on("speed_limit"), pair("speed_limit"), (False, "1234")),
    (
        "speed_limit_set_limit",
        {"limit_mph": 55},
        nothing,
        get(SECURITY + "speed_limit_mps"),
        55 * MPH_MPS,
    ),
    ("speed_limit_clear_pin", PIN, on("speed_limit"), pair("speed_limit"), (False, "")),
    ("speed_limit_clear_pin_admin", NONE, on("speed_limit"), pair("speed_limit"), (False, "")),
    ("parental_controls_activate", PIN, nothing, pair("parental"), (True, "1234")),
    ("parental_controls_deactivate", PIN, on("parental"), pair("parental"), (False, "1234")),
    (
        "parental_controls_enable_setting",
        {"setting": 3, "enable": True},
        nothing,
        lambda car: set(car.body.security.parental_settings),
        {"curfew"},
    ),
    (
        "parental_controls_set_speed_limit",
        {"limit_mph": 60},
        nothing,
        get(SECURITY + "parental_limit_mps"),
        60 * MPH_MPS,
    ),
    ("parental_controls_clear_pin_admin", NONE, on("parental"), pair("parental"), (False, "")),
    ("guest_mode", {"enable": True}, nothing, get(SECURITY + "guest"), True),
    (
        "erase_user_data",
        NONE,
        both(visited, put(SECURITY + "guest", True)),
        lambda car: (car.body.settings, car.body.stops),
        (Settings(), []),
    ),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


EMPTY = put("energy_j", 0.0)
REFUSALS: list[Refusal] = [
    ("set_sentry_mode", {"on": False}, nothing, "already_set"),
    ("set_sentry_mode", {"on": True}, EMPTY, "battery_low"),
    ("set_sentry_mode", {"on": "yes"}, nothing, "invalid_parameters"),
    ("set_valet_mode", {"on": False}, nothing, "already_set"),
    ("set_valet_mode", {"on": True}, nothing, "pin_required"),
    ("set_valet_mode", {"on": False}, on("valet"), "pin_required"),
    ("set_valet_mode", {"on": False, "password": "9999"}, on("valet"), "wrong_pin"),
    ("set_valet_mode", {"on": True, "password": "12"}, nothing, "invalid_parameters"),
    ("reset_valet_pin", NONE, on("valet"), "active"),
    ("set_pin_to_drive", {"on": True}, nothing, "pin_required"),
    ("set_pin_to_drive", {"on": False, "password": "9999"}, on("pin_to_drive"), "wrong_pin"),
    ("reset_pin_to_drive_pin", NONE, on("pin_to_drive"), "active"),
    ("reset_pin_to_drive_pin", NONE, put(SECURITY + "valet", True), "valet_mode"),
    ("speed_limit_activate", {"pin": "12a4"}, nothing, "invalid_parameters"),
    ("speed_limit_activate", {"pin": "١٢٣٤"}, nothing, "invalid_parameters"),
    ("speed_limit_activate", PIN, on("speed_limit"), "already_set"),
    ("speed_limit_deactivate", OTHER, on("speed_limit"), "wrong_pin"),
    ("speed_limit_deactivate", PIN, nothing, "not_active"),
    ("speed_limit_clear_pin", OTHER, on("speed_limit"), "wrong_pin"),
    ("speed_limit_clear_pin", PIN, nothing, "pin_required"),
    ("speed_limit_set_limit", {"limit_mph": 49}, nothing, "invalid_parameters"),
    ("speed_limit_set_limit", {"limit_mph": 60}, on("speed_limit"), "active"),
    ("parental_controls_activate", PIN, on("parental"), "already_set"),
    ("parental_controls_deactivate", OTHER, on("parental"), "wrong_pin"),
    ("parental_controls_deactivate", PIN, nothing, "not_active"),
    (
        "parental_controls_enable_setting",
        {"setting": 7, "enable": True},
        nothing,
        "invalid_parameters",
    ),
    ("parental_controls_enable_setting", {"setting": 1, "enable": True}, on("parental"), "active"),
    ("parental_controls_set_speed_limit", {"limit_mph": 121}, nothing, "invalid_parameters"),
    ("parental_controls_set_speed_limit", {"limit_mph": 60}, on("parental"), "active"),
    ("guest_mode", {"enable": False}, nothing, "already_set"),
    ("guest_mode", {}, nothing, "invalid_parameters"),
    ("erase_user_data", NONE, nothing, "not_in_guest_mode"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_data_is_not_erased_while_driving() -> None:
    car = driving_car()
    do(car, "guest_mode", enable=True)
    assert actions.refusal(car, "erase_user_data", {}) == "vehicle_is_driving"


def test_a_known_pin_need_not_be_said_to_hand_the_car_over() -> None:
    car = parked_car()
    do(car, "set_valet_mode", on=True, password="1234")
    do(car, "set_valet_mode", on=False, password="1234")
    do(car, "set_valet_mode", on=True)
    assert actions.refusal(car, "set_valet_mode", {"on": False}) == "pin_required"


@pytest.mark.parametrize("who", ["owner", "parents"])
def test_a_limit_slows_the_car(who: str) -> None:
    car = Car(1)
    limit_mps = 50 * MPH_MPS
    if who == "owner":
        do(car, "speed_limit_set_limit", limit_mph=50)
        do(car, "speed_limit_activate", pin="1234")
    else:
        do(car, "parental_controls_set_speed_limit", limit_mph=50)
        do(car, "parental_controls_enable_setting", setting=0, enable=True)
        do(car, "parental_controls_activate", pin="1234")
    fastest = 0.0
    for second in range(7_200):
        car.advance(second)
        fastest = max(fastest, car.speed_mps)
    assert fastest == pytest.approx(limit_mps)


def test_a_valet_is_driven_gently() -> None:
    car = Car(1)
    do(car, "set_valet_mode", on=True, password="1234")
    fastest = 0.0
    for tick in range(4_000):
        car.advance(tick * TICK_S)
        fastest = max(fastest, car.acceleration_mps2)
    assert fastest == pytest.approx(GENTLE_MPS2)


def test_sentry_takes_power_and_ends_before_the_battery_does() -> None:
    car = staying_car()
    car._until_s = 1e9
    do(car, "set_sentry_mode", on=True)
    before_j = car.energy_j
    car.advance(3_600.0)
    assert before_j - car.energy_j == pytest.approx((SENTRY_W + STANDBY_W) * 3_600.0)
    car.energy_j = 0.2 * car.battery_j
    car.advance(3_610.0)
    assert not car.body.security.sentry
