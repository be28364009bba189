"""MQTT over WebSocket: the same door behind frames, however they are cut, and what is refused."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.config import Config
from motorcade.events import Topic
from motorcade.gateway.mqtt.permissions import GUEST
from motorcade.wire.mqtt.connect import Connack, Connect
from motorcade.wire.mqtt.packets import encode_packet
from motorcade.wire.mqtt.properties import NO_PROPERTIES
from motorcade.wire.mqtt.publish import Puback, Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from motorcade.wire.websocket.frames import Opcode, encode_frame
from tests.gateway.mqtt.harness import OPERATOR, PASSWORD, TOKEN, RunningDoor
from tests.gateway.mqtt.web_client import MASK, OFFER, REQUEST, Framed, WebClient
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"


def publishes(first: int, count: int, size: int = 20) -> bytes:
    return b"".join(
        encode_packet(Publish(TELEMETRY, b"%0*d" % (size, number), 1, number), ProtocolLevel.V5)
        for number in range(first, first + count)
    )


def acks(client: Client, count: int) -> list[int]:
    return [client.expect(Puback).packet_id for _ in range(count)]


@pytest.mark.parametrize("level", [ProtocolLevel.V3_1_1, ProtocolLevel.V5])
def test_a_message_goes_in_and_out(door: RunningDoor, level: ProtocolLevel) -> None:
    with WebClient(door.ws_port, level) as car, Client(door.port, level) as people:
        assert car.answer.startswith(b"HTTP/1.1 101 ")
        assert b"Sec-WebSocket-Protocol: mqtt" in car.answer
        car.connect()
        people.connect(OPERATOR, "people")
        people.subscribe("v/#")
        car.publish(TELEMETRY, b"81.5")
        assert car.expect(Puback).reason is Reason.SUCCESS
        assert people.take().payload == b"81.5"
        assert [record.payload for record in door.records(Topic.TELEMETRY)] == [b"81.5"]


def test_packets_may_span_frames_and_frames_hold_many(door: RunningDoor) -> None:
    with WebClient(door.ws_port) as car:
        car.connect()
        wire = publishes(1, 40)
        for start in range(0, len(wire), 7):
            car.framed.sendall(wire[start : start + 7])
        assert acks(car, 40) == list(range(1, 41))
        car.framed.sendall(publishes(41, 400))
        assert acks(car, 400) == list(range(41, 441))
    assert len(door.records(Topic.TELEMETRY)) == 440


def test_one_message_of_the_websocket_may_be_many_frames_with_pings_between(
    door: RunningDoor,
) -> None:
    with WebClient(door.ws_port) as car:
        car.connect()
        wire = publishes(1, 3)
        parts = [wire[:10], wire[10:11], b"", wire[11:]]
        data = b""
        for index, part in enumerate(parts):
            opcode = Opcode.CONTINUATION if index else Opcode.BINARY
            frame = bytearray(encode_frame(opcode, part, MASK))
            frame[0] &= 0xFF if index == len(parts) - 1 else 0x7F
            data += bytes(frame) + encode_frame(Opcode.PING, b"%d" % index, MASK)
        for byte in data:  # each byte in a segment of its own, more or less
            car.raw.sendall(bytes((byte,)))
        assert acks(car, 3) == [1, 2, 3]
        assert (Opcode.PONG, b"3") in car.framed.controls


def test_a_packet_larger_than_a_read_comes_whole(door: RunningDoor) -> None:
    with WebClient(door.ws_port) as car:
        car.connect()
        wire = publishes(1, 3, 300_000)
        sender = threading.Thread(target=car.framed.sendall, args=(wire,))
        sender.start()
        assert acks(car, 3) == [1, 2, 3]
        sender.join()
    sizes = [len(record.payload) for record in door.records(Topic.TELEMETRY)]
    assert sizes == [300_000] * 3


def test_bytes_behind_the_request_and_behind_connect_are_taken(door: RunningDoor) -> None:
    connect = Connect(
        TOKEN, ProtocolLevel.V5, True, 0, TOKEN, PASSWORD.encode(), None, NO_PROPERTIES
    )
    with Client(door.ws_port) as plain:
        framed = Framed(plain.socket)
        first = encode_packet(connect, ProtocolLevel.V5) + publishes(1, 5)
        head = (REQUEST + OFFER + "\r\n").encode()
        plain.socket.sendall(head + encode_frame(Opcode.BINARY, first, MASK))
        while b"\r\n\r\n" not in framed.received:
            framed.received += plain.socket.recv(4_096)
        framed.received = framed.received.partition(b"\r\n\r\n")[2]
        plain.socket = framed  # type: ignore[assignment]
        assert plain.expect(Connack).reason is Reason.SUCCESS
        assert acks(plain, 5) == [1, 2, 3, 4, 5]


def test_our_goodbye_is_a_packet_then_a_close_frame(door: RunningDoor) -> None:
    with WebClient(door.ws_port) as car, Client(door.port) as again:
        car.connect()
        again.connect()
        assert car.closed_with() is Reason.SESSION_TAKEN_OVER
        assert car.framed.controls == [(Opcode.CLOSE, (1000).to_bytes(2, "big"))]


def test_a_close_frame_is_answered_and_ends_the_session_with_its_will(door: RunningDoor) -> None:
    with WebClient(door.ws_port) as car:
        car.connect()
        car.raw.sendall(encode_frame(Opcode.CLOSE, b"\x03\xe9bye", MASK))
        assert car.receive() is None
        assert car.framed.controls == [(Opcode.CLOSE, b"\x03\xe9")]


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (encode_frame(Opcode.TEXT, b"hello", MASK), 1003),  # [MQTT-6.0.0-1]
        (encode_frame(Opcode.CONTINUATION, b"hello", MASK), 1002),
        (encode_frame(Opcode.BINARY, b"not masked"), 1002),
        (encode_frame(Opcode.PING, b"", MASK) * 200, 1008),
    ],
    ids=["text", "continuation", "unmasked", "pings"],
)
def test_frames_that_may_not_come_end_the_connection(
    door: RunningDoor, frame: bytes, code: int
) -> None:
    with WebClient(door.ws_port) as bad, WebClient(door.ws_port) as good:
        bad.connect()
        good.connect(OPERATOR, "good")
        bad.raw.sendall(frame)
        assert bad.receive() is None
        opcode, payload = bad.framed.controls[-1]
        assert (opcode, int.from_bytes(payload[:2], "big")) == (Opcode.CLOSE, code)
        good.publish("any", b"x")
        assert acks(good, 1) == [1]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (REQUEST, b"400"),  # offers no subprotocol [MQTT-6.0.0-3]
        (REQUEST + "Sec-WebSocket-Protocol: mqttv3.1\r\n", b"400"),
        ("GET / HTTP/1.1\r\nHost: a\r\n", b"426"),
        ("nonsense\r\n", b"400"),
        ("GET / HTTP/1.1\r\nX: " + "y" * 9_000 + "\r\n", b"431"),
    ],
    ids=["no-offer", "other", "http", "nonsense", "long"],
)
def test_requests_that_open_no_mqtt_are_told_why(
    door: RunningDoor, headers: str, status: bytes
) -> None:
    with WebClient(door.ws_port, headers=headers) as client:
        assert client.answer.split()[1] == status


def test_who_asks_for_nothing_is_closed(tmp_path: Path) -> None:
    config = Config().with_overrides(["mqtt.connect_s_max=0.1"])
    with RunningDoor(tmp_path, config) as door, Client(door.ws_port) as silent:
        silent.socket.sendall(b"GET /mqtt HTTP/1.1\r\n")
        assert silent.receive() is None


# --- an open broker ------------------------------------------------------------------------------


@pytest.fixture
def open_door(tmp_path: Path) -> Iterator[RunningDoor]:
    with RunningDoor(tmp_path, guest=GUEST) as running:
        yield running


@pytest.mark.parametrize("origin", ["http://localhost:8080", "http://127.0.0.1", "http://[::1]:1"])
def test_an_open_broker_takes_pages_of_this_machine(open_door: RunningDoor, origin: str) -> None:
    headers = REQUEST + OFFER + f"Origin: {origin}\r\n"
    with WebClient(open_door.ws_port, headers=headers) as page:
        page.connect("anybody", "any-id", None)


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost.evil.example"]
)
def test_an_open_broker_takes_no_pages_of_others(open_door: RunningDoor, origin: str) -> None:
    headers = REQUEST + OFFER + f"Origin: {origin}\r\n"
    with WebClient(open_door.ws_port, headers=headers) as page:
        assert page.answer.split()[1] == b"403"


def test_a_door_with_accounts_leaves_origins_to_the_password(door: RunningDoor) -> None:
    headers = REQUEST + OFFER + "Origin: https://dashboard.example\r\n"
    with WebClient(door.ws_port, headers=headers) as page:
        page.connect(OPERATOR, "page")


def test_guests_use_any_topic_and_each_client_id_is_one_session(open_door: RunningDoor) -> None:
    with Client(open_door.port) as first, Client(open_door.port) as second:
        first.connect("", "one", None)
        first.subscribe("any/#")
        second.connect("whoever", "two", b"whatever")
        second.publish("any/topic", b"hello")
        assert first.take().payload == b"hello"
        with Client(open_door.port) as third:
            third.connect("", "one", None)
            assert first.closed_with() is Reason.SESSION_TAKEN_OVER


def test_accounts_keep_their_rights_at_an_open_broker(open_door: RunningDoor) -> None:
    with Client(open_door.port) as car:
        car.connect()
        assert car.subscribe("#") == (Reason.NOT_AUTHORIZED,)


def test_without_a_guest_nobody_comes_in_without_an_account(door: RunningDoor) -> None:
    with Client(door.port) as client:
        answer = client.connect("", "any", None)
        assert answer.reason is Reason.BAD_USER_NAME_OR_PASSWORD
        client.send(Disconnect())
