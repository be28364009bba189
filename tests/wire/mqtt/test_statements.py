"""Bytes that break the standard, one by one: the error names the statement and carries its code."""

import pytest

from motorcade.wire.mqtt.errors import MqttError
from motorcade.wire.mqtt.framing import split_packet
from motorcade.wire.mqtt.packets import parse_packet
from motorcade.wire.mqtt.reasons import ProtocolLevel, Reason

V3, V5 = ProtocolLevel.V3_1_1, ProtocolLevel.V5
MALFORMED, PROTOCOL = Reason.MALFORMED_PACKET, Reason.PROTOCOL_ERROR
CONNECT_5 = b"\x00\x04MQTT\x05"
CONNECT_3 = b"\x00\x04MQTT\x04"
NAME = b"\x00\x01a"
BAD = b"\x00\x01\xff"  # not UTF-8


def wire(first: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return bytes((first, len(body))) + body


FROM_CLIENT = [
    # the fixed header and the data types
    (V5, b"\x00\x00", MALFORMED, "2.1.2"),
    (V5, b"\xc1\x00", MALFORMED, "2.1.3-1"),
    (V5, b"\x80\x00", MALFORMED, "2.1.3-1"),  # SUBSCRIBE wants 0010
    (V5, b"\x60\x02\x00\x01", MALFORMED, "2.1.3-1"),  # and so does PUBREL
    (V5, b"\xa0\x00", MALFORMED, "2.1.3-1"),
    (V5, b"\xe1\x00", MALFORMED, "2.1.3-1"),
    (V5, b"\xf1\x00", MALFORMED, "2.1.3-1"),
    (V5, b"\x30\x80\x80\x80\x80\x01", MALFORMED, "1.5.5"),
    (V5, b"\x30\x85\x00", MALFORMED, "1.5.5-1"),
    (V5, b"\xc0\x01\x00", MALFORMED, "too many"),
    # CONNECT
    (V5, wire(0x10, b"\x00\x04MQTX\x05"), PROTOCOL, "3.1.2-1"),
    (V5, wire(0x10, b"\x00\x04MQTT\x06"), Reason.UNSUPPORTED_PROTOCOL_VERSION, "3.1.2-2"),
    (V5, wire(0x10, b"\x00\x06MQIsdp\x03"), Reason.UNSUPPORTED_PROTOCOL_VERSION, "MQTT 3.1 "),
    (V5, wire(0x10, CONNECT_5, b"\x03\0\0\0", NAME), MALFORMED, "3.1.2-3"),
    (V5, wire(0x10, CONNECT_5, b"\x0a\0\0\0", NAME), MALFORMED, "3.1.2-11"),
    (V5, wire(0x10, CONNECT_5, b"\x1e\0\0\0", NAME), MALFORMED, "3.1.2-12"),
    (V5, wire(0x10, CONNECT_5, b"\x22\0\0\0", NAME), MALFORMED, "3.1.2-13"),
    (V3, wire(0x10, CONNECT_3, b"\x42\0\0", NAME, NAME), MALFORMED, "3.1.2-22"),
    (V3, wire(0x10, CONNECT_3, b"\x00\0\0\0\0"), Reason.CLIENT_IDENTIFIER_NOT_VALID, "3.1.3-8"),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\x03\x21\0\0", NAME), PROTOCOL, "receive_max is 0"),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\x03\x23\0\x01", NAME), MALFORMED, "may not stand in"),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\x04\x17\1\x17\1", NAME), PROTOCOL, "more than once"),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\x03\x16\0\0", NAME), PROTOCOL, "3.1.2.11.10"),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\x02\x7e\1", NAME), MALFORMED, "unknown property"),
    (
        V5,
        wire(0x10, CONNECT_5, b"\x06\0\0\0", NAME, b"\0", b"\0\x01#", b"\0\0"),
        Reason.TOPIC_NAME_INVALID,
        "wildcard",
    ),
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\0", BAD), MALFORMED, "1.5.4-1"),  # the client id
    (V5, wire(0x10, CONNECT_5, b"\x82\0\0\0", NAME, BAD), MALFORMED, "1.5.4-1"),  # the user name
    (V5, wire(0x10, CONNECT_5, b"\x82\0\0\0", NAME), MALFORMED, "ends inside"),  # that is missing
    (V5, wire(0x10, CONNECT_5, b"\x42\0\0\0", NAME), MALFORMED, "ends inside"),  # the password
    (V5, wire(0x10, CONNECT_5, b"\x02\0\0\0", NAME, NAME), MALFORMED, "too many"),  # unannounced
    (V5, wire(0x10, CONNECT_5, b"\x06\0\0\0", NAME), MALFORMED, "ends"),  # the will's properties
    (V5, wire(0x10, CONNECT_5, b"\x06\0\0\0", NAME, b"\0"), MALFORMED, "ends inside"),  # its topic
    (V5, wire(0x10, CONNECT_5, b"\x06\0\0\0", NAME, b"\0", NAME), MALFORMED, "ends inside"),
    (V5, wire(0x10, CONNECT_5, b"\x06\0\0\0", NAME, b"\0", BAD, NAME), MALFORMED, "1.5.4-1"),
    # PUBLISH
    (V5, wire(0x36, NAME, b"\0\1\0"), MALFORMED, "3.3.1-4"),
    (V5, wire(0x38, NAME, b"\0"), MALFORMED, "3.3.1-2"),
    (V5, wire(0x32, NAME, b"\0\0\0"), PROTOCOL, "2.2.1-3"),
    (V5, wire(0x30, b"\0\1#\0"), Reason.TOPIC_NAME_INVALID, "3.3.2-2"),
    (V5, wire(0x30, b"\0\1\xff\0"), MALFORMED, "1.5.4-1"),
    (V5, wire(0x30, b"\0\1\0\0"), MALFORMED, "1.5.4-2"),
    (V5, wire(0x30, b"\0\3\xed\xa0\x80\0"), MALFORMED, "1.5.4-1"),  # a surrogate
    (V5, wire(0x30, b"\0\0\0"), PROTOCOL, "3.3.2.1"),
    (V3, wire(0x30, b"\0\0"), PROTOCOL, "3.3.2.1"),
    (V5, wire(0x30, NAME, b"\x02\x0b\x01"), PROTOCOL, "3.3.4-6"),
    (V5, wire(0x30, NAME, b"\x03\x23\0\0"), PROTOCOL, "topic_alias is 0"),
    (V5, wire(0x30, NAME, b"\x02\x01\x02"), PROTOCOL, "payload_format is 2"),
    (V5, wire(0x30, NAME, b"\x04\x08\0\x01+"), PROTOCOL, "3.3.2-14"),
    (V5, wire(0x30, NAME, b"\x04\x08", BAD), MALFORMED, "1.5.4-1"),  # the response topic
    (V5, wire(0x30, NAME, b"\x04\x03", BAD), MALFORMED, "1.5.4-1"),  # the content type
    (V5, wire(0x30, NAME, b"\x07\x26", BAD, NAME), MALFORMED, "1.5.4-1"),  # a user property's name
    (V5, wire(0x30, NAME, b"\x07\x26", NAME, BAD), MALFORMED, "1.5.4-1"),  # and its value
    (V5, wire(0x30, NAME, b"\x07\x26", NAME, b"\0\1\0"), MALFORMED, "1.5.4-2"),
    (V5, wire(0x30, NAME, b"\x09\x01"), MALFORMED, "ends inside"),
    # acknowledgements
    (V5, wire(0x40, b"\0\1\x92"), PROTOCOL, "3.4.2-1"),
    (V5, wire(0x50, b"\0\1\x92"), PROTOCOL, "3.5.2-1"),
    (V5, wire(0x62, b"\0\1\x80"), PROTOCOL, "3.6.2-1"),
    (V5, wire(0x70, b"\0\1\x80"), PROTOCOL, "3.7.2-1"),
    (V5, wire(0x40, b"\0\0"), PROTOCOL, "2.2.1-3"),
    (V3, wire(0x40, b"\0\1\0"), MALFORMED, "too many"),
    # SUBSCRIBE, UNSUBSCRIBE
    (V5, wire(0x82, b"\0\1\0"), PROTOCOL, "3.8.3-2"),
    (V5, wire(0x82, b"\0\1\0", NAME, b"\x40"), MALFORMED, "3.8.3-5"),
    (V5, wire(0x82, b"\0\1\0", NAME, b"\x03"), PROTOCOL, "3.8.3.1"),
    (V5, wire(0x82, b"\0\1\0", NAME, b"\x30"), PROTOCOL, "3.8.3.1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\x0a$share/g/a", b"\x04"), PROTOCOL, "3.8.3-4"),
    (V5, wire(0x82, b"\0\1\0", b"\0\x08$share/g", b"\0"), Reason.TOPIC_FILTER_INVALID, "4.8.2-2"),
    (V5, wire(0x82, b"\0\1\0", b"\0\x0a$share//ab\0"), Reason.TOPIC_FILTER_INVALID, "4.8.2-1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\0\0"), Reason.TOPIC_FILTER_INVALID, "4.7.3-1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\5a/#/b\0"), Reason.TOPIC_FILTER_INVALID, "4.7.1-1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\2a#\0"), Reason.TOPIC_FILTER_INVALID, "4.7.1-1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\2a+\0"), Reason.TOPIC_FILTER_INVALID, "4.7.1-2"),
    (V5, wire(0x82, b"\0\1\0", BAD, b"\0"), MALFORMED, "1.5.4-1"),
    (V5, wire(0x82, b"\0\1\0", b"\0\1\0\0"), MALFORMED, "1.5.4-2"),
    (V3, wire(0x82, b"\0\1", BAD, b"\0"), MALFORMED, "1.5.4-1"),
    (V3, wire(0x82, b"\0\1", NAME, b"\x04"), MALFORMED, "3.8.3-4"),
    (V5, wire(0xA2, b"\0\1\0", BAD), MALFORMED, "1.5.4-1"),
    (V3, wire(0xA2, b"\0\1", BAD), MALFORMED, "1.5.4-1"),
    (V5, wire(0xA2, b"\0\1\0", b"\0\1\0"), MALFORMED, "1.5.4-2"),
    (V5, wire(0xA2, b"\0\1\0"), PROTOCOL, "3.10.3-2"),
    # DISCONNECT, AUTH
    (V5, wire(0xE0, b"\x01"), PROTOCOL, "3.14.2-1"),
    (V3, wire(0xE0, b"\x00"), MALFORMED, "too many"),
    (V5, wire(0xF0, b"\x80"), PROTOCOL, "3.15.2-1"),
    (V5, wire(0xF0, b"\x18"), PROTOCOL, "3.15.2.2.2"),
    (V3, wire(0xF0), MALFORMED, "3.1.1"),
]

FROM_SERVER = [
    (V5, wire(0x20, b"\x02\0\0"), MALFORMED, "3.2.2-1"),
    (V5, wire(0x20, b"\x01\x87\0"), PROTOCOL, "3.2.2-6"),
    (V5, wire(0x20, b"\0\x01\0"), PROTOCOL, "3.2.2-8"),
    (V3, wire(0x20, b"\0\x06"), PROTOCOL, "3.2.2-8"),
    (V5, wire(0x20, b"\0\0\x02\x24\x02"), PROTOCOL, "qos_max is 2"),
    (V5, wire(0x90, b"\0\1\0\x03"), PROTOCOL, "3.9.3-2"),
    (V3, wire(0x90, b"\0\1\x87"), PROTOCOL, "3.9.3-2"),
    (V5, wire(0x90, b"\0\1\0"), PROTOCOL, "3.9.3-1"),
    (V5, wire(0xB0, b"\0\1\0\x01"), PROTOCOL, "3.11.3-2"),
    (V5, wire(0xE0, b"\0\x05\x11\0\0\0\1"), PROTOCOL, "3.14.2-2"),
    (V3, wire(0xE0), PROTOCOL, "3.14"),
]


def read(level: ProtocolLevel, data: bytes, client: bool) -> None:
    packet = split_packet(memoryview(data), packet_bytes_max=1_000)
    assert packet is not None
    parse_packet(packet, level, from_client=client)


@pytest.mark.parametrize(("level", "data", "reason", "names"), FROM_CLIENT)
def test_a_client_that_breaks_a_rule_is_told_which(
    level: ProtocolLevel, data: bytes, reason: Reason, names: str
) -> None:
    with pytest.raises(MqttError, match=names.replace(".", r"\.")) as caught:
        read(level, data, client=True)
    assert caught.value.reason is reason


@pytest.mark.parametrize(("level", "data", "reason", "names"), FROM_SERVER)
def test_a_server_that_breaks_a_rule_is_told_which(
    level: ProtocolLevel, data: bytes, reason: Reason, names: str
) -> None:
    with pytest.raises(MqttError, match=names.replace(".", r"\.")) as caught:
        read(level, data, client=False)
    assert caught.value.reason is reason


def test_a_password_without_a_user_name_is_allowed_in_5() -> None:
    read(V5, wire(0x10, CONNECT_5, b"\x42\0\0\0", NAME, NAME), client=True)


def test_share_is_a_level_like_any_other_in_3_1_1() -> None:
    read(V3, wire(0x82, b"\0\1", b"\0\x08$share/g", b"\0"), client=True)
