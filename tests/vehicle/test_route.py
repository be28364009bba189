"""Routes along real roads: the points that were handed over, speeds that a car can keep there."""

import math

import pytest

from motorcade.vehicle.model import Car
from motorcade.vehicle.route import RoadPoint, Route, along

LIMIT_MPS = 50 / 3.6
CORNERS = [(49.40, 8.68), (49.41, 8.68), (49.41, 8.70), (49.40, 8.70)]  # 1.1 by 1.4 km


def square(stops: tuple[int, ...] = (0, 2), pieces: int = 10) -> list[RoadPoint]:
    """Four streets, each in so many pieces."""
    points = []
    for index, (lat, lon) in enumerate(CORNERS):
        to_lat, to_lon = CORNERS[(index + 1) % 4]
        for piece in range(pieces):
            part = piece / pieces
            at = lat + part * (to_lat - lat), lon + part * (to_lon - lon)
            points.append(RoadPoint(*at, LIMIT_MPS, piece == 0 and index in stops))
    return points


def drive(car: Car, seconds: int) -> list[tuple[float, float, bool]]:
    """(latitude, longitude, parked) twice a second."""
    seen = []
    for tick in range(2 * seconds):
        car.advance(tick / 2)
        seen.append((car.place.latitude_deg, car.place.longitude_deg, car.parked))
    return seen


def test_its_points_are_where_they_were_given_and_it_closes() -> None:
    points = square()
    route = along(points)
    assert route.length_m == pytest.approx(2 * 1_111.95 + 1_446.9 + 1_447.2, rel=1e-3)
    for point, leg in zip(points, route.legs, strict=True):
        assert route.place_at(leg.start_m)[:2] == pytest.approx(point[:2], abs=1e-9)
    assert route.place_at(route.length_m - 1e-6)[:2] == pytest.approx(points[0][:2], abs=1e-9)


def test_a_car_keeps_to_the_road_and_parks_only_where_it_may() -> None:
    car = Car(3, route=along(square()))
    parked = set()
    for latitude, longitude, stands in drive(car, 1_800)[60:]:
        off = min(
            abs(latitude - 49.40),
            abs(latitude - 49.41),
            abs(longitude - 8.68),
            abs(longitude - 8.70),
        )
        assert off < 1e-7
        if stands:
            parked.add((round(latitude, 4), round(longitude, 4)))
    # Where it stood at the start is anywhere on its round.
    assert parked & {(49.40, 8.68), (49.41, 8.70)}
    assert not parked & {(49.41, 8.68), (49.40, 8.70)}


def test_corners_are_taken_slowly_and_straight_joints_are_not() -> None:
    route = along(square())
    ends = [leg.end_mps for leg in route.legs]
    corners = [ends[index] for index in (9, 19, 29, 39)]
    assert all(2.0 < corner < 6.0 for corner in corners)
    assert max(ends) == LIMIT_MPS
    for before, leg in zip(ends, route.legs[1:], strict=False):
        assert before**2 <= leg.end_mps**2 + 2 * 2.0 * leg.length_m + 1e-6  # it can still brake


def test_a_car_brakes_no_harder_than_it_does_elsewhere() -> None:
    car = Car(4, route=along(square(pieces=60)))
    changes = []
    for tick in range(2 * 1_200):
        car.advance(tick / 2)
        changes.append(car.acceleration_mps2)
        assert car.speed_mps <= LIMIT_MPS + 1e-9
    assert -2.5 <= min(changes) < -0.5
    assert max(changes) <= 2.0


def test_the_next_place_to_park_is_found_round_the_end() -> None:
    route = along(square(stops=(1,)))
    assert all(leg.stop_m == pytest.approx(route.legs[10].start_m) for leg in route.legs[:10])
    after = route.length_m + route.legs[10].start_m
    assert all(leg.stop_m == pytest.approx(after) for leg in route.legs[10:])


@pytest.mark.parametrize(
    "points",
    [
        square()[:1],
        [point._replace(stop=False) for point in square()],
        [square()[0], *square()],
    ],
    ids=["one point", "nowhere to park", "a point twice"],
)
def test_what_is_no_round_is_refused(points: list[RoadPoint]) -> None:
    with pytest.raises(ValueError, match="round"):
        along(points)


def test_headings_turn_with_the_road() -> None:
    route: Route = along(square())
    headings = [route.place_at(leg.start_m + 1.0).heading_deg for leg in route.legs[::10]]
    assert headings == pytest.approx([0.0, 90.0, 180.0, 270.0], abs=0.02)
    assert math.degrees(route.legs[0].heading_rad) == pytest.approx(0.0, abs=1e-9)
