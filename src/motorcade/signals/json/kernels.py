"""The JSON kernel: one payload to sample columns, without Python objects.

It takes what is plain: ASCII without escapes, names that the table has, scalars in the expected
shape. Anything else, broken or merely unusual, it leaves whole to `json/plain.py` and `plain.py`,
which are its readable twin: a test compares both. A text that needs the dictionary gets its sample
here and its value there (`JSON_TEXT`).

It judges nothing malformed. Grammar: RFC 8259.
"""

import numpy as np

from motorcade.compiled import inlined, kernel
from motorcade.signals.text.kernels import find_name, scan_number

JSON_TEXT = -3  # what the fifth column of a slow entry says, as in `signals/kernels.py`
TABLE_IDS = 4_096  # `catalogue.IDS_MAX`: ids from here on have no row
NAMES_PER_ELEMENT_MAX = 256  # each is compared with those before it
TIME_DIGITS_MAX = 18
NO_TIME = -1
ANY, BOOLEAN, ENUM, TEXT = 0, 2, 3, 4  # `signal.Kind`
TRUE = np.uint64(0x7FF9_0000_0000_0001).view(np.float64)  # `samples.BOOLEAN_BITS`
FALSE = np.uint64(0x7FF9_0000_0000_0000).view(np.float64)
QUOTE, COMMA, COLON = 34, 44, 58
OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY = 123, 125, 91, 93


@inlined
def skip_space(data, position, end):
    """The next position that is no white space."""
    while position < end:
        byte = data[position]
        if byte != 32 and byte != 10 and byte != 13 and byte != 9:
            break
        position += 1
    return position


@inlined
def string_end(data, position, end):
    """Where the string that begins after `position`'s quote has its closing one; -1: not plain."""
    while position < end:
        byte = data[position]
        if byte == QUOTE:
            return position
        if byte < 32 or byte >= 127 or byte == 92:
            return -1
        position += 1
    return -1


@inlined
def next_byte(data, position, end):
    """(byte, position) of what comes after white space; 0 at the end."""
    position = skip_space(data, position, end)
    if position < end:
        return data[position], position
    return np.uint8(0), position


@inlined
def word_is(data, position, end, word):
    """Whether `word` stands here."""
    if position + len(word) > end:
        return False
    same = True
    for index in range(len(word)):
        same &= data[position + index] == word[index]
    return same


@kernel
def read_time(data, position, end):
    """(time, position after it) of an instant; position -1: not a plain one."""
    position = skip_space(data, position, end)
    start, time_us = position, np.int64(0)
    while position < end and 48 <= data[position] <= 57 and position - start <= TIME_DIGITS_MAX:
        time_us = time_us * 10 + np.int64(data[position]) - 48
        position += 1
    digits = position - start
    if digits == 0 or digits > TIME_DIGITS_MAX or (digits > 1 and data[start] == 48):
        return time_us, -1
    if position < end and (data[position] == 46 or (data[position] | 32) == 101):
        return time_us, -1
    return time_us, position


@kernel
def read_value(data, position, end, kind, enum, enums):
    """(position after it, value, where its text starts or -1) of a scalar; position -1: slow."""
    if position >= end:
        return -1, 0.0, -1
    byte = data[position]
    if byte == QUOTE:
        stop = string_end(data, position + 1, end)
        if stop < 0:
            return -1, 0.0, -1
        if kind == ENUM:
            number = find_name(data, position + 1, stop, enum, enums[0], enums[1])
            if number >= 0:
                return stop + 1, float(number), -1
        return stop + 1, np.nan, position + 1
    if byte == 110 and word_is(data, position, end, b"null"):
        return position + 4, np.nan, -1
    if kind == TEXT:
        return -1, 0.0, -1
    if byte == 116 and kind != ENUM and word_is(data, position, end, b"true"):
        return position + 4, TRUE if kind == ANY else 1.0, -1
    if byte == 102 and kind != ENUM and word_is(data, position, end, b"false"):
        return position + 5, FALSE if kind == ANY else 0.0, -1
    understood, value, after = scan_number(data, position, end)
    if not understood:
        return -1, 0.0, -1
    return after, value, -1


@kernel
def is_among(signals, first, last, signal):
    """Whether the element has had this signal: JSON's last one would win, so not here."""
    found = False
    for index in range(first, last):
        found |= signals[index] == signal
    return found


@kernel
def read_signals(data, position, end, tables, out, at, slow, slow_at):
    """(position after the object, samples, slow entries); position -1: slow."""
    names, enums, kinds = tables
    signals, values = out[0], out[1]
    first = at
    byte, position = next_byte(data, position, end)
    if byte != OPEN_OBJECT:
        return -1, at, slow_at
    byte, position = next_byte(data, position + 1, end)
    if byte == CLOSE_OBJECT:
        return position + 1, at, slow_at
    while byte == QUOTE and at - first < NAMES_PER_ELEMENT_MAX:
        stop = string_end(data, position + 1, end)
        if stop < 0:
            break
        signal = find_name(data, position + 1, stop, 0, names[0], names[1])
        byte, position = next_byte(data, stop + 1, end)
        if signal < 0 or byte != COLON or is_among(signals, first, at, signal):
            break
        kind, enum = np.uint8(ANY), np.uint8(0)
        if signal < TABLE_IDS:
            kind, enum = kinds[0][signal], kinds[1][signal]
        byte, position = next_byte(data, position + 1, end)
        position, value, text = read_value(data, position, end, kind, enum, enums)
        if position < 0:
            break
        signals[at], values[at] = signal, value
        if text >= 0:
            entry = slow[slow_at]
            entry[1], entry[2], entry[3], entry[4] = at, text, position - 1, JSON_TEXT
            slow_at += 1
        at += 1
        byte, position = next_byte(data, position, end)
        if byte == CLOSE_OBJECT:
            return position + 1, at, slow_at
        if byte != COMMA:
            break
        byte, position = next_byte(data, position + 1, end)
    return -1, at, slow_at


@kernel
def read_element(data, position, end, tables, out, at, slow, slow_at):
    """(position after it, samples, slow entries, time or NO_TIME) of one object; -1: slow."""
    time_us, has_signals = np.int64(NO_TIME), False
    byte, position = next_byte(data, position, end)
    if byte != OPEN_OBJECT:
        return -1, at, slow_at, time_us
    byte, position = next_byte(data, position + 1, end)
    while byte == QUOTE:
        is_time = word_is(data, position, end, b'"time_us"')
        if not is_time and not word_is(data, position, end, b'"signals"'):
            break
        if (is_time and time_us != NO_TIME) or (not is_time and has_signals):
            break
        position += 9  # either word with its quotes
        byte, position = next_byte(data, position, end)
        if byte != COLON:
            break
        if is_time:
            time_us, position = read_time(data, position + 1, end)
        else:
            has_signals = True
            position, at, slow_at = read_signals(
                data, position + 1, end, tables, out, at, slow, slow_at
            )
        if position < 0:
            break
        byte, position = next_byte(data, position, end)
        if byte == CLOSE_OBJECT and has_signals:
            return position + 1, at, slow_at, time_us
        if byte != COMMA:
            break
        byte, position = next_byte(data, position + 1, end)
    return -1, at, slow_at, time_us


@kernel
def set_times(times, first, last, time_us, facts):
    """Give an element's samples their time (P3); returns 1 if the sender's was from the future."""
    event_us, received_us, latest_us = facts
    bounded = 0
    if time_us == NO_TIME or latest_us < 0:
        time_us = event_us
    elif time_us > latest_us:
        time_us, bounded = received_us, 1
    times[first:last] = time_us
    return bounded


@kernel
def read_json_record(data, position, end, facts, tables, out, at, slow, slow_at):
    """(samples, slow entries, bounded times) after one payload, or (-1, 0, 0): take it slowly.

    data u8, `position` to `end` the payload. facts: event time, received time, latest time that a
    sender may claim or -1 when the record's own was bounded at the door. tables: signal names
    (words, table), enum names (words, table), kinds and enums (u1) by signal id. out: signals i4,
    values f8, times i8. slow i8 (n, 5): row (the caller's to fill in), sample, start, end, code.
    """
    byte, position = next_byte(data, position, end)
    is_array = byte == OPEN_ARRAY
    if is_array:
        byte, position = next_byte(data, position + 1, end)
        if byte == CLOSE_ARRAY:
            position = skip_space(data, position + 1, end)
            if position != end:
                return -1, 0, 0
            return at, slow_at, 0
    bounded = 0
    while True:
        first = at
        position, at, slow_at, time_us = read_element(
            data, position, end, tables, out, at, slow, slow_at
        )
        if position < 0:
            return -1, 0, 0
        bounded += set_times(out[2], first, at, time_us, facts)
        byte, position = next_byte(data, position, end)
        if not is_array or byte != COMMA:
            break
        position += 1
    if is_array:
        if byte != CLOSE_ARRAY:
            return -1, 0, 0
        position = skip_space(data, position + 1, end)
    if position != end:
        return -1, 0, 0
    return at, slow_at, bounded


def warm() -> None:
    """`signals/kernels.py` warms it as a part of the whole."""
