"""Ways to places, made when first asked for and then kept: one byte per node and place.

A car needs no route of its own: at each junction its place's row says which street comes next.
Deterministic: a row depends on seed and place alone, never on when it was made.
"""

from typing import Final

import numpy as np

from motorcade.simulation import kernels
from motorcade.simulation.columns import Array, Graph

TASTE_SPREAD: Final = 0.3  # drivers' ideas of how long a street takes differ by so much


class Router:
    """Ways to a fixed list of nodes."""

    def __init__(
        self, graph: Graph, targets: Array, seed: int, spread: float = TASTE_SPREAD
    ) -> None:
        """`spread` 0: everybody takes what is fastest by length, limit and lights."""
        self._graph, self._targets, self._seed, self._spread = graph, targets, seed, spread
        nodes, edges = len(graph.node_lon_deg), len(graph.edge_to)
        self.ways = np.empty((len(targets), nodes), np.uint8)  # rows nobody asked for take no room
        self._made = np.zeros(len(targets), bool)
        self._cost_s = np.empty(edges)
        self._left_s = np.empty(nodes)
        self._heap = np.empty((edges + nodes, 2))

    @property
    def made(self) -> int:
        """How many places have their row."""
        return int(self._made.sum())

    def make(self, places: Array) -> None:
        """See that `ways` holds these places; about 1 ms for each that is new."""
        for place in np.unique(places[~self._made[places]]):
            self._make(int(place))

    def seconds_to(self, place: int) -> Array:
        """How long it takes from each node, as those who drive there see it; float64."""
        self._make(place)
        return self._left_s.copy()

    def route(self, node: int, place: int) -> list[int]:
        """The edges from a node to a place."""
        self.make(np.array([place]))
        graph, hop, end = self._graph, self.ways[place], self._targets[place]
        edges = []
        while node != end:
            edges.append(int(graph.node_first_edge[node]) + int(hop[node]))
            node = int(graph.edge_to[edges[-1]])
        return edges

    def _make(self, place: int) -> None:
        target = int(self._targets[place])
        kernels.costs(self._seed, target, self._spread, self._graph, self._cost_s)
        kernels.way_to(
            target, self._cost_s, self._graph, self.ways[place], self._left_s, self._heap
        )
        self._made[place] = True
