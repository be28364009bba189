"""All commands together: each one's effect is tested, and no sequence breaks what always holds."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.commands.parameters import ALL_DAYS, Kind, Parameter
from motorcade.commands.table import COMMANDS, read_parameters
from motorcade.vehicle import actions
from motorcade.vehicle.body import Charge
from motorcade.vehicle.model import BATTERY_J, TICK_S, Car
from motorcade.vehicle.route import LIMITS_MPS
from tests.vehicle.actions import (
    test_charging,
    test_climate,
    test_doors,
    test_media,
    test_navigation,
    test_other,
    test_security,
)
from tests.vehicle.actions.cars import EVERYTHING, driving_car, parked_car

AREAS = (
    *(test_charging, test_climate, test_doors, test_media, test_navigation, test_other),
    test_security,
)


def test_the_car_does_every_command_of_the_table_and_no_other() -> None:
    assert set(actions.ACTIONS) == set(COMMANDS)


def test_every_command_has_a_test_of_its_effect() -> None:
    assert {row[0] for area in AREAS for row in area.EFFECTS} == set(actions.ACTIONS)


def test_what_the_tests_send_is_what_the_api_lets_through() -> None:
    """So that no test rests on parameters that never reach a car."""
    for area in AREAS:
        for name, parameters, *_ in area.EFFECTS:
            assert read_parameters(COMMANDS[name], parameters) == parameters, name


def values_of(parameter: Parameter) -> st.SearchStrategy[Any]:
    """What the API lets through."""
    match parameter.kind:
        case Kind.INTEGER:
            return st.integers(int(parameter.low), int(parameter.high))
        case Kind.NUMBER:
            return st.floats(parameter.low, parameter.high)
        case Kind.BOOLEAN:
            return st.booleans()
        case Kind.WORD:
            return st.sampled_from(parameter.words)
        case Kind.PIN:
            return st.sampled_from(["1234", "0000"])
        case Kind.DAYS:
            return st.integers(0, ALL_DAYS)
        case Kind.TEXT:
            return st.text(max_size=parameter.characters_max)
        case Kind.TEXT_OR_OBJECT:
            return st.text(max_size=20) | st.dictionaries(st.text(max_size=9), st.text(max_size=9))
        case Kind.TEXT_OR_LIST:
            return st.text(max_size=20) | st.lists(st.text(max_size=9), max_size=9)


@st.composite
def commands(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    row = COMMANDS[draw(st.sampled_from(sorted(COMMANDS)))]
    given_ = {
        parameter.name: draw(values_of(parameter))
        for parameter in row.parameters
        if parameter.required or draw(st.booleans())
    }
    return row.name, given_


steps = st.lists(
    st.tuples(commands(), st.floats(0.0, 120.0) | st.floats(0.0, 3_000.0)), max_size=25
)


def opened_percent(car: Car) -> tuple[float, ...]:
    """Everything that can be open, in one row."""
    body = car.body
    return (
        *body.doors_open.values(),
        *body.trunks_open.values(),
        *body.windows_percent.values(),
        body.sun_roof.percent,
        body.tonneau.percent,
        body.charging.port_open,
        not body.locked,
    )


def check(car: Car, start_j: float) -> None:
    """What holds at every moment, whatever was commanded."""
    body, climate = car.body, car.body.climate
    booked_j = car.energy_charged_j + car.energy_recovered_j - car.energy_used_j
    assert car.energy_j - start_j == pytest.approx(booked_j, abs=1.0)
    assert 0.0 <= car.energy_j <= BATTERY_J
    assert not (car.moving and (body.charge is not Charge.DISCONNECTED or body.opened_lids))
    assert not (car.moving and car.asleep)
    assert not (body.charging.pending and body.charge is not Charge.STOPPED)
    assert 0.0 <= car.speed_mps <= max(LIMITS_MPS) + 1e-9
    assert 0.0 <= car.charger_power_w <= 16 * 3 * 230
    assert -60 < car.inside_degc < 90
    levels = (*climate.seat_heaters.values(), *climate.seat_coolers.values(), climate.wheel_level)
    assert all(0 <= level <= 3 for level in levels)
    assert 0.0 <= body.media.volume <= 11.0
    assert all(0.0 <= lid.percent <= 100.0 for lid in (body.sun_roof, body.tonneau))


@given(st.integers(0, 10_000), st.floats(0.0, 1.0), steps)
@settings(max_examples=50, deadline=None)
def test_no_sequence_of_commands_breaks_what_always_holds(
    seed: int, soc: float, sequence: list[tuple[tuple[str, dict[str, Any]], float]]
) -> None:
    car = Car(seed, equipment=EVERYTHING)
    start_j = car.energy_j = soc * BATTERY_J
    for (name, parameters), wait_s in sequence:
        if actions.refusal(car, name, parameters) == actions.ACCEPTED:
            before = opened_percent(car)
            actions.apply(car, name, parameters)
            if car.moving:
                opened = zip(before, opened_percent(car), strict=True)
                assert all(now <= then for then, now in opened), name
        check(car, start_j)
        end_s = car.elapsed_s + wait_s
        while car.elapsed_s + TICK_S <= end_s:
            was_moving, before = car.moving, opened_percent(car)
            car.advance(min(car.elapsed_s + 10 * TICK_S, end_s))
            check(car, start_j)
            if was_moving and car.moving:
                opened = zip(before, opened_percent(car), strict=True)
                assert all(now <= then for then, now in opened)


@given(st.integers(0, 10_000), steps)
@settings(max_examples=20, deadline=None)
def test_the_same_seed_and_commands_are_the_same_car(
    seed: int, sequence: list[tuple[tuple[str, dict[str, Any]], float]]
) -> None:
    cars = [Car(seed), Car(seed)]
    for (name, parameters), wait_s in sequence:
        reasons = {actions.refusal(car, name, parameters) for car in cars}
        assert len(reasons) == 1
        for car in cars:
            if reasons == {actions.ACCEPTED}:
                actions.apply(car, name, parameters)
            car.advance(car.elapsed_s + min(wait_s, 600.0))
    for one, other in pairwise(cars):
        assert one.body == other.body
        assert (one.energy_j, one.odometer_m, one.asleep) == (
            other.energy_j,
            other.odometer_m,
            other.asleep,
        )


JUNK: list[Any] = [None, True, "x", -1, 1e300, float("nan"), [], {}, "9" * 99, 1 << 60]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_car_survives_what_the_api_would_never_let_through(name: str) -> None:
    """It obeys signatures, so it checks again; what it takes it can carry out."""
    row = COMMANDS[name]
    for junk in JUNK:
        for make in (parked_car, driving_car):
            car = make()
            parameters = {parameter.name: junk for parameter in row.parameters}
            if actions.refusal(car, name, parameters) == actions.ACCEPTED:
                actions.apply(car, name, parameters)
                car.advance(car.elapsed_s + 2.0)
