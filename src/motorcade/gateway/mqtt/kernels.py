"""The gateway's compiled road: socket bytes to staged rows, and durable rows to PUBACK bytes.

`scan` runs once per loop turn over everything the sockets gave, however many connections that was.
An ordinary PUBLISH of a vehicle becomes a row without a Python object; every other packet is noted
in `events`, in order, for `packets.py`. `build_acks` groups a commit's PUBACKs by connection.

Oracle of `scan`: `records.py`, which reads the same packets one by one as objects.
"""

from typing import Final

import numpy as np

from motorcade.compiled import borrowed, copy_bytes, inlined, kernel
from motorcade.events import RECORD_DTYPE, Flags
from motorcade.gateway.mqtt.payload.kernels import PREFIX_BYTES, judge_payload
from motorcade.wire.mqtt.kernels import (
    ASIDE,
    INCOMPLETE,
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
        ("published", "u4"),  # messages taken, for the rate limit; wraps around
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

REST: Final = 0  # event: the rest of a segment, to be read packet by packet
PACKET: Final = 1  # event: one whole packet that is not a PUBLISH
TAIL: Final = 2  # event: the first bytes of a packet whose end has not come

DONE: Final = 0
STAGING_FULL: Final = 1
EVENTS_FULL: Final = 2

STREAM_BYTES_MAX: Final = 0x3FFF
"""A property's stream is stored apart and in the properties, of which `read_publish` takes no more:
so much longer than its packet may a record be."""

EVENT_COLUMNS: Final = 4  # kind, slot, offset in the arena, size
ACK_SLOT_SHIFT: Final = 16  # an ack is generation << 36 | slot << 16 | packet id
ACK_GENERATION_SHIFT: Final = 36
SLOT_MASK: Final = (1 << 20) - 1
GENERATION_MASK: Final = (1 << 27) - 1

_SEQUENCE: Final = int(Flags.IDENTITY_SEQUENCE)
_IN_TOPIC: Final = int(Flags.IDENTITY_IN_TOPIC)
_TIME_GIVEN: Final = int(Flags.TIME_GIVEN)
_TIME_BOUNDED: Final = int(Flags.TIME_BOUNDED)
_QOS_1: Final = int(Flags.QOS_1)
_RESEND: Final = int(Flags.RESEND)


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


@inlined
def copy(source, start, size, target, to):
    """Copy `size` bytes; returns where they end in `target`."""
    if size > 0:
        copy_bytes(source, start, target, to, size)
    return to + size


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

    encoding, time_us, resend = judge_payload(buffer, to, used[1], publish[6], prefixes, slot)
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
    row.packet_id = 0


@inlined
def take_publish(data, start, end, slot, connections, prefixes, words, times, rows, room, acks):
    """Stage one PUBLISH and note its ack. False: it is not an ordinary one, nothing was done.

    `words` is (texts, sizes, topic numbers); `acks` is (table, used).
    """
    connection = connections[slot]
    fifth = connection.level == 5
    publish = read_publish(data, start, end, fifth)
    packet_id = publish[3]
    if publish[0] == ASIDE or data[start] & 1:
        return False  # retained messages are few, and kept apart (`retained.py`)
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
    connection.published += 1
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
                if used[0] >= limits[1] or used[1] + packet + STREAM_BYTES_MAX > len(buffer):
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
    build_acks(
        np.zeros(1, np.int64),
        1,
        connections,
        np.zeros(1, np.int64),
        np.zeros(1, np.int64),
        np.zeros(4, np.uint8),
    )
