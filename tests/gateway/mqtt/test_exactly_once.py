"""QoS 2 both ways: stored once, delivered once, across reconnects and crashes (§4.3.3)."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from motorcade.config import Config
from motorcade.events import Topic
from motorcade.log.errors import LogFullError
from motorcade.wire.mqtt.properties import Place, Properties, encode_bare
from motorcade.wire.mqtt.publish import Puback, Pubcomp, Publish, Pubrec, Pubrel
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, Pingreq, Pingresp
from tests.gateway.mqtt.harness import OPERATOR, OTHER, TOKEN, RunningDoor, eventually
from tests.gateway.mqtt.wire_client import Client

TELEMETRY = f"v/{TOKEN}/telemetry"
ANSWERS = f"v/{TOKEN}/command_answers"
LEVELS = pytest.mark.parametrize("level", ProtocolLevel)
LANES = pytest.mark.parametrize(
    ("topic", "stored"), [(TELEMETRY, Topic.TELEMETRY), (ANSWERS, Topic.COMMAND_ANSWERS)]
)


@pytest.fixture
def door(tmp_path: Path) -> RunningDoor:
    with RunningDoor(tmp_path / "first") as running:
        yield running  # type: ignore[misc]


def resume(client: Client, username: str = TOKEN, client_id: str | None = None) -> bool:
    kept = {"session_expiry_s": 600} if client.level is ProtocolLevel.V5 else {}
    answer = client.connect(username, client_id, clean_start=False, **kept)
    assert answer.reason is Reason.SUCCESS
    return bool(answer.session_present)


def payloads(door: RunningDoor, topic: Topic = Topic.TELEMETRY) -> list[bytes]:
    return [record.payload for record in door.records(topic) if not record.name]


def settle(client: Client) -> None:
    """Everything the client sent before is handled."""
    client.send(Pingreq())
    client.expect(Pingresp)


# --- from clients --------------------------------------------------------------------------------


@LEVELS
@LANES
def test_a_message_is_stored_once(
    door: RunningDoor, level: ProtocolLevel, topic: str, stored: Topic
) -> None:
    with Client(door.port, level) as car:
        resume(car)
        message = Publish(topic, b"one", 2, 7)
        car.send(message)
        assert car.expect(Pubrec) == Pubrec(7)
        car.send(replace(message, dup=True))
        assert car.expect(Pubrec) == Pubrec(7)
        car.send(Pubrel(7))
        assert car.expect(Pubcomp) == Pubcomp(7)
        car.publish_once(topic, b"two", 7)
    assert payloads(door, stored) == [b"one", b"two"]


@LEVELS
def test_pubrec_and_pubcomp_wait_for_the_log(door: RunningDoor, level: ProtocolLevel) -> None:
    with Client(door.port, level) as car:
        resume(car)
        door.writer.hold()
        car.send(Publish(TELEMETRY, b"one", 2, 7))
        assert door.writer.appended.wait(10)
        assert car.is_silent()
        door.writer.release()
        assert car.expect(Pubrec) == Pubrec(7)
        door.writer.hold()
        car.send(Pubrel(7))
        assert door.writer.appended.wait(10)
        assert car.is_silent()
        door.writer.release()
        assert car.expect(Pubcomp) == Pubcomp(7)


@LEVELS
@LANES
def test_a_message_that_comes_again_on_another_connection_is_known(
    door: RunningDoor, level: ProtocolLevel, topic: str, stored: Topic
) -> None:
    message = Publish(topic, b"one", 2, 7)
    with Client(door.port, level) as car:
        resume(car)
        car.send(message)
        car.expect(Pubrec)
    with Client(door.port, level) as car:
        assert resume(car)
        car.send(replace(message, dup=True))
        assert car.expect(Pubrec) == Pubrec(7)
        car.send(Pubrel(7))
        assert car.expect(Pubcomp) == Pubcomp(7)
    assert payloads(door, stored) == [b"one"]


@LANES
@pytest.mark.parametrize("noted", [False, True], ids=["from the log", "from the note"])
def test_what_was_received_is_known_after_a_crash(
    door: RunningDoor, tmp_path: Path, topic: str, stored: Topic, noted: bool
) -> None:
    """Fails when the packet identifier and the message are not one write."""
    message = Publish(topic, b"one", 2, 7)
    with Client(door.port) as car:
        resume(car)
        car.send(message)
        car.expect(Pubrec)
        if noted:
            door.call(door.door._recall.note())
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            assert resume(again)
            again.send(replace(message, dup=True))
            assert again.expect(Pubrec) == Pubrec(7)
            again.send(Pubrel(7))
            assert again.expect(Pubcomp) == Pubcomp(7)
            assert payloads(after, stored) == [b"one"]


@LANES
def test_what_was_released_is_free_after_a_crash(
    door: RunningDoor, tmp_path: Path, topic: str, stored: Topic
) -> None:
    """Fails when PUBCOMP leaves before the release is durable: the next message is lost then."""
    with Client(door.port) as car:
        resume(car)
        car.send(Publish(topic, b"one", 2, 7))
        car.expect(Pubrec)
        door.call(door.door._recall.note())
        car.send(Pubrel(7))
        car.expect(Pubcomp)
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            assert resume(again)
            again.publish_once(topic, b"two", 7)
            assert payloads(after, stored) == [b"one", b"two"]


def test_a_new_session_inherits_nothing(door: RunningDoor, tmp_path: Path) -> None:
    with Client(door.port) as car:
        resume(car)
        car.send(Publish(TELEMETRY, b"old", 2, 7))
        car.expect(Pubrec)
    with Client(door.port) as car:
        assert not car.connect(session_expiry_s=600).session_present
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            assert resume(again)
            again.publish_once(TELEMETRY, b"new", 7)
            assert payloads(after) == [b"old", b"new"]
        car.publish_once(TELEMETRY, b"new", 7)
    assert payloads(door) == [b"old", b"new"]


def test_operators_have_packet_identifiers_of_their_own(door: RunningDoor, tmp_path: Path) -> None:
    with Client(door.port) as one, Client(door.port) as two:
        resume(one, OPERATOR, "one")
        resume(two, OPERATOR, "two")
        one.send(Publish("a", b"1", 2, 7))
        one.expect(Pubrec)
        with door.crashed(tmp_path / "second") as after, Client(after.port) as again:
            assert resume(again, OPERATOR, "two")
            again.publish_once("a", b"2", 7)
            assert [each.payload for each in after.records(Topic.MQTT)] == [b"1", b"2"]


def test_the_receive_maximum_counts_until_pubcomp(tmp_path: Path) -> None:
    config = replace(Config(), mqtt=replace(Config().mqtt, receive_max=2))
    with RunningDoor(tmp_path, config) as door:
        with Client(door.port) as car:
            resume(car)
            for packet_id in (1, 2):
                car.send(Publish(TELEMETRY, b"x", 2, packet_id))
                car.expect(Pubrec)
            car.send(Pubrel(1))
            car.expect(Pubcomp)
            car.publish(TELEMETRY, b"fits", 3)  # QoS 1, by the compiled road
            car.expect(Puback)
            car.send(Publish(TELEMETRY, b"fits", 2, 4))
            car.expect(Pubrec)
            car.publish(TELEMETRY, b"too many", 5)
            assert car.closed_with() is Reason.RECEIVE_MAXIMUM_EXCEEDED
        with Client(door.port) as car:
            resume(car)
            for packet_id in (2, 4):
                car.send(Publish(TELEMETRY, b"x", 2, packet_id, dup=True))
                car.expect(Pubrec)
            car.send(Publish(TELEMETRY, b"too many", 2, 6))
            assert car.closed_with() is Reason.RECEIVE_MAXIMUM_EXCEEDED


def test_who_breaks_a_rule_may_go_on_sending_until_it_has_read_why(tmp_path: Path) -> None:
    """A reset would fail its writes, and it would never come to our goodbye."""
    config = replace(Config(), mqtt=replace(Config().mqtt, receive_max=3))
    with RunningDoor(tmp_path, config) as door:
        with Client(door.port) as car:
            resume(car)
            for packet_id in range(1, 4):
                car.send(Publish(TELEMETRY, b"x" * 100_000, 2, packet_id))
            asyncio.run(eventually(lambda: len(payloads(door)) == 3))
            for packet_id in range(4, 8):
                car.send(Publish(TELEMETRY, b"x" * 100_000, 2, packet_id))
            for packet_id in range(1, 4):  # which it has not read yet
                assert car.expect(Pubrec).packet_id == packet_id
                car.send(Pubrel(packet_id))
                asyncio.run(asyncio.sleep(0.05))  # a reset would be here by now
            goodbye = car.expect(Disconnect)
            assert goodbye.reason is Reason.RECEIVE_MAXIMUM_EXCEEDED
            assert "receive maximum" in goodbye.properties.reason_string
            assert car.receive() is None
            with Client(door.port) as again:  # the session is free, though the peer still hears
                assert resume(again)
                for packet_id in range(1, 4):
                    again.send(Publish(TELEMETRY, b"x" * 100_000, 2, packet_id, dup=True))
                    assert again.expect(Pubrec).packet_id == packet_id
        asyncio.run(eventually(lambda: door.door.connections == 0))
        assert len(payloads(door)) == 3


@LEVELS
def test_a_release_of_something_unknown_is_completed(
    door: RunningDoor, level: ProtocolLevel
) -> None:
    with Client(door.port, level) as car:
        car.connect()
        car.send(Pubrel(9))
        reason = Reason.PACKET_IDENTIFIER_NOT_FOUND if level is ProtocolLevel.V5 else Reason.SUCCESS
        assert car.expect(Pubcomp) == Pubcomp(9, reason)


def test_a_refused_message_leaves_its_identifier_free(door: RunningDoor) -> None:
    with Client(door.port) as car:
        car.connect()
        car.send(Publish(f"v/{OTHER}/telemetry", b"x", 2, 7))
        assert car.expect(Pubrec).reason is Reason.NOT_AUTHORIZED
        car.publish_once(TELEMETRY, b"mine", 7)
    assert payloads(door) == [b"mine"]


def test_a_message_that_could_not_be_stored_is_not_known(door: RunningDoor) -> None:
    with Client(door.port) as car:
        resume(car)
        door.writer.hold()
        car.send(Publish(TELEMETRY, b"one", 2, 7))
        assert door.writer.appended.wait(10)
        door.writer.fail()
        assert car.closed_with() is Reason.IMPLEMENTATION_SPECIFIC_ERROR
    with Client(door.port) as car:
        assert resume(car)
        car.send(Publish(TELEMETRY, b"one", 2, 7, dup=True))
        assert car.expect(Pubrec) == Pubrec(7)
    assert payloads(door) == [b"one"]


def test_a_full_disk_refuses_and_frees_the_identifier(door: RunningDoor) -> None:
    with Client(door.port) as car:
        resume(car)
        door.writer.hold()
        car.send(Publish(TELEMETRY, b"refused", 2, 7))
        assert door.writer.appended.wait(10)
        door.writer.fail(LogFullError("the test filled the disk"))
        assert car.expect(Pubrec).reason is Reason.QUOTA_EXCEEDED
        car.publish_once(TELEMETRY, b"stored", 7)
    assert payloads(door) == [b"stored"]


# --- to clients ----------------------------------------------------------------------------------


def publish(door: RunningDoor, *messages: bytes) -> None:
    with Client(door.port) as car:
        car.connect()
        for payload in messages:
            car.publish_once(TELEMETRY, payload)


def listener(door: RunningDoor, level: ProtocolLevel = ProtocolLevel.V5) -> Client:
    client = Client(door.port, level)
    if not resume(client, OPERATOR, "people"):
        assert client.subscribe("v/#", qos=2) == (Reason.GRANTED_QOS_2,)
    return client


@LEVELS
def test_a_message_is_delivered_by_the_whole_exchange(
    door: RunningDoor, level: ProtocolLevel
) -> None:
    with listener(door, level) as people:
        publish(door, b"one", b"two")
        first, second = people.take(), people.take()
        assert [(each.payload, each.qos) for each in (first, second)] == [(b"one", 2), (b"two", 2)]
        assert [each.dup for each in (first, second)] == [False, False]
        assert people.is_silent()


def test_before_pubrec_the_message_is_sent_again_and_after_it_the_release(
    door: RunningDoor,
) -> None:
    with listener(door) as people:
        publish(door, b"one", b"two")
        one, two = people.expect(Publish), people.expect(Publish)
        people.send(Pubrec(one.packet_id))
        assert people.expect(Pubrel) == Pubrel(one.packet_id)
    with listener(door) as people:
        assert people.expect(Pubrel) == Pubrel(one.packet_id)
        assert people.expect(Publish) == replace(two, dup=True)
        people.send(Pubcomp(one.packet_id))
        people.send(Pubrec(two.packet_id))
        assert people.expect(Pubrel) == Pubrel(two.packet_id)
        people.send(Pubcomp(two.packet_id))
        assert people.is_silent()


def test_no_exchange_that_has_begun_expires(door: RunningDoor) -> None:
    """[MQTT-4.3.3-7] to clients, [MQTT-4.3.3-13] from them."""
    soon = encode_bare(Properties(message_expiry_s=1), Place.PUBLISH)
    message = Publish(TELEMETRY, b"one", 2, 7, properties=soon)
    with Client(door.port) as car, listener(door) as people:
        resume(car)
        car.send(message)
        assert car.expect(Pubrec) == Pubrec(7)
        sent = people.expect(Publish)
        people.socket.close()
        assert car.is_silent(2.2)
        car.send(replace(message, dup=True))
        assert car.expect(Pubrec) == Pubrec(7)
        car.send(Pubrel(7))
        assert car.expect(Pubcomp) == Pubcomp(7)
        with listener(door) as again:
            message = again.take()
            gone = encode_bare(Properties(message_expiry_s=0), Place.PUBLISH)
            assert message == replace(sent, dup=True, properties=gone)
            assert again.is_silent()


def test_exchanges_go_on_after_a_crash(door: RunningDoor, tmp_path: Path) -> None:
    """Fails when PUBLISH or PUBREL leaves before the journal has it: one is delivered twice."""
    with listener(door) as people:
        publish(door, b"done", b"released", b"sent")
        done, released, sent = (people.expect(Publish) for _ in range(3))
        for each in (done, released):
            people.send(Pubrec(each.packet_id))
            assert people.expect(Pubrel) == Pubrel(each.packet_id)
        people.send(Pubcomp(done.packet_id))
        settle(people)
        door.call(_written(door))
        with door.crashed(tmp_path / "second") as after, listener(after) as again:
            assert again.expect(Pubrel) == Pubrel(released.packet_id)
            assert again.expect(Publish) == replace(sent, dup=True)
            again.send(Pubcomp(released.packet_id))
            again.send(Pubrec(sent.packet_id))
            assert again.expect(Pubrel) == Pubrel(sent.packet_id)
            again.send(Pubcomp(sent.packet_id))
            publish(after, b"new")
            assert again.take().payload == b"new"
            assert again.is_silent()


def test_complete_exchanges_are_forgotten_once_the_cursor_has_passed(door: RunningDoor) -> None:
    with listener(door) as people:
        publish(door, *(b"%d" % number for number in range(5)))
        for _ in range(5):
            people.take()
        settle(people)
        publish(door, b"last")  # moves the router on
        people.take()
        settle(people)
        sessions = door.door._sessions
        (session,) = [each for each in sessions if each.key.endswith("people")]

        async def swept() -> int:
            sessions.sweep(door.clock.now_us(), door.door._router.position)
            return len(session.window.done)

        assert door.call(swept()) <= 1
        door.call(_written(door))
        assert len(door.door._store.load_exchanges()) <= 1  # type: ignore[attr-defined]


def test_a_client_that_refuses_ends_the_exchange(door: RunningDoor) -> None:
    with listener(door) as people:
        publish(door, b"one")
        message = people.expect(Publish)
        people.send(Pubrec(message.packet_id, Reason.QUOTA_EXCEEDED))
        publish(door, b"two")
        assert people.take().payload == b"two"


def test_pubrec_for_something_unknown_is_answered(door: RunningDoor) -> None:
    with listener(door) as people:
        people.send(Pubrec(99))
        assert people.expect(Pubrel) == Pubrel(99, Reason.PACKET_IDENTIFIER_NOT_FOUND)


def test_a_smaller_receive_maximum_holds_back_what_is_sent_again(door: RunningDoor) -> None:
    with listener(door) as people:
        publish(door, b"1", b"2", b"3")
        for _ in range(3):
            people.expect(Publish)
    with Client(door.port) as people:
        people.connect(OPERATOR, "people", clean_start=False, session_expiry_s=60, receive_max=1)
        for payload in (b"1", b"2", b"3"):
            message = people.expect(Publish)
            assert (message.payload, message.dup) == (payload, True)
            people.send(Pubrec(message.packet_id))
            assert people.expect(Pubrel).packet_id == message.packet_id
            assert people.is_silent(0.1)
            people.send(Pubcomp(message.packet_id))


async def _written(door: RunningDoor) -> None:
    """Wait for the store."""
    await asyncio.wrap_future(door.door._store.remove("nobody"))
