"""Where to go: what each command changes, and when the car says no."""

import pytest

from motorcade.vehicle.body import Stop
from motorcade.vehicle.navigation import STOPS_MAX, left_m
from tests.vehicle.actions.cars import (
    Effect,
    Refusal,
    check_effect,
    check_refusal,
    do,
    driving_car,
    get,
    nothing,
    parked_car,
)

SHARED = {
    "type": "share_ext_content_raw",
    "value": {"android.intent.extra.TEXT": "Alexanderplatz 1\n10178 Berlin"},
    "locale": "de-DE",
    "timestamp_ms": 1,
}
GPS = {"lat": 48.1, "lon": 11.5, "order": 0}
DESTINATION = get("body.destination")
EFFECTS: list[Effect] = [
    ("navigation_gps_request", GPS, nothing, DESTINATION, "48.100000,11.500000"),
    ("navigation_request", SHARED, nothing, DESTINATION, "Alexanderplatz 1 10178 Berlin"),
    ("navigation_sc_request", {"id": 42}, nothing, DESTINATION, "Supercharger 42"),
    (
        "navigation_waypoints_request",
        {"waypoints": "refId:a,refId:b"},
        nothing,
        lambda car: list(car.body.stops),
        [Stop("refId:a"), Stop("refId:b")],
    ),
]


@pytest.mark.parametrize("row", EFFECTS, ids=[row[0] for row in EFFECTS])
def test_a_command_does_what_it_says(row: Effect) -> None:
    check_effect(row, parked_car())


REFUSALS: list[Refusal] = [
    ("navigation_gps_request", {"lat": 91, "lon": 0}, nothing, "invalid_parameters"),
    ("navigation_gps_request", {"lat": float("nan"), "lon": 0}, nothing, "invalid_parameters"),
    ("navigation_gps_request", GPS | {"order": 4}, nothing, "invalid_parameters"),
    ("navigation_request", SHARED | {"value": {}}, nothing, "invalid_parameters"),
    ("navigation_request", SHARED | {"value": " \n"}, nothing, "invalid_parameters"),
    ("navigation_sc_request", {"id": "x"}, nothing, "invalid_parameters"),
    ("navigation_waypoints_request", {"waypoints": " , "}, nothing, "invalid_parameters"),
    ("navigation_waypoints_request", {"waypoints": ["x"] * 21}, nothing, "invalid_parameters"),
]


@pytest.mark.parametrize("row", REFUSALS)
def test_the_car_says_why_not(row: Refusal) -> None:
    check_refusal(row, parked_car())


def test_the_order_says_where_in_the_journey() -> None:
    car = parked_car()
    do(car, "navigation_sc_request", id=1)
    do(car, "navigation_sc_request", id=2, order=2)
    do(car, "navigation_sc_request", id=3, order=3)
    assert [stop.name[-1] for stop in car.body.stops] == ["2", "1", "3"]
    do(car, "navigation_sc_request", id=4, order=1)
    assert [stop.name[-1] for stop in car.body.stops] == ["4"]


def test_a_journey_has_a_limit() -> None:
    car = parked_car()
    for number in range(STOPS_MAX + 5):
        do(car, "navigation_sc_request", id=number, order=3)
    assert len(car.body.stops) == STOPS_MAX


def test_a_stop_that_the_car_comes_to_is_done() -> None:
    car = driving_car()
    ahead = car.route.place_at(car.distance_m + 400.0)
    do(car, "navigation_gps_request", lat=ahead.latitude_deg, lon=ahead.longitude_deg)
    do(car, "navigation_sc_request", id=1, order=3)
    assert 200.0 < (left_m(car) or 0.0) < 600.0
    car.advance(car.elapsed_s + 120.0)
    assert car.body.destination == "Supercharger 1"
    assert left_m(car) is None
