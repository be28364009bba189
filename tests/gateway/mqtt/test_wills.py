"""Wills: delay, taking them away, the session's end, a crash, their properties (§3.1.2.5)."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from motorcade.events import Topic
from motorcade.wire.mqtt.connect import Will
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties
from motorcade.wire.mqtt.reasons import Reason
from motorcade.wire.mqtt.session import Disconnect
from tests.gateway.mqtt.harness import OPERATOR, TOKEN, RunningDoor, eventually
from tests.gateway.mqtt.wire_client import Client

STATE = f"v/{TOKEN}/diagnostics"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RunningDoor]:
    with RunningDoor(tmp_path / "first") as running:
        yield running


def left(door: RunningDoor) -> list[bytes]:
    return [record.payload for record in door.records(Topic.DIAGNOSTICS)]


def wait_for_will(door: RunningDoor, payload: bytes = b"lost") -> None:
    asyncio.run(eventually(lambda: left(door) == [payload]))


def lose(door: RunningDoor, delay_s: int, expiry_s: int = 60, **more: Any) -> None:
    """A car whose connection ends without goodbye."""
    will = Will(STATE, b"lost", 1, properties=Properties(will_delay_s=delay_s, **more))
    with Client(door.port) as car:
        assert car.connect(will=will, session_expiry_s=expiry_s).reason is Reason.SUCCESS


def gone(door: RunningDoor) -> None:
    asyncio.run(eventually(lambda: door.door.connections == 0))


def test_a_delayed_will_waits(door: RunningDoor) -> None:
    lose(door, 1)
    gone(door)
    assert not left(door)
    wait_for_will(door)


def test_who_comes_back_in_time_takes_it_away(door: RunningDoor) -> None:
    lose(door, 2)
    with Client(door.port) as car:
        assert car.connect(clean_start=False, session_expiry_s=60).session_present
        assert car.is_silent(3.5)
        car.disconnect()
    assert not left(door)


@pytest.mark.parametrize("end", ["clean start", "expiry"])
def test_the_end_of_the_session_ends_the_delay(door: RunningDoor, end: str) -> None:
    lose(door, 3_600, expiry_s=1 if end == "expiry" else 60)
    if end == "clean start":
        with Client(door.port) as car:
            assert not car.connect(clean_start=True).session_present
    wait_for_will(door)


def test_a_session_that_ends_with_its_connection_has_no_delay(door: RunningDoor) -> None:
    lose(door, 3_600, expiry_s=0)
    wait_for_will(door)


@pytest.mark.parametrize("connected", [True, False], ids=["connected", "waiting"])
def test_a_crash_loses_no_will(door: RunningDoor, tmp_path: Path, connected: bool) -> None:
    will = Will(STATE, b"lost", 1, properties=Properties(will_delay_s=1))
    with Client(door.port) as car:
        car.connect(will=will, session_expiry_s=60)
        if not connected:
            car.socket.close()
            gone(door)
            asyncio.run(eventually(lambda: all(each.will for each in door.door._store.load())))
        with door.crashed(tmp_path / "second") as after:
            wait_for_will(after)


def test_goodbye_and_goodbye_with_will(door: RunningDoor) -> None:
    will = Will(STATE, b"lost", 1)
    for reason in (Reason.SUCCESS, Reason.DISCONNECT_WITH_WILL):
        with Client(door.port) as car:
            car.connect(will=will)
            car.send(Disconnect(reason))
            assert car.receive() is None
    wait_for_will(door)


def test_a_goodbye_with_an_error_takes_no_will_back(door: RunningDoor) -> None:
    """[MQTT-3.1.2-8], [MQTT-3.1.2-10]: the code 0 alone does."""
    with Client(door.port) as car:
        car.connect(will=Will(STATE, b"lost", 1))
        car.send(Disconnect(Reason.RECEIVE_MAXIMUM_EXCEEDED))
        assert car.receive() is None
    wait_for_will(door)


def test_a_will_keeps_its_properties(door: RunningDoor) -> None:
    with Client(door.port) as people:
        people.connect(OPERATOR, "people")
        people.subscribe(STATE)
        user = (("a", "1"), ("b", "2"), ("a", "3"))
        lose(
            door,
            0,
            content_type="text/plain",
            response_topic="answer",
            correlation_data=b"7",
            message_expiry_s=60,
            payload_format=1,
            user=user,
        )
        got = decode_properties(people.take().properties, Place.PUBLISH)
    expected = Properties(1, 60, "text/plain", "answer", b"7", user=user)
    assert msgspec.structs.replace(got, message_expiry_s=60) == expected


def test_a_will_that_is_not_what_it_says_is_refused(door: RunningDoor) -> None:
    with Client(door.port) as car:
        will = Will(STATE, b"\xff", 1, properties=Properties(payload_format=1))
        refusal = car.connect(will=will)
    assert refusal.reason is Reason.PAYLOAD_FORMAT_INVALID
    assert refusal.properties.reason_string
