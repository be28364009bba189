"""The MQTT link against a server in memory, on simulated time: tunnels, refusals, silence."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import numpy as np
import pytest

from motorcade.config import VehicleConfig
from motorcade.events import Encoding, Topic
from motorcade.vehicle.agent import Agent
from motorcade.vehicle.disk import Disk, MemoryDisk
from motorcade.vehicle.link import Backoff
from motorcade.vehicle.link_mqtt import MqttLink
from motorcade.vehicle.mqtt_session import ClientSession
from motorcade.wire.command.messages import Answer, Hello
from motorcade.wire.mqtt.connect import Connack
from motorcade.wire.mqtt.properties import Properties
from motorcade.wire.mqtt.reasons import Reason
from motorcade.wire.mqtt.session import Disconnect
from tests.vehicle.cloud import (
    START_US,
    Received,
    Server,
    Time,
    agent_of,
    command,
    time_answer,
    vehicle_file,
)

CONFIG = VehicleConfig(inflight_max=10)


class Road:
    """One car, one server, one timeline."""

    def __init__(self, server: Server, disk: Disk | None = None) -> None:
        self.server = server
        self.time = Time()
        self.agent: Agent = agent_of(self.time.clock, buffer_disk=disk, config=CONFIG)
        session = ClientSession(vehicle_file().mqtt, inflight_max=10, keep_alive_s=30)
        self.link = MqttLink(
            session,
            self.agent.outbox,
            self.agent,
            dial=server.dial,
            sleep=self.time.sleep,
            backoff=Backoff(CONFIG, np.random.default_rng(1)),
        )

    async def drive(self, seconds: int) -> None:
        """A sample a second."""
        for _ in range(seconds):
            self.agent.sample()
            await self.time.pass_(1.0)


def play(scene: Callable[[Road], Awaitable[None]], server: Server | None = None) -> Road:
    """Run a scene with the link beside it."""

    async def run() -> Road:
        road = Road(server or Server())
        link = asyncio.ensure_future(road.link.run())
        try:
            await road.time.settle()
            await scene(road)
        finally:
            link.cancel()
            await asyncio.gather(link, return_exceptions=True)
            await road.time.settle()
        return road

    return asyncio.run(run())


def sequences(received: list[Received]) -> list[int]:
    return [one.identity[1] for one in received]


def test_records_go_up_with_what_makes_them_themselves() -> None:
    async def scene(road: Road) -> None:
        await road.drive(5)

    road = play(scene)
    received = road.server.telemetry()
    assert sequences(received) == [1, 2, 3, 4, 5]
    assert {one.identity[0] for one in received} == {road.agent.buffer.stream}
    assert {one.properties.content_type for one in received} == {"application/json"}
    assert {one.topic for one in received} == {f"v/{vehicle_file().token}/telemetry"}
    assert road.agent.buffer.backlog_records == 0
    assert road.server.disconnects == 1  # it says goodbye when it is stopped
    (connect,) = road.server.connects
    assert not connect.clean_start
    assert connect.properties.session_expiry_s


def test_after_a_tunnel_the_backlog_goes_up_in_order_and_once() -> None:
    async def scene(road: Road) -> None:
        await road.drive(20)
        road.server.acks = False  # these are on the way when the tunnel begins
        await road.drive(3)
        road.server.cut()
        await road.drive(200)
        assert not road.agent.online
        assert road.agent.buffer.backlog_records == 203
        road.server.reachable = road.server.acks = True
        await road.drive(60)

    road = play(scene)
    received = road.server.telemetry()
    assert list(dict.fromkeys(sequences(received))) == list(range(1, 284))
    assert sequences(received)[20:28] == [21, 22, 23, 21, 22, 23, 24, 25]
    # The 24th went out as the tunnel began and never arrived; the car cannot know.
    assert sequences([one for one in received if one.dup]) == [21, 22, 23, 24]
    assert road.agent.buffer.backlog_records == 0
    assert road.agent.buffer.dropped == 0


@pytest.mark.parametrize("cuts", range(3))
def test_a_link_that_breaks_all_the_time_loses_nothing(cuts: int) -> None:
    random = np.random.default_rng(cuts)

    async def scene(road: Road) -> None:
        for _ in range(60):
            road.server.reachable = True
            road.server.acks = bool(random.integers(0, 2))
            road.server.keeps_session = bool(random.integers(0, 2))
            await road.drive(int(random.integers(1, 10)))
            road.server.cut()
            road.server.unacked.clear()
            await road.time.pass_(float(random.uniform(0, 3)))
        road.server.reachable = road.server.acks = True
        await road.drive(60)

    road = play(scene)
    received = sequences(road.server.telemetry())
    first = list(dict.fromkeys(received))
    assert first == list(range(1, len(first) + 1))  # in order, once the repeats are gone
    assert road.agent.buffer.backlog_records == 0
    assert road.agent.counters.connects > 30


def test_the_backlog_of_an_earlier_run_goes_first() -> None:
    disk = MemoryDisk()

    async def scene(road: Road) -> None:
        await road.drive(2)

    async def run() -> list[Received]:
        earlier = agent_of(Time().clock, buffer_disk=disk)
        for _ in range(3):
            earlier.sample()
        road = Road(Server(), disk)
        link = asyncio.ensure_future(road.link.run())
        await scene(road)
        link.cancel()
        await asyncio.gather(link, return_exceptions=True)
        return road.server.telemetry()

    assert sequences(asyncio.run(run())) == [1, 2, 3, 4, 5]


def test_no_more_is_in_flight_than_the_server_takes() -> None:
    async def scene(road: Road) -> None:
        await road.drive(10)
        road.server.acks = False
        await road.drive(30)
        assert len(road.server.unacked) == 4
        road.server.acks = True
        road.server.acknowledge_all()
        await road.time.settle()
        assert len(road.server.telemetry()) == 40

    play(scene, Server(connack=Connack(properties=Properties(receive_max=4))))


def test_a_connection_begins_with_little_and_grows_with_the_acks() -> None:
    """A link that loses what is on the way after every few packets: all of it would be lost."""

    async def scene(road: Road) -> None:
        await road.drive(10)
        road.server.acks = False
        await road.drive(10)
        assert len(road.server.unacked) == 10
        passed = 0

        def cut_at_the_third(received: Received) -> None:
            nonlocal passed
            passed += not received.payload.startswith(b'{"type":"hello"')
            if passed == 3:
                road.server.cut()

        road.server.on_publish = cut_at_the_third
        road.server.acks = True
        road.server.cut()
        for _ in range(30):
            passed = 0
            road.server.unacked.clear()
            road.server.reachable = True
            await road.time.pass_(1.0)
        assert road.agent.buffer.backlog_records == 0

    play(scene)


def test_a_server_that_takes_less_than_before_gets_no_more_than_that() -> None:
    async def scene(road: Road) -> None:
        await road.drive(10)
        road.server.acks = False
        await road.drive(12)
        assert len(road.server.unacked) == 10
        road.server.cut()
        await road.drive(1)
        road.server.connack = Connack(properties=Properties(receive_max=3))
        road.server.reachable = True
        road.server.received.clear()
        road.server.unacked.clear()
        await road.time.pass_(20.0)
        flights = []
        for _ in range(5):
            flights.append(len(road.server.unacked))
            road.server.acknowledge_all()
            await road.time.settle()
        assert flights == [1, 2, 3, 3, 3]
        road.server.acks = True
        road.server.acknowledge_all()
        await road.time.settle()
        assert list(dict.fromkeys(sequences(road.server.telemetry()))) == list(range(11, 24))

    play(scene)


def test_a_cut_on_purpose_is_a_tunnel() -> None:
    async def scene(road: Road) -> None:
        await road.drive(3)
        road.link.cut()
        await road.drive(3)
        assert road.agent.counters.connects == 2
        assert "on purpose" in road.agent.counters.last_reason

    play(scene)


def test_a_command_comes_back_answered_before_the_backlog() -> None:
    async def scene(road: Road) -> None:
        def answer_hello(received: Received) -> None:
            if b"hello" in received.payload:
                nonce = road.server.answers()[-1].nonce  # type: ignore[union-attr]
                road.server.publish(time_answer(nonce, road.time.clock.now_us()), 1)

        road.server.on_publish = answer_hello
        road.server.cut()
        await road.drive(100)
        road.server.reachable = True
        await road.time.pass_(20.0)
        road.server.acks = False
        await road.drive(30)
        road.server.publish(command(1, now_us=road.time.clock.now_us()), 2)
        await road.time.settle()
        road.server.acks = True
        road.server.acknowledge_all()
        await road.time.settle()
        answers = road.server.answers()
        assert isinstance(answers[-1], Answer)
        assert answers[-1].state == "executed"
        kinds = [one.topic.rpartition("/")[2] for one in road.server.received]
        last = len(kinds) - 1 - kinds[::-1].index("command_answers")
        assert kinds[last + 1 :].count("telemetry") > 15  # the answer overtook what was waiting
        assert road.server.pubacks == [1, 2] or road.server.pubacks == [1, 1, 2]

    play(scene)


def test_each_connection_asks_for_the_time_anew() -> None:
    async def scene(road: Road) -> None:
        await road.drive(1)
        road.server.cut()
        road.server.reachable = True
        await road.drive(5)
        hellos = [one for one in road.server.answers() if isinstance(one, Hello)]
        assert len({one.nonce for one in hellos}) == 2

    play(scene)


def test_what_goes_up_again_does_not_grow_with_every_cut() -> None:
    """A link that is cut before the acks come: one command, delivered again in each connection."""

    async def scene(road: Road) -> None:
        def answer_hello(received: Received) -> None:
            if b"hello" in received.payload:
                nonce = road.server.answers()[-1].nonce  # type: ignore[union-attr]
                road.server.publish(time_answer(nonce, road.time.clock.now_us()), 1)

        road.server.on_publish = answer_hello
        await road.time.pass_(1.0)
        road.server.acks = False
        order = command(1, now_us=road.time.clock.now_us())
        for _ in range(20):
            road.server.received.clear()
            road.server.publish(order, 2)
            await road.time.settle()
            road.server.cut()
            road.server.reachable = True
            await road.time.pass_(1.0)
        road.server.acks = True
        road.server.acknowledge_all()
        await road.time.settle()
        assert [type(one) for one in road.server.answers()] == [Answer, Hello]
        assert road.agent.counters.executed == 1

    play(scene)


def test_tries_grow_apart_and_stay_bounded() -> None:
    tries: list[float] = []

    async def scene(road: Road) -> None:
        async def dial(_make: object) -> None:
            tries.append(road.time.clock.monotonic_s())
            raise ConnectionRefusedError("refused")

        road.server.dial = dial  # type: ignore[method-assign]
        road.link._dial = dial
        road.server.cut()
        await road.time.pass_(600.0)

    road = play(scene)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[0] <= CONFIG.reconnect_s_min * 2
    assert CONFIG.reconnect_s_max / 2 <= max(waits) <= CONFIG.reconnect_s_max
    assert waits[1] < waits[4] < waits[7]
    assert "refused" in road.agent.counters.last_reason


def test_a_refused_car_says_why_and_tries_again() -> None:
    async def scene(road: Road) -> None:
        await road.time.pass_(10.0)
        assert "NOT_AUTHORIZED" in road.agent.counters.last_reason
        assert len(road.server.connects) > 2
        road.server.connack = Connack()
        await road.time.pass_(30.0)
        assert road.agent.online

    play(scene, Server(connack=Connack(reason=Reason.NOT_AUTHORIZED)))


def test_a_server_that_stops_answering_is_left() -> None:
    async def scene(road: Road) -> None:
        await road.time.pass_(60.0)
        assert len(road.server.connects) == 1  # pings are answered
        road.server.answers_pings = False
        await road.time.pass_(60.0)
        assert len(road.server.connects) >= 2

    play(scene)


def test_a_server_that_never_welcomes_is_left() -> None:
    async def scene(road: Road) -> None:
        road.server.handle = lambda _packet: None  # type: ignore[method-assign]
        road.server.cut()
        road.server.reachable = True
        await road.time.pass_(15.0)
        assert "no welcome" in road.agent.counters.last_reason

    play(scene)


def test_a_goodbye_of_the_server_is_followed() -> None:
    async def scene(road: Road) -> None:
        road.server.send(Disconnect(Reason.SERVER_SHUTTING_DOWN))
        await road.time.pass_(5.0)
        assert "SERVER_SHUTTING_DOWN" in road.agent.counters.last_reason
        assert road.agent.online

    play(scene)


def test_what_the_server_refuses_for_good_does_not_block_the_rest() -> None:
    async def scene(road: Road) -> None:
        road.server.ack_reason = Reason.NOT_AUTHORIZED
        await road.drive(2)
        road.server.ack_reason = Reason.SUCCESS
        await road.drive(2)
        assert road.agent.buffer.backlog_records == 0
        assert road.agent.outbox.refused >= 2

    play(scene)


def test_what_the_server_refuses_for_now_is_sent_again() -> None:
    async def scene(road: Road) -> None:
        await road.drive(1)
        road.server.ack_reason = Reason.QUOTA_EXCEEDED
        await road.drive(2)
        assert "QUOTA_EXCEEDED" in road.agent.counters.last_reason
        road.server.ack_reason = Reason.SUCCESS
        await road.drive(40)
        assert sorted(set(sequences(road.server.telemetry()))) == list(range(1, 44))
        assert road.agent.buffer.backlog_records == 0
        assert road.agent.outbox.refused == 0

    play(scene)


def test_a_record_too_large_for_the_server_is_given_up_and_counted() -> None:
    async def scene(road: Road) -> None:
        await road.drive(1)
        road.agent.outbox.store(Topic.DIAGNOSTICS, Encoding.OPAQUE, b"x" * 10_000)
        await road.drive(1)
        assert road.agent.outbox.refused == 1
        assert sequences(road.server.telemetry()) == [1, 3]
        assert road.agent.buffer.backlog_records == 0

    play(scene, Server(connack=Connack(properties=Properties(packet_bytes_max=8_000))))


def test_noise_from_the_server_only_costs_the_connection() -> None:
    async def scene(road: Road) -> None:
        for noise in (b"\x00", b"\xff" * 10, b"\x20\x02\x05\x05", b"\x40\x00"):
            assert road.server.transport is not None
            road.server.transport.deliver(noise)
            await road.time.pass_(10.0)
            assert road.agent.online
        assert len(road.server.connects) == 5

    play(scene)


def test_two_runs_of_one_seed_are_the_same() -> None:
    async def scene(road: Road) -> None:
        await road.drive(30)
        road.server.cut()
        await road.drive(30)
        road.server.reachable = True
        await road.drive(30)

    first, second = play(scene), play(scene)
    assert START_US < first.time.clock.now_us() == second.time.clock.now_us()
    assert [one.payload for one in first.server.received] == [
        one.payload for one in second.server.received
    ]
