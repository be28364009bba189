"""Make `src/motorcade/simulation/streets.npz`: the demo city's streets as a directed graph.

Read README.md first. `motorcade/simulation/streets.py` reads the arrays and tells what they are.
"""

import argparse
import math
import zipfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import osmium

from tools.maps import city
from tools.maps.lines import Point, simplified

OUT = Path(__file__).parents[2] / "src" / "motorcade" / "simulation" / "streets.npz"
TOLERANCE_DEG = 0.8e-5  # 0.9 m
EARTH_RADIUS_M = 6_371_008.8
DEFAULT_KMH = (130, 100, 50, 50, 50, 30)  # by class, where nobody wrote a limit
WORDS_KMH = {"none": 130, "walk": 7, "DE:urban": 50, "DE:rural": 100, "DE:living_street": 7}
CLOSED = ("no", "private", "agricultural", "forestry", "delivery")


@dataclass(frozen=True)
class Way:
    """A street as mapped, cut nowhere yet."""

    nodes: tuple[int, ...]
    kind: int
    limit_kmh: int
    name: str
    tunnel: bool
    forth: bool
    back: bool


def limit_kmh(tags: osmium.osm.TagList, kind: int) -> int:
    text = tags.get("maxspeed", "")
    if tags.get("highway") == "living_street":
        return 7
    if text.isdigit():
        return min(max(int(text), 7), 130)
    default = 50 if tags.get("highway", "").endswith("_link") else DEFAULT_KMH[kind]
    return WORDS_KMH.get(text, default)


def directions(tags: osmium.osm.TagList) -> tuple[bool, bool]:
    oneway = tags.get("oneway", "")
    implied = tags.get("junction") == "roundabout" or tags.get("highway") in (
        "motorway",
        "motorway_link",
    )
    if oneway in ("-1", "reverse"):
        return False, True
    if oneway in ("yes", "1", "true") or (implied and oneway != "no"):
        return True, False
    return True, True


def read(extract: Path) -> tuple[list[Way], dict[int, Point], set[int]]:
    """Streets that cars may use, where their nodes are, and which nodes have traffic lights."""
    ways: list[Way] = []
    places: dict[int, Point] = {}
    lights = set()
    wanted = osmium.osm.NODE | osmium.osm.WAY
    for item in osmium.FileProcessor(str(extract), wanted).with_locations():
        tags = item.tags
        if item.is_node():
            if tags.get("highway") == "traffic_signals":
                lights.add(item.id)
            continue
        kind = city.CLASS_OF_HIGHWAY.get(tags.get("highway", ""))
        access = tags.get("motor_vehicle") or tags.get("vehicle") or tags.get("access") or ""
        if kind is None or access in CLOSED or tags.get("area") == "yes":
            continue
        nodes = [node for node in item.nodes if node.location.valid()]
        if len(nodes) < 2 or not all(city.inside(node.lon, node.lat) for node in nodes):
            continue
        places.update((node.ref, (node.lon, node.lat)) for node in nodes)
        ways.append(
            Way(
                tuple(node.ref for node in nodes),
                kind,
                limit_kmh(tags, kind),
                tags.get("name") or tags.get("tunnel:name") or tags.get("ref") or "",
                tags.get("tunnel") == "yes",
                *directions(tags),
            )
        )
    return ways, places, lights


def metres(points: list[Point]) -> float:
    """Along the line; on the plane that touches each piece, good to a millimetre at this length."""
    total = 0.0
    for (ax, ay), (bx, by) in pairwise(points):
        east = math.radians(bx - ax) * math.cos(math.radians((ay + by) / 2))
        total += EARTH_RADIUS_M * math.hypot(east, math.radians(by - ay))
    return total


def pieces(ways: list[Way], lights: set[int]) -> list[tuple[int, int, tuple[int, ...], Way]]:
    """Directed edges: from, to, the nodes between (ends included), the way."""
    used = Counter(node for way in ways for node in way.nodes)
    out = []
    for way in ways:
        last_index = len(way.nodes) - 1
        cuts = [
            index
            for index, node in enumerate(way.nodes)
            if index in (0, last_index) or used[node] > 1 or node in lights
        ]
        for first, last in pairwise(cuts):
            nodes = way.nodes[first : last + 1]
            if way.forth:
                out.append((nodes[0], nodes[-1], nodes, way))
            if way.back:
                out.append((nodes[-1], nodes[0], nodes[::-1], way))
    return [edge for edge in out if edge[0] != edge[1]]


def strongest(edges: list[tuple[int, int, tuple[int, ...], Way]]) -> set[int]:
    """The largest set of nodes that all reach each other (Kosaraju)."""
    forth: dict[int, list[int]] = {}
    back: dict[int, list[int]] = {}
    for a, b, _, _ in edges:
        forth.setdefault(a, []).append(b)
        back.setdefault(b, []).append(a)
    order: list[int] = []
    seen: set[int] = set()
    for start in sorted({*forth, *back}):
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(forth.get(start, ())))]
        while stack:
            node, following = stack[-1]
            nearest = next((other for other in following if other not in seen), None)
            if nearest is None:
                order.append(node)
                stack.pop()
            else:
                seen.add(nearest)
                stack.append((nearest, iter(forth.get(nearest, ()))))
    best: set[int] = set()
    seen = set()
    for start in reversed(order):
        if start in seen:
            continue
        part, stack_of = {start}, [start]
        while stack_of:
            for other in back.get(stack_of.pop(), ()):
                if other not in seen and other not in part:
                    part.add(other)
                    stack_of.append(other)
        seen |= part
        best = max(best, part, key=len)
    return best


def near_first(point: Point) -> int:
    """Morton's order: what is near on the map is mostly near in memory."""
    x = int((point[0] + 180) / 360 * 2**24)
    y = int((point[1] + 90) / 180 * 2**24)
    return sum(
        ((x >> bit) & 1) << (2 * bit) | ((y >> bit) & 1) << (2 * bit + 1) for bit in range(24)
    )


def build(extract: Path) -> dict[str, np.ndarray]:
    ways, places, lights = read(extract)
    edges = pieces(ways, lights)
    kept = strongest(edges)
    nodes = sorted(kept, key=lambda node: (near_first(places[node]), node))
    number = {node: index for index, node in enumerate(nodes)}
    inner = [edge for edge in edges if edge[0] in number and edge[1] in number]
    inner.sort(key=lambda edge: (number[edge[0]], number[edge[1]], edge[2]))
    names = sorted({edge[3].name for edge in inner})
    index_of = {name: index for index, name in enumerate(names)}
    lines = [simplified([places[node] for node in edge[2]], TOLERANCE_DEG) for edge in inner]
    starts = np.cumsum([0] + [len(line) for line in lines])
    flat = np.array([point for line in lines for point in line])
    counts = np.bincount([number[edge[0]] for edge in inner], minlength=len(nodes))
    return {
        "node_lon_e7": np.array([round(places[node][0] * 1e7) for node in nodes], np.int32),
        "node_lat_e7": np.array([round(places[node][1] * 1e7) for node in nodes], np.int32),
        "node_light": np.array([node in lights for node in nodes], np.uint8),
        "node_first_edge": np.concatenate([[0], np.cumsum(counts)]).astype(np.int32),
        "edge_to": np.array([number[edge[1]] for edge in inner], np.int32),
        "edge_length_m": np.array(
            [metres([places[node] for node in edge[2]]) for edge in inner], np.float32
        ),
        "edge_limit_kmh": np.array([edge[3].limit_kmh for edge in inner], np.uint8),
        "edge_class": np.array([edge[3].kind for edge in inner], np.uint8),
        "edge_tunnel": np.array([edge[3].tunnel for edge in inner], np.uint8),
        "edge_name": np.array([index_of[edge[3].name] for edge in inner], np.uint16),
        "edge_first_point": starts.astype(np.int32),
        "point_lon_e7": np.round(flat[:, 0] * 1e7).astype(np.int32),
        "point_lat_e7": np.round(flat[:, 1] * 1e7).astype(np.int32),
        "names": np.frombuffer("\n".join(names).encode(), np.uint8),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--osm", type=Path, required=True)
    arrays = build(parser.parse_args().osm)
    OUT.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(OUT, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for name, array in sorted(arrays.items()):  # with fixed times: the same bytes each time
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with file.open(entry, "w") as target:
                np.lib.format.write_array(target, array, allow_pickle=False)
    print(
        f"{len(arrays['node_lon_e7'])} nodes, {len(arrays['edge_to'])} edges, "
        f"{arrays['edge_length_m'].sum() / 1e3:.0f} km of lanes, {OUT.stat().st_size} bytes"
    )


if __name__ == "__main__":
    main()
