"""Authenticated time: what the span promises, whatever the network did."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from motorcade.vehicle.server_time import HELLOS_MAX, ServerTimeKeeper

TRUTH_US = 1_700_000_000_000_000


def keeper(age_s_max: float = 100.0) -> ServerTimeKeeper:
    count = iter(range(1_000))
    return ServerTimeKeeper(
        entropy=lambda size: next(count).to_bytes(size, "big"), age_s_max=age_s_max
    )


@given(st.floats(0, 30), st.floats(0, 30), st.floats(0, 90), st.floats(1 - 1.9e-4, 1 + 1.9e-4))
def test_the_truth_lies_in_the_span(
    up_s: float, down_s: float, later_s: float, rate: float
) -> None:
    """`rate` is how fast the car's oscillator runs against the truth."""
    times = keeper()
    nonce = times.ask(0.0)
    assert times.answered(nonce, TRUTH_US + round(up_s * 1e6), (up_s + down_s) * rate)
    now = times.now((up_s + down_s + later_s) * rate)
    assert now is not None
    truth_us = TRUTH_US + round((up_s + down_s + later_s) * 1e6)
    slack_us = round((up_s + down_s) * 2e2) + 2  # the drift of the round trip itself
    assert now.earliest_us - slack_us <= truth_us <= now.latest_us + slack_us


def test_an_answer_nobody_asked_for_is_nothing() -> None:
    times = keeper()
    nonce = times.ask(0.0)
    assert not times.answered("made up", TRUTH_US, 1.0)
    assert times.answered(nonce, TRUTH_US, 1.0)
    assert not times.answered(nonce, TRUTH_US, 2.0)  # a replay


def test_a_worse_answer_does_not_replace_a_better_one() -> None:
    times = keeper()
    assert times.answered(times.ask(0.0), TRUTH_US, 0.01)
    assert not times.answered(times.ask(1.0), TRUTH_US + 2_000_000, 9.0)
    now = times.now(9.0)
    assert now is not None
    assert now.uncertainty_us < 20_000


@pytest.mark.parametrize("step_s", [-3_600, -10, 10, 3_600])
def test_a_clock_that_was_set_is_believed_though_the_answer_is_worse(step_s: int) -> None:
    """Back, or no command would be in time any more; ahead, or one would be carried out late."""
    times = keeper()
    assert times.answered(times.ask(0.0), TRUTH_US, 0.01)
    set_us = TRUTH_US + step_s * 1_000_000
    assert times.answered(times.ask(1.0), set_us + 1_500_000, 2.0)
    now = times.now(2.0)
    assert now is not None
    assert now.earliest_us <= set_us + 2_000_000 <= now.latest_us


def test_old_time_is_no_time() -> None:
    times = keeper(age_s_max=100.0)
    assert times.now(0.0) is None
    times.answered(times.ask(0.0), TRUTH_US, 1.0)
    assert times.now(101.0) is not None
    assert times.now(101.1) is None


def test_unanswered_questions_do_not_pile_up() -> None:
    times = keeper()
    first = times.ask(0.0)
    for _ in range(HELLOS_MAX):
        last = times.ask(1.0)
    assert not times.answered(first, TRUTH_US, 2.0)
    assert times.answered(last, TRUTH_US, 2.0)
    nonce = times.ask(3.0)
    times.forget_asked()
    assert not times.answered(nonce, TRUTH_US, 3.001)
