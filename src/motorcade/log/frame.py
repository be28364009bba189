"""A frame: one group commit in bytes. Packing and checking, no file.

Layout, little-endian, every frame starts and ends on a multiple of 8 bytes::

    header   80 bytes, `HEADER`
    cursor   opaque, of whoever appends derived records; padded to 8
    rows     records x RECORD_DTYPE
    buffer   the records' bytes; padded to 8

The checksum (xxh3, 64 bits) covers all but magic, version and itself. Segment number and offset
are under it, so a frame is valid only in its own place: old bytes of a reused block, or a payload
that happens to hold a copy of a frame, are never taken for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import xxhash

from motorcade.events import RECORD_DTYPE
from motorcade.log.files import Part

MAGIC: Final = 0x4D43_4652  # "RFCM" on disk
VERSION: Final = 1
# magic, version, checksum | total bytes, segment, offset, least and greatest received time µs,
# topics as a bit set, records, buffer bytes, cursor bytes, spare
HEADER: Final = Struct("<IIQQQQqqQIIII")
HEADER_BYTES: Final = HEADER.size
MAGIC_BYTES: Final = MAGIC.to_bytes(4, "little") + VERSION.to_bytes(4, "little")
_PREFIX: Final = Struct("<IIQ")
_REST: Final = Struct("<QQQqqQIIII")
_ROW_BYTES: Final = RECORD_DTYPE.itemsize


class Frame(NamedTuple):
    """A valid frame's place in the bytes it was read from, and what its header says."""

    start: int
    total_bytes: int
    rows_start: int
    records: int
    buffer_start: int
    buffer_bytes: int
    topics: int  # bit set of `Topic`
    time_us_min: int
    time_us_max: int
    cursor_bytes: int

    @property
    def cursor_start(self) -> int:
        return self.start + HEADER_BYTES


@dataclass(frozen=True, slots=True)
class Scan:
    """What `scan_frames` found: whole frames, then the end, or too few bytes, or damage."""

    frames: list[Frame]
    used: int  # bytes of the whole frames
    missing: int  # the next frame needs so many bytes from `used` on; 0 = no frame begins there
    damage: str  # why the bytes at `used` are no frame; "" = they are not known to be bad


def padded(size: int) -> int:
    """The next multiple of 8."""
    return (size + 7) & ~7


def pack_frame(
    parts: Sequence[Part],
    *,
    segment: int,
    offset: int,
    records: int,
    buffer_bytes: int,
    topics: int,
    time_us: tuple[int, int],
    input_cursor: bytes = b"",
) -> tuple[list[Part], int]:
    """Return the frame as parts to write one after the other, and its size.

    `parts` are the rows and then the buffer, in as many pieces as they come; none is copied.
    """
    cursor = input_cursor + bytes(padded(len(input_cursor)) - len(input_cursor))
    body = HEADER_BYTES + len(cursor) + records * _ROW_BYTES + buffer_bytes
    total = padded(body)
    rest = _REST.pack(
        total, segment, offset, *time_us, topics, records, buffer_bytes, len(input_cursor), 0
    )
    tail = bytes(total - body)
    digest = xxhash.xxh3_64(rest)
    for part in (cursor, *parts, tail):
        digest.update(part)
    head = _PREFIX.pack(MAGIC, VERSION, digest.intdigest()) + rest + cursor
    return [head, *parts, tail], total


def scan_frames(data: npt.NDArray[np.uint8], segment: int, offset: int) -> Scan:
    """Check the frames that lie one after the other in `data`, which was read at `offset`."""
    frames: list[Frame] = []
    view = data.data
    at = 0
    size = len(view)
    while at < size:
        if size - at < HEADER_BYTES:
            return Scan(frames, at, HEADER_BYTES, "")
        found = _read_frame(view, at, segment, offset)
        if isinstance(found, str):
            return Scan(frames, at, 0, found)
        if isinstance(found, int):
            return Scan(frames, at, found, "")
        frames.append(found)
        at += found.total_bytes
    return Scan(frames, at, 0, "")


def _read_frame(view: memoryview, at: int, segment: int, offset: int) -> Frame | int | str:
    """One frame; or the bytes it would need; or what is wrong with it."""
    fields = HEADER.unpack_from(view, at)
    magic, version, checksum, total, in_segment, in_offset, low, high, topics = fields[:9]
    records, buffer_bytes, cursor_bytes, _ = fields[9:]
    if magic != MAGIC:
        return "no frame starts here"
    if version != VERSION:
        return f"frame version {version}, this build reads {VERSION}"
    rows_start = HEADER_BYTES + padded(cursor_bytes)
    buffer_start = rows_start + records * _ROW_BYTES
    if (
        total != padded(buffer_start + buffer_bytes)
        or in_segment != segment
        or in_offset != offset + at
    ):
        return "frame header is damaged"
    if len(view) - at < total:
        return int(total)
    if xxhash.xxh3_64_intdigest(view[at + _PREFIX.size : at + total]) != checksum:
        return "frame checksum does not match"
    return Frame(
        at,
        total,
        at + rows_start,
        records,
        at + buffer_start,
        buffer_bytes,
        topics,
        low,
        high,
        cursor_bytes,
    )


def find_frame(data: npt.NDArray[np.uint8], segment: int, offset: int) -> int | None:
    """Where the first valid frame starts in `data`, which was read at `offset`, if any does.

    Only whole frames count: after a crash this tells damage in the middle from a torn tail.
    """
    view = data.data
    raw = data.tobytes()
    at = raw.find(MAGIC_BYTES)
    while at >= 0 and len(raw) - at >= HEADER_BYTES:
        if at % 8 == 0 and isinstance(_read_frame(view, at, segment, offset), Frame):
            return at
        at = raw.find(MAGIC_BYTES, at + 1)
    return None
