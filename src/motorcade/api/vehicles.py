"""`GET /vehicles`, `/vehicles/{tag}`, `POST wake_up`: who there is, in Tesla's entry shape."""

import asyncio
from typing import Final

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.commands import carry_out
from motorcade.api.counter import AnyRequest, Counter, read_body
from motorcade.api.envelope import ok
from motorcade.api.paging import read_page
from motorcade.api.presence import ASLEEP, presence, presence_now
from motorcade.api.shapes import Envelope, VehicleEntry, VehicleList
from motorcade.commands.port import Request
from motorcade.commands.table import WAKE_UP
from motorcade.identity.port import AccessToken
from motorcade.registry.port import Vehicle
from motorcade.state.port import VehicleState

NAME_SIGNAL: Final = "vehicle_name"  # what the vehicle was named by command
ENTRIES_PER_TURN: Final = 16  # each reads live state: up to 1 ms
OWNER_ID: Final = 1  # Tesla's number of an account: ours have subjects instead


def entry(counter: Counter, vehicle: Vehicle, access: AccessToken | None = None) -> VehicleEntry:
    """A vehicle as lists and answers show it to its owner or `access`."""
    drives = access is not None and not access.owns(vehicle.owner)
    return entry_of(counter.state.read(vehicle.token), vehicle, drives=drives)


def entry_of(state: VehicleState, vehicle: Vehicle, *, drives: bool) -> VehicleEntry:
    """The same of a state that was read, to its owner or who `drives` it."""
    named = state.signals.get(NAME_SIGNAL)
    return VehicleEntry(
        id=vehicle.id,
        id_s=str(vehicle.id),
        vehicle_id=vehicle.id,
        user_id=OWNER_ID,
        vin=vehicle.vin,
        display_name=str((named.value if named else "") or vehicle.display_name),
        access_type="DRIVER" if drives else "OWNER",
        state=presence(state),
    )


@get("/api/1/vehicles")
async def list_vehicles(
    request: AnyRequest, counter: NamedDependency[Counter]
) -> Response[VehicleList]:
    """The caller's vehicles, in the order they were added."""
    access = counter.allow(request)
    page = read_page(request)
    entries = []
    for vehicle in counter.vehicles(access, page.offset, page.size):
        counter.note(request, access, vehicle)
        entries.append(entry(counter, vehicle, access))
        if len(entries) % ENTRIES_PER_TURN == 0:
            await asyncio.sleep(0)  # commands must not wait for a long list (P6)
    pagination = page.pagination(counter.vehicle_count(access))
    listed = VehicleList(response=entries, pagination=pagination, count=len(entries))
    return Response(listed, status_code=200)


@get("/api/1/vehicles/{tag:str}")
async def show_vehicle(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[VehicleEntry]]:
    """One vehicle."""
    access, vehicle = counter.admit(request, tag)
    return ok(entry(counter, vehicle, access))


@post("/api/1/vehicles/{tag:str}/wake_up", status_code=200)
async def wake_up(
    request: AnyRequest, counter: NamedDependency[Counter], tag: FromPath[str]
) -> Response[Envelope[VehicleEntry]]:
    """Wake it, and answer with its entry at once: clients ask again until it says online."""
    access, vehicle = counter.admit(request, tag)
    await read_body(request)
    if presence_now(counter.state, vehicle.token) != ASLEEP:
        return ok(entry(counter, vehicle, access))
    asked = Request(vehicle.token, WAKE_UP, {}, access.subject)
    view = await carry_out(counter, access, asked)
    return ok(entry(counter, vehicle, access), x_command_id=view.id)
