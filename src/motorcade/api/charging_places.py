"""Charging places as the operator's file has them (`api.charging_sites_file`), by distance. No IO.

Without a file there are none: what Tesla's sites are, and who stands there, we do not know.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from motorcade.config import ConfigError
from motorcade.signals.signal import MILE

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius, WGS 84


class ChargingPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of the file's array."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    latitude_deg: Annotated[float, Meta(ge=-90, le=90)]
    longitude_deg: Annotated[float, Meta(ge=-180, le=180)]
    stalls: Annotated[int, Meta(ge=1, le=10_000)]
    fast: bool  # direct current; else a destination charger


def read_places(content: bytes) -> tuple[ChargingPlace, ...]:
    """A file's places: a JSON array. Raises `ConfigError`, naming what is wrong."""
    try:
        return msgspec.json.decode(content, type=tuple[ChargingPlace, ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"api.charging_sites_file: {error}") from error


def distance_m(latitude_a: float, longitude_a: float, place: ChargingPlace) -> float:
    """Along the great circle (haversine), arguments in degrees."""
    north_a, north_b = math.radians(latitude_a), math.radians(place.latitude_deg)
    half_north = math.sin((north_b - north_a) / 2)
    half_east = math.sin(math.radians(place.longitude_deg - longitude_a) / 2)
    chord = half_north**2 + math.cos(north_a) * math.cos(north_b) * half_east**2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def nearby(
    places: Sequence[ChargingPlace],
    latitude_deg: float,
    longitude_deg: float,
    *,
    radius_miles: float,
) -> list[tuple[float, ChargingPlace]]:
    """The places within `radius_miles`, each with its distance in miles, the nearest first."""
    found = []
    for place in places:
        miles = distance_m(latitude_deg, longitude_deg, place) / MILE
        if miles <= radius_miles:
            found.append((miles, place))
    return sorted(found, key=lambda row: row[0])
