"""Kernels that several folders call: hashes and partitions, twins of `events.py`."""

import numpy as np

from motorcade.compiled import kernel


@kernel
def fnv1a_64(data, start, end):
    """FNV-1a over `data[start:end]` (uint8). The same number as `events.fnv1a_64`."""
    value = np.uint64(0xCBF29CE484222325)
    for index in range(start, end):
        value = (value ^ np.uint64(data[index])) * np.uint64(0x100000001B3)
    return value


@kernel
def partition_of_packed(high, low, partitions):
    """The partition of a packed token. The same number as `events.partition_of`."""
    mixed = (np.uint64(high) ^ np.uint64(low)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) % np.int64(partitions)


def warm() -> None:
    """Compile on production types."""
    fnv1a_64(np.zeros(1, np.uint8), 0, 1)
    partition_of_packed(np.uint64(1), np.uint64(1), 1)
