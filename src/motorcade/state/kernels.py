"""Kernels of live state: token to dense slot, samples to cells. Twins: the oracles in the tests."""

import numpy as np

from motorcade.compiled import kernel

NEVER = np.iinfo(np.int64).min  # the time of a cell that has no value yet
NONE = -1


@kernel
def mix(high, low):
    """A hash of 128 bits; splitmix64's finisher."""
    value = high ^ (low * np.uint64(0x9E3779B97F4A7C15))
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@kernel
def place_of_token(high, low, highs, lows, table):
    """Where in `table` the token's slot stands, or the empty place where it belongs."""
    mask = np.uint64(len(table) - 1)
    place = mix(high, low) & mask
    while table[place] >= 0:
        slot = table[place]
        if highs[slot] == high and lows[slot] == low:
            break
        place = (place + np.uint64(1)) & mask
    return place


@kernel
def find_slots(rows_high, rows_low, first, highs, lows, table, count, limit, out):
    """Slots of packed tokens, in order of appearance; new ones are added. (0, 0) and what lies
    beyond `limit` get -1. Returns (row to go on from once there is room, count)."""
    for row in range(first, len(rows_high)):
        high, low = rows_high[row], rows_low[row]
        out[row] = NONE
        if high == 0 and low == 0:
            continue
        place = place_of_token(high, low, highs, lows, table)
        if table[place] < 0:
            if count >= limit:
                continue
            if count >= len(highs) or 2 * count >= len(table):
                return row, count
            table[place] = count
            highs[count], lows[count] = high, low
            count += 1
        out[row] = table[place]
    return len(rows_high), count


@kernel
def index_tokens(highs, lows, count, table):
    """Fill an empty `table` with the slots of the first `count` tokens."""
    for slot in range(count):
        table[place_of_token(highs[slot], lows[slot], highs, lows, table)] = slot


@kernel
def note_received(slots, received_us, wanted, latest_us):
    """Keep the greatest received time per slot."""
    for row in range(len(slots)):
        slot = slots[row]
        if wanted[row] and slot >= 0 and received_us[row] > latest_us[slot]:
            latest_us[slot] = received_us[row]


@kernel
def place_of_cell(slot, signal, slots, signals, table):
    """Where in `table` the sparse cell's entry stands, or the empty place where it belongs."""
    mask = np.uint64(len(table) - 1)
    place = mix(np.uint64(slot), np.uint64(signal)) & mask
    while table[place] >= 0:
        entry = table[place]
        if slots[entry] == slot and signals[entry] == signal:
            break
        place = (place + np.uint64(1)) & mask
    return place


@kernel
def scatter(
    samples, first, last, hot_of, hot, sparse, table, heads, sizes, watched, changed, state
):
    """Apply samples `first` to `last`: a cell takes a sample whose time is not before its own.

    samples: (vehicle i4, time i8, signal i4, value f8). hot_of: hot column by signal id, -1.
    hot: (times i8, values f8) of [slot, column]. sparse: (slot i4, signal i4, time i8, value f8,
    next i4) by entry; heads i4 by slot chains a vehicle's entries, sizes i4 counts them.
    watched bool by slot: its accepted samples are listed in `changed` i8.
    state i8: [entries, entries per vehicle at most, samples dropped for that, changed count].
    Returns the sample to go on from once there is room for an entry, else `last`.
    """
    vehicles, times, signals, values = samples
    hot_times, hot_values = hot
    entry_slots, entry_signals, entry_times, entry_values, nexts = sparse
    for index in range(first, last):
        slot, time_us, signal = vehicles[index], times[index], signals[index]
        column = hot_of[signal] if signal < len(hot_of) else NONE
        if column >= 0:
            if time_us < hot_times[slot, column]:
                continue
            hot_times[slot, column] = time_us
            hot_values[slot, column] = values[index]
        else:
            place = place_of_cell(slot, signal, entry_slots, entry_signals, table)
            entry = table[place]
            if entry < 0:
                if sizes[slot] >= state[1]:
                    state[2] += 1
                    continue
                entry = state[0]
                if entry >= len(nexts) or 2 * entry >= len(table):
                    return index
                state[0] += 1
                sizes[slot] += 1
                table[place] = entry
                entry_slots[entry], entry_signals[entry] = slot, signal
                nexts[entry] = heads[slot]
                heads[slot] = entry
            elif time_us < entry_times[entry]:
                continue
            entry_times[entry] = time_us
            entry_values[entry] = values[index]
        if watched[slot]:
            changed[state[3]] = index
            state[3] += 1
    return last


@kernel
def index_cells(sparse, count, table):
    """Fill an empty `table` with the first `count` entries."""
    slots, signals = sparse[0], sparse[1]
    for entry in range(count):
        table[place_of_cell(slots[entry], signals[entry], slots, signals, table)] = entry


@kernel
def collect(head, nexts, out):
    """The entries of one vehicle's chain, newest name first; returns how many."""
    count = 0
    while head >= 0:
        out[count] = head
        count += 1
        head = nexts[head]
    return count


@kernel
def find_in_chain(head, nexts, signals, wanted):
    """The entry of one vehicle's chain that has the signal `wanted`, or -1."""
    while head >= 0 and signals[head] != wanted:
        head = nexts[head]
    return head


def warm() -> None:
    """Compile on production types."""
    unsigned, signed, places = (
        np.ones(1, np.uint64),
        np.zeros(1, np.int64),
        np.full(4, -1, np.int32),
    )
    small, real = np.zeros(1, np.int32), np.zeros(1)
    slots = np.zeros(1, np.int32)
    find_slots(unsigned, unsigned, 0, unsigned.copy(), unsigned.copy(), places, 0, 1, slots)
    index_tokens(unsigned, unsigned, 1, places.copy())
    place_of_token(np.uint64(1), np.uint64(1), unsigned, unsigned, places)
    note_received(slots, signed, np.zeros(1, np.bool_), signed.copy())
    samples = (small, signed, small, real)
    sparse = (small.copy(), small.copy(), signed.copy(), real.copy(), small.copy())
    hot = (np.zeros((1, 1), np.int64), np.zeros((1, 1)))
    cells = np.full(4, -1, np.int32)
    numbers = np.zeros(4, np.int64)
    watched = np.zeros(1, np.bool_)
    scatter(samples, 0, 1, small, hot, sparse, cells, small, small, watched, signed, numbers)
    index_cells(sparse, 0, cells)
    collect(-1, small, small)
    find_in_chain(-1, small, small, 1)
