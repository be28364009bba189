"""Kernels of the embedded log: check rows, give them positions, gather them from frames.

Rows are read as raw bytes and 64-bit words, because frames lie back to back in one buffer.
"""

import numpy as np

from motorcade.compiled import kernel
from motorcade.events import RECORD_DTYPE

ROW_BYTES = RECORD_DTYPE.itemsize
ROW_WORDS = ROW_BYTES // 8
_OFFSETS = dict(RECORD_DTYPE.fields or {})
_TOPIC = _OFFSETS["topic"][1]
_START_WORD = _OFFSETS["start"][1] // 8  # `start` is the low half of this word, `payload_bytes`
_BYTES_WORD = _OFFSETS["name_bytes"][1] // 8  # the high; here name, stream, properties, partition
assert _OFFSETS["payload_bytes"][1] == 8 * _START_WORD + 4
assert _OFFSETS["stream_bytes"][1] == 8 * _BYTES_WORD + 2
assert _OFFSETS["properties_bytes"][1] == 8 * _BYTES_WORD + 4


@kernel
def check_rows(rows, topics_allowed, partitions, buffer_bytes):
    """Return (index of the first bad row or -1, topics as a bit set, least and greatest time)."""
    topics = np.uint64(0)
    low = np.int64(0x7FFFFFFFFFFFFFFF)
    high = np.int64(-0x8000000000000000)
    for index in range(len(rows)):
        row = rows[index]
        end = np.int64(row.start) + row.name_bytes + row.stream_bytes
        end += np.int64(row.properties_bytes) + np.int64(row.payload_bytes)
        bit = np.uint64(1) << np.uint64(row.topic & np.uint8(63))
        allowed = row.topic < 64 and (topics_allowed & bit) != 0
        if not allowed or row.partition >= partitions or end > buffer_bytes:
            return index, topics, low, high
        topics |= bit
        low = min(low, row.received_time_us)
        high = max(high, row.received_time_us)
    return -1, topics, low, high


@kernel
def number_rows(rows, next_positions):
    """Give each row the next position of its (topic, partition), and count the table up."""
    for index in range(len(rows)):
        topic = rows[index].topic
        partition = rows[index].partition
        rows[index].position = next_positions[topic, partition]
        next_positions[topic, partition] += 1


@kernel
def gather_rows(data, words, frames, topics, out):
    """Copy the rows of the wanted topics out of frames; `start` then counts from `data[0]`.

    `frames` has (rows_start, records, buffer_start, buffer_bytes) per frame, offsets in bytes into
    `data` (uint8), of which `words` (uint64) and `out` (uint64) are views. Returns the rows copied
    and the frames read: fewer than given when a row of the next one lies outside of it, and of that
    frame no row is counted.
    """
    half = np.uint64(0xFFFFFFFF)
    quarter = np.uint64(0xFFFF)
    count = 0
    for index in range(len(frames)):
        source = frames[index, 0]
        shift = np.uint64(frames[index, 2])
        size = np.uint64(frames[index, 3])
        before = count
        for _ in range(frames[index, 1]):
            bit = np.uint64(1) << np.uint64(data[source + _TOPIC])
            if topics & bit:
                word = source >> 3
                target = count * ROW_WORDS
                for step in range(ROW_WORDS):
                    out[target + step] = words[word + step]
                place = words[word + _START_WORD]
                lengths = words[word + _BYTES_WORD]
                end = (place & half) + (place >> np.uint64(32)) + (lengths & quarter)
                end += (lengths >> np.uint64(16)) & quarter
                end += (lengths >> np.uint64(32)) & quarter
                if end > size:
                    return before, index
                out[target + _START_WORD] += shift
                count += 1
            source += ROW_BYTES
    return count, len(frames)


def warm() -> None:
    """Compile on production types."""
    rows = np.zeros(1, RECORD_DTYPE)
    check_rows(rows, np.uint64(1), 1, 0)
    number_rows(rows, np.zeros((64, 1), np.int64))
    words = rows.view(np.uint64)
    frames = np.array([[0, 1, 0, 0]], np.int64)
    gather_rows(rows.view(np.uint8), words, frames, np.uint64(1), words.copy())
