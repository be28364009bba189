"""`/sandbox/*`: what only the sandbox serves. And what stands before every other route: faults.

Open to whoever reaches the port, which is on loopback. A browser's page from elsewhere does not: a
POST wants the JSON content type, which such a page may not send, and the name of this machine.
"""

import asyncio
import ipaddress
import re
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, Final

from litestar import Response, Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from msgspec import Struct

from motorcade.api.build import Extras
from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.errors import ApiError, not_found
from motorcade.api.shapes import Envelope
from motorcade.registry.sharing.port import Home
from motorcade.sandbox import known
from motorcade.sandbox.before import PREFIX, before, before_calls
from motorcade.sandbox.bodies import (
    ClockBody,
    CodeBody,
    FaultBody,
    KeyBody,
    RegionBody,
    ResetBody,
    VehicleBody,
    WorldBody,
    check_doings,
    check_fault,
    check_seed,
    check_sender,
    check_signing,
    check_world,
    point_of,
    read,
)
from motorcade.sandbox.control import CarsFailedError, Change, Key, Refusal
from motorcade.sandbox.faults import (
    Fault,
)
from motorcade.sandbox.machine import PARKED
from motorcade.sandbox.making import Wanted, World
from motorcade.sandbox.shown import (
    ClockShown,
    CodeShown,
    FaultShown,
    VehicleShown,
    WorldShown,
    show_fault,
    show_vehicle,
    show_world_now,
)
from motorcade.sandbox.worlds import NotInForceError, WorldError, Worlds
from motorcade.vehicle.signed.program import Signing

_LOCAL_NAMES: Final = ("localhost", "localhost.")


class Index(Struct, kw_only=True):
    """What there is."""

    worlds: list[str]
    faults: int
    routes: list[str]


SandboxRequest = AnyRequest
Desk = NamedDependency[Worlds]
Ports = NamedDependency[Counter]


@get("/", include_in_schema=False)
async def index(request: SandboxRequest, worlds: Desk) -> Response[Envelope[Index]]:
    """What there is, and what can be asked."""
    return ok(
        Index(
            worlds=[world.id for world in worlds.all()],
            faults=len(worlds.faults.of()),
            routes=[f"{method} {PREFIX}{path}" for method, path in _paths()],
        )
    )


@post("/worlds", status_code=200, include_in_schema=False)
async def make_world(request: SandboxRequest, worlds: Desk) -> Response[Envelope[WorldShown]]:
    """Take a fresh world."""
    body = await read(request, WorldBody)
    counted = isinstance(body.vehicles, int)
    check_world(len(body.vehicles) if not counted else body.vehicles, body.speed)
    doings = [PARKED] * body.vehicles if counted else body.vehicles
    wanted = Wanted(
        check_doings(doings),
        check_seed(body.seed, worlds.seed),
        body.speed,
        check_signing(body.signed_commands),
    )
    return ok(show_world_now(worlds, await _done(worlds.take(wanted)), request))


@get("/worlds/{world_id:str}", include_in_schema=False)
async def show_world(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[WorldShown]]:
    """A world as it is now, with an access token made now."""
    world = _world(worlds, world_id)
    await _done(worlds.look(world))
    return ok(show_world_now(worlds, world, request))


@delete("/worlds/{world_id:str}", status_code=200, include_in_schema=False)
async def drop_world(worlds: Desk, world_id: FromPath[str]) -> Response[Envelope[str]]:
    """Let a world go."""
    await _done(worlds.drop(_world(worlds, world_id)))
    return ok("ok")


@post("/worlds/{world_id:str}/reset", status_code=200, include_in_schema=False)
async def reset_world(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[WorldShown]]:
    """Set a world to what it was at its start."""
    world, body = _world(worlds, world_id), await read(request, ResetBody)
    doings = [spec.doing for spec in world.cars] if body.vehicles is None else body.vehicles
    signing = world.cars[0].signed_commands if world.cars else Signing.SUPPORTED.value
    wanted = Wanted(
        check_doings(doings), check_seed(body.seed, world.seed), world.start_speed, signing
    )
    await _done(worlds.reset(world, wanted))
    return ok(show_world_now(worlds, world, request))


@post("/worlds/{world_id:str}/clock", status_code=200, include_in_schema=False)
async def set_clock(
    request: SandboxRequest, worlds: Desk, counter: Ports, world_id: FromPath[str]
) -> Response[Envelope[ClockShown]]:
    """Let a world's time go faster, or skip some of it."""
    world, body = _world(worlds, world_id), await read(request, ClockBody)
    await _done(worlds.pace(world, body.speed, body.advance_s))
    now_us = counter.clock.now_us()
    ahead_s = (world.time.at(now_us) - now_us) / 1e6
    return ok(ClockShown(speed=world.time.speed, ahead_s=round(ahead_s, 3)))


@post("/worlds/{world_id:str}/expire_tokens", status_code=200, include_in_schema=False)
async def expire_tokens(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[str]]:
    """Have every access token of the world's app be too old, refresh tokens not."""
    check_sender(request)
    worlds.expire_tokens(_world(worlds, world_id))
    return ok("ok")


@post("/worlds/{world_id:str}/region", status_code=200, include_in_schema=False)
async def move_region(
    request: SandboxRequest, worlds: Desk, counter: Ports, world_id: FromPath[str]
) -> Response[Envelope[str]]:
    """Move the owner's account to another region, or back."""
    world, body = _world(worlds, world_id), await read(request, RegionBody)
    home = None if body.region is None else Home(body.region.lower(), body.base_url)
    assert counter.sharing is not None  # the composition root gives one
    await asyncio.to_thread(counter.sharing.set_home, world.person.subject, home)
    counter.residence.forget()
    return ok("ok")


@post("/worlds/{world_id:str}/code", status_code=200, include_in_schema=False)
async def make_code(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[CodeShown]]:
    """An authorisation code, as if the owner had signed in and allowed the app everything."""
    world, body = _world(worlds, world_id), await read(request, CodeBody)
    if body.redirect_uri not in world.app.redirect_uris:
        known_ones = ", ".join(world.app.redirect_uris)
        raise ApiError(400, "invalid_field", f"redirect_uri: the app has {known_ones}")
    scopes = known.SCOPES if body.scopes is None else tuple(body.scopes)
    if not scopes or not set(scopes) <= set(known.SCOPES):
        raise ApiError(400, "invalid_field", f"scopes: of {' '.join(known.SCOPES)}")

    def issue() -> str:
        asked = worlds.maker.code_request(world.person, world.app, body.redirect_uri)
        return worlds.issue_code(
            replace(asked, scopes=scopes, challenge=body.code_challenge, nonce=body.nonce)
        )

    return ok(CodeShown(await asyncio.to_thread(issue)))


@post("/vehicles/{vin:str}", status_code=200, include_in_schema=False)
async def change_vehicle(
    request: SandboxRequest, worlds: Desk, vin: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """Change a car; it is in force when this answers."""
    body = await read(request, VehicleBody)
    refuse = None
    if body.refuse is not None:
        refuse = tuple(Refusal(row.command, row.reason, row.times) for row in body.refuse)
    change = Change(
        vin.upper(),
        body.doing,
        body.battery_percent,
        body.network,
        body.clock_skew_s,
        body.signed_commands,
        refuse,
    )
    return ok(await _changed(worlds, change))


@post("/vehicles/{vin:str}/pair", status_code=200, include_in_schema=False)
async def pair(
    request: SandboxRequest, worlds: Desk, vin: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """Pair a key, as the owner does in Tesla's app."""
    body = await read(request, KeyBody)
    key = Key(point_of(body.public_key_pem), body.role.upper())
    return ok(await _changed(worlds, Change(vin.upper(), pair=key)))


@post("/vehicles/{vin:str}/unpair", status_code=200, include_in_schema=False)
async def unpair(
    request: SandboxRequest, worlds: Desk, vin: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """Remove a key, as the owner does on the car's screen; the app's known one unless told."""
    body = await read(request, KeyBody)
    return ok(await _changed(worlds, Change(vin.upper(), unpair=point_of(body.public_key_pem))))


@post("/faults", status_code=200, include_in_schema=False)
async def add_fault(request: SandboxRequest, worlds: Desk) -> Response[Envelope[FaultShown]]:
    """Have requests to come fail, or wait."""
    body = await read(request, FaultBody)
    if body.world:
        _world(worlds, body.world)
    check_fault(body)
    fault = Fault(
        id=0,
        world=body.world,
        vin=body.vehicle.upper(),
        method=body.method.upper(),
        path=body.path,
        answer=body.answer,
        latency_s=body.latency_ms / 1e3,
        times=body.times,
        retry_s=body.retry_s,
        base_url=body.base_url,
    )
    try:
        return ok(show_fault(worlds.faults.add(fault)))
    except OverflowError as error:
        raise ApiError(409, "conflict", str(error)) from error


@get("/faults", include_in_schema=False)
async def list_faults(
    request: SandboxRequest, worlds: Desk
) -> Response[Envelope[list[FaultShown]]]:
    """The rules that are left, in the order in which they are asked."""
    world = request.query_params.get("world", "")
    return ok([show_fault(rule) for rule in worlds.faults.of(world)])


@delete("/faults", status_code=200, include_in_schema=False)
async def clear_faults(request: SandboxRequest, worlds: Desk) -> Response[Envelope[str]]:
    """Forget all rules, or one world's."""
    worlds.faults.clear(request.query_params.get("world", ""))
    return ok("ok")


@delete("/faults/{fault_id:int}", status_code=200, include_in_schema=False)
async def remove_fault(worlds: Desk, fault_id: FromPath[int]) -> Response[Envelope[str]]:
    """Forget one rule."""
    if not worlds.faults.remove(fault_id):
        raise not_found("no such fault: it was applied as often as it was to be, or removed")
    return ok("ok")


_ROUTES: Final = (
    *(index, make_world, show_world, drop_world, reset_world, set_clock, expire_tokens),
    *(move_region, make_code, change_vehicle, pair, unpair),
    *(add_fault, list_faults, clear_faults, remove_fault),
)


def _paths() -> list[tuple[str, str]]:
    """Method and path of each."""
    return [
        (
            next(iter(sorted(route.http_methods - {"OPTIONS", "HEAD"}))),
            re.sub(r":(str|int)}", "}", path),
        )
        for route in _ROUTES
        for path in sorted(route.paths)
    ]


def extras(worlds: Worlds, counter: Counter) -> Extras:
    """The routes, and what stands before all others."""
    router = Router(
        PREFIX,
        route_handlers=list(_ROUTES),
        dependencies={
            "worlds": Provide(lambda: worlds, sync_to_thread=False, use_cache=True),
        },
        guards=[_guard],
    )
    counter.obstacle = before_calls(worlds, counter)
    return Extras((router,), (before(worlds, counter),))


def _guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """A page from elsewhere whose name was bent to loopback comes with its own name."""
    host = connection.headers.get("host", "").rpartition("@")[2].lower()
    name = host[: host.rfind(":")] if re.search(r":\d+$", host) else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError as error:
        if name not in _LOCAL_NAMES:
            text = "ask /sandbox by an address or as localhost"
            raise ApiError(421, "misdirected request", text) from error


async def _done(work: Awaitable[Any]) -> Any:
    """The outcome. Raises the 400, 404 and 503."""
    try:
        return await work
    except WorldError as error:
        raise ApiError(400, "invalid_field", str(error)) from error
    except LookupError as error:
        raise not_found(str(error.args[0] if error.args else error)) from error
    except (NotInForceError, CarsFailedError) as error:
        raise ApiError(503, "service unavailable", str(error)) from error


async def _changed(worlds: Worlds, change: Change) -> VehicleShown:
    view = await _done(worlds.change(change))
    return show_vehicle(worlds.of_vin(change.vin), view)


def _world(worlds: Worlds, world_id: str) -> World:
    try:
        return worlds.of(world_id)
    except LookupError as error:
        raise not_found(str(error.args[0])) from error
