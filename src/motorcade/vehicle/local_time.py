"""The time of day where the car is: minutes after midnight, days of the week. No clock is read.

A car has no table of time zones: it takes the hour of its longitude, 15 degrees each. Schedules
repeat daily, so what matters is that the hour stays the same, not which law named it.
"""

from typing import Final

DAY_S: Final = 86_400
DAY_MINUTES: Final = 1_440
HOUR_DEG: Final = 15.0
ALL_DAYS: Final = 0b1111111
WEEKDAYS: Final = 0b0111110  # Monday to Friday
_THURSDAY: Final = 4  # 1 January 1970, counted from Sunday


def local_s(unix_s: float, longitude_deg: float) -> float:
    """Seconds since 1970 by the clock on the wall."""
    return unix_s + round(longitude_deg / HOUR_DEG) * 3_600.0


def minute_of_day(local: float) -> float:
    """0 up to 1440, with fractions."""
    return local % DAY_S / 60.0


def day_bit(local: float) -> int:
    """The day as schedules have it: Sunday 1, Monday 2, ... Saturday 64."""
    return 1 << (int(local // DAY_S) + _THURSDAY) % 7


def minutes_until(minute: float, now_minute: float) -> float:
    """From now to the next time that it is `minute`: 0 up to 1440."""
    return (minute - now_minute) % DAY_MINUTES


def crossed(minute: float, before: float, now: float) -> bool:
    """Whether it became `minute` after `before`, up to `now`; they are less than a day apart."""
    return 0.0 <= minutes_until(now, minute) < minutes_until(now, before)
