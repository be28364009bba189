"""The fleet over HTTP: names by slot, the list that is the map's twin, one vehicle, its commands.

Lists are answered from the stream's picture (`picture.py`), half a second old at most.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import numpy as np
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.counter import AnyRequest, Counter, read_whole
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError
from motorcade.api.limits import Limit, limits_of
from motorcade.api.past import past_state, read_instant
from motorcade.api.shapes import CommandShown, Envelope, shown
from motorcade.api.window.index import inside
from motorcade.api.window.model import model_of
from motorcade.api.window.picture import E7, Looker, Picture
from motorcade.api.window.roles import looker_of
from motorcade.api.window.views import FilterAsked, View, ViewAsked, ViewError
from motorcade.identity.port import ADMIN, OPERATOR, AccessToken
from motorcade.registry.port import Vehicle
from motorcade.signals.catalogue import BY_NAME
from motorcade.state.columns import SILENT, STATES
from motorcade.state.port import PastView, SignalValue

SLOTS_MAX: Final = 1_000  # of one question
LIST_DEFAULT: Final = 100
COMMANDS_DEFAULT, COMMANDS_MAX = 20, 200
_GLOBE: Final = [-180.0, -90.0, 180.0, 90.0]


class CarNamed(Struct, kw_only=True):
    """A car of the map."""

    slot: int
    id: str
    name: str
    state: str
    last_received_us: int


class CarListed(Struct, kw_only=True):
    """A vehicle of the list."""

    id: str
    slot: int | None  # null: it never told anything
    name: str
    state: str
    last_received_us: int | None
    lon: float | None  # degrees
    lat: float | None


class CarList(Struct, kw_only=True):
    response: list[CarListed]
    count: int  # of all that match
    cursor: str | None  # of the next piece; null: this is the last


class VehicleShown(Struct, kw_only=True):
    """One vehicle with all that is known of it."""

    id: str
    name: str
    model: str | None  # null: it does not tell, and its VIN is of no maker that we know
    slot: int | None
    state: str
    online: bool
    last_received_us: int | None  # as-corrected: its newest sample's time
    at_us: int | None = None  # the past instant that was asked for, and how it is seen
    mode: str | None = None
    signals: list[dict[str, Any]]


def looking(request: AnyRequest, counter: Counter) -> tuple[AccessToken, Looker, bool]:
    """Who asks, and whether they may search by VINs. Raises 401, 403, 412 and 421."""
    access = counter.allow(request)
    role = counter.role(access)
    looker = looker_of(access, role, counter.driven_ids(access, role))
    return access, looker, role in (OPERATOR, ADMIN) or not role


@get("/api/2/fleet/cars")
async def name_cars(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[Envelope[list[CarNamed]]]:
    """Which vehicles these slots of the stream are; those of nobody's are left out."""
    access, looker, _ = looking(request, counter)
    slots = _read_slots(request.query_params.get("slots", ""))

    def name(picture: Picture) -> list[tuple[CarNamed, Vehicle]]:
        scene, columns = picture.scene(looker), picture.columns
        assert columns is not None  # `read` has looked
        named = []
        for slot in slots:
            vehicle = picture.roster.vehicles[slot] if slot < len(scene.known) else None
            if vehicle is None or not scene.known[slot]:
                continue
            car = CarNamed(
                slot=slot,
                id=str(vehicle.id),
                name=vehicle.display_name,
                state=STATES[scene.wire.state[slot]],
                last_received_us=int(columns.received_us[slot]),
            )
            named.append((car, vehicle))
        return named

    found = await counter.viewers.read(name)
    for _, vehicle in found:
        counter.note(request, access, vehicle)
    return ok([car for car, _ in found])


def _read_slots(text: str) -> list[int]:
    """Raises the 400."""
    words = text.split(",") if text else []
    good = all(word.isascii() and word.isdigit() and len(word) < 10 for word in words)
    if not good or len(words) > SLOTS_MAX:
        text = f"slots: at most {SLOTS_MAX} whole numbers, separated by commas"
        raise ApiError(400, "invalid_field", text)
    return [int(word) for word in words]


@get("/api/2/fleet/vehicles")
async def list_fleet(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[CarList]:
    """The vehicles that match, by slot; those that never told anything come last.

    Now; or as of the past instant `at`, by today's rights and zones.
    """
    access, looker, by_vin = looking(request, counter)
    instant = read_instant(request)
    query = request.query_params
    limit_max = counter.config.dashboard.page_vehicles_max
    limit = read_whole(query.get("limit"), "limit", min(LIST_DEFAULT, limit_max), 1, limit_max)
    first = read_whole(query.get("cursor"), "cursor", 0, 0, 999_999_999)
    view = _read_view(request)
    everywhere = "bounds" not in query

    def find(picture: Picture) -> tuple[CarList, list[Vehicle]]:
        matching = list(_matching(picture, looker, view, everywhere=everywhere, by_vin=by_vin))
        piece = list(islice((one for one in matching if one[0] >= first), limit + 1))
        cursor = str(piece[limit][0]) if len(piece) > limit else None
        listed = [_listed(picture, looker, *one) for one in piece[:limit]]
        shown = CarList(response=listed, count=len(matching), cursor=cursor)
        return shown, [vehicle for _, vehicle in piece[:limit]]

    if instant is None:
        answer, vehicles = await counter.viewers.read(find)
    else:
        past = await past_state(counter, instant)
        answer, vehicles = await counter.viewers.read_past(past, find)
    for vehicle in vehicles:
        counter.note(request, access, vehicle)
    return Response(answer, status_code=200)


def _read_view(request: AnyRequest) -> View:
    """The filter and bounds of the query. Raises the 400."""
    query = request.query_params
    states = [str(state) for state in query.getall("state", [])]
    words = query.get("bounds", "").split(",") if "bounds" in query else []
    try:
        bounds = [float(word) for word in words] or _GLOBE
        return View.of(ViewAsked(bounds, filter=FilterAsked(states, query.get("q", ""))), 0.0)
    except ValueError as error:
        text = str(error) if isinstance(error, ViewError) else "bounds: four numbers"
        raise ApiError(400, "invalid_field", text) from error


def _matching(
    picture: Picture, looker: Looker, view: View, *, everywhere: bool, by_vin: bool
) -> Iterator[tuple[int, Vehicle]]:
    """(place in the list, vehicle) of each that matches, in the list's order."""
    scene, roster = picture.scene(looker), picture.roster
    good = scene.known & np.array(view.states, np.uint8)[scene.wire.state]
    if view.query:
        good = good & roster.search(view.query, by_vin=by_vin)
    slots = np.flatnonzero(good) if everywhere else scene.shown[good[scene.shown] != 0]
    if not everywhere:
        slots = slots[inside(scene.wire, slots, view.bounds)]
    for slot in slots.tolist():
        vehicle = roster.vehicles[slot]
        if vehicle is not None:
            yield slot, vehicle
    if everywhere and view.states[SILENT]:
        absent = roster.never_sent(looker.sees)
        for place, vehicle in enumerate(absent, len(good)):
            if not view.query or _is_called(vehicle, view.query, by_vin=by_vin):
                yield place, vehicle


def _is_called(vehicle: Vehicle, query: str, *, by_vin: bool) -> bool:
    named = query.lower() in vehicle.display_name.lower()
    return named or (by_vin and len(query) >= 4 and vehicle.vin.endswith(query.upper()))


def _listed(picture: Picture, looker: Looker, place: int, vehicle: Vehicle) -> CarListed:
    scene, columns = picture.scene(looker), picture.columns
    assert columns is not None  # `read` has looked
    told = place < len(columns)
    placed = told and bool(scene.known[place] and scene.wire.placed[place])
    return CarListed(
        id=str(vehicle.id),
        slot=place if told else None,
        name=vehicle.display_name,
        state=STATES[scene.wire.state[place] if told else SILENT],
        last_received_us=(int(columns.received_us[place]) or None) if told else None,
        lon=int(scene.wire.lon[place]) / E7 if placed else None,
        lat=int(scene.wire.lat[place]) / E7 if placed else None,
    )


@get("/api/2/vehicles/{tag:str}")
async def show_car(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """One vehicle: its state, and every signal with unit, time, range and privacy class.

    Now; or as of the past instant `at`, by today's rights and zones.
    """
    access, vehicle = counter.admit(request, tag)
    instant = read_instant(request)
    slot = counter.state.slot(vehicle.token)
    if instant is None:
        view = counter.view(access, vehicle)
        state = await _state_now(counter, slot)
    else:
        past = await past_state(counter, instant)
        view = counter.sight(access, vehicle).view(past.read(vehicle.token))
        state = await asyncio.to_thread(_state_then, past, vehicle)
    car_type = view.state.signals.get("car_type")
    signals = [
        _signal(name, said, limits_of(name, counter.limits))
        for name, said in sorted(view.state.signals.items())
    ]
    return ok(
        VehicleShown(
            id=str(vehicle.id),
            name=vehicle.display_name,
            model=model_of(vehicle.vin, car_type.value if car_type is not None else None),
            slot=slot if slot >= 0 else None,
            state=STATES[state],
            online=view.state.online,
            last_received_us=view.state.last_received_us or None,
            at_us=None if instant is None else instant.at_us,
            mode=None if instant is None else instant.mode.value,
            signals=signals,
        )
    )


async def _state_now(counter: Counter, slot: int) -> int:
    def judge(picture: Picture) -> int:
        columns = picture.columns
        known = columns is not None and 0 <= slot < len(columns)
        return int(columns.state[slot]) if columns is not None and known else SILENT

    state: int = await counter.viewers.read(judge)
    return state


def _state_then(past: PastView, vehicle: Vehicle) -> int:
    """Judged by the instant, not by now; for a thread: it looks at the whole fleet."""
    slot = past.slot(vehicle.token)
    return int(past.fleet(past.at_us).state[slot]) if slot >= 0 else SILENT


def _signal(name: str, said: SignalValue, limit: Limit) -> dict[str, Any]:
    row = BY_NAME.get(name)
    return {
        "name": name,
        "value": said.value,
        "unit": said.unit,
        "time_us": said.time_us,
        "min": limit.low,
        "max": limit.high,
        "class": row.privacy.name.lower() if row is not None else "unknown",
    }


@get("/api/2/vehicles/{tag:str}/commands")
async def list_car_commands(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[list[CommandShown]]]:
    """The vehicle's last commands with each transition, newest first."""
    access, vehicle = counter.admit(request, tag)
    asked = request.query_params.get("limit")
    limit = read_whole(asked, "limit", COMMANDS_DEFAULT, 1, COMMANDS_MAX)
    scopes = counter.sight(access, vehicle).unjudged(access.scopes)
    return ok([shown(view, scopes) for view in counter.commands.recent(vehicle.token, limit)])


FLEET_ROUTES: Final = [name_cars, list_fleet, show_car, list_car_commands]
