"""PINGREQ, PINGRESP, DISCONNECT, AUTH (5.0 §3.12-3.15)."""

from dataclasses import dataclass
from typing import Final

from motorcade.wire.mqtt.errors import MalformedPacketError, ProtocolError
from motorcade.wire.mqtt.framing import RawPacket, frame
from motorcade.wire.mqtt.primitives import Reader
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    encode_properties,
    read_properties,
)
from motorcade.wire.mqtt.reasons import ALLOWED, RULE_OF, PacketType, ProtocolLevel, Reason

PINGREQ_BYTES: Final = frame(PacketType.PINGREQ, b"")
PINGRESP_BYTES: Final = frame(PacketType.PINGRESP, b"")


@dataclass(frozen=True, slots=True)
class Pingreq:
    """The client is there."""


@dataclass(frozen=True, slots=True)
class Pingresp:
    """The server is there."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Goodbye with a reason. In 3.1.1 only clients send it, and without one."""

    reason: Reason = Reason.SUCCESS
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Auth:
    """A step of enhanced authentication; 5.0 only."""

    reason: Reason = Reason.SUCCESS
    properties: Properties = NO_PROPERTIES


def parse_ping(packet: RawPacket) -> Pingreq | Pingresp:
    """Read a PINGREQ or PINGRESP."""
    Reader(packet.body).end(packet.packet_type.name)
    return Pingreq() if packet.packet_type is PacketType.PINGREQ else Pingresp()


def parse_disconnect(packet: RawPacket, level: ProtocolLevel, *, from_client: bool) -> Disconnect:
    """Read a DISCONNECT."""
    assert packet.packet_type is PacketType.DISCONNECT
    reader = Reader(packet.body)
    if level is ProtocolLevel.V3_1_1:
        if not from_client:
            raise ProtocolError("a 3.1.1 server sends no DISCONNECT, 3.1.1 §3.14")
        reader.end("DISCONNECT")
        return Disconnect()
    reason, properties = _read_reason(reader, packet.packet_type)
    if not from_client and properties.session_expiry_s is not None:
        raise ProtocolError("session expiry in a server's DISCONNECT [MQTT-3.14.2-2]")
    return Disconnect(reason, properties)


def encode_disconnect(disconnect: Disconnect, level: ProtocolLevel) -> bytes:
    """A DISCONNECT; for 3.1.1 the empty one."""
    if level is ProtocolLevel.V3_1_1:
        return frame(PacketType.DISCONNECT, b"")
    return _with_reason(PacketType.DISCONNECT, disconnect.reason, disconnect.properties)


def parse_auth(packet: RawPacket, level: ProtocolLevel) -> Auth:
    """Read an AUTH."""
    assert packet.packet_type is PacketType.AUTH
    if level is ProtocolLevel.V3_1_1:
        raise MalformedPacketError("packet type 15 is forbidden in 3.1.1, §2.2.1")
    reason, properties = _read_reason(Reader(packet.body), packet.packet_type)
    if reason is not Reason.SUCCESS and properties.authentication_method is None:
        raise ProtocolError("AUTH without an authentication method, §3.15.2.2.2")
    return Auth(reason, properties)


def encode_auth(auth: Auth) -> bytes:
    """An AUTH."""
    return _with_reason(PacketType.AUTH, auth.reason, auth.properties)


def _read_reason(reader: Reader, packet_type: PacketType) -> tuple[Reason, Properties]:
    """A reason code and properties, both of which may be left out (§3.14.2.1)."""
    if not reader.left:
        return Reason.SUCCESS, NO_PROPERTIES
    code = reader.u8("the reason code")
    if code not in ALLOWED[packet_type]:
        rule = RULE_OF[packet_type]
        raise ProtocolError(f"{packet_type.name} with reason code {code:#04x} [{rule}]")
    properties = NO_PROPERTIES
    if reader.left:
        properties = read_properties(reader, Place(packet_type), ProtocolLevel.V5)
    reader.end(packet_type.name)
    return Reason(code), properties


def _with_reason(packet_type: PacketType, reason: Reason, properties: Properties) -> bytes:
    if properties is not NO_PROPERTIES:
        encoded = encode_properties(properties, Place(packet_type), ProtocolLevel.V5)
        return frame(packet_type, bytes((reason,)) + encoded)
    return frame(packet_type, bytes((reason,)) if reason is not Reason.SUCCESS else b"")
