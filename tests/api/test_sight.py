"""What a token may see of where a car is: scope, zones, grid; the same wherever it is asked."""

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.api.ground import distance_m, snapped
from motorcade.api.sight import (
    AROUND,
    COORDINATES,
    JOURNEY,
    LOCATION_SIGNALS,
    PLACES,
    Sight,
)
from motorcade.registry.privacy.port import Zone
from motorcade.state.port import SignalValue, VehicleState

HOME = Zone(1, "home", 52.52, 13.405, 500.0)
IN, OUT = (52.521, 13.406), (52.53, 13.405)
SRC = Path(__file__).parents[2] / "src" / "motorcade"


def says(place: tuple[float, float], **more: Any) -> dict[str, SignalValue]:
    values = {"latitude": place[0], "longitude": place[1], "gps_heading": 90.0, "soc": 50.0} | more
    return {name: SignalValue(value, 5, "") for name, value in values.items()}


def told(sight: Sight, signals: dict[str, SignalValue]) -> dict[str, Any]:
    return {name: said.value for name, said in sight.of(signals, signals).items()}


def test_every_signal_of_the_class_is_of_a_group_or_never_told_where_the_owner_limits() -> None:
    """A new signal that says where a car is must be put somewhere, or is held back."""
    held_back = LOCATION_SIGNALS - COORDINATES - PLACES - AROUND - JOURNEY
    assert held_back == {"location", "origin_location", "destination_location", "route_line"}
    assert AROUND | COORDINATES | PLACES <= LOCATION_SIGNALS


def test_a_zone_hides_all_of_the_class_inside_and_nothing_of_it_outside() -> None:
    sight = Sight(True, (HOME,))
    everything = says(IN, **dict.fromkeys(LOCATION_SIGNALS - {"latitude", "longitude"}, 1.0))
    assert told(sight, everything) == {"soc": 50.0}
    assert told(sight, says(OUT)) == {
        "latitude": 52.53,
        "longitude": 13.405,
        "gps_heading": 90.0,
        "soc": 50.0,
    }
    assert told(Sight(True), says(IN))["latitude"] == 52.521
    assert told(Sight(False), says(OUT)) == {"soc": 50.0}


@pytest.mark.parametrize(
    "position", [{}, {"latitude": None}, {"longitude": math.nan}, {"latitude": "52.53"}]
)
def test_where_a_car_is_not_known_to_be_outside_nothing_is_told(position: dict[str, Any]) -> None:
    signals = says(OUT, **position) if position else says(OUT)
    if not position:
        del signals["longitude"]
    assert told(Sight(True, (HOME,)), signals) == {"soc": 50.0}


def test_a_destination_in_a_zone_is_not_told_outside_either() -> None:
    sight = Sight(True, (HOME,))
    going = {
        "destination_latitude": IN[0],
        "destination_longitude": IN[1],
        "destination_name": "Home Street 1",
        "distance_to_arrival": 900.0,
        "route_line": "x",
        "charge_schedule_0_place": f"{IN[0]},{IN[1]}",
    }
    assert told(sight, says(OUT, **going)) == told(sight, says(OUT))
    away = going | {"destination_latitude": 53.0, "charge_schedule_0_place": "53.0,13.0"}
    named = set(told(sight, says(OUT, **away))) - set(told(sight, says(OUT)))
    assert named == set(going) - {"route_line"}
    ended = dict.fromkeys(going)
    assert told(sight, says(OUT, **ended)) == told(sight, says(OUT)) | ended


AT_OTHER_TIMES = (
    ({"latitude": 9, "longitude": 9}, 5),  # it left a zone since
    ({"latitude": 5, "longitude": 5}, 9),  # it may have gone into one since
    ({"latitude": 5, "longitude": 9}, 9),  # half a position is of then
    ({"latitude": 5, "longitude": 9}, 5),
)


@pytest.mark.parametrize(("times_us", "word_us"), AT_OTHER_TIMES)
@pytest.mark.parametrize(
    ("prefix", "words"), [("", AROUND), ("destination_", JOURNEY)], ids=["around", "journey"]
)
def test_words_are_told_with_coordinates_of_their_own_time_alone(
    prefix: str, words: frozenset[str], times_us: dict[str, int], word_us: int
) -> None:
    """Where it heads for and whether it is at home may be of a place in a zone at other times."""
    sight = Sight(True, (HOME,))
    coordinates = {"destination_latitude": OUT[0], "destination_longitude": OUT[1]}
    signals = says(OUT, **coordinates, **dict.fromkeys(words, "x"))
    assert words <= told(sight, signals).keys()
    for name, time_us in times_us.items():
        signals[prefix + name] = signals[prefix + name]._replace(time_us=time_us)
    for name in words:
        signals[name] = signals[name]._replace(time_us=word_us)
    assert not words & told(sight, signals).keys()
    assert words <= told(Sight(True), signals).keys()
    late = {name: signals[name] for name in words}  # as a stream hears them, without a pair
    assert sight.of(late, signals) == {}


LIMITED = (
    Sight(False),
    Sight(False, (HOME,)),
    Sight(True, (HOME,)),
    Sight(True, grid_m=1_000),
)


@pytest.mark.parametrize("sight", LIMITED)
@pytest.mark.parametrize("where", [IN, OUT])
def test_names_out_of_the_catalogue_are_told_to_who_sees_all_alone(
    sight: Sight, where: tuple[float, float]
) -> None:
    """A car may send any name: nobody can say what it tells of."""
    made_up = {"gps_lat": where[0], "gps_note": None}
    signals = says(where, **made_up)
    assert not made_up.keys() & told(sight, signals).keys()
    assert told(sight, signals)["soc"] == 50.0
    assert made_up.keys() <= told(Sight(True), signals).keys()


@pytest.mark.parametrize("sight", LIMITED)
@pytest.mark.parametrize("kind", ["charge_schedule_0", "precondition_schedule_7"])
def test_a_schedule_s_own_words_of_its_place_are_not_told(sight: Sight, kind: str) -> None:
    plain = '{"id": 7, "enabled": true}'
    odd = '{"id":7,"latitude":52.521,"longitude":13.406,"at":"Home","name":{"lat":52.521}}'
    assert told(sight, says(OUT, **{kind: odd}))[kind] == '{"id":7}'
    assert told(sight, says(OUT, **{kind: plain}))[kind] == plain
    assert told(Sight(True), says(OUT, **{kind: odd}))[kind] == odd
    for text, shown in (("", ""), ("52.521,13.406", ""), (52.521, ""), (None, None)):
        assert told(sight, says(OUT, **{kind: text}))[kind] == shown


def test_on_a_grid_coordinates_are_the_grid_s_and_nothing_else_is_told() -> None:
    sight = Sight(True, grid_m=1_000)
    shown = told(sight, says(IN, altitude=34.0, destination_name="Home Street 1"))
    assert shown.keys() == {"latitude", "longitude", "soc"}
    assert (shown["latitude"], shown["longitude"]) == snapped(IN, 1_000)
    one = {"latitude": SignalValue(IN[0], 9, "")}  # a change may bring half of a pair
    assert sight.of(one, says(IN)).keys() == {"latitude", "longitude"}


@given(
    st.floats(-90, 90),
    st.floats(-180, 180),
    st.integers(1, 100_000),
)
def test_a_grid_is_near_enough_and_its_own_fixed_point(
    latitude_deg: float, longitude_deg: float, grid_m: int
) -> None:
    place = snapped((latitude_deg, longitude_deg), grid_m)
    assert abs(place[0]) <= 90
    assert abs(place[1]) <= 180
    assert distance_m(place, (latitude_deg, longitude_deg)) <= grid_m * 1.1 + 0.2
    if grid_m >= 10 and abs(latitude_deg) < 80:
        again = snapped(place, grid_m)
        assert distance_m(again, place) < 1


def test_many_places_in_one_cell_are_one() -> None:
    corner = snapped((52.52, 13.405), 1_000)
    around = {
        snapped((corner[0] + north * 1e-4, corner[1] + east * 1e-4), 1_000)
        for north in range(-40, 41, 8)
        for east in range(-60, 61, 12)
    }
    assert around == {corner}


def test_a_view_is_the_state_without_what_is_not_told() -> None:
    state = VehicleState(says(IN), online=True, last_received_us=7)
    view = Sight(True, (HOME,)).view(state)
    assert (view.located, set(view.state.signals), view.state.online) == (False, {"soc"}, True)
    assert Sight(True).view(state).state is state


READS_STATE = {
    "counter.py",  # `view`, which everybody else asks
    "answers.py",  # of questions that hold a sight
    "explain.py",  # holds a sight against the signal first: all of it may be told, or nothing
    "feed.py",  # what it tells goes through `Sight.of`
    "vehicles.py",  # an entry: presence and the car's name
    *("access.py", "routes.py", "settings.py"),  # energy sites
}


def test_no_route_reads_a_vehicle_s_state_past_the_sight() -> None:
    readers = {
        path.name for path in (SRC / "api").rglob("*.py") if "state.read(" in path.read_text()
    }
    assert readers == READS_STATE
