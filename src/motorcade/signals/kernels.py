"""The telemetry kernel: a whole batch of payloads to sample columns, without Python objects.

JSON is read by `json/kernels.py`, Tesla's payloads here: what is plain (one key, one value, in the
expected shape). The rest is handed on: a string that needs the dictionary or a rarer rule
(`SLOW_TEXT`), a datum of another rarer rule (`SLOW_DATUM`), or a whole record whose bytes are
unusual or broken (`SLOW_RECORD`). It never judges a record malformed. The readable twin, which also
takes the slow ones, is `tesla.parse_datum` and `values.samples_of`; a test compares both on every
kind.

A plain number is put where it is read, in `read_record`: passing the columns on to a function cost
more than reading it (measured: 1.27 µs for ten datums, against 0.31 now).
"""

import numpy as np

from motorcade.compiled import borrowed, inlined, kernel
from motorcade.signals.json.kernels import read_json_record
from motorcade.signals.text.kernels import find_name, read_boolean, read_number

FIELD_TABLE = 1024  # Fields from here on always take the slow road
ONE = 1  # one number was read, in the sender's unit
UNSCALED = 2  # ... a boolean
SLOW_TEXT = -1
SLOW_DATUM = -2
SLOW_RECORD = -3
COMPOUND = -4  # a message of several components: `read_compound` takes it
UNAVAILABLE = -5  # Tesla's `invalid`
# What the fifth column of a slow entry says: a Field number, or
WHOLE_RECORD = -1
WHOLE_DATUM = -2
JSON_TEXT = -3  # the value of a JSON sample, as `json/kernels.py` enters it
TESLA, JSON = 1, 2  # `events.Encoding`
# `signal.Kind`, repeated because kernels freeze constants of their own file only.
ANY, NUMBER, BOOLEAN, ENUM, TEXT, LOCATION, DOORS, TIRES = 0, 1, 2, 3, 4, 5, 6, 7
EXACT_INTEGER_MAX = 1 << 53
TEXT_MAX = 64  # longer strings are no numbers and no places


@kernel
def read_varint(data, position, end):
    """(value, position after it); position -1 when there is no whole varint.

    Bits beyond the 64th are dropped, as the library does it.
    """
    if position < end and data[position] < 0x80:
        return np.uint64(data[position]), position + 1
    value = np.uint64(0)
    shift = 0
    while position < end and shift < 70:
        byte = data[position]
        position += 1
        value |= np.uint64(byte & 0x7F) << np.uint64(shift)
        if byte < 0x80:
            return value, position
        shift += 7
    return value, -1


@kernel
def read_size(data, position, end):
    """(length, position after it); written in at most 5 bytes, as in the library."""
    size, after = read_varint(data, position, end)
    return size, -1 if after - position > 5 else after


@kernel
def read_fixed(data, position, size):
    """`size` little-endian bytes as a number."""
    bits = np.uint64(0)
    for index in range(size):
        bits |= np.uint64(data[position + index]) << np.uint64(8 * index)
    return bits


@kernel
def read_text(data, position, end, kind, enum, words, table):
    """(status, value) of a string where a scalar is expected."""
    if kind == ENUM:
        number = find_name(data, position, end, enum, words, table)
        return (ONE, float(number)) if number >= 0 else (SLOW_TEXT, 0.0)
    if kind >= TEXT:
        return SLOW_TEXT, 0.0
    if kind != ANY:
        truth = read_boolean(data, position, end)
        if truth >= 0:
            return UNSCALED, float(truth)
    understood, value = read_number(data, position, end)
    return (ONE, value) if understood else (SLOW_TEXT, 0.0)


@kernel
def read_varint_value(number, raw, kind, enum):
    """(status, value) of a `Value` alternative that is a varint."""
    if number == 10:
        return UNAVAILABLE, 0.0
    if kind >= TEXT:
        return SLOW_DATUM, 0.0
    if number == 6:
        truth = 1.0 if raw != 0 else 0.0
        return (UNSCALED, truth) if kind in (NUMBER, BOOLEAN) else (SLOW_DATUM, 0.0)
    if number == 3:
        value = np.int64(raw)
        exact = -EXACT_INTEGER_MAX <= value <= EXACT_INTEGER_MAX
        return (ONE, float(value)) if exact else (SLOW_DATUM, 0.0)
    if number == 2 or (kind == ENUM and number == enum):
        return ONE, float(np.int32(np.uint32(raw & np.uint64(0xFFFFFFFF))))
    return SLOW_DATUM, 0.0


@kernel
def float_status(value, kind):
    """(status, value) of a `Value` that is a float; an enum has no minus zero."""
    if kind >= TEXT:
        return SLOW_DATUM, 0.0
    return ONE, value + 0.0 if kind == ENUM else value


@kernel
def read_scalar(data, position, end, kind, enum):
    """(status, value) of a `Value` with one alternative; for `SLOW_TEXT`, where the text starts."""
    tag = np.int64(data[position])
    position += 1
    if tag >= 0x80:
        if position >= end or data[position] >= 0x80:
            return SLOW_RECORD, 0.0
        tag = (tag & 0x7F) | np.int64(data[position]) << 7
        position += 1
    if tag == 0x25 and position + 4 == end:
        value = np.float64(np.uint32(read_fixed(data, position, 4)).view(np.float32))
        return float_status(value, kind)
    if tag == 0x29 and position + 8 == end:
        value = np.uint64(read_fixed(data, position, 8)).view(np.float64)
        return float_status(value, kind)
    number, wire_type = tag >> 3, tag & 7
    if wire_type == 0:
        raw, position = read_varint(data, position, end)
        if position != end or number in (0, 1, 4, 5, 7, 21, 31, 39):
            return SLOW_RECORD, 0.0
        return read_varint_value(number, raw, kind, enum)
    if wire_type != 2 or number == 0:
        return SLOW_RECORD, 0.0
    size, position = read_size(data, position, end)
    if position < 0 or size != np.uint64(end - position):
        return SLOW_RECORD, 0.0
    if number == 1:
        return SLOW_TEXT, float(position)
    fits = (number == 7 and kind == LOCATION) or (number == 21 and kind == DOORS)
    return (COMPOUND if fits or (number == 39 and kind == TIRES) else SLOW_RECORD), float(position)


@kernel
def parts_of(kind):
    """How many component signals a Field of this kind has."""
    return 2 if kind == LOCATION else 6 if kind == DOORS else 10 if kind == TIRES else 1


@kernel
def read_flags(data, position, end, parts, out, at):
    """Doors and TireLocation: `parts` booleans, false where absent; False: unusual bytes."""
    out[at : at + parts] = 0.0
    while position < end:
        tag = data[position]
        part = np.int64(tag >> 3) - 1
        if tag & 7 != 0 or tag >= 0x80 or part < 0 or part >= parts:
            return False
        raw, position = read_varint(data, position + 1, end)
        if position < 0:
            return False
        out[at + part] = 1.0 if raw != 0 else 0.0
    return True


@kernel
def read_location(data, position, end, out, at):
    """LocationValue: latitude and longitude, 0 where absent; False: unusual bytes."""
    out[at : at + 2] = 0.0
    while position < end:
        tag = data[position]
        if (tag != 0x09 and tag != 0x11) or position + 9 > end:
            return False
        value = np.uint64(read_fixed(data, position + 1, 8)).view(np.float64)
        out[at + np.int64(tag >> 4)] = value if np.isfinite(value) else np.nan
        position += 9
    return True


@kernel
def read_degrees(data, position, end, positive, negative):
    """(value, position after it) of "37.412374 N"; position -1 when it is not that."""
    start = position
    while position < end and (48 <= data[position] <= 57 or data[position] == 46):
        position += 1
    if position == start or position + 2 > end or data[position] != 32:
        return 0.0, -1
    if data[start] == 46 or data[position - 1] == 46:
        return 0.0, -1
    understood, value = read_number(data, start, position)
    side = data[position + 1]
    if not understood or (side != positive and side != negative):
        return 0.0, -1
    return (-value if side == negative else value), position + 2


@kernel
def read_place(data, position, end, out, at):
    """The text form of a location, "(37.412374 N, 122.145867 W)"; False when it is another text."""
    if end - position > TEXT_MAX or end - position < 12 or data[position] != 40:
        return False
    latitude, position = read_degrees(data, position + 1, end, 78, 83)
    if position < 0 or position + 2 > end or data[position] != 44 or data[position + 1] != 32:
        return False
    longitude, position = read_degrees(data, position + 2, end, 69, 87)
    if position < 0 or position + 1 != end or data[position] != 41:
        return False
    out[at], out[at + 1] = latitude, longitude
    return True


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
    size, position = read_size(data, position + 1, end)
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
def read_rare(data, start, end, status, number, field, field_row, names, out, at):
    """(samples put, slow code, where the slow bytes start) of a datum that is no plain number.

    Samples are put from `at` on; -1: unusual bytes. A slow code says who reads these bytes instead.
    """
    kind, enum, signal, scale = field_row
    signals, values = out[0], out[1]
    if signal < 0 or status == SLOW_DATUM:
        return 0, WHOLE_DATUM, start
    text = np.int64(number)
    parts = parts_of(kind)
    if status == UNAVAILABLE:
        values[at : at + parts] = np.nan
    elif status == COMPOUND:
        if kind == LOCATION:
            understood = read_location(data, text, end, values, at)
        else:
            understood = read_flags(data, text, end, parts, values, at)
        if not understood:
            return -1, 0, 0
    elif kind == LOCATION:
        if not read_place(data, text, end, values, at):
            return 0, field, text
    else:
        status, number = read_text(data, text, end, kind, enum, names[0], names[1])
        if status == SLOW_TEXT:
            return 0, field, text
        values[at] = number * scale if status == ONE else number
        if not np.isfinite(values[at]):
            values[at] = np.nan
    for part in range(parts):
        signals[at + part] = signal + part
    return parts, 0, 0


@kernel
def read_record(data, position, end, fields, names, out, at, slow, slow_at):
    """(samples, slow entries) after one payload, or (-1, 0): take the whole record slowly."""
    kinds, scales, enums, ids = fields
    signals, values = out[0], out[1]
    while position < end:
        tag = data[position]
        if tag == 0x20:  # is_resend
            _, position = read_varint(data, position + 1, end)
            if position < 0:
                return -1, 0
            continue
        if tag != 0x0A and tag != 0x12 and tag != 0x1A:
            return -1, 0
        size, position = read_size(data, position + 1, end)
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
        kind, enum, signal, scale = np.int64(ANY), np.int64(0), np.int64(-1), 1.0
        if field < FIELD_TABLE:
            kind, enum = np.int64(kinds[field]), np.int64(enums[field])
            signal, scale = np.int64(ids[field]), scales[field]
        status, number = read_scalar(data, value, position, kind, enum)
        if status == SLOW_RECORD:
            return -1, 0
        if status > 0 and signal >= 0:
            if status == ONE:
                number *= scale
            values[at] = number if np.isfinite(number) else np.nan
            signals[at] = signal
            at += 1
            continue
        field_row = (kind, enum, signal, scale)
        put, code, begin = read_rare(
            data, start, position, status, number, field, field_row, names, out, at
        )
        if put < 0:
            return -1, 0
        if put == 0:
            entry = slow[slow_at]
            entry[1], entry[2], entry[3], entry[4] = at, begin, position, code
            slow_at += 1
        at += put
    return at, slow_at


@inlined
def samples_max(size):
    """The most samples that a payload of `size` bytes gives.

    Nothing gives more than one per byte but a Tires datum that says `invalid`: ten for nine bytes.
    """
    return size + size // 9


@inlined
def borrowed_pair(pair):
    """Two arrays without their owners."""
    return borrowed(pair[0]), borrowed(pair[1])


@kernel
def decode_telemetry(data, bounds, encodings, times, first, fields, tables, out, counts, slow):
    """Decode rows from `first` on, until the next might not fit.

    data u8. bounds: starts and ends of payloads (i8). encodings u1: `TESLA`, `JSON`, others are
    passed over. times i8 (n, 3): a row's event time, received time, latest time that a sender may
    claim or -1 when its own was bounded at the door. fields: kinds u1, scales f8, enums u1, ids i4
    by Field number; an id is the first component's for compound Fields and -1 for those that the
    dictionary has not numbered. tables: as `json.kernels.read_json_record` says. out: signals i4,
    values f8, times i8. counts i8: samples after each row. slow i8 (n, 5): row, samples before it
    (of a JSON text: its sample), start, end, code.
    Returns (row to go on from, samples, slow entries, bounded times).
    """
    samples, slow_count, bounded = 0, 0, 0
    starts, ends = bounds
    data, slow = borrowed(data), borrowed(slow)
    fields = (borrowed(fields[0]), borrowed(fields[1]), borrowed(fields[2]), borrowed(fields[3]))
    out = (borrowed(out[0]), borrowed(out[1]), borrowed(out[2]))
    tables = (borrowed_pair(tables[0]), borrowed_pair(tables[1]), borrowed_pair(tables[2]))
    room, slow_room = len(out[0]), len(slow)
    for row in range(first, len(starts)):
        start, end = starts[row], ends[row]
        if encodings[row] == TESLA or encodings[row] == JSON:
            size = end - start
            # The smallest slow datum has two bytes.
            if samples + samples_max(size) > room or slow_count + size // 2 + 1 > slow_room:
                return row, samples, slow_count, bounded
            from_future = 0
            if encodings[row] == TESLA:
                at, slow_at = read_record(
                    data, start, end, fields, tables[1], out, samples, slow, slow_count
                )
                out[2][samples:at] = times[row, 0]
            else:
                facts = (times[row, 0], times[row, 1], times[row, 2])
                at, slow_at, from_future = read_json_record(
                    data, start, end, facts, tables, out, samples, slow, slow_count
                )
            if at < 0:
                entry = slow[slow_count]
                entry[1], entry[2], entry[3], entry[4] = samples, start, end, WHOLE_RECORD
                at, slow_at = samples, slow_count + 1
            for index in range(slow_count, slow_at):
                slow[index, 0] = row
            samples, slow_count, bounded = at, slow_at, bounded + from_future
        counts[row] = samples
    return len(starts), samples, slow_count, bounded


def warm() -> None:
    """Compile on production types."""
    data = np.zeros(1, np.uint8)
    data.flags.writeable = False
    none = np.zeros(0, np.int64)
    kinds = np.zeros(1, np.uint8)
    fields = (kinds, np.zeros(1), kinds, np.zeros(1, np.int32))
    names = (np.zeros(1, np.uint8), np.zeros((1, 4), np.int64))
    out = (np.zeros(1, np.int32), np.zeros(1), none)
    rows = ((none, none), np.zeros(0, np.uint8), np.zeros((0, 3), np.int64))
    slow = np.zeros((1, 5), np.int64)
    samples_max(1)
    decode_telemetry(data, *rows, 0, fields, (names, names, (kinds, kinds)), out, none, slow)
