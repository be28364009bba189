"""A viewer's frames beside what a plain reading of the picture says, for random fleets."""

import struct
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motorcade.api.window import kernels
from motorcade.api.window.frames import CAR_BYTES, HEADER, Wire
from motorcade.api.window.index import Bounds, Index
from motorcade.api.window.kernels import WEST, order_of
from motorcade.api.window.picture import Looker, Picture
from motorcade.api.window.views import View, ViewAsked, Viewer
from motorcade.config import DashboardConfig
from motorcade.events import unpack_token
from motorcade.registry.port import Vehicle
from motorcade.registry.privacy.port import Limits
from motorcade.state.port import FleetColumns

CARS = 400
OPERATOR = Looker("mika", "motorcade-page", True, False, True, True)


class Moving:
    """A fleet of random cars: a `FleetSource`."""

    def __init__(self, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.tokens = np.arange(1, CARS + 1, dtype=np.uint64)
        self.latitude = self.chance.uniform(-90, 90, CARS)
        self.longitude = self.chance.uniform(-180, 180, CARS)
        self.latitude[0], self.longitude[0] = 90.0, 180.0  # the last cell there is
        self.latitude[:20] = self.longitude[:20] = np.nan
        self.longitude[20:40] = self.chance.choice([-180.0, 179.99, 180.0], 20)
        self.at_us = 10**9

    def epoch(self) -> int:
        return 1

    def slot(self, token: Any) -> int:
        return -1

    def move(self) -> None:
        """A third of the cars go elsewhere, some cease to have a place."""
        who = self.chance.random(CARS) < 0.3
        self.latitude[who] = self.chance.uniform(-90, 90, int(who.sum()))
        self.longitude[who] = self.chance.uniform(-180, 180, int(who.sum()))
        lost = self.chance.random(CARS) < 0.05
        self.latitude[lost] = self.longitude[lost] = np.nan
        self.at_us += 500_000

    def fleet(self, now_us: int) -> FleetColumns:
        ones = {
            name: np.zeros(CARS, kind)
            for name, kind in (("f8", "f8"), ("i8", "i8"), ("i1", "i1"), ("u1", "u1"), ("?", "?"))
        }
        kinds = "placed_us:i8 speed_us:i8 gear:i1 gear_us:i8 charge_state:i1 installed_percent:f8 "
        kinds += "asleep:? online:? alarms:u1 received_us:i8 version:i8"
        more = {name: ones[kind] for name, kind in (word.split(":") for word in kinds.split())}
        return FleetColumns(
            token_high=np.zeros(CARS, np.uint64),
            token_low=self.tokens,
            latitude=self.latitude.copy(),
            longitude=self.longitude.copy(),
            speed_mps=np.where(self.tokens % 7 == 0, np.nan, 10.0),
            heading_deg=np.where(self.tokens % 5 == 0, np.nan, 359.999),
            state=(self.tokens % 7).astype(np.uint8),
            at_us=self.at_us,
            **more,
        )


class Few(Moving):
    """The last `count` of them."""

    def __init__(self, seed: int, count: int) -> None:
        super().__init__(seed)
        self.first = CARS - count

    def fleet(self, now_us: int) -> FleetColumns:
        whole = super().fleet(now_us)
        columns = [field.name for field in fields(whole) if field.name != "at_us"]
        return replace(whole, **{name: getattr(whole, name)[self.first :] for name in columns})


class Known:
    """A registry of these cars; every tenth is `anna`'s."""

    def changes(self) -> int:
        return 1

    def vehicles(self, offset: int, limit: int, owner: str = "") -> list[Vehicle]:
        cars = [
            Vehicle(n, f"VIN{n:014d}", unpack_token(0, n), f"Car {n}", 1, 0, owner_of(n))
            for n in range(1, CARS + 1)
        ]
        return cars[offset : offset + limit]


def owner_of(number: int) -> str:
    return "anna" if number % 10 == 0 else "owner"


def picture_of(source: Moving, limits: dict[int, Limits] | None = None) -> Picture:
    registry: Any = Known()
    privacy: Any = SimpleNamespace(changes=lambda: 0, limited=lambda: limits or {})
    picture = Picture(source, registry, privacy)
    picture.take(source.at_us)
    return picture


def seen(frame: bytes, cars: dict[int, tuple[int, int]]) -> None:
    """Apply a frame of cars to what a page holds."""
    kind, _, flags, count, _, _ = HEADER.unpack_from(frame)
    assert (kind, len(frame)) == (1, HEADER.size + CAR_BYTES * count)
    if flags & 1:
        cars.clear()
    slots = struct.unpack_from(f"<{count}I", frame, 24)
    lon, lat = (struct.unpack_from(f"<{count}i", frame, 24 + 4 * count * n) for n in (1, 2))
    for index, slot in enumerate(slots):
        if frame[-count + index] & 2:
            cars.pop(slot)  # a car that the page does not hold cannot go
        else:
            cars[slot] = lon[index], lat[index]


def plain(wire: Wire, bounds: tuple[int, int, int, int]) -> dict[int, tuple[int, int]]:
    west, south, east, north = bounds
    found = {}
    for slot in range(len(wire.lon)):
        lon, lat = int(wire.lon[slot]), int(wire.lat[slot])
        across = west <= lon <= east if west <= east else lon >= west or lon <= east
        if wire.placed[slot] and across and south <= lat <= north:
            found[slot] = lon, lat
    return found


def some_view(chance: Any) -> View:
    south, north = np.sort(chance.uniform(-90, 90, 2)).tolist()
    west, east = chance.uniform(-180, 180, 2).tolist()  # half of them across 180
    whole = chance.random() < 0.2
    return View.of(ViewAsked([-180, -90, 180, 90] if whole else [west, south, east, north]))


@pytest.mark.parametrize("seed", range(5))
def test_the_index_finds_who_is_in_view(seed: int) -> None:
    source = Moving(seed)
    wire = picture_of(source).wire
    index = Index(wire, np.flatnonzero(wire.placed))

    def found(bounds: Bounds) -> list[int]:
        return sorted(index.slots[index.in_view(bounds)].tolist())

    for _ in range(40):
        bounds = some_view(source.chance).bounds
        assert found(bounds) == sorted(plain(wire, bounds))
    edge = (-WEST - 1, -900_000_000, WEST + 1, 900_000_000)  # both ends in one cell's columns
    assert found(edge) == sorted(plain(wire, edge))
    nearly = (100_000_010, -900_000_000, 100_000_000, 900_000_000)  # ... and all between
    assert found(nearly) == sorted(plain(wire, nearly))


def test_kernels_are_compiled_for_fleets_of_every_size_at_once() -> None:
    """A page that comes to a fleet of one car, or of more, waits for no compiler."""
    kernels.warm()
    for cars in (0, 1, 2, CARS):
        source = Few(1, cars)
        picture = picture_of(source)
        view = View.of(ViewAsked([-180, -90, 180, 90]))
        viewer = Viewer(OPERATOR, DashboardConfig(), view=view)
        for _ in range(2):
            picture.take(source.at_us)
            viewer.frame(picture, 1 << 20)
    used = (kernels.refresh, kernels.sort_by_cell, kernels.find_in_view, kernels.pick_due)
    assert [len(kernel.signatures) for kernel in (*used, kernels.write_cars)] == [1] * 5


def test_many_keys_are_brought_into_order_as_few_are() -> None:
    keys = np.random.default_rng(1).integers(0, 1 << 28, 20_000).astype(np.int32)
    keys[:1_000] = keys[1_000:2_000]
    assert order_of(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@pytest.mark.parametrize("room_cars", [3, 50, 10_000])
@pytest.mark.parametrize("seed", range(3))
def test_a_page_comes_to_hold_what_is_in_view(seed: int, room_cars: int) -> None:
    source = Moving(seed)
    picture = picture_of(source)
    viewer = Viewer(OPERATOR, DashboardConfig())
    cars: dict[int, tuple[int, int]] = {}
    for _ in range(6):
        viewer.view = some_view(source.chance)
        for _ in range(3):  # cars move while the page is brought up to date
            source.move()
            picture.take(source.at_us)
            frame = viewer.frame(picture, HEADER.size + CAR_BYTES * room_cars)
            if frame is not None:
                seen(frame, cars)
        while (frame := viewer.frame(picture, HEADER.size + CAR_BYTES * room_cars)) is not None:
            seen(frame, cars)
        assert cars == plain(picture.wire, viewer.view.bounds)


def test_all_with_a_role_share_one_look_but_owners_of_limited_cars() -> None:
    others = [Looker(name, "motorcade-page", True, False, True, True) for name in ("a", "b")]
    anna = Looker("anna", "motorcade-page", True, False, True, True)
    private = Looker("c", "motorcade-page", False, False, True, True)
    blind = Looker("d", "motorcade-page", True, False, True, False)
    source = Moving(1)
    limited = picture_of(source, {50: Limits(grids_m={"": 10_000})})
    one, other = (limited.scene(looker) for looker in others)
    assert one is other
    assert limited.scene(anna) is not one, "she sees her own car as it is"
    assert limited.scene(private) is not one
    assert limited.scene(blind) is not one
    free = picture_of(source)
    assert free.scene(anna) is free.scene(others[0])


def test_who_sees_other_cars_is_sent_other_cars() -> None:
    """Of one picture, one after the other."""
    picture = picture_of(Moving(1), {50: Limits(grids_m={"": 100_000})})
    everything = View.of(ViewAsked([-180, -90, 180, 90]))
    own = Looker("anna", "motorcade-page", False, False, True, True)
    blind = Looker("d", "motorcade-page", True, False, True, False)
    held: list[dict[int, tuple[int, int]]] = []
    for looker in (OPERATOR, own, blind):
        frame = Viewer(looker, DashboardConfig(), view=everything).frame(picture, 1 << 20)
        held.append({})
        if frame is not None:
            seen(frame, held[-1])
    all_cars, annas, nowhere = held
    placed = plain(picture.wire, everything.bounds)
    assert set(all_cars) == set(placed)
    assert all_cars[49] != placed[49], "on its owner's grid"
    assert annas == {slot: place for slot, place in placed.items() if owner_of(slot + 1) == "anna"}
    assert nowhere == {}


def test_a_car_on_its_owners_grid_is_found_where_it_is_told_to_be() -> None:
    source = Moving(1)
    source.latitude[49], source.longitude[49] = 52.519, 13.409
    picture = picture_of(source, {50: Limits(grids_m={"": 100_000})})
    told = picture.scene(OPERATOR).wire
    place = int(told.lon[49]), int(told.lat[49])
    assert place != (134_090_000, 525_190_000)
    for lon, lat, there in ((*place, True), (134_090_000, 525_190_000, False)):
        bounds = (lon - 10, lat - 10, lon + 10, lat + 10)
        index = picture.index(picture.scene(OPERATOR))
        assert (49 in index.slots[index.in_view(bounds)].tolist()) is there
