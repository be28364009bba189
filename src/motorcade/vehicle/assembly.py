"""Puts a car together from its `vehicle.json`: model, agent, link. Nothing runs yet."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np

from motorcade.clock import Clock
from motorcade.config import VehicleConfig
from motorcade.vehicle.agent import Agent, AgentParts
from motorcade.vehicle.disk import Disk
from motorcade.vehicle.errors import VehicleError
from motorcade.vehicle.fleet import Member
from motorcade.vehicle.link import Backoff, Link, Sleep, client_tls, dial_tcp
from motorcade.vehicle.link_mqtt import MqttLink
from motorcade.vehicle.link_telemetry import TelemetryLink
from motorcade.vehicle.model import PARK_S, Car, Habits
from motorcade.vehicle.mqtt_session import ClientSession
from motorcade.vehicle.pins import PinKeeper
from motorcade.vehicle.route import Route
from motorcade.vehicle.samples import JsonSampler, Sampler, TeslaSampler
from motorcade.vehicle.signed.car import CarMachine
from motorcade.vehicle.signed.keychain import Keychain
from motorcade.vehicle.signed.program import SignedProgram, Signing
from motorcade.vehicle.signed.receiver import Receiver
from motorcade.vehicle.signed.telemetry import TelemetryKeeper
from motorcade.vehicle.stations import Traced
from motorcade.vehicle.streaming import ConfiguredStream
from motorcade.vehicle.vehicle_file import Address, VehicleFile
from motorcade.wire.command.messages import KEYS_MAX

KEEP_ALIVE_S: Final = 30
_JITTER: Final = 1  # keeps the generators of a car apart


class LinkKind(StrEnum):
    """How a car talks to the cloud."""

    MQTT = "mqtt"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class World:
    """What all cars of a process share."""

    kind: LinkKind
    tls: bool  # of the MQTT link; telemetry always has it
    find: Callable[[str], Address]  # server name ("mqtt", "mqtts", "telemetry") to address
    clock: Clock
    config: VehicleConfig
    entropy: Callable[[int], bytes]
    sleep: Sleep = field(default=asyncio.sleep)
    traced: Traced | None = None  # hears of every command's road through its car


def assemble(
    vehicle: VehicleFile,
    world: World,
    *,
    seed: int,
    buffer_disk: Disk,
    journal_disk: Disk,
    tls: ssl.SSLContext | None = None,
    route: Route | None = None,
) -> Member:
    """One car. `tls` is a context that cars may share: MQTT needs no certificate of the car. None
    of `route`: it drives on made-up roads.

    Raises:
        OSError: its files cannot be read or written.
        VehicleError: a setting has no meaning.
    """
    sampler: Sampler = JsonSampler()
    if world.kind is LinkKind.TELEMETRY:
        sampler = TeslaSampler(vehicle.vin)
    start_unix_s = world.clock.now_us() / 1e6
    car = Car(seed, habits=habits_of(world.config), start_unix_s=start_unix_s, route=route)
    keychain = Keychain(journal_disk, entropy=world.entropy, keys_max=slots_of(world.config))
    pins = PinKeeper(
        journal_disk,
        car,
        tries_max=world.config.pin_tries_max,
        lock_s=world.config.pin_lock_s,
    )
    receiver = Receiver(vehicle.vin, keychain, CarMachine(car, pins), world.entropy)
    stream = ConfiguredStream(vehicle, world.config, world.clock, world.sleep, world.entropy, seed)
    telemetry = TelemetryKeeper(journal_disk, keychain, stream.configure)
    parts = AgentParts(
        vehicle,
        car,
        world.clock,
        buffer_disk,
        journal_disk,
        sampler,
        world.config,
        world.entropy,
        commanded=world.kind is not LinkKind.TELEMETRY,
        traced=world.traced,
        refuses=pins.judge,
        apply=pins.apply,
        program=SignedProgram(_signing(world.config), receiver, telemetry),
        also=stream.sample,
    )
    agent = Agent(parts)
    agent.damage += filter(None, [keychain.damage, telemetry.damage, pins.damage])
    backoff = Backoff(world.config, np.random.default_rng((seed, _JITTER)))
    return Member(agent, link_of(vehicle, world, agent, backoff, tls), stream)


def _signing(config: VehicleConfig) -> Signing:
    try:
        return Signing(config.signed_commands)
    except ValueError as error:
        words = ", ".join(Signing)
        raise VehicleError(f"vehicle.signed_commands={error}: write one of {words}") from error


def slots_of(config: VehicleConfig) -> int:
    """How many keys a car may hold. Raises `VehicleError` for what no key list can."""
    if not 1 <= config.signing_keys_max <= KEYS_MAX:
        raise VehicleError(
            f"vehicle.signing_keys_max={config.signing_keys_max}: a key list has 1 to {KEYS_MAX} "
            "slots; set one of these"
        )
    return config.signing_keys_max


def habits_of(config: VehicleConfig) -> Habits:
    """How the settings say that cars live."""
    least_s = min(PARK_S[0], config.park_s_max)
    return Habits((least_s, config.park_s_max), config.sleep_after_s, config.wake_s)


def link_of(
    vehicle: VehicleFile, world: World, agent: Agent, backoff: Backoff, tls: ssl.SSLContext | None
) -> Link:
    """What connects this agent. Raises `OSError` when its keys cannot be read."""
    config = world.config
    if world.kind is LinkKind.TELEMETRY:
        context = client_tls(vehicle, with_certificate=True)
        return TelemetryLink(
            agent.outbox,
            agent,
            vin=vehicle.vin,
            host="telemetry",
            dial=dial_tcp(lambda: world.find("telemetry"), context),
            sleep=world.sleep,
            clock=world.clock,
            backoff=backoff,
            inflight_max=config.inflight_max,
        )
    if world.tls and tls is None:
        tls = client_tls(vehicle, with_certificate=False)
    server = "mqtts" if world.tls else "mqtt"
    return MqttLink(
        ClientSession(vehicle.mqtt, inflight_max=config.inflight_max, keep_alive_s=KEEP_ALIVE_S),
        agent.outbox,
        agent,
        dial=dial_tcp(lambda: world.find(server), tls if world.tls else None),
        sleep=world.sleep,
        backoff=backoff,
    )
