"""`$SYS`: who is told, who is not, and that nobody can speak in its name."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from motorcade.config import Config
from motorcade.wire.mqtt.connect import Will
from motorcade.wire.mqtt.publish import Puback
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from tests.gateway.mqtt.guests import LEVELS, Guests
from tests.gateway.mqtt.harness import OPERATOR, RunningDoor
from tests.gateway.mqtt.wire_client import Client

V3, V5 = LEVELS
CONNECTED = "$SYS/broker/clients/connected"


@pytest.fixture
def guests(tmp_path: Path) -> Iterator[Guests]:
    config = Config().with_overrides(["mqtt.sys_interval_s=1"])
    with RunningDoor(tmp_path, config) as door, ExitStack() as stack:
        yield Guests(door, stack)


def operator(guests: Guests, client_id: str, level: object = V5) -> Client:
    client = guests.stranger(level)  # type: ignore[arg-type]
    client.connect(OPERATOR, client_id)
    return client


@pytest.mark.parametrize("level", LEVELS, ids=["3.1.1", "5"])
def test_an_operator_is_told_soon_and_again(guests: Guests, level: object) -> None:
    people = operator(guests, "people", level)
    people.subscribe("$SYS/#", qos=1)
    seen = {}
    while "$SYS/broker/bytes/received" not in seen:
        message = people.take()
        assert message.qos == 0
        seen[message.topic] = message.payload
    assert seen[CONNECTED] == seen["$SYS/broker/clients/total"] == b"1"
    assert seen["$SYS/broker/uptime"].endswith(b" seconds")
    assert seen["$SYS/broker/version"].startswith(b"motorcade version ")
    operator(guests, "more")
    while (message := people.take()).topic != CONNECTED or message.payload != b"2":
        pass


@pytest.mark.parametrize("level", LEVELS, ids=["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_sent_is_counted(guests: Guests, level: ProtocolLevel, qos: int) -> None:
    hearer, speaker = operator(guests, "hearer", level), operator(guests, "speaker", level)
    hearer.subscribe("news", qos=qos)
    for number in range(1, 4):
        speaker.publish("news", b"x", number)
        assert hearer.take().payload == b"x"
    assert guests.door.door.counts.sent == 3
    hearer.subscribe("$SYS/broker/messages/sent", "$SYS/broker/publish/messages/sent")
    first, second = hearer.take(), hearer.take()
    assert {
        first.topic.removeprefix("$SYS/broker/"),
        second.topic.removeprefix("$SYS/broker/"),
    } == {
        "messages/sent",
        "publish/messages/sent",
    }
    assert first.payload == second.payload == b"3"
    assert guests.door.door.counts.sent >= 5


def test_wildcards_at_the_first_level_do_not_see_it(guests: Guests) -> None:
    wide, narrow = operator(guests, "wide"), operator(guests, "narrow")
    wide.subscribe("#", "+/broker/#")
    narrow.subscribe(CONNECTED)
    assert narrow.take().topic == CONNECTED
    assert narrow.take().topic == CONNECTED
    assert wide.is_silent()


def test_vehicles_are_not_told(guests: Guests) -> None:
    car = guests.stranger()
    car.connect()
    assert car.subscribe("$SYS/#", "$SYS/broker/uptime") == (Reason.NOT_AUTHORIZED,) * 2


def test_nobody_speaks_in_its_name(guests: Guests) -> None:
    people = operator(guests, "liar")
    people.publish(CONNECTED, b"1000000", retain=True)
    assert people.expect(Puback).reason is Reason.NOT_AUTHORIZED
    stranger = guests.stranger()
    answer = stranger.connect(OPERATOR, "ghost", will=Will(CONNECTED, b"0", 1))
    assert answer.reason is Reason.NOT_AUTHORIZED
