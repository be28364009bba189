"""Down-sampling: the compiled kernel against plain Python; gaps stay gaps."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.history.buckets import edges_of, numbers_of, words_of
from motorcade.history.port import Series, Span
from motorcade.signals.samples import from_bits, unavailable

values = st.one_of(st.floats(allow_nan=False), st.just(unavailable()))
samples = st.dictionaries(st.integers(-5, 60), values, max_size=40)


def series_of(said: dict[int, float]) -> Series:
    times = sorted(said)
    column = np.array(times, np.int64)
    return Series(column, column, np.array([said[time] for time in times], np.float64))


@settings(deadline=None)
@given(samples, st.integers(0, 20), st.integers(1, 40), st.integers(1, 12))
def test_numbers_equal_the_plain_oracle(
    said: dict[int, float], begin: int, length: int, buckets: int
) -> None:
    span = Span(begin, begin + length)
    edges = edges_of(span, buckets)
    found = numbers_of(series_of(said), edges)
    assert (edges[0], edges[-1], len(edges)) == (begin, begin + length, buckets + 1)
    for bucket in range(buckets):
        inside = [
            said[time]
            for time in sorted(said)
            if edges[bucket] <= time < edges[bucket + 1] and not math.isnan(said[time])
        ]
        total = 0.0
        for value in inside:
            total += value
        expected = (
            [min(inside), max(inside), total / len(inside), inside[-1]]
            if inside
            else [math.nan] * 4
        )
        columns = (found.low, found.high, found.mean, found.last)
        np.testing.assert_array_equal([column[bucket] for column in columns], expected)
        assert found.count[bucket] == len(inside)


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 30), st.sampled_from("xyz?"), max_size=20), st.integers(1, 9))
def test_words_have_a_last_and_a_count(said: dict[int, str], buckets: int) -> None:
    boxes = {"x": 1.0, "y": from_bits(0x7FFA << 48 | 7), "z": from_bits(0x7FF9 << 48 | 1)}
    boxes["?"] = unavailable()
    series = series_of({time: boxes[word] for time, word in said.items()})
    edges = edges_of(Span(0, 30), buckets)
    found = words_of(series, edges)
    times = sorted(said)
    for bucket in range(buckets):
        inside = [
            place
            for place, time in enumerate(times)
            if edges[bucket] <= time < edges[bucket + 1] and said[time] != "?"
        ]
        assert found.last[bucket] == (inside[-1] if inside else -1)
        assert found.count[bucket] == len(inside)
