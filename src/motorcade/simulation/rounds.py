"""Rounds through the city for cars that drive one all day: real streets, real limits, a few stops.

Plain Python on purpose: it serves a handful of agents, whose process should start without loading a
compiler. What drives them is `vehicle/`, which knows nothing of a city; see `RoadPoint` there.
"""

import heapq
import math
from typing import Final, NamedTuple

import numpy as np

from motorcade.simulation.streets import EARTH_RADIUS_M, MINOR, Array, Streets

STOPS: Final = (5, 9)  # fewest, and one more than most
BETWEEN_M: Final = (600.0, 2_000.0)  # from stop to stop, as the crow flies
HOPED_MPS: Final = 25.0  # towards the end, at best: what makes the search look that way first
SAME_DEG: Final = 1e-7  # points nearer than this are one
_ROUNDS: Final = 3  # keeps the draws of rounds apart from other draws of a seed


class Point(NamedTuple):
    """A bend of the round."""

    latitude_deg: float
    longitude_deg: float
    limit_mps: float  # from here on
    stop: bool  # one may park here


class Rounds:
    """Draws rounds; the same seed gives the same one."""

    def __init__(self, streets: Streets) -> None:
        self._streets = streets
        self._to: list[int] = streets.edge_to.tolist()
        self._first: list[int] = streets.node_first_edge.tolist()
        self._cost_s: list[float] = (streets.edge_length_m / streets.edge_limit_mps + 1.0).tolist()
        self._stops = streets.nodes_of_class(MINOR)
        shrink = np.cos(np.radians(streets.node_lat_deg.mean()))
        self._x_m = (np.radians(streets.node_lon_deg) * shrink * EARTH_RADIUS_M).tolist()
        self._y_m = (np.radians(streets.node_lat_deg) * EARTH_RADIUS_M).tolist()

    def draw(self, seed: int) -> list[Point]:
        """A closed round; some ten to thirty kilometres."""
        random = np.random.default_rng((seed, _ROUNDS))
        nodes = [int(random.choice(self._stops))]
        while len(nodes) < int(random.integers(*STOPS)):
            near = self._around(nodes[-1])
            nodes.append(int(random.choice(near)))
        points: list[Point] = []
        for node, following in zip(nodes, [*nodes[1:], nodes[0]], strict=True):
            for number, edge in enumerate(self._way(node, following)):
                self._append(points, edge, stop=number == 0)
        return points

    def _around(self, node: int) -> Array:
        """Where one may go next."""
        streets, stops = self._streets, self._stops
        lat, lon = streets.node_lat_deg, streets.node_lon_deg
        east = np.radians(lon[stops] - lon[node]) * np.cos(np.radians(lat[node]))
        away_m = EARTH_RADIUS_M * np.hypot(east, np.radians(lat[stops] - lat[node]))
        least_m, most_m = BETWEEN_M
        near = stops[(away_m >= least_m) & (away_m <= most_m)]
        found: Array = near if len(near) else stops[stops != node]
        return found

    def _way(self, start: int, end: int) -> list[int]:
        """A*, with a guess that fast roads away from the line may beat: a good way, not always the
        best."""
        x_m, y_m = self._x_m, self._y_m
        to_x_m, to_y_m = x_m[end], y_m[end]
        best = {start: 0.0}
        came: dict[int, int] = {}
        done = set()
        heap = [(0.0, start)]
        while heap:
            _, node = heapq.heappop(heap)
            if node == end:
                break
            if node in done:
                continue
            done.add(node)
            seconds = best[node]
            for edge in range(self._first[node], self._first[node + 1]):
                there, other = seconds + self._cost_s[edge], self._to[edge]
                if other not in done and there < best.get(other, math.inf):
                    best[other], came[other] = there, edge
                    left_m = math.hypot(x_m[other] - to_x_m, y_m[other] - to_y_m)
                    heapq.heappush(heap, (there + left_m / HOPED_MPS, other))
        edges = []
        node = end
        while node != start:
            edges.append(came[node])
            node = int(self._streets.edge_from[came[node]])
        return edges[::-1]

    def _append(self, points: list[Point], edge: int, *, stop: bool) -> None:
        """The edge's line without its end, which the next one begins with."""
        lon, lat = self._streets.line(edge)
        limit_mps = float(self._streets.edge_limit_mps[edge])
        for x, y in zip(lon[:-1].tolist(), lat[:-1].tolist(), strict=True):
            last = points[-1] if points else None
            if last and abs(last[0] - y) < SAME_DEG and abs(last[1] - x) < SAME_DEG:
                continue
            points.append(Point(y, x, limit_mps, stop))
            stop = False
