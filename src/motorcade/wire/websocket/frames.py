"""WebSocket frames: headers read and written, masks, close frames. RFC 6455 §5.

`read_header` answers `None` for "not all here yet" and raises for what no further byte could mend.
Sizes are not judged here: the header tells them before the first byte of the payload has come, and
the reader decides. The compiled twin for binary frames is in `kernels.py`.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from motorcade.wire.websocket.errors import CloseCode, FrameError

HEADER_BYTES_MAX: Final = 14
CONTROL_BYTES_MAX: Final = 125  # of a control frame's payload (§5.5)

_U16: Final = Struct(">H")
_U64: Final = Struct(">Q")


class Opcode(IntEnum):
    """What a frame is (§5.2)."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

    @property
    def is_control(self) -> bool:
        return self >= Opcode.CLOSE


_OPCODES: Final = {opcode.value: opcode for opcode in Opcode}


class Header(NamedTuple):
    """The head of one frame."""

    opcode: Opcode
    final: bool
    mask: bytes  # four bytes, or none
    header_bytes: int
    payload_bytes: int


def read_header(data: bytes | memoryview) -> Header | None:
    """Read the header that a client's frame starts with; `None` while it is not complete.

    Raises:
        FrameError: a rule of §5 that holds for every frame of a client is broken.
    """
    if len(data) < 2:
        return None
    opcode = _OPCODES.get(data[0] & 0x0F)
    if opcode is None or data[0] & 0x70:
        raise FrameError(CloseCode.PROTOCOL_ERROR, f"first byte {data[0]:#04x}: unknown or RSV")
    if not data[1] & 0x80:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "a client's frame must be masked (§5.1)")
    final = bool(data[0] & 0x80)
    payload_bytes = data[1] & 0x7F
    if opcode.is_control and (payload_bytes > CONTROL_BYTES_MAX or not final):
        raise FrameError(CloseCode.PROTOCOL_ERROR, "a control frame is whole and short (§5.5)")
    mask_at = 2
    if payload_bytes >= 126:
        shape = _U16 if payload_bytes == 126 else _U64
        mask_at += shape.size
        if len(data) < mask_at:
            return None
        payload_bytes = int(shape.unpack_from(data, 2)[0])
    if payload_bytes >> 63:
        raise FrameError(CloseCode.PROTOCOL_ERROR, "a length of 64 bits (§5.2)")
    if len(data) < mask_at + 4:
        return None
    mask = bytes(data[mask_at : mask_at + 4])
    return Header(opcode, final, mask, mask_at + 4, payload_bytes)


def apply_mask(payload: bytes | memoryview, mask: bytes) -> bytes:
    """Put the mask on, or take it off (§5.3). An empty mask changes nothing."""
    if not mask or not payload:
        return bytes(payload)
    size = len(payload)
    keys = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def encode_frame(opcode: Opcode, payload: bytes, mask: bytes = b"") -> bytes:
    """One whole frame. A client passes four random bytes as `mask`; a server none (§5.1)."""
    size = len(payload)
    masked = 0x80 if mask else 0
    head = bytes((0x80 | opcode,))
    if size < 126:
        head += bytes((masked | size,))
    elif size < 1 << 16:
        head += bytes((masked | 126,)) + _U16.pack(size)
    else:
        head += bytes((masked | 127,)) + _U64.pack(size)
    return head + mask + apply_mask(payload, mask)


def encode_close(code: CloseCode, reason: str, mask: bytes = b"") -> bytes:
    """A close frame. The reason is cut to what a control frame can hold."""
    text = reason.encode()[: CONTROL_BYTES_MAX - 2].decode(errors="ignore").encode()
    return encode_frame(Opcode.CLOSE, _U16.pack(code) + text, mask)
