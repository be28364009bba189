"""Lines of whole numbers: simplified, then each point as its difference from the one before."""

import math
from collections.abc import Sequence

Point = tuple[float, float]


def simplified(points: Sequence[Point], tolerance_deg: float) -> list[Point]:
    """Douglas and Peucker (1973): the fewest kept points from which none strays further than the
    tolerance, in degrees of latitude; longitude is shrunk to that scale. The ends stay."""
    shrink = math.cos(math.radians(points[0][1]))
    keep = {0, len(points) - 1}
    stack = [(0, len(points) - 1)]
    while stack:
        first, last = stack.pop()
        (ax, ay), (bx, by) = points[first], points[last]
        dx, dy = (bx - ax) * shrink, by - ay
        length = math.hypot(dx, dy)
        worst, worst_at = tolerance_deg, 0
        for index in range(first + 1, last):
            px, py = (points[index][0] - ax) * shrink, points[index][1] - ay
            if length == 0.0:
                off = math.hypot(px, py)
            else:
                along = min(max((px * dx + py * dy) / length**2, 0.0), 1.0)
                off = math.hypot(px - along * dx, py - along * dy)
            if off > worst:
                worst, worst_at = off, index
        if worst_at:
            keep.add(worst_at)
            stack += [(first, worst_at), (worst_at, last)]
    return [points[index] for index in sorted(keep)]


def deltas(points: Sequence[Point], scale: float) -> list[int]:
    """x0, y0, then dx, dy of each further point that differs from the one before it."""
    out: list[int] = []
    before = (0, 0)
    for lon, lat in points:
        here = (round(lon / scale), round(lat / scale))
        if not out or here != before:
            out += [here[0] - before[0], here[1] - before[1]]
            before = here
    return out
