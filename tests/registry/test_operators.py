"""Operators' names and filters: what MQTT carries, and refusals that say why."""

import pytest

from motorcade.registry.errors import InvalidNameError
from motorcade.registry.operators import check_filters, check_name


@pytest.mark.parametrize("name", ["ops", "a.b-c_d@example.org", "x" * 64])
def test_plain_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["", "x" * 65, "two words", "ops\n", "naïve", "a/b", "a\0"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="operator name"):
        check_name(name)


def test_filters_are_kept_once_each() -> None:
    filters = ["#", "+", "v/+/media/#", "a//b", "/", "#"]
    assert check_filters(filters, filters_max=10) == ["#", "+", "v/+/media/#", "a//b", "/"]


@pytest.mark.parametrize(
    "text", ["", "a/#/b", "a#", "a/b#", "#/#", "a+/b", "++", "a\0b", "x" * 1025]
)
def test_filters_that_mqtt_forbids_are_refused(text: str) -> None:
    with pytest.raises(InvalidNameError, match="filter"):
        check_filters([text], filters_max=10)


def test_filters_are_bounded() -> None:
    with pytest.raises(InvalidNameError, match="at most 1"):
        check_filters(["a", "b"], filters_max=1)
