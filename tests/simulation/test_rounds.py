"""Rounds for agents: closed, on streets, the same for a seed, and fit to be driven."""

import numpy as np
import pytest

from motorcade.simulation.rounds import Rounds
from motorcade.simulation.streets import Streets, read_streets
from motorcade.vehicle.model import Car
from motorcade.vehicle.route import RoadPoint, along

SEEDS = range(6)


@pytest.fixture(scope="module")
def streets() -> Streets:
    return read_streets()


@pytest.fixture(scope="module")
def rounds(streets: Streets) -> Rounds:
    return Rounds(streets)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_round_is_made_of_streets_and_closes(seed: int, rounds: Rounds, streets: Streets) -> None:
    points = rounds.draw(seed)
    mapped = set(zip(streets.point_lat_deg, streets.point_lon_deg, strict=True))
    assert all(point[:2] in mapped for point in points)
    route = along([RoadPoint(*point) for point in points])
    assert 3_000 < route.length_m < 60_000
    assert sum(point.stop for point in points) >= 5
    steps = [leg.length_m for leg in route.legs]
    assert max(steps) < streets.edge_length_m.max() + 1.0
    assert np.median(steps) < 60


def test_the_same_seed_draws_the_same_round(rounds: Rounds, streets: Streets) -> None:
    assert rounds.draw(7) == Rounds(streets).draw(7)
    assert rounds.draw(7) != rounds.draw(8)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_agent_drives_it_as_a_person_would(seed: int, rounds: Rounds) -> None:
    car = Car(seed, route=along([RoadPoint(*point) for point in rounds.draw(seed)]))
    speeds, limits, slowed = [], [], []
    for tick in range(2 * 1_800):
        car.advance(tick / 2)
        if not car.parked:
            speeds.append(car.speed_mps)
            limits.append(car.route.leg_at(car.distance_m).limit_mps)
            slowed.append(car.acceleration_mps2)
    over = np.array(speeds) - np.array(limits)
    assert over.max() < 3.0  # a limit that falls in a bend is met a tick late at most
    assert (over > 0.5).mean() < 0.02
    assert min(slowed) >= -2.5
    assert 15 < np.mean(speeds) * 3.6 < 70
