"""Where fuzzing starts: what our own encoders make, the same bytes every time."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

_Value = TypeVar("_Value")


def drawn(
    strategy: SearchStrategy[_Value], count: int, make: Callable[[_Value], bytes]
) -> list[bytes]:
    """`count` examples of a strategy, by a fixed seed, as bytes."""
    found: list[bytes] = []

    @seed(1)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: _Value) -> None:
        found.append(make(value))

    collect()
    return sorted(set(found))
