"""Compiled twins of `frames.py`: read a frame's header, take its mask off, write a header.

Called from other kernels, once per frame; `take_payload` by the door whose messages are a stream,
once per read. All arrays are uint8 but `stream`, int64.
"""

import numpy as np

from motorcade.compiled import kernel

INCOMPLETE = -1  # the header is not all here

STREAM_LEFT = 0  # payload bytes to come of the data frame under way
STREAM_MASKED = 1  # payload bytes of it that came: where in the mask the next one stands
STREAM_OPEN = 2  # 1: a message has begun and its last frame has not
STREAM_SIZE = 3

ALL = 0  # `take_payload` took everything but the start of a header
FULL = 1  # no room left in `out`
ODD = 2  # what comes next is no plain data frame: read it by `frames.read_header`


@kernel
def read_header(data, at, end):
    """(payload_at or INCOMPLETE, payload_bytes) of the masked frame at `data[at:end]`.

    A length over 63 bits comes back negative. Whether the frame is one that may come is the
    caller's to judge from its first two bytes.
    """
    if end - at < 2:
        return INCOMPLETE, 0
    short = np.int64(data[at + 1] & 0x7F)
    extra = 0
    if short == 126:
        extra = 2
    elif short == 127:
        extra = 8
    payload_at = at + 2 + extra + 4
    if payload_at > end:
        return INCOMPLETE, 0
    if extra == 0:
        return payload_at, short
    payload_bytes = np.int64(0)
    for index in range(extra):
        payload_bytes = (payload_bytes << 8) | np.int64(data[at + 2 + index])
    return payload_at, payload_bytes


@kernel
def unmask(data, at, length, mask_at):
    """XOR `data[at:at+length]` in place with the four bytes at `mask_at`."""
    first, second = data[mask_at], data[mask_at + 1]
    third, fourth = data[mask_at + 2], data[mask_at + 3]
    whole = length & ~3
    for index in range(at, at + whole, 4):
        data[index] ^= first
        data[index + 1] ^= second
        data[index + 2] ^= third
        data[index + 3] ^= fourth
    for index in range(whole, length):
        data[at + index] ^= data[mask_at + (index & 3)]


@kernel
def write_header(data, at, payload_bytes):
    """Write the header of an unmasked binary frame below 64 KiB; returns where its payload goes."""
    data[at] = 0x82
    if payload_bytes < 126:
        data[at + 1] = payload_bytes
        return at + 2
    data[at + 1] = 126
    data[at + 2] = payload_bytes >> 8
    data[at + 3] = payload_bytes & 0xFF
    return at + 4


@kernel
def take_payload(data, at, end, stream, mask, out):
    """Unmasked payload of the binary messages in `data[at:end]`, as one stream, into `out`.

    Returns (at, bytes written, ALL | FULL | ODD). Where messages and frames begin is forgotten
    (RFC 6455 §5.4: fragments are one message; [MQTT-6.0.0-2]: nor do messages mean anything).
    """
    written = 0
    while True:
        size = min(stream[STREAM_LEFT], end - at, len(out) - written)
        first = stream[STREAM_MASKED]
        for index in range(size):
            out[written + index] = data[at + index] ^ mask[(first + index) & 3]
        at += size
        written += size
        stream[STREAM_LEFT] -= size
        stream[STREAM_MASKED] = (first + size) & 3
        if stream[STREAM_LEFT] > 0:
            return at, written, FULL if written == len(out) and at < end else ALL
        if end - at < 2:
            return at, written, ALL
        wanted = 0 if stream[STREAM_OPEN] else 2  # continuation, binary (§5.2)
        if (data[at] & 0x7F) != wanted or data[at + 1] < 0x80:
            return at, written, ODD
        payload_at, payload_bytes = read_header(data, at, end)
        if payload_at == INCOMPLETE:
            return at, written, ALL
        if payload_bytes < 0:
            return at, written, ODD
        stream[STREAM_OPEN] = 0 if data[at] & 0x80 else 1
        stream[STREAM_LEFT], stream[STREAM_MASKED] = payload_bytes, 0
        mask[:] = data[payload_at - 4 : payload_at]
        at = payload_at


def warm() -> None:
    """Compile on production types."""
    data = np.zeros(16, np.uint8)
    read_header(data, 0, 16)
    unmask(data, 6, 8, 2)
    write_header(data, 0, 4)
    take_payload(data, 0, 16, np.zeros(STREAM_SIZE, np.int64), data[:4], data)
