"""What a payload tells the gateway: its encoding, the sender's time, a VIN to hide. Compiled.

Nothing is validated beyond what finding these facts needs: whoever decodes a payload does that.
"""

from typing import Final

import numpy as np

from motorcade.compiled import inlined, kernel
from motorcade.events import TOKEN_BYTES, Encoding
from motorcade.wire.mqtt.kernels import NO_CONTENT_TYPE, equals, read_decimal
from motorcade.wire.tesla_telemetry.records import SECONDS_MAX

_JSON: Final = int(Encoding.JSON_SIGNALS)
_SAMPLES: Final = int(Encoding.SAMPLES)
_TESLA: Final = int(Encoding.TESLA_TELEMETRY)

TIME_US: Final = np.frombuffer(b"time_us", np.uint8)
SAMPLES_MAGIC: Final = np.frombuffer(b"MSMP\x01", np.uint8)  # and the version
SAMPLES_HEADER_BYTES: Final = 24
NO_TIME: Final = -1
TOKEN_AT: Final = 2  # in a vehicle's topic prefix: "v/", the token, "/"
PREFIX_BYTES: Final = TOKEN_AT + TOKEN_BYTES + 1


@kernel
def is_space(byte):
    """JSON's white space (RFC 8259 §2)."""
    return byte == 0x20 or byte == 0x0A or byte == 0x0D or byte == 0x09


@kernel
def skip_space(data, at, end):
    """Where the white space at `at` ends."""
    while at < end and is_space(data[at]):
        at += 1
    return at


@kernel
def is_json_object(data, start, end):
    """Whether the payload begins with `{` and ends with `}`: how 3.1.1's JSON is recognised."""
    start = skip_space(data, start, end)
    while end > start and is_space(data[end - 1]):
        end -= 1
    return end - start >= 2 and data[start] == 0x7B and data[end - 1] == 0x7D


@kernel
def json_time_us(data, start, end):
    """The first top-level member `time_us` of the object, or of an array's first object.

    A plain unsigned integer, or `NO_TIME`. Nothing is validated beyond what finding it needs.
    """
    at = skip_space(data, start, end)
    if at < end and data[at] == 0x5B:
        at = skip_space(data, at + 1, end)
    if at >= end or data[at] != 0x7B:
        return NO_TIME
    depth = 0
    key_next = False
    while at < end:
        byte = data[at]
        at += 1
        if byte == 0x22:
            text = at
            while at < end and data[at] != 0x22:
                at += 2 if data[at] == 0x5C else 1
            if at >= end:
                return NO_TIME
            size = at - text
            at += 1
            if key_next and equals(data, text, size, TIME_US):
                return json_integer(data, at, end)
            key_next = False
        elif byte == 0x7B:
            depth += 1
            key_next = depth == 1
        elif byte == 0x5B:
            depth += 1
        elif byte == 0x7D or byte == 0x5D:
            depth -= 1
            if depth == 0:
                return NO_TIME
        elif byte == 0x2C:
            key_next = depth == 1
    return NO_TIME


@kernel
def json_integer(data, at, end):
    """The unsigned integer behind a key's colon, or `NO_TIME`."""
    at = skip_space(data, at, end)
    if at >= end or data[at] != 0x3A:
        return NO_TIME
    at = skip_space(data, at + 1, end)
    digits = at
    while at < end and data[at] >= 0x30 and data[at] <= 0x39:
        at += 1
    value = read_decimal(data, digits, at - digits)
    at = skip_space(data, at, end)
    if at >= end or value < 0 or (data[at] != 0x2C and data[at] != 0x7D):
        return NO_TIME
    return value


@kernel
def read_base128(data, at, end):
    """A protobuf varint: (value, where it ends), or (0, -1) if it is none."""
    value = np.uint64(0)
    for index in range(10):
        if at >= end:
            return np.uint64(0), -1
        byte = data[at]
        at += 1
        value |= np.uint64(byte & 0x7F) << np.uint64(7 * index)
        if byte < 0x80:
            return value, at
    return np.uint64(0), -1


@kernel
def next_field(data, at, end):
    """A protobuf field: (number, wire type, value or size, value's offset, where it ends or -1).

    A group's start and its end are a field each, of no size.
    """
    key, at = read_base128(data, at, end)
    number = np.int64(key >> np.uint64(3))
    wire_type = np.int64(key & np.uint64(7))
    if at < 0 or number == 0 or wire_type > 5:
        return number, wire_type, np.int64(0), 0, -1
    value = np.int64(0)
    if wire_type == 0:
        integer, after = read_base128(data, at, end)
        return number, wire_type, np.int64(integer), at, after
    if wire_type == 1:
        value = np.int64(8)
    elif wire_type == 5:
        value = np.int64(4)
    elif wire_type == 2:
        size, at = read_base128(data, at, end)
        if at < 0 or size > np.uint64(end - at):
            return number, wire_type, value, 0, -1
        value = np.int64(size)
    after = at + value
    return number, wire_type, value, at, after if after <= end else -1


@kernel
def read_timestamp(data, at, end, seconds, nanos):
    """The fields of a `google.protobuf.Timestamp` over what is known: (seconds, nanos, it is one).

    Protobuf merges a message that comes twice.
    """
    depth = 0
    while at < end:
        number, wire_type, value, _, at = next_field(data, at, end)
        if wire_type == 3:
            depth += 1
        elif wire_type == 4:
            depth -= 1
        if at < 0 or depth < 0:
            return seconds, nanos, False
        if wire_type == 0 and depth == 0 and number == 1:
            seconds = value
        elif wire_type == 0 and depth == 0 and number == 2:
            nanos = value & 0xFFFFFFFF
    return seconds, nanos, depth == 0


@kernel
def tesla_facts(data, start, end, prefixes, slot):
    """Of a `V` payload: (created_at in µs or `NO_TIME`, is_resend); vins in it are hidden.

    Fields 2, 3 and 4 of `telemetry.vehicle_data.Payload`. Every vin of 17 bytes is overwritten with
    the token in `prefixes[slot]` (P8). Bytes that are no protobuf give no facts.
    """
    seconds = nanos = np.int64(0)
    resend = False
    depth = 0  # of groups, which nobody sends and every protobuf library passes over
    at = start
    while at < end:
        number, wire_type, value, content, at = next_field(data, at, end)
        if wire_type == 3:
            depth += 1
        elif wire_type == 4:
            depth -= 1
        if at < 0 or depth < 0:
            return np.int64(NO_TIME), False
        if depth > 0:
            continue
        if number == 2 and wire_type == 2:
            seconds, nanos, good = read_timestamp(data, content, at, seconds, nanos)
            if not good:
                return np.int64(NO_TIME), False
        elif number == 3 and wire_type == 2 and value == TOKEN_BYTES:
            for index in range(TOKEN_BYTES):
                data[content + index] = prefixes[slot, TOKEN_AT + index]
        elif number == 4 and wire_type == 0:
            resend = value != 0
    if depth > 0:
        return np.int64(NO_TIME), False
    if seconds <= 0 or seconds > SECONDS_MAX or nanos >= 1_000_000_000:
        return np.int64(NO_TIME), resend
    return seconds * 1_000_000 + nanos // 1_000, resend


@kernel
def samples_time_us(data, start, end):
    """The base time in the header of our packed columns (`signals/packed.py`), or `NO_TIME`."""
    if end - start < SAMPLES_HEADER_BYTES or not equals(data, start, 5, SAMPLES_MAGIC):
        return np.int64(NO_TIME)
    value = np.uint64(0)
    for index in range(8):
        value |= np.uint64(data[start + 16 + index]) << np.uint64(8 * index)
    return np.int64(value)


@inlined
def judge_payload(data, start, end, encoding, prefixes, slot):
    """(encoding, sender's time or `NO_TIME`, is a resend). A vin becomes the token, in `data`.

    `prefixes` uint8[slots, PREFIX_BYTES] has `v/{token}/` of each slot.
    """
    if encoding == NO_CONTENT_TYPE:
        encoding = np.int64(_JSON) if is_json_object(data, start, end) else np.int64(0)
    if encoding == _JSON:
        return encoding, np.int64(json_time_us(data, start, end)), False
    if encoding == _TESLA:
        time_us, resend = tesla_facts(data, start, end, prefixes, slot)
        return encoding, time_us, resend
    if encoding == _SAMPLES:
        return encoding, samples_time_us(data, start, end), False
    return encoding, np.int64(NO_TIME), False


def warm() -> None:
    """Compile on production types."""
    payload = np.frombuffer(bytearray(b"{}"), np.uint8)
    prefixes = np.zeros((1, PREFIX_BYTES), np.uint8)
    judge_payload(payload, 0, len(payload), np.int64(0), prefixes, np.int64(0))
