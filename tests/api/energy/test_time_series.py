"""Meters to intervals: sums are exact, gaps are even, nothing is invented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.api.energy.history import FIELDS, time_series
from motorcade.meters.port import METERS, Point

HOUR_US = 3_600_000_000
START_US = 1_790_000_000_000_000 // HOUR_US * HOUR_US
KWH = 3_600_000


def point(hours: float, *kwh: float) -> Point:
    joules = [round(KWH * value) for value in kwh] + [0] * (len(METERS) - len(kwh))
    return Point(START_US + round(hours * HOUR_US), tuple(joules))


def cuts(*hours: float) -> list[int]:
    return [START_US + round(hour * HOUR_US) for hour in hours]


def test_a_gap_is_shared_evenly_and_outside_of_the_points_is_nothing() -> None:
    series = time_series([point(1, 2), point(4, 8)], cuts(0, 1, 2, 3, 4, 5), "UTC")
    assert [one["consumer_energy_imported_from_solar"] for one in series] == [2_000] * 3
    assert series[0]["timestamp"].endswith(":00:00+00:00")
    assert time_series([point(1, 2)], cuts(0, 5), "UTC") == []
    assert time_series([], cuts(0, 5), "UTC") == []
    assert time_series([point(1, 2), point(4, 8)], [], "UTC") == []


def test_exchanged_meters_count_from_nothing() -> None:
    series = time_series([point(0, 5), point(1, 7), point(2, 1)], cuts(0, 1, 2), "UTC")
    assert [one["solar_energy_exported"] for one in series] == [2_000, 1_000]


def test_members_are_the_flows_that_tesla_means() -> None:
    (one,) = time_series([point(0), point(1, 1, 2, 4, 8, 16, 32, 64)], cuts(0, 1), "UTC")
    assert one["solar_energy_exported"] == one["total_solar_generation"] == 7_000
    assert one["grid_energy_imported"] == 96_000
    assert one["battery_energy_exported"] == 24_000
    assert one["total_battery_charge"] == 66_000
    assert one["total_home_usage"] == 41_000
    assert one["total_grid_energy_exported"] == 20_000
    assert one["generator_energy_exported"] == 0
    assert set(one) == {"timestamp", *FIELDS}


@given(
    rises=st.lists(st.integers(0, 10**9), min_size=2, max_size=30),
    inner=st.lists(st.floats(0, 29), max_size=20),
)
def test_any_cut_sums_to_what_the_meters_show(rises: list[int], inner: list[float]) -> None:
    total, points = 0, []
    for hour, rise in enumerate(rises):
        total += rise
        points.append(Point(START_US + hour * HOUR_US, (total,) + (0,) * (len(METERS) - 1)))
    edges = sorted({0.0, 29.0, *inner})
    series = time_series(points, cuts(*edges), "UTC")
    summed = sum(one["solar_energy_exported"] for one in series)
    assert summed == pytest.approx((total - rises[0]) / 3_600, rel=1e-9, abs=1e-6)
