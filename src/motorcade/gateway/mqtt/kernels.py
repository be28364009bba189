"""The gateway's compiled road: socket bytes to staged rows, and durable rows to PUBACK bytes.

`scan` runs once per loop turn over everything the sockets gave, however many connections that was.
An ordinary PUBLISH of a vehicle becomes a row without a Python object; every other packet is noted
in `events`, in order, for `packets.py`. `build_acks` groups a commit's PUBACKs by connection.

Oracle of `scan`: `records.py`, which reads the same packets one by one as objects.
"""

from typing import Final

import numpy as np

from motorcade.compiled import borrowed, copy_bytes, inlined, kernel
from motorcade.events import RECORD_DTYPE, TOKEN_BYTES, Encoding, Flags
from motorcade.wire.mqtt.kernels import (
    ASIDE,
    INCOMPLETE,
    NO_CONTENT_TYPE,
    equals,
    packet_size,
    read_decimal,
    read_publish,
)

CONNECTION_DTYPE: Final = np.dtype(
    [
        ("vehicle_hi", "u8"),
        ("vehicle_lo", "u8"),
        ("heard_us", "i8"),  # when the last bytes came, for keep-alive
        ("generation", "u4"),  # rises each time the slot is given to another socket
        ("epoch", "u4"),
        ("key_id", "u4"),
        ("in_flight", "i4"),  # QoS 1 publishes taken and not yet acknowledged
        ("ack_bytes", "u4"),  # scratch of `build_acks`
        ("ack_end", "u4"),  # scratch of `build_acks`
        ("partition", "u2"),
        ("receive_max", "u2"),
        ("level", "u1"),  # protocol level: 4 or 5
        ("state", "u1"),
    ],
    align=True,
)
"""What `scan` knows of a connection, one row per slot."""

CLOSED: Final = 0  # bytes are dropped
SLOW: Final = 1  # not authenticated yet, or an operator: every packet goes to Python
FAST: Final = 2  # a vehicle
HELD: Final = 3  # a vehicle with bytes that Python must look at first

PREFIX_BYTES: Final = TOKEN_BYTES + 3  # "v/", the token, "/"

REST: Final = 0  # event: the rest of a segment, to be read packet by packet
PACKET: Final = 1  # event: one whole packet that is not a PUBLISH
TAIL: Final = 2  # event: the first bytes of a packet whose end has not come

DONE: Final = 0
STAGING_FULL: Final = 1
EVENTS_FULL: Final = 2

EVENT_COLUMNS: Final = 4  # kind, slot, offset in the arena, size
ACK_SLOT_SHIFT: Final = 16  # an ack is generation << 36 | slot << 16 | packet id
ACK_GENERATION_SHIFT: Final = 36
SLOT_MASK: Final = (1 << 20) - 1
GENERATION_MASK: Final = (1 << 27) - 1

_JSON: Final = int(Encoding.JSON_SIGNALS)
_SAMPLES: Final = int(Encoding.SAMPLES)
_TESLA: Final = int(Encoding.TESLA_TELEMETRY)
_SEQUENCE: Final = int(Flags.IDENTITY_SEQUENCE)
_IN_TOPIC: Final = int(Flags.IDENTITY_IN_TOPIC)
_TIME_GIVEN: Final = int(Flags.TIME_GIVEN)
_TIME_BOUNDED: Final = int(Flags.TIME_BOUNDED)
_RETAIN: Final = int(Flags.RETAIN)
_QOS_1: Final = int(Flags.QOS_1)
_RESEND: Final = int(Flags.RESEND)

TIME_US: Final = np.frombuffer(b"time_us", np.uint8)
SAMPLES_MAGIC: Final = np.frombuffer(b"MSMP\x01", np.uint8)  # and the version
SAMPLES_HEADER_BYTES: Final = 24
NO_TIME: Final = -1
SECONDS_MAX: Final = 1 << 40  # above any clock; keeps seconds * 1e6 inside 64 bits


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
    """A protobuf field: (number, wire type, value or size, value's offset, where it ends or -1)."""
    key, at = read_base128(data, at, end)
    number = np.int64(key >> np.uint64(3))
    wire_type = np.int64(key & np.uint64(7))
    if at < 0 or number == 0:
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
    else:
        return number, wire_type, value, 0, -1
    after = at + value
    return number, wire_type, value, at, after if after <= end else -1


@kernel
def timestamp_us(data, at, end):
    """`google.protobuf.Timestamp` as µs, or `NO_TIME`."""
    seconds = np.int64(0)
    nanos = np.int64(0)
    while at < end:
        number, wire_type, value, _, at = next_field(data, at, end)
        if at < 0:
            return np.int64(NO_TIME)
        if wire_type == 0 and number == 1:
            seconds = value
        elif wire_type == 0 and number == 2:
            nanos = value
    if seconds <= 0 or seconds > SECONDS_MAX or nanos < 0 or nanos >= 1_000_000_000:
        return np.int64(NO_TIME)
    return seconds * 1_000_000 + nanos // 1_000


@kernel
def tesla_facts(data, start, end):
    """Of a `V` payload: (created_at in µs or `NO_TIME`, offset of a 17-byte vin or -1, is_resend).

    Fields 2, 3 and 4 of `telemetry.vehicle_data.Payload`. Bytes that are no protobuf give none.
    """
    time_us = np.int64(NO_TIME)
    vin = -1
    resend = False
    at = start
    while at < end:
        number, wire_type, value, content, at = next_field(data, at, end)
        if at < 0:
            return np.int64(NO_TIME), -1, False
        if number == 2 and wire_type == 2:
            time_us = timestamp_us(data, content, content + value)
        elif number == 3 and wire_type == 2:
            vin = content if value == TOKEN_BYTES else -1
        elif number == 4 and wire_type == 0:
            resend = value != 0
    return time_us, vin, resend


@kernel
def fnv1a(data, start, size):
    """`events.fnv1a_64` of a stream's name."""
    value = np.uint64(0xCBF29CE484222325)
    for index in range(start, start + size):
        value = (value ^ np.uint64(data[index])) * np.uint64(0x100000001B3)
    return value


@inlined
def is_word(data, start, size, words, word_sizes, index):
    """Whether `data[start:start + size]` is the word of that index. No slices: they cost."""
    if size != word_sizes[index]:
        return False
    for offset in range(size):  # noqa: SIM110  numba compiles no generators
        if data[start + offset] != words[index, offset]:
            return False
    return True


@inlined
def read_topic(data, topic, size, prefixes, slot, words, word_sizes):
    """A vehicle's topic: (index of its word or -1, stream start, stream size, sequence).

    Stream size is -1 without the two identity levels. Index -1 stands for every topic that is not
    exactly `v/{token}/{word}[/{stream}/{sequence}]`, and sequences we could not rebuild from.
    """
    none = (-1, 0, -1, -1)
    if size <= PREFIX_BYTES:
        return none
    for index in range(PREFIX_BYTES):
        if data[topic + index] != prefixes[slot, index]:
            return none
    at = topic + PREFIX_BYTES
    end = topic + size
    word = at
    while at < end and data[at] != 0x2F:
        at += 1
    found = -1
    for index in range(len(word_sizes)):
        if is_word(data, word, at - word, words, word_sizes, index):
            found = index
            break
    if found < 0 or at == end:
        return found, 0, -1, -1
    stream = at + 1
    at = stream
    while at < end and data[at] != 0x2F:
        at += 1
    digits = end - at - 1
    if at == stream or digits < 1:
        return none
    sequence = read_decimal(data, at + 1, digits)
    if sequence < 0 or (digits > 1 and data[at + 1] == 0x30):
        return none
    return found, stream, at - stream, sequence


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
def copy(source, start, size, target, to):
    """Copy `size` bytes; returns where they end in `target`."""
    if size > 0:
        copy_bytes(source, start, target, to, size)
    return to + size


@inlined
def judge_payload(data, start, end, encoding):
    """(encoding, sender's time or `NO_TIME`, offset of a vin to hide or -1, is a resend)."""
    if encoding == NO_CONTENT_TYPE:
        encoding = np.int64(_JSON) if is_json_object(data, start, end) else np.int64(0)
    if encoding == _JSON:
        return encoding, np.int64(json_time_us(data, start, end)), -1, False
    if encoding == _TESLA:
        time_us, vin, resend = tesla_facts(data, start, end)
        return encoding, time_us, vin, resend
    if encoding == _SAMPLES:
        return encoding, samples_time_us(data, start, end), -1, False
    return encoding, np.int64(NO_TIME), -1, False


@inlined
def stage(
    data, start, end, publish, topic, identity, connections, prefixes, slot, times, rows, room
):
    """Write one PUBLISH as a row and its bytes.

    `topic` is (number, came with identity levels); `identity` is (stream's start, its size,
    sequence or -1); `room` is (buffer, used).
    """
    properties, properties_size, payload = publish[4], publish[5], publish[10]
    stream, stream_size, sequence = identity
    buffer, used = room
    index, first = used[0], used[1]
    to = copy(data, stream, stream_size, buffer, first)
    to = copy(data, properties, properties_size, buffer, to)
    used[1] = copy(data, payload, end - payload, buffer, to)
    used[0] = index + 1

    encoding, time_us, vin, resend = judge_payload(data, payload, end, publish[6])
    if vin >= 0:  # P8: outside the registry a vehicle is its token
        for offset in range(TOKEN_BYTES):
            buffer[to + vin - payload + offset] = prefixes[slot, 2 + offset]
    now_us = times[0]
    event_time_us = now_us
    flags = 0
    if time_us > now_us + times[1]:
        flags |= _TIME_BOUNDED
    elif time_us > 0:
        flags |= _TIME_GIVEN
        event_time_us = time_us
    head = data[start]
    if head & 2:
        flags |= _QOS_1
    if head & 1:
        flags |= _RETAIN
    if head & 8 or resend:
        flags |= _RESEND
    if topic[1]:
        flags |= _IN_TOPIC

    connection = connections[slot]
    row = rows[index]
    row.identity_hi = 0
    row.identity_lo = 0
    if sequence >= 0:
        flags |= _SEQUENCE
        row.identity_hi = fnv1a(data, stream, stream_size)
        row.identity_lo = sequence
    row.vehicle_hi = connection.vehicle_hi
    row.vehicle_lo = connection.vehicle_lo
    row.position = -1
    row.event_time_us = event_time_us
    row.received_time_us = now_us
    row.start = first
    row.payload_bytes = end - payload
    row.key_id = connection.key_id
    row.epoch = connection.epoch
    row.name_bytes = 0
    row.stream_bytes = stream_size
    row.properties_bytes = properties_size
    row.partition = connection.partition
    row.topic = topic[0]
    row.encoding = encoding
    row.flags = flags


@inlined
def take_publish(data, start, end, slot, connections, prefixes, words, times, rows, room, acks):
    """Stage one PUBLISH and note its ack. False: it is not an ordinary one, nothing was done.

    `words` is (texts, sizes, topic numbers); `acks` is (table, used).
    """
    connection = connections[slot]
    fifth = connection.level == 5
    publish = read_publish(data, start, end, fifth)
    packet_id = publish[3]
    if publish[0] == ASIDE or (fifth and data[start] & 1):
        return False
    if fifth and packet_id > 0 and connection.in_flight >= connection.receive_max:
        return False
    word, stream, stream_size, sequence = read_topic(
        data, publish[1], publish[2], prefixes, slot, words[0], words[1]
    )
    if word < 0:
        return False
    in_topic = stream_size >= 0
    if publish[8] > 0 and publish[9] >= 0:
        if in_topic and (
            publish[9] != sequence
            or not equals(data, publish[7], publish[8], data[stream : stream + stream_size])
        ):
            return False  # two identities: only an object can keep both
        stream, stream_size, sequence = publish[7], publish[8], publish[9]
    elif not in_topic:
        stream_size = 0
    topic = (words[2][word], in_topic)
    identity = (stream, stream_size, sequence)
    stage(
        data, start, end, publish, topic, identity, connections, prefixes, slot, times, rows, room
    )
    if packet_id > 0:
        connection.in_flight += 1
        table, used = acks
        table[used[0]] = (
            ((np.int64(connection.generation) & GENERATION_MASK) << ACK_GENERATION_SHIFT)
            | (np.int64(slot) << ACK_SLOT_SHIFT)
            | packet_id
        )
        used[0] += 1
    return True


@inlined
def note(events, progress, kind, slot, start, size):
    """Append an event; `progress[3]` counts them."""
    index = progress[3]
    events[index, 0] = kind
    events[index, 1] = slot
    events[index, 2] = start
    events[index, 3] = size
    progress[3] = index + 1


@kernel
def scan(
    arena,
    segments,
    count,
    progress,
    connections,
    prefixes,
    words,
    limits,
    times,
    rows,
    room,
    acks,
    events,
):
    """Go through `segments[:count]`, each slot << 32 | bytes, lying one after another in `arena`.

    `progress` is (next segment, its offset in the arena, bytes of it done, events noted); a call
    that returns `STAGING_FULL` or `EVENTS_FULL` is repeated with the same `progress` once there is
    room. `limits` is (largest packet, most rows); `times` is (now in µs, furthest future in µs,
    monotonic now in µs).
    """
    arena, segments, progress = borrowed(arena), borrowed(segments), borrowed(progress)
    connections, prefixes = borrowed(connections), borrowed(prefixes)
    words = (borrowed(words[0]), borrowed(words[1]), borrowed(words[2]))
    limits, times, rows = borrowed(limits), borrowed(times), borrowed(rows)
    buffer, used = borrowed(room[0]), borrowed(room[1])
    room = (buffer, used)
    acks = (borrowed(acks[0]), borrowed(acks[1]))
    events = borrowed(events)
    while progress[0] < count:
        index = progress[0]
        slot = segments[index] >> 32
        size = segments[index] & 0xFFFFFFFF
        following = index + 1
        while following < count and segments[following] >> 32 == slot:
            size += segments[following] & 0xFFFFFFFF
            following += 1
        connection = connections[slot]
        at = progress[1] + progress[2]
        end = progress[1] + size
        connection.heard_us = times[2]
        while at < end and connection.state != CLOSED:
            progress[2] = at - progress[1]
            if progress[3] == len(events):
                return EVENTS_FULL
            if connection.state != FAST:
                note(events, progress, REST, slot, at, end - at)
                break
            packet = packet_size(arena, at, end, limits[0])
            if packet == INCOMPLETE or (packet > 0 and at + packet > end):
                note(events, progress, TAIL, slot, at, end - at)
                connection.state = HELD
                break
            if packet < 0:
                connection.state = HELD
                continue
            if arena[at] >> 4 == 3:
                if used[0] >= limits[1] or used[1] + packet > len(buffer):
                    return STAGING_FULL
                if not take_publish(
                    arena,
                    at,
                    at + packet,
                    slot,
                    connections,
                    prefixes,
                    words,
                    times,
                    rows,
                    room,
                    acks,
                ):
                    connection.state = HELD
                    continue
            else:
                note(events, progress, PACKET, slot, at, packet)
            at += packet
        progress[0] = following
        progress[1] = end
        progress[2] = 0
    return DONE


@kernel
def build_acks(acks, count, connections, order, ends, out):
    """Encode `acks[:count]` as PUBACKs, grouped by connection, in each one's order of rows.

    Group g goes to slot `order[g]` and is `out[ends[g - 1]:ends[g]]` (from 0 for the first).
    Returns the number of groups. Acks of sockets that are gone are left out.
    """
    groups = 0
    for index in range(count):
        slot = (acks[index] >> ACK_SLOT_SHIFT) & SLOT_MASK
        connection = connections[slot]
        generation = np.int64(connection.generation) & GENERATION_MASK
        if connection.state == CLOSED or acks[index] >> ACK_GENERATION_SHIFT != generation:
            acks[index] = -1
            continue
        if connection.ack_bytes == 0:
            order[groups] = slot
            groups += 1
        connection.ack_bytes += 4
        connection.in_flight -= 1
    total = 0
    for group in range(groups):
        connection = connections[order[group]]
        connection.ack_end = total
        total += connection.ack_bytes
        connection.ack_bytes = 0
        ends[group] = total
    for index in range(count):
        if acks[index] < 0:
            continue
        connection = connections[(acks[index] >> ACK_SLOT_SHIFT) & SLOT_MASK]
        at = connection.ack_end
        out[at] = 0x40
        out[at + 1] = 2
        out[at + 2] = (acks[index] >> 8) & 0xFF
        out[at + 3] = acks[index] & 0xFF
        connection.ack_end = at + 4
    return groups


def warm() -> None:
    """Compile on production types."""
    connections = np.zeros(1, CONNECTION_DTYPE)
    connections["state"] = FAST
    connections["level"] = 4
    packet = np.frombuffer(b"\x32\x08\x00\x01a\x00\x01xxx", np.uint8).copy()
    scan(
        packet,
        np.array([len(packet)], np.int64),
        1,
        np.zeros(4, np.int64),
        connections,
        np.zeros((1, PREFIX_BYTES), np.uint8),
        (np.zeros((1, 16), np.uint8), np.zeros(1, np.int64), np.zeros(1, np.int64)),
        np.array([100, 1], np.int64),
        np.zeros(3, np.int64),
        np.zeros(1, RECORD_DTYPE),
        (np.zeros(100, np.uint8), np.zeros(2, np.int64)),
        (np.zeros(1, np.int64), np.zeros(1, np.int64)),
        np.zeros((4, EVENT_COLUMNS), np.int64),
    )
    payload = np.frombuffer(b"{}", np.uint8)  # read-only, as `records.py` has it
    judge_payload(payload, 0, len(payload), np.int64(0))
    build_acks(
        np.zeros(1, np.int64),
        1,
        connections,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(4, np.uint8),
    )
