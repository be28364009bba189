"""Kernels of history: samples into buckets. The plain second opinion is in the tests.

Times are int64 µs, rising; `edges` has one more entry than there are buckets, rising as well: a
sample at t belongs to bucket b where edges[b] <= t < edges[b + 1].
"""

import numpy as np

from motorcade.compiled import kernel

TEXT_MASK = np.uint64(0xFFFF_0000_0000_0000)
UNAVAILABLE = np.uint64(0x7FF8_0000_0000_0000)


@kernel
def bucket_numbers(times_us, values, edges, low, high, mean, last, count):
    """Fill in each bucket's smallest, largest, mean and last number, and how many there are.

    values: float64; whatever is no number is left out. Buckets without numbers are NaN, count 0.
    The mean is the sum in the order of time, divided once: the same on every machine.
    """
    at = 0
    samples = len(times_us)
    for bucket in range(len(edges) - 1):
        while at < samples and times_us[at] < edges[bucket]:
            at += 1
        total = 0.0
        number = 0
        smallest = largest = newest = np.nan
        while at < samples and times_us[at] < edges[bucket + 1]:
            value = values[at]
            at += 1
            if value != value:
                continue
            if number == 0 or value < smallest:
                smallest = value
            if number == 0 or value > largest:
                largest = value
            total += value
            newest = value
            number += 1
        low[bucket] = smallest
        high[bucket] = largest
        mean[bucket] = total / number if number else np.nan
        last[bucket] = newest
        count[bucket] = number


@kernel
def bucket_words(times_us, bits, edges, last, count):
    """Fill in where each bucket's last value is, -1 without one, and how many values there are.

    bits: the values' bits, uint64: only "unavailable" is left out, texts and booleans are not.
    """
    at = 0
    samples = len(times_us)
    for bucket in range(len(edges) - 1):
        while at < samples and times_us[at] < edges[bucket]:
            at += 1
        number = 0
        newest = -1
        while at < samples and times_us[at] < edges[bucket + 1]:
            if bits[at] & TEXT_MASK != UNAVAILABLE:
                newest = at
                number += 1
            at += 1
        last[bucket] = newest
        count[bucket] = number


def warm() -> None:
    """Compile on production types."""
    times_us, values = np.zeros(1, np.int64), np.zeros(1)
    edges = np.arange(2, dtype=np.int64)
    low, high, mean, last = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    count = np.zeros(1, np.int64)
    bucket_numbers(times_us, values, edges, low, high, mean, last, count)
    bucket_words(times_us, values.view(np.uint64), edges, np.zeros(1, np.int64), count)
