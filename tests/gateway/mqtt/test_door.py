"""The door by the standard: who may come in, what is refused and how, and when an ack leaves."""

import asyncio
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.config import Config
from motorcade.events import Topic
from motorcade.gateway.mqtt.store import FILE_NAME
from motorcade.wire.mqtt.connect import Connack, Connect, Will
from motorcade.wire.mqtt.publish import Puback, Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, Pingreq, Pingresp
from tests.gateway.mqtt.harness import OPERATOR, OTHER, PASSWORD, TOKEN, RunningDoor
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"
LEVELS = pytest.mark.parametrize("level", ProtocolLevel)


@LEVELS
def test_a_vehicle_is_let_in_and_told_the_limits(door: RunningDoor, level: ProtocolLevel) -> None:
    with Client(door.port, level) as car:
        connack = car.connect()
    assert connack.reason is Reason.SUCCESS
    assert not connack.session_present
    if level is ProtocolLevel.V5:
        told = connack.properties
        assert (told.qos_max, told.retain_available) == (None, None)
        assert told.receive_max == door.config.mqtt.receive_max
        assert told.packet_bytes_max == door.config.mqtt.packet_bytes_max
        assert told.server_keep_alive_s == door.config.mqtt.keep_alive_s_max
        assert (told.shared_subscription_available, told.subscription_id_available) == (None, None)
        assert told.authentication_method is None


@pytest.mark.parametrize(
    ("username", "client_id", "password", "reason"),
    [
        (TOKEN, TOKEN, b"wrong", Reason.BAD_USER_NAME_OR_PASSWORD),
        ("nobody", "x", PASSWORD.encode(), Reason.BAD_USER_NAME_OR_PASSWORD),
        (TOKEN, TOKEN, None, Reason.BAD_USER_NAME_OR_PASSWORD),
        (TOKEN, OTHER, PASSWORD.encode(), Reason.CLIENT_IDENTIFIER_NOT_VALID),
    ],
)
def test_strangers_are_refused(
    door: RunningDoor, username: str, client_id: str, password: bytes | None, reason: Reason
) -> None:
    with Client(door.port) as car:
        assert car.connect(username, client_id, password).reason is reason
        assert car.receive() is None
    with Client(door.port, ProtocolLevel.V3_1_1) as car:
        old = {Reason.BAD_USER_NAME_OR_PASSWORD: Reason.NOT_AUTHORIZED}.get(reason, reason)
        assert car.connect(username, client_id, password).reason is old


def test_the_first_packet_is_connect_in_time(tmp_path: Path) -> None:
    config = replace(Config(), mqtt=replace(Config().mqtt, connect_s_max=0.5))
    with RunningDoor(tmp_path, config) as door:
        with Client(door.port) as car:
            car.send(Pingreq())
            assert car.receive() is None
        with Client(door.port) as car:
            assert car.receive() is None


def test_an_unknown_protocol_is_told_so(door: RunningDoor) -> None:
    with Client(door.port, ProtocolLevel.V3_1_1) as car:
        car.socket.sendall(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x00\x00\x00")
        assert car.expect(Connack).reason is Reason.UNSUPPORTED_PROTOCOL_VERSION


@LEVELS
def test_an_ack_waits_for_the_commit(door: RunningDoor, level: ProtocolLevel) -> None:
    """P1: breaks when the ack leaves at any other moment than the commit's."""
    with Client(door.port, level) as car:
        car.connect()
        door.writer.hold()
        car.publish(TELEMETRY, b"one", 7)
        assert door.writer.appended.wait(10)
        assert car.is_silent()
        door.writer.release()
        assert car.expect(Puback) == Puback(7)
    assert [record.payload for record in door.records(Topic.TELEMETRY)] == [b"one"]


@LEVELS
def test_a_failed_commit_closes_and_never_acks(door: RunningDoor, level: ProtocolLevel) -> None:
    """3.1.1: [MQTT-4.8.0-2]"""
    told = Reason.IMPLEMENTATION_SPECIFIC_ERROR if level is ProtocolLevel.V5 else None
    with Client(door.port, level) as car:
        car.connect()
        door.writer.hold()
        car.publish(TELEMETRY)
        assert door.writer.appended.wait(10)
        door.writer.fail()
        assert car.closed_with() is told
    with Client(door.port, level) as car:
        car.connect()
        car.publish(TELEMETRY)
        assert car.expect(Puback).reason is Reason.SUCCESS


def test_operators_are_acked_from_the_log_too(door: RunningDoor) -> None:
    with Client(door.port) as people:
        people.connect(OPERATOR, "tool")
        door.writer.hold()
        people.publish("any/where", b"hello", 3)
        assert door.writer.appended.wait(10)
        assert people.is_silent()
        door.writer.release()
        assert people.expect(Puback) == Puback(3)
    (record,) = door.records(Topic.MQTT)
    assert (record.name, record.payload, record.vehicle) == (b"any/where", b"hello", "")


def test_answers_to_commands_take_the_fast_lane(door: RunningDoor) -> None:
    """P6: they are acked although the bulk lane is stuck."""
    with Client(door.port) as car:
        car.connect()
        door.writer.hold()
        car.publish(TELEMETRY, b"bulk", 1)
        assert door.writer.appended.wait(10)
        car.publish(f"v/{TOKEN}/command_answers", b"{}", 2)
        assert car.expect(Puback) == Puback(2)
        door.writer.release()
        assert car.expect(Puback) == Puback(1)
    assert len(door.records(Topic.COMMAND_ANSWERS)) == 1


@pytest.mark.parametrize(
    "topic",
    [
        f"v/{OTHER}/telemetry",
        f"v/{TOKEN}/commands",
        f"v/{TOKEN}/connectivity",
        f"v/{TOKEN}/telemetry/one-level",
        f"v/{TOKEN}/nonsense",
        "elsewhere",
    ],
)
def test_a_vehicle_publishes_only_to_its_own_topics(door: RunningDoor, topic: str) -> None:
    with Client(door.port) as car:
        car.connect()
        car.publish(topic, b"x", 4)
        answer = car.expect(Puback)
        assert (answer.packet_id, answer.reason) == (4, Reason.NOT_AUTHORIZED)
        assert answer.properties.reason_string
    with Client(door.port, ProtocolLevel.V3_1_1) as car:
        car.connect()
        car.publish(topic, b"x", 4)
        assert car.receive() is None
    assert not door.records(Topic.TELEMETRY)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Publish(TELEMETRY, b"", 1, 1, properties=b"\x23\x00\x11"), Reason.TOPIC_ALIAS_INVALID),
        (Publish(TELEMETRY, b"x" * (1 << 20), 1, 1), Reason.PACKET_TOO_LARGE),
        (Publish(TELEMETRY, b"", 1, 1, properties=b"\x03\0\1\xff"), Reason.MALFORMED_PACKET),
        (Publish(TELEMETRY, b"", 1, 1, properties=b"\x08\0\1\xff"), Reason.MALFORMED_PACKET),
        (Publish(TELEMETRY, b"", 1, 1, properties=b"\x26\0\1\xff\0\1a"), Reason.MALFORMED_PACKET),
        (Publish(TELEMETRY, b"", 1, 1, properties=b"\x26\0\1a\0\1\0"), Reason.MALFORMED_PACKET),
    ],
)
def test_what_is_not_offered_is_refused_by_name(
    door: RunningDoor, message: Publish, reason: Reason
) -> None:
    with Client(door.port) as car:
        car.connect()
        car.send(message)
        assert car.closed_with() is reason


def test_more_in_flight_than_the_receive_maximum_ends_it(tmp_path: Path) -> None:
    config = replace(Config(), mqtt=replace(Config().mqtt, receive_max=3))
    with RunningDoor(tmp_path, config) as door, Client(door.port) as car:
        car.connect()
        door.writer.hold()
        for packet_id in range(1, 5):
            car.publish(TELEMETRY, b"x", packet_id)
        assert car.closed_with() is Reason.RECEIVE_MAXIMUM_EXCEEDED
        door.writer.release()


@pytest.mark.parametrize(
    "wire", [b"\x00\x00", b"\x36\x05\x00\x01a\x00\x01", b"\x32\xff\xff\xff\xff"]
)
def test_broken_bytes_end_that_connection_only(door: RunningDoor, wire: bytes) -> None:
    with Client(door.port) as good, Client(door.port) as bad:
        good.connect()
        bad.connect(OTHER)
        bad.socket.sendall(wire)
        assert bad.closed_with() is Reason.MALFORMED_PACKET
        good.publish(TELEMETRY)
        assert good.expect(Puback) == Puback(1)


def test_silence_beyond_the_keep_alive_ends_it(door: RunningDoor) -> None:
    with Client(door.port) as car:
        car.connect(keep_alive_s=1)
        car.send(Pingreq())
        car.expect(Pingresp)
        heard_s = time.monotonic()
        assert car.closed_with() is Reason.KEEP_ALIVE_TIMEOUT
        assert 1.4 < time.monotonic() - heard_s < 6


def test_a_client_is_held_to_the_keep_alive_it_was_told(tmp_path: Path) -> None:
    """[MQTT-3.1.2-21]: its own is 0, never."""
    config = replace(Config(), mqtt=replace(Config().mqtt, keep_alive_s_max=1))
    with RunningDoor(tmp_path, config) as door, Client(door.port) as car:
        assert car.connect(keep_alive_s=0).properties.server_keep_alive_s == 1
        assert car.closed_with() is Reason.KEEP_ALIVE_TIMEOUT


def test_no_goodbye_comes_before_connack(door: RunningDoor) -> None:
    """[MQTT-3.14.0-1]: a second connection takes over while the first waits for its CONNACK."""
    waiting, ready = threading.Event(), door.door._packets.ready
    go_on = asyncio.Event()

    async def never(session: object) -> None:
        waiting.set()
        await go_on.wait()

    with Client(door.port) as first, Client(door.port) as second:
        door.door._packets.ready = never  # type: ignore[method-assign]
        first.send(Connect(TOKEN, username=TOKEN, password=PASSWORD.encode()))
        assert waiting.wait(10)
        door.door._packets.ready = ready  # type: ignore[method-assign]
        assert second.connect().reason is Reason.SUCCESS
        door.loop.call_soon_threadsafe(go_on.set)
        assert first.receive() is None


@LEVELS
def test_a_will_is_published_unless_one_says_goodbye(
    door: RunningDoor, level: ProtocolLevel
) -> None:
    will = Will(f"v/{TOKEN}/diagnostics", b"lost", 1)
    with Client(door.port) as people:
        people.connect(OPERATOR, "watcher")
        people.subscribe(f"v/{TOKEN}/#")
        with Client(door.port, level) as car:
            car.connect(will=will)
            car.disconnect()
        with Client(door.port, level) as car:
            car.connect(will=will)
        message = people.take()
    assert (message.topic, message.payload) == (will.topic, b"lost")
    assert len(door.records(Topic.DIAGNOSTICS)) == 1


def test_a_vehicle_cannot_leave_a_will_elsewhere(door: RunningDoor) -> None:
    with Client(door.port) as car:
        refusal = car.connect(will=Will(f"v/{OTHER}/telemetry", b""))
    assert refusal.reason is Reason.NOT_AUTHORIZED


def test_a_second_connection_takes_over(door: RunningDoor) -> None:
    with Client(door.port) as old, Client(door.port) as new:
        old.connect()
        door.writer.hold()
        old.publish(TELEMETRY, b"pending", 1)
        assert door.writer.appended.wait(10)
        new.send(Connect(TOKEN, username=TOKEN, password=PASSWORD.encode()))
        assert new.is_silent()  # it waits for the old socket's commits
        door.writer.release()
        assert old.expect(Puback) == Puback(1)
        assert old.closed_with() is Reason.SESSION_TAKEN_OVER
        assert new.expect(Connack).reason is Reason.SUCCESS
        new.publish(TELEMETRY, b"after", 1)
        assert new.expect(Puback) == Puback(1)
    assert [each.payload for each in door.records(Topic.TELEMETRY)] == [b"pending", b"after"]
    assert door.presence.told[:3] == [
        ("connected", TOKEN),
        ("disconnected", TOKEN),
        ("connected", TOKEN),
    ]


def test_a_removed_vehicle_is_disconnected(door: RunningDoor) -> None:
    with Client(door.port) as car, Client(door.port) as other:
        car.connect()
        other.connect(OTHER)
        door.registry.remove("VIN0")
        assert car.closed_with() is Reason.ADMINISTRATIVE_ACTION
        other.send(Pingreq())
        other.expect(Pingresp)


def test_stopping_says_goodbye(tmp_path: Path) -> None:
    with RunningDoor(tmp_path) as door:
        car = Client(door.port)
        car.connect()
        car.publish(TELEMETRY)
        car.expect(Puback)
    assert car.closed_with() is Reason.SERVER_SHUTTING_DOWN
    car.socket.close()


def test_a_store_that_cannot_write_refuses_persistent_sessions_only(
    door: RunningDoor, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "mqtt" / FILE_NAME) as other:
        other.execute("DROP TABLE sessions")
    with Client(door.port) as car:
        refusal = car.connect(session_expiry_s=60)
        assert refusal.reason is Reason.SERVER_UNAVAILABLE
        assert car.receive() is None
    with Client(door.port) as car:
        assert car.connect(OTHER).reason is Reason.SUCCESS


def test_packets_behind_connect_wait_for_it(door: RunningDoor) -> None:
    """A client may send before CONNACK (§3.1)."""
    with Client(door.port) as car:
        car.send(Connect(TOKEN, username=TOKEN, password=PASSWORD.encode()))
        for packet_id in range(1, 50):
            car.publish(TELEMETRY, b"x" * 1_000, packet_id)
        car.expect(Connack)
        assert [car.expect(Puback).packet_id for _ in range(1, 50)] == list(range(1, 50))


def test_the_goodbye_of_a_client_is_not_answered(door: RunningDoor) -> None:
    with Client(door.port) as car:
        car.connect()
        car.send(Disconnect())
        assert car.receive() is None
