"""Kernels of the fleet stream: what changed since the last tick, what one viewer is to be sent, and
how many cars stand in each cell. Twins: the oracles in the tests. Positions are 1e-7 degrees."""

import numpy as np

from motorcade.compiled import kernel

UNKNOWN_HEADING = 65535
FRESH, STALE = 1, 2  # what a viewer holds of a car: the newest, or an older one


@kernel
def refresh(fleet, wire, changed, tick):
    """Bring the wire's columns up to date and mark what differs from the last tick.

    fleet: (latitude f8, longitude f8, speed f8 m/s, heading f8 degrees, state u1) by slot.
    wire: (lon i4, lat i4, speed u2 cm/s, heading u2 1/100 degree, state u1, placed u1);
    changed i8: the tick of each slot's newest change.
    """
    latitude, longitude, speed, heading, state = fleet
    lons, lats, speeds, headings, states, placed = wire
    for slot in range(len(latitude)):
        is_placed = latitude[slot] == latitude[slot]
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
def is_inside(lon, lat, bounds):
    """Whether a place lies in bounds (i8: west, south, east, north); west > east: across 180."""
    if lat < bounds[1] or lat > bounds[3]:
        return False
    if bounds[0] <= bounds[2]:
        return bounds[0] <= lon and lon <= bounds[2]
    return lon >= bounds[0] or lon <= bounds[2]


@kernel
def pick_cars(first, lons, lats, shown, changed, since, bounds, held, slots, gone):
    """Which cars a viewer is to be sent, from slot `first` on and around.

    shown u1: it may see them, and they have a position. Picked is what lies inside `bounds` (i8)
    and is new to the viewer, changed after tick `since`, or was left over; and what it holds and is
    inside no more (`gone` u1). held u1 by slot is the viewer's, and brought up to date; slots u4
    takes the picked ones, as many as it has room for.
    Returns (how many were picked, how many are inside, the slot to begin with next time).
    """
    count, picked, inside, begin = len(lons), 0, 0, first
    left = False
    for step in range(count):
        slot = first + step
        if slot >= count:
            slot -= count
        kept = 0
        if shown[slot] and is_inside(lons[slot], lats[slot], bounds):
            inside += 1
            if held[slot] == FRESH and changed[slot] <= since:
                continue
            kept = FRESH
        elif held[slot] == 0:
            continue
        if picked < len(slots):
            slots[picked], gone[picked] = slot, kept == 0
            held[slot] = kept
            picked += 1
            continue
        if held[slot] != 0:
            held[slot] = STALE
        if not left:
            begin, left = slot, True
    return picked, inside, begin


@kernel
def count_cells(lons, lats, shown, states, bounds, size, west, south, cells):
    """Count the cars inside `bounds` by cell of `size` and by state.

    The cells begin at `west` and `south`; cells u4 of [row, column, state] is filled, zero before.
    """
    rows, columns = cells.shape[0], cells.shape[1]
    turn = 3_600_000_000
    for slot in range(len(lons)):
        if not shown[slot] or not is_inside(lons[slot], lats[slot], bounds):
            continue
        east = np.int64(lons[slot]) - west
        if east < 0:
            east += turn
        column, row = east // size, (np.int64(lats[slot]) - south) // size
        if column >= 0 and column < columns and row >= 0 and row < rows:
            cells[row, column, states[slot]] += 1


def warm() -> None:
    """Compile on production types."""
    real, places = np.zeros(1), np.zeros(1, np.int32)
    flags, ticks, bounds = np.zeros(1, np.uint8), np.zeros(1, np.int64), np.zeros(4, np.int64)
    words = np.zeros(1, np.uint16)
    wire = (places, places.copy(), words, words.copy(), flags.copy(), flags.copy())
    refresh((real, real, real, real, flags), wire, ticks, 1)
    slots = np.zeros(1, np.uint32)
    pick_cars(0, places, places, flags, ticks, 0, bounds, flags, slots, flags.copy())
    cells = np.zeros((1, 1, 7), np.uint32)
    count_cells(places, places, flags, flags, bounds, 1, 0, 0, cells)
