"""An area on the ground: a ring of corners, and what may lie in it. No IO.

Sides are straight in longitude and latitude, as drawn on a flat map, and take the shorter way
around the earth: an area may lie across 180 degrees. Of a ring that crosses itself, what an odd
number of its windings surrounds is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from motorcade.history.index import E7, Boxes

TURN_DEG: Final = 360.0


class AreaError(ValueError):
    """These corners surround no area; the text says why."""


@dataclass(frozen=True, slots=True)
class Area:
    """Degrees. Longitudes go on from `edges[0]`, over 180 where the area lies across it."""

    corners: npt.NDArray[np.float64]  # rows of longitude, latitude
    edges: npt.NDArray[np.float64]  # west (-180 to before 180), south, east, north

    @staticmethod
    def of(corners: Sequence[tuple[float, float]]) -> "Area":
        """From (longitude, latitude) of each corner, in the order of the ring, closed by itself.

        Raises:
            AreaError: fewer than three corners, no coordinates, or a ring around a pole.
        """
        ring = np.array(corners, np.float64).reshape(-1, 2)
        if len(ring) < 3:
            raise AreaError("an area has at least three corners")
        if not (np.isfinite(ring).all() and (np.abs(ring) <= (1.5 * TURN_DEG, 90)).all()):
            raise AreaError("corners are longitude,latitude in degrees")
        steps = np.diff(ring[:, 0], append=ring[0, 0])
        steps -= TURN_DEG * np.round(steps / TURN_DEG)
        if abs(steps.sum()) > TURN_DEG / 2:
            raise AreaError("the area lies around a pole: cut it in two")
        east = np.concatenate(([0.0], np.cumsum(steps[:-1])))
        first = ring[0, 0] + east.min()
        west = (first + TURN_DEG / 2) % TURN_DEG - TURN_DEG / 2
        ring[:, 0] = west + (east - east.min())
        if ring[:, 0].max() - west > TURN_DEG:
            raise AreaError("the area goes around the earth more than once")
        south, north = ring[:, 1].min(), ring[:, 1].max()
        return Area(ring, np.array([west, south, ring[:, 0].max(), north]))

    def meets(self, boxes: Boxes) -> npt.NDArray[np.bool_]:
        """Which boxes may hold something of the area."""
        west, south, east, north = (np.round(self.edges * E7)).astype(np.int64)
        low, high = boxes[:, 0].astype(np.int64) - 1, boxes[:, 2].astype(np.int64) + 1
        turn = int(TURN_DEG) * E7
        is_beside = (low <= east) & (high >= west)
        is_beyond = (low + turn <= east) & (high + turn >= west)
        is_level = (boxes[:, 1] - 1 <= north) & (boxes[:, 3] + 1 >= south)
        met: npt.NDArray[np.bool_] = (is_beside | is_beyond) & is_level
        return met
