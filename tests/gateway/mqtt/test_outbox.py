"""Commands down: handed over once, again with DUP, never after expiry; what the router is told."""

import asyncio
import select
import socket
import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from msgspec import Raw

from motorcade.config import Config
from motorcade.events import Encoding, Record, RecordBatch, Topic, VehicleToken, partition_of
from motorcade.gateway.mqtt import rests
from motorcade.log.port import LogWriter
from motorcade.log.topics import Lane
from motorcade.wire.command.records import (
    DELIVERY_UNKNOWN,
    HANDED_OVER,
    MESSAGE,
    NO_MESSAGE,
    TRANSITION,
    UNDELIVERED,
    Down,
    Transition,
    write_record,
)
from motorcade.wire.mqtt.properties import Place, decode_properties
from motorcade.wire.mqtt.publish import Puback, Publish
from tests.gateway.mqtt.harness import OTHER, TOKEN, RunningDoor, eventually
from tests.gateway.mqtt.wire_client import Client

COMMANDS = f"v/{TOKEN}/commands"


class Router:
    """Writes topic COMMANDS, as the command router does from its own process."""

    def __init__(self, writer: LogWriter) -> None:
        self._writer = writer

    def request(self, command_id: str, expires_s: float = 60.0, token: str = TOKEN) -> None:
        expires_us = time.time_ns() // 1_000 + int(expires_s * 1e6)
        message = b'{"id": "%s"}' % command_id.encode()
        self.transition(command_id, "requested", token, expires_us, message)

    def transition(
        self, command_id: str, state: str, token: str = TOKEN, expires_us: int = 0, raw: bytes = b""
    ) -> None:
        message = Raw(raw) if raw else NO_MESSAGE
        payload = Transition(
            id=command_id, state=state, time_us=1, expires_time_us=expires_us, message=message
        )
        self._write(TRANSITION, command_id, write_record(payload), token)

    def down(self, message_id: str, raw: bytes, slot: str = "") -> None:
        expires_us = time.time_ns() // 1_000 + 60_000_000
        down = Down(id=message_id, expires_time_us=expires_us, message=Raw(raw), slot=slot)
        self._write(MESSAGE, message_id, write_record(down), TOKEN)

    def _write(self, name: bytes, stream: str, payload: bytes, token: str) -> None:
        now_us = time.time_ns() // 1_000
        record = Record(
            vehicle=VehicleToken(token),
            topic=Topic.COMMANDS,
            payload=payload,
            received_time_us=now_us,
            event_time_us=now_us,
            encoding=Encoding.COMMAND,
            name=name,
            stream=stream.encode(),
            partition=partition_of(token, 64),
        )
        self._writer.append(RecordBatch.of([record])).result(10)


@pytest.fixture
def router(door: RunningDoor) -> Iterator[Router]:
    writer = door.log.writer("api", Lane.FAST)
    yield Router(writer)
    writer.close()


def notices(door: RunningDoor) -> list[tuple[bytes, str]]:
    return [(each.name, each.stream.decode()) for each in door.records(Topic.COMMAND_ANSWERS)]


def wait_for_notices(door: RunningDoor, *expected: tuple[bytes, str]) -> None:
    asyncio.run(eventually(lambda: notices(door) == list(expected)))


def car(door: RunningDoor, *, resume: bool = False) -> Client:
    client = Client(door.port)
    client.connect(clean_start=not resume, session_expiry_s=600)
    return client


def test_a_command_goes_down_once_and_the_router_is_told(door: RunningDoor, router: Router) -> None:
    with car(door) as client:
        client.subscribe(COMMANDS)
        router.request("c1")
        message = client.take()
        assert (message.topic, message.payload, message.qos) == (COMMANDS, b'{"id": "c1"}', 1)
        content_type = decode_properties(message.properties, Place.PUBLISH).content_type
        assert content_type == Encoding.COMMAND.content_type
        assert not message.dup
        assert client.is_silent()
    wait_for_notices(door, (HANDED_OVER, "c1"))


def test_what_waits_is_handed_over_in_order_when_the_vehicle_comes(
    door: RunningDoor, router: Router
) -> None:
    router.request("c1")
    router.down("t1", b'{"type": "time"}')
    router.request("c2")
    router.request("other", token=OTHER)
    with car(door) as client:
        assert client.is_silent()
        client.subscribe(COMMANDS)
        payloads = [client.take().payload for _ in range(3)]
        assert payloads == [b'{"id": "c1"}', b'{"type": "time"}', b'{"id": "c2"}']
    wait_for_notices(door, (HANDED_OVER, "c1"), (HANDED_OVER, "c2"))


def test_without_puback_it_comes_again_with_dup_and_one_notice(
    door: RunningDoor, router: Router
) -> None:
    with car(door) as client:
        client.subscribe(COMMANDS)
        router.request("c1")
        first = client.expect(Publish)
    with car(door, resume=True) as client:
        again = client.expect(Publish)
        assert (again.dup, again.packet_id, again.payload) == (True, first.packet_id, first.payload)
        client.puback(again)
    with car(door, resume=True) as client:
        assert client.is_silent()
    wait_for_notices(door, (HANDED_OVER, "c1"))


def test_times_and_questions_of_dead_connections_do_not_stand_before_a_command(
    door: RunningDoor, router: Router
) -> None:
    """A car whose connections end before its PUBACKs arrive, with a small window."""

    def connected(*, resume: bool) -> Client:
        client = Client(door.port)
        client.connect(clean_start=not resume, session_expiry_s=600, receive_max=4)
        return client

    with connected(resume=False) as client:
        client.subscribe(COMMANDS)
    for number in range(6):
        with connected(resume=True) as client:
            router.down(f"t{number}", b'{"time": %d}' % number, "time")
            router.down(f"q{number}", b'{"query": %d}' % number, "query-0")
            latest = [client.expect(Publish).payload for _ in range(4 if number else 2)][-2:]
            assert latest == [b'{"time": %d}' % number, b'{"query": %d}' % number]
    router.request("c1")
    with connected(resume=True) as client:
        payloads = [client.expect(Publish).payload for _ in range(3)]
        assert payloads == [b'{"time": 5}', b'{"query": 5}', b'{"id": "c1"}']
        assert client.is_silent()


def test_a_clean_start_gets_what_the_old_session_did_not_acknowledge(
    door: RunningDoor, router: Router
) -> None:
    with car(door) as client:
        client.subscribe(COMMANDS)
        router.request("c1")
        client.expect(Publish)
    with car(door) as client:
        client.subscribe(COMMANDS)
        assert client.take().payload == b'{"id": "c1"}'
        assert client.is_silent()


def test_a_clean_session_gets_it_again_too(door: RunningDoor, router: Router) -> None:
    with Client(door.port) as client:
        client.connect()
        client.subscribe(COMMANDS)
        router.request("c1")
        client.expect(Publish)
    with Client(door.port) as client:
        client.connect()
        client.subscribe(COMMANDS)
        assert client.take().payload == b'{"id": "c1"}'
    wait_for_notices(door, (HANDED_OVER, "c1"))


def test_what_expires_undelivered_is_told_and_never_sent(door: RunningDoor, router: Router) -> None:
    router.request("c1", expires_s=0.2)
    wait_for_notices(door, (UNDELIVERED, "c1"))
    with car(door) as client:
        client.subscribe(COMMANDS)
        assert client.is_silent()


def test_an_expired_command_is_not_sent_again(door: RunningDoor, router: Router) -> None:
    with car(door) as client:
        client.subscribe(COMMANDS)
        router.request("c1", expires_s=0.5)
        client.expect(Publish)
        client.is_silent(0.6)
    with car(door, resume=True) as client:
        assert client.is_silent()
    assert notices(door) == [(HANDED_OVER, "c1")]


def test_an_answered_command_is_forgotten(door: RunningDoor, router: Router) -> None:
    router.request("c1")
    router.transition("c1", "expired")
    router.request("c2")
    with car(door) as client:
        client.subscribe(COMMANDS)
        assert client.take().payload == b'{"id": "c2"}'
        assert client.is_silent()


def test_a_new_process_cannot_know_what_the_old_one_did(tmp_path: Path) -> None:
    """Its predecessor may have written the PUBLISH before the notice was on disk."""
    with RunningDoor(tmp_path) as door:
        writer = door.log.writer("api", Lane.FAST)
        Router(writer).request("c1", expires_s=2)
        writer.close()
    with RunningDoor(tmp_path) as door:
        wait_for_notices(door, (DELIVERY_UNKNOWN, "c1"))


def test_a_new_process_delivers_what_is_left(tmp_path: Path) -> None:
    with RunningDoor(tmp_path) as door:
        writer = door.log.writer("api", Lane.FAST)
        Router(writer).request("c1")
        writer.close()
    with RunningDoor(tmp_path) as door, car(door) as client:
        client.subscribe(COMMANDS)
        assert client.take().payload == b'{"id": "c1"}'
        wait_for_notices(door, (HANDED_OVER, "c1"))


def test_commands_are_not_for_other_subscribers(door: RunningDoor, router: Router) -> None:
    with Client(door.port) as people, car(door) as client:
        people.connect("ops", "watcher")
        people.subscribe(f"v/{TOKEN}/commands", f"v/{TOKEN}/command_answers")
        client.subscribe(COMMANDS)
        router.request("c1")
        client.take()
        client.publish(f"v/{TOKEN}/command_answers", b"the car's own")
        assert people.take().payload == b"the car's own"


def test_in_a_rest_commands_go_out_and_the_cars_that_answer_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While telemetry streams: the command ends the rest, the answer is stored within one."""
    # However slow the machine: the car is awaited, and the notice waits for its answer. A commit of
    # its own that ended in the rest would be noticed after it.
    monkeypatch.setattr(rests, "ANSWER_S", 60.0)
    slow = ["gateway.turn_spacing_ms=60000", "commands.notice_wait_ms=60000"]
    config = Config().with_overrides(slow)
    told: list[str] = []
    resting, sent, streamed = threading.Event(), threading.Event(), threading.Event()

    def rest(_rest_s: float, urgent: Collection[int]) -> list[int]:
        if not told:
            told.append("rests")
            Router(writer).request("c1")
            return select.select(urgent, [], [], 10)[0]  # the doorbell
        if told == ["rests"] and len(urgent) == 2:
            told.append("car is awaited")
            resting.set()
            sent.wait(10)
            return select.select(urgent, [], [], 10)[0]
        if told == ["rests", "car is awaited"]:
            end_s = time.monotonic() + 10
            while b"done" not in [each.payload for each in door.records(Topic.COMMAND_ANSWERS)]:
                assert time.monotonic() < end_s, "what was heard in the rest is not stored in it"
                time.sleep(0.002)
            told.append("answer is stored")
        return []

    def stream() -> None:
        with Client(door.port) as other:
            other.connect(OTHER)
            while not streamed.is_set():
                other.publish(f"v/{OTHER}/telemetry", b"x", 1)
                other.expect(Puback)

    with RunningDoor(tmp_path, config) as door, car(door) as client:
        writer = door.log.writer("api", Lane.FAST)
        # The answer follows its PUBACK at once, or Nagle's algorithm has it wait for an ACK.
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.subscribe(COMMANDS)
        door.rest = rest
        streaming = threading.Thread(target=stream)
        streaming.start()
        assert client.take().payload == b'{"id": "c1"}'
        assert resting.wait(10)
        client.publish(f"v/{TOKEN}/command_answers", b"done", 1)
        sent.set()
        assert client.expect(Puback) == Puback(1)
        streamed.set()
        streaming.join()
        writer.close()
    assert told == ["rests", "car is awaited", "answer is stored"]
