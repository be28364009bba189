"""Carries to cars what their owners approved, and into the registry what cars say of their keys.

An approval or a telemetry configuration waits in the registry until its car is there, goes down as
a command like any other (signed, with an expiry, done once), and stays open until the car answered:
a car that was away for a week gets it when it is back. Whatever is carried twice is the same twice.
One task on the router's loop; the registry is read there and written in a thread.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

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
)
from motorcade.wire.command.errors import CommandCodecError
from motorcade.wire.command.messages import APPROVE_KEY, REMOVE_KEY, TELEMETRY_CONFIG, Keys

ACCOUNT: Final = "motorcade"  # whose commands these are: the platform's own
EXPIRES_S: Final = 30
UNDER_WAY_MAX: Final = 64  # cars that are being told something at once
REFUSED: Final = "refused"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Errand:
    """Something to tell a car, and what to do with its answer."""

    vehicle: VehicleToken
    name: str
    parameters: dict[str, object]
    end: Callable[[str], None]  # with the reason of a refusal, "" if it was done; blocks


class Courier:
    """Runs until cancelled."""

    def __init__(
        self,
        config: Config,
        registry: Registry,
        signing: Signing,
        commands: Commands,
        online: Callable[[VehicleToken], bool],
    ) -> None:
        self._config, self._registry, self._signing = config, registry, signing
        self._commands, self._online = commands, online
        self._told: dict[VehicleToken, SigningState] = {}  # not yet in the registry
        self._storing = asyncio.Lock()
        self._under_way: dict[VehicleToken, asyncio.Task[None]] = {}
        self._rest_until_s: dict[VehicleToken, float] = {}

    @property
    def holds(self) -> bool:
        """Whether something that cars told is not in the registry yet."""
        return bool(self._told) or self._storing.locked()

    def hear(self, vehicle: VehicleToken, keys: Keys) -> None:
        """A car told how it stands to signed commands."""
        paired = (PairedKey(k.slot, k.public_key, k.role, k.form_factor) for k in keys.keys)
        self._told[vehicle] = SigningState(keys.signed_commands, tuple(paired))

    async def run(self) -> None:
        """Look, carry and store, again and again."""
        try:
            while True:
                await asyncio.sleep(self._config.commands.courier_poll_ms / 1e3)
                try:
                    await self._store()
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

    def _send_out(self) -> None:
        """Begin with the oldest errand of every car that is there and has none under way."""
        now_s = asyncio.get_running_loop().time()
        for errand in self._due():
            vehicle = errand.vehicle
            if len(self._under_way) >= UNDER_WAY_MAX:
                return
            rests = self._rest_until_s.get(vehicle, 0.0) > now_s
            if vehicle in self._under_way or rests or not self._online(vehicle):
                continue
            self._rest_until_s.pop(vehicle, None)
            task = asyncio.ensure_future(self._carry(errand))
            self._under_way[vehicle] = task
            task.add_done_callback(partial(self._done, vehicle))

    def _done(self, vehicle: VehicleToken, task: asyncio.Task[None]) -> None:
        del self._under_way[vehicle]
        if not task.cancelled() and task.exception() is not None:
            _log.error("courier_errand_failed", vehicle=vehicle, exc_info=task.exception())
            self._rest(vehicle)

    def _due(self) -> Iterator[Errand]:
        """The oldest open approval of each car; then configurations."""
        seen = set()
        for request in self._signing.open_requests():
            if request.vehicle not in seen:
                seen.add(request.vehicle)
                yield self._about_key(request)
        for config in self._signing.unsynced():
            yield Errand(
                config.vehicle,
                TELEMETRY_CONFIG,
                {"version": config.version, "token": config.token},
                partial(self._signing.sync, config.vehicle, config.version),
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

    async def _carry(self, errand: Errand) -> None:
        view = await self._ask(errand.vehicle, errand.name, errand.parameters)
        if view is None or view.state not in (State.EXECUTED, State.REFUSED):
            self._rest(errand.vehicle)
            return
        try:
            await self._store()  # the car's list came before its answer: who waits sees both
            refusal = "" if view.state is State.EXECUTED else view.reason or REFUSED
            await asyncio.to_thread(errand.end, refusal)
        except RegistryUnavailableError as error:
            _log.warning("courier_registry_unavailable", error=str(error))
            self._rest(errand.vehicle)

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
