"""Places on the ground: how far apart, and on a grid. No IO. Coordinates in degrees, WGS 84."""

import math
from typing import Final

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius
DEGREE_M: Final = math.radians(1) * EARTH_RADIUS_M  # along a meridian
COORDINATE_DIGITS: Final = 6  # 0.1 m

Place = tuple[float, float]
"""Latitude and longitude."""


def distance_m(a: Place, b: Place) -> float:
    """Along the great circle (haversine)."""
    north_a, north_b = math.radians(a[0]), math.radians(b[0])
    half_north = math.sin((north_b - north_a) / 2)
    half_east = math.sin(math.radians(b[1] - a[1]) / 2)
    chord = half_north**2 + math.cos(north_a) * math.cos(north_b) * half_east**2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def snapped(place: Place, grid_m: int) -> Place:
    """The nearest corner of a grid whose lines are `grid_m` apart.

    Meridians come together towards the poles: each parallel of the grid has a step of its own. What
    comes out depends on the cell alone, so hearing it often tells no more than hearing it once.
    """
    north, east = _limited(place[0], 90.0), _limited(place[1], 180.0)  # a car may say 1e306
    step_deg = grid_m / DEGREE_M
    latitude = _limited(round(north / step_deg) * step_deg, 90.0)
    across_m = DEGREE_M * math.cos(math.radians(latitude))
    step_east_deg = grid_m / across_m if across_m * 180 > grid_m else 180.0
    longitude = _limited(round(east / step_east_deg) * step_east_deg, 180.0)
    return round(latitude, COORDINATE_DIGITS), round(longitude, COORDINATE_DIGITS)


def _limited(degrees: float, degrees_max: float) -> float:
    return max(-degrees_max, min(degrees_max, degrees))


def read_place(value: object) -> Place | None:
    """From the text "latitude,longitude"; `None` for what is none."""
    if not isinstance(value, str):
        return None
    latitude, _, longitude = value.partition(",")
    try:
        return float(latitude), float(longitude)
    except ValueError:
        return None
