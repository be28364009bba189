"""What `/sandbox/*` answers."""

from msgspec import Struct

from motorcade.api.counter import AnyRequest
from motorcade.sandbox import known
from motorcade.sandbox.control import CarView
from motorcade.sandbox.faults import (
    Fault,
)
from motorcade.sandbox.making import World
from motorcade.sandbox.worlds import Worlds


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


class CodeShown(Struct):
    code: str


def show_world_now(worlds: Worlds, world: World, request: AnyRequest) -> WorldShown:
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
        vehicles=[show_vehicle(world, world.views[spec.vin]) for spec in world.cars],
    )


def show_vehicle(world: World, view: CarView) -> VehicleShown:
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


def show_fault(rule: Fault) -> FaultShown:
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
