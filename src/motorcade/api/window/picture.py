"""One picture of the fleet per tick, for all viewers: columns, what changed, counts by who looks.

Used by the ticker's thread alone. Who looks are few kinds: everybody with a role sees the same
vehicles, so what depends on them is made once per kind and tick, not per viewer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from motorcade.api.ground import snapped
from motorcade.api.sight import within
from motorcade.api.window.frames import Wire
from motorcade.api.window.index import Bounds, Cells, Index, Part, Slots, area_of
from motorcade.api.window.kernels import UNKNOWN_HEADING, refresh
from motorcade.api.window.roster import Roster
from motorcade.events import VehicleToken
from motorcade.registry.port import Registry, Vehicle
from motorcade.registry.privacy.port import Limits, Privacy
from motorcade.state.columns import SILENT, STATES
from motorcade.state.port import FleetColumns

E7: Final = 10_000_000
STRAYS: Final = 0.02  # of all, on each side, for whom a first view is not widened
EXTENT_DEGREES_MAX: Final = 180.0  # wider: it may as well be the other side of the earth
LOOKERS_MAX: Final = 10_000  # kinds that are remembered
Flags = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Looker:
    """Who looks, as far as it matters to what is seen. Equal ones share a scene."""

    subject: str
    client_id: str
    sees_all: bool  # every vehicle; else their own and those in `driven`
    owns_all: bool  # the admin
    trusted: bool  # by the platform's own page or command line: owners see their own as it is
    located: bool  # may be told where vehicles are
    driven: frozenset[int] = frozenset()  # ids

    def sees(self, vehicle: Vehicle) -> bool:
        """Whether it is one of theirs to see."""
        return self.sees_all or vehicle.owner == self.subject or vehicle.id in self.driven

    def is_kept_from(self, vehicle: Vehicle) -> bool:
        """Whether what the vehicle's owner keeps back holds for them."""
        return not (self.trusted and (self.owns_all or vehicle.owner == self.subject))


class Scene(NamedTuple):
    """The fleet as one kind of looker sees it, at one tick."""

    wire: Wire  # positions as they may be told
    shown: Slots  # may be on their map, ascending
    known: Flags  # by slot: may be in their list
    states: tuple[int, ...]  # cars by state, those that never sent among the silent


class _Mask(NamedTuple):
    """Which vehicles a kind of looker sees, as of a serial of the roster."""

    serial: int
    known: Flags  # by slot
    slots: Slots  # those that are 1 in it
    absent: int  # how many more have no slot


class FleetSource(Protocol):
    """What a picture is taken of: live state, or a past instant (`replay.py`)."""

    def epoch(self) -> int: ...
    def fleet(self, now_us: int) -> FleetColumns: ...
    def slot(self, token: VehicleToken) -> int: ...


@dataclass(slots=True)
class Picture:
    """The fleet as of the last `take`."""

    state: FleetSource
    registry: Registry
    privacy: Privacy | None
    tick: int = 0
    epoch: int = -1
    roster: Roster = field(init=False)
    columns: FleetColumns | None = None
    wire: Wire = field(default_factory=lambda: Wire.of(0))
    _kinds: dict[Looker, Looker] = field(default_factory=dict)
    _cells: dict[tuple[Looker, int], Cells] = field(default_factory=dict)
    _parts: dict[Any, Part] = field(default_factory=dict)
    _scenes: dict[Looker, Scene] = field(default_factory=dict)
    _indices: dict[tuple[int, int], Index] = field(default_factory=dict)
    _masks: dict[Looker, _Mask] = field(default_factory=dict)
    _limits: Mapping[int, Limits] = field(default_factory=dict)
    _limits_changes: int = -1

    def __post_init__(self) -> None:
        self.roster = Roster(self.registry)

    def take(self, now_us: int) -> None:
        """Look at the fleet. Raises `RegistryUnavailableError`."""
        epoch = self.state.epoch()
        columns = self.state.fleet(now_us)
        self.roster.update(columns, epoch)
        self._read_limits()
        self.tick += 1
        if epoch != self.epoch:
            self.epoch, self.wire = epoch, Wire.of(0)
        had = len(self.wire)
        if len(columns) > had:
            self.wire = self.wire.grown(len(columns))
            self.wire.changed[had:] = self.tick
        fleet = (columns.latitude, columns.longitude, columns.speed_mps, columns.heading_deg)
        refresh((*fleet, columns.state, columns.placed_us), self.wire.records, self.tick)
        self.columns = columns
        for made in (self._kinds, self._scenes, self._indices, self._cells, self._parts):
            made.clear()

    def index(self, scene: Scene) -> Index:
        """The cars that this scene shows, by where they are; made once per tick for all who are
        shown the same."""
        key = id(scene.wire), id(scene.known)  # this tick's scenes hold both
        index = self._indices.get(key)
        if index is None:
            index = self._indices[key] = Index(scene.wire, scene.shown)
        return index

    def extent(self, looker: Looker) -> list[float] | None:
        """Where nearly all are that they see: west, south, east, north in degrees, strays left out.
        `None`: none has a position, or they lie around the half of the earth."""
        scene = self.scene(looker)
        slots = scene.shown
        if not len(slots):
            return None
        sides = []
        for column in (scene.wire.lon, scene.wire.lat):
            stray = int((len(slots) - 1) * STRAYS)
            ends = stray, len(slots) - 1 - stray
            places = np.partition(column[slots], ends)
            sides.append([float(places[end]) / E7 for end in ends])
        (west, east), (south, north) = sides
        return [west, south, east, north] if east - west < EXTENT_DEGREES_MAX else None

    def density(self, looker: Looker, size: int, bounds: Bounds, wanted: tuple[int, ...]) -> Part:
        """What they see in these bounds, by cells of this size; made once per tick for all who
        look at the same cells."""
        kind, area = self._kind(looker), area_of(bounds, size)
        key = kind, size, area, wanted
        part = self._parts.get(key)
        if part is None:
            cells = self._cells.get((kind, size))
            if cells is None:
                scene = self.scene(kind)
                cells = Cells.of(scene.wire, scene.shown, size)
                self._cells[kind, size] = cells
            part = self._parts[key] = cells.part(area, wanted)
        return part

    def scene(self, looker: Looker) -> Scene:
        """What they see now; made once per tick and kind."""
        kind = self._kind(looker)
        scene = self._scenes.get(kind)
        if scene is None:
            scene = self._scenes[kind] = self._make(kind)
        return scene

    def _kind(self, looker: Looker) -> Looker:
        """One for all who see the same: who sees every vehicle and owns none of those whose owners
        keep something back is nobody in particular."""
        kind = self._kinds.get(looker)
        if kind is None:
            kind = looker
            if looker.sees_all:
                slots = (self.roster.slot_of.get(vehicle_id, -1) for vehicle_id in self._limits)
                limited = (self.roster.vehicles[slot] for slot in slots if slot >= 0)
                owns = any(one is not None and one.owner == looker.subject for one in limited)
                subject = looker.subject if owns else ""
                kind = replace(looker, subject=subject, driven=frozenset())
            self._kinds[looker] = kind
        return kind

    def kept_from(self, looker: Looker) -> dict[VehicleToken, Limits]:
        """What owners keep back from this looker now, not as of the tick, by vehicle.

        Raises:
            RegistryUnavailableError: what they set is not known.
        """
        if self.privacy is None:
            return {}
        is_new = self.privacy.changes() != self._limits_changes
        limited = self.privacy.limited() if is_new else self._limits
        return {
            token: limits
            for token, vehicle in self.roster.by_token.items()
            if (limits := limited.get(vehicle.id)) and looker.is_kept_from(vehicle)
        }

    def _make(self, looker: Looker) -> Scene:
        mask = self._mask(looker)
        counts = np.bincount(self.wire.state[mask.slots], minlength=len(STATES)).tolist()
        counts[SILENT] += mask.absent
        wire = self._kept(looker, mask.known) if looker.located else self._nowhere()
        shown = mask.slots[wire.placed[mask.slots] != 0]
        return Scene(wire, shown, mask.known, tuple(counts))

    def _mask(self, looker: Looker) -> _Mask:
        mask = self._masks.get(looker)
        if mask is None or mask.serial != self.roster.serial:
            known = self.roster.known if looker.sees_all else self.roster.mask(looker.sees)
            absent = len(self.roster.never_sent(looker.sees))
            if len(self._masks) >= LOOKERS_MAX:
                self._masks.clear()
            mask = _Mask(self.roster.serial, known, np.flatnonzero(known), absent)
            self._masks[looker] = mask
        return mask

    def _nowhere(self) -> Wire:
        """For who may not be told where vehicles are."""
        wire = self.wire.copied()
        wire.lon[:] = wire.lat[:] = wire.placed[:] = 0
        wire.heading[:] = UNKNOWN_HEADING
        return wire

    def _kept(self, looker: Looker, known: Flags) -> Wire:
        """The wire without what owners keep back from this looker, by `sight.py`'s rule."""
        kept = []
        for vehicle_id, limits in self._limits.items():
            slot = self.roster.slot_of.get(vehicle_id, -1)
            vehicle = self.roster.vehicles[slot] if slot >= 0 else None
            if vehicle is None or not known[slot] or not self.wire.placed[slot]:
                continue
            if looker.is_kept_from(vehicle):
                kept.append((slot, limits))
        if not kept:
            return self.wire
        wire = self.wire.copied()
        for slot, limits in kept:
            place = int(wire.lat[slot]) / E7, int(wire.lon[slot]) / E7
            grid_m = limits.grid_m(looker.client_id)
            if any(within(zone, place) for zone in limits.zones):
                wire.placed[slot] = wire.lat[slot] = wire.lon[slot] = 0
                wire.heading[slot] = UNKNOWN_HEADING
            elif grid_m:
                latitude, longitude = snapped(place, grid_m)
                wire.lat[slot], wire.lon[slot] = round(latitude * E7), round(longitude * E7)
                wire.heading[slot] = UNKNOWN_HEADING
        return wire

    def _read_limits(self) -> None:
        if self.privacy is None:
            return
        changes = self.privacy.changes()
        if changes != self._limits_changes:
            self._limits = self.privacy.limited()
            self._limits_changes = changes
