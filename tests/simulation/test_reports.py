"""What the fleet says: often enough, not too often, and from a tunnel late but in order."""

from itertools import pairwise

import numpy as np
import pytest

from motorcade.simulation import kernels
from motorcade.simulation.fleet import Fleet
from motorcade.simulation.reports import (
    LEVELS,
    PARKED_S,
    PLACE,
    STATE,
    Reporter,
    Reports,
    joined,
)
from motorcade.simulation.streets import read_streets

CARS, SECONDS = 2_000, 600


@pytest.fixture(scope="module")
def said() -> tuple[Reports, list[np.ndarray], list[int]]:
    """All reports of ten minutes, who was in a tunnel each second, how many of them each second."""
    fleet = Fleet(read_streets(), CARS, 5)
    reporter = Reporter(fleet, 5)
    parts, inside, waiting = [], [], []
    for _ in range(SECONDS):
        fleet.step()
        parts.append(reporter.reports())
        inside.append(fleet.in_tunnel())
        waiting.append(reporter.held)
    return joined(parts), inside, waiting


Said = tuple[Reports, list[np.ndarray], list[int]]


def test_every_car_is_heard_and_its_times_rise(said: Said) -> None:
    reports, inside, _ = said
    silent = set(range(CARS)) - set(reports.car.tolist())
    assert all(np.all([now[car] for now in inside]) for car in silent)  # parked in a tunnel
    for car in range(CARS):
        times = reports.time_s[reports.car == car]
        assert np.all(np.diff(times) > 0)


def test_moving_cars_speak_every_few_seconds_and_parked_ones_once_a_minute(said: Said) -> None:
    reports, _, _ = said
    gaps_moving, gaps_parked = [], []
    for car in range(CARS):
        own = reports.rows(reports.car == car)
        for (a, b), (first, second) in zip(pairwise(own.time_s), pairwise(own.state), strict=True):
            if first == second == kernels.MOVING:
                gaps_moving.append(b - a)
            elif first == second:
                gaps_parked.append(b - a)
    assert max(gaps_moving) <= 11
    assert 2 < np.mean(gaps_moving) < 6
    assert min(gaps_parked) == max(gaps_parked) == PARKED_S
    assert len(reports) / CARS / SECONDS < 0.25


def test_a_change_of_state_is_said_at_once_and_whole(said: Said) -> None:
    reports, _, _ = said
    told = np.full(CARS, 255)
    for car, what, state in zip(reports.car, reports.what, reports.state, strict=True):
        if state != told[car]:
            assert what & STATE
            assert what & LEVELS
        told[car] = state


def test_a_tunnel_is_silence_and_then_the_backlog_without_places(said: Said) -> None:
    reports, inside, waiting = said
    assert max(waiting) > 5
    seconds = reports.time_s.astype(np.int64) - 1
    hidden = np.array(inside)[seconds, reports.car]
    assert hidden.sum() > 20
    assert np.array_equal(hidden, (reports.what & PLACE) == 0)
    assert np.array_equal(hidden, np.isnan(reports.lat_deg))


def test_nothing_arrives_from_inside_a_tunnel() -> None:
    fleet = Fleet(read_streets(), CARS, 5)
    reporter = Reporter(fleet, 5)
    late = 0
    for _ in range(300):
        fleet.step()
        now = reporter.reports()
        assert not fleet.in_tunnel()[now.car].any()
        late += (now.time_s < fleet.now_s).sum()
    assert late > 5


def test_the_same_seed_says_the_same() -> None:
    def all_of_it() -> bytes:
        fleet = Fleet(read_streets(), 300, 8)
        reporter = Reporter(fleet, 8)
        parts = []
        for _ in range(120):
            fleet.step()
            parts.append(reporter.reports())
        return b"".join(column.tobytes() for column in joined(parts))

    assert all_of_it() == all_of_it()
