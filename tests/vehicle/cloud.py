"""The cloud as a car sees it: signed messages, an MQTT server in memory, time on a lead."""

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from motorcade.clock import SimulatedClock
from motorcade.config import VehicleConfig
from motorcade.events import VehicleToken, make_token
from motorcade.vehicle.agent import Agent, AgentParts
from motorcade.vehicle.disk import Disk, MemoryDisk
from motorcade.vehicle.model import Car
from motorcade.vehicle.samples import JsonSampler
from motorcade.vehicle.stations import Traced
from motorcade.vehicle.vehicle_file import MqttAccess, VehicleFile
from motorcade.wire.command.answers import read_up
from motorcade.wire.command.messages import (
    Answer,
    Command,
    Hello,
    Journal,
    Query,
    ServerTime,
    UpMessage,
)
from motorcade.wire.command.signing import sign
from motorcade.wire.mqtt.connect import Connack, Connect
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.packets import Packet, encode_packet, parse_packet
from motorcade.wire.mqtt.properties import NO_PROPERTIES, Place, Properties, decode_properties
from motorcade.wire.mqtt.publish import Puback, Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, Pingreq, Pingresp
from motorcade.wire.mqtt.subscribe import Suback, Subscribe

V5 = ProtocolLevel.V5
START_US = 1_700_000_000_000_000
TOKEN = make_token(b"a car for tests!")
VIN = "5YJ3E1EA7KF000001"
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KEY_ID = "key-1"


def vehicle_file(token: VehicleToken = TOKEN) -> VehicleFile:
    access = MqttAccess(token, token, "secret", f"v/{token}", f"v/{token}/commands")
    nowhere = Path("unused")
    keys = {KEY_ID: KEY.public_key()}
    return VehicleFile(VIN, token, access, nowhere, nowhere, nowhere, keys, {})


def counting_entropy(seed: int = 0) -> Callable[[int], bytes]:
    random = np.random.default_rng(seed)
    return lambda size: bytes(random.bytes(size))


def agent_of(
    clock: SimulatedClock,
    *,
    buffer_disk: Disk | None = None,
    journal_disk: Disk | None = None,
    config: VehicleConfig | None = None,
    executed: Callable[[Command, int], None] = lambda _command, _now_us: None,
    traced: Traced | None = None,
    seed: int = 1,
) -> Agent:
    return Agent(
        AgentParts(
            vehicle_file(),
            Car(seed),
            clock,
            buffer_disk or MemoryDisk(),
            journal_disk or MemoryDisk(),
            JsonSampler(),
            config or VehicleConfig(),
            counting_entropy(seed),
            executed=executed,
            traced=traced,
        )
    )


def command(
    number: int,
    name: str = "honk_horn",
    *,
    now_us: int = START_US,
    expires_s: float = 30.0,
    parameters: dict[str, Any] | None = None,
    counter: int | None = None,
    vehicle: str = TOKEN,
    key: Ed25519PrivateKey = KEY,
    wake: bool = False,
) -> bytes:
    """A signed command, number 1, 2, ..."""
    return sign(
        Command(
            id=f"command-{number}",
            vehicle=vehicle,
            name=name,
            parameters=parameters or {},
            counter=number if counter is None else counter,
            issued_time_us=now_us,
            expires_time_us=now_us + round(expires_s * 1e6),
            key_id=KEY_ID,
            wake=wake,
        ),
        key,
    )


def time_answer(nonce: str, now_us: int, key: Ed25519PrivateKey = KEY) -> bytes:
    return sign(ServerTime(vehicle=TOKEN, nonce=nonce, server_time_us=now_us, key_id=KEY_ID), key)


def query(*numbers: int, now_us: int = START_US) -> bytes:
    ids = [f"command-{number}" for number in numbers]
    return sign(Query(vehicle=TOKEN, ids=ids, server_time_us=now_us, key_id=KEY_ID), KEY)


@dataclass
class Conversation:
    """Talks to an agent without any link."""

    agent: Agent
    clock: SimulatedClock
    acknowledged: int = 0
    server_set_us: int = 0  # by so much the server's clock was set since the start

    def server_us(self) -> int:
        """The server's clock: it does not follow the car's."""
        return START_US + round(self.clock.monotonic_s() * 1e6) + self.server_set_us

    def connect(self) -> None:
        """Connect and tell the time."""
        self.agent.connected()
        for said in self.heard():
            if isinstance(said, Hello):
                self.tell(time_answer(said.nonce, self.clock.now_us()))

    def tell(self, payload: bytes) -> None:
        self.agent.message(payload, self._acknowledge)

    def heard(self) -> list[UpMessage]:
        """Answers since last time; telemetry is taken and confirmed too."""
        found = []
        while (outgoing := self.agent.outbox.next()) is not None:
            self.agent.outbox.done(outgoing)
            if outgoing.topic.word == "command_answers":
                found.append(read_up(outgoing.payload))
        return found

    def outcome(self, payload: bytes) -> tuple[str, str]:
        """Tell a command; return state and reason of the one answer."""
        self.tell(payload)
        (answer,) = self.answers()
        return answer.state, answer.reason

    def answers(self) -> list[Answer]:
        """Answers since last time; a car that doubts its time is told the server's first."""
        found: list[Answer] = []
        while heard := self.heard():
            for one in heard:
                if isinstance(one, Hello):
                    self.tell(time_answer(one.nonce, self.server_us()))
                else:
                    assert isinstance(one, Answer)
                    found.append(one)
        return found

    def states(self, *numbers: int) -> list[str]:
        self.tell(query(*numbers, now_us=self.clock.now_us()))
        (journal,) = self.heard()
        assert isinstance(journal, Journal)
        return [entry.state for entry in journal.entries]

    def _acknowledge(self) -> None:
        self.acknowledged += 1


class Time:
    """Simulated time for asyncio code that sleeps through `sleep` alone."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(START_US)
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        due_s = self.clock.monotonic_s() + seconds
        heapq.heappush(self._sleepers, (due_s, self._count, woken))
        await woken

    async def settle(self) -> None:
        """Let everything run that needs no time."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def pass_(self, seconds: float) -> None:
        """Let time pass, waking every sleeper when it is due."""
        end_s = self.clock.monotonic_s() + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end_s:
            due_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.clock.advance(max(due_s - self.clock.monotonic_s(), 0.0))
                woken.set_result(None)
                await self.settle()
        self.clock.advance(end_s - self.clock.monotonic_s())
        await self.settle()


@dataclass
class Received:
    """A PUBLISH as the server got it."""

    topic: str
    payload: bytes
    properties: Properties
    dup: bool

    @property
    def identity(self) -> tuple[str, int]:
        stream = self.properties.user_value("stream")
        sequence = self.properties.user_value("sequence")
        assert stream is not None
        assert sequence is not None
        return stream, int(sequence)


@dataclass
class Server:
    """An MQTT server for one car, in memory. Turn its knobs between steps."""

    reachable: bool = True
    acks: bool = True
    keeps_session: bool = True
    answers_pings: bool = True
    connack: Connack = field(default_factory=Connack)
    ack_reason: Reason = Reason.SUCCESS
    received: list[Received] = field(default_factory=list)
    connects: list[Connect] = field(default_factory=list)
    pubacks: list[int] = field(default_factory=list)
    unacked: list[int] = field(default_factory=list)
    on_publish: Callable[[Received], None] = lambda _received: None
    transport: "Transport | None" = None
    disconnects: int = 0

    async def dial(self, make: Callable[[], asyncio.Protocol]) -> None:
        if not self.reachable:
            raise ConnectionRefusedError("unreachable")
        protocol = make()
        self.transport = Transport(self, protocol)
        protocol.connection_made(self.transport)

    def send(self, packet: Packet) -> None:
        assert self.transport is not None
        self.transport.deliver(encode_packet(packet, V5))

    def publish(self, payload: bytes, packet_id: int) -> None:
        self.send(Publish(f"v/{TOKEN}/commands", payload, 1, packet_id))

    def cut(self) -> None:
        """The car enters a tunnel: the connection breaks and nobody can be reached."""
        self.reachable = False
        if self.transport is not None:
            self.transport.lose()

    def handle(self, packet: Packet) -> None:
        match packet:
            case Connect():
                self.connects.append(packet)
                present = self.keeps_session and len(self.connects) > 1
                refused = self.connack.reason is not Reason.SUCCESS
                answer = Connack(
                    present and not refused, self.connack.reason, self.connack.properties
                )
                self.send(answer)
            case Subscribe():
                self.send(Suback(packet.packet_id, (Reason.GRANTED_QOS_1,)))
            case Publish():
                properties = decode_properties(packet.properties, Place.PUBLISH)
                got = Received(packet.topic, packet.payload, properties, packet.dup)
                self.received.append(got)
                if packet.packet_id is not None:
                    self.unacked.append(packet.packet_id)
                if self.acks:
                    self.acknowledge_all()
                self.on_publish(got)
            case Puback():
                self.pubacks.append(packet.packet_id)
            case Pingreq():
                if self.answers_pings:
                    self.send(Pingresp())
            case Disconnect():
                self.disconnects += 1
            case _:
                raise AssertionError(f"unexpected {packet}")

    def acknowledge_all(self) -> None:
        while self.unacked:
            self.send(Puback(self.unacked.pop(0), self.ack_reason, NO_PROPERTIES))

    def telemetry(self) -> list[Received]:
        return [one for one in self.received if one.topic.endswith("/telemetry")]

    def answers(self) -> list[UpMessage]:
        return [read_up(one.payload) for one in self.received if one.topic.endswith("_answers")]


class Transport(asyncio.Transport):
    """Both ends of a connection; bytes arrive one loop turn later."""

    def __init__(self, server: Server, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._server = server
        self._protocol = protocol
        self._buffer = b""
        self._closed = False

    def write(self, data: Any) -> None:
        if not self._closed:
            asyncio.get_running_loop().call_soon(self._arrive, bytes(data))

    def deliver(self, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._deliver, data)

    def lose(self) -> None:
        """The connection breaks: bytes on the way are lost in both directions."""
        if not self._closed:
            self._closed = True
            asyncio.get_running_loop().call_soon(
                self._protocol.connection_lost, ConnectionResetError("lost")
            )

    def abort(self) -> None:
        self.lose()

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self.lose)

    def is_closing(self) -> bool:
        return self._closed

    def _deliver(self, data: bytes) -> None:
        if not self._closed:
            self._protocol.data_received(data)

    def _arrive(self, data: bytes) -> None:
        if self._closed:
            return
        self._buffer += data
        while (raw := split_packet(memoryview(self._buffer), packet_bytes_max=1 << 20)) is not None:
            self._buffer = self._buffer[raw.size :]
            self._server.handle(parse_packet(raw, V5, from_client=True))
