"""MQTT: every packet of either side, topics, and the compiled PUBLISH reader."""

import msgspec
import numpy as np
from hypothesis import strategies as st

from motorcade.wire.mqtt import kernels
from motorcade.wire.mqtt.connect import Connect
from motorcade.wire.mqtt.errors import MqttError, PacketTooLargeError
from motorcade.wire.mqtt.framing import RawPacket, frame, split_packet
from motorcade.wire.mqtt.packets import Packet, encode_packet, parse_packet
from motorcade.wire.mqtt.primitives import write_text
from motorcade.wire.mqtt.properties import (
    PROPERTIES_MAX,
    Place,
    Properties,
    decode_properties,
    encode_bare,
    forwardable,
)
from motorcade.wire.mqtt.publish import Publish, encode_publish, parse_publish
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel
from motorcade.wire.mqtt.subscribe import FILTERS_MAX, Subscribe, Subscription, encode_subscribe
from motorcade.wire.mqtt.topics import check_topic_filter, check_topic_name, matches
from motorcade.wire.mqtt.trie import SubscriptionTrie
from tests.fuzz.seeds import drawn
from tests.fuzz.target import Target
from tests.wire.mqtt.packets import from_client, from_server
from tests.wire.mqtt.test_kernels import LIMIT, check_same, compiled, packets

WIRE = "motorcade.wire.mqtt"
LEVELS = tuple(ProtocolLevel)
V5 = ProtocolLevel.V5
PACKET_BYTES_MAX = 5 * FILTERS_MAX  # so that too many filters, too, fit into a packet


def read_stream(data: bytes) -> None:
    """The first byte chooses level and side, the rest is what the peer sent."""
    if not data:
        return
    level, client = LEVELS[data[0] & 1], bool(data[0] & 2)
    rest = memoryview(data)[1:]
    try:
        while (raw := split_packet(rest, packet_bytes_max=PACKET_BYTES_MAX)) is not None:
            assert 0 < raw.size <= len(rest)
            _check_packet(raw, level, client=client)
            rest = rest[raw.size :]
    except MqttError:
        return


def _check_packet(raw: RawPacket, level: ProtocolLevel, *, client: bool) -> None:
    packet = parse_packet(raw, level, from_client=client)
    if isinstance(packet, Publish) and level is V5:
        properties = decode_properties(packet.properties, Place.PUBLISH)
        again = decode_properties(encode_bare(properties, Place.PUBLISH), Place.PUBLISH)
        assert again == properties
        passed_on = decode_properties(forwardable(packet.properties), Place.PUBLISH)
        assert passed_on == msgspec.structs.replace(
            properties, topic_alias=None, subscription_ids=()
        )
    spoken = packet.level if isinstance(packet, Connect) else level
    assert _there_and_back(packet, spoken, client=client) == packet


def _there_and_back(packet: Packet, level: ProtocolLevel, *, client: bool) -> Packet:
    raw = split_packet(
        memoryview(encode_packet(packet, level)), packet_bytes_max=2 * PACKET_BYTES_MAX
    )
    assert raw is not None
    return parse_packet(raw, level, from_client=client)


def read_topics(data: bytes) -> None:
    """A filter and a topic, one per line: the trie and `matches` agree on all that is valid."""
    text = data.decode("utf-8", "replace")
    topic_filter, _, topic = text.partition("\n")
    try:
        for level in LEVELS:
            check_topic_filter(topic_filter, level)
        check_topic_name(topic)
    except MqttError:
        return
    if topic_filter.startswith("$share/"):
        return
    trie: SubscriptionTrie[str, int] = SubscriptionTrie()
    trie.add(topic_filter, "client", 1)
    found = list(trie.match(topic))
    assert bool(found) == matches(topic_filter, topic), (topic_filter, topic)
    trie.remove(topic_filter, "client")
    assert not list(trie.match(topic))


def read_publish(data: bytes) -> None:
    """A packet that says it is a PUBLISH: what the codec refuses, the kernel does not take."""
    if len(data) < 3:
        return
    level = LEVELS[data[0] & 1]
    packet = bytes((PacketType.PUBLISH << 4 | data[1] & 0x0F,)) + data[2:]
    array = np.frombuffer(packet, np.uint8)
    size = kernels.packet_size(array, 0, len(packet), LIMIT)
    try:
        whole = split_packet(memoryview(packet), packet_bytes_max=LIMIT)
    except PacketTooLargeError:
        assert size == kernels.TOO_LARGE
        return
    except MqttError:
        assert size == kernels.BROKEN_LENGTH
        return
    assert (whole.size if whole else None) == (size if 0 < size <= len(packet) else None)
    if whole is None:
        return
    packet = packet[: whole.size]
    try:
        publish = parse_publish(whole, level, from_client=True)
        decode_properties(publish.properties, Place.PUBLISH)
    except MqttError:
        assert compiled(packet, level)[0] == kernels.ASIDE
    else:
        check_same(packet, level)


def _streams() -> list[bytes]:
    cases = [
        (bytes((number | side << 1,)), level, side)
        for number, level in enumerate(LEVELS)
        for side in (0, 1)
    ]
    found: list[bytes] = []
    for head, level, side in cases:
        strategy = from_client(level) if side else from_server(level)
        found += drawn(
            st.lists(strategy, min_size=1, max_size=2),
            60,
            lambda sent, head=head, level=level: (  # type: ignore[misc]
                head + b"".join(encode_packet(packet, level) for packet in sent)
            ),
        )
    return [*found, *_odd_streams()]


def _odd_streams() -> list[bytes]:
    """What each side's encoder would not write, and what is one more than a limit allows."""
    old = frame(PacketType.CONNECT, write_text("MQIsdp") + b"\x03\x02\x00\x00\x00\x00")
    data_alone = frame(PacketType.AUTH, b"\x18\x04\x16\x00\x01x")
    no_method = frame(PacketType.AUTH, b"\x18\x00")
    shared = encode_subscribe(
        Subscribe(1, (Subscription("$share/g/a", no_local=True), Subscription("a"))), V5
    )
    numbered = encode_subscribe(
        Subscribe(1, (Subscription("a"), Subscription("b")), Properties(subscription_ids=(7,))), V5
    )
    many_filters = frame(PacketType.UNSUBSCRIBE, b"\x00\x01\x00" + bytes(2) * (FILTERS_MAX + 1))
    by_alias = encode_publish(Publish("", b"x", 0, None, properties=b"\x23\x00\x01"), V5)
    delivered = encode_publish(Publish("a", b"x", 0, None, properties=b"\x0b\x07"), V5)
    many = encode_publish(
        Publish("a", b"x", 0, None, properties=b"\x0b\x07" * (PROPERTIES_MAX + 1)), V5
    )
    large = frame(PacketType.PINGREQ, bytes(PACKET_BYTES_MAX))[:6]
    of_clients = [old, data_alone, no_method, shared, numbered, many_filters]
    of_clients += [by_alias, delivered, large]
    fifth = LEVELS.index(V5)
    return [
        *(bytes((fifth | 2,)) + each for each in of_clients),
        *(bytes((fifth,)) + each for each in (delivered, many)),
    ]


def _topics() -> list[bytes]:
    pairs = [
        "a/b\na/b",
        "a/+\na/b",
        "a/#\na",
        "#\n$SYS/x",
        "$share/g/a\na",
        "+/+\n/",
        "\n",
        "+a\nb",
    ]
    return [pair.encode() for pair in pairs]


def _publishes() -> list[bytes]:
    def case(drawn_packet: tuple[bytes, ProtocolLevel]) -> bytes:
        packet, level = drawn_packet
        return bytes((LEVELS.index(level), packet[0])) + packet[1:]

    return [*drawn(packets(), 150, case), *(case((each, V5)) for each in _odd_publishes())]


def _odd_publishes() -> list[bytes]:
    """At the limits of what the kernel reads itself: digits of a sequence, how many properties."""
    largest = 2**63 - 1
    sequences = ["", "0", "9" * 18, f"{largest - 8}", f"{largest}", f"{largest + 1}"]
    sequences += ["9" * 19, "9" * 20, "1x"]
    told = [Properties(user=(("sequence", sequence),)) for sequence in sequences]
    told += [Properties(user=(("", ""),) * count) for count in (64, 65)]
    told += [Properties(user=(("stream", "s"),) * count) for count in (1, 2)]
    return [
        encode_publish(Publish("a", b"x", 0, None, properties=encode_bare(each, Place.PUBLISH)), V5)
        for each in told
    ]


_FILES = ("framing", "primitives", "packets", "connect", "publish", "session", "subscribe")
TARGETS = (
    Target(
        "mqtt-packets",
        read_stream,
        _streams,
        tuple(f"{WIRE}.{name}" for name in (*_FILES, "properties")),
    ),
    Target("mqtt-topics", read_topics, _topics, (f"{WIRE}.topics", f"{WIRE}.trie"), 200),
    Target("mqtt-publish-kernel", read_publish, _publishes, (f"{WIRE}.kernels",)),
)
