"""The compiled half of the MQTT codec: packet boundaries and the ordinary PUBLISH. No socket.

`read_publish` takes what nearly every packet of a vehicle is: QoS 0 or 1, ASCII topic, the
properties vehicles use. Whatever is unusual or wrong gets the verdict `ASIDE` and is read again by
`publish.py`, which names the rule that is broken. So this file refuses nothing by itself, and
whatever it accepts, `publish.py` reads the same way (tests/wire/mqtt/test_kernels.py).
"""

from typing import Final

import numpy as np

from motorcade.compiled import kernel
from motorcade.events import CONTENT_TYPES, Encoding

INCOMPLETE: Final = 0
TOO_LARGE: Final = -1
BROKEN_LENGTH: Final = -2

GOOD: Final = 0
ASIDE: Final = 1

NO_CONTENT_TYPE: Final = -1
PROPERTIES_MAX: Final = 64  # more in one packet go aside; `properties.PROPERTIES_MAX` refuses
DIGITS_MAX: Final = 19  # of an unsigned decimal that surely fits 64 bits; longer ones go aside

_RECOGNISED: Final = (Encoding.TESLA_TELEMETRY, Encoding.JSON_SIGNALS, Encoding.SAMPLES)
_TEXTS: Final = tuple(CONTENT_TYPES[encoding].encode() for encoding in _RECOGNISED)
TYPE_ENCODINGS: Final = np.array(_RECOGNISED, np.int64)
TYPE_ENDS: Final = np.cumsum([len(text) for text in _TEXTS]).astype(np.int64)
TYPE_BYTES: Final = np.frombuffer(b"".join(_TEXTS), np.uint8)
STREAM: Final = np.frombuffer(b"stream", np.uint8)
SEQUENCE: Final = np.frombuffer(b"sequence", np.uint8)


@kernel
def packet_size(data, start, end, bytes_max):
    """Size of the packet at `data[start:end]`, header included, whether or not it is all there.

    `INCOMPLETE` when the header is not all there, `TOO_LARGE` above `bytes_max`, `BROKEN_LENGTH`
    for a remaining length in five bytes or in more than it needs [MQTT-1.5.5-1].
    """
    value = np.int64(0)
    for index in range(4):
        at = start + 1 + index
        if at >= end:
            return INCOMPLETE
        byte = np.int64(data[at])
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if index > 0 and byte == 0:
                return BROKEN_LENGTH
            size = value + 2 + index
            return TOO_LARGE if size > bytes_max else size
    return BROKEN_LENGTH


@kernel
def equals(data, start, size, word):
    """Whether `data[start:start + size]` is `word`."""
    if size != len(word):
        return False
    for index in range(size):  # noqa: SIM110  numba compiles no generators
        if data[start + index] != word[index]:
            return False
    return True


@kernel
def read_decimal(data, start, size):
    """The unsigned decimal at `data[start:start + size]`; -1 if it is none, -2 if too long."""
    if size == 0:
        return -1
    value = np.int64(0)
    for index in range(min(size, DIGITS_MAX)):
        digit = np.int64(data[start + index]) - 48
        if digit < 0 or digit > 9:
            return -1
        if index == DIGITS_MAX - 1 and value > 922337203685477579:
            return -2  # the 19th digit would not fit 63 bits
        value = value * 10 + digit
    return -2 if size > DIGITS_MAX else value


@kernel
def is_plain(data, start, size):
    """Whether these bytes are ASCII without control characters: no check of §1.5.4 can fail."""
    for index in range(start, start + size):  # noqa: SIM110
        if data[index] < 0x20 or data[index] > 0x7E:
            return False
    return True


@kernel
def is_ascii(data, at, end):
    """Whether these bytes are ASCII, which is UTF-8 without a further look."""
    for index in range(at, end):  # noqa: SIM110
        if data[index] > 0x7F:
            return False
    return True


@kernel
def is_plain_topic(data, start, size):
    """Whether these bytes are a topic name in plain ASCII, without wildcards."""
    for index in range(start, start + size):
        byte = data[index]
        if byte < 0x20 or byte > 0x7E or byte == 0x2B or byte == 0x23:
            return False
    return size > 0


@kernel
def encoding_of_type(data, start, size):
    """The `Encoding` that a content type names (parameters behind `;` do not matter), or OPAQUE."""
    for index in range(size):
        if data[start + index] == 0x3B or data[start + index] == 0x20:
            size = index
            break
    first = 0
    for index in range(len(TYPE_ENDS)):
        if equals(data, start, size, TYPE_BYTES[first : TYPE_ENDS[index]]):
            return TYPE_ENCODINGS[index]
        first = TYPE_ENDS[index]
    return np.int64(0)


@kernel
def read_text_size(data, at, end):
    """Size of the plain string whose length stands at `at`, or -1: cut short or not plain."""
    if at + 2 > end:
        return -1
    size = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
    if at + 2 + size > end or not is_plain(data, at + 2, size):
        return -1
    return size


@kernel
def read_properties(data, at, end, packet_end):
    """Walk a PUBLISH's properties: (verdict, encoding, stream start, stream size, sequence).

    The payload lies behind them. If it is said to be text, it must be ASCII to stay here.

    `encoding` is `NO_CONTENT_TYPE` without a content type. Of several user properties of one name
    the last counts. `sequence` is -1 when there is none that is an unsigned decimal.
    """
    encoding = np.int64(NO_CONTENT_TYPE)
    stream = 0
    stream_size = -1
    sequence = -1
    seen_format = False
    seen_expiry = False
    for _ in range(PROPERTIES_MAX):
        if at == end:
            return GOOD, encoding, stream, stream_size, sequence
        identifier = data[at]
        at += 1
        if identifier == 0x26:
            name_size = read_text_size(data, at, end)
            if name_size < 0:
                break
            name = at + 2
            at = name + name_size
            size = read_text_size(data, at, end)
            if size < 0:
                break
            if equals(data, name, name_size, STREAM):
                stream, stream_size = at + 2, size
            elif equals(data, name, name_size, SEQUENCE):
                sequence = read_decimal(data, at + 2, size)
                if sequence == -2:
                    break
            at += 2 + size
        elif identifier == 0x03 and encoding == NO_CONTENT_TYPE:
            size = read_text_size(data, at, end)
            if size < 0:
                break
            encoding = encoding_of_type(data, at + 2, size)
            at += 2 + size
        elif identifier == 0x01 and not seen_format and at < end and data[at] < 2:
            seen_format = True
            if data[at] == 1 and not is_ascii(data, end, packet_end):
                break
            at += 1
        elif identifier == 0x02 and not seen_expiry and at + 4 <= end:
            seen_expiry = True
            at += 4
        else:
            break
    return ASIDE, encoding, stream, stream_size, sequence


@kernel
def read_publish(data, start, end, with_properties):
    """Read the whole packet `data[start:end]`, a PUBLISH by its first byte.

    Returns (verdict, topic start, topic size, packet id, properties start, properties size,
    encoding, stream start, stream size, sequence, payload start); packet id is 0 for QoS 0. All
    but the verdict is meaningless with `ASIDE`.
    """
    aside = (ASIDE, 0, 0, 0, 0, 0, np.int64(NO_CONTENT_TYPE), 0, -1, -1, 0)
    qos = (np.int64(data[start]) >> 1) & 3
    if qos > 1:
        return aside
    if qos == 0 and data[start] & 8:
        return aside  # DUP without QoS [MQTT-3.3.1-2]
    at = start + 1
    while data[at] >= 0x80:
        at += 1
    at += 1
    if at + 2 > end:
        return aside
    topic_size = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
    topic = at + 2
    at = topic + topic_size
    if at + 2 * qos > end or not is_plain_topic(data, topic, topic_size):
        return aside
    packet_id = np.int64(0)
    if qos == 1:
        packet_id = (np.int64(data[at]) << 8) | np.int64(data[at + 1])
        if packet_id == 0:
            return aside
        at += 2
    if not with_properties:
        encoding = np.int64(NO_CONTENT_TYPE)
        return GOOD, topic, topic_size, packet_id, at, 0, encoding, 0, -1, -1, at
    if at >= end:
        return aside
    size = np.int64(data[at])
    at += 1
    if size >= 0x80:
        if at >= end or data[at] >= 0x80 or data[at] == 0:
            return aside  # over 16,383 bytes of properties, or a broken length
        size = (size & 0x7F) | (np.int64(data[at]) << 7)
        at += 1
    if at + size > end:
        return aside
    verdict, encoding, stream, stream_size, sequence = read_properties(data, at, at + size, end)
    return (
        verdict,
        topic,
        topic_size,
        packet_id,
        at,
        size,
        encoding,
        stream,
        stream_size,
        sequence,
        at + size,
    )


def warm() -> None:
    """Compile on production types. Callers in `gateway/mqtt/kernels.py` inline most of it."""
    packet = np.frombuffer(b"\x32\x08\x00\x01a\x00\x01\x00xx", np.uint8).copy()
    packet_size(packet, 0, len(packet), np.int64(100))
    read_publish(packet, 0, len(packet), True)
    content_type = np.frombuffer(b"text/plain", np.uint8)  # read-only, as `records.py` has it
    encoding_of_type(content_type, 0, len(content_type))
