"""The token bucket, on given times."""

from hypothesis import given
from hypothesis import strategies as st

from motorcade.gateway.rate import UNLIMITED, TokenBucket


def test_a_burst_passes_at_once_and_then_the_rate_holds() -> None:
    bucket = TokenBucket(2.0, 10, 0.0)
    assert bucket.available(0.0) == 10
    bucket.take(10)
    assert [bucket.available(now_s) for now_s in (0.0, 0.4, 0.5, 1.0)] == [0, 0, 1, 2]
    assert bucket.available(1_000.0) == 10
    assert bucket.is_full(1_000.0)


def test_rate_0_is_no_limit() -> None:
    bucket = TokenBucket(0.0, 10, 0.0)
    bucket.take(1_000)
    assert bucket.available(0.0) == UNLIMITED


@given(st.lists(st.floats(0, 5), max_size=50), st.floats(0.1, 50), st.integers(1, 50))
def test_no_span_lets_more_pass_than_burst_and_rate(
    waits_s: list[float], rate_per_s: float, burst: int
) -> None:
    bucket, now_s, passed = TokenBucket(rate_per_s, burst, 0.0), 0.0, 0
    for wait_s in waits_s:
        now_s += wait_s
        frames = bucket.available(now_s)
        bucket.take(frames)
        passed += frames
        assert passed <= burst + rate_per_s * now_s + 1e-6
