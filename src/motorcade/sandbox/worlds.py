"""Worlds: each an owner, an app that the owner lets in, and cars, apart from every other world.

A sandbox has a default world with the plain known names, and as many further ones as are asked for:
a test takes one and lets it go. Some are made ahead, so that taking one costs little; their cars
are connected and their time stands still.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import structlog

from motorcade.api.counter import Counter
from motorcade.identity.authority import Authority
from motorcade.identity.tokens import TokenAuthority
from motorcade.registry.people.port import CodeRequest, People
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
    Pace,
    Remove,
    Renew,
)
from motorcade.sandbox.faults import Faults
from motorcade.sandbox.lifetimes import WorldLifetimes
from motorcade.sandbox.machine import MARK, PARKED
from motorcade.sandbox.making import Maker, Wanted, World, at_start
from motorcade.sandbox.times import Issued, WorldTime
from motorcade.state.port import VehicleState
from motorcade.vehicle.signed.program import Signing

SPARES: Final = 2  # worlds made ahead, of each number of cars that was asked for
SHAPES_MAX: Final = 4  # numbers of cars of which there are spares; the last asked for are kept
SPARE_CARS_MAX: Final = 8  # larger worlds are made when they are asked for
CARS_MAX: Final = 100  # of one world
ONLINE_S_MAX: Final = 30.0
IN_FORCE_S_MAX: Final = 5.0
_POLL_S: Final = 0.002
_MARGIN_US: Final = 10_000_000

_log = structlog.get_logger()


class WorldError(Exception):
    """It cannot be; the text says why."""


class NotInForceError(Exception):
    """It was done, but the platform does not show it."""


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
        self._counter = counter
        self._people: People = counter.desk.people
        self.maker = Maker(counter, authority, data, redirect_uris or known.REDIRECT_URIS)
        self.cars = Cars(data)
        self.faults = Faults()
        self.issued = Issued()
        self.seed = 1
        tokens = IssuedTokens(counter.desk.tokens, self.issued, counter.clock.now_us)
        counter.desk.tokens = tokens  # type: ignore[assignment]
        good_s = counter.config.identity.app_token_s
        self.lifetimes = WorldLifetimes(counter.clock, self._time_of, self.issued, good_s)
        counter.lifetimes = self.lifetimes
        self._worlds: dict[str, World] = {}
        self._by_client: dict[str, World] = {}
        self._by_vin: dict[str, World] = {}
        self._spares: dict[int, list[World]] = {1: []}
        self._taken = asyncio.Event()
        self._making = asyncio.Lock()  # one at a time: they write to the same files
        self._count = 0  # of worlds
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

    def _time_of(self, client_id: str) -> WorldTime | None:
        world = self._by_client.get(client_id)
        return None if world is None else world.time

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
                await asyncio.to_thread(self.maker.register_again, world, wanted)
            self._counter.standing.look()  # open streams of what was granted before
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
            world = await asyncio.to_thread(self.maker.register, world_id, wanted, speed)
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

    async def _renew(self, world: World, wanted: Wanted) -> None:
        world.seed = wanted.seed
        world.cars = [at_start(spec, wanted, place) for place, spec in enumerate(world.cars)]
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
        self.lifetimes.look()

    def expire_tokens(self, world: World) -> None:
        """Every access token made until now is too old."""
        good_s = self._counter.config.identity.app_token_s
        world.time.pace(self._counter.clock.now_us(), None, float(good_s))
        self.lifetimes.look()

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


def _same(told: SigningState, view: CarView) -> bool:
    """Whether the registry has the car's keys as the car has them."""
    if told.signed_commands != view.signed_commands:
        return False
    if view.signed_commands == Signing.NONE:
        return True
    return {key.public_key for key in told.keys} == {key.public_key for key in view.keys}
