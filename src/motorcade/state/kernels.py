"""Kernels of live state: token to dense slot, samples to cells. Twins: the oracles in the tests."""

import numpy as np

from motorcade.compiled import kernel

NEVER = np.iinfo(np.int64).min  # the time of a cell that has no value yet
NONE = -1

# Numbers of `signals/enums.py`; a test compares them.
GEAR_PARK, GEAR_NONE = 2, 6
CHARGE_STARTING, CHARGE_ON = 3, 4
SENTRY_PANIC, BMS_FAULT, HVIL_FAULT = 5, 7, 1

# Columns of hot signals that `gather_fleet` reads; `columns.py` has them in this order.
LATITUDE, LONGITUDE, SPEED, HEADING, GEAR, CHARGE_STATE, DETAILED_CHARGE_STATE = range(7)
INSTALLED, ASLEEP, SENTRY_MODE, BMS_STATE, HVIL, TYRES, TYRES_END = *range(7, 13), 16

# A car's state on the page, by index.
MOVING, IDLE, PARKED, CHARGING, UPDATING, SILENT, ALARM = 0, 1, 2, 3, 4, 5, 6


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


@kernel
def gather_fleet(first, last, hot_times, hot_values, received, online, versions, out):
    """Copy what the page needs of the slots `first` to `last` out of live state.

    out: (latitude f8, longitude f8, position time i8, speed f8, speed time i8, heading
    f8, gear i1, gear time i8, charge state i1, installed percent f8, asleep b1, online b1, alarms
    u1, received i8, version i8) by slot. NaN, -1 and 0 stand for what nobody has told.
    """
    latitude, longitude, placed_us, speed, speed_us, heading = out[:6]
    gear, gear_us, charge, installed, asleep, online_out, alarms, received_out, version = out[6:]
    for slot in range(first, last):
        times, values = hot_times[slot], hot_values[slot]
        received_out[slot] = received[slot]
        online_out[slot] = online[slot]
        version[slot] = versions[slot]
        placed = times[LATITUDE] != NEVER and times[LONGITUDE] != NEVER
        placed = placed and abs(values[LATITUDE]) <= 90.0 and abs(values[LONGITUDE]) <= 180.0
        latitude[slot] = values[LATITUDE] if placed else np.nan
        longitude[slot] = values[LONGITUDE] if placed else np.nan
        placed_us[slot] = min(times[LATITUDE], times[LONGITUDE]) if placed else 0
        speed[slot] = values[SPEED] if times[SPEED] != NEVER else np.nan
        speed_us[slot] = times[SPEED] if times[SPEED] != NEVER else 0
        heading[slot] = values[HEADING] if times[HEADING] != NEVER else np.nan
        known = times[GEAR] != NEVER and 0.0 <= values[GEAR] < 100.0
        gear[slot] = np.int8(values[GEAR]) if known else np.int8(-1)
        gear_us[slot] = times[GEAR] if known else 0
        # Cars tell of charging in one of two signals; the newer one counts.
        is_newer = times[CHARGE_STATE] >= times[DETAILED_CHARGE_STATE]
        column = CHARGE_STATE if is_newer else DETAILED_CHARGE_STATE
        known = times[column] != NEVER and 0.0 <= values[column] < 100.0
        charge[slot] = np.int8(values[column]) if known else np.int8(-1)
        installed[slot] = values[INSTALLED] if times[INSTALLED] != NEVER else np.nan
        asleep[slot] = times[ASLEEP] != NEVER and values[ASLEEP] == 1.0
        found = 0
        if times[SENTRY_MODE] != NEVER and values[SENTRY_MODE] == SENTRY_PANIC:
            found |= 1
        if times[BMS_STATE] != NEVER and values[BMS_STATE] == BMS_FAULT:
            found |= 2
        if times[HVIL] != NEVER and values[HVIL] == HVIL_FAULT:
            found |= 4
        for tyre in range(TYRES, TYRES_END):
            if times[tyre] != NEVER and values[tyre] == 1.0:
                found |= 8
        alarms[slot] = found


@kernel
def judge_fleet(columns, now_us, moving_mps, silent_us, silent_resting_us, states):
    """The state of each car, by the page's order of precedence: see `columns.py`.

    columns: (speed f8, speed time i8, gear i1, gear time i8, charge state i1, installed percent f8,
    asleep b1, alarms u1, received i8); states u1 of the same length.
    """
    speed, speed_us, gear, gear_us, charge, installed, asleep, alarms, received = columns
    for slot in range(len(states)):
        in_park = gear[slot] == GEAR_PARK and gear_us[slot] >= speed_us[slot]
        moves = speed[slot] > moving_mps and not in_park  # not so of NaN
        in_gear = GEAR_PARK < gear[slot] < GEAR_NONE
        charges = charge[slot] == CHARGE_STARTING or charge[slot] == CHARGE_ON
        rests = asleep[slot] or not (moves or in_gear or charges)
        age_us = now_us - received[slot]
        if alarms[slot]:
            states[slot] = ALARM
        elif received[slot] == 0 or age_us > (silent_resting_us if rests else silent_us):
            states[slot] = SILENT
        elif 0.0 < installed[slot] < 100.0:
            states[slot] = UPDATING
        elif charges:
            states[slot] = CHARGING
        elif moves:
            states[slot] = MOVING
        elif in_gear:
            states[slot] = IDLE
        else:
            states[slot] = PARKED


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
    hot = (np.zeros((1, TYRES_END), np.int64), np.zeros((1, TYRES_END)))
    cells = np.full(4, -1, np.int32)
    numbers = np.zeros(4, np.int64)
    watched = np.zeros(1, np.bool_)
    scatter(samples, 0, 1, small, hot, sparse, cells, small, small, watched, signed, numbers)
    index_cells(sparse, 0, cells)
    collect(-1, small, small)
    find_in_chain(-1, small, small, 1)
    kinds = [
        "f8",
        "f8",
        "i8",
        "f8",
        "i8",
        "f8",
        "i1",
        "i8",
        "i1",
        "f8",
        "b1",
        "b1",
        "u1",
        "i8",
        "i8",
    ]
    out = tuple(np.zeros(1, np.bool_ if kind == "b1" else kind) for kind in kinds)
    gather_fleet(0, 1, *hot, signed, np.zeros(1, np.bool_), signed, out)
    judged = (out[3], out[4], out[6], out[7], out[8], out[9], out[10], out[12], out[13])
    judge_fleet(judged, 0, 0.5, 1, 1, np.zeros(1, np.uint8))
