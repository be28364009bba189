"""What is too low and too high: the operator's word before the catalogue's range, side by side."""

import pytest

from motorcade.api.limits import Limit, limits_of, read_limits
from motorcade.config import ConfigError
from motorcade.signals.catalogue import BY_NAME

HOTTEST = BY_NAME["module_temp_max"]


def test_the_operator_s_word_counts_on_the_side_that_it_names() -> None:
    limits = read_limits(
        b'{"module_temp_max": {"high": 50}, "own": {"low": -1.5, "high": 2}, "soc": {"low": 10}}',
        signals_max=3,
    )
    assert limits_of("module_temp_max", limits) == Limit(low=HOTTEST.low, high=50)
    assert limits_of("soc", limits) == Limit(low=10, high=100)
    assert limits_of("own", limits) == Limit(low=-1.5, high=2)


def test_without_it_the_catalogue_s_range_does_and_what_has_none_has_none() -> None:
    assert limits_of("module_temp_max", {}) == Limit(low=HOTTEST.low, high=HOTTEST.high)
    for signal in ("own", "gear"):
        assert limits_of(signal, {}) == Limit()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"[]", "object"),
        (b"x", "malformed"),
        (b'{"soc": 5}', r"object.*\$\[\.\.\.\]"),
        (b'{"soc": {"hihg": 5}}', "hihg"),
        (b'{"soc": {"high": "5"}}', "high"),
        (b'{"": {"high": 5}}', "length"),
        (b'{"soc": {"low": 5, "high": 5}}', r"soc: low \(5\) has to be less than high \(5\)"),
    ],
)
def test_a_file_that_is_wrong_says_why(content: bytes, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"dashboard\.limits_file.*{text}"):
        read_limits(content, signals_max=9)


def test_more_signals_than_are_read_end_the_start() -> None:
    with pytest.raises(ConfigError, match=r"2 signals.*at most 1.*dashboard\.limits_max"):
        read_limits(b'{"soc": {"high": 5}, "own": {"high": 5}}', signals_max=1)
