"""Kernels of the fleet stream: what changed since the last tick, who stands where, what is due to a
viewer, its frame. Positions are 1e-7 degrees.
"""

import numpy as np

from motorcade.compiled import kernel

UNKNOWN_HEADING = 65535
DIGIT_BITS = 14  # of a key, sorted at once: two digits are a key
WEST, SOUTH = -1_800_000_000, -900_000_000
FRESH, STALE, SEEN = 1, 2, 4  # what a page holds of a car: the newest, an older one; a mark
NO_POSITION, GONE, MATCHES = 1, 2, 4  # flags of a car
AGE_MS_MAX = 0xFFFF_FFFF


@kernel
def refresh(fleet, wire, tick):
    """Bring the wire's columns up to date and mark what differs from the last tick.

    fleet: (latitude f8, longitude f8, speed f8 m/s, heading f8 degrees, state u1, time of the
    position i8) by slot. wire: (lon i4, lat i4, speed u2 cm/s, heading u2 1/100 degree, state u1,
    placed u1, fix i8, changed i8: the tick of the newest change).
    """
    latitude, longitude, speed, heading, state, placed_us = fleet
    lons, lats, speeds, headings, states, placed, fixes, changed = wire
    for slot in range(len(latitude)):
        is_placed = latitude[slot] == latitude[slot]
        fixes[slot] = placed_us[slot]
        lon, lat = np.int32(0), np.int32(0)
        if is_placed:
            lon = np.int32(np.rint(longitude[slot] * 1e7))
            lat = np.int32(np.rint(latitude[slot] * 1e7))
        fast = speed[slot] * 100.0
        cms = np.uint16(min(max(fast, 0.0), 65535.0)) if fast == fast else np.uint16(0)
        turned = heading[slot]
        cdeg = np.uint16(UNKNOWN_HEADING)
        if 0.0 <= turned <= 360.0:
            cdeg = np.uint16(np.rint(turned * 100.0) % 36000)
        same = lons[slot] == lon and lats[slot] == lat and placed[slot] == is_placed
        same = same and speeds[slot] == cms and headings[slot] == cdeg
        if same and states[slot] == state[slot]:
            continue
        lons[slot], lats[slot], placed[slot] = lon, lat, is_placed
        speeds[slot], headings[slot], states[slot] = cms, cdeg, state[slot]
        changed[slot] = tick


@kernel
def sort_by_cell(lon, lat, placed, cell, columns, slots, keys):
    """The slots with a position, ascending by the cell they are in; how many.

    A cell's key is its row, from the south, times `columns` plus its column, from the west; below
    2**28. slots i8, keys i4, written: each as long as the fleet.
    """
    mask = (1 << DIGIT_BITS) - 1
    low, high = np.zeros(mask + 2, np.int64), np.zeros(mask + 2, np.int64)
    some_slots, some_keys = np.empty_like(slots), np.empty_like(keys)
    count = 0
    for slot in range(len(lon)):
        if placed[slot] == 0:
            continue
        row = (np.int64(lat[slot]) - SOUTH) // cell
        key = row * columns + (np.int64(lon[slot]) - WEST) // cell
        slots[count], keys[count] = slot, key
        low[(key & mask) + 1] += 1
        high[(key >> DIGIT_BITS) + 1] += 1
        count += 1
    for digit in range(mask + 1):
        low[digit + 1] += low[digit]
        high[digit + 1] += high[digit]
    for index in range(count):
        place = low[keys[index] & mask]
        low[keys[index] & mask] += 1
        some_slots[place], some_keys[place] = slots[index], keys[index]
    for index in range(count):
        place = high[some_keys[index] >> DIGIT_BITS]
        high[some_keys[index] >> DIGIT_BITS] += 1
        slots[place], keys[place] = some_slots[index], some_keys[index]
    return count


@kernel
def find_in_view(slots, keys, bounds, cell, columns, wire, shown, found):
    """The slots, of those sorted, that are shown and lie in the bounds; how many.

    bounds: west, south, east, north; west > east: across 180. wire: (lon i4, lat i4).
    found i8, written: as long as `slots`.
    """
    west, south, east, north = bounds
    lon, lat = wire
    count = 0
    left, right = (west - WEST) // cell, (east - WEST) // cell
    first_row, last_row = (south - SOUTH) // cell, (north - SOUTH) // cell
    whole = west <= east and left == 0 and right == columns - 1
    end = 0
    row = first_row
    while row <= last_row:
        for part in range(1 if west <= east else 2):
            if whole:  # all columns: the rows are one run
                first, last = row * columns, (last_row + 1) * columns - 1
            elif west <= east:
                first, last = row * columns + left, row * columns + right
            elif part == 0:
                first, last = row * columns, row * columns + right
            else:
                first, last = row * columns + left, (row + 1) * columns - 1
            begin, beyond = end, len(keys)
            while begin < beyond:
                middle = (begin + beyond) >> 1
                if keys[middle] < first:
                    begin = middle + 1
                else:
                    beyond = middle
            end = begin
            while end < len(keys) and keys[end] <= last:
                slot = slots[end]
                end += 1
                if shown[slot] == 0 or lat[slot] < south or lat[slot] > north:
                    continue
                if west <= east:
                    here = west <= lon[slot] <= east
                else:
                    here = lon[slot] >= west or lon[slot] <= east
                if here:
                    found[count] = slot
                    count += 1
        row = last_row + 1 if whole else row + 1
    return count


@kernel
def pick_due(visible, changed, since, room, held, holding, picked, gone):
    """Which cars a page is to hear of: how many. They count as held if there is room for them all.

    Due is what is visible and not held as it is (`changed` after the tick `since`), and, with
    `gone` 1, what is held and visible no more. held u1 by slot; holding i8: the slots in it that
    are not 0; picked i8, gone u1, written: as long as visible and holding together.
    """
    due = 0
    for slot in visible:
        if held[slot] != FRESH or changed[slot] > since:
            picked[due], gone[due] = slot, 0
            due += 1
        held[slot] |= SEEN
    count = due
    for slot in holding:
        if held[slot] & SEEN == 0:
            picked[count], gone[count] = slot, 1
            count += 1
    for slot in visible:
        held[slot] &= ~SEEN
    if count <= room:
        for slot in visible:
            held[slot] = FRESH
        for index in range(due, count):
            held[picked[index]] = 0
    return count


@kernel
def write_cars(slots, gone, wire, at_us, wanted, found, columns):
    """Write a frame's columns, in their order in `slots`. Of a car that is gone, only that.

    wire: as in `refresh`. wanted u1 by state; found u1 by slot, empty: all. columns: (slot u4, lon
    i4, lat i4, age ms u4, speed u2, heading u2, state u1, flags u1), written.
    """
    lons, lats, speeds, headings, states, placed, fixes, _ = wire
    numbers, lon, lat, age, speed, heading, state, flags = columns
    for index in range(len(slots)):
        slot = slots[index]
        numbers[index] = slot
        if gone[index] != 0:
            lon[index], lat[index], age[index], speed[index], state[index] = 0, 0, 0, 0, 0
            heading[index], flags[index] = UNKNOWN_HEADING, GONE
            continue
        lon[index], lat[index] = lons[slot], lats[slot]
        age[index] = min(max((at_us - fixes[slot]) // 1_000, 0), AGE_MS_MAX)
        speed[index], heading[index], state[index] = speeds[slot], headings[slot], states[slot]
        told = NO_POSITION if placed[slot] == 0 else 0
        if wanted[states[slot]] != 0 and (len(found) == 0 or found[slot] != 0):
            told |= MATCHES
        flags[index] = told


def warm() -> None:
    """Compile on production types: the wire's columns are parts of records."""
    kinds = ("<i4", "<i4", "<u2", "<u2", "u1", "u1", "<i8", "<i8")
    record = np.zeros(1, np.dtype([(str(index), kind) for index, kind in enumerate(kinds)]))
    lon, lat, speed, heading, state, placed, fix, changed = (record[name] for name in "01234567")
    wire = (lon, lat, speed, heading, state, placed, fix, changed)
    real, flags, slots = np.zeros(1), np.zeros(1, np.uint8), np.zeros(1, np.int64)
    refresh((real, real, real, real, flags, slots), wire, 1)
    keys, world = np.zeros(1, np.int32), (WEST, SOUTH, -WEST, -SOUTH)
    sort_by_cell(lon, lat, placed, 500_000, 7_201, slots, keys)
    find_in_view(slots, keys, world, 500_000, 7_201, (lon, lat), flags, slots.copy())
    pick_due(slots, changed, 0, 1, flags.copy(), slots[:0], slots.copy(), flags.copy())
    longs, places, words = np.zeros(1, np.uint32), np.zeros(1, np.int32), np.zeros(1, np.uint16)
    columns = (longs, places, places, longs, words, words, flags.copy(), flags.copy())
    write_cars(slots, flags, wire, 0, np.zeros(7, np.uint8), flags[:0], columns)
