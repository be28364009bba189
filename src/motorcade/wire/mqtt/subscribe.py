"""SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (5.0 §3.8-3.11)."""

from dataclasses import dataclass, replace
from typing import Final

from motorcade.wire.mqtt.errors import (
    MalformedPacketError,
    ProtocolError,
    TooManyFiltersError,
    UnencodableError,
)
from motorcade.wire.mqtt.framing import RawPacket, frame
from motorcade.wire.mqtt.primitives import Reader, write_text, write_u16
from motorcade.wire.mqtt.properties import (
    NO_PROPERTIES,
    Place,
    Properties,
    encode_properties,
    read_properties,
)
from motorcade.wire.mqtt.reasons import ALLOWED, RULE_OF, PacketType, ProtocolLevel, Reason
from motorcade.wire.mqtt.topics import check_topic_filter, split_shared

FILTERS_MAX: Final = 8_192  # in one packet: 5 bytes on the wire become about 150 in memory
_NO_LOCAL: Final = 0x04
_RETAIN_AS_PUBLISHED: Final = 0x08
_FAILURE_3_1_1: Final = 0x80  # the only refusal that 3.1.1's SUBACK knows
_REASONS_3_1_1: Final = frozenset({0, 1, 2, _FAILURE_3_1_1})


@dataclass(frozen=True, slots=True)
class Subscription:
    """One filter with its options; all but `qos` exist in 5.0 only."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0  # 0 send retained, 1 only if the subscription is new, 2 never
    identifier: int = 0  # of the whole SUBSCRIBE; 0: none


@dataclass(frozen=True, slots=True)
class Subscribe:
    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Suback:
    """One reason per subscription, in order: the granted QoS, or why not."""

    packet_id: int
    reasons: tuple[Reason, ...]
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


@dataclass(frozen=True, slots=True)
class Unsuback:
    """One reason per filter, in order; empty in 3.1.1, which has none."""

    packet_id: int
    reasons: tuple[Reason, ...] = ()
    properties: Properties = NO_PROPERTIES


def parse_subscribe(packet: RawPacket, level: ProtocolLevel) -> Subscribe:
    """Read a SUBSCRIBE. Every filter in it is valid, and there are at most `FILTERS_MAX`."""
    assert packet.packet_type is PacketType.SUBSCRIBE
    reader = Reader(packet.body)
    packet_id = reader.packet_id()
    properties = read_properties(reader, Place.SUBSCRIBE, level)
    subscriptions: list[Subscription] = []
    while reader.left:
        topic_filter = reader.text("a topic filter")
        check_topic_filter(topic_filter, level)
        _check_count(subscriptions)
        subscriptions.append(_subscription(topic_filter, reader.u8("subscription options"), level))
    identifier = properties.subscription_ids[0] if properties.subscription_ids else 0
    if identifier:
        subscriptions = [replace(each, identifier=identifier) for each in subscriptions]
    if not subscriptions:
        raise ProtocolError("SUBSCRIBE without a topic filter [MQTT-3.8.3-2]")
    return Subscribe(packet_id, tuple(subscriptions), properties)


def encode_subscribe(subscribe: Subscribe, level: ProtocolLevel) -> bytes:
    """The SUBSCRIBE of a client."""
    if not subscribe.subscriptions:
        raise UnencodableError("SUBSCRIBE needs at least one topic filter [MQTT-3.8.3-2]")
    body = _head(subscribe.packet_id, subscribe.properties, level, Place.SUBSCRIBE)
    for subscription in subscribe.subscriptions:
        body += write_text(subscription.topic_filter) + bytes((_options(subscription, level),))
    return frame(PacketType.SUBSCRIBE, body)


def parse_suback(packet: RawPacket, level: ProtocolLevel) -> Suback:
    """Read a SUBACK. 3.1.1's 0x80 is `UNSPECIFIED_ERROR`."""
    assert packet.packet_type is PacketType.SUBACK
    reader = Reader(packet.body)
    packet_id = reader.packet_id()
    properties = read_properties(reader, Place.SUBACK, level)
    allowed = ALLOWED[PacketType.SUBACK] if level is ProtocolLevel.V5 else _REASONS_3_1_1
    reasons = _read_reasons(reader, PacketType.SUBACK, allowed)
    return Suback(packet_id, reasons, properties)


def encode_suback(suback: Suback, level: ProtocolLevel) -> bytes:
    """The server's answer; for 3.1.1 every refusal becomes 0x80."""
    body = _head(suback.packet_id, suback.properties, level, Place.SUBACK)
    if level is ProtocolLevel.V5:
        return frame(PacketType.SUBACK, body + bytes(suback.reasons))
    return frame(PacketType.SUBACK, body + bytes(min(r, _FAILURE_3_1_1) for r in suback.reasons))


def parse_unsubscribe(packet: RawPacket, level: ProtocolLevel) -> Unsubscribe:
    """Read an UNSUBSCRIBE. Filters are compared as text, so an invalid one simply matches none."""
    assert packet.packet_type is PacketType.UNSUBSCRIBE
    reader = Reader(packet.body)
    packet_id = reader.packet_id()
    properties = read_properties(reader, Place.UNSUBSCRIBE, level)
    topic_filters: list[str] = []
    while reader.left:
        _check_count(topic_filters)
        topic_filters.append(reader.text("a topic filter"))
    if not topic_filters:
        raise ProtocolError("UNSUBSCRIBE without a topic filter [MQTT-3.10.3-2]")
    return Unsubscribe(packet_id, tuple(topic_filters), properties)


def encode_unsubscribe(unsubscribe: Unsubscribe, level: ProtocolLevel) -> bytes:
    """The UNSUBSCRIBE of a client."""
    if not unsubscribe.topic_filters:
        raise UnencodableError("UNSUBSCRIBE needs at least one topic filter [MQTT-3.10.3-2]")
    body = _head(unsubscribe.packet_id, unsubscribe.properties, level, Place.UNSUBSCRIBE)
    return frame(
        PacketType.UNSUBSCRIBE, body + b"".join(map(write_text, unsubscribe.topic_filters))
    )


def parse_unsuback(packet: RawPacket, level: ProtocolLevel) -> Unsuback:
    """Read an UNSUBACK."""
    assert packet.packet_type is PacketType.UNSUBACK
    reader = Reader(packet.body)
    packet_id = reader.packet_id()
    if level is ProtocolLevel.V3_1_1:
        reader.end("UNSUBACK")
        return Unsuback(packet_id)
    properties = read_properties(reader, Place.UNSUBACK, level)
    allowed = ALLOWED[PacketType.UNSUBACK]
    return Unsuback(packet_id, _read_reasons(reader, PacketType.UNSUBACK, allowed), properties)


def encode_unsuback(unsuback: Unsuback, level: ProtocolLevel) -> bytes:
    """The server's answer."""
    body = _head(unsuback.packet_id, unsuback.properties, level, Place.UNSUBACK)
    codes = bytes(unsuback.reasons) if level is ProtocolLevel.V5 else b""
    return frame(PacketType.UNSUBACK, body + codes)


def _subscription(topic_filter: str, options: int, level: ProtocolLevel) -> Subscription:
    qos = options & 0b11
    if qos == 3:
        raise ProtocolError("requested QoS is 3, §3.8.3.1")
    if level is ProtocolLevel.V3_1_1:
        if options & ~0b11:
            raise MalformedPacketError("reserved bits beside the QoS [3.1.1: MQTT-3.8.3-4]")
        return Subscription(topic_filter, qos)
    if options & 0b1100_0000:
        raise MalformedPacketError("reserved subscription options are set [MQTT-3.8.3-5]")
    retain_handling = options >> 4 & 0b11
    if retain_handling == 3:
        raise ProtocolError("retain handling is 3, §3.8.3.1")
    no_local = bool(options & _NO_LOCAL)
    if no_local and split_shared(topic_filter):
        raise ProtocolError("no local on a shared subscription [MQTT-3.8.3-4]")
    as_published = bool(options & _RETAIN_AS_PUBLISHED)
    return Subscription(topic_filter, qos, no_local, as_published, retain_handling)


def _check_count(found: list[Subscription] | list[str]) -> None:
    if len(found) >= FILTERS_MAX:
        raise TooManyFiltersError(f"more than {FILTERS_MAX} filters in one packet: use several")


def _options(subscription: Subscription, level: ProtocolLevel) -> int:
    if level is ProtocolLevel.V3_1_1:
        return subscription.qos
    return (
        subscription.qos
        | _NO_LOCAL * subscription.no_local
        | _RETAIN_AS_PUBLISHED * subscription.retain_as_published
        | subscription.retain_handling << 4
    )


def _read_reasons(
    reader: Reader, packet_type: PacketType, allowed: frozenset[Reason] | frozenset[int]
) -> tuple[Reason, ...]:
    codes = bytes(reader.rest())
    wrong = next((code for code in codes if code not in allowed), None)
    if wrong is not None:
        rule = RULE_OF[packet_type]
        raise ProtocolError(f"{packet_type.name} with reason code {wrong:#04x} [{rule}]")
    if not codes:
        raise ProtocolError(f"{packet_type.name} without a reason code [MQTT-3.9.3-1]")
    return tuple(Reason(code) for code in codes)


def _head(packet_id: int, properties: Properties, level: ProtocolLevel, place: Place) -> bytes:
    return write_u16(packet_id) + encode_properties(properties, place, level)
