"""Which span a history covers and where it is cut, in local time."""

import pytest

from motorcade.api.energy.calendar import Asked, asked_span, edges, read_date
from motorcade.zones import read_moment, shown

BERLIN = "Europe/Berlin"
NOW = read_moment("2026-10-25T15:02:00", BERLIN)  # the night before, summer time ended


def span(period: str, start: str | None = None, end: str | None = None) -> Asked:
    first = read_moment("2024-05-05T12:00:00", BERLIN)
    return asked_span(period, BERLIN, start=start, end=end, first_us=first, now_us=NOW)


@pytest.mark.parametrize(
    ("period", "begins", "intervals"),
    [
        ("day", "2026-10-25T00:00:00+02:00", 16 * 12 + 1),  # an hour more than the clock shows
        ("week", "2026-10-19T00:00:00+02:00", 7),
        ("month", "2026-10-01T00:00:00+02:00", 25),
        ("year", "2026-01-01T00:00:00+01:00", 10),
        ("lifetime", "2024-05-05T12:00:00+02:00", 3),
    ],
)
def test_a_period_ends_now_and_begins_with_the_calendar(
    period: str, begins: str, intervals: int
) -> None:
    asked = span(period)
    cuts = edges(asked, intervals_max=10_000)
    assert shown(cuts[0], BERLIN) == begins
    assert cuts[-1] == NOW
    assert len(cuts) - 1 == intervals
    assert cuts == sorted(set(cuts))
    if period in ("week", "month", "year"):
        assert all("T00:00:00" in shown(cut, BERLIN) for cut in cuts[:-1])


def test_dates_bound_the_span_and_the_future_is_left_out() -> None:
    asked = span("day", "2026-10-24T00:00:00+02:00", "2026-10-24T23:59:59+02:00")
    assert len(edges(asked, intervals_max=10_000)) == 288 + 1
    assert edges(span("day", "2026-10-26"), intervals_max=10) == []
    assert edges(span("day", "2026-10-25T12:00", "2026-10-25T11:00"), intervals_max=10) == []
    assert edges(span("day", "2026-10-25", "2026-10-26"), intervals_max=10_000)[-1] == NOW
    whole = span("month", end="2026-09-30T23:59:59")
    assert len(edges(whole, intervals_max=100)) == 31
    day = span("day", "2026-10-24T00:00:00+02:00", "2026-10-25T00:00:00+02:00")
    assert len(edges(day, intervals_max=288)) == 288 + 1
    with pytest.raises(ValueError, match="more than 287"):
        edges(day, intervals_max=287)
    with pytest.raises(ValueError, match="more than 100"):
        edges(span("day", "2026-10-01"), intervals_max=100)


def test_an_unescaped_plus_is_read_too() -> None:
    assert read_date("2026-10-25T00:00:00 02:00", BERLIN) == read_date("2026-10-25", BERLIN)
    with pytest.raises(ValueError, match="isoformat"):
        read_date("yesterday", BERLIN)
