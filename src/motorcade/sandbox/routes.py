"""`/sandbox/*`: what only the sandbox serves. And what stands before every other route: faults.

Open to whoever reaches the port, which is on loopback. A browser's page from elsewhere does not: a
POST wants the JSON content type, which such a page may not send, and the name of this machine.
"""

import asyncio
import base64
import binascii
import contextlib
import ipaddress
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import parse_qs, unquote

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.connection import ASGIConnection
from litestar.di import NamedDependency, Provide
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from motorcade.api.build import Extras
from motorcade.api.counter import AnyRequest, Counter
from motorcade.api.envelope import ok
from motorcade.api.errors import TOKEN_EXPIRED, ApiError, not_found, unauthorized
from motorcade.api.shapes import Envelope
from motorcade.registry.errors import InvalidNameError
from motorcade.registry.people.names import check_public_key
from motorcade.registry.sharing.port import Home
from motorcade.sandbox import known
from motorcade.sandbox.car import DOINGS, PARKED, SPEED_MAX
from motorcade.sandbox.control import CarsFailedError, CarView, Change, Key, Refusal
from motorcade.sandbox.faults import (
    ANSWERS,
    EUROPE,
    ISSUER_PATH,
    LATENCY_S_MAX,
    RETRY_S_DEFAULT,
    Asked,
    Fault,
)
from motorcade.sandbox.times import expired
from motorcade.sandbox.worlds import CARS_MAX, NotInForceError, Wanted, World, WorldError, Worlds
from motorcade.vehicle.signed.program import Signing

PREFIX: Final = "/sandbox"
SEED_MAX: Final = 1 << 31
_VEHICLE: Final = re.compile(r"/api/1/vehicles/([^/]+)")
_VIN_CHARACTERS: Final = 17
_LOCAL_NAMES: Final = ("localhost", "localhost.")


# What is asked, as types: what does not fit them is a 400 that says where.


class WorldBody(Struct, forbid_unknown_fields=True):
    """A fresh world."""

    vehicles: int | list[str] = 1  # how many parked ones, or what each of them does
    seed: int | None = None  # None: the sandbox's
    speed: float = 1.0
    signed_commands: str = Signing.SUPPORTED.value


class ResetBody(Struct, forbid_unknown_fields=True):
    """As at the start; of what is not named, as then."""

    vehicles: list[str] | None = None
    seed: int | None = None


class ClockBody(Struct, forbid_unknown_fields=True):
    """How fast a world's time goes, and what is skipped of it."""

    speed: float | None = None
    advance_s: float = 0.0


class RegionBody(Struct, forbid_unknown_fields=True):
    """Where the owner's account lives; without a region: here."""

    region: str | None = None
    base_url: str = EUROPE


class CodeBody(Struct, forbid_unknown_fields=True):
    """What a browser would bring back from the consent page."""

    redirect_uri: str = known.REDIRECT_URIS[0]
    scopes: list[str] | None = None
    code_challenge: str = ""
    nonce: str = ""


class FaultBody(Struct, forbid_unknown_fields=True):
    """A rule for requests to come."""

    answer: int = 0
    latency_ms: float = 0.0
    times: int | None = 1
    world: str = ""
    vehicle: str = ""
    method: str = ""
    path: str = ""
    retry_s: int = RETRY_S_DEFAULT
    base_url: str = EUROPE


class RefusalBody(Struct, forbid_unknown_fields=True):
    command: str = "*"
    reason: str = "could_not_wake_buses"
    times: int | None = 1


class VehicleBody(Struct, forbid_unknown_fields=True):
    """What is to be different about a car."""

    doing: str | None = None
    battery_percent: float | None = None
    network: str | None = None
    clock_skew_s: float | None = None
    signed_commands: str | None = None
    refuse: list[RefusalBody] | None = None


class KeyBody(Struct, forbid_unknown_fields=True):
    """A key; none: the app's known one."""

    public_key_pem: str = ""
    role: str = "OWNER"


class UserShown(Struct, kw_only=True):
    subject: str
    email: str
    password: str
    full_name: str


class AppShown(Struct, kw_only=True):
    client_id: str
    client_secret: str
    redirect_uris: list[str]
    scopes: list[str]
    domain: str


class TokensShown(Struct, kw_only=True):
    access_token: str
    refresh_token: str
    expires_in: int
    token_type: str = "Bearer"


class VehicleShown(Struct, kw_only=True):
    vin: str
    id: int
    doing: str
    network: str
    signed_commands: str
    paired: bool  # the app's known key
    battery_percent: float
    elapsed_s: float  # of its own time
    clock_skew_s: float
    refusing: list[str]


class WorldShown(Struct, kw_only=True):
    """All that an app needs to begin."""

    id: str
    seed: int
    api_url: str
    token_url: str
    speed: float
    user: UserShown
    app: AppShown
    tokens: TokensShown
    private_key_pem: str
    public_key_pem: str
    vehicles: list[VehicleShown]


class ClockShown(Struct, kw_only=True):
    speed: float
    ahead_s: float  # of the machine's time


class FaultShown(Struct, kw_only=True):
    id: int
    answer: int
    latency_ms: float
    times: int | None
    world: str
    vehicle: str
    method: str
    path: str


class Index(Struct, kw_only=True):
    """What there is."""

    worlds: list[str]
    faults: int
    routes: list[str]


class CodeShown(Struct):
    code: str


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
    body = await _read(request, WorldBody)
    counted = isinstance(body.vehicles, int)
    _check_world(len(body.vehicles) if not counted else body.vehicles, body.speed)
    doings = [PARKED] * body.vehicles if counted else body.vehicles
    wanted = Wanted(
        _doings(doings), _seed(body.seed, worlds.seed), body.speed, _signing(body.signed_commands)
    )
    return ok(_shown(worlds, await _done(worlds.take(wanted)), request))


@get("/worlds/{world_id:str}", include_in_schema=False)
async def show_world(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[WorldShown]]:
    """A world as it is now, with an access token made now."""
    world = _world(worlds, world_id)
    await _done(worlds.look(world))
    return ok(_shown(worlds, world, request))


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
    world, body = _world(worlds, world_id), await _read(request, ResetBody)
    doings = [spec.doing for spec in world.cars] if body.vehicles is None else body.vehicles
    signing = world.cars[0].signed_commands if world.cars else Signing.SUPPORTED.value
    wanted = Wanted(_doings(doings), _seed(body.seed, world.seed), 1.0, signing)
    await _done(worlds.reset(world, wanted))
    return ok(_shown(worlds, world, request))


@post("/worlds/{world_id:str}/clock", status_code=200, include_in_schema=False)
async def set_clock(
    request: SandboxRequest, worlds: Desk, counter: Ports, world_id: FromPath[str]
) -> Response[Envelope[ClockShown]]:
    """Let a world's time go faster, or skip some of it."""
    world, body = _world(worlds, world_id), await _read(request, ClockBody)
    await _done(worlds.pace(world, body.speed, body.advance_s))
    now_us = counter.clock.now_us()
    ahead_s = (world.time.at(now_us) - now_us) / 1e6
    return ok(ClockShown(speed=world.time.speed, ahead_s=round(ahead_s, 3)))


@post("/worlds/{world_id:str}/expire_tokens", status_code=200, include_in_schema=False)
async def expire_tokens(
    request: SandboxRequest, worlds: Desk, world_id: FromPath[str]
) -> Response[Envelope[str]]:
    """Have every access token of the world's app be too old, refresh tokens not."""
    _check_sender(request)
    worlds.expire_tokens(_world(worlds, world_id))
    return ok("ok")


@post("/worlds/{world_id:str}/region", status_code=200, include_in_schema=False)
async def move_region(
    request: SandboxRequest, worlds: Desk, counter: Ports, world_id: FromPath[str]
) -> Response[Envelope[str]]:
    """Move the owner's account to another region, or back."""
    world, body = _world(worlds, world_id), await _read(request, RegionBody)
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
    world, body = _world(worlds, world_id), await _read(request, CodeBody)
    if body.redirect_uri not in world.app.redirect_uris:
        known_ones = ", ".join(world.app.redirect_uris)
        raise ApiError(400, "invalid_field", f"redirect_uri: the app has {known_ones}")
    scopes = known.SCOPES if body.scopes is None else tuple(body.scopes)
    if not scopes or not set(scopes) <= set(known.SCOPES):
        raise ApiError(400, "invalid_field", f"scopes: of {' '.join(known.SCOPES)}")

    def issue() -> str:
        asked = worlds.code_request(world.person, world.app, body.redirect_uri)
        return worlds.issue_code(
            replace(asked, scopes=scopes, challenge=body.code_challenge, nonce=body.nonce)
        )

    return ok(CodeShown(await asyncio.to_thread(issue)))


@post("/vehicles/{vin:str}", status_code=200, include_in_schema=False)
async def change_vehicle(
    request: SandboxRequest, worlds: Desk, vin: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """Change a car; it is in force when this answers."""
    body = await _read(request, VehicleBody)
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
    body = await _read(request, KeyBody)
    key = Key(_point(body.public_key_pem), body.role.upper())
    return ok(await _changed(worlds, Change(vin.upper(), pair=key)))


@post("/vehicles/{vin:str}/unpair", status_code=200, include_in_schema=False)
async def unpair(
    request: SandboxRequest, worlds: Desk, vin: FromPath[str]
) -> Response[Envelope[VehicleShown]]:
    """Remove a key, as the owner does on the car's screen; the app's known one unless told."""
    body = await _read(request, KeyBody)
    return ok(await _changed(worlds, Change(vin.upper(), unpair=_point(body.public_key_pem))))


@post("/faults", status_code=200, include_in_schema=False)
async def add_fault(request: SandboxRequest, worlds: Desk) -> Response[Envelope[FaultShown]]:
    """Have requests to come fail, or wait."""
    body = await _read(request, FaultBody)
    _check_fault(worlds, body)
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
        return ok(_fault(worlds.faults.add(fault)))
    except OverflowError as error:
        raise ApiError(409, "conflict", str(error)) from error


@get("/faults", include_in_schema=False)
async def list_faults(
    request: SandboxRequest, worlds: Desk
) -> Response[Envelope[list[FaultShown]]]:
    """The rules that are left, in the order in which they are asked."""
    world = request.query_params.get("world", "")
    return ok([_fault(rule) for rule in worlds.faults.of(world)])


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
    return Extras((router,), (_before(worlds, counter),))


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


def _before(worlds: Worlds, counter: Counter) -> Callable[[ASGIApp], ASGIApp]:
    """Middleware: tokens that a world's time has made too old, then faults."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def before(scope: Scope, receive: Receive, send: Send) -> None:
            path = str(scope["path"])
            if scope["type"] == ScopeType.HTTP and not path.startswith(PREFIX):
                claims = _claims(dict(scope["headers"]).get(b"authorization", b""))
                client_id = str(claims.get("azp", ""))
                if path.startswith(ISSUER_PATH):
                    receive, client_id = await _peek(scope, receive)
                world = worlds.of_client(client_id)
                asked = Asked(
                    method=str(scope.get("method", "")),
                    path=path,
                    vin=_vin(counter, path),
                    world="" if world is None else world.id,
                    client_id=client_id,
                )
                verdict = worlds.faults.take(asked)
                if verdict.latency_s:
                    await asyncio.sleep(verdict.latency_s)
                if verdict.error is not None:
                    raise verdict.error
                if world is not None:
                    _check_age(worlds, counter, world, claims)
            await app(scope, receive, send)

        return before

    return wrap


def _check_age(worlds: Worlds, counter: Counter, world: World, claims: dict[str, Any]) -> None:
    """Raises the 401."""
    if world.time.plain:
        return
    issued_s, ends_s = claims.get("iat"), claims.get("exp")
    if type(issued_s) is not int or type(ends_s) is not int:
        return  # no token of ours: the API will say so
    issued_us = worlds.issued.of(str(claims.get("jti", "")), issued_s)
    if expired(world.time, issued_us, ends_s - issued_s, counter.clock.now_us()):
        raise unauthorized(TOKEN_EXPIRED)


def _claims(authorization: bytes) -> dict[str, Any]:
    """What a bearer token says, unchecked: enough to see whose it is."""
    parts = authorization.split(b".")
    if len(parts) != 3:
        return {}
    try:
        payload = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload)
    except (ValueError, binascii.Error, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


async def _peek(scope: Scope, receive: Receive) -> tuple[Receive, str]:
    """Which app asks an OAuth endpoint, unchecked; and the body once more, for who checks."""
    scheme, _, basic = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"basic":
        with contextlib.suppress(ValueError, binascii.Error):
            return receive, unquote(base64.b64decode(basic).partition(b":")[0].decode())
    first = await receive()
    body = first.get("body", b"") if first["type"] == "http.request" else b""
    assert isinstance(body, bytes)
    told: list[Any] = [first]

    async def again() -> Any:
        return told.pop() if told else await receive()

    fields = parse_qs(body.decode("utf-8", "replace"))
    query = parse_qs(bytes(scope.get("query_string", b"")).decode("utf-8", "replace"))
    return again, (fields.get("client_id") or query.get("client_id") or [""])[0]


def _vin(counter: Counter, path: str) -> str:
    """The vehicle that a path names, by VIN or id; "" for none."""
    found = _VEHICLE.match(path)
    tag = found.group(1) if found else ""
    if tag.isascii() and tag.isdigit() and len(tag) < _VIN_CHARACTERS:
        vehicle = counter.registry.vehicle_by_id(int(tag))
        return vehicle.vin if vehicle is not None else ""
    return tag.upper()


async def _read(request: Request[Any, Any, Any], kind: type[Any]) -> Any:
    """The body as this type; none is an empty one. Raises the 400."""
    _check_sender(request)
    raw = await request.body()
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise ApiError(400, "invalid_field", str(error)) from error


def _check_sender(request: Request[Any, Any, Any]) -> None:
    """A page from elsewhere may not send JSON unasked. Raises the 406."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ApiError(406, "not_acceptable", "Content-Type must be application/json")


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
    return _vehicle(worlds.of_vin(change.vin), view)


def _world(worlds: Worlds, world_id: str) -> World:
    try:
        return worlds.of(world_id)
    except LookupError as error:
        raise not_found(str(error.args[0])) from error


def _check_world(count: int, speed: float) -> None:
    """Raises the 400."""
    if not 0 <= count <= CARS_MAX:
        raise ApiError(400, "invalid_field", f"vehicles: at most {CARS_MAX} in one world")
    if not 0 <= speed <= SPEED_MAX:
        raise ApiError(400, "invalid_field", f"speed: 0 to {SPEED_MAX:g}")


def _doings(doings: list[str]) -> tuple[str, ...]:
    """Raises the 400."""
    for doing in doings:
        if doing not in DOINGS:
            text = f"vehicles: {doing!r}; each does one of {', '.join(DOINGS)}"
            raise ApiError(400, "invalid_field", text)
    return tuple(doings)


def _seed(seed: int | None, otherwise: int) -> int:
    if seed is None:
        return otherwise
    if not 0 <= seed < SEED_MAX:
        raise ApiError(400, "invalid_field", f"seed: 0 to {SEED_MAX - 1}")
    return seed


def _signing(word: str) -> str:
    if word not in tuple(Signing):
        raise ApiError(400, "invalid_field", f"signed_commands: one of {', '.join(Signing)}")
    return word


def _point(pem: str) -> str:
    """The key's point, in hex. Raises the 400."""
    if not pem:
        return known.public_key_hex()
    try:
        return known.point_of(check_public_key(pem))
    except (ValueError, InvalidNameError) as error:
        raise ApiError(400, "invalid_field", f"public_key_pem: {error}") from error


def _check_fault(worlds: Worlds, body: FaultBody) -> None:
    """Raises the 400 and the 404."""
    if body.world:
        _world(worlds, body.world)
    if body.answer and body.answer not in ANSWERS:
        answers = ", ".join(str(status) for status in ANSWERS)
        raise ApiError(400, "invalid_field", f"answer: one of {answers}, or 0 for the real one")
    if not body.answer and not body.latency_ms:
        raise ApiError(400, "invalid_field", "give an answer, latency_ms, or both")
    if not 0 <= body.latency_ms <= LATENCY_S_MAX * 1e3:
        raise ApiError(400, "invalid_field", f"latency_ms: 0 to {LATENCY_S_MAX * 1e3:g}")
    if body.times is not None and body.times < 1:
        raise ApiError(400, "invalid_field", "times: 1 and up, or null for always")
    if body.retry_s < 0:
        raise ApiError(400, "invalid_field", "retry_s: 0 and up")


def _shown(worlds: Worlds, world: World, request: AnyRequest) -> WorldShown:
    api_url = f"{request.url.scheme}://{request.headers.get('host', '')}"
    app, person = world.app, world.person
    return WorldShown(
        id=world.id,
        seed=world.seed,
        api_url=api_url,
        token_url=f"{api_url}/oauth2/v3/token",
        speed=world.time.speed,
        user=UserShown(
            subject=person.subject,
            email=person.email,
            password=known.PASSWORD,
            full_name=person.full_name,
        ),
        app=AppShown(
            client_id=app.client_id,
            client_secret=known.CLIENT_SECRET,
            redirect_uris=list(app.redirect_uris),
            scopes=list(app.scopes),
            domain=app.domain,
        ),
        tokens=TokensShown(
            access_token=worlds.access_token(world),
            refresh_token=world.refresh_token,
            expires_in=worlds.token_good_s,
        ),
        private_key_pem=known.private_key_pem(),
        public_key_pem=known.public_key_pem(),
        vehicles=[_vehicle(world, world.views[spec.vin]) for spec in world.cars],
    )


def _vehicle(world: World, view: CarView) -> VehicleShown:
    return VehicleShown(
        vin=view.vin,
        id=world.vehicle_ids[view.vin],
        doing=view.doing,
        network=view.network,
        signed_commands=view.signed_commands,
        paired=any(key.public_key == known.public_key_hex() for key in view.keys),
        battery_percent=view.battery_percent,
        elapsed_s=view.elapsed_s,
        clock_skew_s=view.clock_skew_s,
        refusing=view.refusing,
    )


def _fault(rule: Fault) -> FaultShown:
    return FaultShown(
        id=rule.id,
        answer=rule.answer,
        latency_ms=rule.latency_s * 1e3,
        times=rule.times,
        world=rule.world,
        vehicle=rule.vin,
        method=rule.method,
        path=rule.path,
    )
