"""What one viewer looks at, and the frames that bring their page up to date. No IO, no clock.

A viewer holds a flag per slot: not held, held, held but older than what there is. What does not fit
into a frame is left for the next one, which begins where this one ended: everybody gets their turn,
and nothing is kept up for a page that reads slowly.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from motorcade.api.window.frames import (
    CAR_BYTES,
    HEADER,
    Stamp,
    Wire,
    encode_cars,
    encode_density,
)
from motorcade.api.window.kernels import count_cells, pick_cars
from motorcade.api.window.picture import E7, Flags, Looker, Picture, Scene
from motorcade.config import DashboardConfig
from motorcade.state.columns import STATES

CELL_PX: Final = 64  # about so wide is a cell of density on the screen
TILE_PX: Final = 512  # of the map: the world is so wide at zoom 0
CELLS_SIDE_MAX: Final = 96  # of cells in a view, each way
MARGIN: Final = 0.1  # of the view, around it: who pans a little sees cars at once
QUERY_CHARACTERS_MAX: Final = 100
ZOOM_MAX: Final = 24.0
_TURN: Final = 360 * E7


class ViewError(ValueError):
    """A message that is none of the protocol's; the text says what."""


class FilterAsked(msgspec.Struct, frozen=True):
    state: list[str] = []
    q: str = ""


class ViewAsked(msgspec.Struct, frozen=True):
    """`view` of the protocol."""

    bounds: list[float]
    zoom: float = 0.0
    rate_hz: float = 0.0
    filter: FilterAsked = msgspec.field(default_factory=FilterAsked)


@dataclass(frozen=True, slots=True)
class View:
    """A view, checked."""

    bounds: tuple[int, int, int, int]  # west, south, east, north with the margin, 1e-7 degrees
    zoom: float
    states: tuple[int, ...]  # 1 by index: wanted
    query: str

    @property
    def filter(self) -> tuple[tuple[int, ...], str]:
        return self.states, self.query

    @staticmethod
    def of(asked: ViewAsked, margin: float = MARGIN) -> "View":
        """Raises `ViewError`."""
        bounds = asked.bounds
        if len(bounds) != 4 or not all(map(math.isfinite, (*bounds, asked.zoom))):
            raise ViewError("bounds: four finite numbers: west, south, east, north")
        west, south, east, north = bounds
        if not (-90 <= south <= north <= 90 and abs(west) <= 540 and abs(east) <= 540):
            raise ViewError("bounds: degrees; south before north, both from -90 to 90")
        unknown = [name for name in asked.filter.state if name not in STATES]
        if unknown:
            raise ViewError(f"filter.state: {unknown[0][:20]!r} is none of {', '.join(STATES)}")
        if len(asked.filter.q) > QUERY_CHARACTERS_MAX:
            raise ViewError(f"filter.q: at most {QUERY_CHARACTERS_MAX} characters")
        wanted = asked.filter.state or STATES
        return View(
            _widened(west, south, east, north, margin),
            min(max(asked.zoom, 0.0), ZOOM_MAX),
            tuple(int(name in wanted) for name in STATES),
            asked.filter.q.strip(),
        )


def _widened(
    west: float, south: float, east: float, north: float, margin: float
) -> tuple[int, int, int, int]:
    """Bounds with the margin, in 1e-7 degrees; the whole turn where it is one."""
    span = east - west
    while span < 0:
        span += 360
    tall = (north - south) * margin
    south, north = max(-90.0, south - tall), min(90.0, north + tall)
    if span * (1 + 2 * margin) >= 360:
        west, east = -180.0, 180.0
    else:
        west, east = _turned(west - span * margin), _turned(east + span * margin)
    return round(west * E7), round(south * E7), round(east * E7), round(north * E7)


def _turned(degrees: float) -> float:
    return (degrees + 180.0) % 360.0 - 180.0


@dataclass(slots=True)
class Viewer:
    """One page. `view` and `looker` are set by the loop; all else is the ticker's thread's."""

    looker: Looker
    config: DashboardConfig
    by_vin: bool = False  # may search by the end of a VIN
    view: View | None = None
    serial: int = 0
    _filter: Any = None  # what the page's cars were sent by
    _epoch: int = -1
    _since: int = 0
    _next: int = 0
    _held: Flags = field(default_factory=lambda: np.zeros(0, np.uint8))
    _forget: bool = False  # the next frame says that all is void
    _dense: bool = False
    _cells: Any = None  # what the density that was sent was made of
    _counts: tuple[Any, ...] = ()
    _found: Flags = field(default_factory=lambda: np.zeros(0, np.uint8))  # by the query, by slot
    _found_of: tuple[str, int] = ("", -1)

    def counts(self, picture: Picture) -> dict[str, Any] | None:
        """The message with counts, if they are others than before."""
        scene, columns = picture.scene(self.looker), picture.columns
        told = (scene.states, self._shown(picture, scene))
        if told == self._counts or columns is None:
            return None
        self._counts = told
        return {
            "type": "counts",
            "at_us": columns.at_us,
            "total": sum(scene.states),
            "states": list(scene.states),
            "shown": told[1],
        }

    def frame(self, picture: Picture, room_bytes: int) -> bytes | None:
        """What brings the page up to date, as far as there is room; `None`: it is."""
        view, columns = self.view, picture.columns
        if view is None or columns is None:
            return None
        scene = picture.scene(self.looker)
        self._prepare(picture, view)
        bounds = np.array(view.bounds, np.int64)
        room = min(max(1, (room_bytes - HEADER.size) // CAR_BYTES), max(1, len(self._held)))
        slots, gone = np.empty(room, np.uint32), np.empty(room, np.uint8)
        first = self._next if self._next < len(self._held) else 0
        wire, picked, inside = scene.wire, 0, 0
        if len(self._held):
            picked, inside, self._next = pick_cars(
                first,
                wire.lon,
                wire.lat,
                scene.shown,
                picture.changed,
                self._since,
                bounds,
                self._held,
                slots,
                gone,
            )
        self._since = picture.tick
        if inside > self.config.view_cars_max:
            return self._density(picture, scene, view, bounds)
        if self._dense:  # fewer now: cars again, from the beginning
            self._dense, self._cells, self._forget = False, None, True
            self._held[:] = 0
            return self.frame(picture, room_bytes)
        if not picked and not self._forget:
            return None
        slots, gone = slots[:picked], gone[:picked]
        ages_ms = (columns.at_us - columns.placed_us[slots]) // 1_000
        matches = self._matches(picture, view, wire, slots)
        return encode_cars(self._stamp(columns.at_us), wire, slots, gone, matches, ages_ms)

    def _stamp(self, at_us: int) -> Stamp:
        self.serial += 1
        forget, self._forget = self._forget, False
        return Stamp(at_us, self.serial, forget)

    def _prepare(self, picture: Picture, view: View) -> None:
        """Make room for new slots; forget all where the page's cars are of another filter."""
        if view.filter != self._filter or picture.epoch != self._epoch:
            self._filter, self._epoch = view.filter, picture.epoch
            self._held = np.zeros(len(picture.changed), np.uint8)
            self._next, self._dense, self._forget, self._cells = 0, False, True, None
        more = len(picture.changed) - len(self._held)
        if more > 0:
            self._held = np.concatenate((self._held, np.zeros(more, np.uint8)))

    def _matches(
        self, picture: Picture, view: View, wire: Wire, slots: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.bool_]:
        wanted = np.array(view.states, np.bool_)[wire.state[slots]]
        if view.query:
            wanted &= self._find(picture, view.query)[slots] != 0
        return wanted

    def _find(self, picture: Picture, query: str) -> Flags:
        key = query, picture.roster.serial
        if self._found_of != key:
            self._found = picture.roster.search(query, by_vin=self.by_vin)
            self._found_of = key
        return self._found

    def _shown(self, picture: Picture, scene: Scene) -> int:
        """How many match the filter."""
        view = self.view
        if view is None:
            return sum(scene.states)
        if not view.query:
            return sum(n for n, wanted in zip(scene.states, view.states, strict=True) if wanted)
        found = self._find(picture, view.query) & scene.known
        return int(np.count_nonzero(found & np.array(view.states, np.uint8)[scene.wire.state]))

    def _density(
        self, picture: Picture, scene: Scene, view: View, bounds: npt.NDArray[np.int64]
    ) -> bytes | None:
        if not self._dense:
            self._dense, self._forget, self._cells = True, True, None
        self._held[:] = 0
        west, south, east, north = view.bounds
        wide = east - west if east > west else east - west + _TURN
        size = int(_TURN * CELL_PX / (TILE_PX * 2**view.zoom))
        size = max(size, -(-wide // CELLS_SIDE_MAX), -(-(north - south) // CELLS_SIDE_MAX), 1)
        # On a grid of the world, so that cells stay where they are when the view moves.
        west, south = west // size * size, south // size * size
        cells = np.zeros(((north - south) // size + 1, wide // size + 2, len(STATES)), np.uint32)
        wire, shown = scene.wire, scene.shown
        if view.query:
            shown = shown & self._find(picture, view.query)
        shown = shown & np.array(view.states, np.uint8)[wire.state]
        count_cells(wire.lon, wire.lat, shown, wire.state, bounds, size, west, south, cells)
        made_of = (west, south, size, cells.tobytes())
        if made_of == self._cells and not self._forget:
            return None
        self._cells = made_of
        at_us = picture.columns.at_us if picture.columns is not None else 0
        return encode_density(self._stamp(at_us), cells, west, south, size)
