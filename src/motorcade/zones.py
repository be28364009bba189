"""Local time: what a zone's clocks show at an instant, and which instant a local day begins.

For the site's tariff and the API's calendars alike. Instants are int64 µs UTC; the rules come from
the machine's time zone database (IANA), read once per zone. Never reads a clock.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

SECOND_US: Final = 1_000_000
ZONE_CHARACTERS_MAX: Final = 64
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class UnknownZoneError(ValueError):
    """No zone of that name in the machine's database."""


@lru_cache(maxsize=256)
def zone_of(name: str) -> ZoneInfo:
    """The zone called `name`, e.g. "Europe/Berlin". Raises `UnknownZoneError`."""
    try:
        if not name or len(name) > ZONE_CHARACTERS_MAX:
            raise ValueError(name)
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownZoneError(
            f"no time zone {name[:ZONE_CHARACTERS_MAX]!r}: write one like Europe/Berlin"
        ) from error


def local(time_us: int, zone: str) -> datetime:
    """The date and time that clocks there show, with the zone. Raises `UnknownZoneError`."""
    return (_EPOCH + timedelta(microseconds=time_us)).astimezone(zone_of(zone))


def instant_us(moment: datetime) -> int:
    """The instant of a date and time that names its zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def offset_s(time_us: int, zone: str) -> int:
    """How far clocks there are ahead of UTC, s. Raises `UnknownZoneError`."""
    offset = local(time_us, zone).utcoffset()
    assert offset is not None
    return int(offset.total_seconds())


def shown(time_us: int, zone: str = "UTC") -> str:
    """RFC 3339 with the zone's offset, whole seconds: "2026-11-26T10:15:00+01:00"."""
    return local(time_us, zone).isoformat(timespec="seconds")


def read_moment(text: str, zone: str) -> int:
    """The instant of an RFC 3339 date, or date and time; without an offset it is of `zone`.

    Raises:
        ValueError: not such a text.
        UnknownZoneError: no such zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone_of(zone))
    return instant_us(moment)
