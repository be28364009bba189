"""The rests between turns: only in a stream, never longer than the spacing; who ends them."""

import pytest

from motorcade.gateway.mqtt.rests import ANSWER_S, STREAK_MIN, Rests


class Car:
    """As much of a connection as is looked at."""

    closing = False


def in_a_stream() -> tuple[Rests[Car], float]:
    """Rests in a stream, and the time at which its last rest has ended."""
    rests, now_s = Rests[Car](0.005), 100.0
    for _ in range(STREAK_MIN + 1):
        assert rests.rest_s(now_s) == 0.0
        now_s += 0.001
    rest_s = rests.rest_s(now_s)
    assert rest_s == pytest.approx(0.004)
    return rests, now_s + rest_s


def test_a_stream_of_turns_rests_to_its_spacing() -> None:
    rests, now_s = in_a_stream()
    for work_s in (0.001, 0.003, 0.0):
        rest_s = rests.rest_s(now_s + work_s)
        assert rest_s == pytest.approx(0.005 - work_s)
        now_s += work_s + rest_s


def test_turns_apart_never_rest() -> None:
    rests = Rests[Car](0.005)
    assert [rests.rest_s(100.0 + 0.0051 * turn) for turn in range(100)] == [0.0] * 100


def test_a_pause_ends_the_stream() -> None:
    rests, now_s = in_a_stream()
    assert rests.rest_s(now_s + 0.006) == 0.0
    assert rests.rest_s(now_s + 0.007) == 0.0


def test_a_turn_that_takes_longer_than_the_spacing_is_not_followed_by_a_rest() -> None:
    rests, now_s = in_a_stream()
    assert rests.rest_s(now_s + 0.02) == 0.0


def test_a_car_is_awaited_for_a_while() -> None:
    rests = Rests[Car](0.005)
    assert rests.awaited(100.0) == []
    first, second = Car(), Car()
    rests.await_answer(first, 100.0)
    rests.await_answer(second, 100.1)
    assert rests.awaited(100.1) == [first, second]
    assert rests.awaited(100.0 + ANSWER_S) == [second]
    rests.await_answer(second, 100.25)  # another command to it
    assert rests.awaited(100.1 + ANSWER_S) == [second]
    assert rests.awaited(100.25 + ANSWER_S) == []


def test_a_car_that_is_gone_is_not_awaited() -> None:
    rests, car = Rests[Car](0.005), Car()
    rests.await_answer(car, 100.0)
    car.closing = True
    assert rests.awaited(100.0) == []
