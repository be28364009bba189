"""Charging places of ours, a table: where the simulated world has chargers. No IO.

Made up, with plausible names, around the cities that simulated cars drive in. What Tesla's sites
are, and who stands there, we do not know.
"""

import math
from dataclasses import dataclass
from typing import Final

from motorcade.signals.signal import MILE

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius, WGS 84


@dataclass(frozen=True, slots=True)
class ChargingPlace:
    name: str
    latitude_deg: float
    longitude_deg: float
    stalls: int
    fast: bool  # direct current; else a destination charger


PLACES: Final = (
    ChargingPlace("Berlin Mitte, Spreeufer", 52.5163, 13.4022, 8, True),
    ChargingPlace("Berlin Ostkreuz", 52.5031, 13.4690, 12, True),
    ChargingPlace("Berlin Westhafen", 52.5367, 13.3430, 16, True),
    ChargingPlace("Berlin Tempelhof", 52.4735, 13.3890, 6, False),
    ChargingPlace("Berlin Hotel am Park", 52.5275, 13.4320, 3, False),
    ChargingPlace("Potsdam Nord", 52.4230, 13.0480, 8, True),
    ChargingPlace("Hamburg Hafencity", 53.5413, 9.9841, 12, True),
    ChargingPlace("Leipzig Messe", 51.3967, 12.4021, 10, True),
    ChargingPlace("Munich Riem", 48.1330, 11.6910, 14, True),
    ChargingPlace("Paris Bercy", 48.8387, 2.3790, 10, True),
    ChargingPlace("Amsterdam Zuid", 52.3389, 4.8720, 8, True),
    ChargingPlace("London Docklands", 51.5074, -0.0206, 8, True),
    ChargingPlace("Oslo Bjørvika", 59.9075, 10.7570, 20, True),
    ChargingPlace("San Francisco Bayshore", 37.7089, -122.4040, 16, True),
    ChargingPlace("Palo Alto Page Mill", 37.4180, -122.1490, 10, True),
    ChargingPlace("Austin Riverside", 30.2440, -97.7260, 18, True),
    ChargingPlace("New York Red Hook", 40.6770, -74.0100, 8, True),
    ChargingPlace("Shanghai Lingang", 30.8990, 121.9280, 20, True),
)


def distance_m(latitude_a: float, longitude_a: float, place: ChargingPlace) -> float:
    """Along the great circle (haversine), arguments in degrees."""
    north_a, north_b = math.radians(latitude_a), math.radians(place.latitude_deg)
    half_north = math.sin((north_b - north_a) / 2)
    half_east = math.sin(math.radians(place.longitude_deg - longitude_a) / 2)
    chord = half_north**2 + math.cos(north_a) * math.cos(north_b) * half_east**2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, chord)))


def nearby(
    latitude_deg: float, longitude_deg: float, *, radius_miles: float
) -> list[tuple[float, ChargingPlace]]:
    """The places within `radius_miles`, each with its distance in miles, the nearest first."""
    found = []
    for place in PLACES:
        miles = distance_m(latitude_deg, longitude_deg, place) / MILE
        if miles <= radius_miles:
            found.append((miles, place))
    return sorted(found, key=lambda row: row[0])
