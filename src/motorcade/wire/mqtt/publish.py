"""PUBLISH and its four acknowledgements (5.0 §3.3-3.7): bytes in, packets out, and back.

`Publish.properties` stay encoded, because most events need none of them and a server forwards them
as they came; they have been checked. `decode_properties(..., Place.PUBLISH)` reads them.
"""

from dataclasses import dataclass
from typing import Final

from motorcade.wire.mqtt.errors import MalformedPacketError, ProtocolError, UnencodableError
from motorcade.wire.mqtt.framing import RawPacket, frame
from motorcade.wire.mqtt.primitives import Reader, write_text, write_u16, write_varint
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    decode_properties,
    encode_properties,
    read_properties,
)
from motorcade.wire.mqtt.reasons import ALLOWED, RULE_OF, PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.topics import check_topic_name

_DUP: Final = 0x08
_RETAIN: Final = 0x01


@dataclass(frozen=True, slots=True)
class Publish:
    """An application message on its way, in either direction."""

    topic: str  # empty when the sender uses a topic alias
    payload: bytes
    qos: int = 0  # 0, 1 or 2
    packet_id: int | None = None  # 1..65535, None exactly when qos == 0
    retain: bool = False
    dup: bool = False
    properties: bytes = b""  # still encoded, without their length; always b"" in 3.1.1


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What PUBACK, PUBREC, PUBREL and PUBCOMP share."""

    packet_id: int
    reason: Reason = Reason.SUCCESS
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Puback(Acknowledgement):
    """The receiver has taken a QoS 1 message (§3.4)."""


@dataclass(frozen=True, slots=True)
class Pubrec(Acknowledgement):
    """QoS 2, step 1: the receiver has taken the message (§3.5)."""


@dataclass(frozen=True, slots=True)
class Pubrel(Acknowledgement):
    """QoS 2, step 2: the sender will not send it again (§3.6)."""


@dataclass(frozen=True, slots=True)
class Pubcomp(Acknowledgement):
    """QoS 2, step 3: the packet identifier is free again (§3.7)."""


ACKNOWLEDGEMENTS: Final[dict[PacketType, type[Acknowledgement]]] = {
    PacketType.PUBACK: Puback,
    PacketType.PUBREC: Pubrec,
    PacketType.PUBREL: Pubrel,
    PacketType.PUBCOMP: Pubcomp,
}
_TYPE_OF: Final = {cls: packet_type for packet_type, cls in ACKNOWLEDGEMENTS.items()}


def parse_publish(packet: RawPacket, level: ProtocolLevel, *, from_client: bool) -> Publish:
    """Read a PUBLISH. Raises an `MqttError` naming the statement that it breaks."""
    assert packet.packet_type is PacketType.PUBLISH  # Our dispatch, not the peer's bytes.
    qos = packet.flags >> 1 & 0b11
    if qos == 3:
        raise MalformedPacketError("both QoS bits set [MQTT-3.3.1-4]")
    if qos == 0 and packet.flags & _DUP:
        raise MalformedPacketError("DUP on a QoS 0 message [MQTT-3.3.1-2]")
    reader = Reader(packet.body)
    topic = reader.text("the topic name")
    packet_id = reader.packet_id() if qos else None
    properties = b""
    if level is ProtocolLevel.V5:
        length = reader.varint("the property length")
        properties = bytes(reader.take(length, "the properties"))
    _check_topic(topic, properties, from_client)
    return Publish(
        topic,
        bytes(reader.rest()),
        qos,
        packet_id,
        retain=bool(packet.flags & _RETAIN),
        dup=bool(packet.flags & _DUP),
        properties=properties,
    )


def encode_publish(publish: Publish, level: ProtocolLevel) -> bytes:
    """A PUBLISH. Properties are left out for 3.1.1, which has none."""
    if (publish.packet_id is None) != (publish.qos == 0):
        raise UnencodableError("a packet identifier belongs to QoS 1 and 2, and only there")
    flags = publish.qos << 1 | _DUP * publish.dup | _RETAIN * publish.retain
    body = write_text(publish.topic)
    if publish.packet_id is not None:
        body += write_u16(publish.packet_id)
    if level is ProtocolLevel.V5:
        body += write_varint(len(publish.properties)) + publish.properties
    return frame(PacketType.PUBLISH, body + publish.payload, flags)


def parse_acknowledgement(packet: RawPacket, level: ProtocolLevel) -> Acknowledgement:
    """Read a PUBACK, PUBREC, PUBREL or PUBCOMP, as the class of that name."""
    packet_type = packet.packet_type
    cls = ACKNOWLEDGEMENTS[packet_type]
    reader = Reader(packet.body)
    packet_id = reader.packet_id()
    reason, properties = Reason.SUCCESS, NO_PROPERTIES
    if level is ProtocolLevel.V5 and reader.left:
        code = reader.u8("the reason code")
        if code not in ALLOWED[packet_type]:
            rule = RULE_OF[packet_type]
            raise ProtocolError(f"{packet_type.name} with reason code {code:#04x} [{rule}]")
        reason = Reason(code)
        if reader.left:
            properties = read_properties(reader, Place(packet_type), level)
    reader.end(packet_type.name)
    return cls(packet_id, reason, properties)


def encode_acknowledgement(ack: Acknowledgement, level: ProtocolLevel) -> bytes:
    """The ack in its shortest form (§3.4.2.1: success without properties is two bytes)."""
    packet_type = _TYPE_OF[type(ack)]
    body = write_u16(ack.packet_id)
    if level is ProtocolLevel.V5:
        if ack.properties is not NO_PROPERTIES:
            body += bytes((ack.reason,)) + encode_properties(
                ack.properties, Place(packet_type), level
            )
        elif ack.reason is not Reason.SUCCESS:
            body += bytes((ack.reason,))
    return frame(packet_type, body)


def _check_topic(topic: str, encoded: bytes, from_client: bool) -> None:
    properties = decode_properties(encoded, Place.PUBLISH)
    if from_client and properties.subscription_ids:
        raise ProtocolError("subscription identifier in a client's PUBLISH [MQTT-3.3.4-6]")
    if topic:
        check_topic_name(topic)
    elif properties.topic_alias is None:
        raise ProtocolError("topic name is empty and there is no topic alias, §3.3.2.1")
