"""Carries to cars what their owners approved, and into the registry what cars say of their keys.

An approval or a telemetry configuration waits in the registry until its car is there, goes down as
a command like any other (signed, with an expiry, done once), and stays open until the car answered:
a car that was away for a week gets it when it is back. Whatever is carried twice is the same twice.

One task on the router's loop, which it must not hold (P6): which cars something waits for is read
in a thread, once for each change of the registry; whether they are there is asked of live state
when a car came or went, of a few of them at a time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

import structlog

from motorcade.commands.errors import CommandError
from motorcade.commands.port import Commands, CommandView, Request
from motorcade.commands.states import State
from motorcade.config import Config
from motorcade.events import VehicleToken
from motorcade.registry.errors import RegistryUnavailableError
from motorcade.registry.port import Registry
from motorcade.registry.signing.port import (
    ADD_KEY,
    DONE,
    KeyRequest,
    PairedKey,
    Signing,
    SigningState,
    Waiting,
)
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import APPROVE_KEY, REMOVE_KEY, TELEMETRY_CONFIG, Keys

ACCOUNT: Final = "motorcade"  # whose commands these are: the platform's own
EXPIRES_S: Final = 30
UNDER_WAY_MAX: Final = 64  # cars that are being told something at once
LOOKS_MAX: Final = 256  # cars that live state is asked for at a poll: some 2 µs each
BREATH_S: Final = 0.01  # between two polls, however much there is to do
PAGE_ROWS: Final = 1_000  # read from the registry at a time: other readers wait about 1 ms
REST_PER_READ: Final = 10  # times what reading the list took, until it is read again
REFUSED: Final = "refused"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to tell a car, and what to do with its answer."""

    vehicle: VehicleToken
    name: str
    parameters: dict[str, object]
    end: Callable[[str], None]  # with the reason of a refusal, "" if it was done; blocks


class Presence(Protocol):
    """Which cars are there: see `LiveState`."""

    def online(self, token: VehicleToken) -> bool: ...

    def comings(self) -> int: ...


class Courier:
    """Runs until cancelled."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        signing: Signing,
        commands: Commands,
        presence: Presence,
    ) -> None:
        self._config, self._registry, self._signing = config, registry, signing
        self._commands, self._presence = commands, presence
        self._told: dict[VehicleToken, SigningState] = {}  # not yet in the registry
        self._news = asyncio.Event()  # a poll has something to do before its time
        self._storing = asyncio.Lock()
        self._under_way: dict[VehicleToken, asyncio.Task[None]] = {}
        self._rest_until_s: dict[VehicleToken, float] = {}
        self._waiting: list[VehicleToken] = []  # something waits for them
        self._next = 0  # of `_waiting`, to be looked at
        self._looks_left = 0  # until all of them were looked at since the last news
        self._changes = self._comings = -1
        self._read_again_s = 0.0

    @property
    def holds(self) -> bool:
        """Whether something that cars told is not in the registry yet."""
        return bool(self._told) or self._storing.locked()

    def hear(self, vehicle: VehicleToken, keys: Keys) -> None:
        """A car told how it stands to signed commands."""
        paired = (PairedKey(k.slot, k.public_key, k.role, k.form_factor) for k in keys.keys)
        self._told[vehicle] = SigningState(keys.signed_commands, tuple(paired))
        self._news.set()

    async def run(self) -> None:
        """Look, carry and store, again and again."""
        try:
            while True:
                await asyncio.sleep(BREATH_S)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._config.commands.courier_poll_ms / 1e3):
                        await self._news.wait()
                self._news.clear()
                try:
                    await self._store()
                    await self._look()
                    self._send_out()
                except RegistryUnavailableError as error:
                    _log.warning("courier_registry_unavailable", error=str(error))
        finally:
            for task in self._under_way.values():
                task.cancel()
            with contextlib.suppress(RegistryUnavailableError):
                await self._store()

    async def _store(self) -> None:
        """Have the registry hold what cars told since the last time: one transaction."""
        async with self._storing:
            told, self._told = self._told, {}
            if not told:
                return
            try:
                await asyncio.to_thread(self._write, told)
            except RegistryUnavailableError:
                self._told = {**told, **self._told}
                raise

    def _write(self, told: dict[VehicleToken, SigningState]) -> None:
        """Most cars say what they said the last time: nothing is written for them."""
        news = {}
        for token, state in told.items():
            vehicle = self._registry.vehicle_by_token(token)
            if vehicle is not None and self._signing.state_of(vehicle.id) != state:
                news[token] = state
        if news:
            self._signing.tell(news)

    async def _look(self) -> None:
        """Notice what is new: something may wait for a car, or a car that it waits for be there."""
        now_s = asyncio.get_running_loop().time()
        changes, comings = self._signing.changes(), self._presence.comings()
        if changes != self._changes and now_s >= self._read_again_s:
            self._waiting = await asyncio.to_thread(self._read_waiting)
            self._changes = changes
            ended_s = asyncio.get_running_loop().time()
            self._read_again_s = ended_s + REST_PER_READ * (ended_s - now_s)
            self._looks_left = len(self._waiting)
        rested = [car for car, until_s in self._rest_until_s.items() if until_s <= now_s]
        for car in rested:
            del self._rest_until_s[car]
        if rested or comings != self._comings:
            self._comings = comings
            self._looks_left = len(self._waiting)

    def _read_waiting(self) -> list[VehicleToken]:
        """Every car that something waits for, once; blocks."""
        cars: dict[VehicleToken, None] = {}
        for page_after in (self._signing.cars_with_requests, self._signing.cars_with_configs):
            cars.update(dict.fromkeys(row.vehicle for row in _rows(page_after)))
        return list(cars)

    def _send_out(self) -> None:
        """Set out to cars that are there, rest from nothing and are told nothing else."""
        for _ in range(min(self._looks_left, LOOKS_MAX)):
            if len(self._under_way) >= UNDER_WAY_MAX:
                return
            self._next = self._next % len(self._waiting)
            vehicle = self._waiting[self._next]
            self._next += 1
            self._looks_left -= 1
            busy = vehicle in self._under_way or vehicle in self._rest_until_s
            if busy or not self._presence.online(vehicle):
                continue
            task = asyncio.ensure_future(self._tell(vehicle))
            self._under_way[vehicle] = task
            task.add_done_callback(partial(self._done, vehicle))
        if self._looks_left:
            self._news.set()

    def _done(self, vehicle: VehicleToken, task: asyncio.Task[None]) -> None:
        del self._under_way[vehicle]
        if self._looks_left:  # which waited for a place among those under way
            self._news.set()
        if not task.cancelled() and task.exception() is not None:
            _log.error("courier_errand_failed", vehicle=vehicle, exc_info=task.exception())
            self._rest(vehicle)

    async def _tell(self, vehicle: VehicleToken) -> None:
        """Carry everything that waits for this car, one after the other, while it answers."""
        try:
            while errand := await asyncio.to_thread(self._errand, vehicle):
                if not await self._carry(errand):
                    self._rest(vehicle)
                    return
        except RegistryUnavailableError as error:
            _log.warning("courier_registry_unavailable", error=str(error))
            self._rest(vehicle)

    def _errand(self, vehicle: VehicleToken) -> Errand | None:
        """The car's oldest open approval, else its configuration if it has not got it; blocks."""
        known = self._registry.vehicle_by_token(vehicle)
        if known is None:  # removed since
            return None
        for request in self._signing.requests(known.id):
            return self._about_key(request)
        config = self._signing.config_of(known.id)
        if config is None or config.synced or config.refusal:
            return None
        return Errand(
            vehicle,
            TELEMETRY_CONFIG,
            {"version": config.version, "token": config.token},
            partial(self._signing.sync, vehicle, config.version),
        )

    def _about_key(self, request: KeyRequest) -> Errand:
        parameters: dict[str, object] = {"public_key": request.public_key}
        name = REMOVE_KEY
        if request.action == ADD_KEY:
            name = APPROVE_KEY
            parameters |= {"role": request.role, "form_factor": request.form_factor}

        def end(refusal: str) -> None:
            self._signing.end(request.id, refusal or DONE)

        return Errand(request.vehicle, name, parameters, end)

    async def _carry(self, errand: Errand) -> bool:
        """Whether the car answered, and the registry knows. Raises `RegistryUnavailableError`."""
        view = await self._ask(errand.vehicle, errand.name, errand.parameters)
        if view is None or view.state not in (State.EXECUTED, State.REFUSED):
            return False
        await self._store()  # the car's list came before its answer: who waits sees both
        refusal = "" if view.state is State.EXECUTED else view.reason or REFUSED
        await asyncio.to_thread(errand.end, refusal)
        return True

    async def _ask(
        self, vehicle: VehicleToken, name: str, parameters: dict[str, object]
    ) -> CommandView | None:
        """The command's end, as far as it is known; `None` when the router did not take it."""
        asked = Request(vehicle, name, parameters, ACCOUNT, expires_s=EXPIRES_S)
        try:
            view = await self._commands.submit(asked)
            return await self._commands.settle(view.id, EXPIRES_S + 5)
        except (CommandError, CommandCodecError) as error:
            _log.info("courier_command_refused", vehicle=vehicle, error=str(error))
            return None

    def _rest(self, vehicle: VehicleToken) -> None:
        """No answer: try again, but not at once."""
        rest_s = self._config.commands.courier_rest_s
        self._rest_until_s[vehicle] = asyncio.get_running_loop().time() + rest_s


def _rows(page_after: Callable[[int, int], list[Waiting]]) -> Iterator[Waiting]:
    """A list of the registry from end to end, page by page; blocks."""
    place = 0
    while page := page_after(place, PAGE_ROWS):
        yield from page
        place = page[-1].place
