"""Decimal numbers, truth values and known names in bytes of text. Kernels, no Python objects.

A number is read exactly as `float` reads it, or not at all: up to 19 digits, the last three of them
by the remainder of the division, as long as that leaves no doubt which way to round.
"""

import numpy as np

from motorcade.compiled import inlined, kernel
from motorcade.kernels import fnv1a_64

DIGITS_MAX = 19  # decimal digits that 64 bits always hold
EXACT_INTEGER_MAX = 1 << 53
POWERS = 10.0 ** np.arange(23)  # the powers of ten that float64 holds exactly
SPLIT = 134217729.0  # 2**27 + 1
PROBES_MAX = 32  # places of a name table that are looked at; `name_table.py` keeps to it


@inlined
def remainder_after(high, quotient, power):
    """`high - quotient * power`, exactly, for `quotient` = `high / power` as rounded.

    Dekker's product (T. J. Dekker 1971, "A floating-point technique for extending the available
    precision", Numer. Math. 18); no contraction to FMA, since kernels have no fastmath.
    """
    product = quotient * power
    scaled = SPLIT * quotient
    q1 = scaled - (scaled - quotient)
    q2 = quotient - q1
    scaled = SPLIT * power
    p1 = scaled - (scaled - power)
    p2 = power - p1
    error = ((q1 * p1 - product) + q1 * p2 + q2 * p1) + q2 * p2
    return (high - product) - error


@kernel
def decimal(mantissa, exponent):
    """(understood, value) of `mantissa * 10**exponent` (u8, i8), rounded as `float` rounds."""
    if exponent < -22 or exponent > 22:
        return False, 0.0
    high = np.float64(mantissa)
    if mantissa <= np.uint64(EXACT_INTEGER_MAX):
        return True, high / POWERS[-exponent] if exponent < 0 else high * POWERS[exponent]
    if exponent > 0:
        return False, 0.0
    power = POWERS[-exponent]
    low = np.float64(np.int64(mantissa - np.uint64(high)))
    quotient = high / power
    rest = (remainder_after(high, quotient, power) + low) / power
    value = quotient + rest
    beyond = rest - (value - quotient)  # what rounding to `value` left, of either sign
    bits = np.float64(value).view(np.int64)
    side = np.int64(1 if beyond > 0 else -1)
    neighbour = np.int64(bits + side).view(np.float64)
    doubt = abs(rest) * 2.0**-50  # twice what `rest` itself may be wrong by
    return abs(beyond) + doubt < abs(neighbour - value) / 2, value


@inlined
def read_digits(data, position, end, mantissa):
    """(mantissa with the digits that follow, position after them). Overflows beyond 19 digits."""
    while position < end and 48 <= data[position] <= 57:
        mantissa = mantissa * np.uint64(10) + np.uint64(data[position] - 48)
        position += 1
    return mantissa, position


@kernel
def scan_number(data, position, end):
    """(understood, value, position after it) of a number as JSON writes them, RFC 8259 section 6.

    Not understood: other text, and numbers beyond 19 digits, 10**22 or an integer's 2**53. Integers
    know no minus zero.
    """
    negative = position < end and data[position] == 45
    start = position = position + 1 if negative else position
    mantissa, position = read_digits(data, start, end, np.uint64(0))
    digits = position - start
    if digits == 0 or (digits > 1 and data[start] == 48):
        return False, 0.0, position
    exponent, integer = np.int64(0), True
    if position < end and data[position] == 46:
        point = position + 1
        mantissa, position = read_digits(data, point, end, mantissa)
        exponent, integer = np.int64(point - position), False
        if exponent == 0:
            return False, 0.0, position
    if digits - exponent > DIGITS_MAX:
        return False, 0.0, position
    if position < end and (data[position] | 32) == 101:
        position += 1
        down = position < end and data[position] == 45
        if position < end and (down or data[position] == 43):
            position += 1
        start = position
        power, position = read_digits(data, start, end, np.uint64(0))
        if position == start or position - start > 3:
            return False, 0.0, position
        exponent, integer = exponent + (-np.int64(power) if down else np.int64(power)), False
    if integer and mantissa > np.uint64(EXACT_INTEGER_MAX):
        return False, 0.0, position
    understood, value = decimal(mantissa, exponent)
    return understood, -value if negative and not (integer and mantissa == 0) else value, position


@kernel
def read_number(data, position, end):
    """(understood, value) of a text that is a number and nothing else; it may begin with a plus."""
    if position + 1 < end and data[position] == 43 and data[position + 1] != 45:
        position += 1
    understood, value, position = scan_number(data, position, end)
    return understood and position == end, value


@kernel
def read_boolean(data, position, end):
    """1 and 0 for "true" and "false" in any case, -1 for anything else."""
    size = end - position
    if size == 4:
        word, truth = b"true", 1
    elif size == 5:
        word, truth = b"false", 0
    else:
        return -1
    for index in range(size):
        if (data[position + index] | 32) != word[index]:
            return -1
    return truth


@inlined
def place_of(hashed, probe, table):
    """Where the `probe`-th look for a hash goes. Mixed: a salt changes a hash's low bits only."""
    mixed = (hashed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)
    return (mixed + np.uint64(probe)) & np.uint64(len(table) - 1)


@kernel
def find_name(data, position, end, salt, words, table):
    """The number of a name, -1 if the table (`name_table.py`) has none such.

    words u8: letters; table i8 (power of two, 4): hash of the name and `salt`, start and length in
    `words`, number; a length of 0 marks an empty place.
    """
    hashed = fnv1a_64(data, position, end) ^ np.uint64(salt)
    size = end - position
    for probe in range(PROBES_MAX):
        entry = table[place_of(hashed, probe, table)]
        if entry[2] == 0:
            return -1
        if np.uint64(entry[0]) == hashed and entry[2] == size:
            start, same = entry[1], True
            for index in range(size):
                if words[start + index] != data[position + index]:
                    same = False
                    break
            if same:
                return entry[3]
    return -1


@kernel
def enter_name(table, entry):
    """Put an entry where `find_name` will look; False: no place is free there."""
    for probe in range(PROBES_MAX):
        place = place_of(np.uint64(entry[0]), probe, table)
        if table[place, 2] == 0:
            table[place] = entry
            return True
    return False


def warm() -> None:
    """Compile on production types."""
    data = np.zeros(1, np.uint8)
    data.flags.writeable = False
    read_number(data, 0, 1)
    read_boolean(data, 0, 1)
    find_name(data, 0, 1, 0, np.zeros(1, np.uint8), np.zeros((1, 4), np.int64))
    enter_name(np.zeros((1, 4), np.int64), np.zeros(4, np.int64))
