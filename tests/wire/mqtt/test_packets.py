"""Every packet there and back, in pieces, and under fuzz: nothing but the codec's own errors."""

import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from motorcade.wire.mqtt.errors import MqttError, PacketTooLargeError
from motorcade.wire.mqtt.framing import RawPacket, split_packet
from motorcade.wire.mqtt.packets import Packet, encode_packet, parse_packet
from motorcade.wire.mqtt.primitives import write_varint
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    PROPERTIES_MAX,
    Place,
    Properties,
    encode_bare,
)
from motorcade.wire.mqtt.publish import Publish
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.session import Pingreq
from tests.wire.mqtt.packets import V3, V5, from_client, from_server

BYTES_MAX = 1 << 20
levels = st.sampled_from([V3, V5])
sent = levels.flatmap(
    lambda level: (
        st.tuples(st.just(level), from_client(level), st.just(True))
        | st.tuples(st.just(level), from_server(level), st.just(False))
    )
)


def split(data: bytes) -> RawPacket | None:
    return split_packet(memoryview(data), packet_bytes_max=BYTES_MAX)


@given(sent)
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
def test_a_packet_comes_back_as_it_went(case: tuple[ProtocolLevel, Packet, bool]) -> None:
    level, packet, client = case
    wire = encode_packet(packet, level)
    raw = split(wire + b"\xff")
    assert raw is not None
    assert raw.size == len(wire)
    assert parse_packet(raw, level, from_client=client) == packet


@given(sent, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
def test_a_packet_cut_anywhere_waits_for_more(
    case: tuple[ProtocolLevel, Packet, bool], data: st.DataObject
) -> None:
    level, packet, _ = case
    wire = encode_packet(packet, level)
    assert split(wire[: data.draw(st.integers(0, len(wire) - 1))]) is None


@given(sent, st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_damaged_packets_raise_only_our_errors(
    case: tuple[ProtocolLevel, Packet, bool], data: st.DataObject
) -> None:
    level, packet, client = case
    wire = bytearray(encode_packet(packet, level))
    for _ in range(data.draw(st.integers(1, 3))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    _read_all(bytes(wire), level, client)


@given(st.binary(max_size=200), levels, st.booleans())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_noise_raises_only_our_errors(noise: bytes, level: ProtocolLevel, client: bool) -> None:
    _read_all(noise, level, client)


@given(st.sampled_from(PacketType), st.binary(max_size=60), levels, st.booleans())
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_noise_behind_a_good_header_raises_only_our_errors(
    packet_type: PacketType, body: bytes, level: ProtocolLevel, client: bool
) -> None:
    for flags in range(16):
        raw = RawPacket(packet_type, flags, memoryview(body), len(body) + 2)
        try:
            parse_packet(raw, level, from_client=client)
        except MqttError as error:
            assert error.reason >= 0x80  # noqa: PT017  (every other exception fails the test)


def _read_all(data: bytes, level: ProtocolLevel, client: bool) -> None:
    try:
        while data and (raw := split(data)) is not None:
            parse_packet(raw, level, from_client=client)
            data = data[raw.size :]
    except MqttError as error:
        assert error.reason >= 0x80  # noqa: PT017


def test_a_packet_over_the_limit_is_refused_before_its_body_arrives() -> None:
    with pytest.raises(PacketTooLargeError, match="limit of 64"):
        split_packet(memoryview(b"\x32\xff\x7f"), packet_bytes_max=64)


def test_a_packet_of_the_wrong_direction_is_refused() -> None:
    raw = split(encode_packet(Pingreq(), V5))
    assert raw is not None
    with pytest.raises(MqttError, match="server does not send PINGREQ"):
        parse_packet(raw, V5, from_client=False)


def test_many_properties_cost_bounded_memory() -> None:
    encoded = b"\x26\x00\x01a\x00\x01b" * (BYTES_MAX // 8)
    wire = encode_packet(Publish("t", b"", properties=encoded), V5)
    raw = split_packet(memoryview(wire), packet_bytes_max=2 * BYTES_MAX)
    assert raw is not None
    tracemalloc.start()
    with pytest.raises(MqttError, match=f"more than {PROPERTIES_MAX} properties"):
        parse_packet(raw, V5, from_client=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * BYTES_MAX + 1_000_000


@pytest.mark.parametrize(("first", "item"), [(0x82, b"\0\1a\0"), (0xA2, b"\0\1a")])
def test_many_filters_cost_bounded_memory(first: int, item: bytes) -> None:
    body = b"\0\1\0" + item * (BYTES_MAX // len(item))
    wire = bytes((first,)) + write_varint(len(body)) + body
    raw = split_packet(memoryview(wire), packet_bytes_max=2 * BYTES_MAX)
    assert raw is not None
    tracemalloc.start()
    with pytest.raises(MqttError, match="filters in one packet") as caught:
        parse_packet(raw, V5, from_client=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.reason is Reason.QUOTA_EXCEEDED
    assert peak < 3_000_000


@given(from_client(V5))
def test_an_empty_set_of_properties_is_the_shared_one(packet: Packet) -> None:
    raw = split(encode_packet(packet, V5))
    assert raw is not None
    read = parse_packet(raw, V5, from_client=True)
    found = getattr(read, "properties", None)
    assert found != Properties() or found is NO_PROPERTIES


def test_user_properties_keep_their_order_and_may_repeat() -> None:
    user = (("stream", "b"), ("a", "1"), ("stream", "c"))
    wire = encode_packet(
        Publish("t", b"", properties=encode_bare(Properties(user=user), Place.PUBLISH)), V5
    )
    assert wire.count(b"stream") == 2
    assert Properties(user=user).user_value("stream") == "c"
