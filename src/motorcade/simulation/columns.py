"""The arrays that the kernels work on: the graph's, the places', the cars'. One row, one thing."""

from typing import Any, NamedTuple

import numpy as np

from motorcade.simulation.streets import Streets

Array = np.ndarray[Any, Any]


class Graph(NamedTuple):
    """`Streets` for kernels; see there."""

    node_lon_deg: Array
    node_lat_deg: Array
    node_light: Array
    node_first_edge: Array
    node_best_class: Array
    edge_from: Array
    edge_to: Array
    edge_length_m: Array
    edge_limit_mps: Array
    edge_lanes: Array
    edge_class: Array
    edge_tunnel: Array
    edge_begin_rad: Array
    edge_end_rad: Array
    edge_first_point: Array
    entering_first: Array
    entering: Array
    point_lon_deg: Array
    point_lat_deg: Array
    point_m: Array


LANES = np.array([2.0, 2.0, 2.0, 1.0, 1.0, 1.0])
"""One way, by class: OpenStreetMap often does not say."""


def graph_of(streets: Streets) -> Graph:
    begin, end = streets.headings
    entering_first, entering = streets.entering
    return Graph(
        streets.node_lon_deg,
        streets.node_lat_deg,
        streets.node_light,
        streets.node_first_edge,
        streets.node_best_class,
        streets.edge_from,
        streets.edge_to,
        streets.edge_length_m,
        streets.edge_limit_mps,
        LANES[streets.edge_class],
        streets.edge_class,
        streets.edge_tunnel,
        begin,
        end,
        streets.edge_first_point,
        entering_first,
        entering,
        streets.point_lon_deg,
        streets.point_lat_deg,
        streets.point_m,
    )


class Places(NamedTuple):
    """Where cars go: homes, then works, errands, chargers."""

    node: Array  # int32, the junction that the place is at
    work_from: int  # index of the first work; homes are before it
    errand_from: int
    charger_from: int


class Cars(NamedTuple):
    """The fleet. Times are s of the fleet's own clock."""

    state: Array  # uint8: PARKED, MOVING, CHARGING
    kind: Array  # uint8: HOME, WORK, ERRAND, CHARGER; of the place it stands at or goes to
    edge: Array  # int32
    along_m: Array  # float64, along the edge
    speed_mps: Array
    pull_now_mps2: Array  # acceleration of the last step
    power_w: Array  # out of the battery; negative: into it
    energy_j: Array
    odometer_m: Array
    until_s: Array  # parked: not before this it leaves
    hold_s: Array  # moving: not before this it goes on
    rank: Array  # int32, standing at a light: how many go before it, and itself
    cleared: Array  # int32, the edge at whose end it gave way already
    back_m: Array  # how far before the junction of its place it parks
    target: Array  # int32, a place
    home: Array  # int32
    work: Array  # int32
    taste: Array  # of speed: how it takes a limit
    pull_mps2: Array  # how hard it accelerates
    draws: Array  # int64, how much chance it has used up


def no_cars(count: int) -> Cars:
    """So many rows of zeros."""
    types: dict[str, type] = {"state": np.uint8, "kind": np.uint8, "draws": np.int64}
    types |= dict.fromkeys(("edge", "rank", "cleared", "target", "home", "work"), np.int32)
    return Cars(*(np.zeros(count, types.get(name, np.float64)) for name in Cars._fields))
