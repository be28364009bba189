"""MQTT's data types (5.0 §1.5): integers, UTF-8 strings, binary data, string pairs.

`Reader` walks one packet's body, which is all there: running out of bytes is malformed, not
"wait". Only `read_varint` is also used on the fixed header, where `None` means more is needed.
"""

from typing import Final

from motorcade.wire.mqtt.errors import MalformedPacketError, ProtocolError, UnencodableError

VARINT_MAX: Final = 268_435_455  # four bytes of seven bits, §1.5.5
U16_MAX: Final = 0xFFFF


def read_varint(buffer: memoryview, offset: int) -> tuple[int, int] | None:
    """Return (value, offset behind it), or `None` if `buffer` ends inside it.

    Raises:
        MalformedPacketError: five bytes, or more bytes than the value needs.
    """
    value = 0
    for index in range(4):
        if offset + index >= len(buffer):
            return None
        byte = buffer[offset + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if index and byte == 0:
                raise MalformedPacketError("integer in more bytes than it needs [MQTT-1.5.5-1]")
            return value, offset + index + 1
    raise MalformedPacketError("variable byte integer has no end after four bytes, §1.5.5")


def write_varint(value: int) -> bytes:
    """Encode in the least number of bytes."""
    if not 0 <= value <= VARINT_MAX:
        raise UnencodableError(f"{value} does not fit a variable byte integer (0..{VARINT_MAX})")
    if value < 0x80:
        return bytes((value,))
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def write_u16(value: int) -> bytes:
    """Two bytes, big-endian."""
    if not 0 <= value <= U16_MAX:
        raise UnencodableError(f"{value} does not fit two bytes (0..65535)")
    return value.to_bytes(2, "big")


def write_u32(value: int) -> bytes:
    """Four bytes, big-endian."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise UnencodableError(f"{value} does not fit four bytes")
    return value.to_bytes(4, "big")


def write_binary(data: bytes) -> bytes:
    """Length in two bytes, then `data`."""
    if len(data) > U16_MAX:
        raise UnencodableError(f"{len(data)} bytes in one field; MQTT carries at most 65535")
    return len(data).to_bytes(2, "big") + data


def write_text(text: str) -> bytes:
    """A UTF-8 string with its length."""
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise UnencodableError("text holds a lone surrogate, which UTF-8 cannot carry") from error
    if b"\0" in data:
        raise UnencodableError("text holds U+0000, which MQTT forbids [MQTT-1.5.4-2]")
    return write_binary(data)


def decode_text(data: memoryview | bytes, what: str) -> str:
    """The text that `data` holds, checked as §1.5.4 asks. `what` names it in the error."""
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise MalformedPacketError(f"{what} is not UTF-8 [MQTT-1.5.4-1]") from error
    if "\0" in text:
        raise MalformedPacketError(f"{what} holds U+0000 [MQTT-1.5.4-2]")
    return text


class Reader:
    """A cursor over one packet's body. Every method raises `MalformedPacketError` at the end."""

    __slots__ = ("_body", "offset")

    def __init__(self, body: memoryview) -> None:
        self._body = body
        self.offset = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._body) - self.offset

    def take(self, count: int, what: str) -> memoryview:
        """The next `count` bytes, borrowed from the body."""
        end = self.offset + count
        if end > len(self._body):
            raise MalformedPacketError(f"the packet ends inside {what}: {count} bytes are missing")
        data = self._body[self.offset : end]
        self.offset = end
        return data

    def u8(self, what: str) -> int:
        return self.take(1, what)[0]

    def u16(self, what: str) -> int:
        return int.from_bytes(self.take(2, what), "big")

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "big")

    def varint(self, what: str) -> int:
        found = read_varint(self._body, self.offset)
        if found is None:
            raise MalformedPacketError(f"the packet ends inside {what}, §1.5.5")
        value, self.offset = found
        return value

    def binary(self, what: str) -> memoryview:
        return self.take(self.u16(f"the length of {what}"), what)

    def text(self, what: str) -> str:
        return decode_text(self.binary(what), what)

    def rest(self) -> memoryview:
        return self.take(self.left, "the payload")

    def packet_id(self) -> int:
        """A packet identifier, which is never zero."""
        value = self.u16("the packet identifier")
        if value == 0:
            raise ProtocolError("packet identifier is zero [MQTT-2.2.1-3]")
        return value

    def end(self, what: str) -> None:
        """Refuse bytes behind the last field."""
        if self.left:
            raise MalformedPacketError(f"{self.left} bytes too many at the end of {what}, §2.1.4")
