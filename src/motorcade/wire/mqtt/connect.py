"""CONNECT and CONNACK (5.0 §3.1, §3.2; 3.1.1 §3.1, §3.2)."""

from dataclasses import dataclass
from typing import Final

from motorcade.wire.mqtt.errors import (
    ClientIdentifierError,
    MalformedPacketError,
    ProtocolError,
    UnsupportedVersionError,
)
from motorcade.wire.mqtt.framing import RawPacket, frame
from motorcade.wire.mqtt.primitives import Reader, write_binary, write_text, write_u16
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    encode_properties,
    read_properties,
)
from motorcade.wire.mqtt.reasons import (
    ALLOWED,
    RULE_OF,
    PacketType,
    ProtocolLevel,
    Reason,
    connack_return_code,
    reason_of_return_code,
)
from motorcade.wire.mqtt.topics import check_topic_name

_RESERVED: Final = 0x01
_CLEAN_START: Final = 0x02
_WILL: Final = 0x04
_WILL_RETAIN: Final = 0x20
_PASSWORD: Final = 0x40
_USERNAME: Final = 0x80
_NAME_3_1: Final = b"MQIsdp"  # MQTT 3.1, still sent by old clients before they fall back


@dataclass(frozen=True, slots=True)
class Will:
    """What the server publishes when the connection ends without goodbye (§3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Connect:
    """The first packet of a client. `clean_start` is 3.1.1's clean session."""

    client_id: str  # empty: the server makes one
    level: ProtocolLevel = ProtocolLevel.V5
    clean_start: bool = True
    keep_alive_s: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Connack:
    """The server's answer. For 3.1.1 `reason` is translated to and from its return codes."""

    session_present: bool = False
    reason: Reason = Reason.SUCCESS
    properties: Properties = NO_PROPERTIES


def parse_connect(packet: RawPacket) -> Connect:
    """Read a CONNECT of any level we speak.

    Raises:
        UnsupportedVersionError: a protocol that is neither 3.1.1 nor 5.0 (nothing more was read).
        ClientIdentifierError: 3.1.1, no client identifier, and yet a session to keep.
        MqttError: its other kinds, naming the statement.
    """
    assert packet.packet_type is PacketType.CONNECT  # Our dispatch, not the peer's bytes.
    reader = Reader(packet.body)
    level = _read_level(reader)
    flags = reader.u8("the connect flags")
    _check_flags(flags, level)
    keep_alive_s = reader.u16("the keep alive")
    properties = read_properties(reader, Place.CONNECT, level)
    client_id = reader.text("the client identifier")
    will = _read_will(reader, flags, level) if flags & _WILL else None
    username = reader.text("the user name") if flags & _USERNAME else None
    password = bytes(reader.binary("the password")) if flags & _PASSWORD else None
    reader.end("CONNECT")
    clean_start = bool(flags & _CLEAN_START)
    if not client_id and not clean_start and level is ProtocolLevel.V3_1_1:
        raise ClientIdentifierError(
            "no client identifier, clean session 0 [3.1.1: MQTT-3.1.3-8]: name one, or start clean"
        )
    return Connect(
        client_id, level, clean_start, keep_alive_s, username, password, will, properties
    )


def encode_connect(connect: Connect) -> bytes:
    """The CONNECT of a client."""
    will = connect.will
    flags = _CLEAN_START * connect.clean_start
    flags |= _USERNAME * (connect.username is not None)
    flags |= _PASSWORD * (connect.password is not None)
    if will is not None:
        flags |= _WILL | will.qos << 3 | _WILL_RETAIN * will.retain
    body = write_text("MQTT") + bytes((connect.level, flags)) + write_u16(connect.keep_alive_s)
    body += encode_properties(connect.properties, Place.CONNECT, connect.level)
    body += write_text(connect.client_id)
    if will is not None:
        body += encode_properties(will.properties, Place.WILL, connect.level)
        body += write_text(will.topic) + write_binary(will.payload)
    if connect.username is not None:
        body += write_text(connect.username)
    if connect.password is not None:
        body += write_binary(connect.password)
    return frame(PacketType.CONNECT, body)


def parse_connack(packet: RawPacket, level: ProtocolLevel) -> Connack:
    """Read the server's answer."""
    assert packet.packet_type is PacketType.CONNACK
    reader = Reader(packet.body)
    flags = reader.u8("the connect acknowledge flags")
    if flags > 1:
        raise MalformedPacketError(f"connect acknowledge flags {flags:#04x} [MQTT-3.2.2-1]")
    code = reader.u8("the reason code")
    reason = _connack_reason(code, level)
    properties = read_properties(reader, Place.CONNACK, level)
    reader.end("CONNACK")
    if flags and reason is not Reason.SUCCESS:
        raise ProtocolError("session present with a refusal [MQTT-3.2.2-6]")
    return Connack(bool(flags), reason, properties)


def encode_connack(connack: Connack, level: ProtocolLevel) -> bytes:
    """The server's answer to a client that speaks `level`."""
    code = connack.reason if level is ProtocolLevel.V5 else connack_return_code(connack.reason)
    present = connack.session_present and connack.reason is Reason.SUCCESS
    body = bytes((present, code)) + encode_properties(connack.properties, Place.CONNACK, level)
    return frame(PacketType.CONNACK, body)


def _read_level(reader: Reader) -> ProtocolLevel:
    name = bytes(reader.binary("the protocol name"))
    if name == _NAME_3_1:
        raise UnsupportedVersionError("MQTT 3.1 is not spoken here: use 3.1.1 or 5.0")
    if name != b"MQTT":
        raise ProtocolError("protocol name is not 'MQTT' [MQTT-3.1.2-1]")
    level = reader.u8("the protocol version")
    try:
        return ProtocolLevel(level)
    except ValueError as error:
        text = f"protocol version {level}: only 4 (3.1.1) and 5 are spoken [MQTT-3.1.2-2]"
        raise UnsupportedVersionError(text, is_newer=level > ProtocolLevel.V5) from error


def _check_flags(flags: int, level: ProtocolLevel) -> None:
    if flags & _RESERVED:
        raise MalformedPacketError("reserved connect flag is set [MQTT-3.1.2-3]")
    if flags >> 3 & 3 == 3:
        raise MalformedPacketError("will QoS is 3 [MQTT-3.1.2-12]")
    if not flags & _WILL and flags & 0b0001_1000:
        raise MalformedPacketError("will QoS without a will [MQTT-3.1.2-11]")
    if not flags & _WILL and flags & _WILL_RETAIN:
        raise MalformedPacketError("will retain without a will [MQTT-3.1.2-13]")
    if level is ProtocolLevel.V3_1_1 and flags & _PASSWORD and not flags & _USERNAME:
        raise MalformedPacketError("password without a user name [3.1.1: MQTT-3.1.2-22]")


def _read_will(reader: Reader, flags: int, level: ProtocolLevel) -> Will:
    properties = read_properties(reader, Place.WILL, level)
    topic = reader.text("the will topic")
    check_topic_name(topic)
    payload = bytes(reader.binary("the will payload"))
    return Will(topic, payload, flags >> 3 & 3, bool(flags & _WILL_RETAIN), properties)


def _connack_reason(code: int, level: ProtocolLevel) -> Reason:
    if level is ProtocolLevel.V3_1_1:
        reason = reason_of_return_code(code)
    else:
        reason = Reason(code) if code in ALLOWED[PacketType.CONNACK] else None
    if reason is None:
        rule = RULE_OF[PacketType.CONNACK]
        raise ProtocolError(f"CONNACK with reason code {code:#04x} [{rule}]")
    return reason
