"""Which span of time a history is asked for, and where it is cut. Pure: no IO, no clock.

Source: the Fleet API's `calendar_history`: period day, week, month, year or lifetime; dates in
RFC 3339, days and months are those of the time zone given.
"""

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from motorcade.zones import instant_us, local, read_moment

PERIODS: Final = ("day", "week", "month", "year", "lifetime")
STEP_US: Final = 300 * 1_000_000  # of a day


class Asked(NamedTuple):
    """A span of instants, µs; the end is not in it."""

    period: str
    zone: str
    from_us: int
    until_us: int


def read_date(text: str, zone: str) -> int:
    """An instant from a query, where an unescaped + has become a space. Raises `ValueError`."""
    if len(text) > 6 and text[-6] == " ":
        text = f"{text[:-6]}+{text[-5:]}"
    return read_moment(text, zone)


def asked_span(
    period: str,
    zone: str,
    *,
    start: str | None,
    end: str | None,
    first_us: int,
    now_us: int,
) -> Asked:
    """The span: from the start, or else the period that the end lies in; never beyond now.

    `first_us` is where a lifetime begins. Raises `ValueError`, also for dates that are none.
    """
    until_us = now_us if end is None else read_date(end, zone)
    if start is not None:
        from_us = read_date(start, zone)
    elif period == "lifetime":
        from_us = first_us
    else:
        from_us = instant_us(_begin(local(until_us - 1, zone), period))
    return Asked(period, zone, from_us, min(until_us, now_us))


def edges(asked: Asked, *, intervals_max: int) -> list[int]:
    """Where the span is cut, both ends included; empty for an empty span.

    A day is cut every five minutes, weeks and months by days, years by months, a lifetime by years.
    Raises `ValueError` when there would be more than `intervals_max` of them.
    """
    if asked.from_us >= asked.until_us:
        return []
    found = [asked.from_us]
    cut = _next(asked, asked.from_us)
    while cut < asked.until_us:
        found.append(cut)
        if len(found) > intervals_max:
            raise ValueError(f"more than {intervals_max} intervals: ask for a shorter time")
        cut = _next(asked, cut)
    return [*found, asked.until_us]


def _begin(moment: datetime, period: str) -> datetime:
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match period:
        case "week":
            return midnight - timedelta(days=midnight.weekday())
        case "month":
            return midnight.replace(day=1)
        case "year":
            return midnight.replace(month=1, day=1)
    return midnight


def _next(asked: Asked, time_us: int) -> int:
    """The first cut after an instant."""
    if asked.period == "day":
        return time_us - time_us % STEP_US + STEP_US
    moment = local(time_us, asked.zone)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    match asked.period:
        case "week" | "month":
            return instant_us(midnight + timedelta(days=1))
        case "year":
            return instant_us((midnight.replace(day=1) + timedelta(days=32)).replace(day=1))
    return instant_us(midnight.replace(year=midnight.year + 1, month=1, day=1))
