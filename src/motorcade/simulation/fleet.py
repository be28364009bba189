"""Up to 100,000 cars on one core, in columns: they live at home, work, run errands, charge.

The same seed and the same steps give the same bytes in every process. Nothing here reads a clock:
the fleet's own begins at 0 and moves by whole steps.
"""

from typing import Final, NamedTuple

import numpy as np

from motorcade.simulation import kernels
from motorcade.simulation.columns import Array, Cars, Places, graph_of, no_cars
from motorcade.simulation.kernels import BATTERY_J, HOME, MOVING, WORK
from motorcade.simulation.router import Router
from motorcade.simulation.streets import MINOR, TERTIARY, Streets

STEP_S: Final = 1.0
DAY_S: Final = 86_400.0
DWELL_S: Final = (5 * 3600.0, 4 * 3600.0, 3_600.0, 600.0)  # at home, work, errand, charger; mean
LIVELY: Final = 0.13  # of these: people are watching, and want to see cars move
ROOM_FOR: Final = 6_000  # cars: what the streets carry without a jam when a third of them moves
HOMES_MAX, WORKS_MAX, ERRANDS_MAX, CHARGERS_MAX = 1_400, 300, 300, 48
WORKS_WEIGHED: Final = 3
_PLACES: Final = 1 << 41  # keeps the draws of the places apart from those of the cars


class Positions(NamedTuple):
    """Where cars are."""

    lon_deg: Array
    lat_deg: Array
    heading_deg: Array  # clockwise from north


class Fleet:
    """Cars on streets. Read `cars` between steps; change nothing."""

    def __init__(
        self,
        streets: Streets,
        count: int,
        seed: int,
        *,
        dwell: float = LIVELY,
        moving: float = 0.35,
        start_of_day_s: float = 8 * 3600.0,
    ) -> None:
        """`dwell` stretches how long cars stand (1: as people do); `moving` is the share that is
        on the road at the start; `start_of_day_s` is the time on the wall then."""
        self.streets, self.count = streets, count
        self.graph = graph_of(streets)
        self.places = _draw_places(streets, seed)
        self.router = Router(self.graph, self.places.node, seed)
        self.cars = no_cars(count)
        self.now_s = 0.0
        self._seed, self._start_s = seed, start_of_day_s
        self._dwell_s = np.array(DWELL_S) * dwell
        self._counts = np.zeros(streets.edges, np.int32)
        self._queues = np.zeros(streets.edges, np.int32)
        self._wanted = np.empty(count, np.int32)
        self._weight = min(1.0, ROOM_FOR / count)
        _settle(self.cars, streets, self.places, seed, moving, float(self._dwell_s[HOME]))
        self.router.make(self.cars.target[self.cars.state == MOVING])

    def step(self) -> None:
        """One second of all cars."""
        hour = (self._start_s + self.now_s) % DAY_S / 3600.0
        leaving = kernels.choose(
            self._seed, self.now_s, hour, self.graph, self.places, self.cars, self._wanted
        )
        if leaving:
            self.router.make(self._wanted[:leaving])
        self.now_s += STEP_S
        kernels.step(
            self._seed,
            self.now_s,
            STEP_S,
            self._weight,
            self._dwell_s,
            self.graph,
            self.places,
            self.router.ways,
            self.cars,
            self._counts,
            self._queues,
        )

    def positions(self, rows: Array | None = None) -> Positions:
        """Of all cars, or of these rows. True ones: what a car in a tunnel knows is another
        question."""
        edge, along = self.cars.edge, self.cars.along_m
        if rows is not None:
            edge, along = edge[rows], along[rows]
        found = Positions(*(np.empty(len(edge)) for _ in range(3)))
        kernels.locate(self.graph, edge, along, *found)
        return found

    def in_tunnel(self) -> Array:
        """Which cars have neither sky nor network; bool."""
        return self.graph.edge_tunnel[self.cars.edge] > 0


def _draw_places(streets: Streets, seed: int) -> Places:
    """Homes on small streets, works and errands also on larger ones, chargers on larger ones."""
    random = np.random.default_rng((seed, _PLACES))
    small = streets.nodes_of_class(MINOR)
    larger = streets.nodes_of_class(TERTIARY)
    groups = [
        random.permutation(small)[:HOMES_MAX],
        random.permutation(larger)[:WORKS_MAX],
        random.permutation(larger)[:ERRANDS_MAX],
        random.permutation(larger)[:CHARGERS_MAX],
    ]
    ends = np.cumsum([len(group) for group in groups])
    node = np.concatenate(groups).astype(np.int32)
    return Places(node, int(ends[0]), int(ends[1]), int(ends[2]))


def _settle(
    cars: Cars, streets: Streets, places: Places, seed: int, moving: float, dwell_s: float
) -> None:
    """Who lives where, what they drive like, and where they are at the start."""
    random = np.random.default_rng(seed)
    count = len(cars.state)
    cars.home[:] = random.integers(0, places.work_from, count)
    cars.work[:] = _work_near(random, streets, places, cars.home)
    cars.taste[:] = random.uniform(0.85, 1.1, count)
    cars.pull_mps2[:] = random.uniform(1.2, 2.4, count)
    draw_levels(cars, random)
    cars.cleared[:] = -1
    at_home = random.random(count) < 0.6
    cars.kind[:] = np.where(at_home, HOME, WORK)
    cars.target[:] = np.where(at_home, cars.home, cars.work)
    first, entering = streets.entering
    node = places.node[cars.target]
    ways_in = first[node + 1] - first[node]
    edge = entering[first[node] + (random.random(count) * ways_in).astype(np.int64)]
    length = streets.edge_length_m[edge]
    back = np.minimum(2.0 + kernels.PARK_BACK_M * random.random(count), length * 0.5)
    cars.edge[:] = edge
    cars.along_m[:] = length - back
    cars.back_m[:] = back
    cars.until_s[:] = dwell_s * random.random(count)
    on_road = np.flatnonzero(random.random(count) < moving)
    cars.state[on_road] = MOVING
    road = random.integers(0, streets.edges, len(on_road))
    cars.edge[on_road] = road
    cars.along_m[on_road] = streets.edge_length_m[road] * random.uniform(0, 0.4, len(on_road))


def draw_levels(cars: Cars, random: np.random.Generator) -> None:
    """What cars have in their batteries and on their clocks at the start."""
    cars.energy_j[:] = BATTERY_J * random.uniform(0.25, 0.9, len(cars.energy_j))
    cars.odometer_m[:] = random.uniform(1e6, 8e7, len(cars.odometer_m))


def _work_near(random: np.random.Generator, streets: Streets, places: Places, home: Array) -> Array:
    """Of a few works drawn, the nearest: most people do not cross the whole region each day."""
    drawn = random.integers(places.work_from, places.errand_from, (len(home), WORKS_WEIGHED))
    lon, lat = streets.node_lon_deg[places.node], streets.node_lat_deg[places.node]
    east = (lon[drawn] - lon[home][:, None]) * np.cos(np.radians(lat[home][:, None]))
    away = np.hypot(east, lat[drawn] - lat[home][:, None])
    nearest: Array = drawn[np.arange(len(home)), away.argmin(axis=1)]
    return nearest
