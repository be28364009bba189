"""A simulated car of the sandbox: the platform's own, in hands that may do anything to it.

Nothing here is a simulation of a fault: a car without a network has no connection, one with older
firmware has no signed commands, one that refuses says no where the command is judged.
"""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog

from motorcade.clock import Clock
from motorcade.config import VehicleConfig
from motorcade.sandbox.control import CarSpec, CarView, Change, Key, Refusal
from motorcade.sandbox.machine import (
    AWAKE,
    DOINGS,
    MarkedSampler,
    SandboxCar,
    SandboxProgram,
    SkewedClock,
)
from motorcade.vehicle import actions
from motorcade.vehicle.agent import Agent, AgentParts
from motorcade.vehicle.assembly import LinkKind, World, habits_of, link_of, slots_of
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.errors import VehicleError
from motorcade.vehicle.link import Backoff, Link
from motorcade.vehicle.model import BATTERY_J, Car
from motorcade.vehicle.pins import PinKeeper
from motorcade.vehicle.signed.car import CarMachine
from motorcade.vehicle.signed.keychain import Keychain, KeychainFullError
from motorcade.vehicle.signed.program import Signing
from motorcade.vehicle.signed.receiver import Receiver
from motorcade.vehicle.signed.roles import ROLE_NUMBERS
from motorcade.vehicle.signed.telemetry import TelemetryKeeper
from motorcade.vehicle.streaming import ConfiguredStream
from motorcade.vehicle.vehicle_file import Address, VehicleFile, public_key
from motorcade.wire.tesla_command.errors import InvalidPublicKeyError
from motorcade.wire.tesla_command.keys import read_public

UP: Final = "up"
DOWN: Final = "down"
ANY: Final = "*"
CLOUD_KEY: Final = 9  # KEY_FORM_FACTOR_CLOUD_KEY
SPEED_MAX: Final = 3_600.0  # an hour of a car's life costs some 0.1 s of a core
SKEW_S_MAX: Final = 86_400.0

_log = structlog.get_logger()


class _Machine(CarMachine):
    """What signed commands act upon; it refuses what the car was told to refuse."""

    def __init__(self, stall: "Stall") -> None:
        super().__init__(stall.car, stall.pins)
        self._stall = stall

    def refusal(self, name: str, parameters: Mapping[str, Any], *, asleep_too: bool) -> str:
        return self._stall.refusal(self._stall.car, name, parameters, asleep_too=asleep_too)

    def stand_in(self, car: Car, pins: PinKeeper) -> None:
        """Another car stands here now."""
        self._car, self._pins = car, pins


@dataclass(frozen=True, slots=True)
class Shared:
    """What all cars of the process share."""

    clock: Clock
    config: VehicleConfig
    entropy: Callable[[int], bytes]
    servers: Mapping[str, Address]


class Stall:
    """One car and its tasks."""

    def __init__(self, spec: CarSpec, shared: Shared, speed: float) -> None:
        self.spec = spec
        self._shared = shared
        self._clock = SkewedClock(shared.clock)
        self._network = UP
        self._refusals: list[Refusal] = []
        self.car = self._new_car(spec, speed)
        self.pins = self._new_pins()
        vehicle = _vehicle_file(spec, shared.servers)
        config, entropy = shared.config, shared.entropy
        disk = MemoryDisk()
        self._sampler = MarkedSampler()
        drawn = _Drawn(f"{spec.vin} {spec.seed}")  # clients pin a car's keys: the seed's, always
        self._keychain = Keychain(disk, entropy=drawn, keys_max=slots_of(config))
        self._machine = _Machine(self)
        receiver = Receiver(spec.vin, self._keychain, self._machine, entropy)
        sleep = asyncio.sleep
        self._stream = ConfiguredStream(
            vehicle, config, self._clock, sleep, entropy, seed=spec.seed
        )
        self._telemetry = TelemetryKeeper(disk, self._keychain, self._stream.configure)
        self._program = SandboxProgram(receiver, self._telemetry, self._clock)
        self.agent = Agent(
            AgentParts(
                vehicle,
                self.car,
                self._clock,
                MemoryDisk(),
                disk,
                self._sampler,
                config,
                entropy,
                refuses=self.refusal,
                apply=self.apply,
                program=self._program,
                also=self._stream.sample,
            )
        )
        world = World(LinkKind.MQTT, False, self._find, self._clock, config, entropy, sleep)
        self._backoff = Backoff(config, np.random.default_rng((spec.seed, 1)))
        self._link: Link = link_of(vehicle, world, self.agent, self._backoff, None)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._streaming: set[asyncio.Task[None]] = set()
        self._install(spec)

    # Its life.

    def start(self) -> None:
        """Connect and say how it is, until `stop`."""
        loop = asyncio.get_running_loop()
        self.agent.changed = partial(loop.call_soon, self.sample)
        self.agent.later = lambda seconds, do: loop.call_later(seconds, self._try, do)
        self._tasks["samples"] = asyncio.create_task(self._sample_for_ever())
        self._connect()

    async def stop(self) -> None:
        """Off the road."""
        tasks = [*self._tasks.values(), *self._streaming]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def sample(self) -> bool:
        """Live until now and say how it is; whether it did (a sleeping car is silent)."""
        before = self.agent.counters.samples
        self._try(self.agent.sample)
        return self.agent.counters.samples > before

    async def _sample_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._shared.config.sample_s)
            if self.car.speed:
                self.sample()

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except OSError as error:
            _log.error("car_failed", token=self.spec.token, error=str(error))

    def _connect(self) -> None:
        self._backoff.reset()
        self._tasks["link"] = asyncio.create_task(self._link.run())
        self._stream.attach(self._spawn)

    def _spawn(self, coroutine: Any) -> "asyncio.Task[None]":
        """A connection of the stream by configuration; none without a network."""
        task: asyncio.Task[None] = asyncio.create_task(coroutine)
        if self._network == DOWN:
            task.cancel()
        self._streaming.add(task)
        task.add_done_callback(self._streaming.discard)
        return task

    def _find(self, name: str) -> Address:
        return self._shared.servers[name]

    # What is done to it.

    def renew(self, spec: CarSpec, speed: float) -> None:
        """As at its start, its connection apart."""
        self.spec = spec
        self.car = self._new_car(spec, speed)
        self.agent.stand_in(self.car)
        self.pins = self._new_pins()
        self._machine.stand_in(self.car, self.pins)
        self._refusals = []
        self._clock.skew_s = 0.0
        self._sampler.restart()
        self._telemetry.forget()
        self._install(spec)
        self._set_network(UP)

    def _new_car(self, spec: CarSpec, speed: float) -> SandboxCar:
        start_unix_s = self._shared.clock.now_us() / 1e6
        car = SandboxCar(spec.seed, habits_of(self._shared.config), start_unix_s, speed)
        car.do(spec.doing)
        return car

    def _new_pins(self) -> PinKeeper:
        config = self._shared.config
        return PinKeeper(
            MemoryDisk(), self.car, tries_max=config.pin_tries_max, lock_s=config.pin_lock_s
        )

    def _install(self, spec: CarSpec) -> None:
        self._program.install(Signing(spec.signed_commands))
        wanted = {key.public_key for key in spec.keys}
        for entry in [*self._keychain]:
            if entry.public_key not in wanted:
                self._keychain.remove(bytes.fromhex(entry.public_key))
        for key in spec.keys:
            self._keychain.put(bytes.fromhex(key.public_key), key.role, CLOUD_KEY)
        self._telemetry.recheck()

    def pace(self, speed: float | None, skip_s: float, *, say: bool = True) -> None:
        """See `Pace`. `say`: how it is before."""
        if say:
            self.sample()
        if speed is not None:
            self.car.speed = speed
        if skip_s:
            self.car.skip(skip_s)

    def change(self, change: Change) -> None:
        """See `Change`. Raises `VehicleError`, having changed nothing."""
        _check(change)
        self.sample()
        self._change_keys(change)  # first: a full key list changes nothing
        if change.battery_percent is not None:
            self.car.energy_j = change.battery_percent / 100 * BATTERY_J
        if change.doing is not None:
            self.car.do(change.doing)
        if change.clock_skew_s is not None:
            self._clock.skew_s = change.clock_skew_s
            self._sampler.restart()
        if change.refuse is not None:
            self._refusals = list(change.refuse)
        if change.network is not None:
            self._set_network(change.network)

    def _change_keys(self, change: Change) -> None:
        if change.signed_commands is not None:
            self._program.install(Signing(change.signed_commands))
        if change.pair is not None:
            try:
                point = bytes.fromhex(change.pair.public_key)
                self._keychain.put(point, change.pair.role, CLOUD_KEY)
            except KeychainFullError as error:
                raise VehicleError(str(error)) from error
        if change.unpair is not None:
            for entry in [*self._keychain]:
                if change.unpair in (ANY, entry.public_key):
                    self._keychain.remove(bytes.fromhex(entry.public_key))
        self._telemetry.recheck()
        if change.signed_commands is not None or change.pair or change.unpair is not None:
            self.agent.report()

    def _set_network(self, network: str) -> None:
        if network == self._network:
            if network == UP:
                self.agent.report()
            return
        self._network = network
        if network == UP:
            self._connect()
            return
        # Cut first: no goodbye is said, as a car in a tunnel says none.
        self._link.cut()
        for task in (self._tasks["link"], *self._streaming):
            task.cancel()

    def refusal(
        self, car: Any, name: str, parameters: actions.Parameters, *, asleep_too: bool = False
    ) -> str:
        """Why it does not carry this out now: it was told to say no, or has its own reasons."""
        for number, refusal in enumerate(self._refusals):
            if refusal.command in (ANY, name):
                self._count_down(number, refusal)
                return refusal.reason
        return self.pins.judge(car, name, parameters, asleep_too=asleep_too)

    def apply(self, car: Any, name: str, parameters: actions.Parameters) -> None:
        """Carry it out."""
        self.pins.apply(car, name, parameters)

    def _count_down(self, number: int, refusal: Refusal) -> None:
        if refusal.times is None:
            return
        if refusal.times <= 1:
            del self._refusals[number]
        else:
            less = Refusal(refusal.command, refusal.reason, refusal.times - 1)
            self._refusals[number] = less

    def view(self, *, sampled: bool) -> CarView:
        """How it is."""
        return CarView(
            vin=self.spec.vin,
            doing=self.car.doing,
            network=self._network,
            signed_commands=self._program.signing.value,
            keys=[Key(entry.public_key, entry.role) for entry in self._keychain],
            battery_percent=round(self.car.soc * 100, 2),
            elapsed_s=self.car.elapsed_s,
            clock_skew_s=self._clock.skew_s,
            refusing=[refusal.command for refusal in self._refusals],
            sample_time_us=self._sampler.time_us if sampled else 0,
        )


class _Drawn:
    """Bytes that follow from a name, for a car's own keys."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._name} {self._count}".encode()).digest(size)


def _vehicle_file(spec: CarSpec, servers: Mapping[str, Address]) -> VehicleFile:
    return VehicleFile(
        vin=spec.vin,
        token=spec.token,
        mqtt=spec.mqtt,
        cert_file=Path(spec.cert_file),
        key_file=Path(spec.key_file),
        ca_file=Path(spec.ca_file),
        command_keys={name: public_key(text) for name, text in spec.command_keys.items()},
        servers=dict(servers),
    )


def _check(change: Change) -> None:
    """Raises `VehicleError` for what cannot be."""
    words = (
        ("doing", change.doing, (*DOINGS, AWAKE)),
        ("network", change.network, (UP, DOWN)),
        ("signed_commands", change.signed_commands, tuple(Signing)),
        ("role", change.pair and change.pair.role, tuple(ROLE_NUMBERS)),
    )
    for name, given, known in words:
        if given is not None and given not in known:
            raise VehicleError(f"{name}: {given!r}; write one of {', '.join(known)}")
    if change.battery_percent is not None and not 0 <= change.battery_percent <= 100:
        raise VehicleError("battery_percent: must be 0 to 100")
    if change.clock_skew_s is not None and abs(change.clock_skew_s) > SKEW_S_MAX:
        raise VehicleError(f"clock_skew_s: at most {SKEW_S_MAX:g} either way")
    if change.pair is not None:
        try:
            read_public(bytes.fromhex(change.pair.public_key))
        except (ValueError, InvalidPublicKeyError) as error:
            raise VehicleError(f"public_key: {error}") from error
