"""Charging places as the operator's file has them (`api.charging_sites_file`), by distance. No IO.

Without a file there are none: what Tesla's sites are, and who stands there, we do not know.
"""

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from motorcade.api.ground import DEGREE_M, distance_m
from motorcade.config import ConfigError
from motorcade.signals.signal import MILE


class ChargingPlace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One member of the file's array."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    latitude_deg: Annotated[float, Meta(ge=-90, le=90)]
    longitude_deg: Annotated[float, Meta(ge=-180, le=180)]
    stalls: Annotated[int, Meta(ge=1, le=10_000)]
    fast: bool  # direct current; else a destination charger


def read_places(content: bytes, *, places_max: int) -> tuple[ChargingPlace, ...]:
    """A file's places: a JSON array. Raises `ConfigError`, naming what is wrong."""
    try:
        places = msgspec.json.decode(content, type=tuple[ChargingPlace, ...])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"api.charging_sites_file: {error}") from error
    if len(places) > places_max:
        raise ConfigError(
            f"api.charging_sites_file: {len(places)} places, each looked at for every question; at "
            f"most {places_max} are read (api.charging_sites_max): leave some out or raise it"
        )
    return places


def nearby(
    places: Sequence[ChargingPlace],
    latitude_deg: float,
    longitude_deg: float,
    *,
    radius_miles: float,
) -> list[tuple[float, ChargingPlace]]:
    """The places within `radius_miles`, each with its distance in miles, the nearest first."""
    found = []
    reach_deg = radius_miles * MILE / DEGREE_M
    for place in places:
        if abs(place.latitude_deg - latitude_deg) > reach_deg:
            continue  # most: what is so far north or south is so far away
        there = place.latitude_deg, place.longitude_deg
        miles = distance_m((latitude_deg, longitude_deg), there) / MILE
        if miles <= radius_miles:
            found.append((miles, place))
    return sorted(found, key=lambda row: row[0])


def name_at(
    places: Sequence[ChargingPlace], latitude_deg: float, longitude_deg: float, *, radius_m: float
) -> str:
    """The nearest place's name, "" if none is within `radius_m`; also for what is no position."""
    if not (-90 <= latitude_deg <= 90 and -180 <= longitude_deg <= 180):
        return ""
    here = latitude_deg, longitude_deg
    found = min(
        ((distance_m(here, (one.latitude_deg, one.longitude_deg)), one.name) for one in places),
        default=(math.inf, ""),
    )
    return found[1] if found[0] <= radius_m else ""
