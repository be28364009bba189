"""One kernel call per received segment: frames in, rows and answers out.

`receive` takes as many whole binary frames as it can out of the receive buffer, writes their
records straight into the open staging and their answers, framed, into `answers`, and stops at what
it does not decide itself. Twin: `oracle.py` beside the tests.
"""

import numpy as np

from motorcade.compiled import kernel
from motorcade.events import RECORD_DTYPE, Flags
from motorcade.wire.tesla_telemetry.envelope import (
    INCORRECT_FORMAT,
    NAME_BYTES_MAX,
    RATE_LIMITED,
    Tag,
    encode_ack,
    encode_error,
)
from motorcade.wire.tesla_telemetry.kernels import (
    ANSWER_BYTES_MAX,
    FOUND_CREATED_AT,
    FOUND_PAYLOAD,
    FOUND_PAYLOAD_BYTES,
    FOUND_SENDER,
    FOUND_SENDER_BYTES,
    FOUND_SIZE,
    FOUND_TAG,
    FOUND_TOPIC,
    FOUND_TOPIC_BYTES,
    FOUND_TXID,
    HEAD_BYTES,
    OTHER,
    STACK_SIZE,
    TAIL_AT,
    TOLD_HAS_TIME,
    TOLD_RESEND,
    TOLD_SIZE,
    TOLD_TIME_US,
    TOLD_VIN_FITS,
    check_payload,
    copy_bytes,
    hash_record,
    read_envelope,
    type_of,
    write_answer,
)
from motorcade.wire.tesla_telemetry.records import OTHER_TOPIC, RECORD_TYPES
from motorcade.wire.websocket.kernels import INCOMPLETE, read_header, unmask, write_header

# Why `receive` stopped.
MORE = 0  # the frame at the position is not all here
SLOW = 1  # the frame at the position is for Python: control, text, fragment, too big, broken
NO_ROOM = 2  # the staging cannot take the frame at the position
ANSWERS_FULL = 3  # send or keep what is in `answers`, then go on

# A car's facts, by place in `car` (int64), and its names in `names` (uint8).
CAR_TOKEN_HIGH, CAR_TOKEN_LOW, CAR_KEY_ID, CAR_PARTITION = 0, 1, 2, 3
CAR_PREFIX_BYTES, CAR_SENDER_BYTES = 4, 5  # sender id = prefix ("vehicle_device.") + device id
CAR_FRAME_BYTES_MAX, CAR_ROWS_MAX, CAR_FUTURE_US_MAX = 6, 7, 8
CAR_SIZE = 9
NAMES_SENDER = 17  # in `names`: the token, then the sender id

APPENDED_BYTES = 2 + 17  # a VIN field added to a payload that has none
MORE_BYTES = NAME_BYTES_MAX + APPENDED_BYTES
"""So much longer than its message may a record be: a hostile name lies in the payload, too."""
FRAMED_MAX = ANSWER_BYTES_MAX

_TOPIC = np.array([int(row.topic) for row in RECORD_TYPES] + [int(OTHER_TOPIC)])
_ENCODING = np.array([int(row.encoding) for row in RECORD_TYPES] + [0])
_VIN_TAG = np.array([row.vin_field << 3 | 2 for row in RECORD_TYPES])
_HASH = int(Flags.IDENTITY_HASH)
_GIVEN, _BOUNDED, _RESEND = int(Flags.TIME_GIVEN), int(Flags.TIME_BOUNDED), int(Flags.RESEND)
_STREAM = int(Tag.STREAM)

# An answer is a head, topic, txid, and a tail that is the same for all of its kind.
_ACK = np.frombuffer(encode_ack(b"", b""), np.uint8)
_REFUSED = np.frombuffer(encode_error(b"", INCORRECT_FORMAT), np.uint8)
_LIMITED = np.frombuffer(encode_error(b"", RATE_LIMITED), np.uint8)


@kernel
def _frame_answer(answer, data, found, topic_bytes, target, at):
    """Write one framed answer; returns the place after it."""
    txid_bytes = found[1] if found[FOUND_TXID] >= 0 else 0
    size = HEAD_BYTES + 8 + (topic_bytes & ~3) + (txid_bytes & ~3) + 8 + len(answer) - TAIL_AT
    at = write_header(target, at, size)
    return write_answer(answer[:HEAD_BYTES], answer[TAIL_AT:], data, found, topic_bytes, target, at)


@kernel
def _is_own_sender(data, found, car, names):
    """Whether the sender id is this vehicle's, with or without its client type."""
    length = found[FOUND_SENDER_BYTES]
    skip = car[CAR_SENDER_BYTES] - length
    if skip != 0 and skip != car[CAR_PREFIX_BYTES]:
        return False
    for index in range(length):
        if data[found[FOUND_SENDER] + index] != names[NAMES_SENDER + skip + index]:
            return False
    return True


@kernel
def _store(data, found, row_type, told, received_us, car, names, rows, buffer, used, scratch, sums):
    """Write one record into the staging."""
    start = used[1]
    at = copy_bytes(data, found[FOUND_TOPIC], found[FOUND_TOPIC_BYTES], buffer, start)
    payload_at = at
    at = copy_bytes(data, found[FOUND_PAYLOAD], found[FOUND_PAYLOAD_BYTES], buffer, at)
    if row_type != OTHER and not told[TOLD_VIN_FITS]:
        buffer[at], buffer[at + 1] = _VIN_TAG[row_type], 17
        at = copy_bytes(names, 0, 17, buffer, at + 2)
    event_us, flags = received_us, _HASH
    if told[TOLD_HAS_TIME]:
        event_us, flags = told[TOLD_TIME_US], _HASH | _GIVEN
    elif found[FOUND_CREATED_AT] > 0:
        event_us, flags = found[FOUND_CREATED_AT] * 1_000_000, _HASH | _GIVEN
    if event_us > received_us + car[CAR_FUTURE_US_MAX]:
        event_us, flags = received_us, _HASH | _BOUNDED
    if told[TOLD_RESEND]:
        flags |= _RESEND
    high, low = hash_record(data, found, buffer, payload_at, at - payload_at, scratch, sums)
    row = rows[used[0]]
    row.vehicle_hi = np.uint64(car[CAR_TOKEN_HIGH])
    row.vehicle_lo = np.uint64(car[CAR_TOKEN_LOW])
    row.position = -1
    row.event_time_us = event_us
    row.received_time_us = received_us
    row.identity_hi = high
    row.identity_lo = low
    row.start = start
    row.payload_bytes = at - payload_at
    row.key_id = car[CAR_KEY_ID]
    row.epoch = 0
    row.name_bytes = found[FOUND_TOPIC_BYTES]
    row.stream_bytes = 0
    row.properties_bytes = 0
    row.partition = car[CAR_PARTITION]
    row.topic = _TOPIC[row_type]
    row.encoding = _ENCODING[row_type]
    row.flags = flags
    row.packet_id = 0
    used[0] += 1
    used[1] = at


@kernel
def take(
    data, at, end, received_us, allowed, car, names, rows, buffer, used, answers, answer_at, scratch
):
    """Judge one whole message, store its record, write its answer: (answer_at, stored 0 or 1).

    `scratch` is the tuple (found, told, stack, sums, bytes). The caller has seen to it that the
    staging and `answers` have room.
    """
    found, told, stack, sums, space = scratch
    told[:] = 0
    if at == end:
        found[:] = 0
        return _frame_answer(_ACK, data, found, 0, answers, answer_at), 0
    if not read_envelope(data, at, end, found):
        return _frame_answer(_REFUSED, data, found, 0, answers, answer_at), 0
    if not allowed:
        return _frame_answer(_LIMITED, data, found, 0, answers, answer_at), 0
    if found[FOUND_TAG] != _STREAM:
        return _frame_answer(_ACK, data, found, 0, answers, answer_at), 0
    row_type = type_of(data, found[FOUND_TOPIC], found[FOUND_TOPIC_BYTES])
    if row_type == OTHER:
        good = _is_own_sender(data, found, car, names)
    else:
        payload = found[FOUND_PAYLOAD]
        stop = payload + found[FOUND_PAYLOAD_BYTES]
        good = check_payload(data, payload, stop, row_type, names, stack, told)
    if not good:
        return _frame_answer(_REFUSED, data, found, 0, answers, answer_at), 0
    _store(data, found, row_type, told, received_us, car, names, rows, buffer, used, space, sums)
    topic_bytes = found[FOUND_TOPIC_BYTES]
    return _frame_answer(_ACK, data, found, topic_bytes, answers, answer_at), 1


@kernel
def receive(
    data, at, end, received_us, allowance, car, names, rows, buffer, used, answers, scratch
):
    """Take frames from `data[at:end]`: (why it stopped, at, answer bytes, records, frames).

    `allowance` frames may pass; the rest are answered `rate limit exceeded`. Frames are unmasked
    in place, and only whole ones are.
    """
    answer_at = records = frames = np.int64(0)
    while True:
        payload_at, payload_bytes = read_header(data, at, end)
        if end - at >= 2 and (data[at] != 0x82 or data[at + 1] < 0x80):
            return SLOW, at, answer_at, records, frames
        if payload_at == INCOMPLETE:
            # A length of 64 bits is refused once it is there, as `frames.read_header` does.
            broken = end - at >= 10 and data[at + 1] == 0xFF and data[at + 2] >= 0x80
            return SLOW if broken else MORE, at, answer_at, records, frames
        if payload_bytes < 0 or payload_bytes > car[CAR_FRAME_BYTES_MAX]:
            return SLOW, at, answer_at, records, frames
        stop = payload_at + payload_bytes
        if stop > end:
            return MORE, at, answer_at, records, frames
        if answer_at + FRAMED_MAX > len(answers):
            return ANSWERS_FULL, at, answer_at, records, frames
        need = used[1] + payload_bytes + MORE_BYTES
        if used[0] >= car[CAR_ROWS_MAX] or need > len(buffer):
            return NO_ROOM, at, answer_at, records, frames
        unmask(data, payload_at, payload_bytes, payload_at - 4)
        answer_at, stored = take(
            data, payload_at, stop, received_us, frames < allowance, car, names,
            rows, buffer, used, answers, answer_at, scratch,
        )  # fmt: skip
        records += stored
        frames += 1
        at = stop


def make_scratch(frame_bytes_max: int):
    """The memory that `take` works in, one per door."""
    return (
        np.zeros(FOUND_SIZE, np.int64),
        np.zeros(TOLD_SIZE, np.int64),
        np.zeros((STACK_SIZE, 3), np.int64),
        np.zeros(8, np.uint64),
        np.zeros(frame_bytes_max + 1_024, np.uint8),
    )


def warm() -> None:
    """Compile on production types."""
    rows, buffer, used = np.zeros(1, RECORD_DTYPE), np.zeros(64, np.uint8), np.zeros(2, np.int64)
    data, answers = np.zeros(64, np.uint8), np.zeros(FRAMED_MAX, np.uint8)
    car, names = np.zeros(CAR_SIZE, np.int64), np.zeros(64, np.uint8)
    scratch = make_scratch(64)
    receive(data, 0, 0, 0, 1, car, names, rows, buffer, used, answers, scratch)
    take(data, 0, 0, 0, True, car, names, rows, buffer, used, answers, 0, scratch)
