"""What one viewer looks at, and the frames that bring their page up to date. No IO, no clock.

A viewer holds a flag per slot (not held, held, held but older than what there is) and the slots
that it holds, so that a frame costs what is in view, not what the fleet is. What does not fit into
a frame is left for the next one, which begins where this one ended: everybody gets their turn, and
nothing is kept up for a page that reads slowly.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from motorcade.api.window.frames import (
    CAR_BYTES,
    DENSITY,
    HEADER,
    Stamp,
    encode_cars,
)
from motorcade.api.window.index import Cells, Index, Places, Slots, area_of
from motorcade.api.window.kernels import FRESH, STALE, pick_due
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
_NO_SLOTS: Final = np.zeros(0, np.int64)
_NO_FLAGS: Final = np.zeros(0, np.uint8)


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
    def cell_size(self) -> int:
        """Of density, 1e-7 degrees: one of a few, so that viewers share the counting."""
        west, south, east, north = self.bounds
        wide = east - west if east > west else east - west + _TURN
        zoom = int(self.zoom)
        while True:
            size = int(_TURN * CELL_PX / (TILE_PX * 2**zoom))
            if zoom == 0 or max(wide, north - south) <= size * CELLS_SIDE_MAX:
                return size
            zoom -= 1

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
    _holding: Slots = field(default_factory=lambda: _NO_SLOTS)  # those of `_held` that are not 0
    _forget: bool = False  # the next frame says that all is void
    _dense: bool = False
    _cells: Any = None  # what the density that was sent was made of
    _counts: tuple[Any, ...] = ()
    _found: Flags = field(default_factory=lambda: np.zeros(0, np.uint8))  # by the query, by slot
    _found_of: tuple[str, int] = ("", -1)

    def restart(self) -> None:
        """What the page holds is of another picture: the next frame says so."""
        self._filter, self._found_of, self._counts = None, ("", -1), ()

    def tell_counts(self) -> None:
        """The next counts are told though they are as before: they carry the time."""
        self._counts = ()

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
        if self._dense:  # mostly for sure so still, without a look at each car
            part = picture.density(self.looker, view.cell_size, view.bounds, view.states)
            if part.count_inner > self.config.view_cars_max:
                return self._density(picture, scene, view)
        index = picture.index(scene)
        visible = index.in_view(view.bounds)
        if len(visible) > self.config.view_cars_max:
            return self._density(picture, scene, view)
        if self._dense:  # fewer now: cars again, from the beginning
            self._dense, self._cells, self._forget = False, None, True
        room = max(1, (room_bytes - HEADER.size) // CAR_BYTES)
        slots, places = self._pick(picture.tick, index, visible, room)
        if not len(slots) and not self._forget:
            return None
        wanted = np.array(view.states, np.uint8)
        found = self._find(picture, view.query) if view.query else _NO_FLAGS
        stamp = self._stamp(columns.at_us)
        return encode_cars(stamp, index.wire, slots, places, wanted, found)

    def _pick(self, tick: int, index: Index, visible: Places, room: int) -> tuple[Slots, Places]:
        """Which cars are due, at most `room`: slots and places, -1 of those gone. They count as
        sent.

        Due is what is visible and new to the page, changed since, or left over, and what it holds
        and is visible no more.
        """
        held, known = self._held, self._holding
        slots, places = np.empty((2, len(visible) + len(known)), np.int64)
        holding = np.empty(len(visible), np.int64)
        since, self._since = self._since, tick
        there = visible, index.slots, index.wire.records
        count = pick_due(*there, since, room, held, known, slots, places, holding)
        slots, places = slots[:count], places[:count]
        if count <= room:
            self._holding = holding
            return slots, places
        order = np.argsort(slots)  # in turn: from where the last frame ended
        order = np.roll(order, -int(np.searchsorted(slots[order], self._next)))
        slots, places = slots[order], places[order]
        left = slots[room:]
        held[left[held[left] != 0]] = STALE
        self._next = int(left[0])
        slots, places = slots[:room], places[:room]
        held[slots] = np.where(places < 0, 0, FRESH)
        self._holding = np.flatnonzero(held)
        return slots, places

    def _stamp(self, at_us: int) -> Stamp:
        self.serial += 1
        forget, self._forget = self._forget, False
        return Stamp(at_us, self.serial, forget)

    def _prepare(self, picture: Picture, view: View) -> None:
        """Make room for new slots; forget all where the page's cars are of another filter."""
        if view.filter != self._filter or picture.epoch != self._epoch:
            self._filter, self._epoch = view.filter, picture.epoch
            self._held = np.zeros(len(picture.wire), np.uint8)
            self._holding = _NO_SLOTS
            self._next, self._dense, self._forget, self._cells = 0, False, True, None
        more = len(picture.wire) - len(self._held)
        if more > 0:
            self._held = np.concatenate((self._held, np.zeros(more, np.uint8)))

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

    def _density(self, picture: Picture, scene: Scene, view: View) -> bytes | None:
        if not self._dense:
            self._dense, self._forget, self._cells = True, True, None
            self._held[:] = 0
            self._holding = _NO_SLOTS
        self._since = picture.tick
        size = view.cell_size
        if view.query:
            found = scene.shown[self._find(picture, view.query)[scene.shown] != 0]
            cells = Cells.of(scene.wire, found, size)
            part = cells.part(area_of(view.bounds, size), view.states)
        else:
            part = picture.density(self.looker, size, view.bounds, view.states)
        if part.body == self._cells and not self._forget:
            return None
        self._cells = part.body
        at_us = picture.columns.at_us if picture.columns is not None else 0
        return self._stamp(at_us).head(DENSITY, part.cells) + part.body
