"""The flatbuffers envelope of Fleet Telemetry, both directions, packed and read by hand.

Source: the protocol page §1.3 (tables, slots, the golden ack). A peer's bytes are hostile: every
offset is checked before it is followed, and nothing is read that is not needed. This is the
readable second opinion for `kernels.py`, and what the car and the tests use.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final

from motorcade.wire.tesla_telemetry.errors import MalformedEnvelopeError

TXID_BYTES_MAX: Final = 256  # echoed in answers, so bounded; a UUID has 36
NAME_BYTES_MAX: Final = 128  # of a record type
VTABLE_BYTES_MIN: Final = 4  # its own size and the table's; less is no flatbuffer

INCORRECT_FORMAT: Final = b"incorrect message format"
RATE_LIMITED: Final = b"rate limit exceeded"

_U16: Final = Struct("<H")
_U32: Final = Struct("<I")
_I32: Final = Struct("<i")


class Tag(IntEnum):
    """The union tag of the envelope's message."""

    NONE = 0
    STREAM = 4
    STREAM_ACK = 5


class EnvelopeSlot(IntEnum):
    """Fields of the root table, in the order of its vtable."""

    TXID = 0
    TOPIC = 1
    MESSAGE_TYPE = 2
    MESSAGE = 3
    MESSAGE_ID = 4


class StreamSlot(IntEnum):
    """Fields of the Stream table; slot 5 (delivered_at) is the server's own and never read."""

    CREATED_AT = 0
    SENDER_ID = 1
    PAYLOAD = 2
    DEVICE_TYPE = 3
    DEVICE_ID = 4


@dataclass(frozen=True, slots=True)
class Stream:
    """One record as a car sends it."""

    created_at_s: int  # uint32, epoch seconds; 0 = not given
    sender_id: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A whole message. `stream` is set exactly when `tag` is `Tag.STREAM`."""

    txid: bytes
    topic: bytes
    tag: int
    stream: Stream | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said about one record."""

    acked: bool  # False: the record was refused, `reason` says why
    txid: bytes
    topic: bytes
    reason: bytes = b""


def parse_envelope(data: bytes) -> Envelope:
    """Read a car's message. An empty one is an envelope with nothing in it.

    Raises:
        MalformedEnvelopeError: an offset leaves the message, or a name is over its limit.
    """
    if not data:
        return Envelope(b"", b"", Tag.NONE, None)
    root = _follow(data, 0)
    txid = _vector(data, root, EnvelopeSlot.TXID)
    if len(txid) > TXID_BYTES_MAX:
        raise MalformedEnvelopeError(f"txid of {len(txid)} bytes, limit {TXID_BYTES_MAX}")
    try:
        return _parse_body(data, root, txid)
    except MalformedEnvelopeError as error:
        raise MalformedEnvelopeError(str(error), txid) from error


def _parse_body(data: bytes, root: int, txid: bytes) -> Envelope:
    tag_at = _field(data, root, EnvelopeSlot.MESSAGE_TYPE, 1)
    tag = data[tag_at] if tag_at else Tag.NONE
    if tag != Tag.STREAM:  # the message behind another tag is never followed (§1.3, golden ack)
        return Envelope(txid, b"", tag, None)
    topic = _vector(data, root, EnvelopeSlot.TOPIC)
    if len(topic) > NAME_BYTES_MAX:
        raise MalformedEnvelopeError(f"topic of {len(topic)} bytes, limit {NAME_BYTES_MAX}")
    message_at = _field(data, root, EnvelopeSlot.MESSAGE, 4)
    if not message_at:
        raise MalformedEnvelopeError("the tag says Stream, but there is no message")
    table = _follow(data, message_at)
    time_at = _field(data, table, StreamSlot.CREATED_AT, 4)
    created_at_s = _read(_U32, data, time_at) if time_at else 0
    sender_id = _vector(data, table, StreamSlot.SENDER_ID)
    payload = _vector(data, table, StreamSlot.PAYLOAD)
    return Envelope(txid, topic, tag, Stream(created_at_s, sender_id, payload))


def encode_ack(txid: bytes, topic: bytes) -> bytes:
    """The ack of one record, byte for byte as Tesla's server packs it (§1.3, golden ack)."""
    # Tesla's union offset points at an empty vector, not a table; its clients look at the tag only.
    return _encode(Tag.STREAM_ACK, txid, topic, _padded(b""), message_start=0)


def encode_error(txid: bytes, reason: bytes) -> bytes:
    """The error answer: a Stream without topic, sender or ids whose payload is `reason`."""
    return _encode(Tag.STREAM, txid, b"", _stream(0, b"", reason, b"", b""), message_start=16)


def encode_stream(
    *, txid: bytes, topic: bytes, payload: bytes, device_id: bytes, created_at_s: int
) -> bytes:
    """A record as a car sends it. `device_id` is the VIN, as in the client certificate."""
    stream = _stream(
        created_at_s, b"vehicle_device." + device_id, payload, b"vehicle_device", device_id
    )
    return _encode(Tag.STREAM, txid, topic, stream, message_start=16)


def decode_answer(data: bytes) -> Answer:
    """Read a server's answer to a record.

    Raises:
        MalformedEnvelopeError: neither an ack nor an error answer.
    """
    if not data:
        raise MalformedEnvelopeError("an empty message is no answer")
    root = _follow(data, 0)
    txid = _vector(data, root, EnvelopeSlot.TXID)
    topic = _vector(data, root, EnvelopeSlot.TOPIC)
    tag_at = _field(data, root, EnvelopeSlot.MESSAGE_TYPE, 1)
    tag = data[tag_at] if tag_at else Tag.NONE
    if tag == Tag.STREAM_ACK:
        return Answer(True, txid, topic)
    message_at = _field(data, root, EnvelopeSlot.MESSAGE, 4)
    if tag != Tag.STREAM or not message_at:
        raise MalformedEnvelopeError(f"an answer has tag 4 or 5, this one {tag}", txid)
    table = _follow(data, message_at)
    return Answer(False, txid, topic, _vector(data, table, StreamSlot.PAYLOAD))


def _encode(tag: Tag, txid: bytes, topic: bytes, message: bytes, *, message_start: int) -> bytes:
    """Lay out an envelope as Tesla's builder does: vtable, table, message_id, topic, txid, message.

    `message_start` is where, inside `message`, the union's offset points.
    """
    topic_vector, txid_vector = _padded(topic), _padded(txid)
    topic_at = 52  # after root offset, vtable, table and the empty message_id
    txid_at = topic_at + len(topic_vector)
    message_at = txid_at + len(txid_vector) + message_start
    head = (
        _U32.pack(20)  # where the table is
        + b"\0\0"
        + b"".join(map(_U16.pack, (14, 24, 20, 16, 15, 8, 4)))  # vtable: sizes, then five slots
        + _I32.pack(14)  # the table: back to its vtable
        + _U32.pack(44 - 24)  # message_id
        + _U32.pack(message_at - 28)
        + bytes((0, 0, 0, tag))
        + _U32.pack(topic_at - 36)
        + _U32.pack(txid_at - 40)
    )
    return head + _padded(b"") + topic_vector + txid_vector + message


def _stream(
    created_at_s: int, sender_id: bytes, payload: bytes, device_type: bytes, device_id: bytes
) -> bytes:
    """A Stream table with its vtable in front, 16 bytes long."""
    vectors = [_padded(part) for part in (sender_id, payload, device_type, device_id)]
    body = _I32.pack(14) + _U32.pack(created_at_s)
    target = 24
    for slot, vector in enumerate(vectors):
        body += _U32.pack(target - (8 + 4 * slot))
        target += len(vector)
    vtable = b"".join(map(_U16.pack, (14, 24, 4, 8, 12, 16, 20)))
    return b"\0\0" + vtable + body + b"".join(vectors)


def _padded(data: bytes) -> bytes:
    """A byte vector: length, bytes, and a NUL that is not counted, up to the next 4 bytes."""
    return _U32.pack(len(data)) + data + bytes(4 - len(data) % 4)


def _read(shape: Struct, data: bytes, at: int) -> int:
    if at < 0 or at + shape.size > len(data):
        raise MalformedEnvelopeError(f"offset {at} leaves the message of {len(data)} bytes")
    return int(shape.unpack_from(data, at)[0])


def _follow(data: bytes, at: int) -> int:
    return at + _read(_U32, data, at)


def _field(data: bytes, table: int, slot: int, size: int) -> int:
    """Where a field of `size` bytes lies; 0 when the table does not have it."""
    vtable = table - _read(_I32, data, table)
    vtable_bytes = _read(_U16, data, vtable)
    if vtable_bytes < VTABLE_BYTES_MIN or vtable + vtable_bytes > len(data):
        raise MalformedEnvelopeError(f"a vtable of {vtable_bytes} bytes at {vtable}")
    entry = 4 + 2 * slot
    offset = _read(_U16, data, vtable + entry) if entry + 2 <= vtable_bytes else 0
    if offset and table + offset + size > len(data):
        raise MalformedEnvelopeError(f"slot {slot} leaves the message of {len(data)} bytes")
    return table + offset if offset else 0


def _vector(data: bytes, table: int, slot: int) -> bytes:
    at = _field(data, table, slot, 4)
    if not at:
        return b""
    start = _follow(data, at)
    length = _read(_U32, data, start)
    if start + 4 + length > len(data):
        raise MalformedEnvelopeError(f"a vector of {length} bytes at {start} leaves the message")
    return data[start + 4 : start + 4 + length]
