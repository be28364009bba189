"""Shared subscriptions (§4.8.2): each message to one member, none lost when members go."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from motorcade.wire.mqtt.properties import Place, Properties, decode_properties
from motorcade.wire.mqtt.publish import Puback, Publish
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.subscribe import (
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.gateway.mqtt.harness import DENIED, OPERATOR, OTHER, TOKEN, RunningDoor
from tests.gateway.mqtt.wire_client import Client

FILTER = "$share/group/job/+"


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RunningDoor]:
    with RunningDoor(tmp_path / "first") as running:
        yield running


def member(door: RunningDoor, name: str, qos: int = 1, expiry_s: int = 0) -> Client:
    client = Client(door.port)
    answer = client.connect(OPERATOR, name, clean_start=False, session_expiry_s=expiry_s)
    if not answer.session_present:
        assert client.subscribe(FILTER, qos=qos) == (Reason(min(qos, 1)),)
    return client


def publish(door: RunningDoor, *payloads: bytes, topic: str = "job/1", qos: int = 1) -> None:
    with Client(door.port) as client:
        client.connect(OPERATOR, "publisher")
        for payload in payloads:
            client.publish(topic, payload, 1 if qos else None)
            if qos:
                client.expect(Puback)
        client.disconnect()


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_members_take_turns(door: RunningDoor, qos: int) -> None:
    with member(door, "one", qos) as one, member(door, "two", qos) as two:
        publish(door, *numbers(10))
        got = [[client.take() for _ in range(5)] for client in (one, two)]
        assert sorted(each.payload for some in got for each in some) == numbers(10)
        assert {each.qos for some in got for each in some} == {min(qos, 1)}
        assert one.is_silent(0.1)
        assert two.is_silent(0.1)


def test_other_groups_and_plain_subscriptions_get_their_own(door: RunningDoor) -> None:
    with member(door, "one") as one, Client(door.port) as other, Client(door.port) as plain:
        other.connect(OPERATOR, "other")
        other.subscribe("$share/second/job/#")
        plain.connect(OPERATOR, "plain")
        plain.subscribe("job/1")
        publish(door, b"x")
        assert [client.take().payload for client in (one, other, plain)] == [b"x"] * 3


def test_a_share_and_a_plain_subscription_of_one_client_are_told_apart(door: RunningDoor) -> None:
    """[MQTT-3.3.4-5]: two copies, each with its own subscription's identifier."""
    with Client(door.port) as one:
        one.connect(OPERATOR, "one")
        for identifier, topic_filter in ((1, "job/#"), (2, FILTER)):
            properties = Properties(subscription_ids=(identifier,))
            one.send(Subscribe(1, (Subscription(topic_filter, 1),), properties))
            assert one.expect(Suback).reasons == (Reason.GRANTED_QOS_1,)
        publish(door, b"x")
        copies = [decode_properties(one.take().properties, Place.PUBLISH) for _ in range(2)]
        assert sorted(each.subscription_ids for each in copies) == [(1,), (2,)]
        assert one.is_silent(0.1)


def test_what_a_member_refuses_goes_to_nobody_else(door: RunningDoor) -> None:
    """[MQTT-4.8.2-6]: not when it refuses, and not when its session ends."""
    with member(door, "refuses") as refuses:
        publish(door, b"refused")
        message = refuses.expect(Publish)
        with member(door, "other") as other:
            assert message.packet_id is not None
            refuses.send(Puback(message.packet_id, Reason.UNSPECIFIED_ERROR))
            assert other.is_silent()
            refuses.disconnect()
            assert other.is_silent()


def test_a_member_that_is_full_is_passed_over(door: RunningDoor) -> None:
    with member(door, "full") as full, member(door, "quick") as quick:
        publish(door, *numbers(200))
        taken = [quick.take().payload for _ in range(200 - 32)]  # mqtt.inflight_max
        held = [full.expect(Publish) for _ in range(32)]
        assert Counter(taken + [each.payload for each in held]) == Counter(numbers(200))


def test_what_a_member_had_not_acknowledged_goes_to_another_when_its_session_ends(
    door: RunningDoor,
) -> None:
    with member(door, "stays") as stays:
        with member(door, "goes") as goes:
            publish(door, *numbers(6))
            mine = [stays.take().payload for _ in range(3)]
            lost = [goes.expect(Publish).payload for _ in range(3)]
            assert sorted(mine + lost) == numbers(6)
        assert sorted(stays.take().payload for _ in range(3)) == sorted(lost)
        assert stays.is_silent(0.1)


def test_what_came_back_goes_out_when_another_has_room(door: RunningDoor) -> None:
    with member(door, "full") as full:
        with member(door, "goes") as goes:
            publish(door, *numbers(64))
            held = [full.expect(Publish) for _ in range(32)]
            lost = [goes.expect(Publish).payload for _ in range(32)]
        assert full.is_silent()
        for message in held:
            full.puback(message)
        assert sorted(full.take().payload for _ in range(32)) == sorted(lost)
        assert full.is_silent(0.1)


def test_what_a_member_had_not_acknowledged_waits_while_its_session_lasts(
    door: RunningDoor,
) -> None:
    with member(door, "stays") as stays:
        with member(door, "away", expiry_s=60) as away:
            publish(door, *numbers(2))
            stays.take()
            mine = away.expect(Publish)
        publish(door, b"later")  # it is away: not its turn
        assert stays.take().payload == b"later"
        with member(door, "away", expiry_s=60) as away:
            again = away.take()
            assert (again.payload, again.dup) == (mine.payload, True)


def test_a_group_of_members_who_are_away_misses_nothing(door: RunningDoor) -> None:
    with member(door, "one", expiry_s=60):
        pass
    publish(door, *numbers(50))
    with member(door, "one", expiry_s=60) as one:
        assert [one.take().payload for _ in range(50)] == numbers(50)
        publish(door, b"live")
        assert one.take().payload == b"live"
        assert one.is_silent(0.1)


def test_a_group_survives_a_crash(door: RunningDoor, tmp_path: Path) -> None:
    with member(door, "one", expiry_s=60) as one:
        publish(door, b"unacknowledged")
        one.expect(Publish)
        with door.crashed(tmp_path / "second") as after:
            publish(after, b"while away")
            with member(after, "one", expiry_s=60) as again:
                got = {again.take().payload for _ in range(2)}
                assert got == {b"unacknowledged", b"while away"}


def test_unsubscribing_leaves_the_group(door: RunningDoor) -> None:
    with member(door, "one") as one, member(door, "two") as two:
        one.send(Unsubscribe(1, (FILTER,)))
        assert one.expect(Unsuback).reasons == (Reason.SUCCESS,)
        publish(door, *numbers(4))
        assert [two.take().payload for _ in range(4)] == numbers(4)
        assert one.is_silent(0.1)


def test_a_group_is_not_told_retained_messages(door: RunningDoor) -> None:
    with Client(door.port) as client:
        client.connect(OPERATOR, "publisher")
        client.publish("job/1", b"kept", retain=True)
        client.expect(Puback)
    with member(door, "one") as one:
        assert one.is_silent(0.1)


def test_what_may_not_be_read_may_not_be_shared(door: RunningDoor) -> None:
    with Client(door.port) as people, Client(door.port) as car:
        people.connect(OPERATOR, "people")
        assert people.subscribe(f"$share/g/{DENIED}") == (Reason.NOT_AUTHORIZED,)
        car.connect()
        assert car.subscribe(f"$share/g/v/{OTHER}/#") == (Reason.NOT_AUTHORIZED,)
        assert car.subscribe(f"$share/g/v/{TOKEN}/#") == (Reason.GRANTED_QOS_1,)


def test_an_older_client_may_share_too(door: RunningDoor) -> None:
    with Client(door.port, ProtocolLevel.V3_1_1) as old:
        old.connect(OPERATOR, "old")
        assert old.subscribe("$share/", FILTER) == (
            Reason.UNSPECIFIED_ERROR,
            Reason.GRANTED_QOS_1,
        )
        publish(door, b"x")
        assert old.take().payload == b"x"
