"""Local time of an instant, and back."""

import pytest

from motorcade import zones

JULY_US = 1_782_000_000_000_000  # 2026-06-21 00:00 UTC


def test_an_instant_shows_the_zone_s_clock_through_summer_time() -> None:
    assert zones.shown(JULY_US, "Europe/Berlin") == "2026-06-21T02:00:00+02:00"
    assert zones.offset_s(JULY_US, "America/Los_Angeles") == -7 * 3_600
    assert zones.offset_s(JULY_US + 183 * 86_400_000_000, "America/Los_Angeles") == -8 * 3_600


def test_a_text_is_read_in_its_own_offset_or_the_zone_s() -> None:
    assert zones.read_moment("2026-06-21T02:00:00", "Europe/Berlin") == JULY_US
    assert zones.read_moment("2026-06-21T00:00:00Z", "Europe/Berlin") == JULY_US
    assert zones.read_moment("2026-06-21", "UTC") == JULY_US
    with pytest.raises(ValueError, match="isoformat"):
        zones.read_moment("soon", "UTC")


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "x" * 100, "\0"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(zones.UnknownZoneError, match="no time zone"):
        zones.zone_of(name)
