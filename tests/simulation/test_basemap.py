"""The basemap's files: small, true to the earth, and drawn without a jump across 180 degrees."""

import gzip
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

BASEMAP = Path(__file__).parents[2] / "web" / "public" / "basemap"


def content(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((BASEMAP / name).read_text(encoding="utf-8"))
    return found


def points(line: list[int], scale: float) -> list[tuple[float, float]]:
    out = []
    x = y = 0
    for dx, dy in zip(line[::2], line[1::2], strict=True):
        x, y = x + dx, y + dy
        out.append((x * scale, y * scale))
    return out


def holds(ring: list[tuple[float, float]], lon: float, lat: float) -> bool:
    """Even-odd rule."""
    inside = False
    for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (ay > lat) != (by > lat) and lon < ax + (lat - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside


def test_all_of_it_is_small() -> None:
    files = [path.read_bytes() for path in BASEMAP.glob("*.json")]
    assert len(files) == 3
    assert sum(len(text) for text in files) < 1_600_000
    assert sum(len(gzip.compress(text, 9)) for text in files) < 600_000


def test_countries_hold_their_cities_and_no_ring_jumps() -> None:
    found = content("countries.json")
    rings = {
        row["name"]: [points(shape[0], found["scale"]) for shape in row["polygons"]]
        for row in found["countries"]
    }
    for name, (lon, lat) in {
        "Germany": (8.7, 49.4),
        "Russia": (178.0, 66.0),
        "Antarctica": (0.0, -85.0),
        "New Zealand": (175.5, -39.0),
    }.items():
        assert any(holds(ring, lon, lat) for ring in rings[name]), name
    for name, shapes in rings.items():
        for ring in shapes:
            assert ring[0] == ring[-1], name
            steps = [
                abs(b[0] - a[0])
                for a, b in pairwise(ring)
                if a[1] > -90 or b[1] > -90  # the pole itself is one point however long the line
            ]
            assert max(steps) < 180, name


def test_cities_come_largest_first_with_every_kind() -> None:
    rows = content("cities.json")["cities"]
    assert [row[3] for row in rows] == sorted((row[3] for row in rows), reverse=True)
    by_name = {row[0]: row for row in rows}
    assert by_name["Heidelberg"][1:3] == [8.691, 49.408]
    assert by_name["Berlin"][4] == 1
    assert by_name["Hamburg"][4] == 0


def test_streets_stand_where_they_stand() -> None:
    found = content("streets.json")
    west, south, east, north = found["bounds"]
    by_name: dict[str, list[tuple[float, float]]] = {}
    tunnels = set()
    for row in found["streets"]:
        assert 0 <= row["class"] < len(found["classes"])
        for line in row["lines"]:
            drawn = points(line, found["scale"])
            assert len(drawn) >= 2
            assert all(west <= lon <= east and south <= lat <= north for lon, lat in drawn)
            by_name.setdefault(row["name"], []).extend(drawn)
        if row.get("tunnel"):
            tunnels.add(row["name"])
    bridge = by_name["Theodor-Heuss-Brücke"]  # over the Neckar, north-south beside Bismarckplatz
    assert all(8.690 < lon < 8.696 and 49.409 < lat < 49.416 for lon, lat in bridge)
    assert {"Schlossbergtunnel", "Branichtunnel"} <= tunnels
    assert "A 5" in by_name
