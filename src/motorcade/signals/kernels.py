"""The telemetry kernel: Tesla payloads of a whole batch to sample columns, without Python objects.

It takes what is plain (one key, one value, in the expected shape) and hands the rest on: a datum
that needs the dictionary or a rarer rule (`SLOW_DATUM`), or a whole record whose bytes are unusual
or broken (`SLOW_RECORD`). It never judges a record malformed. The readable twin, which also takes
the slow ones, is `tesla.parse_datum` and `values.samples_of`; a test compares both on every kind.
"""

import numpy as np

from motorcade.compiled import kernel

FIELD_TABLE = 1024  # Fields from here on always take the slow road
SLOW_DATUM = -1
SLOW_RECORD = -2
# `signal.Kind`, repeated because kernels freeze constants of their own file only.
ANY, NUMBER, BOOLEAN, ENUM, TEXT, LOCATION, DOORS, TIRES = 0, 1, 2, 3, 4, 5, 6, 7
EXACT_DIGITS = 15  # decimal digits that float64 holds exactly, whatever they are
POWERS = 10.0 ** np.arange(23)  # the powers of ten that float64 holds exactly


@kernel
def read_varint(data, position, end):
    """(value, position after it); position -1 when there is no whole varint."""
    value = np.uint64(0)
    shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        if shift == 63 and byte > 1:
            return value, -1
        value |= np.uint64(byte & 0x7F) << np.uint64(shift)
        if byte < 0x80:
            return value, position
        shift += 7
    return value, -1


@kernel
def read_number(data, position, end):
    """(understood, value) of a decimal text, where float64 is exact; else not understood."""
    negative = data[position] == 45
    if negative or data[position] == 43:
        position += 1
    mantissa, digits, exponent, plain = 0, 0, 0, True
    while position < end and 48 <= data[position] <= 57:
        mantissa = mantissa * 10 + data[position] - 48
        digits += 1
        position += 1
        if digits > EXACT_DIGITS:
            return False, 0.0
    if position < end and data[position] == 46:
        plain = False
        position += 1
        while position < end and 48 <= data[position] <= 57:
            mantissa = mantissa * 10 + data[position] - 48
            digits += 1
            exponent -= 1
            position += 1
            if digits > EXACT_DIGITS:
                return False, 0.0
    if digits == 0:
        return False, 0.0
    if position < end and (data[position] | 32) == 101:
        plain = False
        position += 1
        down = position < end and data[position] == 45
        if position < end and (down or data[position] == 43):
            position += 1
        start, power = position, 0
        while position < end and 48 <= data[position] <= 57 and position - start < 3:
            power = power * 10 + data[position] - 48
            position += 1
        if position == start:
            return False, 0.0
        exponent += -power if down else power
    if position != end or exponent < -22 or exponent > 22:
        return False, 0.0
    value = float(mantissa)
    value = value / POWERS[-exponent] if exponent < 0 else value * POWERS[exponent]
    return True, -value if negative and not (plain and mantissa == 0) else value


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


@kernel
def read_text(data, position, end, kind, scale, out, at):
    """A string where a number or boolean is expected: 1 sample, or `SLOW_DATUM`."""
    if kind > BOOLEAN or position == end:
        return SLOW_DATUM
    if kind != ANY:
        truth = read_boolean(data, position, end)
        if truth >= 0:
            out[at] = float(truth)
            return 1
    understood, value = read_number(data, position, end)
    if not understood:
        return SLOW_DATUM
    return put(value * scale, out, at)


@kernel
def put(value, out, at):
    """One number; what is not finite counts as unavailable."""
    out[at] = value if np.isfinite(value) else np.nan
    return 1


@kernel
def read_varint_value(number, raw, kind, scale, enum, parts, out, at):
    """A `Value` alternative that is a varint: samples put, or `SLOW_DATUM`."""
    if number == 10:  # invalid
        for index in range(parts):
            out[at + index] = np.nan
        return parts
    if kind >= TEXT:
        return SLOW_DATUM
    if number == 6:
        if kind in (NUMBER, BOOLEAN):
            out[at] = 1.0 if raw != 0 else 0.0
            return 1
        return SLOW_DATUM
    if number == 3:
        value = np.int64(raw)
        if value > 9007199254740992 or value < -9007199254740992:
            return SLOW_DATUM
    elif number == 2 or (kind == ENUM and number == enum):
        value = np.int64(np.int32(np.uint32(raw & np.uint64(0xFFFFFFFF))))
    else:
        return SLOW_DATUM
    out[at] = float(value) * scale
    return 1


@kernel
def read_bits(data, position, size, scratch):
    """`size` (4 or 8) little-endian bytes as float32 or float64; `scratch`: views of one u8[8]."""
    octets, doubles, floats = scratch
    for index in range(size):
        octets[index] = data[position + index]
    return doubles[0] if size == 8 else np.float64(floats[0])


@kernel
def read_location(data, position, end, out, at, scratch):
    """LocationValue: latitude and longitude, 0 where absent."""
    out[at] = out[at + 1] = 0.0
    while position < end:
        tag = data[position]
        if (tag != 0x09 and tag != 0x11) or position + 9 > end:
            return SLOW_RECORD
        put(read_bits(data, position + 1, 8, scratch), out, at + (tag >> 4))
        position += 9
    return 2


@kernel
def read_flags(data, position, end, parts, out, at):
    """Doors and TireLocation: `parts` booleans, false where absent."""
    for index in range(parts):
        out[at + index] = 0.0
    while position < end:
        tag = data[position]
        part = (tag >> 3) - 1
        if tag & 7 != 0 or tag >= 0x80 or part < 0 or part >= parts:
            return SLOW_RECORD
        raw, position = read_varint(data, position + 1, end)
        if position < 0:
            return SLOW_RECORD
        out[at + part] = 1.0 if raw != 0 else 0.0
    return parts


@kernel
def read_value(data, position, end, kind, scale, enum, out, at, scratch):
    """One `Value` with one alternative: samples put in `out`, or why not."""
    tag = np.int64(data[position])
    position += 1
    if tag >= 0x80:
        if position >= end or data[position] >= 0x80:
            return SLOW_RECORD
        tag = (tag & 0x7F) | np.int64(data[position]) << 7
        position += 1
    number, wire_type = tag >> 3, tag & 7
    if number == 0:
        return SLOW_RECORD
    parts = 2 if kind == LOCATION else 6 if kind == DOORS else 10 if kind == TIRES else 1
    if wire_type == 0:
        raw, position = read_varint(data, position, end)
        if position != end or number in (1, 4, 5, 7, 21, 31, 39):
            return SLOW_RECORD
        return read_varint_value(number, raw, kind, scale, enum, parts, out, at)
    if (wire_type == 5 and number == 4) or (wire_type == 1 and number == 5):
        size = 4 if wire_type == 5 else 8
        if position + size != end:
            return SLOW_RECORD
        value = read_bits(data, position, size, scratch)
        return put(value * scale, out, at) if kind < TEXT else SLOW_DATUM
    if wire_type != 2:
        return SLOW_RECORD
    size, position = read_varint(data, position, end)
    if position < 0 or size != np.uint64(end - position):
        return SLOW_RECORD
    if number == 1:
        return read_text(data, position, end, kind, scale, out, at)
    if number == 7 and kind == LOCATION:
        return read_location(data, position, end, out, at, scratch)
    if (number == 21 and kind == DOORS) or (number == 39 and kind == TIRES):
        return read_flags(data, position, end, parts, out, at)
    return SLOW_RECORD


@kernel
def find_value(data, position, end):
    """(field, start of its value) of a plain datum: key, then value up to `end`; field -1: not."""
    field = np.uint64(0)
    if position < end and data[position] == 0x08:
        field, position = read_varint(data, position + 1, end)
        if position < 0:
            return -1, 0
    if position >= end or data[position] != 0x12:
        return -1, 0
    size, position = read_varint(data, position + 1, end)
    if position < 0 or size == 0 or size != np.uint64(end - position):
        return -1, 0
    return np.int64(min(field, np.uint64(FIELD_TABLE))), position


@kernel
def message_is_sound(data, position, end):
    """Whether these bytes are whole varint fields, as in a Timestamp; others go the slow road."""
    while position < end:
        tag = data[position]
        if tag & 7 != 0 or tag < 8 or tag >= 0x80:
            return False
        _, position = read_varint(data, position + 1, end)
        if position < 0:
            return False
    return True


@kernel
def decode_record(data, position, end, fields, out, at, slow, slow_at, scratch):
    """(samples, slow data) after one payload, or (-1, 0): take the whole record slowly."""
    kinds, scales, enums, ids = fields
    signals, values = out
    while position < end:
        tag = data[position]
        if tag == 0x20:  # is_resend
            _, position = read_varint(data, position + 1, end)
            if position < 0:
                return -1, 0
            continue
        if tag != 0x0A and tag != 0x12 and tag != 0x1A:
            return -1, 0
        size, position = read_varint(data, position + 1, end)
        if position < 0 or size > np.uint64(end - position):
            return -1, 0
        start = position
        position += np.int64(size)
        if tag == 0x12 and not message_is_sound(data, start, position):
            return -1, 0
        if tag != 0x0A:
            continue
        field, value = find_value(data, start, position)
        if field < 0:
            return -1, 0
        kind, signal = ANY, -1
        scale, enum = 1.0, 0
        if field < FIELD_TABLE:
            kind, scale, enum, signal = kinds[field], scales[field], enums[field], ids[field]
        put_count = read_value(data, value, position, kind, scale, enum, values, at, scratch)
        if put_count == SLOW_RECORD:
            return -1, 0
        if put_count == SLOW_DATUM or signal < 0:
            slow[slow_at, 1], slow[slow_at, 2], slow[slow_at, 3] = at, start, position
            slow_at += 1
            continue
        for index in range(put_count):
            signals[at + index] = signal + index
        at += put_count
    return at, slow_at


@kernel
def decode_telemetry(data, starts, ends, wanted, first, fields, out, counts, slow, scratch):
    """Decode wanted rows from `first` on, until the next might not fit.

    data u8, starts/ends i8 (payload bounds), wanted bool: columns of a batch. fields: kinds u1,
    scales f8, enums u1, ids i4 by Field number; an id is the first component's for compound Fields
    and -1 for those that the dictionary has not numbered. out: signals i4, values f8. counts i8:
    samples after each row. slow i8 (n, 5): row, samples before it, start, end, 1: whole record.
    Returns (row to go on from, samples, slow entries).
    """
    samples, slow_count = 0, 0
    room, slow_room = len(out[0]), len(slow)
    for row in range(first, len(starts)):
        start, end = starts[row], ends[row]
        if wanted[row]:
            # The densest datum gives one sample per byte; the smallest slow one has two bytes.
            if samples + end - start > room or slow_count + (end - start) // 2 + 1 > slow_room:
                return row, samples, slow_count
            at, slow_at = decode_record(
                data, start, end, fields, out, samples, slow, slow_count, scratch
            )
            whole = at < 0
            if whole:
                slow[slow_count, 1], slow[slow_count, 2], slow[slow_count, 3] = samples, start, end
                at, slow_at = samples, slow_count + 1
            for index in range(slow_count, slow_at):
                slow[index, 0], slow[index, 4] = row, whole
            samples, slow_count = at, slow_at
        counts[row] = samples
    return len(starts), samples, slow_count


def warm() -> None:
    """Compile on production types."""
    no_bounds = np.zeros(0, np.int64)
    fields = (np.zeros(1, np.uint8), np.zeros(1), np.zeros(1, np.uint8), np.zeros(1, np.int32))
    out = (np.zeros(1, np.int32), np.zeros(1))
    octets = np.zeros(8, np.uint8)
    scratch = (octets, octets.view(np.float64), octets.view(np.float32))
    data = np.zeros(1, np.uint8)
    data.flags.writeable = False
    decode_telemetry(
        data,
        no_bounds,
        no_bounds,
        np.zeros(0, np.bool_),
        0,
        fields,
        out,
        no_bounds,
        np.zeros((1, 5), np.int64),
        scratch,
    )
