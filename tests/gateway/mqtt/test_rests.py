"""The rests between turns: only in a stream, never longer than the spacing, short for a command."""

import pytest

from motorcade.config import GatewayConfig
from motorcade.gateway.mqtt.rests import HURRY_S, STREAK_MIN, Rests

CONFIG = GatewayConfig(turn_spacing_ms=5.0, turn_spacing_command_ms=1.0)


def in_a_stream() -> tuple[Rests, float]:
    """Rests in a stream, and the time at which its last rest has ended."""
    rests, now_s = Rests(CONFIG), 100.0
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
    rests = Rests(CONFIG)
    assert [rests.rest_s(100.0 + 0.0051 * turn) for turn in range(100)] == [0.0] * 100


def test_a_pause_ends_the_stream() -> None:
    rests, now_s = in_a_stream()
    assert rests.rest_s(now_s + 0.006) == 0.0
    assert rests.rest_s(now_s + 0.007) == 0.0


def test_a_turn_that_takes_longer_than_the_spacing_is_not_followed_by_a_rest() -> None:
    rests, now_s = in_a_stream()
    assert rests.rest_s(now_s + 0.02) == 0.0


def test_rests_are_short_while_an_answer_may_be_on_its_way() -> None:
    rests, now_s = in_a_stream()
    rests.hurry(now_s)
    assert rests.rest_s(now_s + 0.0004) == pytest.approx(0.0006)
    rests, now_s = in_a_stream()
    rests.hurry(now_s - HURRY_S)
    assert rests.rest_s(now_s + 0.0004) == pytest.approx(0.0046)
