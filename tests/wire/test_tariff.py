"""Which price class a local time is in."""

from typing import Any

import pytest

from motorcade.wire.tariff import Price, TariffError, read_tariff

CONTENT: dict[str, Any] = {
    "version": 1,
    "name": "Time of use",
    "energy_charges": {
        "Summer": {"rates": {"OFF_PEAK": 0.2, "PARTIAL_PEAK": 0.3, "ON_PEAK": 0.5}},
        "Winter": {"rates": {"OFF_PEAK": 0.2, "ON_PEAK": 0.2}},
    },
    "seasons": {
        "Summer": {
            "fromMonth": 6,
            "fromDay": 1,
            "toMonth": 9,
            "toDay": 30,
            "tou_periods": {
                "ON_PEAK": {"periods": [{"toDayOfWeek": 4, "fromHour": 16, "toHour": 21}]},
                "PARTIAL_PEAK": [{"fromHour": 14, "fromMinute": 30, "toHour": 16}],
                "OFF_PEAK": {"periods": [{"fromHour": 21, "toHour": 14, "toMinute": 30}]},
            },
        },
        "Winter": {
            "fromMonth": 10,
            "fromDay": 1,
            "toMonth": 5,
            "toDay": 31,
            "tou_periods": {
                "ON_PEAK": {"periods": [{"fromHour": 17, "toHour": 0}]},
                "OFF_PEAK": {"periods": [{"toHour": 17}]},
            },
        },
        "Spring": {},
    },
}


@pytest.mark.parametrize(
    ("month", "day", "weekday", "clock", "price"),
    [
        (7, 1, 2, "16:00", Price.PEAK),
        (7, 1, 2, "20:59", Price.PEAK),
        (7, 1, 2, "21:00", Price.VALLEY),
        (7, 1, 2, "14:29", Price.VALLEY),
        (7, 1, 2, "14:30", Price.BETWEEN),
        (7, 4, 5, "17:00", Price.BETWEEN),  # Saturday: no period holds it
        (6, 1, 0, "00:00", Price.VALLEY),  # the night that began the day before
        (9, 30, 2, "16:00", Price.PEAK),
        (1, 1, 2, "18:00", Price.BETWEEN),  # one price all winter
    ],
)
def test_a_local_time_has_the_class_of_its_season_and_period(
    month: int, day: int, weekday: int, clock: str, price: Price
) -> None:
    hour, minute = map(int, clock.split(":"))
    assert read_tariff(CONTENT).price(month, day, weekday, hour * 60 + minute) is price


def test_without_prices_the_names_tell() -> None:
    tariff = read_tariff({"seasons": {"All": CONTENT["seasons"]["Winter"]}})
    assert tariff.price(1, 1, 0, 18 * 60) is Price.PEAK
    assert tariff.price(1, 1, 0, 8 * 60) is Price.VALLEY
    assert tariff.price(7, 1, 0, 18 * 60) is Price.BETWEEN  # no season holds it


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"seasons": {}}, "seasons"),
        ({"seasons": []}, "seasons"),
        ({"seasons": {"A": {"tou_periods": 3}}}, "tou_periods"),
        ({"seasons": {"A": {"tou_periods": {"X": 3}}}}, "tou_periods.X"),
        ({"seasons": {"A": {"tou_periods": {"X": [{"fromHour": 25}]}}}}, "fromHour"),
        ({"seasons": {"A": {"tou_periods": {"X": [{"toHour": "9"}]}}}}, "toHour"),
        ({"seasons": {"A": {"tou_periods": {"X": [{}] * 501}}}}, "500"),
        ({"energy_charges": {"Summer": {"rates": {"ON_PEAK": "x"}}}}, "rates.ON_PEAK"),
    ],
)
def test_what_is_no_tariff_is_refused_by_the_member(change: dict[str, Any], where: str) -> None:
    with pytest.raises(TariffError, match=where):
        read_tariff(CONTENT | change)
