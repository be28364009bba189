"""Time of use: which price class a local time is in, from a tariff in Tesla's form. No IO.

Source: `tariff_content_v2` of the Fleet API's time_of_use_settings. Seasons name months and days,
their `tou_periods` name days of the week and hours, `energy_charges` give each period's price. The
dearest price of a season is its peak and the cheapest its valley; with one price there is neither.
Hours are local ones. Periods come as a list or as {"periods": [...]}.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

DAY_MIN: Final = 1_440
PERIODS_MAX: Final = 500  # of one tariff
PEAK_WORDS: Final = ("ON_PEAK", "SUPER_ON_PEAK", "CRITICAL_PEAK")
VALLEY_WORDS: Final = ("OFF_PEAK", "SUPER_OFF_PEAK")


class TariffError(ValueError):
    """Not a tariff; the text says which member is wrong."""


class Price(IntEnum):
    """What the battery does by in autonomous mode."""

    VALLEY = 0  # fill it
    BETWEEN = 1  # as in self consumption
    PEAK = 2  # use it


@dataclass(frozen=True, slots=True)
class Period:
    """Days of the week (0 is Monday) and minutes of the day, ends excluded; both may wrap."""

    first_day: int
    last_day: int  # included
    from_min: int
    to_min: int
    price: Price

    def holds(self, weekday: int, minute: int) -> bool:
        """Whether the instant is in it. One that ends after midnight belongs to its first day."""
        if self.from_min < self.to_min:
            return self._on(weekday) and self.from_min <= minute < self.to_min
        return (self._on(weekday) and minute >= self.from_min) or (
            self._on((weekday - 1) % 7) and minute < self.to_min
        )

    def _on(self, weekday: int) -> bool:
        if self.first_day <= self.last_day:
            return self.first_day <= weekday <= self.last_day
        return weekday >= self.first_day or weekday <= self.last_day


@dataclass(frozen=True, slots=True)
class Season:
    """Days of the year as month * 32 + day, both included; may wrap over New Year."""

    first: int
    last: int
    periods: tuple[Period, ...]

    def holds(self, month: int, day: int) -> bool:
        date = month * 32 + day
        if self.first <= self.last:
            return self.first <= date <= self.last
        return date >= self.first or date <= self.last


@dataclass(frozen=True, slots=True)
class Tariff:
    seasons: tuple[Season, ...]

    def price(self, month: int, day: int, weekday: int, minute: int) -> Price:
        """The class of a local time; outside every season and period it is in between."""
        for season in self.seasons:
            if season.holds(month, day):
                for period in season.periods:
                    if period.holds(weekday, minute):
                        return period.price
                return Price.BETWEEN
        return Price.BETWEEN


def read_tariff(content: Mapping[str, Any]) -> Tariff:
    """Read `tariff_content_v2`.

    Raises:
        TariffError: there are no seasons, or a member is not what it should be.
    """
    charges = _object(content.get("energy_charges", {}), "energy_charges")
    seasons = []
    count = 0
    for name, body in _object(content.get("seasons"), "seasons").items():
        season = _object(body, f"seasons.{name}")
        if not season:
            continue  # Tesla writes {} for a season that is not there
        read = _season(name, season, _object(charges.get(name, {}), f"energy_charges.{name}"))
        count += len(read.periods)
        if count > PERIODS_MAX:
            raise TariffError(f"more than {PERIODS_MAX} periods")
        seasons.append(read)
    if not seasons:
        raise TariffError("seasons: none is there")
    return Tariff(tuple(seasons))


def _season(name: str, season: Mapping[str, Any], charges: Mapping[str, Any]) -> Season:
    path = f"seasons.{name}"
    tou = _object(season.get("tou_periods"), f"{path}.tou_periods")
    rates = _object(charges.get("rates", charges), f"energy_charges.{name}.rates")
    prices = _classes(list(tou), rates, f"energy_charges.{name}.rates")
    periods = [
        _period(period, f"{path}.tou_periods.{label}[{number}]", prices[label])
        for label, body in tou.items()
        for number, period in _periods(body, f"{path}.tou_periods.{label}")
    ]
    first = _whole(season, "fromMonth", path, 1, 1, 12) * 32
    last = _whole(season, "toMonth", path, 12, 1, 12) * 32
    return Season(
        first + _whole(season, "fromDay", path, 1, 1, 31),
        last + _whole(season, "toDay", path, 31, 1, 31),
        tuple(periods),
    )


def _classes(labels: list[str], rates: Mapping[str, Any], path: str) -> dict[str, Price]:
    """By price where every label has one, else by Tesla's names."""
    known = {label: _price(rates[label], f"{path}.{label}") for label in labels if label in rates}
    if len(known) < len(labels):
        return {label: _by_name(label) for label in labels}
    low, high = min(known.values(), default=0.0), max(known.values(), default=0.0)
    if low == high:
        return dict.fromkeys(labels, Price.BETWEEN)
    ends = {low: Price.VALLEY, high: Price.PEAK}
    return {label: ends.get(price, Price.BETWEEN) for label, price in known.items()}


def _by_name(label: str) -> Price:
    if label in PEAK_WORDS:
        return Price.PEAK
    return Price.VALLEY if label in VALLEY_WORDS else Price.BETWEEN


def _periods(body: Any, path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    listed = body.get("periods") if isinstance(body, Mapping) else body
    if not isinstance(listed, list):
        raise TariffError(f"{path}: must be a list of periods")
    for number, period in enumerate(listed):
        yield number, _object(period, f"{path}[{number}]")


def _period(period: Mapping[str, Any], path: str, price: Price) -> Period:
    from_min = _whole(period, "fromHour", path, 0, 0, 24) * 60
    from_min += _whole(period, "fromMinute", path, 0, 0, 59)
    to_min = _whole(period, "toHour", path, 0, 0, 24) * 60
    to_min += _whole(period, "toMinute", path, 0, 0, 59)
    return Period(
        _whole(period, "fromDayOfWeek", path, 0, 0, 6),
        _whole(period, "toDayOfWeek", path, 6, 0, 6),
        from_min % DAY_MIN,
        to_min % DAY_MIN or DAY_MIN,
        price,
    )


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TariffError(f"{path}: must be an object")
    return value


def _price(value: Any, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TariffError(f"{path}: must be a number")
    return float(value)


def _whole(
    members: Mapping[str, Any], name: str, path: str, default: int, low: int, high: int
) -> int:
    value = members.get(name, default)
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    if not whole or not low <= value <= high:
        raise TariffError(f"{path}.{name}: must be a whole number {low} to {high}")
    return int(value)
