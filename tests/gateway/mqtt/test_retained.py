"""Retained messages and subscription options (§3.3.1.3, §3.8.3.1, §3.3.4)."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from motorcade.config import Config
from motorcade.wire.mqtt.connect import Will
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import Puback, Publish, Pubrec
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.subscribe import Suback, Subscribe, Subscription
from tests.gateway.mqtt.harness import DENIED, OPERATOR, OTHER, TOKEN, RunningDoor, eventually
from tests.gateway.mqtt.wire_client import Client

LEVELS = pytest.mark.parametrize("level", ProtocolLevel)
STATE = f"v/{TOKEN}/diagnostics"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RunningDoor]:
    with RunningDoor(tmp_path / "first") as running:
        yield running


@pytest.fixture
def people(door: RunningDoor) -> Iterator[Client]:
    with Client(door.port) as client:
        client.connect(OPERATOR, "people")
        yield client


def keep(
    client: Client, topic: str, payload: bytes = b"kept", qos: int = 1, **properties: Any
) -> None:
    encoded = encode_bare(Properties(**properties), Place.PUBLISH) if properties else b""
    packet_id = 9 if qos else None
    client.send(Publish(topic, payload, qos, packet_id, True, False, encoded))
    if qos:
        assert client.expect(Pubrec if qos == 2 else Puback).reason is Reason.SUCCESS


def got(client: Client, count: int) -> list[tuple[str, bytes, bool]]:
    messages = [client.take() for _ in range(count)]
    assert client.is_silent(0.1)
    return [(each.topic, each.payload, each.retain) for each in messages]


@LEVELS
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_who_subscribes_later_is_told_the_last_one(
    door: RunningDoor, level: ProtocolLevel, qos: int
) -> None:
    with Client(door.port, level) as car, Client(door.port, level) as people:
        car.connect()
        keep(car, STATE, b"old", qos)
        keep(car, STATE, b"new", 1)
        people.connect(OPERATOR, "late")
        people.subscribe("v/+/diagnostics")
        assert got(people, 1) == [(STATE, b"new", True)]
        keep(car, STATE, b"newer")  # to whom is there it is a message like any other
        assert got(people, 1) == [(STATE, b"newer", False)]


def test_filters_find_what_they_match(people: Client, door: RunningDoor) -> None:
    for topic in ("a", "a/b", "a/b/c", "b", "$x/a"):
        keep(people, topic)
    wanted = {
        "#": {"a", "a/b", "a/b/c", "b"},
        "a/#": {"a", "a/b", "a/b/c"},
        "+": {"a", "b"},
        "a/+": {"a/b"},
        "+/b/c": {"a/b/c"},
        "$x/#": {"$x/a"},
        "c": set(),
    }
    for number, (topic_filter, topics) in enumerate(wanted.items()):
        with Client(door.port) as late:
            late.connect(OPERATOR, f"late-{number}")
            late.subscribe(topic_filter)
            assert {topic for topic, _, _ in got(late, len(topics))} == topics


def test_an_empty_payload_removes(people: Client) -> None:
    keep(people, "a")
    keep(people, "a", b"")
    people.subscribe("a")
    assert people.is_silent()
    keep(people, "a", b"")  # and is delivered like any other
    assert got(people, 1) == [("a", b"", False)]


def test_retain_handling(people: Client) -> None:
    keep(people, "a")
    people.subscribe("a", retain_handling=2)
    assert people.is_silent(0.1)
    people.subscribe("a", retain_handling=1)  # not new
    assert people.is_silent(0.1)
    people.subscribe("a", retain_handling=0)
    assert got(people, 1) == [("a", b"kept", True)]
    people.subscribe("+", retain_handling=1)
    assert got(people, 1) == [("a", b"kept", True)]


def test_retain_as_published(people: Client) -> None:
    people.subscribe("a", retain_as_published=True)
    keep(people, "a")
    assert got(people, 1) == [("a", b"kept", True)]
    people.publish("a", b"plain", None)
    assert got(people, 1) == [("a", b"plain", False)]


def test_message_expiry_counts_on_and_ends(people: Client) -> None:
    keep(people, "a", message_expiry_s=60)
    keep(people, "b", message_expiry_s=1)
    people.subscribe("a")
    properties = decode_properties(people.take().properties, Place.PUBLISH)
    assert properties.message_expiry_s in range(55, 61)

    people.is_silent(1.2)
    people.subscribe("b")
    assert people.is_silent(0.1)


def test_denied_topics_and_other_vehicles_stay_hidden(door: RunningDoor, people: Client) -> None:
    hidden = DENIED.replace("+", "x")
    keep(people, hidden)
    keep(people, f"v/{TOKEN}/commands")
    people.subscribe("#")
    assert got(people, 1) == [(f"v/{TOKEN}/commands", b"kept", True)]
    with Client(door.port) as other, Client(door.port) as car:
        other.connect(OTHER)
        other.subscribe(f"v/{OTHER}/#")
        assert other.is_silent(0.1)
        car.connect()
        car.subscribe(f"v/{TOKEN}/#")
        assert got(car, 1) == [(f"v/{TOKEN}/commands", b"kept", True)]


@pytest.mark.parametrize("noted", [False, True], ids=["from the log", "from the note"])
def test_what_was_acknowledged_is_there_after_a_crash(
    door: RunningDoor, people: Client, tmp_path: Path, noted: bool
) -> None:
    """P1 for retained messages: the ack promises them, and their removal."""
    keep(people, "gone")
    keep(people, "a", content_type="text/plain")
    keep(people, "gone", b"")
    if noted:
        door.call(door.door._recall.note())
    with door.crashed(tmp_path / "second") as after, Client(after.port) as late:
        late.connect(OPERATOR, "late")
        late.subscribe("#")
        message = late.take()
        assert (message.topic, message.retain) == ("a", True)
        assert decode_properties(message.properties, Place.PUBLISH).content_type == "text/plain"
        assert late.is_silent(0.1)


def test_a_will_is_retained(door: RunningDoor, people: Client) -> None:
    with Client(door.port) as car:
        car.connect(will=Will(STATE, b"lost", 1, True))
    door.call(eventually(lambda: len(door.door._retained) == 1))
    people.subscribe(STATE)
    assert got(people, 1) == [(STATE, b"lost", True)]


def test_more_than_fits_is_refused_and_can_be_replaced(tmp_path: Path) -> None:
    config = replace(Config(), mqtt=replace(Config().mqtt, retained_messages_max=2))
    with RunningDoor(tmp_path, config) as door, Client(door.port) as people:
        people.connect(OPERATOR, "people")
        keep(people, "a")
        keep(people, "b")
        people.send(Publish("c", b"x", 1, 1, True))
        assert people.expect(Puback).reason is Reason.QUOTA_EXCEEDED
        keep(people, "b", b"other")
        keep(people, "a", b"")
        keep(people, "c")
        people.subscribe("#")
        assert {payload for _, payload, _ in got(people, 2)} == {b"other", b"kept"}


def test_many_are_sent_as_the_client_takes_them(people: Client) -> None:
    """More than the session's window."""
    topics = [f"t/{number}" for number in range(100)]
    for topic in topics:
        keep(people, topic)
    people.subscribe("t/+")
    assert sorted(topic for topic, _, _ in got(people, 100)) == sorted(topics)


def test_retained_at_qos_2_goes_on_after_a_crash(
    door: RunningDoor, people: Client, tmp_path: Path
) -> None:
    keep(people, "a", qos=2)
    with Client(door.port) as kept:
        kept.connect(OPERATOR, "kept", session_expiry_s=60)
        kept.subscribe("a", qos=2)
        message = kept.expect(Publish)
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            again.connect(OPERATOR, "kept", clean_start=False, session_expiry_s=60)
            assert again.take() == replace(message, dup=True)


def test_overlapping_subscriptions_give_one_message_with_every_identifier(
    people: Client, door: RunningDoor, tmp_path: Path
) -> None:
    """[MQTT-3.3.4-2], [MQTT-3.3.4-4]: the highest QoS, all identifiers."""
    with Client(door.port) as kept:
        kept.connect(OPERATOR, "kept", session_expiry_s=60)
        for identifier, (topic_filter, qos) in enumerate([("a/#", 1), ("a/b", 2), ("+/b", 1)], 200):
            properties = Properties(subscription_ids=(identifier,)) if identifier < 202 else None
            subscription = (Subscription(topic_filter, qos),)
            kept.send(Subscribe(1, subscription, properties or Properties()))
            assert kept.expect(Suback).reasons == (Reason(qos),)
        people.publish_once("a/b", b"x")
        message = kept.take()
        properties = decode_properties(message.properties, Place.PUBLISH)
        assert (message.qos, set(properties.subscription_ids)) == (2, {200, 201})
        assert kept.is_silent(0.1)
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            again.connect(OPERATOR, "kept", clean_start=False, session_expiry_s=60)
            with Client(after.port) as publisher:
                publisher.connect(OPERATOR, "publisher")
                publisher.publish("a/c")
                publisher.expect(Puback)
            properties = decode_properties(again.take().properties, Place.PUBLISH)
            assert properties.subscription_ids == (200,)


def test_no_local_holds_for_that_subscription_only(people: Client) -> None:
    people.subscribe("a/#", no_local=True)
    people.publish("a/b", b"hidden", None)
    assert people.is_silent(0.1)
    people.subscribe("a/+")
    people.publish("a/b", b"seen", None)
    assert got(people, 1) == [("a/b", b"seen", False)]
