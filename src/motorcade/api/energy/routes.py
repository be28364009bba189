"""`GET /products` and `/energy_sites/{id}/...`: each route, the same few steps."""

import asyncio
from typing import Any, Final

import msgspec
from litestar import MediaType, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from motorcade.api.counter import AnyRequest, Counter, read_body
from motorcade.api.energy import reading as readings
from motorcade.api.energy import settings
from motorcade.api.energy.access import PATH, admit, read_live
from motorcade.api.energy.history import ROUTES as HISTORY
from motorcade.api.energy.reading import Reading
from motorcade.api.energy.shapes import (
    BackupTime,
    LiveStatus,
    Products,
    SiteInfo,
    SiteStatus,
    Updated,
)
from motorcade.api.envelope import ok
from motorcade.api.listing import by_turns, noted_vehicles
from motorcade.api.rights import DEVICE_DATA, ENERGY_DATA
from motorcade.api.shapes import Envelope
from motorcade.api.vehicles import ENTRIES_PER_TURN, entry
from motorcade.identity.port import OWNER_SUBJECT
from motorcade.registry.port import Site

_JSON: Final = msgspec.json.Encoder()


@get("/api/1/products")
async def products(request: AnyRequest, counter: NamedDependency[Counter]) -> Response[Products]:
    """The caller's vehicles, then the energy sites, each with its own scope."""
    access = counter.allow(request)
    registry, most = counter.registry, counter.config.energy.products_max
    owned = access.owns(OWNER_SUBJECT)
    listed: list[bytes] = []  # encoded one by one: all at once takes the loop some 10 ms
    if DEVICE_DATA in access.scopes:
        vehicles = await noted_vehicles(request, counter, access, most)
        listed = [
            _JSON.encode(entry(counter, vehicle, access))
            async for vehicle in by_turns(vehicles, ENTRIES_PER_TURN)
        ]
    sites: list[Site] = []
    if owned and ENERGY_DATA in access.scopes:
        sites = await asyncio.to_thread(registry.sites, 0, most)
    async for site in by_turns(sites, ENTRIES_PER_TURN):
        reading = Reading(counter.state.read(site.token))
        listed.append(_JSON.encode(readings.product(site, reading)))
    body: Any = b'{"response":[%s],"count":%d}' % (b",".join(listed), len(listed))
    return Response(body, status_code=200, media_type=MediaType.JSON)


@get(f"{PATH}/live_status")
async def live_status(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[LiveStatus]]:
    """Powers, charge and grid, as the site last said."""
    _, site = admit(counter, request, site_id)
    return ok(readings.live_status(site, read_live(counter, site)))


@get(f"{PATH}/site_info")
async def site_info(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[SiteInfo]]:
    """What the site is made of and how it is set."""
    _, site = admit(counter, request, site_id)
    live = read_live(counter, site)
    return ok(readings.site_info(site, live, await settings.tariff_of(counter, site, live)))


@get(f"{PATH}/site_status")
async def site_status(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[SiteStatus]]:
    """The site's batteries in short, as in the list of products."""
    _, site = admit(counter, request, site_id)
    return ok(readings.site_status(site, read_live(counter, site)))


@get(f"{PATH}/backup_time_remaining")
async def backup_time_remaining(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[BackupTime]]:
    """How long the batteries would carry the load of now."""
    _, site = admit(counter, request, site_id)
    return ok(BackupTime(readings.backup_hours(read_live(counter, site))))


@post(f"{PATH}/backup", status_code=200)
async def set_backup(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """How much of the batteries is kept for a failure of the grid."""
    return await _set(counter, request, site_id, settings.BACKUP)


@post(f"{PATH}/operation", status_code=200)
async def set_operation(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """What the batteries are for: the house, the tariff, or a failure of the grid."""
    return await _set(counter, request, site_id, settings.OPERATION)


@post(f"{PATH}/storm_mode", status_code=200)
async def set_storm_mode(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """Whether the batteries are filled before a storm."""
    return await _set(counter, request, site_id, settings.STORM_MODE)


@post(f"{PATH}/off_grid_vehicle_charging_reserve", status_code=200)
async def set_off_grid_reserve(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """Below which charge no car is charged while the grid is down."""
    return await _set(counter, request, site_id, settings.OFF_GRID_RESERVE)


@post(f"{PATH}/grid_import_export", status_code=200)
async def set_import_export(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """Whether the grid may fill the batteries, and what may go to the grid."""
    return await _set(counter, request, site_id, settings.IMPORT_EXPORT)


@post(f"{PATH}/time_of_use_settings", status_code=200)
async def set_time_of_use(
    request: AnyRequest, counter: NamedDependency[Counter], site_id: FromPath[str]
) -> Response[Envelope[Updated]]:
    """The tariff that the autonomous mode goes by."""
    return await _set(counter, request, site_id, settings.TIME_OF_USE)


async def _set(
    counter: Counter, request: AnyRequest, site_id: str, row: settings.SettingRow
) -> Response[Envelope[Updated]]:
    access, site = admit(counter, request, site_id)
    updated, command_id = await settings.change(
        counter, access, site, row, await read_body(request)
    )
    return ok(updated, x_command_id=command_id)


ROUTES: Final[list[Any]] = [
    products,
    live_status,
    site_info,
    site_status,
    backup_time_remaining,
    set_backup,
    set_operation,
    set_storm_mode,
    set_off_grid_reserve,
    set_import_export,
    set_time_of_use,
    *HISTORY,
]
