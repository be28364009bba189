"""Compiled twins of `envelope.py` and `records.py`: read, check, identify, answer.

Called from the door's kernel, once per record. `data` is uint8 and is the peer's: every index is
checked before use. Places and lengths are int64; -1 says "refuse".
"""

import numpy as np

from motorcade.compiled import kernel
from motorcade.wire.tesla_telemetry.envelope import NAME_BYTES_MAX, TXID_BYTES_MAX, Tag
from motorcade.wire.tesla_telemetry.records import (
    DEPTH_MAX,
    FIELDS,
    MESSAGES,
    PACKED,
    RECORD_TYPES,
    RESEND_FIELD,
    SCALAR,
    SCHEMA,
    SECONDS_MAX,
    STRING,
)
from motorcade.wire.xxh3.kernels import xxh3_128

_NAMES = np.zeros((len(RECORD_TYPES), 16), np.uint8)
for _index, _row in enumerate(RECORD_TYPES):
    _NAMES[_index, : len(_row.name)] = np.frombuffer(_row.name, np.uint8)
_NAME_BYTES = np.array([len(row.name) for row in RECORD_TYPES])
_ROOT = np.array([list(MESSAGES).index(row.message) for row in RECORD_TYPES])
_VIN_FIELD = np.array([row.vin_field for row in RECORD_TYPES])
_TIME_FIELD = np.array([row.time_field for row in RECORD_TYPES])
_PAYLOAD = list(MESSAGES).index("Payload")
_STREAM = int(Tag.STREAM)
_TOKEN_BYTES = 17

OTHER = len(RECORD_TYPES)  # `type_of` of a name that the table does not have

# What `read_envelope` finds, by place in `found`. -1 in FOUND_TXID: no flatbuffer at all.
FOUND_TXID, FOUND_TXID_BYTES, FOUND_TOPIC, FOUND_TOPIC_BYTES, FOUND_TAG = 0, 1, 2, 3, 4
FOUND_CREATED_AT, FOUND_SENDER, FOUND_SENDER_BYTES, FOUND_PAYLOAD, FOUND_PAYLOAD_BYTES = (
    5,
    6,
    7,
    8,
    9,
)
FOUND_SIZE = 10

# What `check_payload` tells, by place in `told`.
TOLD_TIME_US, TOLD_HAS_TIME, TOLD_RESEND, TOLD_VIN_FITS = 0, 1, 2, 3
TOLD_SIZE = 4

STACK_SIZE = DEPTH_MAX + 2
HEAD_BYTES = 52  # of an answer, before the topic
TAIL_AT = HEAD_BYTES + 8 + 8  # in an answer whose topic and txid are empty
ANSWER_BYTES_MAX = 4 + 128 + TXID_BYTES_MAX + NAME_BYTES_MAX + 64  # one framed answer at most


@kernel
def read_u32(data, at):
    """The little-endian uint32 at `at`, which the caller has checked."""
    return (
        np.int64(data[at])
        | (np.int64(data[at + 1]) << 8)
        | (np.int64(data[at + 2]) << 16)
        | (np.int64(data[at + 3]) << 24)
    )


@kernel
def write_u32(data, at, value):
    """Write a little-endian uint32."""
    data[at] = value & 0xFF
    data[at + 1] = (value >> 8) & 0xFF
    data[at + 2] = (value >> 16) & 0xFF
    data[at + 3] = (value >> 24) & 0xFF


@kernel
def find_field(data, start, end, table, slot, size):
    """Where a table's field lies; 0 when it is absent, -1 when an offset leaves the message."""
    if table < start or table + 4 > end:
        return -1
    back = read_u32(data, table)
    if back >= 1 << 31:
        back -= 1 << 32
    vtable = table - back
    if vtable < start or vtable + 2 > end:
        return -1
    vtable_bytes = np.int64(data[vtable]) | (np.int64(data[vtable + 1]) << 8)
    if vtable_bytes < 4 or vtable + vtable_bytes > end:
        return -1
    entry = 4 + 2 * slot
    if entry + 2 > vtable_bytes:
        return 0
    offset = np.int64(data[vtable + entry]) | (np.int64(data[vtable + entry + 1]) << 8)
    if offset == 0:
        return 0
    if table + offset + size > end:
        return -1
    return table + offset


@kernel
def find_vector(data, start, end, table, slot):
    """(place, bytes) of a byte vector; (0, 0) when absent, (-1, 0) when it leaves the message."""
    at = find_field(data, start, end, table, slot, 4)
    if at <= 0:
        return at, 0
    vector = at + read_u32(data, at)
    if vector + 4 > end:
        return -1, 0
    length = read_u32(data, vector)
    if vector + 4 + length > end:
        return -1, 0
    return vector + 4, length


@kernel
def read_envelope(data, start, end, found):
    """Twin of `parse_envelope` for a message that is not empty; False: malformed.

    `found` is filled as far as the reading came, FOUND_TXID first.
    """
    found[:] = 0
    found[FOUND_TXID] = -1
    if end - start < 4:
        return False
    root = start + read_u32(data, start)
    txid, txid_bytes = find_vector(data, start, end, root, 0)
    if txid < 0 or txid_bytes > TXID_BYTES_MAX:
        return False
    found[FOUND_TXID] = txid
    found[FOUND_TXID_BYTES] = txid_bytes
    tag_at = find_field(data, start, end, root, 2, 1)
    if tag_at < 0:
        return False
    if tag_at > 0:
        found[FOUND_TAG] = data[tag_at]
    if found[FOUND_TAG] != _STREAM:
        return True
    topic, topic_bytes = find_vector(data, start, end, root, 1)
    if topic < 0 or topic_bytes > NAME_BYTES_MAX:
        return False
    found[FOUND_TOPIC] = topic
    found[FOUND_TOPIC_BYTES] = topic_bytes
    message_at = find_field(data, start, end, root, 3, 4)
    if message_at <= 0:
        return False
    return _read_stream(data, start, end, message_at + read_u32(data, message_at), found)


@kernel
def _read_stream(data, start, end, table, found):
    time_at = find_field(data, start, end, table, 0, 4)
    sender, sender_bytes = find_vector(data, start, end, table, 1)
    payload, payload_bytes = find_vector(data, start, end, table, 2)
    if time_at < 0 or sender < 0 or payload < 0:
        return False
    if time_at > 0:
        found[FOUND_CREATED_AT] = read_u32(data, time_at)
    found[FOUND_SENDER] = sender
    found[FOUND_SENDER_BYTES] = sender_bytes
    found[FOUND_PAYLOAD] = payload
    found[FOUND_PAYLOAD_BYTES] = payload_bytes
    return True


@kernel
def type_of(data, at, length):
    """The row of RECORD_TYPES with this name, or OTHER."""
    for row in range(len(_NAME_BYTES)):
        if _NAME_BYTES[row] == length:
            same = True
            for index in range(length):
                same = same and _NAMES[row, index] == data[at + index]
            if same:
                return row
    return OTHER


@kernel
def _read_long_varint(data, at, end):
    value = np.uint64(0)
    for index in range(10):
        if at + index >= end:
            return value, -1
        byte = np.uint64(data[at + index])
        if index == 9 and byte > np.uint64(1):
            return value, -1
        value |= (byte & np.uint64(0x7F)) << np.uint64(7 * index)
        if byte < np.uint64(0x80):
            return value, at + index + 1
    return value, -1


@kernel
def read_varint(data, at, end):
    """(value as uint64, the place after it or -1). Nearly all have one byte: that path is short."""
    if at < end and data[at] < 0x80:
        return np.uint64(data[at]), at + 1
    return _read_long_varint(data, at, end)


@kernel
def is_utf8(data, at, end):
    """Whether these bytes are UTF-8 (RFC 3629: no overlong forms, no surrogates)."""
    while at < end:
        first = data[at]
        if first < 0x80:
            at += 1
            continue
        low, high = 0x80, 0xBF  # of the second byte
        if 0xC2 <= first <= 0xDF:
            more = 1
        elif 0xE0 <= first <= 0xEF:
            more = 2
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
        elif 0xF0 <= first <= 0xF4:
            more = 3
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
        else:
            return False
        if at + more >= end or data[at + 1] < low or data[at + 1] > high:
            return False
        for index in range(2, more + 1):
            if data[at + index] & 0xC0 != 0x80:
                return False
        at += more + 1
    return True


@kernel
def check_payload(data, at, end, record_type, token, stack, told):
    """Twin of `inspect`: False when malformed, else `told` is filled and VINs are overwritten.

    `stack` int64[STACK_SIZE, 3] holds what encloses: (end, message or -1, group number or 0).
    An overwritten VIN stays overwritten when a later field turns out malformed; then the record is
    refused and nobody reads it.
    """
    vin_field = _VIN_FIELD[record_type]
    time_field = _TIME_FIELD[record_type]
    message = _ROOT[record_type]
    group = np.int64(0)
    depth = 0
    outermost = np.int64(0)  # number of the top-level field that encloses `at`
    seconds = nanos = np.uint64(0)
    told[:] = 0
    while True:
        if at == end:
            if group != 0:
                return False
            if depth == 0:
                break
            depth -= 1
            end, message, group = stack[depth, 0], stack[depth, 1], stack[depth, 2]
            continue
        tag, stop = read_varint(data, at, end)
        if stop < 0 or stop - at > 5 or tag < np.uint64(8) or tag >= np.uint64(1 << 32):
            return False
        at = stop
        number = np.int64(tag >> np.uint64(3))
        wire = np.int64(tag & np.uint64(7))
        if depth == 0:
            outermost = number
        if wire == 0:
            value, at = read_varint(data, at, end)
            if at < 0:
                return False
            if depth == 1 and outermost == time_field and message >= 0:
                if number == 1:
                    seconds = value
                elif number == 2:
                    nanos = value
            elif depth == 0 and message == _PAYLOAD and number == RESEND_FIELD:
                told[TOLD_RESEND] = value != np.uint64(0)
        elif wire == 2:
            length, at = read_varint(data, at, end)
            if at < 0 or length > np.uint64(end - at):
                return False
            stop = at + np.int64(length)
            kind = np.int64(SCALAR)
            if message >= 0 and number < FIELDS:
                kind = np.int64(SCHEMA[message, number])
            if kind == STRING:
                if not is_utf8(data, at, stop):
                    return False
            elif kind == PACKED:
                while at < stop:
                    value, at = read_varint(data, at, stop)
                    if at < 0:
                        return False
            if depth == 0 and number == vin_field:
                told[TOLD_VIN_FITS] = length == np.uint64(_TOKEN_BYTES)
                if told[TOLD_VIN_FITS]:
                    for index in range(_TOKEN_BYTES):
                        data[at + index] = token[index]
            if kind >= 0:
                if depth + 1 >= DEPTH_MAX:
                    return False
                if depth == 0 and number == time_field:
                    told[TOLD_HAS_TIME] = 1
                stack[depth, 0], stack[depth, 1], stack[depth, 2] = end, message, group
                depth += 1
                end, message, group = stop, kind, np.int64(0)
            else:
                at = stop
        elif wire == 1 or wire == 5:
            at += 8 if wire == 1 else 4
            if at > end:
                return False
        elif wire == 3:
            if depth + 1 >= DEPTH_MAX:
                return False
            stack[depth, 0], stack[depth, 1], stack[depth, 2] = end, message, group
            depth += 1
            message, group = np.int64(-1), number
        elif wire == 4:
            if group == 0 or number != group:
                return False
            depth -= 1
            message, group = stack[depth, 1], stack[depth, 2]
        else:
            return False
    nanos &= np.uint64(0xFFFFFFFF)
    if seconds > np.uint64(SECONDS_MAX) or nanos >= np.uint64(1_000_000_000):
        told[TOLD_HAS_TIME] = 0
    if told[TOLD_HAS_TIME]:
        told[TOLD_TIME_US] = np.int64(seconds) * 1_000_000 + np.int64(nanos) // 1_000
    return True


@kernel
def copy_bytes(source, at, length, target, to):
    """Copy `length` bytes; returns the place after them in `target`."""
    for index in range(length):
        target[to + index] = source[at + index]
    return to + length


@kernel
def _write_vector(source, at, length, target, to):
    """A flatbuffers byte vector: length, bytes, NULs up to the next 4 bytes, one at least."""
    write_u32(target, to, length)
    stop = copy_bytes(source, at, length, target, to + 4)
    for index in range(stop, stop + 4 - (length & 3)):
        target[index] = 0
    return stop + 4 - (length & 3)


@kernel
def write_answer(head, tail, data, found, topic_bytes, target, at):
    """Write an unframed answer; returns the place after it. Twin of `encode_ack`, `encode_error`.

    `head` is what stands before the topic, `tail` what follows the txid, in an answer of that kind
    with empty topic and txid; the offsets in `head` are set here. `topic_bytes` is 0 in errors.
    """
    copy_bytes(head, 0, HEAD_BYTES, target, at)
    txid_bytes = found[FOUND_TXID_BYTES] if found[FOUND_TXID] >= 0 else 0
    topic_at = at + HEAD_BYTES
    txid_at = _write_vector(data, found[FOUND_TOPIC], topic_bytes, target, topic_at)
    tail_at = _write_vector(data, max(found[FOUND_TXID], 0), txid_bytes, target, txid_at)
    write_u32(target, at + 28, read_u32(head, 28) + tail_at - at - TAIL_AT)
    write_u32(target, at + 40, txid_at - at - 40)
    return copy_bytes(tail, 0, len(tail), target, tail_at)


@kernel
def hash_record(data, found, payload, payload_at, payload_bytes, scratch, sums):
    """Twin of `identity_of`. The payload is passed apart from `data`: as it is stored."""
    at = 0
    write_u32(scratch, at, found[FOUND_TOPIC_BYTES])
    at = copy_bytes(data, found[FOUND_TOPIC], found[FOUND_TOPIC_BYTES], scratch, at + 4)
    write_u32(scratch, at, found[FOUND_TXID_BYTES])
    at = copy_bytes(data, found[FOUND_TXID], found[FOUND_TXID_BYTES], scratch, at + 4)
    write_u32(scratch, at, 4)
    write_u32(scratch, at + 4, found[FOUND_CREATED_AT])
    write_u32(scratch, at + 8, payload_bytes)
    at = copy_bytes(payload, payload_at, payload_bytes, scratch, at + 12)
    return xxh3_128(scratch, at, sums)


def warm() -> None:
    """Compile on production types."""
    data, found = np.zeros(512, np.uint8), np.zeros(FOUND_SIZE, np.int64)
    stack, told = np.zeros((STACK_SIZE, 3), np.int64), np.zeros(TOLD_SIZE, np.int64)
    read_envelope(data, 0, 64, found)
    type_of(data, 0, 1)
    check_payload(data, 0, 0, 0, data, stack, told)
    write_answer(data[:52], data[:8], data, found, 0, np.zeros(512, np.uint8), 0)
    hash_record(data, found, data, 0, 300, np.zeros(512, np.uint8), np.zeros(8, np.uint64))
