"""The street graph: on the earth where the city is, as long as it is there, and one piece."""

import math

import numpy as np
import pytest

from motorcade.simulation.streets import EARTH_RADIUS_M, STREETS_FILE, Streets, read_streets


@pytest.fixture(scope="module")
def streets() -> Streets:
    return read_streets()


def great_circle_m(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Haversine, independent of the maker's plane."""
    a, b = math.radians(lat_a), math.radians(lat_b)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half))


def edges_named(streets: Streets, name: str) -> list[int]:
    return [edge for edge in range(streets.edges) if streets.name_of(edge) == name]


def test_it_is_a_city_and_small_on_disk(streets: Streets) -> None:
    assert STREETS_FILE.stat().st_size < 1_000_000
    assert streets.nodes > 7_000
    assert 1.5e6 < streets.edge_length_m.sum() < 1.8e6


def test_known_streets_lie_where_they_lie(streets: Streets) -> None:
    for name, west, south, east, north in (
        ("Theodor-Heuss-Brücke", 8.689, 49.409, 8.696, 49.416),
        ("Hauptstraße", 8.60, 49.33, 8.86, 49.50),
        ("Schlossbergtunnel", 8.700, 49.405, 8.722, 49.415),
        ("Friedrich-Ebert-Anlage", 8.690, 49.404, 8.716, 49.413),
    ):
        edges = edges_named(streets, name)
        assert edges, name
        for edge in edges:
            lon, lat = streets.line(edge)
            assert np.all((west < lon) & (lon < east) & (south < lat) & (lat < north)), name


def test_lengths_are_those_of_the_earth(streets: Streets) -> None:
    for edge in range(0, streets.edges, 7):
        lon, lat = streets.line(edge)
        pieces = [
            great_circle_m(lon[i], lat[i], lon[i + 1], lat[i + 1]) for i in range(len(lon) - 1)
        ]
        straight = great_circle_m(lon[0], lat[0], lon[-1], lat[-1])
        assert sum(pieces) == pytest.approx(streets.edge_length_m[edge], rel=0.02, abs=1.0)
        assert streets.edge_length_m[edge] >= straight - 0.2
    bridge = edges_named(streets, "Theodor-Heuss-Brücke")
    by_way = {
        tuple(sorted((streets.edge_from[e], streets.edge_to[e]))): streets.edge_length_m[e]
        for e in bridge
    }
    assert 200 < sum(by_way.values()) / 2 < 600  # two carriageways over a river 200 m wide


def test_lines_begin_and_end_at_their_nodes(streets: Streets) -> None:
    first, last = streets.edge_first_point[:-1], streets.edge_first_point[1:] - 1
    for point, node in ((first, streets.edge_from), (last, streets.edge_to)):
        assert np.array_equal(streets.point_lon_deg[point], streets.node_lon_deg[node])
        assert np.array_equal(streets.point_lat_deg[point], streets.node_lat_deg[node])
    assert np.allclose(streets.point_m[last], streets.edge_length_m)
    inner = np.diff(streets.point_m) >= 0
    inner[first[1:] - 1] = True  # from one edge's end to the next one's beginning
    assert inner.all()


def test_motorways_go_one_way_and_fast_and_tunnels_are_known(streets: Streets) -> None:
    motorway = edges_named(streets, "A 5")
    pairs = {(int(streets.edge_from[e]), int(streets.edge_to[e])) for e in motorway}
    assert not any((b, a) in pairs for a, b in pairs)
    assert np.median(streets.edge_limit_mps[motorway]) > 25
    tunnel = sum(
        streets.edge_length_m[e]
        for e in edges_named(streets, "Branichtunnel")
        if streets.edge_tunnel[e]
    )
    assert 2 * 1_600 < tunnel < 2 * 1_900  # 1.7 km, both ways


def test_every_node_reaches_every_other(streets: Streets) -> None:
    for tails, heads in (
        (streets.edge_from, streets.edge_to),
        (streets.edge_to, streets.edge_from),
    ):
        following: list[list[int]] = [[] for _ in range(streets.nodes)]
        for tail, head in zip(tails.tolist(), heads.tolist(), strict=True):
            following[tail].append(head)
        seen, stack = {0}, [0]
        while stack:
            for node in following[stack.pop()]:
                if node not in seen:
                    seen.add(node)
                    stack.append(node)
        assert len(seen) == streets.nodes
