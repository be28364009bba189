"""The compiled PUBLISH reader says what the codec says, or steps aside; it never says otherwise."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motorcade.events import CONTENT_TYPES, Encoding
from motorcade.wire.mqtt import kernels
from motorcade.wire.mqtt.errors import MqttError, PacketTooLargeError
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.properties import Place, Properties, decode_properties, encode_bare
from motorcade.wire.mqtt.publish import Publish, encode_publish, parse_publish
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel

LIMIT = 4_096
LEVELS = st.sampled_from(ProtocolLevel)

words = st.sampled_from(["stream", "sequence", "x", "", "ünï"])
values = st.one_of(st.sampled_from(["", "7", "007", "9" * 30, "s-1", "é"]), st.text(max_size=5))
texts = values.map(lambda text: text.replace("\0", "").encode("utf-8", "ignore").decode())
content_types = st.one_of(
    st.none(), st.sampled_from([*CONTENT_TYPES.values(), "application/json; charset=utf-8", "a"])
)
properties = st.builds(
    Properties,
    payload_format=st.sampled_from([None, 0, 1]),
    message_expiry_s=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    content_type=content_types,
    correlation_data=st.one_of(st.none(), st.binary(max_size=4)),
    topic_alias=st.sampled_from([None, 3]),
    user=st.lists(st.tuples(words, texts), max_size=5).map(tuple),
)


@st.composite
def packets(draw: st.DrawFn) -> tuple[bytes, ProtocolLevel]:
    level = draw(LEVELS)
    qos = draw(st.integers(0, 2))
    publish = Publish(
        draw(st.sampled_from(["a", "v/x/telemetry", "tö/pic"])),
        draw(st.binary(max_size=300)),
        qos,
        draw(st.integers(1, 0xFFFF)) if qos else None,
        draw(st.booleans()),
        draw(st.booleans()) and qos > 0,
        encode_bare(draw(properties), Place.PUBLISH) if level is ProtocolLevel.V5 else b"",
    )
    return encode_publish(publish, level), level


def compiled(data: bytes, level: ProtocolLevel) -> tuple[object, ...]:
    array = np.frombuffer(data, np.uint8)
    return kernels.read_publish(array, 0, len(data), level is ProtocolLevel.V5)


def decimal(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() else -1


def check_same(data: bytes, level: ProtocolLevel) -> bool:
    """Compare both readers on one packet; False when the kernel stepped aside."""
    found = compiled(data, level)
    verdict, topic, topic_size, packet_id, start, size, encoding, stream, stream_size = found[:9]
    sequence, payload = found[9:]
    if verdict == kernels.ASIDE:
        return False
    packet = split_packet(memoryview(data), packet_bytes_max=LIMIT)
    assert packet is not None
    publish = parse_publish(packet, level, from_client=True)
    assert data[topic : topic + topic_size].decode() == publish.topic
    assert packet_id == (publish.packet_id or 0)
    assert data[payload:] == publish.payload
    assert data[start : start + size] == publish.properties
    known = decode_properties(publish.properties, Place.PUBLISH)
    assert (encoding == kernels.NO_CONTENT_TYPE) == (known.content_type is None)
    if known.content_type is not None:
        media_type = known.content_type.split(";")[0].split(" ")[0]
        recognised = (Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES)
        by_type = {CONTENT_TYPES[each]: each for each in recognised}
        assert encoding == by_type.get(media_type, Encoding.OPAQUE)
    given_stream = known.user_value("stream")
    assert (stream_size >= 0) == (given_stream is not None)
    if given_stream is not None:
        assert data[stream : stream + stream_size].decode() == given_stream
    assert sequence == decimal(known.user_value("sequence"))
    return True


@settings(deadline=None)
@given(packets())
def test_the_kernel_reads_what_the_codec_reads(case: tuple[bytes, ProtocolLevel]) -> None:
    check_same(*case)


def test_ordinary_packets_do_not_step_aside() -> None:
    user = (("stream", "s"), ("sequence", "12"))
    vehicle = encode_bare(Properties(content_type="application/json", user=user), Place.PUBLISH)
    for level, props in ((ProtocolLevel.V3_1_1, b""), (ProtocolLevel.V5, vehicle)):
        for qos in (0, 1):
            publish = Publish("v/x/telemetry", b"{}", qos, qos or None, properties=props)
            assert check_same(encode_publish(publish, level), level)


@settings(deadline=None)
@given(packets(), st.data())
def test_damaged_packets_are_never_read_differently(
    case: tuple[bytes, ProtocolLevel], data: st.DataObject
) -> None:
    """Whatever the codec refuses, the kernel must not take."""
    packet, level = bytearray(case[0]), case[1]
    index = data.draw(st.integers(1, len(packet) - 1))
    packet[index] = data.draw(st.integers(0, 255))
    array = np.frombuffer(bytes(packet), np.uint8)
    if kernels.packet_size(array, 0, len(packet), LIMIT) != len(packet):
        return
    try:
        whole = split_packet(memoryview(bytes(packet)), packet_bytes_max=LIMIT)
        assert whole is not None
        publish = parse_publish(whole, level, from_client=True)
        decode_properties(publish.properties, Place.PUBLISH)
    except MqttError:
        assert compiled(bytes(packet), level)[0] == kernels.ASIDE
    else:
        check_same(bytes(packet), level)


@settings(deadline=None)
@given(st.binary(max_size=7))
def test_packet_size_agrees_with_the_codec(rest: bytes) -> None:
    data = bytes((PacketType.PUBLISH << 4,)) + rest
    size = kernels.packet_size(np.frombuffer(data, np.uint8), 0, len(data), LIMIT)
    try:
        whole = split_packet(memoryview(data), packet_bytes_max=LIMIT)
    except PacketTooLargeError:
        assert size == kernels.TOO_LARGE
    except MqttError:
        assert size == kernels.BROKEN_LENGTH
    else:
        assert (whole.size if whole else None) == (size if 0 < size <= len(data) else None)


@settings(deadline=None)
@given(st.one_of(st.integers(0, 2**70).map(str), st.text("0123456789x", max_size=25)))
def test_decimals(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    value = kernels.read_decimal(data, 0, len(data))
    if value >= 0:
        assert value == int(text)
    elif value == -1:
        assert not text.isdigit()
    else:
        assert len(text) >= kernels.DIGITS_MAX
