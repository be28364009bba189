"""Areas on the ground: which rings are one, across 180 degrees too; what lies inside."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.history.area import Area, AreaError
from motorcade.history.index import E7, EVERYWHERE, NOWHERE, boxes_of
from motorcade.history.kernels import pair_up, visits

Ring = list[tuple[float, float]]

longitudes = st.integers(-180, 180).map(float)
latitudes = st.integers(-90, 90).map(float)
offsets = st.tuples(st.integers(0, 20), st.integers(-20, 20))


def is_inside(area: Area, longitude: float, latitude: float) -> bool:
    fixes = np.zeros(1, np.int64)
    visits(
        np.ones(1, np.uint8),
        np.array([0, 1]),
        np.zeros(1, np.int64),
        np.array([latitude]),
        np.array([longitude]),
        np.array([0, 1]),
        area.edges,
        area.corners,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        fixes,
    )
    return bool(fixes[0])


def plain(ring: Ring, x: float, y: float) -> bool:
    """By crossing counts of a ray to the east, not the north as the kernel has it."""
    crossings = 0
    for (x_1, y_1), (x_2, y_2) in zip(ring, [*ring[1:], ring[0]], strict=True):
        if (y_1 > y) != (y_2 > y) and x < x_1 + (y - y_1) * (x_2 - x_1) / (y_2 - y_1):
            crossings += 1
    return crossings % 2 == 1


@settings(deadline=None, max_examples=200)
@given(st.lists(offsets, min_size=3, max_size=8), longitudes, st.lists(offsets, max_size=20))
def test_inside_is_the_same_anywhere_on_earth(
    ring: Ring, west: float, points: list[tuple[int, int]]
) -> None:
    """A ring moved to any longitude, its own written within 180 degrees, surrounds the same."""

    def placed(x: float) -> float:
        return (west + x + 180) % 360 - 180

    area = Area.of([(placed(x), y) for x, y in ring])
    assert -180 <= area.edges[0] < 180
    for x, y in points:
        x, y = x + 0.37, y + 0.41  # on no side: its slopes are of small numbers
        wanted = plain(ring, x, y)
        assert is_inside(area, placed(x), y) == wanted
        box = boxes_of(np.array([[placed(x), y, -placed(x), -y]]))
        assert not wanted or bool(area.meets(box)[0])


@pytest.mark.parametrize(
    "corners",
    [
        [(0, 0), (1, 1)],
        [(0, 0), (1, 1), (float("nan"), 2)],
        [(0, 0), (1, 91), (2, 2)],
        [(0, 80), (120, 80), (240, 80)],  # around the pole
        [(step * 100.0, step % 2) for step in (*range(6), *range(5, 0, -1))],  # beyond one turn
    ],
)
def test_what_is_no_area_is_refused(corners: Ring) -> None:
    with pytest.raises(AreaError):
        Area.of(corners)


def test_boxes_are_rounded_outwards_and_say_when_nothing_is_known() -> None:
    nan, inf = np.nan, np.inf
    told = [
        [1.00000004, 2.0, -3.00000004, -4.0],
        [nan, 2.0, nan, -4.0],
        [190.0, 2.0, -191.0, -4.0],
        [-inf, 2.0, inf, -4.0],
    ]
    boxes = boxes_of(np.array(told)).tolist()
    assert boxes[0] == [E7, 2 * E7, 3 * E7 + 1, 4 * E7]
    assert boxes[1:] == [list(NOWHERE), list(EVERYWHERE), list(EVERYWHERE)]
    area = Area.of([(170, -5), (-170, -5), (-170, 5)])
    met = area.meets(np.array([NOWHERE, EVERYWHERE], np.int32)).tolist()
    assert met == [False, True]


coordinate = st.sampled_from([np.nan, 1.0, 2.0])


@settings(deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 9), coordinate, coordinate), max_size=6), max_size=4)
)
def test_coordinates_pair_up_within_the_time_and_the_vehicle(
    said: list[list[tuple[int, float, float]]],
) -> None:
    wanted = []
    for rows in said:
        rows.sort(key=lambda row: row[0])
        for place, (_time, latitude, longitude) in enumerate(rows):
            before = rows[: place + 1]
            known = [
                next((row for row in reversed(before) if row[one] == row[one]), None)
                for one in (1, 2)
            ]
            fix = (np.nan, np.nan)
            if (latitude == latitude or longitude == longitude) and None not in known:
                north, east = known
                assert north is not None
                assert east is not None
                if abs(north[0] - east[0]) <= 3:
                    fix = north[1], east[2]
            wanted.append(fix)
    flat = [row for rows in said for row in rows]
    starts = np.cumsum([0, *map(len, said)])
    times = np.array([row[0] for row in flat], np.int64)
    north, east = (np.array([row[place] for row in flat], np.float64) for place in (1, 2))
    pair_up(starts, times, north, east, 3)
    np.testing.assert_equal(list(zip(north, east, strict=True)), wanted)
