"""Rules of the standard that a peer can see, as raw packets against an open broker.

Each test names the statements that it shows; `docs/protocols/mqtt-statements.md` lists them all.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from motorcade.wire.mqtt.connect import Connack, Connect, Will
from motorcade.wire.mqtt.packets import encode_packet
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    decode_properties,
    encode_bare,
)
from motorcade.wire.mqtt.publish import Puback, Pubcomp, Publish, Pubrec, Pubrel
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Disconnect, Pingreq, Pingresp
from motorcade.wire.mqtt.subscribe import (
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from tests.gateway.mqtt.guests import LEVELS, Guests, open_broker
from tests.gateway.mqtt.harness import RunningDoor
from tests.gateway.mqtt.wire_client import Client

V3, V5 = LEVELS
BOTH = pytest.mark.parametrize("level", LEVELS, ids=["3.1.1", "5"])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDoor]:
    with open_broker(tmp_path_factory.mktemp("rules")) as running:
        yield running


@pytest.fixture
def guests(broker: RunningDoor) -> Iterator[Guests]:
    with ExitStack() as stack:
        yield Guests(broker, stack)


def properties(**values: object) -> bytes:
    return encode_bare(Properties(**values), Place.PUBLISH)  # type: ignore[arg-type]


# --- CONNECT, CONNACK ----------------------------------------------------------------------------


@BOTH
def test_a_second_connect_ends_the_connection(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.1.0-2]"""
    client = guests.client(level)
    client.send(Connect("again", level))
    assert client.closed_with() is (Reason.PROTOCOL_ERROR if level is V5 else None)


@BOTH
def test_without_a_client_id_each_gets_one_of_its_own(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.1.3-6], [MQTT-3.2.2-16]; 3.1.1: [MQTT-3.1.3-6]"""
    first, second = guests.stranger(level), guests.stranger(level)
    answers = [each.connect("", "", None) for each in (first, second)]
    assert [answer.reason for answer in answers] == [Reason.SUCCESS] * 2
    if level is V5:
        assigned = {answer.properties.assigned_client_id for answer in answers}
        assert len(assigned) == 2
        assert None not in assigned
    first.send(Pingreq())  # was not taken over by the second
    assert first.expect(Pingresp)


def test_3_1_1_wants_an_id_for_a_session_that_lasts(guests: Guests) -> None:
    """3.1.1: [MQTT-3.1.3-8]"""
    client = guests.stranger(V3)
    client.socket.sendall(b"\x10\x0c\x00\x04MQTT\x04\x00\x00\x00\x00\x00")
    assert client.expect(Connack).reason is Reason.CLIENT_IDENTIFIER_NOT_VALID
    assert client.receive() is None


@BOTH
@pytest.mark.parametrize("client_id", ["Z", "0123456789abcdefghijkLM"])
def test_short_ids_are_taken(guests: Guests, level: ProtocolLevel, client_id: str) -> None:
    """[MQTT-3.1.3-5]; 3.1.1: [MQTT-3.1.3-5]"""
    assert guests.stranger(level).connect("", client_id, None).reason is Reason.SUCCESS


def lasting(level: ProtocolLevel) -> dict[str, int]:
    return {"session_expiry_s": 60} if level is V5 else {}


@BOTH
def test_session_present_tells_whether_there_was_one(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.1.2-4], [MQTT-3.1.2-5], [MQTT-3.1.2-6], [MQTT-3.2.2-2], [MQTT-3.2.2-3]"""
    name = f"present-{level}"
    seen = []
    for clean in (True, False, False, True, False):
        client = guests.stranger(level)
        answer = client.connect("", name, None, clean_start=clean, **lasting(level))
        seen.append(answer.session_present)
        client.disconnect()
    # 3.1.1: a session with clean session 1 ends with its connection
    ends_clean = level is V3
    assert seen == [False, not ends_clean, True, False, not ends_clean]


@BOTH
def test_what_stands_behind_a_refused_connect_is_not_read(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.1.4-6], [MQTT-3.2.2-6], [MQTT-3.2.2-7]; 3.1.1: [MQTT-3.1.4-5], [MQTT-3.2.2-5]"""
    _, hearer = guests.pair(level)
    refused = guests.stranger(level)
    if level is V5:
        wrong = encode_packet(
            Connect("x", V5, properties=Properties(authentication_method="unknown")), V5
        )
    else:
        wrong = b"\x10\x0d\x00\x04MQTT\x03\x02\x00\x00\x00\x01x"
    message = encode_packet(Publish(f"{guests.topic}/behind", b"x"), level)
    refused.socket.sendall(wrong + message)
    answer = refused.expect(Connack)
    assert answer.reason >= Reason.UNSPECIFIED_ERROR
    assert not answer.session_present
    assert refused.receive() is None
    assert hearer.is_silent()


@pytest.mark.parametrize(
    "wire",
    [
        b"\x10\x0d\x00\x04MQTT\x04\x03\x00\x00\x00\x01x",  # the reserved flag
        b"\x10\x0d\x00\x04MQTX\x04\x02\x00\x00\x00\x01x",  # another protocol
        b"\x10\x0d\x00\x04MQTT\x04\x42\x00\x00\x00\x01x",  # a password and no user name
        b"\x10\x0d\x00\x04MQTT\x04\x0a\x00\x00\x00\x01x",  # a will QoS and no will
        b"\x10\x0d\x00\x04MQTT\x04\x22\x00\x00\x00\x01x",  # a will retain and no will
        b"\x10\x12\x00\x04MQTT\x04\x1e\x00\x00\x00\x01x\x00\x01w\x00\x00",  # a will of QoS 3
        b"\x10\x0d\x00\x04MQTT\x04\x06\x00\x00\x00\x01x",  # a will without topic and payload
        b"\x10\x10\x00\x04MQTT\x04\x06\x00\x00\x00\x01x\x00\x01w",  # a will without payload
        b"\x10\x0d\x00\x04MQTT\x04\x82\x00\x00\x00\x01x",  # a user name that is not there
        b"\x10\x10\x00\x04MQTT\x04\x02\x00\x00\x00\x01x\x00\x01u",  # one that nobody announced
        b"\x10\x10\x00\x04MQTT\x04\xc2\x00\x00\x00\x01x\x00\x01u",  # no password, announced
        b"\x10\x13\x00\x04MQTT\x04\x82\x00\x00\x00\x01x\x00\x01u\x00\x01p",  # or the reverse
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x01",  # the client id is cut
        b"\x11\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01x",  # flags of the fixed header
        b"\x30\x03\x00\x01a",  # a PUBLISH first
    ],
)
def test_a_broken_connect_ends_the_connection_unanswered(guests: Guests, wire: bytes) -> None:
    """[MQTT-3.1.4-1], [MQTT-3.1.2-1], [MQTT-3.1.2-3], [MQTT-2.1.3-1], [MQTT-3.1.0-1]; 3.1.1:
    [MQTT-3.1.2-9], [MQTT-3.1.2-14], [MQTT-3.1.2-18], [MQTT-3.1.2-19], [MQTT-3.1.2-20],
    [MQTT-3.1.2-21], [MQTT-3.1.2-22]"""
    client = guests.stranger(V3)
    client.socket.sendall(wire)
    assert client.receive() is None


@pytest.mark.parametrize("version", [3, 6, 99])
def test_an_unknown_version_is_answered_in_words_it_may_know(guests: Guests, version: int) -> None:
    """[MQTT-3.1.2-2]; 3.1.1: [MQTT-3.1.2-2]"""
    client = guests.stranger(V3 if version < 5 else V5)
    client.socket.sendall(b"\x10\x0d\x00\x04MQTT" + bytes((version,)) + b"\x02\x00\x00\x00\x01x")
    assert client.expect(Connack).reason is Reason.UNSUPPORTED_PROTOCOL_VERSION
    assert client.receive() is None


def test_no_response_information_is_sent_unasked(guests: Guests) -> None:
    """[MQTT-3.1.2-28]"""
    answer = guests.stranger().connect("", "asks-nothing", None, request_response_information=0)
    assert answer.properties.response_information is None


def test_keep_alive_is_told_when_it_is_not_the_clients(guests: Guests) -> None:
    """[MQTT-3.2.2-21], [MQTT-3.1.2-21]"""
    answer = guests.stranger().connect("", "patient", None, keep_alive_s=60_000)
    assert answer.properties.server_keep_alive_s == 1_200


def test_auth_without_a_method_is_an_error(guests: Guests) -> None:
    """[MQTT-4.12.0-6], [MQTT-4.12.0-7]"""
    client = guests.client()
    client.socket.sendall(b"\xf0\x00")
    assert client.closed_with() is Reason.PROTOCOL_ERROR


# --- flags and packet identifiers ----------------------------------------------------------------

BAD_FLAGS = {
    "pubrel": b"\x60\x02\x00\x01",
    "subscribe": b"\x80\x06\x00\x01\x00\x01a\x00",
    "unsubscribe": b"\xa0\x05\x00\x01\x00\x01a",
    "pingreq": b"\xc1\x00",
    "disconnect": b"\xe1\x00",
    "puback": b"\x41\x02\x00\x01",
    "qos 3": b"\x36\x06\x00\x01a\x00\x01x",
    "packet id 0": b"\x32\x05\x00\x01a\x00\x00",
    "wildcard": b"\x30\x03\x00\x01#",
    "no topic": b"\x30\x02\x00\x00",
    "no filters": b"\x82\x02\x00\x01",
    "no filters to end": b"\xa2\x02\x00\x01",
    "reserved option": b"\x82\x06\x00\x01\x00\x01a\x04",
    "nul": b"\x30\x03\x00\x01\x00",
    "surrogate": b"\x30\x05\x00\x03\xed\xa0\x80",
    "# in the middle": b"\x82\x0a\x00\x01\x00\x05a/#/b\x00",
    "+ beside": b"\x82\x07\x00\x01\x00\x02a+\x00",
}


@pytest.mark.parametrize("wire", BAD_FLAGS.values(), ids=BAD_FLAGS.keys())
def test_what_the_standard_forbids_ends_the_connection(guests: Guests, wire: bytes) -> None:
    """3.1.1: [MQTT-2.2.2-1], [MQTT-2.2.2-2], [MQTT-4.8.0-1], [MQTT-3.8.3-4], [MQTT-1.5.3-1]"""
    client = guests.client(V3)
    client.socket.sendall(wire)
    assert client.receive() is None


@pytest.mark.parametrize("first", [0x41, 0x51, 0x60, 0x71, 0x80, 0xA0, 0xC1, 0xE1, 0xF1])
def test_reserved_flags_are_malformed(guests: Guests, first: int) -> None:
    """[MQTT-2.1.3-1], [MQTT-3.6.1-1], [MQTT-3.8.1-1], [MQTT-3.10.1-1], [MQTT-3.14.1-1],
    [MQTT-3.15.1-1]"""
    client = guests.client()
    client.socket.sendall(bytes((first, 0)))
    assert client.closed_with() is Reason.MALFORMED_PACKET


@BOTH
def test_answers_carry_the_packet_identifier_of_what_they_answer(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-2.2.1-5], [MQTT-2.2.1-6], [MQTT-3.8.4-1], [MQTT-3.8.4-2], [MQTT-3.10.4-4],
    [MQTT-3.10.4-5], [MQTT-3.3.4-1], [MQTT-3.12.4-1]"""
    client = guests.client(level)
    client.send(Subscribe(517, (Subscription("some/filter"),)))
    assert client.expect(Suback).packet_id == 517
    client.send(Unsubscribe(518, ("some/filter",)))
    assert client.expect(Unsuback).packet_id == 518
    client.send(Unsubscribe(519, ("never/subscribed",)))
    assert client.expect(Unsuback).packet_id == 519
    client.publish(guests.topic, packet_id=65_535)
    assert client.expect(Puback).packet_id == 65_535
    client.send(Publish(guests.topic, b"x", 2, 1))
    assert client.expect(Pubrec).packet_id == 1
    client.send(Pubrel(1))
    assert client.expect(Pubcomp).packet_id == 1
    client.send(Pingreq())
    assert client.expect(Pingresp)


# --- PUBLISH -------------------------------------------------------------------------------------


@BOTH
def test_dup_is_not_passed_on(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.3.1-3], [MQTT-4.3.2-2]"""
    sender, hearer = guests.pair(level)
    sender.publish(f"{guests.topic}/a", dup=True)
    assert not hearer.take().dup


@BOTH
def test_topics_reach_subscribers_letter_by_letter(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-1.5.4-3], [MQTT-4.7.3-4], [MQTT-3.3.2-3], [MQTT-4.7.3-1]"""
    sender, hearer = guests.pair(level)
    endings = ["\ufeffa", "A", "a", " a ", "/", "", "e\u0301", "\u00e9"]
    for ending in endings:
        sender.publish(f"{guests.topic}/{ending}")
    assert [hearer.take().topic for _ in endings] == [f"{guests.topic}/{end}" for end in endings]
    exact = guests.client(level)
    exact.subscribe(f"{guests.topic}/x/e\u0301")
    sender.publish(f"{guests.topic}/x/\u00e9")
    assert exact.is_silent()


@BOTH
def test_wildcards_at_the_front_do_not_see_dollar_topics(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-4.7.2-1]"""
    sender, wide, named = (guests.client(level) for _ in range(3))
    wide.subscribe("#")
    wide.subscribe("+/rules/dollar")
    named.subscribe("$mine/rules/#")
    sender.publish("$mine/rules/dollar", b"hidden")
    assert named.take().payload == b"hidden"
    sender.publish("mine/rules/dollar", b"seen")
    while (message := wide.take()).topic != "mine/rules/dollar":  # "#" hears other tests too
        assert not message.topic.startswith("$")


def test_properties_of_a_message_reach_subscribers_unaltered(guests: Guests) -> None:
    """[MQTT-3.3.2-4], [MQTT-3.3.2-15], [MQTT-3.3.2-16], [MQTT-3.3.2-17], [MQTT-3.3.2-18],
    [MQTT-3.3.2-20]"""
    sender, hearer = guests.pair()
    sent = {
        "payload_format": 1,
        "content_type": "text/plain",
        "response_topic": "reply/here",
        "correlation_data": b"\x00\x01\xff",
        "user": (("b", "1"), ("a", "2"), ("b", "3"), ("", "")),
    }
    sender.publish(f"{guests.topic}/a", properties=properties(**sent))
    heard = hearer.take()
    assert heard.properties == properties(**sent)


def test_the_time_a_message_has_left_is_told(guests: Guests) -> None:
    """[MQTT-3.3.2-6]"""
    sender, hearer = guests.pair()
    sender.publish(f"{guests.topic}/a", properties=properties(message_expiry_s=100))
    left_s = decode_properties(hearer.take().properties, Place.PUBLISH).message_expiry_s
    assert left_s is not None
    assert 60 < left_s <= 100


def test_a_client_names_no_subscription_in_a_publish(guests: Guests) -> None:
    """[MQTT-3.3.4-6]"""
    client = guests.client()
    client.socket.sendall(b"\x30\x06\x00\x01a\x02\x0b\x01")
    assert client.closed_with() is Reason.PROTOCOL_ERROR


@BOTH
def test_a_message_without_retain_leaves_what_is_retained(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.3.1-8], [MQTT-3.3.1-5]; 3.1.1: [MQTT-3.3.1-12], [MQTT-3.3.1-6], [MQTT-3.3.1-8]"""
    sender = guests.client(level)
    for payload, retain in ((b"old", True), (b"kept", True), (b"passing", False)):
        sender.publish(f"{guests.topic}/a", payload, retain=retain)
        sender.expect(Puback)
    later = guests.client(level)
    later.subscribe(f"{guests.topic}/#")
    message = later.take()
    assert (message.payload, message.retain) == (b"kept", True)
    assert later.is_silent()
    sender.publish(f"{guests.topic}/a", b"", retain=True)
    assert later.take().retain is False  # it was subscribed already


# --- QoS -----------------------------------------------------------------------------------------


@BOTH
def test_after_puback_the_identifier_is_a_new_message(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-4.3.2-5], [MQTT-4.3.2-4]"""
    sender, hearer = guests.pair(level)
    for payload in (b"1", b"2"):
        sender.publish(f"{guests.topic}/a", payload, packet_id=9)
        assert sender.expect(Puback).packet_id == 9
    assert [hearer.take().payload for _ in range(2)] == [b"1", b"2"]


@BOTH
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_of_a_topic_keep_their_order(
    guests: Guests, level: ProtocolLevel, qos: int
) -> None:
    """[MQTT-4.6.0-5], [MQTT-4.6.0-6]; 3.1.1: [MQTT-4.6.0-2], [MQTT-4.6.0-3], [MQTT-4.6.0-6]"""
    sender, hearer = guests.pair(level, qos=2)
    numbers = range(1, 31)
    for number in numbers:
        packet_id = number if qos else None
        sender.send(Publish(f"{guests.topic}/a", b"%d" % number, qos, packet_id))
    if qos:
        kind = Puback if qos == 1 else Pubrec
        assert [sender.expect(kind).packet_id for _ in numbers] == list(numbers)
    assert received(hearer, 30) == [b"%d" % number for number in numbers]


def received(client: Client, count: int) -> list[bytes]:
    """Payloads, in order, each exchange completed."""
    payloads: list[bytes] = []
    while len(payloads) < count:
        packet = client.receive()
        if isinstance(packet, Publish):
            payloads.append(packet.payload)
            if packet.qos == 1:
                client.puback(packet)
            elif packet.packet_id is not None:
                client.send(Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            client.send(Pubcomp(packet.packet_id))
        else:
            raise AssertionError(packet)
    return payloads


@BOTH
def test_releases_come_in_the_order_of_what_they_answer(
    guests: Guests, level: ProtocolLevel
) -> None:
    """3.1.1: [MQTT-4.6.0-4]"""
    sender, hearer = guests.pair(level, qos=2)
    for number in range(1, 9):
        sender.send(Publish(f"{guests.topic}/a", b"x", 2, number))
    packet_ids = [hearer.expect(Publish).packet_id for _ in range(8)]
    turned = packet_ids[::2] + packet_ids[1::2][::-1]  # not the order in which they came
    for packet_id in turned:
        hearer.send(Pubrec(packet_id))
    assert [hearer.expect(Pubrel).packet_id for _ in turned] == turned


@BOTH
def test_identifiers_in_flight_differ_and_nothing_is_resent_unasked(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.4.0-1], [MQTT-4.3.2-3]; 3.1.1: [MQTT-2.3.1-4]"""
    sender, hearer = guests.pair(level)
    for number in range(1, 9):
        sender.publish(f"{guests.topic}/a", packet_id=number)
    messages = [hearer.expect(Publish) for _ in range(8)]
    assert len({message.packet_id for message in messages} - {0, None}) == 8
    assert not any(message.dup for message in messages)
    assert hearer.is_silent(1.0)


@BOTH
def test_what_was_not_acknowledged_comes_again_as_it_was(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.3.1-1], [MQTT-4.4.0-1]; 3.1.1: [MQTT-2.3.1-3], [MQTT-4.6.0-1]"""
    sender = guests.client(level)
    name = f"again-{level}"
    hearer = guests.client(level, name, clean_start=False, **lasting(level))
    hearer.subscribe(f"{guests.topic}/#")
    for payload in (b"1", b"2"):
        sender.publish(f"{guests.topic}/a", payload)
    first = [hearer.expect(Publish) for _ in range(2)]
    hearer.socket.close()
    again = guests.client(level, name, clean_start=False, **lasting(level))
    second = [again.take() for _ in range(2)]
    assert all(message.dup for message in second)
    ids = [(message.packet_id, message.payload) for message in second]
    assert ids == [(message.packet_id, message.payload) for message in first]


def test_an_error_from_the_subscriber_counts_as_its_answer(guests: Guests) -> None:
    """[MQTT-4.4.0-2], [MQTT-4.13.2-1]"""
    sender = guests.client()
    hearer = guests.client(client_id="refuses", session_expiry_s=60)
    hearer.subscribe(f"{guests.topic}/#")
    sender.publish(f"{guests.topic}/a", b"refused")
    packet_id = hearer.expect(Publish).packet_id
    hearer.send(Puback(packet_id, Reason.UNSPECIFIED_ERROR))
    hearer.send(Pingreq())
    assert hearer.expect(Pingresp)
    hearer.disconnect()
    again = guests.client(client_id="refuses", clean_start=False, session_expiry_s=60)
    assert again.is_silent()


def test_at_the_receive_maximum_only_publishes_wait(guests: Guests) -> None:
    """[MQTT-3.3.4-9], [MQTT-3.3.4-10], [MQTT-4.9.0-1], [MQTT-4.9.0-2], [MQTT-4.9.0-3]"""
    sender = guests.client()
    hearer = guests.client(receive_max=2)
    hearer.subscribe(f"{guests.topic}/#")
    for number in range(1, 6):
        sender.publish(f"{guests.topic}/a", b"%d" % number, packet_id=number)
        sender.expect(Puback)
    held = [hearer.expect(Publish) for _ in range(2)]
    assert hearer.is_silent()
    hearer.send(Pingreq())
    assert hearer.expect(Pingresp)
    hearer.send(Unsubscribe(7, ("other",)))
    assert hearer.expect(Unsuback)
    hearer.puback(held[0])
    assert hearer.expect(Publish).payload == b"3"
    hearer.puback(held[1])
    assert hearer.expect(Publish).payload == b"4"


# --- topic aliases -------------------------------------------------------------------------------


def test_an_alias_stands_for_the_topic_it_was_given_last(guests: Guests) -> None:
    """[MQTT-3.3.2-12], [MQTT-3.3.2-7]"""
    sender = guests.stranger()
    answer = sender.connect("", "aliases", None, session_expiry_s=60)
    most = answer.properties.topic_alias_max
    assert most
    hearer = guests.client()
    hearer.subscribe(f"{guests.topic}/#")
    for topic, alias in (("a", 1), ("", 1), ("b", 1), ("", 1), ("c", most), ("", 1), ("", most)):
        name = f"{guests.topic}/{topic}" if topic else ""
        sender.publish(name, properties=properties(topic_alias=alias))
        assert sender.expect(Puback).reason is Reason.SUCCESS
    topics = [hearer.take().topic.rpartition("/")[2] for _ in range(7)]
    assert topics == ["a", "a", "b", "b", "c", "b", "c"]
    again = guests.stranger()  # mappings belong to one connection
    answer = again.connect("", "aliases", None, clean_start=False, session_expiry_s=60)
    assert answer.session_present
    again.publish("", properties=properties(topic_alias=1))
    assert again.closed_with() in (Reason.PROTOCOL_ERROR, Reason.TOPIC_ALIAS_INVALID)


@pytest.mark.parametrize("beyond", [None, 1, 65_000])
def test_an_alias_out_of_range_ends_the_connection(guests: Guests, beyond: int | None) -> None:
    """[MQTT-3.3.2-8], [MQTT-3.3.2-9], [MQTT-3.2.2-17]"""
    alias = guests.door.config.mqtt.topic_alias_max + beyond if beyond else 0
    sender = guests.client()
    sender.socket.sendall(b"\x30\x07\x00\x01a\x03\x23" + alias.to_bytes(2, "big"))
    assert sender.closed_with() in (Reason.PROTOCOL_ERROR, Reason.TOPIC_ALIAS_INVALID)


@pytest.mark.parametrize("most", [None, 2])
def test_aliases_to_a_client_keep_below_its_maximum(guests: Guests, most: int | None) -> None:
    """[MQTT-3.1.2-26], [MQTT-3.1.2-27], [MQTT-3.3.2-11]"""
    sender = guests.client()
    hearer = guests.client(topic_alias_max=most) if most else guests.client()
    hearer.subscribe(f"{guests.topic}/#")
    known: dict[int, str] = {}
    wanted = [f"{guests.topic}/{number % 4}" for number in range(12)]
    for topic in wanted:
        sender.publish(topic)
    heard = []
    for _ in wanted:
        message = hearer.take()
        carried = message.properties
        alias = decode_properties(carried, Place.PUBLISH).topic_alias if carried else None
        if alias is not None:
            assert 0 < alias <= (most or 0)
            if message.topic:
                known[alias] = message.topic
        heard.append(message.topic or known[alias or 0])
    assert heard == wanted


# --- SUBSCRIBE, UNSUBSCRIBE ----------------------------------------------------------------------


@BOTH
def test_each_filter_gets_its_answer_in_order(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.8.4-5], [MQTT-3.8.4-6], [MQTT-3.8.4-7], [MQTT-3.9.3-1], [MQTT-3.9.3-2]"""
    client = guests.client(level)
    wanted = tuple(Subscription(f"{guests.topic}/{qos}", qos) for qos in (2, 0, 1))
    client.send(Subscribe(1, wanted))
    assert [int(reason) for reason in client.expect(Suback).reasons] == [2, 0, 1]


@BOTH
def test_the_same_filter_again_replaces_the_subscription(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.8.4-3], [MQTT-3.8.4-4]; 3.1.1: [MQTT-3.8.4-3]"""
    sender, hearer = guests.pair(level, qos=0)
    sender.publish(f"{guests.topic}/a", b"kept", retain=True)
    assert hearer.take().qos == 0
    hearer.send(Subscribe(2, (Subscription(f"{guests.topic}/#", 1),)))
    packets = [hearer.receive(), hearer.receive()]  # the standard allows both orders
    (again,) = (packet for packet in packets if isinstance(packet, Publish))
    assert (again.payload, again.retain, again.qos) == (b"kept", True, 1)
    hearer.puback(again)
    sender.publish(f"{guests.topic}/a", b"once")
    assert hearer.take().payload == b"once"
    assert hearer.is_silent()


@BOTH
def test_delivery_is_at_the_lower_of_both_qos(guests: Guests, level: ProtocolLevel) -> None:
    """[MQTT-3.8.4-8], [MQTT-4.3.1-1]; 3.1.1: [MQTT-3.8.4-6]"""
    sender = guests.client(level)
    for granted in (0, 1):
        hearer = guests.client(level)
        hearer.subscribe(f"{guests.topic}/#", qos=granted)
        for qos in (0, 1):
            sender.publish(f"{guests.topic}/a", packet_id=qos or None)
            message = hearer.take()
            assert (message.qos, message.dup) == (min(granted, qos), False)


@BOTH
def test_after_unsubscribe_nothing_new_comes_and_what_is_in_flight_ends(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.10.4-1], [MQTT-3.10.4-2], [MQTT-3.10.4-3], [MQTT-3.10.4-6], [MQTT-3.11.3-1]"""
    sender, hearer = guests.pair(level)
    sender.publish(f"{guests.topic}/a", b"in flight")
    message = hearer.expect(Publish)
    hearer.send(Unsubscribe(3, (f"{guests.topic}/#", f"{guests.topic}/+", f"{guests.topic}/#")))
    answer = hearer.expect(Unsuback)
    if level is V5:
        nothing = Reason.NO_SUBSCRIPTION_EXISTED
        assert answer.reasons == (Reason.SUCCESS, nothing, nothing)
    hearer.puback(message)
    sender.publish(f"{guests.topic}/a", b"unwanted")
    assert hearer.is_silent()


def test_overlapping_filters_give_the_highest_qos(guests: Guests) -> None:
    """[MQTT-3.3.4-2], [MQTT-3.3.4-4]; 3.1.1: [MQTT-3.3.5-1]"""
    sender, hearer = guests.client(V3), guests.client(V3)
    hearer.subscribe(f"{guests.topic}/#", qos=0)
    hearer.subscribe(f"{guests.topic}/a", qos=1)
    sender.publish(f"{guests.topic}/a")
    assert hearer.take().qos == 1


def test_no_local_is_no_option_of_a_share(guests: Guests) -> None:
    """[MQTT-3.8.3-4]"""
    client = guests.client()
    client.socket.sendall(b"\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04")
    assert client.closed_with() in (Reason.PROTOCOL_ERROR, Reason.MALFORMED_PACKET)


# --- DISCONNECT, wills ---------------------------------------------------------------------------


@BOTH
def test_a_goodbye_takes_the_will_back_and_ends_all_reading(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.14.4-3], [MQTT-3.1.2-8], [MQTT-3.1.2-10]; 3.1.1: [MQTT-3.14.4-3], [MQTT-3.1.2-10]"""
    _, hearer = guests.pair(level)
    leaving = guests.client(level, will=Will(f"{guests.topic}/will", b"gone", 1))
    behind = encode_packet(Publish(f"{guests.topic}/behind", b"x"), level)
    leaving.socket.sendall(encode_packet(Disconnect(), level) + behind)
    assert leaving.receive() is None
    assert hearer.is_silent()


@BOTH
def test_a_will_is_published_once_when_the_connection_breaks(
    guests: Guests, level: ProtocolLevel
) -> None:
    """[MQTT-3.1.2-7], [MQTT-3.1.2-14], [MQTT-3.1.3-10]; 3.1.1: [MQTT-3.1.2-8], [MQTT-3.1.2-16]"""
    _, hearer = guests.pair(level)
    told = Properties(user=(("b", "1"), ("a", "2"))) if level is V5 else NO_PROPERTIES
    broken = guests.client(level, will=Will(f"{guests.topic}/will", b"gone", 1, properties=told))
    broken.socket.sendall(b"\xff\xff")
    message = hearer.take()
    assert (message.payload, message.retain) == (b"gone", False)
    if level is V5:
        assert message.properties == properties(user=told.user)
    assert hearer.is_silent()
    later = guests.client(level)
    later.subscribe(f"{guests.topic}/#")
    assert later.is_silent()  # it is not retained


@BOTH
def test_who_gives_no_will_leaves_none(guests: Guests, level: ProtocolLevel) -> None:
    """3.1.1: [MQTT-3.1.2-12]; nor that of the session's connection before"""
    _, hearer = guests.pair(level)
    name = f"no-will-{level}"
    options = {"clean_start": False, **lasting(level)}
    will = Will(f"{guests.topic}/will", b"gone", 1)
    guests.client(level, name, will=will, **options).disconnect()
    broken = guests.client(level, name, **options)
    broken.socket.sendall(b"\xff\xff")
    assert broken.closed_with() is (Reason.MALFORMED_PACKET if level is V5 else None)
    assert hearer.is_silent()


def test_a_goodbye_may_leave_the_will(guests: Guests) -> None:
    """[MQTT-3.1.2-8]"""
    _, hearer = guests.pair()
    leaving = guests.client(will=Will(f"{guests.topic}/will", b"gone", 1))
    leaving.send(Disconnect(Reason.DISCONNECT_WITH_WILL))
    assert hearer.take().payload == b"gone"


def test_who_comes_back_in_time_has_left_no_will(guests: Guests) -> None:
    """[MQTT-3.1.3-9]"""
    _, hearer = guests.pair()
    delayed = Will(f"{guests.topic}/will", b"gone", 1, properties=Properties(will_delay_s=1))
    options = {"client_id": "delayed", "clean_start": False, "session_expiry_s": 60}
    guests.client(will=delayed, **options).socket.close()
    back = guests.client(**options)
    assert hearer.is_silent(2.5)
    back.disconnect()
    guests.client(will=delayed, **options).socket.close()
    assert hearer.take().payload == b"gone"


def test_nothing_follows_our_goodbye(guests: Guests) -> None:
    """[MQTT-3.14.4-1], [MQTT-3.14.4-2], [MQTT-4.13.1-1], [MQTT-3.1.4-3]"""
    sender = guests.client()
    old = guests.client(client_id="taken-over", session_expiry_s=60)
    old.subscribe(f"{guests.topic}/#")
    guests.client(client_id="taken-over", session_expiry_s=60, clean_start=False)
    sender.publish(f"{guests.topic}/a")
    assert old.closed_with() is Reason.SESSION_TAKEN_OVER


# --- reason strings ------------------------------------------------------------------------------


def refused_publish(client: Client) -> Puback:
    client.publish("/".join("x" * 40))  # deeper than `mqtt.topic_levels_max`
    answer: Puback = client.expect(Puback)
    assert answer.reason is Reason.TOPIC_NAME_INVALID
    return answer


def test_who_wants_no_texts_gets_them_in_goodbyes_alone(guests: Guests) -> None:
    """[MQTT-3.1.2-29]"""
    assert refused_publish(guests.client()).properties.reason_string
    client = guests.client(client_id="no-texts", request_problem_information=0)
    assert refused_publish(client).properties.reason_string is None
    guests.client(client_id="no-texts")
    goodbye = client.expect(Disconnect)
    assert goodbye.reason is Reason.SESSION_TAKEN_OVER
    assert goodbye.properties.reason_string


def test_a_text_that_does_not_fit_is_left_out(guests: Guests) -> None:
    """[MQTT-3.4.2-2], [MQTT-3.2.2-19], [MQTT-3.9.2-1], [MQTT-3.14.2-3]"""
    client = guests.client(client_id="small", packet_bytes_max=50)
    assert refused_publish(client).properties.reason_string is None
    client.send(Subscribe(1, (Subscription("/".join("x" * 40)),)))
    refused = client.expect(Suback)
    assert refused.reasons == (Reason.TOPIC_FILTER_INVALID,)
    assert refused.properties.reason_string is None
    stranger = guests.stranger()
    stranger.send(
        Connect("x", V5, properties=Properties(authentication_method="none", packet_bytes_max=30))
    )
    answer = stranger.expect(Connack)
    assert answer.reason is Reason.BAD_AUTHENTICATION_METHOD
    assert answer.properties.reason_string is None
    client = guests.client(client_id="tiny", packet_bytes_max=40)
    client.socket.sendall(b"\x30\x03\x00\x01a")
    goodbye = client.expect(Disconnect)
    assert goodbye.reason is Reason.MALFORMED_PACKET
    assert goodbye.properties.reason_string is None


@pytest.mark.parametrize("most", [4, 10])
def test_who_cannot_take_a_connack_is_told_if_it_can_be_told(guests: Guests, most: int) -> None:
    """[MQTT-3.1.2-24]"""
    stranger = guests.stranger()
    stranger.send(Connect("tiny", V5, properties=Properties(packet_bytes_max=most)))
    if most >= 5:
        assert stranger.expect(Connack) == Connack(False, Reason.PACKET_TOO_LARGE)
    assert stranger.receive() is None


@pytest.mark.parametrize("kind", [Subscribe, Unsubscribe])
def test_who_cannot_take_an_answer_is_told_so_and_closed(guests: Guests, kind: type) -> None:
    """[MQTT-3.1.2-24]: nothing else would end its wait."""
    client = guests.client(packet_bytes_max=50)
    filters = [f"{guests.topic}/{number}" for number in range(60)]
    asked = filters if kind is Unsubscribe else [Subscription(each, 1) for each in filters]
    client.send(kind(1, tuple(asked)))
    assert client.closed_with() is Reason.PACKET_TOO_LARGE
