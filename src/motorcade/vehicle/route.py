"""A round trip over roads: legs with speed limits, places to park, positions along them.

Drawn once and then only read: over made-up roads from a seeded generator, or along the points of a
real road that whoever puts the car together hands over. Distances are metres on a plane that
touches the earth at the centre of a made-up route, or at each leg of a real one; the first is good
to a metre within 10 km.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius, WGS 84
LIMITS_MPS: Final = (30 / 3.6, 50 / 3.6, 70 / 3.6, 100 / 3.6)
WAYPOINTS: Final = 12
RADIUS_M: Final = (800.0, 6_000.0)
CORNER_MPS: Final = 5.0  # through a waypoint
SIDEWAYS_MPS2: Final = 2.5  # in a curve
PLANNED_MPS2: Final = 2.0  # braking for a curve further on
TURNING_MPS: Final = 2.5  # round a hairpin
SHARP_RAD: Final = 0.5  # a bend by more is a turn at a junction, whose radius lines do not show
TURN_M: Final = 12.0  # what such a turn takes of either street
CURVE_M: Final = 60.0  # what a curve takes of long pieces


class Place(NamedTuple):
    """Where something is, WGS 84 degrees; heading clockwise from north."""

    latitude_deg: float
    longitude_deg: float
    heading_deg: float


class RoadPoint(NamedTuple):
    """A bend of a real road."""

    latitude_deg: float
    longitude_deg: float
    limit_mps: float  # from here on
    stop: bool  # one may park here


@dataclass(frozen=True, slots=True)
class Leg:
    """A straight piece of road."""

    start_m: float  # along the route
    length_m: float
    latitude_deg: float  # where it starts
    longitude_deg: float
    north_deg_per_m: float
    east_deg_per_m: float
    heading_rad: float  # clockwise from north
    limit_mps: float
    end_mps: float  # how fast one may be at its end
    stop_m: float  # where the next place to park is, along the route; not before its end

    @property
    def end_m(self) -> float:
        return self.start_m + self.length_m


class Route:
    """A closed loop of legs; distances beyond its length start again."""

    def __init__(self, legs: Sequence[Leg]) -> None:
        self.legs = tuple(legs)
        self._starts = [leg.start_m for leg in self.legs]
        self.length_m = self.legs[-1].end_m

    def leg_at(self, distance_m: float) -> Leg:
        """The leg that a car at this distance along the loop is on."""
        return self.legs[bisect_right(self._starts, distance_m % self.length_m) - 1]

    def place_at(self, distance_m: float) -> Place:
        """Position and heading at this distance."""
        leg = self.leg_at(distance_m)
        along_m = distance_m % self.length_m - leg.start_m
        return Place(
            leg.latitude_deg + along_m * leg.north_deg_per_m,
            leg.longitude_deg + along_m * leg.east_deg_per_m,
            math.degrees(leg.heading_rad) % 360.0,
        )


def made_up(random: np.random.Generator, centre: tuple[float, float]) -> Route:
    """Made-up roads around a centre (latitude, longitude): waypoints in the order of their bearing,
    so that roads do not cross. One may park at each."""
    bearings = (np.arange(WAYPOINTS) + random.uniform(0.2, 0.8, WAYPOINTS)) * math.tau / WAYPOINTS
    radii = random.uniform(*RADIUS_M, WAYPOINTS)
    points = [
        (float(r * math.sin(b)), float(r * math.cos(b)))
        for r, b in zip(radii, bearings, strict=True)
    ]
    limits = [LIMITS_MPS[int(index)] for index in random.integers(0, len(LIMITS_MPS), WAYPOINTS)]
    latitude_deg, longitude_deg = centre
    north_deg = math.degrees(1 / EARTH_RADIUS_M)  # per metre
    east_deg = north_deg / math.cos(math.radians(latitude_deg))
    legs = []
    start_m = 0.0
    for index, limit_mps in enumerate(limits):
        (x_m, y_m), (to_x_m, to_y_m) = points[index], points[(index + 1) % WAYPOINTS]
        length_m = math.hypot(to_x_m - x_m, to_y_m - y_m)
        heading_rad = math.atan2(to_x_m - x_m, to_y_m - y_m)
        legs.append(
            Leg(
                start_m,
                length_m,
                latitude_deg + y_m * north_deg,
                longitude_deg + x_m * east_deg,
                math.cos(heading_rad) * north_deg,
                math.sin(heading_rad) * east_deg,
                heading_rad,
                limit_mps,
                CORNER_MPS,
                start_m + length_m,
            )
        )
        start_m += length_m
    return Route(legs)


def along(points: Sequence[RoadPoint]) -> Route:
    """A real road, closed: from the last point it goes on to the first.

    Raises:
        ValueError: fewer than two points, two at the same place in a row, or nowhere to park.
    """
    if len(points) < 2 or not any(point.stop for point in points):
        raise ValueError("a round needs two points, and one of them to park at")
    ends = [*points[1:], points[0]]
    pieces = [_piece(a, b) for a, b in zip(points, ends, strict=True)]
    lengths = [piece[0] for piece in pieces]
    if min(lengths) <= 0.0:
        raise ValueError("two points in a row of a round are the same place")
    bends = _bends(pieces, [point.limit_mps for point in points])
    starts = [0.0]
    for length_m in lengths[:-1]:
        starts.append(starts[-1] + length_m)
    stops = [0.0] * len(points)
    total_m = starts[-1] + lengths[-1]
    next_m = total_m + next(start for start, p in zip(starts, points, strict=True) if p.stop)
    for index in range(len(points) - 1, -1, -1):
        if ends[index].stop:
            next_m = starts[index] + lengths[index]
        stops[index] = next_m
    legs = []
    for index, (point, (length_m, heading_rad)) in enumerate(zip(points, pieces, strict=True)):
        north_deg = (ends[index].latitude_deg - point.latitude_deg) / length_m
        east_deg = (ends[index].longitude_deg - point.longitude_deg) / length_m
        legs.append(
            Leg(
                starts[index],
                length_m,
                point.latitude_deg,
                point.longitude_deg,
                north_deg,
                east_deg,
                heading_rad,
                point.limit_mps,
                bends[index],
                stops[index],
            )
        )
    return Route(legs)


def _piece(a: RoadPoint, b: RoadPoint) -> tuple[float, float]:
    """Length, m, and heading, radians clockwise from north."""
    mean_rad = math.radians((a.latitude_deg + b.latitude_deg) / 2)
    east = math.radians(b.longitude_deg - a.longitude_deg) * math.cos(mean_rad)
    north = math.radians(b.latitude_deg - a.latitude_deg)
    return EARTH_RADIUS_M * math.hypot(east, north), math.atan2(east, north)


def _bends(pieces: Sequence[tuple[float, float]], limits: Sequence[float]) -> list[float]:
    """How fast one may be at the end of each piece: for its bend, for the next limit, and so that
    whatever comes later can still be met."""
    count = len(pieces)
    ends = []
    for index, (length_m, heading_rad) in enumerate(pieces):
        next_m, next_rad = pieces[(index + 1) % count]
        bend_rad = abs(math.remainder(next_rad - heading_rad, math.tau))
        room_m = min(length_m, next_m, TURN_M if bend_rad > SHARP_RAD else CURVE_M)
        radius_m = room_m / (2 * math.tan(min(bend_rad, 3.1) / 2) + 1e-9)
        curve_mps = max(math.sqrt(SIDEWAYS_MPS2 * radius_m), TURNING_MPS)
        ends.append(min(curve_mps, limits[(index + 1) % count]))
    for index in range(2 * count - 1, -1, -1):  # twice round: the end is before the beginning
        later, length_m = ends[(index + 1) % count], pieces[(index + 1) % count][0]
        reachable = math.sqrt(later**2 + 2 * PLANNED_MPS2 * length_m)
        ends[index % count] = min(ends[index % count], reachable)
    return ends
