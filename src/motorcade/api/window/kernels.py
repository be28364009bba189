"""Kernels of the fleet stream: what changed since the last tick, who stands where, what is due to a
viewer, its frame. Positions are 1e-7 degrees.
"""

import numpy as np

from motorcade.compiled import kernel

# A car as it goes over the wire; kernels take arrays of them and not their columns, which are of
# another type (and compiled anew) when there is but one car.
RECORD = np.dtype(
    [
        ("changed", "<i8"),  # the tick of the newest change
        ("fix_us", "<i8"),  # the position's time
        ("lon", "<i4"),  # 1e-7 degrees
        ("lat", "<i4"),
        ("speed", "<u2"),  # cm/s
        ("heading", "<u2"),  # 1/100 degree; 65535: unknown
        ("state", "u1"),
        ("placed", "u1"),  # has a position
        ("room", "<u2"),
    ]
)
UNKNOWN_HEADING = 65535
DIGIT_BITS = 14  # of a key, sorted at once: two digits are a key
FEW = 4_096  # keys for which the tables of digits are more work than they save
WEST, SOUTH = -1_800_000_000, -900_000_000
FRESH, STALE, SEEN = 1, 2, 4  # what a page holds of a car: the newest, an older one; a mark
NO_POSITION, GONE, MATCHES = 1, 2, 4  # flags of a car
AGE_MS_MAX = 0xFFFF_FFFF


@kernel
def refresh(fleet, wire, tick):
    """Bring the wire up to date and mark what differs from the last tick.

    fleet: (latitude f8, longitude f8, speed f8 m/s, heading f8 degrees, state u1, time of the
    position i8) by slot. wire: records by slot.
    """
    latitude, longitude, speed, heading, state, placed_us = fleet
    lons, lats, speeds, headings = wire["lon"], wire["lat"], wire["speed"], wire["heading"]
    states, placed, fixes, changed = wire["state"], wire["placed"], wire["fix_us"], wire["changed"]
    for slot in range(len(latitude)):
        is_placed = latitude[slot] == latitude[slot]
        fixes[slot] = placed_us[slot]
        lon, lat = np.int32(0), np.int32(0)
        if is_placed:
            lon = np.int32(np.rint(longitude[slot] * 1e7))
            lat = np.int32(np.rint(latitude[slot] * 1e7))
        fast = np.rint(speed[slot] * 100.0)
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
def sort_by_cell(some, wire, cell, columns, slots, keys, near):
    """The slots in `some` and what the wire has of them, ascending by the cell they are in.

    A cell's key is its row, from the south, times `columns` plus its column, from the west; below
    2**28. slots i8, keys i4, near (as `wire`), written: each as long as `some`.
    """
    lons, lats = wire["lon"], wire["lat"]
    loose = np.empty(len(some), np.int32)
    for index in range(len(some)):
        slot = some[index]
        row = (np.int64(lats[slot]) - SOUTH) // cell
        loose[index] = row * columns + (np.int64(lons[slot]) - WEST) // cell
    order = np.argsort(loose) if len(some) < FEW else order_of(loose)
    for place in range(len(some)):
        slot = some[order[place]]
        slots[place], keys[place] = slot, loose[order[place]]
        near[place] = wire[slot]


@kernel
def order_of(keys):
    """What `argsort` says of many keys below 2**28, in two passes by a digit each."""
    mask = (1 << DIGIT_BITS) - 1
    low, high = np.zeros(mask + 2, np.int64), np.zeros(mask + 2, np.int64)
    for key in keys:
        low[(key & mask) + 1] += 1
        high[(key >> DIGIT_BITS) + 1] += 1
    for digit in range(mask + 1):
        low[digit + 1] += low[digit]
        high[digit + 1] += high[digit]
    some, order = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
    for index, key in enumerate(keys):
        some[low[key & mask]] = index
        low[key & mask] += 1
    for place in some:
        digit = keys[place] >> DIGIT_BITS
        order[high[digit]] = place
        high[digit] += 1
    return order


@kernel
def find_in_view(keys, bounds, cell, columns, near, found):
    """The places, of those sorted by cell, that lie in the bounds; how many.

    bounds: west, south, east, north; west > east: across 180. keys i4, near: see `sort_by_cell`.
    found i8, written: as long as `keys`.
    """
    west, south, east, north = bounds
    lon, lat = near["lon"], near["lat"]
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
                place = end
                end += 1
                if lat[place] < south or lat[place] > north:
                    continue
                if west <= east:
                    here = west <= lon[place] <= east
                else:
                    here = lon[place] >= west or lon[place] <= east
                if here:
                    found[count] = place
                    count += 1
        row = last_row + 1 if whole else row + 1
    return count


@kernel
def pick_due(visible, slots, near, since, room, held, holding, picked, places, now_holding):
    """Which cars a page is to hear of: how many. They count as held if there is room for them all.

    Due is what is visible and not held as it is (changed after the tick `since`), and, with -1 as
    its place, what is held and visible no more. visible i8: places; slots, near by place; held u1
    by slot; holding i8: the slots in it that are not 0. picked i8 (slots), places i8, written:
    as long as visible and holding together; now_holding i8, written if there is room: the slots of
    those visible.
    """
    changed = near["changed"]
    due = 0
    for index in range(len(visible)):
        place = visible[index]
        slot = slots[place]
        if held[slot] != FRESH or changed[place] > since:
            picked[due], places[due] = slot, place
            due += 1
        held[slot] |= SEEN
        now_holding[index] = slot
    count = due
    for slot in holding:
        if held[slot] & SEEN == 0:
            picked[count], places[count] = slot, -1
            count += 1
    fits = count <= room
    for slot in now_holding:
        held[slot] = FRESH if fits else held[slot] & ~SEEN
    if fits:
        for index in range(due, count):
            held[picked[index]] = 0
    return count


@kernel
def write_cars(slots, places, near, at_us, wanted, found, columns):
    """Write a frame's columns, in their order in `slots`. Of a car that is gone, only that.

    places: in `near`, as in `sort_by_cell`; -1: gone. wanted u1 by state; found u1 by slot,
    empty: all. columns: (slot u4, lon i4, lat i4, age ms u4, speed u2, heading u2, state u1, flags
    u1), written.
    """
    lons, lats, speeds, headings = near["lon"], near["lat"], near["speed"], near["heading"]
    states, placed, fixes = near["state"], near["placed"], near["fix_us"]
    numbers, lon, lat, age, speed, heading, state, flags = columns
    for index in range(len(slots)):
        place = places[index]
        numbers[index] = slots[index]
        if place < 0:
            lon[index], lat[index], age[index], speed[index], state[index] = 0, 0, 0, 0, 0
            heading[index], flags[index] = UNKNOWN_HEADING, GONE
            continue
        lon[index], lat[index] = lons[place], lats[place]
        age[index] = min(max((at_us - fixes[place]) // 1_000, 0), AGE_MS_MAX)
        speed[index], heading[index] = speeds[place], headings[place]
        state[index] = states[place]
        told = NO_POSITION if placed[place] == 0 else 0
        if wanted[states[place]] != 0 and (len(found) == 0 or found[slots[index]] != 0):
            told |= MATCHES
        flags[index] = told


def warm() -> None:
    """Compile on production types."""
    wire = np.zeros(1, RECORD)
    real, flags, slots = np.zeros(1), np.zeros(1, np.uint8), np.zeros(1, np.int64)
    refresh((real, real, real, real, flags, slots), wire, 1)
    keys, world = np.zeros(1, np.int32), (WEST, SOUTH, -WEST, -SOUTH)
    sort_by_cell(slots, wire, 500_000, 7_201, slots.copy(), keys, wire.copy())
    find_in_view(keys, world, 500_000, 7_201, wire, slots.copy())
    some = slots.copy(), slots.copy(), slots.copy()
    pick_due(slots, slots.copy(), wire, 0, 1, flags.copy(), slots[:0], *some)
    longs, places, words = np.zeros(1, np.uint32), np.zeros(1, np.int32), np.zeros(1, np.uint16)
    columns = (longs, places, places, longs, words, words, flags.copy(), flags.copy())
    write_cars(slots, slots.copy(), wire, 0, np.zeros(7, np.uint8), flags[:0], columns)
