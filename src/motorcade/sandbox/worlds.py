"""Worlds: each an owner, an app that the owner lets in, and cars, apart from every other world.

A sandbox has a default world with the plain known names, and as many further ones as are asked for:
a test takes one and lets it go. Some are made ahead, so that taking one costs little; their cars
are connected and their time stands still.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from motorcade.api.counter import Counter
from motorcade.identity.authority import Authority
from motorcade.identity.signing import command_signer
from motorcade.identity.tokens import TokenAuthority
from motorcade.registry.people.port import App, AppRequest, CodeRequest, People, Person, Session
from motorcade.registry.port import IssuedCertificate, NewVehicle
from motorcade.registry.signing.port import SigningState
from motorcade.sandbox import known
from motorcade.sandbox.car import DOWN
from motorcade.sandbox.control import (
    Add,
    Cars,
    CarSpec,
    CarsRefusedError,
    CarView,
    Change,
    Key,
    Pace,
    Remove,
    Renew,
)
from motorcade.sandbox.faults import Faults
from motorcade.sandbox.machine import MARK, PARKED
from motorcade.sandbox.times import Issued, WorldTime
from motorcade.state.port import VehicleState
from motorcade.vehicle.signed.program import Signing
from motorcade.vehicle.vehicle_file import MqttAccess

SPARES: Final = 2  # worlds made ahead, of each number of cars that was asked for
SHAPES_MAX: Final = 4  # numbers of cars of which there are spares; the last asked for are kept
SPARE_CARS_MAX: Final = 8  # larger worlds are made when they are asked for
CARS_MAX: Final = 100  # of one world
ONLINE_S_MAX: Final = 30.0
IN_FORCE_S_MAX: Final = 5.0
_POLL_S: Final = 0.002
_MARGIN_US: Final = 10_000_000
_ROLE: Final = "OWNER"
BROWSER: Final = "sandbox"  # a name: worlds have owners, who have no browsers

_log = structlog.get_logger()


class WorldError(Exception):
    """It cannot be; the text says why."""


class NotInForceError(Exception):
    """It was done, but the platform does not show it."""


@dataclass(slots=True)
class World:
    """One world."""

    id: str
    seed: int
    person: Person
    app: App
    session: Session
    refresh_token: str
    cars: list[CarSpec]
    vehicle_ids: dict[str, int]  # by VIN: Tesla's `id`
    time: WorldTime
    start_speed: float = 1.0
    views: dict[str, CarView] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)  # one reset or drop after the other


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a world."""

    doings: tuple[str, ...] = (PARKED,)  # what each car does
    seed: int = 1
    speed: float = 1.0
    signed_commands: str = Signing.SUPPORTED


class IssuedTokens:
    """The platform's tokens, whose makings are noted. Stands for a `TokenAuthority`."""

    def __init__(self, tokens: TokenAuthority, issued: Issued, now_us: Callable[[], int]) -> None:
        self._tokens, self._issued, self._now_us = tokens, issued, now_us

    def mint(self, *arguments: Any, **further: Any) -> str:
        """See `TokenAuthority.mint`."""
        token_id = (further.get("further") or {}).get("jti", "")
        if token_id:
            self._issued.note(token_id, self._now_us())
        return self._tokens.mint(*arguments, **further)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokens, name)


class Worlds:
    """All of them, over the platform's ports."""

    def __init__(
        self, counter: Counter, authority: Authority, data: Path, redirect_uris: tuple[str, ...]
    ) -> None:
        assert counter.desk is not None  # the composition root gives one
        self._counter, self._authority, self._data = counter, authority, data
        self._people: People = counter.desk.people
        self._redirect_uris = redirect_uris or known.REDIRECT_URIS
        self._command_keys = dict(command_signer(authority).public_keys)
        self.cars = Cars(data)
        self.faults = Faults()
        self.issued = Issued()
        self.seed = 1
        tokens = IssuedTokens(counter.desk.tokens, self.issued, counter.clock.now_us)
        counter.desk.tokens = tokens  # type: ignore[assignment]
        self._worlds: dict[str, World] = {}
        self._by_client: dict[str, World] = {}
        self._by_vin: dict[str, World] = {}
        self._spares: dict[int, list[World]] = {1: []}
        self._taken = asyncio.Event()
        self._making = asyncio.Lock()  # one at a time: they write to the same files
        self._count = 0  # of worlds
        self._cars = 0
        self._filling: asyncio.Task[None] | None = None

    # What there is.

    def all(self) -> list[World]:
        """Every world that was asked for."""
        return list(self._worlds.values())

    def of(self, world_id: str) -> World:
        """Raises `LookupError`."""
        world = self._worlds.get(world_id)
        if world is None:
            raise LookupError(f"no world {world_id!r}: POST /sandbox/worlds makes one")
        return world

    def of_client(self, client_id: str) -> World | None:
        """The world of an app."""
        return self._by_client.get(client_id)

    def of_vin(self, vin: str) -> World:
        """The world of a car. Raises `LookupError`."""
        world = self._by_vin.get(vin)
        if world is None:
            raise LookupError(f"no world has the car {vin!r}")
        return world

    # Making.

    def start(self) -> None:
        """Make worlds ahead from now on."""
        self._filling = asyncio.create_task(self._fill())

    async def stop(self) -> None:
        """Make no more."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        self.cars.close()

    async def open_default(self, wanted: Wanted) -> World:
        """The world with the plain names."""
        self.seed = wanted.seed
        world = await self._make(known.DEFAULT_WORLD, wanted, wanted.speed)
        self._worlds[world.id] = world
        return world

    async def take(self, wanted: Wanted) -> World:
        """A fresh world: a spare one set to what is wanted, or a new one. Raises `WorldError`."""
        count = len(wanted.doings)
        spares = self._spares.pop(count, [])
        if count <= SPARE_CARS_MAX:
            self._spares[count] = spares  # the last asked for stands last
        while len(self._spares) > SHAPES_MAX:
            for world in self._spares.pop(next(iter(self._spares))):
                await self.cars.tell(Remove(world.id))
        if spares and wanted.seed == self.seed:
            world = spares.pop(0)
            self._taken.set()
            await self._renew(world, wanted)
        else:
            world = await self._make(self._next_id(), wanted, wanted.speed)
            self._taken.set()
        self._worlds[world.id] = world
        return world

    async def drop(self, world: World) -> None:
        """Its cars leave the road; its faults are forgotten. What the log holds of it stays."""
        async with world.turn:
            self.faults.clear(world.id)
            await self.cars.tell(Remove(world.id))
            self._worlds.pop(world.id, None)  # last: what failed can be asked again

    async def reset(self, world: World, wanted: Wanted) -> None:
        """Set a world to what it is at its start. Raises `WorldError`.

        Its cars are registered anew under their VINs: of the old ones nothing shows any more, not
        what they said, were asked, or whom they were shared with.
        """
        if len(wanted.doings) != len(world.cars):
            raise WorldError(f"world {world.id!r} has {len(world.cars)} cars: make another")
        if self._people.app(world.app.client_id) is None:
            raise WorldError("its app was revoked for good: make another world")
        async with world.turn:
            if self._worlds.get(world.id) is not world:
                raise LookupError(f"no world {world.id!r} any more")
            self.faults.clear(world.id)
            await self.cars.tell(Remove(world.id))
            async with self._making:
                await asyncio.to_thread(self._register_again, world, wanted)
            self._counter.residence.forget()
            begun_us = self._counter.clock.now_us()
            world.seed, world.time = wanted.seed, WorldTime(begun_us, wanted.speed)
            await self._drive(world, wanted.speed)

    def _next_id(self) -> str:
        self._count += 1
        return f"w{self._count}"

    async def _fill(self) -> None:
        """Keep the spares full."""
        while True:
            self._taken.clear()
            try:
                for count, spares in list(self._spares.items()):
                    while len(spares) < SPARES and self._spares.get(count) is spares:
                        wanted = Wanted((PARKED,) * count, self.seed)
                        spares.append(await self._make(self._next_id(), wanted, 0.0))
            except Exception:  # whatever it is, worlds can still be made when they are asked for
                _log.exception("spare_world_failed")
            await self._taken.wait()

    async def _make(self, world_id: str, wanted: Wanted, speed: float) -> World:
        async with self._making:
            world = await asyncio.to_thread(self._register, world_id, wanted, speed)
        self._by_client[world.app.client_id] = world
        for spec in world.cars:
            self._by_vin[spec.vin] = world
        await self._drive(world, speed)
        return world

    async def _drive(self, world: World, speed: float) -> None:
        """Put its cars on the road, and wait until apps see them."""
        await self._tell_cars(Add(world.id, world.cars, speed), world)
        await self._until(
            lambda: all(self._shows(world.views[spec.vin], spec) for spec in world.cars),
            ONLINE_S_MAX,
        )

    def _register(self, world_id: str, wanted: Wanted, speed: float) -> World:
        """Its owner, app and cars, in the registry. Blocks."""
        now_us = self._counter.clock.now_us()
        subject = known.subject(world_id)
        person, _ = self._people.add_person(
            known.email(world_id), "Sandbox Owner", known.PASSWORD, subject
        )
        request = AppRequest(
            name="Sandbox app",
            redirect_uris=self._redirect_uris,
            scopes=known.SCOPES,
            purpose="To be tested",
            domain=known.domain(world_id),
            public_key_pem=known.public_key_pem(),
            client_id=known.client_id(world_id),
            secret=known.CLIENT_SECRET,
        )
        app, _ = self._people.add_app(request)
        session, refresh_token = self._grant(person, app)
        vins = []
        for place in range(len(wanted.doings)):
            self._cars += 1
            vins.append(known.vin(wanted.seed + place, self._cars))
        added = self._counter.registry.add_vehicles(vins, subject)
        cars = self._outfit(added, wanted)
        ids = {new.vehicle.vin: new.vehicle.id for new in added}
        time = WorldTime(now_us, speed)
        return World(
            world_id, wanted.seed, person, app, session, refresh_token, cars, ids, time, speed
        )

    def _grant(self, person: Person, app: App) -> tuple[Session, str]:
        """The owner lets the app in. Blocks."""
        code = self._people.issue_code(self.code_request(person, app, app.redirect_uris[0]), "")
        begun = self._people.begin_session(code, app, self._desk.prefix)
        assert begun is not None  # the code is a moment old, and ours
        return begun

    def code_request(self, person: Person, app: App, redirect_uri: str) -> CodeRequest:
        """All that the app may ask for, allowed in a browser that has just signed in. Blocks."""
        mark = self._people.browser_mark(person.email, BROWSER)
        signed_in = self._people.sign_in(self._people.begin_sign_in(person.id, BROWSER, mark))
        assert signed_in is not None  # a moment ago
        return CodeRequest(
            person_id=person.id,
            app_id=app.id,
            scopes=known.SCOPES,
            asked=known.SCOPES,
            redirect_uri=redirect_uri,
            challenge="",
            nonce="",
            signed_in_time_us=signed_in.signed_in_time_us,
            sign_in_id=signed_in.id,
        )

    def _outfit(self, added: list[NewVehicle], wanted: Wanted) -> list[CarSpec]:
        """Certificates and specifications. Blocks."""
        keys = (Key(known.public_key_hex(), _ROLE),)
        cars, issued = [], []
        for place, new in enumerate(added):
            vehicle = new.vehicle
            certificate = self._authority.issue_vehicle(vehicle.vin)
            issued.append(
                IssuedCertificate(vehicle.vin, certificate.serial, certificate.expires_time_us)
            )
            folder = self._data / "cars" / vehicle.vin
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (folder / "cert.pem").write_bytes(certificate.certificate_pem)
            (folder / "key.pem").write_bytes(certificate.key_pem)
            cars.append(
                CarSpec(
                    vin=vehicle.vin,
                    token=vehicle.token,
                    mqtt=MqttAccess(
                        vehicle.token,
                        vehicle.token,
                        new.password,
                        f"v/{vehicle.token}",
                        f"v/{vehicle.token}/commands",
                    ),
                    cert_file=str(folder / "cert.pem"),
                    key_file=str(folder / "key.pem"),
                    ca_file=str(self._authority.ca_file),
                    command_keys=self._command_keys,
                    seed=wanted.seed + place,
                    doing=wanted.doings[place],
                    signed_commands=wanted.signed_commands,
                    keys=keys,
                )
            )
        self._counter.registry.record_certificates(issued)
        return cars

    def _register_again(self, world: World, wanted: Wanted) -> None:
        """Its cars, and what apps and people have changed of its owner. Blocks."""
        people, registry, sharing = self._people, self._counter.registry, self._counter.sharing
        subject = world.person.subject
        if people.check_password(world.person.email, known.PASSWORD) is None:
            people.set_password(subject, known.PASSWORD)
        if sharing is not None and sharing.home(subject) is not None:
            sharing.set_home(subject, None)
        people.end_session(world.session.id)
        world.session, world.refresh_token = self._grant(world.person, world.app)
        vins = [spec.vin for spec in world.cars]
        for vin in vins:
            registry.remove_vehicle(vin)
        added = registry.add_vehicles(vins, subject)
        world.cars = self._outfit(added, wanted)
        world.vehicle_ids = {new.vehicle.vin: new.vehicle.id for new in added}

    async def _renew(self, world: World, wanted: Wanted) -> None:
        world.seed = wanted.seed
        world.cars = [_at_start(spec, wanted, place) for place, spec in enumerate(world.cars)]
        before_us = self._counter.clock.now_us()
        world.time, world.start_speed = WorldTime(before_us, wanted.speed), wanted.speed
        await self._in_force(world, Renew(world.id, world.cars, wanted.speed), before_us)

    # Changing.

    async def change(self, change: Change) -> CarView:
        """Change a car; returns when the platform shows it.

        Raises `LookupError`, `WorldError`, `NotInForceError`.
        """
        world = self.of_vin(change.vin)
        before_us = self._counter.clock.now_us()
        await self._in_force(world, change, before_us)
        return world.views[change.vin]

    async def look(self, world: World) -> None:
        """See how its cars are now."""
        await self._tell_cars(Pace(world.id, None, 0.0), world)

    async def pace(self, world: World, speed: float | None, skip_s: float) -> None:
        """Let a world's time go faster, or skip some of it. Raises `WorldError`."""
        before_us = self._counter.clock.now_us()
        await self._in_force(world, Pace(world.id, speed, skip_s), before_us)
        world.time.pace(self._counter.clock.now_us(), speed, skip_s)

    def expire_tokens(self, world: World) -> None:
        """Every access token made until now is too old."""
        good_s = self._counter.config.identity.app_token_s
        world.time.pace(self._counter.clock.now_us(), None, float(good_s))

    def access_token(self, world: World) -> str:
        """A new one for the world's app."""
        return str(
            self._desk.person_tokens(world.session, "", world.app, issuer="")["access_token"]
        )

    def issue_code(self, asked: CodeRequest) -> str:
        """An authorisation code for that. Blocks."""
        return self._people.issue_code(asked, self._desk.prefix)

    @property
    def token_good_s(self) -> int:
        """How long an access token is good."""
        return self._counter.config.identity.app_token_s

    @property
    def _desk(self) -> Any:
        return self._counter.desk

    async def _in_force(self, world: World, message: Any, before_us: int) -> None:
        """Tell the cars, and wait until the platform shows what they are."""
        views = await self._tell_cars(message, world)
        specs = {spec.vin: spec for spec in world.cars}
        waiting = [(view, specs[view.vin]) for view in views]
        await self._until(
            lambda: all(self._shows(view, spec, before_us) for view, spec in waiting),
            IN_FORCE_S_MAX,
        )

    async def _tell_cars(self, message: Any, world: World) -> list[CarView]:
        try:
            views = await self.cars.tell(message)
        except CarsRefusedError as error:
            raise WorldError(str(error)) from error
        world.views.update({view.vin: view for view in views})
        return views

    def _shows(self, view: CarView, spec: CarSpec, since_us: int = 1) -> bool:
        """Whether apps see the car as it is."""
        state = self._counter.state.read(spec.token)  # type: ignore[arg-type]  # a token as text
        if view.network == DOWN:
            return not state.online
        if not state.online or (view.sample_time_us and not self._has(state, view, since_us)):
            return False
        vehicle = self._counter.registry.vehicle_by_token(spec.token)
        told = self._counter.signing_of(vehicle) if vehicle is not None else None
        return told is not None and _same(told, view)

    def _has(self, state: VehicleState, view: CarView, since_us: int) -> bool:
        """Whether the car's last sample is there. A time too far ahead is shown as received."""
        told = state.signals.get(MARK)
        ahead_us = self._counter.config.time.future_s_max * 1_000_000
        wanted_us = view.sample_time_us
        if view.clock_skew_s * 1e6 > ahead_us - _MARGIN_US:
            wanted_us = since_us
        return told is not None and told.time_us >= wanted_us

    async def _until(self, true: Callable[[], bool], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while not true():
            if loop.time() > end_s:
                raise NotInForceError(f"not in force after {seconds:g} s: is the machine busy?")
            await asyncio.sleep(_POLL_S)


def _at_start(spec: CarSpec, wanted: Wanted, place: int) -> CarSpec:
    """The same car at its start, as wanted."""
    return msgspec.structs.replace(
        spec,
        seed=wanted.seed + place,
        doing=wanted.doings[place],
        signed_commands=wanted.signed_commands,
    )


def _same(told: SigningState, view: CarView) -> bool:
    """Whether the registry has the car's keys as the car has them."""
    if told.signed_commands != view.signed_commands:
        return False
    if view.signed_commands == Signing.NONE:
        return True
    return {key.public_key for key in told.keys} == {key.public_key for key in view.keys}
