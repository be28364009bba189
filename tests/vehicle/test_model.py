"""The physical car: energy is booked, everything stays in bounds, the same seed is the same car."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.vehicle import actions
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import (
    ACCELERATION_MPS2,
    BATTERY_J,
    BRAKING_MPS2,
    TICK_S,
    Car,
)
from motorcade.vehicle.route import LIMITS_MPS

seeds = st.integers(0, 10_000)


@given(seeds, st.integers(0, 3))
@settings(max_examples=12, deadline=None)
def test_every_joule_is_accounted_for(seed: int, charge_percent: int) -> None:
    car = Car(seed)
    car.energy_j = BATTERY_J * charge_percent / 100 or car.energy_j  # also nearly empty ones
    start_j = car.energy_j
    car.body.climate_on = True
    for second in range(1, 2_000):
        before_j, kinetic_before = car.energy_j, car.speed_mps
        car.advance(second)
        assert 0.0 <= car.energy_j <= BATTERY_J
        assert abs(car.energy_j - before_j) < 400e3, kinetic_before
    booked_j = car.energy_charged_j + car.energy_recovered_j - car.energy_used_j
    assert car.energy_j - start_j == pytest.approx(booked_j, abs=1.0)
    assert car.energy_recovered_j <= car.energy_used_j


@given(seeds)
@settings(max_examples=12, deadline=None)
def test_motion_stays_within_what_cars_and_roads_allow(seed: int) -> None:
    car = Car(seed)
    tick_s = 0.0
    for _ in range(3_000):
        tick_s += TICK_S
        before_m, before_mps = car.odometer_m, car.speed_mps
        car.advance(tick_s)
        change = (car.speed_mps - before_mps) / TICK_S
        assert 0.0 <= car.speed_mps <= max(LIMITS_MPS)
        assert change <= ACCELERATION_MPS2 + 1e-9
        assert change >= -BRAKING_MPS2 - 1.0  # the last half metre per second before standing
        moved_m = car.odometer_m - before_m
        assert -1e-6 <= moved_m <= max(LIMITS_MPS) * TICK_S + 1e-6
        assert car.gear == ("P" if car.parked else "D")
        assert not (car.parked and car.speed_mps)
        assert not (car.moving and car.body.charge is not Charge.DISCONNECTED)
        assert -40 < car.inside_degc < 60


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_position_moves_as_far_as_the_odometer_says(seed: int) -> None:
    car = Car(seed)
    car.advance(60.0)
    for second in range(61, 600):
        place, odometer_m = car.place, car.odometer_m
        car.advance(second)
        north_m = math.radians(car.place.latitude_deg - place.latitude_deg) * 6_371_008.8
        east_m = math.radians(car.place.longitude_deg - place.longitude_deg) * 6_371_008.8
        east_m *= math.cos(math.radians(place.latitude_deg))
        # Round a corner the straight line is shorter than the way.
        assert math.hypot(north_m, east_m) <= (car.odometer_m - odometer_m) * 1.01 + 0.01


@given(seeds, st.lists(st.floats(0.01, 50), max_size=30))
@settings(max_examples=20, deadline=None)
def test_asking_more_often_changes_nothing(seed: int, asked_s: list[float]) -> None:
    often, once = Car(seed), Car(seed)
    end_s = sum(asked_s)
    at_s = 0.0
    for step_s in asked_s:
        at_s += step_s
        often.advance(at_s)
    once.advance(at_s)
    assert (often.place, often.energy_j, often.speed_mps) == (
        once.place,
        once.energy_j,
        once.speed_mps,
    )
    assert end_s == pytest.approx(at_s)


def test_cars_drive_park_and_charge_over_a_day() -> None:
    car = Car(3)
    car.energy_j = 0.3 * BATTERY_J
    seen: set[tuple[bool, Charge]] = set()
    for minute in range(24 * 60):
        car.advance(60.0 * minute)
        seen.add((car.parked, car.body.charge))
    assert {(False, Charge.DISCONNECTED), (True, Charge.DISCONNECTED), (True, Charge.CHARGING)} <= (
        seen
    )
    assert car.odometer_m > 100_000


def test_an_empty_car_still_moves_to_a_place_where_it_can_charge() -> None:
    car = Car(5)
    car.energy_j = 0.021 * BATTERY_J
    for second in range(7_200):
        car.advance(second)
        if car.body.charge is Charge.CHARGING:
            break
    assert car.body.charge is Charge.CHARGING
    assert car.parked


def test_the_climate_brings_the_cabin_to_what_was_asked() -> None:
    car = Car(1)
    car.outside_degc = car.inside_degc = -5.0
    actions.apply(car, "set_temps", {"driver_temp": 22, "passenger_temp": 22})
    actions.apply(car, "auto_conditioning_start", {})
    car.advance(1_200.0)
    assert car.inside_degc == pytest.approx(22.0, abs=0.1)
    actions.apply(car, "auto_conditioning_stop", {})
    car.advance(1_800.0)
    assert car.inside_degc < 22.0


def test_a_route_is_a_closed_loop() -> None:
    route = Car(9).route
    assert route.place_at(0.0)[:2] == pytest.approx(route.place_at(route.length_m)[:2])
    end = route.place_at(route.length_m - 1e-6)
    assert end[:2] == pytest.approx(route.place_at(0.0)[:2], abs=1e-9)
