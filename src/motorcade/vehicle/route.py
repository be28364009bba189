"""A round trip over made-up roads: waypoints, legs with speed limits, positions along them.

Drawn once from a seeded generator and then only read. Distances are metres on a plane that touches
the earth at the centre, which is good to a metre within the 10 km of a route.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius, WGS 84
LIMITS_MPS: Final = (30 / 3.6, 50 / 3.6, 70 / 3.6, 100 / 3.6)
WAYPOINTS: Final = 12
RADIUS_M: Final = (800.0, 6_000.0)
CORNER_MPS: Final = 5.0  # through a waypoint


class Place(NamedTuple):
    """Where something is, WGS 84 degrees; heading clockwise from north."""

    latitude_deg: float
    longitude_deg: float
    heading_deg: float


@dataclass(frozen=True, slots=True)
class Leg:
    """A straight road between two waypoints."""

    start_m: float  # along the route
    length_m: float
    x_m: float  # east of the centre, where it starts
    y_m: float  # north
    heading_rad: float  # clockwise from north
    limit_mps: float

    @property
    def end_m(self) -> float:
        return self.start_m + self.length_m


class Route:
    """A closed loop of legs; distances beyond its length start again."""

    def __init__(self, random: np.random.Generator, centre: tuple[float, float]) -> None:
        self._latitude_deg, self._longitude_deg = centre
        self.legs = _draw(random)
        self._starts = [leg.start_m for leg in self.legs]
        self.length_m = self.legs[-1].end_m

    def leg_at(self, distance_m: float) -> Leg:
        """The leg that a car at this distance along the loop is on."""
        return self.legs[bisect_right(self._starts, distance_m % self.length_m) - 1]

    def place_at(self, distance_m: float) -> Place:
        """Position and heading at this distance."""
        leg = self.leg_at(distance_m)
        along_m = distance_m % self.length_m - leg.start_m
        x_m = leg.x_m + along_m * math.sin(leg.heading_rad)
        y_m = leg.y_m + along_m * math.cos(leg.heading_rad)
        latitude_deg = self._latitude_deg + math.degrees(y_m / EARTH_RADIUS_M)
        across_m = EARTH_RADIUS_M * math.cos(math.radians(self._latitude_deg))
        longitude_deg = self._longitude_deg + math.degrees(x_m / across_m)
        return Place(latitude_deg, longitude_deg, math.degrees(leg.heading_rad) % 360.0)


def _draw(random: np.random.Generator) -> tuple[Leg, ...]:
    """Waypoints around the centre, in the order of their bearing, so that roads do not cross."""
    bearings = (np.arange(WAYPOINTS) + random.uniform(0.2, 0.8, WAYPOINTS)) * math.tau / WAYPOINTS
    radii = random.uniform(*RADIUS_M, WAYPOINTS)
    points = [
        (float(r * math.sin(b)), float(r * math.cos(b)))
        for r, b in zip(radii, bearings, strict=True)
    ]
    limits = [LIMITS_MPS[int(index)] for index in random.integers(0, len(LIMITS_MPS), WAYPOINTS)]
    legs = []
    start_m = 0.0
    for index, limit_mps in enumerate(limits):
        (x_m, y_m), (to_x_m, to_y_m) = points[index], points[(index + 1) % WAYPOINTS]
        length_m = math.hypot(to_x_m - x_m, to_y_m - y_m)
        heading_rad = math.atan2(to_x_m - x_m, to_y_m - y_m)
        legs.append(Leg(start_m, length_m, x_m, y_m, heading_rad, limit_mps))
        start_m += length_m
    return tuple(legs)
