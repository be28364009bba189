"""Ways through the city: as fast as a plain Dijkstra finds them, and the same however asked for."""

import heapq

import numpy as np
import pytest

from motorcade.simulation.columns import Graph, graph_of
from motorcade.simulation.router import Router
from motorcade.simulation.streets import read_streets


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(read_streets())


def plain_seconds(graph: Graph, target: int) -> list[float]:
    """The oracle: Dijkstra over Python lists, from every node to `target`."""
    cost = graph.edge_length_m / graph.edge_limit_mps + 1.0 + 12.0 * graph.node_light[graph.edge_to]
    entering: list[list[tuple[int, float]]] = [[] for _ in graph.node_lon_deg]
    for tail, head, seconds in zip(graph.edge_from, graph.edge_to, cost, strict=True):
        entering[head].append((int(tail), float(seconds)))
    left = [float("inf")] * len(entering)
    left[target] = 0.0
    heap = [(0.0, target)]
    while heap:
        far, node = heapq.heappop(heap)
        if far > left[node]:
            continue
        for other, seconds in entering[node]:
            if far + seconds < left[other]:
                left[other] = far + seconds
                heapq.heappush(heap, (left[other], other))
    return left


def test_times_are_those_of_a_plain_search(graph: Graph) -> None:
    targets = np.array([17, 4_000, 7_100])
    router = Router(graph, targets, seed=1, spread=0.0)
    for place, target in enumerate(targets):
        assert np.allclose(router.seconds_to(place), plain_seconds(graph, int(target)))


def test_a_route_is_a_chain_of_streets_that_takes_as_long_as_was_said(graph: Graph) -> None:
    router = Router(graph, np.array([4_000]), seed=1, spread=0.0)
    seconds = router.seconds_to(0)
    for start in (0, 123, 6_000):
        edges = router.route(start, 0)
        assert graph.edge_from[edges[0]] == start
        assert graph.edge_to[edges[-1]] == 4_000
        assert np.array_equal(graph.edge_to[edges[:-1]], graph.edge_from[edges[1:]])
        taken = graph.edge_length_m[edges] / graph.edge_limit_mps[edges] + 1.0
        taken += 12.0 * graph.node_light[graph.edge_to[edges]]
        assert taken.sum() == pytest.approx(seconds[start])


def test_rows_depend_on_seed_and_place_alone(graph: Graph) -> None:
    targets = np.array([17, 4_000, 7_100])
    early, late = Router(graph, targets, seed=5), Router(graph, targets, seed=5)
    early.make(np.array([0, 1, 2]))
    late.make(np.array([2]))
    late.make(np.array([1, 0, 2]))
    assert np.array_equal(early.ways, late.ways)
    assert late.made == 3
    other = Router(graph, targets, seed=6)
    other.make(np.array([0, 1, 2]))
    assert not np.array_equal(early.ways, other.ways)
