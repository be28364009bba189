"""The streets of a real city as a directed graph in arrays. Reads one file, decides nothing.

`streets.npz` is made by `tools/maps/graph.py` from OpenStreetMap (© OpenStreetMap contributors,
ODbL 1.0; see NOTICE): the largest part in which every node reaches every other. A two-way street
is two edges. Edges stand in the order of the node they leave, so those of node n are
`node_first_edge[n]` to `node_first_edge[n + 1]`; an edge's line is `edge_first_point[e]` to
`edge_first_point[e + 1]`, both ends included, in its own direction.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

STREETS_FILE: Final = Path(__file__).with_name("streets.npz")
CITY: Final = "Heidelberg"
CLASSES: Final = ("motorway", "trunk", "primary", "secondary", "tertiary", "minor")
MINOR: Final = CLASSES.index("minor")
TERTIARY: Final = CLASSES.index("tertiary")
EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius, WGS 84
_E7: Final = 1e-7

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Streets:
    """The graph; see the module for how its parts hang together."""

    node_lon_deg: Array  # float64
    node_lat_deg: Array
    node_light: Array  # uint8: traffic lights stand here
    node_first_edge: Array  # int32, one more than nodes
    edge_from: Array  # int32
    edge_to: Array  # int32
    edge_length_m: Array  # float64, along the line as mapped
    edge_limit_mps: Array  # float64
    edge_class: Array  # uint8, index in CLASSES
    edge_tunnel: Array  # uint8: no sky, no network
    edge_name: Array  # uint16, index in `names`
    edge_first_point: Array  # int32, one more than edges
    point_lon_deg: Array  # float64
    point_lat_deg: Array
    point_m: Array  # float64: how far along its edge; the last of an edge is the edge's length
    names: tuple[str, ...]

    @property
    def nodes(self) -> int:
        return len(self.node_lon_deg)

    @property
    def edges(self) -> int:
        return len(self.edge_to)

    def name_of(self, edge: int) -> str:
        """The street's name or number; "" when it has none."""
        return self.names[int(self.edge_name[edge])]

    def line(self, edge: int) -> tuple[Array, Array]:
        """Longitudes and latitudes of an edge's line, degrees."""
        span = slice(self.edge_first_point[edge], self.edge_first_point[edge + 1])
        return self.point_lon_deg[span], self.point_lat_deg[span]

    @cached_property
    def entering(self) -> tuple[Array, Array]:
        """(first, edges): the edges that end in node n are `edges[first[n]:first[n + 1]]`."""
        edges = np.argsort(self.edge_to, kind="stable").astype(np.int32)
        counts = np.bincount(self.edge_to, minlength=self.nodes)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int32), edges

    @cached_property
    def headings(self) -> tuple[Array, Array]:
        """How each edge begins and ends, radians clockwise from north."""
        first, last = self.edge_first_point[:-1], self.edge_first_point[1:] - 1
        return self._bearing(first, first + 1), self._bearing(last - 1, last)

    def _bearing(self, a: Array, b: Array) -> Array:
        lat = np.radians((self.point_lat_deg[a] + self.point_lat_deg[b]) / 2)
        east = (self.point_lon_deg[b] - self.point_lon_deg[a]) * np.cos(lat)
        bearing: Array = np.arctan2(east, self.point_lat_deg[b] - self.point_lat_deg[a])
        return bearing

    @cached_property
    def node_best_class(self) -> Array:
        """The most important street at each node: it has the right of way."""
        best = np.full(self.nodes, 255, np.uint8)
        np.minimum.at(best, self.edge_to, self.edge_class)
        np.minimum.at(best, self.edge_from, self.edge_class)
        return best

    def nodes_of_class(self, least: int) -> Array:
        """Nodes that streets of this class or a smaller one lead to, none of them in a tunnel."""
        held = (self.edge_class >= least) & (self.edge_tunnel == 0)
        return np.unique(self.edge_to[held])


def read_streets(file: Path = STREETS_FILE) -> Streets:
    """Raises `OSError`: the file is not there or cannot be read."""
    with np.load(file, allow_pickle=False) as read:
        part = {name: read[name] for name in read.files}
    first = part["node_first_edge"]
    lon, lat = part["point_lon_e7"] * _E7, part["point_lat_e7"] * _E7
    lengths = part["edge_length_m"].astype(np.float64)
    return Streets(
        node_lon_deg=part["node_lon_e7"] * _E7,
        node_lat_deg=part["node_lat_e7"] * _E7,
        node_light=part["node_light"],
        node_first_edge=first,
        edge_from=np.repeat(np.arange(len(first) - 1, dtype=np.int32), np.diff(first)),
        edge_to=part["edge_to"],
        edge_length_m=lengths,
        edge_limit_mps=part["edge_limit_kmh"] / 3.6,
        edge_class=part["edge_class"],
        edge_tunnel=part["edge_tunnel"],
        edge_name=part["edge_name"],
        edge_first_point=part["edge_first_point"],
        point_lon_deg=lon,
        point_lat_deg=lat,
        point_m=_along(lon, lat, part["edge_first_point"], lengths),
        names=tuple(part["names"].tobytes().decode().split("\n")),
    )


def _along(lon_deg: Array, lat_deg: Array, first: Array, lengths_m: Array) -> Array:
    """How far along its edge each point is, stretched so that the last is where the edge ends: the
    line was simplified, its length was taken before."""
    mean = np.radians((lat_deg[1:] + lat_deg[:-1]) / 2)
    east = np.radians(np.diff(lon_deg)) * np.cos(mean)
    steps = EARTH_RADIUS_M * np.hypot(east, np.radians(np.diff(lat_deg)))
    total = np.concatenate([[0.0], np.cumsum(steps)])
    own = total - np.repeat(total[first[:-1]], np.diff(first))
    stretch = lengths_m / np.maximum(own[first[1:] - 1], 1e-9)
    along: Array = own * np.repeat(stretch, np.diff(first))
    return along


def round_trip() -> Streets:
    """The smallest streets there are: one of 111 m, both ways. What kernels are compiled on."""
    ends = np.array([0.0, 0.001])
    return Streets(
        node_lon_deg=np.zeros(2),
        node_lat_deg=ends,
        node_light=np.zeros(2, np.uint8),
        node_first_edge=np.array([0, 1, 2], np.int32),
        edge_from=np.array([0, 1], np.int32),
        edge_to=np.array([1, 0], np.int32),
        edge_length_m=np.full(2, 111.2),
        edge_limit_mps=np.full(2, 13.9),
        edge_class=np.full(2, MINOR, np.uint8),
        edge_tunnel=np.zeros(2, np.uint8),
        edge_name=np.zeros(2, np.uint16),
        edge_first_point=np.array([0, 2, 4], np.int32),
        point_lon_deg=np.zeros(4),
        point_lat_deg=np.concatenate([ends, ends[::-1]]),
        point_m=np.array([0.0, 111.2, 0.0, 111.2]),
        names=("",),
    )
