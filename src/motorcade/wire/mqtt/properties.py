"""MQTT 5.0 properties (§2.2.2): the table of all 27, reading, writing, stripping.

`PROPERTIES` says how each is encoded, where it may stand and which values it may take; the code
below only follows the table. A PUBLISH keeps its properties encoded (most events need none of
them); `forwardable` drops the two that belong to one connection.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final

import msgspec

from motorcade.wire.mqtt.errors import (
    MalformedPacketError,
    ProtocolError,
    TooManyPropertiesError,
    UnencodableError,
)
from motorcade.wire.mqtt.primitives import (
    Reader,
    write_binary,
    write_text,
    write_u16,
    write_u32,
    write_varint,
)
from motorcade.wire.mqtt.reasons import PacketType, ProtocolLevel

PROPERTIES_MAX: Final = 1_024  # per packet: user properties may repeat, memory is ours
"""A user property of 5 bytes on the wire becomes about 70 in memory."""
REMEMBERED_MAX: Final = 64  # results: one packet's properties are asked for by three steps
REMEMBERED_BYTES_MAX: Final = 512  # of such; longer ones are read each time


class Place(Enum):
    """Where properties can stand: in a packet's header, or with the will in CONNECT."""

    CONNECT = PacketType.CONNECT
    CONNACK = PacketType.CONNACK
    PUBLISH = PacketType.PUBLISH
    PUBACK = PacketType.PUBACK
    PUBREC = PacketType.PUBREC
    PUBREL = PacketType.PUBREL
    PUBCOMP = PacketType.PUBCOMP
    SUBSCRIBE = PacketType.SUBSCRIBE
    SUBACK = PacketType.SUBACK
    UNSUBSCRIBE = PacketType.UNSUBSCRIBE
    UNSUBACK = PacketType.UNSUBACK
    DISCONNECT = PacketType.DISCONNECT
    AUTH = PacketType.AUTH
    WILL = "WILL"


class Kind(Enum):
    """How a property's value is encoded."""

    U8 = "byte"
    U16 = "two byte integer"
    U32 = "four byte integer"
    VARINT = "variable byte integer"
    TEXT = "UTF-8 string"
    BINARY = "binary data"
    PAIR = "UTF-8 string pair"


class Properties(msgspec.Struct, frozen=True):
    """Every property by name; `None` or empty means absent: the standard's default holds."""

    payload_format: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_ids: tuple[int, ...] = ()
    session_expiry_s: int | None = None
    assigned_client_id: str | None = None
    server_keep_alive_s: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_s: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_max: int | None = None
    topic_alias_max: int | None = None
    topic_alias: int | None = None
    qos_max: int | None = None
    retain_available: int | None = None
    user: tuple[tuple[str, str], ...] = ()
    packet_bytes_max: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_id_available: int | None = None
    shared_subscription_available: int | None = None

    def user_value(self, name: str) -> str | None:
        """The value of the last user property called `name`."""
        return next((value for key, value in reversed(self.user) if key == name), None)


NO_PROPERTIES: Final = Properties()


@dataclass(frozen=True, slots=True)
class PropertyRow:
    """One line of 5.0's table 2-4, with the values its section allows."""

    identifier: int
    name: str  # the field of `Properties`
    kind: Kind
    places: frozenset[Place]
    least: int = 0  # numbers below are protocol errors
    most: int = 0xFFFF_FFFF
    repeats: bool = False  # may occur more than once (in PUBLISH, for subscription identifiers)


def _row(
    identifier: int, name: str, kind: Kind, places: str, least: int = 0, most: int = 0xFFFF_FFFF
) -> PropertyRow:
    everywhere = frozenset(Place)
    where = everywhere if places == "*" else frozenset(Place[word] for word in places.split())
    return PropertyRow(identifier, name, kind, where, least, most, name == "user")


_REASONED: Final = "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"

PROPERTIES: Final[tuple[PropertyRow, ...]] = (
    _row(0x01, "payload_format", Kind.U8, "PUBLISH WILL", 0, 1),
    _row(0x02, "message_expiry_s", Kind.U32, "PUBLISH WILL"),
    _row(0x03, "content_type", Kind.TEXT, "PUBLISH WILL"),
    _row(0x08, "response_topic", Kind.TEXT, "PUBLISH WILL"),
    _row(0x09, "correlation_data", Kind.BINARY, "PUBLISH WILL"),
    _row(0x0B, "subscription_ids", Kind.VARINT, "PUBLISH SUBSCRIBE", 1),
    _row(0x11, "session_expiry_s", Kind.U32, "CONNECT CONNACK DISCONNECT"),
    _row(0x12, "assigned_client_id", Kind.TEXT, "CONNACK"),
    _row(0x13, "server_keep_alive_s", Kind.U16, "CONNACK"),
    _row(0x15, "authentication_method", Kind.TEXT, "CONNECT CONNACK AUTH"),
    _row(0x16, "authentication_data", Kind.BINARY, "CONNECT CONNACK AUTH"),
    _row(0x17, "request_problem_information", Kind.U8, "CONNECT", 0, 1),
    _row(0x18, "will_delay_s", Kind.U32, "WILL"),
    _row(0x19, "request_response_information", Kind.U8, "CONNECT", 0, 1),
    _row(0x1A, "response_information", Kind.TEXT, "CONNACK"),
    _row(0x1C, "server_reference", Kind.TEXT, "CONNACK DISCONNECT"),
    _row(0x1F, "reason_string", Kind.TEXT, _REASONED),
    _row(0x21, "receive_max", Kind.U16, "CONNECT CONNACK", 1),
    _row(0x22, "topic_alias_max", Kind.U16, "CONNECT CONNACK"),
    _row(0x23, "topic_alias", Kind.U16, "PUBLISH", 1),
    _row(0x24, "qos_max", Kind.U8, "CONNACK", 0, 1),
    _row(0x25, "retain_available", Kind.U8, "CONNACK", 0, 1),
    _row(0x26, "user", Kind.PAIR, "*"),
    _row(0x27, "packet_bytes_max", Kind.U32, "CONNECT CONNACK", 1),
    _row(0x28, "wildcard_subscription_available", Kind.U8, "CONNACK", 0, 1),
    _row(0x29, "subscription_id_available", Kind.U8, "CONNACK", 0, 1),
    _row(0x2A, "shared_subscription_available", Kind.U8, "CONNACK", 0, 1),
)
BY_IDENTIFIER: Final = {row.identifier: row for row in PROPERTIES}
_BY_NAME: Final = {row.name: row for row in PROPERTIES}
_FIELDS: Final = Properties.__struct_fields__
_OF_ONE_CONNECTION: Final = frozenset({"topic_alias", "subscription_ids"})
_UNSET: Final = (None, ())


def read_properties(reader: Reader, place: Place, level: ProtocolLevel) -> Properties:
    """Read a property length and the properties behind it; 3.1.1 has neither.

    Raises:
        MalformedPacketError: not readable, or a property that may not stand at `place`.
        ProtocolError: repeated, or with a value its section forbids.
        TooManyPropertiesError: more than `PROPERTIES_MAX`.
    """
    if level is ProtocolLevel.V3_1_1:
        return NO_PROPERTIES
    length = reader.varint("the property length")
    return decode_properties(reader.take(length, "the properties"), place)


def decode_properties(encoded: memoryview | bytes, place: Place) -> Properties:
    """Read properties without their length, as `Publish.properties` holds them. Raises as above."""
    if not len(encoded):
        return NO_PROPERTIES
    if len(encoded) <= REMEMBERED_BYTES_MAX:
        return _decode_small(bytes(encoded), place)
    return _decode(memoryview(encoded), place)


@lru_cache(maxsize=REMEMBERED_MAX)
def _decode_small(encoded: bytes, place: Place) -> Properties:
    return _decode(memoryview(encoded), place)


def _decode(encoded: memoryview, place: Place) -> Properties:
    values: dict[str, Any] = {}
    for row, value, _ in _walk(encoded, place):
        _check(row, value)
        if row.repeats or (row.name == "subscription_ids" and place is Place.PUBLISH):
            values.setdefault(row.name, []).append(value)
        elif row.name in values:
            raise ProtocolError(f"{row.name} more than once in {place.name}, §2.2.2.2")
        else:
            values[row.name] = [value] if row.name == "subscription_ids" else value
    for name in ("user", "subscription_ids"):
        if name in values:
            values[name] = tuple(values[name])
    if "authentication_data" in values and "authentication_method" not in values:
        raise ProtocolError("authentication data without a method, §3.1.2.11.10")
    return Properties(**values)


def encode_properties(properties: Properties, place: Place, level: ProtocolLevel) -> bytes:
    """The properties with their length before them; nothing at all for 3.1.1.

    Raises:
        UnencodableError: one of them may not stand at `place`.
    """
    if level is ProtocolLevel.V3_1_1:
        return b""
    if properties is NO_PROPERTIES:
        return b"\0"
    encoded = encode_bare(properties, place)
    return write_varint(len(encoded)) + encoded


def encode_bare(properties: Properties, place: Place) -> bytes:
    """The properties alone, as `Publish.properties` wants them."""
    parts: list[bytes] = []
    for name in _FIELDS:
        value = getattr(properties, name)
        if value in _UNSET:
            continue
        row = _BY_NAME[name]
        if place not in row.places:
            raise UnencodableError(f"{name} may not stand in {place.name}: leave it out")
        items = value if isinstance(value, tuple) else (value,)
        parts += [write_varint(row.identifier) + _write(row.kind, item) for item in items]
    return b"".join(parts)


def forwardable(encoded: bytes) -> bytes:
    """A PUBLISH's properties without topic alias and subscription identifiers, else unchanged.

    What remains keeps its bytes and order: user properties must arrive in order
    [MQTT-3.3.2-18], and the others unaltered.
    """
    kept = [
        part
        for row, _, part in _walk(memoryview(encoded), Place.PUBLISH)
        if row.name not in _OF_ONE_CONNECTION
    ]
    return b"".join(kept)


def with_expiry(encoded: bytes, left_s: int) -> bytes:
    """A PUBLISH's properties with another message expiry."""
    properties = decode_properties(encoded, Place.PUBLISH)
    return encode_bare(msgspec.structs.replace(properties, message_expiry_s=left_s), Place.PUBLISH)


def _walk(encoded: memoryview, place: Place) -> Iterator[tuple[PropertyRow, Any, memoryview]]:
    """Each property as (row, value, its bytes)."""
    reader = Reader(encoded)
    count = 0
    while reader.left:
        count += 1
        if count > PROPERTIES_MAX:
            raise TooManyPropertiesError(f"more than {PROPERTIES_MAX} properties in one packet")
        start = reader.offset
        identifier = reader.varint("a property identifier")
        row = BY_IDENTIFIER.get(identifier)
        if row is None:
            raise MalformedPacketError(f"unknown property {identifier:#04x}, §2.2.2.2")
        if place not in row.places:
            raise MalformedPacketError(f"{row.name} may not stand in {place.name}, §2.2.2.2")
        value = _read(reader, row)
        yield row, value, encoded[start : reader.offset]


def _read(reader: Reader, row: PropertyRow) -> Any:
    match row.kind:
        case Kind.U8:
            return reader.u8(row.name)
        case Kind.U16:
            return reader.u16(row.name)
        case Kind.U32:
            return reader.u32(row.name)
        case Kind.VARINT:
            return reader.varint(row.name)
        case Kind.TEXT:
            return reader.text(row.name)
        case Kind.BINARY:
            return bytes(reader.binary(row.name))
        case Kind.PAIR:
            return reader.text("a user property's name"), reader.text("a user property's value")


def _write(kind: Kind, value: Any) -> bytes:
    match kind:
        case Kind.U8:
            return bytes((value,))
        case Kind.U16:
            return write_u16(value)
        case Kind.U32:
            return write_u32(value)
        case Kind.VARINT:
            return write_varint(value)
        case Kind.TEXT:
            return write_text(value)
        case Kind.BINARY:
            return write_binary(value)
        case Kind.PAIR:
            return write_text(value[0]) + write_text(value[1])


def _check(row: PropertyRow, value: Any) -> None:
    """The values that a property's own section forbids."""
    if isinstance(value, int) and not row.least <= value <= row.most:
        raise ProtocolError(f"{row.name} is {value}, allowed are {row.least}..{row.most}, §2.2.2.2")
    if row.name == "response_topic" and ("+" in value or "#" in value or not value):
        raise ProtocolError("response topic is empty or holds a wildcard [MQTT-3.3.2-14]")
