"""Sessions and routing: resume, restart, slow subscribers, wildcards, denied filters."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from motorcade.config import Config
from motorcade.events import Topic
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import Puback, Publish, Pubrec
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect
from motorcade.wire.mqtt.subscribe import Subscribe, Subscription, Unsuback, Unsubscribe
from tests.gateway.mqtt.harness import DENIED, OPERATOR, OTHER, TOKEN, RunningDoor, eventually
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"
COMMANDS = f"v/{TOKEN}/commands"
LEVELS = pytest.mark.parametrize("level", ProtocolLevel)
KEEP = {"session_expiry_s": 600}


@contextmanager
def operator(
    door: RunningDoor, level: ProtocolLevel = ProtocolLevel.V5, client_id: str = "tool"
) -> Iterator[Client]:
    with Client(door.port, level) as client:
        client.connect(OPERATOR, client_id)
        yield client
        client.disconnect()


def send(door: RunningDoor, *payloads: bytes, topic: str = TELEMETRY) -> None:
    """Publish as the vehicle, each acknowledged."""
    with Client(door.port) as car:
        car.connect(topic.split("/")[1])
        for payload in payloads:
            car.publish(topic, payload)
            car.expect(Puback)
        car.disconnect()


def resume(client: Client, username: str = OPERATOR, client_id: str = "tool") -> bool:
    properties = KEEP if client.level is ProtocolLevel.V5 else {}
    return bool(
        client.connect(username, client_id, clean_start=False, **properties).session_present
    )


@LEVELS
@pytest.mark.parametrize("topic_filter", ["#", "v/#", "v/+/telemetry", TELEMETRY, f"v/{TOKEN}/+"])
def test_what_a_vehicle_sends_reaches_who_asked(
    door: RunningDoor, level: ProtocolLevel, topic_filter: str
) -> None:
    with operator(door, level) as people:
        assert people.subscribe(topic_filter) == (Reason.GRANTED_QOS_1,)
        send(door, b"one", b"two")
        first, second = people.take(), people.take()
    assert [(each.topic, each.payload) for each in (first, second)] == [
        (TELEMETRY, b"one"),
        (TELEMETRY, b"two"),
    ]


def test_qos_is_granted_as_asked_and_the_lower_one_counts(door: RunningDoor) -> None:
    with operator(door) as people:
        assert people.subscribe("v/#", qos=2) == (Reason.GRANTED_QOS_2,)
        send(door, b"one")
        assert people.take().qos == 1
        assert people.subscribe("v/#", qos=0) == (Reason.SUCCESS,)
        send(door, b"one")
        assert people.expect(Publish).qos == 0


def test_topics_come_back_as_they_were_sent(door: RunningDoor) -> None:
    topics = [f"{TELEMETRY}/s/7", f"{TELEMETRY}/ü/7", f"{TELEMETRY}/s/007"]
    with operator(door) as people:
        people.subscribe("#")
        for topic in topics:
            send(door, b"x", topic=topic)
        assert [people.take().topic for _ in topics] == topics


def test_properties_reach_the_subscriber(door: RunningDoor) -> None:
    user = (("stream", "s"), ("sequence", "4"), ("mine", "kept"))
    sent = Properties(content_type="text/plain", message_expiry_s=60, user=user)
    with operator(door) as people:
        people.subscribe("#")
        with Client(door.port) as car:
            car.connect()
            car.publish(TELEMETRY, properties=encode_bare(sent, Place.PUBLISH))
            car.expect(Puback)
        got = decode_properties(people.take().properties, Place.PUBLISH)
    assert msgspec.structs.replace(got, message_expiry_s=None) == msgspec.structs.replace(
        sent, message_expiry_s=None
    )
    assert got.message_expiry_s is not None
    assert 55 <= got.message_expiry_s <= 60


def test_operators_reach_vehicles(door: RunningDoor) -> None:
    with Client(door.port) as car, operator(door) as people:
        car.connect()
        assert car.subscribe(COMMANDS) == (Reason.GRANTED_QOS_1,)
        people.publish(COMMANDS, b"hello")
        people.expect(Puback)
        assert car.take().payload == b"hello"


def test_a_vehicle_reads_only_its_own(door: RunningDoor) -> None:
    for level, refusal in (
        (ProtocolLevel.V5, Reason.NOT_AUTHORIZED),
        (ProtocolLevel.V3_1_1, Reason.UNSPECIFIED_ERROR),
    ):
        with Client(door.port, level) as car:
            car.connect()
            filters = ("#", "v/+/telemetry", f"v/{OTHER}/telemetry", "+/+/commands")
            assert set(car.subscribe(*filters)) == {refusal}
            assert car.subscribe(f"v/{TOKEN}/#") == (Reason.GRANTED_QOS_1,)


def test_denied_filters_are_refused_and_hidden(door: RunningDoor) -> None:
    with operator(door) as people, operator(door, client_id="other") as publisher:
        assert people.subscribe(DENIED, "denied/x") == (Reason.NOT_AUTHORIZED,) * 2
        assert people.subscribe("#") == (Reason.GRANTED_QOS_1,)
        for topic in ("denied/x", "open/x"):
            publisher.publish(topic)
            publisher.expect(Puback)
        assert people.take().topic == "open/x"


def test_no_local_and_unsubscribe(door: RunningDoor) -> None:
    with operator(door) as people:
        people.subscribe("a", no_local=True)
        people.subscribe("b")
        for topic in ("a", "b"):
            people.publish(topic)
        assert {type(people.receive()) for _ in range(2)} == {Puback}
        assert people.take().topic == "b"
        people.send(Unsubscribe(9, ("b", "c")))
        answer = people.expect(Unsuback)
        assert answer.reasons == (Reason.SUCCESS, Reason.NO_SUBSCRIPTION_EXISTED)
        people.publish("b")
        people.expect(Puback)
        assert people.is_silent()


def test_too_many_subscriptions(tmp_path: Path) -> None:
    mqtt = replace(Config().mqtt, subscriptions_per_session_max=2)
    with RunningDoor(tmp_path, replace(Config(), mqtt=mqtt)) as door, operator(door) as people:
        reasons = people.subscribe("a", "b", "c")
        assert reasons == (Reason.GRANTED_QOS_1, Reason.GRANTED_QOS_1, Reason.QUOTA_EXCEEDED)


@LEVELS
def test_a_session_is_fed_what_it_missed_then_joins_live(
    door: RunningDoor, level: ProtocolLevel
) -> None:
    with Client(door.port, level) as people:
        assert not resume(people)
        people.subscribe("v/+/telemetry")
        send(door, b"live")
        assert people.take().payload == b"live"
        people.disconnect()
    missed = [b"missed %d" % number for number in range(100)]
    send(door, *missed)
    with Client(door.port, level) as people:
        assert resume(people)
        assert [people.take().payload for _ in missed] == missed
        send(door, b"live again")
        assert people.take().payload == b"live again"
        assert people.is_silent()


def test_a_session_survives_the_process(tmp_path: Path) -> None:
    with RunningDoor(tmp_path) as door, Client(door.port) as people:
        resume(people)
        people.subscribe(TELEMETRY)
        people.disconnect()
        send(door, b"before the restart")
    with RunningDoor(tmp_path) as door:
        send(door, b"after the restart")
        with Client(door.port) as people:
            assert resume(people)
            assert people.take().payload == b"before the restart"
            assert people.take().payload == b"after the restart"
            assert people.is_silent()


def test_a_vehicle_is_told_what_operators_sent_meanwhile(door: RunningDoor) -> None:
    with Client(door.port) as car:
        assert not resume(car, TOKEN, TOKEN)
        car.subscribe(COMMANDS)
        car.disconnect()
    with operator(door) as people:
        people.publish(COMMANDS, b"meanwhile")
        people.expect(Puback)
    with Client(door.port) as car:
        assert resume(car, TOKEN, TOKEN)
        assert car.take().payload == b"meanwhile"


def test_a_vehicle_is_told_what_operators_sent_before_a_restart(tmp_path: Path) -> None:
    with RunningDoor(tmp_path) as door:
        with Client(door.port) as car:
            resume(car, TOKEN, TOKEN)
            car.subscribe(COMMANDS)
            car.disconnect()
        with operator(door) as people:
            people.publish(COMMANDS, b"before")
            people.expect(Puback)
    with RunningDoor(tmp_path) as door, Client(door.port) as car:
        assert resume(car, TOKEN, TOKEN)
        assert car.take().payload == b"before"


def test_the_log_is_not_read_for_vehicles_that_nobody_wrote_to(tmp_path: Path) -> None:
    """After a restart every vehicle comes back at once; most have missed nothing."""
    with RunningDoor(tmp_path) as door, Client(door.port) as car:
        resume(car, TOKEN, TOKEN)
        car.subscribe(COMMANDS)
        car.disconnect()
    with RunningDoor(tmp_path) as door:
        opened = []
        reader = door.log.reader
        door.log.reader = lambda *wanted: opened.append(wanted) or reader(*wanted)  # type: ignore
        with Client(door.port) as car:
            assert resume(car, TOKEN, TOKEN)
            assert car.is_silent()
        assert not opened
        door.log.reader = reader  # type: ignore[method-assign]


def test_what_was_missed_survives_two_crashes(tmp_path: Path) -> None:
    """The cursor that all live sessions share moves on; what one of them missed must not."""
    with RunningDoor(tmp_path / "0") as door, Client(door.port) as people:
        resume(people)
        people.subscribe(TELEMETRY)
        asyncio.run(eventually(lambda: bool(door.door._sessions._live_cursor)))
        send(door, b"missed")
        people.expect(Publish)
        with door.crashed(tmp_path / "1") as once:
            send(once, b"more")
            before = once.door._sessions._live_cursor
            asyncio.run(eventually(lambda: once.door._sessions._live_cursor != before))
            with once.crashed(tmp_path / "2") as twice, Client(twice.port) as again:
                assert resume(again)
                got = [again.take().payload for _ in range(2)]
                assert got == [b"missed", b"more"]


def test_clean_start_forgets_and_expiry_ends(door: RunningDoor) -> None:
    with Client(door.port) as people:
        resume(people)
        people.subscribe("v/#")
        people.disconnect()
    with Client(door.port) as people:
        assert not people.connect(OPERATOR, "tool", clean_start=True).session_present
        send(door, b"x")
        assert people.is_silent()
        people.disconnect()
    with Client(door.port) as people:
        assert not resume(people)


def test_a_goodbye_may_change_how_long_the_session_lasts(door: RunningDoor) -> None:
    """§3.14.2.2.2"""
    with Client(door.port) as people:
        resume(people)
        people.send(Disconnect(properties=Properties(session_expiry_s=0)))
        assert people.receive() is None
    with Client(door.port) as people:
        assert not people.connect(OPERATOR, "tool", clean_start=False).session_present
        people.send(Disconnect(properties=Properties(session_expiry_s=60)))  # from 0 to more
        assert people.closed_with() is Reason.PROTOCOL_ERROR


def test_unacknowledged_messages_survive_a_crash_right_after_a_subscription(
    door: RunningDoor, tmp_path: Path
) -> None:
    """Fails when a row is written without the place of what is still owed."""
    with Client(door.port) as people:
        resume(people)
        people.subscribe("v/#")
        send(door, b"owed")
        people.expect(Publish)
        asyncio.run(eventually(lambda: door.door._router.position is not None))
        people.subscribe("other")
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            assert resume(again)
            assert again.take().payload == b"owed"


def test_unacknowledged_messages_come_again_with_dup(door: RunningDoor) -> None:
    with Client(door.port) as people:
        resume(people)
        people.subscribe("v/#")
        send(door, b"one")
        first = people.expect(Publish)
    with Client(door.port) as people:
        assert resume(people)
        again = people.take()
    assert again == replace(first, dup=True)


@pytest.mark.parametrize("shared", ["", "$share/g/"])
@pytest.mark.parametrize("qos", [1, 2])
def test_what_comes_again_tells_what_is_left_by_then(
    door: RunningDoor, qos: int, shared: str
) -> None:
    """[MQTT-3.3.2-6]"""
    with Client(door.port) as people:
        resume(people)
        people.subscribe(f"{shared}{TELEMETRY}", qos=qos)
        with Client(door.port) as car:
            car.connect()
            properties = encode_bare(Properties(message_expiry_s=100), Place.PUBLISH)
            car.send(Publish(TELEMETRY, b"x", qos, 1, properties=properties))
            first = people.expect(Publish)
            people.socket.close()
            car.expect(Pubrec if qos == 2 else Puback)
            assert car.is_silent(2.2)
    with Client(door.port) as people:
        assert resume(people)
        again = people.take()
    left = [
        decode_properties(each.properties, Place.PUBLISH).message_expiry_s
        for each in (first, again)
    ]
    assert (again.packet_id, again.dup) == (first.packet_id, True)
    assert left[0] in (99, 100)
    assert left[1] in range(60, 99)


def test_one_account_cannot_take_the_session_of_another(door: RunningDoor) -> None:
    with Client(door.port) as car, Client(door.port) as people:
        car.connect()
        people.connect(OPERATOR, TOKEN)
        car.publish(TELEMETRY)
        assert car.expect(Puback) == Puback(1)


def test_a_slow_subscriber_gets_everything_and_delays_nobody(door: RunningDoor) -> None:
    """It acknowledges nothing until the end: others are served, and nothing is lost for it."""
    count = 200
    payloads = [b"%d" % number for number in range(count)]
    with operator(door, client_id="slow") as slow, operator(door, client_id="quick") as quick:
        slow.subscribe("v/#")
        quick.subscribe("v/#")
        sender = threading.Thread(target=send, args=(door, *payloads))
        sender.start()
        assert [quick.take().payload for _ in payloads] == payloads
        sender.join()
        got = [slow.take() for _ in payloads]
        assert [each.payload for each in got] == payloads
        send(door, b"last")
        assert slow.take().payload == b"last"


def test_the_clients_receive_maximum_is_kept(door: RunningDoor) -> None:
    with Client(door.port) as people:
        people.connect(OPERATOR, "narrow", receive_max=2)
        people.subscribe("v/#")
        send(door, b"1", b"2", b"3")
        first = people.expect(Publish)
        second = people.expect(Publish)
        assert people.is_silent()
        people.puback(first)
        assert people.take().payload == b"3"
        people.puback(second)


def test_a_message_over_the_clients_packet_size_is_left_out(door: RunningDoor) -> None:
    """And is no longer under way: it takes up no room, and does not come again."""
    with Client(door.port) as people:
        people.connect(OPERATOR, "small", packet_bytes_max=200, receive_max=1, **KEEP)
        people.subscribe("v/#")
        send(door, b"x" * 300, b"small")
        assert people.take().payload == b"small"
        people.disconnect()
    with Client(door.port) as people:
        assert resume(people, client_id="small")
        assert people.is_silent()


def test_what_expires_while_its_reader_is_away_is_not_sent(door: RunningDoor) -> None:
    """[MQTT-3.3.2-5]; what is left of another's time is told [MQTT-3.3.2-6]."""
    with Client(door.port) as people:
        resume(people)
        people.subscribe(TELEMETRY)
        people.disconnect()
    with Client(door.port) as car:
        car.connect()
        for payload, expiry_s in ((b"soon", 1), (b"later", 100)):
            soon = encode_bare(Properties(message_expiry_s=expiry_s), Place.PUBLISH)
            car.publish(TELEMETRY, payload, properties=soon)
            car.expect(Puback)
        assert car.is_silent(2.2)
    with Client(door.port) as people:
        assert resume(people)
        message = people.take()
        left_s = decode_properties(message.properties, Place.PUBLISH).message_expiry_s
        assert message.payload == b"later"
        assert left_s is not None
        assert 60 < left_s <= 98
        assert people.is_silent()


def test_a_session_lasts_as_long_as_its_connection_and_then_as_asked(door: RunningDoor) -> None:
    """[MQTT-4.1.0-1], [MQTT-4.1.0-2]"""
    with Client(door.port) as people:
        people.connect(OPERATOR, "tool", session_expiry_s=1)
        people.subscribe(TELEMETRY)
        assert people.is_silent(3.5)  # longer than the session would last without it
        send(door, b"one")
        assert people.take().payload == b"one"
    with Client(door.port) as people:
        answer = people.connect(OPERATOR, "tool", clean_start=False, session_expiry_s=1)
        assert answer.session_present
    door.loop.call_soon_threadsafe(door.door._sweeper.cancel)  # type: ignore[union-attr]
    asyncio.run(asyncio.sleep(1.5))
    with Client(door.port) as people:  # nobody has swept it away, and it is over all the same
        assert not resume(people)
        send(door, b"two")
        assert people.is_silent()


def test_no_message_is_lost_while_its_subscription_is_replaced(door: RunningDoor) -> None:
    """[MQTT-3.8.4-4]: one that is durable and not handed out when SUBSCRIBE comes."""
    turn = door.door._router.turn
    with operator(door) as people:
        people.subscribe(TELEMETRY, qos=0)
        door.call(turn.acquire())
        send(door, b"between")
        people.send(Subscribe(2, (Subscription(TELEMETRY, 1),)))
        assert people.is_silent()  # SUBACK waits for the router
        door.loop.call_soon_threadsafe(turn.release)
        packets = [people.receive(), people.receive()]
        (message,) = (packet for packet in packets if isinstance(packet, Publish))
        assert message.payload == b"between"


def test_a_subscriber_that_never_reads_is_closed_or_spared(tmp_path: Path) -> None:
    """QoS 0 is dropped beyond a backlog; the gateway's memory does not grow."""
    with RunningDoor(tmp_path) as door, operator(door) as deaf:
        deaf.subscribe("v/#", qos=0)
        for _ in range(40):
            send(door, b"x" * 500_000)
        assert len(door.records(Topic.TELEMETRY)) == 40
        waiting = sum(
            each.transport.get_write_buffer_size()
            for each in door.door._ingest.slots.connections
            if each is not None and each.transport is not None
        )
        assert waiting <= door.config.gateway.write_buffer_bytes_max
