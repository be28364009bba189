"""Kernels of the fleet stream: what changed since the last tick. Positions are 1e-7 degrees."""

import numpy as np

from motorcade.compiled import kernel

UNKNOWN_HEADING = 65535


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


def warm() -> None:
    """Compile on production types."""
    real, places = np.zeros(1), np.zeros(1, np.int32)
    flags, ticks = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    words = np.zeros(1, np.uint16)
    wire = (places, places.copy(), words, words.copy(), flags.copy(), flags.copy())
    refresh((real, real, real, real, flags), wire, ticks, 1)
