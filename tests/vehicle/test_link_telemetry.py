"""The Fleet Telemetry link against somebody else's WebSocket server, on simulated time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import websockets
from tesla_protocol.telemetry import vehicle_data_pb2 as tesla
from websockets.asyncio.server import ServerConnection, serve

from motorcade.config import VehicleConfig
from motorcade.vehicle.agent import Agent, AgentParts
from motorcade.vehicle.disk import MemoryDisk
from motorcade.vehicle.link import Backoff, dial_tcp
from motorcade.vehicle.link_telemetry import RESEND_S, TelemetryLink
from motorcade.vehicle.model import Car
from motorcade.vehicle.samples import TeslaSampler
from motorcade.vehicle.vehicle_file import Address
from motorcade.wire.tesla_telemetry.envelope import (
    INCORRECT_FORMAT,
    RATE_LIMITED,
    Envelope,
    encode_ack,
    encode_error,
    parse_envelope,
)
from tests.vehicle.cloud import VIN, Time, counting_entropy, vehicle_file

CONFIG = VehicleConfig(inflight_max=5)
Answer = Callable[[Envelope], bytes | None]


def acked(envelope: Envelope) -> bytes | None:
    return encode_ack(envelope.txid, envelope.topic)


class Road:
    """One car, one telemetry server on loopback."""

    def __init__(self) -> None:
        self.time = Time()
        self.answer: Answer = acked
        self.received: list[Envelope] = []
        self.arrived = asyncio.Condition()
        self.connections: list[ServerConnection] = []
        self.agent = Agent(
            AgentParts(
                vehicle_file(),
                Car(1),
                self.time.clock,
                MemoryDisk(),
                MemoryDisk(),
                TeslaSampler(VIN),
                CONFIG,
                counting_entropy(),
                commanded=False,
            )
        )

    async def serve(self, connection: ServerConnection) -> None:
        self.connections.append(connection)
        try:
            async for message in connection:
                assert isinstance(message, bytes)
                envelope = parse_envelope(message)
                self.received.append(envelope)
                answer = self.answer(envelope)
                if answer is not None:
                    await connection.send(answer)
                async with self.arrived:
                    self.arrived.notify_all()
        except websockets.ConnectionClosed:
            pass

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for the network; no simulated time passes."""
        for _ in range(2_000):
            if reached():
                return
            await asyncio.sleep(0.002)
        raise AssertionError(f"never: {self.received!r}")

    def sample(self, count: int) -> None:
        for _ in range(count):
            self.time.clock.advance(1.0)
            self.agent.sample()

    @property
    def left(self) -> int:
        return self.agent.buffer.backlog_records


def play(scene: Callable[[Road], Awaitable[Any]]) -> Road:
    async def run() -> Road:
        road = Road()
        async with serve(road.serve, "127.0.0.1", 0, compression=None) as server:
            host, port = server.sockets[0].getsockname()[:2]
            link = TelemetryLink(
                road.agent.outbox,
                road.agent,
                vin=VIN,
                host="localhost",
                dial=dial_tcp(lambda: Address(host, port), None),
                sleep=road.time.sleep,
                clock=road.time.clock,
                backoff=Backoff(CONFIG, np.random.default_rng(1)),
                inflight_max=CONFIG.inflight_max,
            )
            task = asyncio.ensure_future(link.run())
            try:
                await road.until(lambda: road.agent.online)
                await scene(road)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        return road

    return asyncio.run(run())


def test_records_go_up_as_teslas_do_and_acks_empty_the_buffer() -> None:
    async def scene(road: Road) -> None:
        road.sample(12)
        await road.until(lambda: road.left == 0)

    road = play(scene)
    assert len(road.received) == 12
    assert {envelope.topic for envelope in road.received} == {b"V"}
    assert len({envelope.txid for envelope in road.received}) == 12
    stream = road.received[0].stream
    assert stream is not None
    assert stream.sender_id == b"vehicle_device." + VIN.encode()
    payload = tesla.Payload.FromString(stream.payload)
    assert payload.created_at.seconds == stream.created_at_s
    assert road.agent.outbox.refused == 0  # no hellos: there are no commands on this road


def test_no_more_is_in_flight_than_agreed() -> None:
    async def scene(road: Road) -> None:
        road.answer = lambda _envelope: None
        road.sample(12)
        await road.until(lambda: len(road.received) == 5)
        await asyncio.sleep(0.05)
        assert len(road.received) == 5

    play(scene)


def test_what_is_not_acked_goes_again_the_same() -> None:
    async def scene(road: Road) -> None:
        road.answer = lambda _envelope: None
        road.sample(2)
        await road.until(lambda: len(road.received) == 2)
        road.answer = acked
        await road.time.pass_(RESEND_S + 20.0)
        await road.until(lambda: road.left == 0)
        assert road.received[2:4] == road.received[:2]

    play(scene)


def test_what_a_cut_connection_held_goes_again_in_order() -> None:
    async def scene(road: Road) -> None:
        road.answer = lambda _envelope: None
        road.sample(3)
        await road.until(lambda: len(road.received) == 3)
        road.answer = acked
        road.connections[0].transport.abort()
        await road.until(lambda: not road.agent.online)
        road.sample(3)
        await road.time.pass_(5.0)
        await road.until(lambda: road.left == 0)
        assert road.received[3:6] == road.received[:3]
        assert len(road.received) == 9

    play(scene)


def test_a_record_refused_for_its_format_is_given_up() -> None:
    async def scene(road: Road) -> None:
        road.answer = lambda envelope: encode_error(envelope.txid, INCORRECT_FORMAT)
        road.sample(1)
        await road.until(lambda: road.left == 0)
        assert road.agent.outbox.refused == 1

    play(scene)


def test_a_record_over_the_rate_limit_comes_later() -> None:
    async def scene(road: Road) -> None:
        road.answer = lambda envelope: encode_error(envelope.txid, RATE_LIMITED)
        road.sample(1)
        await road.until(lambda: len(road.received) == 1)
        road.answer = acked
        await road.time.pass_(RESEND_S + 20.0)
        await road.until(lambda: road.left == 0)
        assert road.agent.outbox.refused == 0

    play(scene)


def test_noise_and_a_close_only_cost_the_connection() -> None:
    async def scene(road: Road) -> None:
        await road.connections[-1].send(b"no flatbuffer at all")
        await road.until(lambda: not road.agent.online)
        await road.time.pass_(5.0)
        await road.until(lambda: road.agent.online)
        await road.connections[-1].close(1001, "going away")
        await road.until(lambda: not road.agent.online)
        assert "1001" in road.agent.counters.last_reason
        await road.time.pass_(5.0)
        await road.until(lambda: road.agent.online)

    play(scene)
