"""`application/vnd.motorcade.samples`: samples as packed columns, for our own vehicles.

Little-endian, no padding. Version 1::

    0   4  magic "MSMP"
    4   1  version, 1
    5   1  zero
    6   2  names: count of names made for signals that the catalogue lacks
    8   4  samples: count
    12  4  texts: count
    16  8  base time, int64 µs UTC: the earliest sample's; the record's event time
    24     values      float64 x samples   (samples.py says what a NaN means; a text's number is
                                            its place among this payload's texts)
           times       uint32 x samples    µs after the base time
           signals     uint16 x samples    below 32,768 a catalogue id, else 32,768 + place of name
           names       (uint8 length, UTF-8) x names
           texts       (uint16 length, UTF-8) x texts

Values are in the catalogue's stored units. 14 bytes per sample.
"""

import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from motorcade.signals.catalogue import BY_ID, BY_NAME
from motorcade.signals.errors import MalformedPayloadError
from motorcade.signals.readings import Reading, Scalar
from motorcade.signals.samples import (
    BOOLEAN_BITS,
    NAME_BYTES_MAX,
    TAG_MASK,
    TEXT_BITS,
    UNAVAILABLE_BITS,
    from_bits,
    present,
    unavailable,
)
from motorcade.signals.values import read_stored

MAGIC: Final = b"MSMP"
VERSION: Final = 1
SPAN_US_MAX: Final = (1 << 32) - 1  # 71 minutes: a longer backlog takes several payloads
BASE_US_MAX: Final = 1 << 62
NAMED: Final = 1 << 15
_HEADER: Final = struct.Struct("<4sBBHIIq")
_SAMPLE_BYTES: Final = 14


class Packed(NamedTuple):
    """A payload's columns. `signal` from `NAMED` on is a place in `names`."""

    time_us: npt.NDArray[np.int64]
    signal: npt.NDArray[np.uint16]
    value: npt.NDArray[np.float64]
    names: list[str]
    texts: list[str]


def encode(samples: Sequence[tuple[int, str, Scalar]]) -> bytes:
    """Pack (time_us, signal name, value in the stored unit) triples, in this order.

    Enums may be given by name; `None` means unavailable.

    Raises:
        ValueError: no samples, none of an instant from 1970 on, over 71 minutes between them, or a
            name or text over long.
    """
    if not samples:
        raise ValueError("a payload needs at least one sample; send nothing instead")
    base = min(sample[0] for sample in samples)
    if not 0 <= base <= BASE_US_MAX:
        raise ValueError(f"{base} µs is no instant that a payload can have")
    if max(sample[0] for sample in samples) - base > SPAN_US_MAX:
        raise ValueError(f"samples span more than {SPAN_US_MAX} µs: send them in several payloads")
    names: dict[str, int] = {}
    texts: dict[str, int] = {}
    values = np.array([_pack_value(sample[1], sample[2], texts) for sample in samples], "<f8")
    times = np.array([sample[0] - base for sample in samples], "<u4")
    signals = np.array([_pack_name(sample[1], names) for sample in samples], "<u2")
    header = _HEADER.pack(MAGIC, VERSION, 0, len(names), len(samples), len(texts), base)
    parts = [header, values.tobytes(), times.tobytes(), signals.tobytes()]
    parts += [_counted("B", name) for name in names]
    parts += [_counted("<H", text) for text in texts]
    return b"".join(parts)


def _pack_value(name: str, value: Scalar, texts: dict[str, int]) -> float:
    held = read_stored(BY_NAME.get(name), value)
    if held is None:
        return unavailable()
    if isinstance(held, str):
        return from_bits(TEXT_BITS | texts.setdefault(held, len(texts)))
    return from_bits(BOOLEAN_BITS | held) if isinstance(held, bool) else held


def _pack_name(name: str, names: dict[str, int]) -> int:
    known = BY_NAME.get(name)
    if known is not None:
        return known.id
    place = names.setdefault(name, len(names))
    if place >= NAMED or not 0 < len(name.encode()) <= NAME_BYTES_MAX:
        raise ValueError(f"signal name {name[:40]!r}: 1 to {NAME_BYTES_MAX} bytes, 32,768 of them")
    return NAMED + place


def _counted(length: str, text: str) -> bytes:
    data = text.encode()
    try:
        return struct.pack(length, len(data)) + data
    except struct.error as error:
        raise ValueError(f"text of {len(data)} bytes, limit 65,535") from error


def read_base_time(payload: bytes) -> int | None:
    """The event time of a packed payload, `None` when it is none; looks at the header only."""
    if len(payload) < _HEADER.size or payload[:5] != MAGIC + bytes([VERSION]):
        return None
    return int(_HEADER.unpack_from(payload)[6])


def decode(payload: bytes) -> Packed:
    """The columns, copied out of `payload`.

    Raises:
        MalformedPayloadError: not a payload of this version; nothing of it can be used.
    """
    if len(payload) < _HEADER.size:
        raise MalformedPayloadError(f"{len(payload)} bytes, the header alone has {_HEADER.size}")
    magic, version, zero, name_count, count, text_count, base = _HEADER.unpack_from(payload)
    if magic != MAGIC or version != VERSION or zero:
        raise MalformedPayloadError(f"not packed samples of version {VERSION}")
    columns_end = _HEADER.size + count * _SAMPLE_BYTES
    if columns_end > len(payload):
        raise MalformedPayloadError(f"{count} samples announced, fewer are there")
    names, position = _read_counted(payload, columns_end, name_count, 1)
    texts, position = _read_counted(payload, position, text_count, 2)
    if position != len(payload):
        raise MalformedPayloadError(f"{len(payload) - position} bytes after the last text")
    times_start = _HEADER.size + 8 * count
    value = np.frombuffer(payload, "<f8", count, _HEADER.size).copy()
    offset = np.frombuffer(payload, "<u4", count, times_start)
    signal = np.frombuffer(payload, "<u2", count, times_start + 4 * count).copy()
    _check_columns(signal, value, base, names, texts)
    return Packed(base + offset.astype(np.int64), signal, value, names, texts)


def _read_counted(
    payload: bytes, position: int, count: int, length_bytes: int
) -> tuple[list[str], int]:
    texts = []
    if count * length_bytes > len(payload) - position:
        raise MalformedPayloadError(f"{count} names or texts announced, fewer are there")
    for _ in range(count):
        size = int.from_bytes(payload[position : position + length_bytes], "little")
        position += length_bytes
        if position + size > len(payload):
            raise MalformedPayloadError(f"a name or text ends after the payload, at {position}")
        texts.append(payload[position : position + size].decode("utf-8", "replace"))
        position += size
    return texts, position


def _check_columns(
    signal: npt.NDArray[np.uint16],
    value: npt.NDArray[np.float64],
    base_us: int,
    names: list[str],
    texts: list[str],
) -> None:
    """Refuse places beyond the lists; make every NaN of an unknown kind the ordinary one."""
    if not 0 <= base_us <= BASE_US_MAX:
        raise MalformedPayloadError(f"base time {base_us} is no instant")
    if len(signal) and int(signal.max()) >= NAMED + len(names):
        raise MalformedPayloadError("a sample names a signal that the payload does not list")
    if np.isfinite(value).all():
        return
    bits = value.view(np.uint64)
    tag = bits & np.uint64(TAG_MASK)
    is_text = tag == np.uint64(TEXT_BITS)
    if np.any(bits[is_text] - np.uint64(TEXT_BITS) >= np.uint64(len(texts))):
        raise MalformedPayloadError("a sample points at a text that the payload does not list")
    is_boolean = (tag == np.uint64(BOOLEAN_BITS)) & (bits & ~np.uint64(TAG_MASK | 1) == 0)
    bits[~np.isfinite(value) & ~is_text & ~is_boolean] = np.uint64(UNAVAILABLE_BITS)


def read_packed(payload: bytes) -> list[Reading]:
    """The samples as readings for people: neighbours of one instant together.

    Raises:
        MalformedPayloadError: as `decode`.
    """
    packed = decode(payload)
    readings: list[Reading] = []
    texts = dict(enumerate(packed.texts))
    for time_us, signal, value in zip(*(column.tolist() for column in packed[:3]), strict=True):
        name = name_of(signal, packed.names)
        if not readings or readings[-1].time_us != time_us or name in readings[-1].signals:
            readings.append(Reading(time_us, {}))
        readings[-1].signals[name] = present(BY_ID.get(signal), value, texts)
    return readings


def name_of(signal: int, names: list[str]) -> str:
    """The name of a packed signal number; ids of a younger catalogue than ours get a made one."""
    if signal >= NAMED:
        return names[signal - NAMED]
    known = BY_ID.get(signal)
    return known.name if known is not None else f"signal_{signal}"
