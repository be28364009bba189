"""Topic aliases, payload formats, and the texts that refusals carry (§3.3.2.3, §4.13)."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motorcade.config import Config
from motorcade.events import Topic
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import Puback, Publish, Pubrec
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from motorcade.wire.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.gateway.mqtt.harness import OPERATOR, TOKEN, RunningDoor
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"
ELSEWHERE = "elsewhere"


def props(**properties: Any) -> bytes:
    return encode_bare(Properties(**properties), Place.PUBLISH)


# --- aliases -------------------------------------------------------------------------------------


def test_a_client_may_name_its_topics(door: RunningDoor) -> None:
    with Client(door.port) as car:
        assert car.connect().properties.topic_alias_max == door.config.mqtt.topic_alias_max
        car.publish(TELEMETRY, b"1", 1, properties=props(topic_alias=3))
        car.publish("", b"2", 2, properties=props(topic_alias=3))
        car.publish(f"v/{TOKEN}/energy", b"3", 3, properties=props(topic_alias=3))
        car.publish("", b"4", 4, properties=props(topic_alias=3))
        for packet_id in range(1, 5):
            assert car.expect(Puback) == Puback(packet_id)
    assert [each.payload for each in door.records(Topic.TELEMETRY)] == [b"1", b"2"]
    assert [each.payload for each in door.records(Topic.ENERGY)] == [b"3", b"4"]
    assert not any(each.properties for each in door.records(Topic.TELEMETRY))


def test_names_end_with_their_connection(door: RunningDoor) -> None:
    with Client(door.port) as car:
        car.connect(session_expiry_s=60)
        car.publish(TELEMETRY, b"1", 1, properties=props(topic_alias=1))
        car.expect(Puback)
    with Client(door.port) as car:
        assert car.connect(clean_start=False, session_expiry_s=60).session_present
        car.publish("", b"2", 2, properties=props(topic_alias=1))
        assert car.closed_with() is Reason.PROTOCOL_ERROR


def test_who_was_told_no_maximum_may_name_nothing(tmp_path: Path) -> None:
    """[MQTT-3.2.2-18]"""
    config = replace(Config(), mqtt=replace(Config().mqtt, topic_alias_max=0))
    with RunningDoor(tmp_path, config) as door, Client(door.port) as car:
        assert car.connect().properties.topic_alias_max is None
        car.publish(TELEMETRY, b"1", 1, properties=props(topic_alias=1))
        assert car.closed_with() is Reason.TOPIC_ALIAS_INVALID


def test_we_name_topics_as_the_client_allows(door: RunningDoor) -> None:
    with Client(door.port) as people, Client(door.port) as car:
        people.connect(OPERATOR, "people", topic_alias_max=1)
        people.subscribe("v/#")
        car.connect()
        for number, word in enumerate(("telemetry", "energy", "telemetry", "energy"), 1):
            car.publish(f"v/{TOKEN}/{word}", b"x", number)
            car.expect(Puback)
        got = [people.take() for _ in range(4)]
    aliases = [decode_properties(each.properties, Place.PUBLISH).topic_alias for each in got]
    assert [each.topic for each in got] == [TELEMETRY, f"v/{TOKEN}/energy", "", got[1].topic]
    assert aliases == [1, None, 1, None]


# --- payload format ------------------------------------------------------------------------------


@pytest.mark.parametrize("qos", [1, 2])
def test_a_payload_that_is_not_what_it_says_is_refused(door: RunningDoor, qos: int) -> None:
    with Client(door.port) as car:
        car.connect()
        for payload, reason in (
            (b"plain", Reason.SUCCESS),
            ("Übung".encode(), Reason.SUCCESS),
            (b"\xff\xfe", Reason.PAYLOAD_FORMAT_INVALID),
        ):
            message = Publish(TELEMETRY, payload, qos, 5, properties=props(payload_format=1))
            car.send(message)
            answer = car.expect(Pubrec if qos == 2 else Puback)
            assert answer.reason is reason
            if qos == 2 and reason is Reason.SUCCESS:
                car.send(Disconnect())
                assert car.receive() is None
                car = Client(door.port)
                car.connect()
        car.socket.close()
    assert b"\xff\xfe" not in [each.payload for each in door.records(Topic.TELEMETRY)]


# --- texts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [None, 0])
def test_refusals_say_why_to_who_wants_to_know(door: RunningDoor, wanted: int | None) -> None:
    """[MQTT-3.1.2-29]"""
    with Client(door.port) as car:
        car.connect(request_problem_information=wanted)
        car.publish(ELSEWHERE)
        answers = [car.expect(Puback)]
        car.send(Publish(ELSEWHERE, b"x", 2, 2))
        answers.append(car.expect(Pubrec))
        car.send(Subscribe(1, (Subscription(ELSEWHERE),)))
        answers.append(car.expect(Suback))
        told = [bool(each.properties.reason_string) for each in answers]
        assert told == [wanted is None] * 3
        car.socket.sendall(b"\x36\x05\x00\x01a\x00\x01")
        goodbye = car.expect(Disconnect)
        assert "[MQTT-3.3.1-4]" in goodbye.properties.reason_string


def test_a_text_that_the_client_could_not_take_is_left_out(door: RunningDoor) -> None:
    """[MQTT-3.4.2-2]"""
    with Client(door.port) as car:
        car.connect(packet_bytes_max=20)
        car.publish(ELSEWHERE)
        assert car.expect(Puback) == Puback(1, Reason.NOT_AUTHORIZED)


def test_3_1_1_is_told_nothing(door: RunningDoor) -> None:
    with Client(door.port, ProtocolLevel.V3_1_1) as car:
        car.connect()
        assert car.subscribe(ELSEWHERE) == (Reason.UNSPECIFIED_ERROR,)


def test_strangers_are_told_too(door: RunningDoor) -> None:
    with Client(door.port) as car:
        assert replace(car.connect(password=b"wrong"), properties=Properties()).reason
    with Client(door.port) as car:
        assert car.connect(password=b"wrong").properties.reason_string
