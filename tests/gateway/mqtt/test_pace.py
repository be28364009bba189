"""Token buckets of many connections at once, against one bucket each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from motorcade.gateway.mqtt.pace import Pace


def test_a_burst_passes_and_what_is_beyond_does_not() -> None:
    pace = Pace(3, publishes_per_s=10, publishes_burst=100)
    published = np.array([0, 100, 101], np.uint32)
    assert pace.too_fast(published, 0.0) == [2]
    assert pace.too_fast(published, 1.0) == []  # it gained ten
    published += np.array([0, 25, 15], np.uint32)
    assert pace.too_fast(published, 2.0) == [1]


def test_a_rate_holds_whatever_the_burst() -> None:
    pace = Pace(1, publishes_per_s=50, publishes_burst=1)
    published = np.zeros(1, np.uint32)
    assert pace.too_fast(published, 0.0) == []
    for second in range(1, 20):
        published += 50
        assert pace.too_fast(published, float(second)) == []
    published += 52
    assert pace.too_fast(published, 20.0) == [0]


def test_a_slot_begins_anew_with_its_next_socket() -> None:
    pace = Pace(1, publishes_per_s=1, publishes_burst=5)
    assert pace.too_fast(np.array([50], np.uint32), 0.0) == [0]
    pace.opened(0)
    assert pace.too_fast(np.array([5], np.uint32), 0.0) == []


def test_time_before_the_first_look_gives_nothing() -> None:
    pace = Pace(1, publishes_per_s=10, publishes_burst=5)
    assert pace.too_fast(np.array([6], np.uint32), 1e6) == [0]


def test_no_rate_is_no_limit() -> None:
    pace = Pace(1, publishes_per_s=0, publishes_burst=0)
    assert pace.too_fast(np.array([1 << 30], np.uint32), 1.0) == []


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 400)), max_size=30))
def test_counts_may_wrap_around(steps: list[tuple[float, int]]) -> None:
    start = np.array([(1 << 32) - 500], np.uint32)
    plain, wrapped = (Pace(1, publishes_per_s=60, publishes_burst=120) for _ in range(2))
    wrapped._counted[:] = start
    count, now_s = 0, 0.0
    for wait_s, came in steps:
        now_s += wait_s
        count += came
        expected = plain.too_fast(np.array([count], np.uint32), now_s)
        assert wrapped.too_fast(start + np.uint32(count), now_s) == expected
