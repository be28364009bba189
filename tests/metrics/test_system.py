"""What people are shown of the platform: percentiles and rates of figures that are given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.counts import DURATIONS_S, Histogram
from motorcade.metrics.figures import Figure, Spread, spread
from motorcade.metrics.system import Look, percentile, shown, since

ACKS, COMMITS = "motorcade_gateway_ack_duration_seconds", "motorcade_log_commit_duration_seconds"


def observed(values: list[float]) -> Spread:
    histogram = Histogram(DURATIONS_S)
    for value in values:
        histogram.observe(value)
    return spread(histogram)


@given(st.lists(st.floats(0.0001, 9.9), min_size=1), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[float], share: float) -> None:
    found = percentile(observed(values), share)
    assert found is not None
    ordered = sorted(values)
    true = ordered[max(0, -int(-len(ordered) * share // 1) - 1)]
    bounds = [0.0, *DURATIONS_S]
    low = max(bound for bound in bounds if bound < true)
    assert low <= found <= min(bound for bound in bounds if bound >= true)


def test_a_percentile_of_nothing_is_none_and_of_the_slowest_the_last_bound() -> None:
    assert percentile(observed([]), 0.5) is None
    assert percentile(observed([1_000.0]), 0.99) == DURATIONS_S[-1]


def test_a_weighed_observation_counts_so_often() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(0.5, 3)
    histogram.observe(1.5)
    assert (histogram.counts, histogram.total) == ([3, 1, 0], 3.0)


@given(st.lists(st.floats(0.001, 9)), st.lists(st.floats(0.001, 9)))
def test_what_was_observed_since(first: list[float], later: list[float]) -> None:
    assert since(observed(first + later), observed(first)).counts == observed(later).counts


def test_a_process_that_started_anew_is_taken_as_a_whole() -> None:
    now = observed([0.2])
    assert since(now, observed([0.2, 0.002])) == now
    assert since(now, Spread([], [], 0.0)) == now


def look(at_s: float, taken: int, acks: list[float], **more: float) -> Look:
    figures = [
        Figure("motorcade_gateway_records_total", taken, ["mqtt"]),
        Figure("motorcade_gateway_connections", 3, ["mqtt"]),
        Figure(ACKS, observed(acks), ["gateway-bulk"]),
        Figure("motorcade_log_size_bytes", 7, ["gateway-bulk"]),
        Figure("motorcade_state_lag_seconds", 0.5),
        Figure("motorcade_state_gaps_total", more.pop("gaps", 0)),
        Figure("motorcade_history_lag_seconds", 2.0),
        Figure("motorcade_history_gaps_total", 1),
        Figure("motorcade_process_cpu_seconds_total", more.pop("cpu_s", 0.0), ["gateway"]),
    ]
    assert not more
    return Look.of(int(at_s * 1e6), figures)


def test_rates_are_since_the_last_look_and_percentiles_since_the_window() -> None:
    window = look(0, 10, [5.0])
    last = look(100, 100, [5.0, 0.02], cpu_s=1.0)
    now = look(110, 600, [5.0, 0.02, 0.02], cpu_s=3.0, gaps=2)
    told = shown(now, last, window, [("log", "full"), ("state", "")], [("doors", 9)])
    assert (told.records_per_s, told.lost, told.lag_s) == (50.0, 3, 2.0)
    assert told.ack_ms_p99 is not None
    assert 10 < told.ack_ms_p99 <= 25  # the 5 s were before the window
    gateway = {row.process: row for row in told.processes}["gateway"]
    assert (gateway.up, gateway.cpu_percent) == (True, pytest.approx(20.0))
    assert [(row.check, row.reason) for row in told.failing] == [("log", "full")]
    assert [(row.door, row.open) for row in told.connections] == [("mqtt", 3)]


def test_the_first_look_has_no_rates_and_who_is_silent_no_figures() -> None:
    now = look(5, 10, [0.02], cpu_s=1.0)
    told = shown(now, now, now, [], [])
    assert (told.records_per_s, told.processes[1].cpu_percent) == (0.0, None)
    assert told.ack_ms_p99 is not None
    assert told.ack_ms_p99 <= 25
    reader = {row.process: row for row in told.processes}["reader"]
    assert (reader.up, reader.memory_bytes) == (False, None)
    empty = Look.of(0, [])
    assert shown(empty, empty, empty, [], []).lag_s is None
