"""Cutting a stream of bytes into MQTT packets and putting the fixed header before one (§2.1).

A vehicle on a bad link delivers a packet in any number of pieces, so `split_packet` answers `None`
for "not all here yet" and raises only for bytes that no further byte could mend.
"""

from typing import Final, NamedTuple

from motorcade.wire.mqtt.errors import MalformedPacketError, PacketTooLargeError
from motorcade.wire.mqtt.primitives import read_varint, write_varint
from motorcade.wire.mqtt.reasons import PacketType


class RawPacket(NamedTuple):
    """One whole packet, its body still bytes."""

    packet_type: PacketType
    flags: int  # low nibble of byte 0
    body: memoryview  # borrowed from the receive buffer: parse it before the next read
    size: int  # bytes to drop from the receive buffer: fixed header and body


_FLAGS_0010: Final = frozenset({PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE})


def fixed_flags(packet_type: PacketType) -> int:
    """The flags that every packet but PUBLISH must carry (§2.1.3)."""
    return 0b0010 if packet_type in _FLAGS_0010 else 0


def split_packet(buffer: memoryview, *, packet_bytes_max: int) -> RawPacket | None:
    """Return the first whole packet in `buffer`, or `None` if more bytes are needed.

    Raises:
        PacketTooLargeError: the header announces more than `packet_bytes_max` bytes. Told from the
            header alone, so no peer can make us hold what we would then refuse.
        MalformedPacketError: type 0, reserved flags, or a length that is no variable byte integer.
    """
    if not len(buffer):
        return None
    first = buffer[0]
    if first < 0x10:
        raise MalformedPacketError("packet type 0 is forbidden, §2.1.2")
    packet_type, flags = PacketType(first >> 4), first & 0x0F
    if packet_type is not PacketType.PUBLISH and flags != fixed_flags(packet_type):
        raise MalformedPacketError(f"{packet_type.name} with flags {flags:04b} [MQTT-2.1.3-1]")
    length = read_varint(buffer, 1)
    if length is None:
        return None
    remaining, body_start = length
    size = body_start + remaining
    if size > packet_bytes_max:
        raise PacketTooLargeError(
            f"{packet_type.name} of {size} bytes is over the limit of {packet_bytes_max}"
        )
    if len(buffer) < size:
        return None
    return RawPacket(packet_type, flags, buffer[body_start:size], size)


def frame(packet_type: PacketType, body: bytes, flags: int | None = None) -> bytes:
    """Put the fixed header before `body`. `flags` is given for PUBLISH alone."""
    low = fixed_flags(packet_type) if flags is None else flags
    return bytes((packet_type << 4 | low,)) + write_varint(len(body)) + body
