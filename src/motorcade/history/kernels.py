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


@kernel
def match(high, low, other_high, other_low, places):
    """Fill in where each token stands among the others, -1 for nowhere. Both are sorted."""
    at = 0
    for place in range(len(high)):
        while at < len(other_high) and (
            other_high[at] < high[place]
            or (other_high[at] == high[place] and other_low[at] < low[place])
        ):
            at += 1
        found = (
            at < len(other_high) and other_high[at] == high[place] and other_low[at] == low[place]
        )
        places[place] = at if found else -1


@kernel
def pair_up(starts, times_us, latitudes, longitudes, apart_us):
    """Complete coordinates to fixes, in place; NaN in both where a row makes none.

    starts: each vehicle's first row, and the end. NaN: the row does not say it. A row that says one
    coordinate takes the other from before, when that is at most `apart_us` older.
    """
    for vehicle in range(len(starts) - 1):
        latitude = longitude = np.nan
        latitude_us = longitude_us = 0
        for row in range(starts[vehicle], starts[vehicle + 1]):
            has_latitude = latitudes[row] == latitudes[row]
            has_longitude = longitudes[row] == longitudes[row]
            if has_latitude:
                latitude, latitude_us = latitudes[row], times_us[row]
            if has_longitude:
                longitude, longitude_us = longitudes[row], times_us[row]
            is_fix = has_latitude or has_longitude
            if abs(latitude_us - longitude_us) > apart_us:
                is_fix = False
            latitudes[row] = latitude if is_fix else np.nan
            longitudes[row] = longitude if is_fix else np.nan
            if latitudes[row] != latitudes[row] or longitudes[row] != longitudes[row]:
                latitudes[row] = longitudes[row] = np.nan


@kernel
def visits(
    wanted, starts, times_us, latitudes, longitudes, span_us, edges, corners, first, last, fixes
):
    """Of each vehicle that is `wanted`, fill in when it was first and last in the area, and how
    many of its fixes were.

    span_us: from, until. edges: west, south, east, north of the area, degrees. corners: longitude
    and latitude of each, longitudes from west on, over 180 where the area lies across it. Inside is
    what a line to the north leaves by crossing an odd number of sides.
    """
    west, south, east, north = edges[0], edges[1], edges[2], edges[3]
    count = len(corners)
    for vehicle in range(len(starts) - 1):
        fixes[vehicle] = 0
        if not wanted[vehicle]:
            continue
        for row in range(starts[vehicle], starts[vehicle + 1]):
            time_us = times_us[row]
            if time_us < span_us[0] or time_us >= span_us[1]:
                continue
            y = latitudes[row]
            if not (south <= y <= north):
                continue
            x = longitudes[row]
            if not (west <= x <= east):
                x = west + (x - west) % 360.0
                if not (x <= east):
                    continue
            inside = False
            before = count - 1
            for corner in range(count):
                x_1, y_1 = corners[before, 0], corners[before, 1]
                x_2, y_2 = corners[corner, 0], corners[corner, 1]
                before = corner
                if (x_1 > x) != (x_2 > x) and y < y_1 + (x - x_1) * (y_2 - y_1) / (x_2 - x_1):
                    inside = not inside
            if inside:
                if fixes[vehicle] == 0:
                    first[vehicle] = time_us
                last[vehicle] = time_us
                fixes[vehicle] += 1


def warm() -> None:
    """Compile on production types."""
    times_us, values = np.zeros(1, np.int64), np.zeros(1)
    edges = np.arange(2, dtype=np.int64)
    low, high, mean, last = np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1)
    count = np.zeros(1, np.int64)
    bucket_numbers(times_us, values, edges, low, high, mean, last, count)
    bucket_words(times_us, values.view(np.uint64), edges, np.zeros(1, np.int64), count)
    token, starts = np.zeros(1, np.uint64), np.arange(2, dtype=np.int64)
    match(token, token, token, token, np.zeros(1, np.int64))
    pair_up(starts, times_us, low, high, 1)
    visits(
        np.zeros(1, np.uint8),
        starts,
        times_us,
        low,
        high,
        edges,
        np.zeros(4),
        np.zeros((3, 2)),
        count,
        count,
        count,
    )
