"""`GET /vehicles`, `/vehicles/{tag}`, `POST wake_up`: who there is, in Tesla's entry shape."""

import asyncio
from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter, read_body, read_whole
from motorcade.api.envelope import ok
from motorcade.api.shapes import Envelope, Pagination, VehicleEntry, VehicleList
from motorcade.registry.port import Vehicle

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
ENTRIES_PER_TURN: Final = 16  # each reads live state: up to 1 ms
OWNER_ID: Final = 1  # one owner owns every vehicle, until accounts come


def entry(counter: Counter, vehicle: Vehicle) -> VehicleEntry:
    """A vehicle as lists and answers show it."""
    online = counter.state.read(vehicle.token).online
    return VehicleEntry(
        id=vehicle.id,
        id_s=str(vehicle.id),
        vehicle_id=vehicle.id,
        user_id=OWNER_ID,
        vin=vehicle.vin,
        display_name=vehicle.display_name,
        state="online" if online else "offline",
    )


@get("/api/1/vehicles")
async def list_vehicles(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[VehicleList]:
    """The caller's vehicles, in the order they were added."""
    access = counter.allow(request)
    query = request.query_params
    page = read_whole(query.get("page"), "page", 1, 1, 10**8)
    per_page = read_whole(query.get("per_page"), "per_page", PAGE_DEFAULT, 1, PAGE_MAX)
    owned = access.owns_all_vehicles
    count = counter.registry.vehicle_count() if owned else 0
    vehicles = counter.registry.vehicles((page - 1) * per_page, per_page) if owned else []
    pages = max(1, -(-count // per_page))
    pagination = Pagination(
        previous=page - 1 if page > 1 else None,
        next=page + 1 if page < pages else None,
        current=page,
        per_page=per_page,
        count=count,
        pages=pages,
    )
    entries = []
    for vehicle in vehicles:
        entries.append(entry(counter, vehicle))
        if len(entries) % ENTRIES_PER_TURN == 0:
            await asyncio.sleep(0)  # commands must not wait for a long list (P6)
    listed = VehicleList(response=entries, pagination=pagination, count=len(entries))
    return Response(listed, status_code=200)


@get("/api/1/vehicles/{tag:str}")
async def show_vehicle(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[VehicleEntry]]:
    """One vehicle."""
    _, vehicle = counter.admit(request, tag)
    return ok(entry(counter, vehicle))


@post("/api/1/vehicles/{tag:str}/wake_up", status_code=200)
async def wake_up(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[VehicleEntry]]:
    """The entry, for clients that ask until it says online; our vehicles wake by themselves."""
    _, vehicle = counter.admit(request, tag)
    await read_body(request)
    return ok(entry(counter, vehicle))
