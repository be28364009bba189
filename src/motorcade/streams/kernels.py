"""Kernels of deduplication: which rows of a batch are new, and tables that remember it.

A table is open-addressed with linear probing over rows of 64-bit words (uint64, shape (slots,
words), slots a power of two, at most half full). Words 0..3 are the key, compared in full; word 0
carries the mark `OCCUPIED`, so 0 means an empty slot. Nothing is deleted in place: `rebuild` copies
what stays into a new table.

`sizes` (int64) holds counts and limits, see the constants. Rows are read until one would exceed a
limit; its index is returned with what ran out, and the caller makes room and enters again there.
"""

import numpy as np

from motorcade.compiled import kernel
from motorcade.events import RECORD_DTYPE, Flags

OCCUPIED = np.uint64(1 << 63)
LANE_SHIFT = np.uint64(32)  # a token's high word has 24 bits; the lane stands above it

# Words of a stream's row after the key (vehicle and lane, vehicle, stream, 0).
LOW, HIGH, SEEN, ISLANDS = 4, 5, 6, 7
STREAM_WORDS = 8  # one cache line
# ISLANDS is 0 while [LOW, HIGH] is all there is, else (block + 1) << 32 | islands in the block.
BLOCK_SHIFT = np.uint64(32)
COUNT_MASK = np.uint64(0xFFFFFFFF)

# Words of an identity's row after the key (vehicle and lane, vehicle, identity high, low).
TIME = 4
IDENTITY_WORDS = 5

# Places in `sizes`.
STREAMS, STREAMS_MAX, IDENTITIES, IDENTITIES_MAX, FREE_BLOCKS = 0, 1, 2, 3, 4
SIZES = 5

DONE, NEED_STREAMS, NEED_IDENTITIES, NEED_BLOCKS = 0, 1, 2, 3  # why `keep_rows` came back

_BY_SEQUENCE = np.uint16(Flags.IDENTITY_SEQUENCE)
_BY_HASH = np.uint16(Flags.IDENTITY_HASH)
_ONE = np.uint64(1)


@kernel
def find(table, key0, key1, key2, key3):
    """Return the slot that holds the key, or -1 - (the empty slot where it belongs)."""
    mixed = (key0 ^ (key1 * np.uint64(0x9E3779B97F4A7C15))) ^ (key2 >> np.uint64(29))
    mixed = (mixed ^ (key2 * np.uint64(0xD6E8FEB86659FD93))) + key3 * np.uint64(0xA0761D6478BD642F)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xE7037ED1A0B428DB)
    mask = len(table) - 1
    slot = np.int64(mixed >> np.uint64(20)) & mask
    while table[slot, 0] != 0:
        row = table[slot]
        if row[0] == key0 and row[1] == key1 and row[2] == key2 and row[3] == key3:
            return slot
        slot = (slot + 1) & mask
    return -1 - slot


@kernel
def rebuild(old, stays, new):
    """Copy the rows of `old` that are occupied and marked in `stays` into the empty table `new`."""
    for index in range(len(old)):
        row = old[index]
        if row[0] != 0 and stays[index]:
            new[-1 - find(new, row[0], row[1], row[2], row[3])] = row


@kernel
def add_to_block(islands, count, number):
    """Add `number` to `count` sorted, disjoint, not touching islands (uint64, shape (n, 2)).

    Returns (islands afterwards, whether the number is new). When they would be more than n, the
    lowest is forgotten, even if that is the number's own.
    """
    index = count - 1  # recent numbers are high: look from the top
    while index >= 0 and islands[index, 0] > number:
        index -= 1
    if index >= 0 and number <= islands[index, 1]:
        return count, False
    touches_below = index >= 0 and islands[index, 1] + _ONE == number
    touches_above = index + 1 < count and islands[index + 1, 0] - _ONE == number
    if touches_below and touches_above:
        islands[index, 1] = islands[index + 1, 1]
        for place in range(index + 1, count - 1):
            islands[place, 0] = islands[place + 1, 0]
            islands[place, 1] = islands[place + 1, 1]
        return count - 1, True
    if touches_below:
        islands[index, 1] = number
    elif touches_above:
        islands[index + 1, 0] = number
    elif count < len(islands):
        for place in range(count, index + 1, -1):
            islands[place, 0] = islands[place - 1, 0]
            islands[place, 1] = islands[place - 1, 1]
        islands[index + 1, 0] = number
        islands[index + 1, 1] = number
        return count + 1, True
    elif index >= 0:  # full: those up to `index` move down over the lowest
        for place in range(index):
            islands[place, 0] = islands[place + 1, 0]
            islands[place, 1] = islands[place + 1, 1]
        islands[index, 0] = number
        islands[index, 1] = number
    return count, True


@kernel
def add_to_stream(row, number, blocks, free_blocks, sizes):
    """Add a sequence to a stream. Returns 1 when it is new, 0 when not, -1 when no block is free.

    `blocks` is uint64 of shape (blocks, islands, 2), `free_blocks` (int64) a stack of unused ones.
    """
    if row[ISLANDS] == 0:
        if row[LOW] <= number <= row[HIGH]:
            return 0
        if number > row[HIGH] and number - _ONE == row[HIGH]:
            row[HIGH] = number
            return 1
        if number < row[LOW] and number + _ONE == row[LOW]:
            row[LOW] = number
            return 1
        if blocks.shape[1] == 1:  # no second island is remembered: the lower one is forgotten
            if number > row[HIGH]:
                row[LOW] = number
                row[HIGH] = number
            return 1
        if sizes[FREE_BLOCKS] == 0:
            return -1
        sizes[FREE_BLOCKS] -= 1
        block = free_blocks[sizes[FREE_BLOCKS]]
        blocks[block, 0, 0] = row[LOW]
        blocks[block, 0, 1] = row[HIGH]
        count, _ = add_to_block(blocks[block], 1, number)
        row[ISLANDS] = np.uint64(block + 1) << BLOCK_SHIFT | np.uint64(count)
        return 1
    block = np.int64(row[ISLANDS] >> BLOCK_SHIFT) - 1
    before = np.int64(row[ISLANDS] & COUNT_MASK)
    count, new = add_to_block(blocks[block], before, number)
    if count == 1:
        row[LOW] = blocks[block, 0, 0]
        row[HIGH] = blocks[block, 0, 1]
        row[ISLANDS] = 0
        free_blocks[sizes[FREE_BLOCKS]] = block
        sizes[FREE_BLOCKS] += 1
    elif count != before:
        row[ISLANDS] = np.uint64(block + 1) << BLOCK_SHIFT | np.uint64(count)
    return 1 if new else 0


@kernel
def keep_rows(
    rows, first, keep, lanes, streams, blocks, free_blocks, identities, sizes, horizon_us
):
    """Set `keep[first:]` for the rows, in order. Returns (rows done, why it stopped).

    `rows` has RECORD_DTYPE, `keep` is bool, `lanes` (uint8) gives each topic's lane.
    """
    for index in range(first, len(rows)):
        row = rows[index]
        key0 = row.vehicle_hi | OCCUPIED | np.uint64(lanes[row.topic]) << LANE_SHIFT
        if row.flags & _BY_SEQUENCE:
            slot = find(streams, key0, row.vehicle_lo, row.identity_hi, np.uint64(0))
            if slot >= 0:
                stream = streams[slot]
                new = add_to_stream(stream, row.identity_lo, blocks, free_blocks, sizes)
                if new < 0:
                    return index, NEED_BLOCKS
                stream[SEEN] = np.uint64(max(np.int64(stream[SEEN]), row.received_time_us))
                keep[index] = new == 1
                continue
            if sizes[STREAMS] >= sizes[STREAMS_MAX]:
                return index, NEED_STREAMS
            sizes[STREAMS] += 1
            stream = streams[-1 - slot]
            stream[0] = key0
            stream[1] = row.vehicle_lo
            stream[2] = row.identity_hi
            stream[LOW] = row.identity_lo
            stream[HIGH] = row.identity_lo
            stream[SEEN] = np.uint64(row.received_time_us)
        elif row.flags & _BY_HASH:
            slot = find(identities, key0, row.vehicle_lo, row.identity_hi, row.identity_lo)
            if slot >= 0:
                identity = identities[slot]
                age_us = row.received_time_us - np.int64(identity[TIME])
                keep[index] = age_us >= horizon_us
                if age_us >= horizon_us:
                    identity[TIME] = np.uint64(row.received_time_us)
                continue
            if sizes[IDENTITIES] >= sizes[IDENTITIES_MAX]:
                return index, NEED_IDENTITIES
            sizes[IDENTITIES] += 1
            identity = identities[-1 - slot]
            identity[0] = key0
            identity[1] = row.vehicle_lo
            identity[2] = row.identity_hi
            identity[3] = row.identity_lo
            identity[TIME] = np.uint64(row.received_time_us)
        keep[index] = True
    return len(rows), DONE


def warm() -> None:
    """Compile on production types."""
    rows = np.zeros(1, RECORD_DTYPE)
    streams = np.zeros((2, STREAM_WORDS), np.uint64)
    identities = np.zeros((2, IDENTITY_WORDS), np.uint64)
    blocks, free_blocks = np.zeros((1, 2, 2), np.uint64), np.zeros(1, np.int64)
    sizes = np.ones(SIZES, np.int64)
    keep, lanes = np.zeros(1, np.bool_), np.zeros(256, np.uint8)
    keep_rows(rows, 0, keep, lanes, streams, blocks, free_blocks, identities, sizes, 1)
    rebuild(streams, np.ones(2, np.bool_), np.zeros((4, STREAM_WORDS), np.uint64))
    rebuild(identities, np.ones(2, np.bool_), np.zeros((4, IDENTITY_WORDS), np.uint64))
