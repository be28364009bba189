"""Compiled twins of `frames.py`: read a frame's header, take its mask off, write a header.

Called from other kernels, once per frame. All arrays are uint8.
"""

import numpy as np

from motorcade.compiled import kernel

INCOMPLETE = -1  # the header is not all here


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


def warm() -> None:
    """Compile on production types."""
    data = np.zeros(16, np.uint8)
    read_header(data, 0, 16)
    unmask(data, 6, 8, 2)
    write_header(data, 0, 4)
